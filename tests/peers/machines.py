"""Machines of a test: network namespaces with a bridge between, which the test itself reaches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from support import third_party

NETWORK: Final = "198.18.{number}.{host}"
"""Addresses for measurements of networks (RFC 2544), which no other network has."""

SEND_BUFFER: Final = "4096 16384 65536"
"""The least, usual and largest bytes that the kernel of a machine holds for a connection."""


class Machine(NamedTuple):
    """
    A network namespace.

    :ivar address: its address.
    :ivar before: words before those of a program, which runs in the namespace.
    """

    address: str
    before: Sequence[str]


def ip(program: Path, *words: str) -> None:
    """Run ``ip``; its errors are the text of the exception."""
    found = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if found.returncode:
        raise OSError(found.stderr.strip())


@contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """Make so many machines; without the permission to make them, the test is skipped."""
    program = third_party.iproute()
    number = os.getpid() % 65_000
    name = f"hixie-{number}"
    bridge, names = f"{name}-b", [f"{name}-{each}" for each in range(count)]
    try:
        ip(program, "netns", "add", names[0])
    except OSError as error:
        pytest.skip(f"network namespaces need root: {error}")
    try:
        ip(program, "netns", "delete", names[0])
        yield _made(program, bridge, names, number % 250)
    finally:
        for each in (bridge, *names):
            with suppress(OSError):
                ip(program, "link", "delete", each)  # a namespace ends after its last process
        for each in names:
            with suppress(OSError):
                ip(program, "netns", "delete", each)


def _made(program: Path, bridge: str, names: list[str], number: int) -> list[Machine]:
    def run(line: str) -> None:
        ip(program, *line.split())

    addresses = [NETWORK.format(number=number, host=host) for host in range(1, len(names) + 2)]
    run(f"link add {bridge} type bridge")
    run(f"link set {bridge} up")
    run(f"address add {addresses.pop()}/24 dev {bridge}")
    for name, address in zip(names, addresses, strict=True):
        run(f"netns add {name}")
        run(f"link add {name} type veth peer name eth0 netns {name}")
        run(f"link set {name} master {bridge} up")
        run(f"-n {name} address add {address}/24 dev eth0")
        run(f"-n {name} link set eth0 up")
        run(f"-n {name} link set lo up")
        # Otherwise the kernel may hold megabytes for a member that does not read.
        write = f"echo {SEND_BUFFER} > /proc/sys/net/ipv4/tcp_wmem"
        ip(program, "netns", "exec", name, "sh", "-c", write)
    before = [(str(program), "netns", "exec", name) for name in names]
    return [Machine(*each) for each in zip(addresses, before, strict=True)]
