"""``twistd`` in a process that tells how many bytes the program has allocated.

The resident memory of a process includes freed memory that the C library has not returned to the
kernel; how much depends on `txhixie.keep_freed_memory`. A bound for what a daemon holds needs the
allocated bytes. ``mallinfo2`` of glibc counts them, and with ``PYTHONMALLOC=malloc`` it counts each
object of Python.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from threading import Thread
from typing import Any, Final

import pytest

PATIENCE: Final = 30  # seconds
LIBRARY: Final[Any] = ctypes.CDLL(None)
FIELDS: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)

COUNTS: Final = hasattr(LIBRARY, "mallinfo2")
needs_count = pytest.mark.skipif(not COUNTS, reason="needs mallinfo2, which glibc has since 2.33")


class MallocInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in FIELDS)
    uordblks: int
    hblkhd: int


def allocated() -> int:
    """The bytes that this process has allocated and not freed, in all threads."""
    LIBRARY.mallinfo2.restype = MallocInfo
    info = LIBRARY.mallinfo2()
    return int(info.uordblks + info.hblkhd)  # blocks of the heaps, and mapped blocks


def address(process: int) -> str:
    """The abstract UNIX socket of a process, which tells each client the allocated bytes."""
    return f"\0txhixie-allocated-{process}"


def allocated_by(process: int) -> int:
    """The allocated bytes of another process, by its id."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(address(process))
        with client.makefile("rb") as stream:
            return int(stream.read())


def tell(listening: socket.socket) -> None:
    """Tell each client the allocated bytes."""
    while True:
        with listening.accept()[0] as client:
            client.sendall(str(allocated()).encode())


def main(*words: str) -> None:
    """Run ``twistd`` with these words; without ``mallinfo2`` its bytes are not counted."""
    from twisted.scripts.twistd import run

    if COUNTS:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(address(os.getpid()))
        listening.listen()
        Thread(target=tell, args=(listening,), daemon=True).start()
    sys.argv[:] = ["twistd", *words]
    run()


if __name__ == "__main__":
    main(*sys.argv[1:])
