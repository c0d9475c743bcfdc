"""Numbers of open connections of all workers, in one page of memory that the processes share."""

from __future__ import annotations

import os
import sys
from mmap import mmap
from tempfile import TemporaryFile
from typing import Final

MOST_WORKERS: Final = 1024
"""Most workers of a daemon: numbers of 32 bits in a page of 4 KiB."""

_ABSENT: Final = 2**32 - 1
"""Number of a worker that does not accept connections: no other worker waits for this one."""

_ALLOWED: Final = 4
"""Connections that a worker may have more than the worker with the fewest, and an eighth of these:
a worker that is busy for a moment does not have the others wait."""


class ConnectionCounts:
    """
    Numbers of open connections, one number for each worker. Each worker changes its own only.

    :ivar descriptor: file descriptor of the memory.
    """

    def __init__(self, descriptor: int, workers: int, worker: int = 1) -> None:
        """
        :param descriptor: file descriptor of the memory, which :meth:`make` has made.
        :param workers: number of workers.
        :param worker: number of the worker of this process, from 1.
        """
        self.descriptor = descriptor
        self._numbers = memoryview(mmap(descriptor, 4 * MOST_WORKERS)).cast("I")[:workers]
        self._own = worker - 1

    @classmethod
    def make(cls, workers: int) -> ConnectionCounts:
        """
        Make the memory: no worker accepts connections yet.

        :raises OSError: when the system refuses.
        """
        if sys.platform == "linux":
            descriptor = os.memfd_create("hixie-workers")
        else:
            with TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, 4 * MOST_WORKERS)
        counts = cls(descriptor, workers)
        for number in range(1, workers + 1):
            counts.remove(number)
        return counts

    @property
    def total(self) -> int:
        """Number of open connections of all workers."""
        return sum(each for each in self._numbers if each != _ABSENT)

    def begin(self) -> None:
        """Count the connections of this worker, which accepts from now on."""
        self._numbers[self._own] = 0

    def enter(self) -> None:
        """Count a connection of this worker."""
        self._numbers[self._own] += 1

    def leave(self) -> None:
        """Count a connection of this worker no more."""
        self._numbers[self._own] -= 1

    def remove(self, worker: int) -> None:
        """Count the connections of a worker no more: the process has ended."""
        self._numbers[worker - 1] = _ABSENT

    @property
    def has_many(self) -> bool:
        """Whether this worker should leave the next connection to another one."""
        least = min(self._numbers)
        return self._numbers[self._own] > least + _ALLOWED + least // 8
