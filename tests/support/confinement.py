"""Runs a program under the restrictions of a systemd unit, without systemd.

    python tests/support/confinement.py UNIT PROGRAM ARGUMENTS...

What of ``[Service]`` this process can do itself, for the program that it becomes: no capabilities,
no new privileges, no memory that is writable and executable, and the filter of system calls. A call
that the filter refuses ends the program, so that a test cannot miss it: ``SystemCallErrorNumber=``
of the unit is not used.
"""

from __future__ import annotations

import configparser
import ctypes
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NUMBERS: Final = (
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm/unistd_64.h"),
)
"""Headers with the numbers of the system calls: Debian's linux-libc-dev, which gcc needs."""

PR_SET_MDWE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 65, 38, 22
PR_CAPBSET_DROP, SECCOMP_MODE_FILTER = 24, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
KILL, ALLOW = 0x8000_0000, 0x7FFF_0000
X86_64: Final = 0xC000_003E


class Unit(configparser.ConfigParser):
    """A unit file: keys may be repeated, and their case counts."""

    def __init__(self, text: str) -> None:
        super().__init__(interpolation=None, strict=False)
        self.optionxform = str  # type: ignore[assignment,method-assign]  # configparser documents that this method may be replaced by str
        self.read_string(text)
        self.filters = re.findall(r"(?m)^SystemCallFilter=(.*)$", text)


def members(group: str) -> set[str]:
    """The system calls of a group of systemd, such as ``@system-service``."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group],
        capture_output=True,
        text=True,
        check=True,
    )
    found: set[str] = set()
    for line in listed.stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            found |= members(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return found


def allowed(filters: Iterable[str]) -> set[str]:
    """The system calls that the lines ``SystemCallFilter=`` leave."""
    found = members("@default")
    for line in filters:
        names = line.removeprefix("~").split()
        calls = {call for name in names for call in (members(name) if name[0] == "@" else {name})}
        found = found - calls if line.startswith("~") else found | calls
    return found


def numbers() -> dict[str, int]:
    """The number of each system call of this machine's processor."""
    header = next(path for path in NUMBERS if path.exists())
    found = re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())
    return {name: int(number) for name, number in found}


def program_of(calls: Iterable[int]) -> bytes:
    """A filter (BPF) that allows these calls, and ends the process at any other one."""

    def statement(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    lines = [statement(LOAD, 4), statement(EQUAL, X86_64, 1, 0), statement(RETURN, KILL)]
    lines.append(statement(LOAD, 0))
    for number in sorted(calls):
        lines += [statement(EQUAL, number, 0, 1), statement(RETURN, ALLOW)]
    return b"".join([*lines, statement(RETURN, KILL)])


def control(*arguments: object) -> None:
    """Call ``prctl``."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(*arguments, *[0] * (5 - len(arguments))) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def confine(unit: Unit) -> None:
    """Restrict this process, for good."""
    service = unit["Service"]
    known = numbers()
    # The program that the filter ends with is read before: execve is a call like any other.
    calls = {known[name] for name in allowed(unit.filters) if name in known}
    os.umask(int(service["UMask"], 8))
    assert service["CapabilityBoundingSet"] == ""
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        control(PR_CAPBSET_DROP, capability)
    assert service["NoNewPrivileges"] == "yes"
    control(PR_SET_NO_NEW_PRIVS, 1)
    if service.get("MemoryDenyWriteExecute") == "yes":
        control(PR_SET_MDWE, 1)
    code = program_of(calls)
    buffer = ctypes.create_string_buffer(code, len(code))
    described = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    control(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(described))


if __name__ == "__main__":
    confine(Unit(Path(sys.argv[1]).read_text()))
    os.execv(sys.argv[2], sys.argv[2:])
