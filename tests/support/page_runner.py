"""Runs the code blocks of one page of the guide, in the order of the page.

The convention is in ``tests/test_documents.py``.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from support import third_party
from support.daemon import PATIENCE, free_port
from support.guide_pages import ROOT, Block, Page, kind

_OUTPUT: Final = doctest.OutputChecker()
_LOOSELY: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class PageRunner:
    """
    A page that is being run: in a directory of its own, every port it prints replaced by a free
    one, what stays kept until the end.
    """

    page: Page
    directory: Path
    outputs: list[Path] = field(default_factory=list)
    staying: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: dict[int, int] = field(default_factory=dict)
    _transcript: str = ""

    def __post_init__(self) -> None:
        self._ports = {port: free_port() for port in self.page.ports} | self.ports
        (self.directory / "examples").symlink_to(ROOT / "examples")

    def run(self) -> None:
        """
        Every block, one after the other; what needs a component that is not here is passed over,
        and in the end the test is skipped and says why.
        """
        for component in self.page.needs:
            getattr(third_party, component)()
        passed_over = []
        try:
            for block in self.page.blocks:
                if block.said("anew"):  # also where the block itself is passed over
                    self._still_stay()
                    self.stop()
                try:
                    for component in block.said("needs"):
                        getattr(third_party, component)()
                except pytest.skip.Exception as reason:
                    passed_over.append(str(reason))
                else:
                    self._run_block(block)
            self._still_stay()
        finally:
            self.stop()
        for output in self.outputs:
            said = output.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in said, f"{self.page.path}: {said}"
        if passed_over:
            pytest.skip("; ".join(dict.fromkeys(passed_over)))

    def _still_stay(self) -> None:
        """None has ended by itself, other than well."""
        assert not any(process.poll() for process in self.staying), f"{self.page.path}: one fell"

    def stop(self) -> None:
        """End everything that stays."""
        while self.staying:
            _end(self.staying.pop())

    def _run_block(self, block: Block) -> None:
        for command in block.said("first"):
            self._command(block, self._here(command))
        for command in block.said("with"):
            self._stay(block, self._here(command))
        what, text = kind(block, self.page), self._here(block.text)
        if what == "saved":
            (self.directory / block.said("saved as")[0]).write_text(text, encoding="utf-8")
        elif what == "transcript":
            self._type(block, text)
        elif what == "program":
            self._program(block, text)
        elif what == "commands":
            self._commands(block, text)
        elif what == "output":
            self._await(block, text)
        for command in block.said("then"):
            self._command(block, self._here(command))

    def _here(self, text: str) -> str:
        """With our ports in the place of the printed ones."""
        return re.sub(
            r"\b\d{2,5}\b", lambda match: str(self._ports.get(int(match[0]), match[0])), text
        )

    def _type(self, block: Block, text: str) -> None:
        """Run a block of Python input and output."""
        self._transcript = self._transcript + text if block.said("continues") else text
        name = f"transcript{block.line}.txt"
        (self.directory / name).write_text(self._transcript, encoding="utf-8")
        options = "-o ELLIPSIS -o NORMALIZE_WHITESPACE"
        self._command(block, f"python -m doctest {options} {name}")

    def _program(self, block: Block, text: str) -> None:
        name = f"program{block.line}.py"
        (self.directory / name).write_text(text, encoding="utf-8")
        if block.said("stays"):
            self._stay(block, f"python {name}", " ".join(block.said("stays")) or text)
        else:
            self._command(block, f"python {name}")

    def _commands(self, block: Block, text: str) -> None:
        """Run each command, and compare its output with that of the page."""
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        for index, part in enumerate(parts):
            command, shown = _command_and_output(part)
            if command in ("python", "python3") and shown.startswith(">>> "):
                self._type(block, shown)
            elif block.said("stays") and index == len(parts) - 1:
                self._stay(block, command, " ".join(block.said("stays")))
            else:
                fails = bool(block.said("fails")) and index == len(parts) - 1
                said = self._command(block, command, fails=fails)
                if shown.strip() and not _OUTPUT.check_output(shown, said, _LOOSELY):
                    raise AssertionError(f"{block}: {command}\nshown:\n{shown}\nprinted:\n{said}")

    def _command(self, block: Block, command: str, *, fails: bool = False) -> str:
        """Run it to its end, which must be a good one, or not; what it printed."""
        output, process = self._start(command)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
        said = output.read_text(encoding="utf-8", errors="replace")
        right = status not in (0, None) if fails else status == 0
        assert right, f"{block}: {command}\nended with {status} and said:\n{said}"
        return said

    def _stay(self, block: Block, command: str, naming: str = "") -> None:
        """Start a program, and wait until it listens on the ports of the page or of its command."""
        output, process = self._start(command)
        self.staying.append(process)
        words = self._here(naming) or command
        named = [port for port in self._ports.values() if str(port) in words]
        for _ in _patiently():
            said = output.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, f"{block}: {command}\ndid not stay, and said:\n{said}"
            if all(map(_is_listened_on, named)):
                return
        raise AssertionError(f"{block}: {command}\nnobody listens on {named}; it said:\n{said}")

    def _await(self, block: Block, shown: str) -> None:
        """Wait until one of the page's programs has printed these lines, in this order."""
        wanted = re.compile(".*".join(map(_loose, shown.strip().splitlines())), re.DOTALL)
        said: list[str] = []
        for _ in _patiently():
            said = [path.read_text(encoding="utf-8", errors="replace") for path in self.outputs]
            if any(map(wanted.search, said)):
                return
        raise AssertionError(f"{block}: nothing printed\n{shown}\nbut:\n" + "\n---\n".join(said))

    def _start(self, command: str) -> tuple[Path, subprocess.Popen[bytes]]:
        output = self.directory / f"output{len(self.outputs)}"
        self.outputs.append(output)
        programs = [Path(sys.executable).parent, third_party.COMPONENTS / "bin"]
        path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
        with output.open("wb") as stdout:
            return output, subprocess.Popen(
                ["bash", "-euc", command],
                cwd=self.directory,
                # CI: Hypothesis does not fail where a busy machine generates data slowly.
                env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "CI": "true"},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _command_and_output(part: str) -> tuple[str, str]:
    """A command, which goes on over lines that end in a backslash, and what follows it."""
    lines = part.split("\n")
    count = 1
    while lines[count - 1].endswith("\\"):
        count += 1
    return "\n".join(lines[:count]), "\n".join(lines[count:])


def _loose(line: str) -> str:
    """A shown line as a pattern: ``...`` for anything, other clients' ports, other durations."""
    pattern = re.escape(" ".join(line.split()))
    pattern = pattern.replace(re.escape("..."), ".*").replace(r"\ ", r"\s+")
    pattern = re.sub(r"(127\\\.0\\\.0\\\.1):\d{5}\b", r"\1:\\d+", pattern)
    pattern = re.sub(r"\bseconds=\d+\\\.\d", r"seconds=[\\d.]+", pattern)
    return re.sub(r"\d+\\\.\d(\\s\+s\b)", r"[\\d.]+\1", pattern)


def _patiently() -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)


def _is_listened_on(port: int) -> bool:
    """The probe reads to the end before it closes: closing with a greeting unread would be a reset,
    and a program of the page may print a traceback for a reset."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
        probe.settimeout(1)
        with contextlib.suppress(OSError):
            probe.shutdown(socket.SHUT_WR)
            while probe.recv(4096):
                pass
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """The way an operator ends it, and everything it started; then the hard way."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
