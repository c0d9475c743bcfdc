"""A daemon with several workers, and its processes."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from os import kill
from pathlib import Path

from support.daemon import PATIENCE, Daemon, running


class Workers:
    """
    The workers of a daemon.

    :ivar daemon: the daemon.
    """

    def __init__(self, daemon: Daemon, count: int) -> None:
        self.daemon = daemon
        self._count = count
        for number in range(1, count + 1):
            self.serves(number)

    def serves(self, number: int, times: int = 1) -> None:
        """Wait until a worker listens on the last port, for the first time or again."""
        self.daemon.logged_times(f"starting on {self.daemon.port}", times, f"[worker {number}, ")

    def of(self, addresses: Collection[str]) -> dict[str, int]:
        """The numbers of the workers that have clients, by the addresses of the clients."""
        opened = re.compile(r"\[worker (\d+), .* opened .* peer=(\S+) ")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = {address: int(number) for number, address in opened.findall(self.daemon.log)}
            if found.keys() >= {*addresses}:
                return {address: found[address] for address in addresses}
            time.sleep(0.1)
        raise AssertionError("the log has no line of a client")

    def process(self, number: int) -> int:
        """The process ID of a worker."""
        return int(re.findall(rf"worker={number} process=(\d+)", self.daemon.log)[-1])

    def kill(self, number: int, by: int = signal.SIGKILL) -> None:
        """Send a signal to a worker."""
        kill(self.process(number), by)

    def lines(self, number: int, words: str) -> list[str]:
        """The lines of the log of a worker with these words."""
        found = self.daemon.log.splitlines()
        return [each for each in found if f"[worker {number}, " in each and words in each]


@contextmanager
def working(directory: Path, *options: str, count: int = 2) -> Iterator[Workers]:
    """Run a daemon for a block: wait for all its workers before, and for its end after that."""
    with running(directory, "--workers", str(count), *options) as daemon:
        yield Workers(daemon, count)
        if daemon.process.poll() is None:
            daemon.terminate()
        daemon.ended()
