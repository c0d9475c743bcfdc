"""Keeps freed memory in the process, which glibc would return to the kernel.

glibc returns the freed end of the heap to the kernel, and the kernel clears each page when the
memory is used again. A server that echoed messages of 1 MiB had 179 page faults a message, and an
echo took 1050 microseconds of CPU time; with this setting it takes 650. The setting belongs to the
process, not to a connection or a factory: a program calls a function, the daemon has an option.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

_MEBI: Final = 1024 * 1024

_LARGEST_BLOCK: Final = 24 * _MEBI
"""Bytes of the largest block of the heap; larger blocks are mapped and unmapped one by one.

At most 32 MiB with 64 bits; glibc refuses more. With 4 MiB an echo of 1 MiB took 710 microseconds.
"""

_MOST_FREED: Final = 48 * _MEBI
"""Most freed bytes at the end of the heap: twice the largest block, the ratio of glibc itself."""

_MALLOC_VARIABLES: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_")
"""Environment variables of glibc that set the same thresholds."""


def keep_freed_memory() -> bool:
    """
    Keep freed memory in the process, for large messages.

    An echo of messages of 1 MiB takes a third less CPU time; small messages gain nothing. The cost:
    the process keeps up to 48 MiB of freed memory. Each thread that allocates large blocks has a
    heap of its own, which may keep as much.

    Call the function once, at the start of the program; the setting cannot be undone. The daemon
    calls the function, except with ``--no-keep-freed-memory``. Only glibc has the setting. The
    function does nothing with another C library, and where the environment already sets a
    threshold: ``MALLOC_TRIM_THRESHOLD_``, ``MALLOC_MMAP_THRESHOLD_``, ``MALLOC_TOP_PAD_`` or
    ``glibc.malloc`` in ``GLIBC_TUNABLES``.

    :return: whether the process keeps freed memory because of this call.
    """
    if _has_thresholds(os.environ):
        return False
    with suppress(ImportError, OSError):  # a Python without libffi, or a static one
        return _set_thresholds(_c_library())
    return False


def _has_thresholds(environment: Any) -> bool:
    tunables = environment.get("GLIBC_TUNABLES", "")
    return "glibc.malloc." in tunables or any(name in environment for name in _MALLOC_VARIABLES)


def _c_library() -> Any:
    import ctypes  # not above: Python may have been built without it

    return ctypes.CDLL(None)


def _set_thresholds(library: Any) -> bool:
    """Set the thresholds; each call of ``mallopt`` returns 0 for a refused value."""
    if not hasattr(library, "gnu_get_libc_version"):
        return False  # Android's mallopt has other parameters; musl and macOS have no mallopt
    largest: int = library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)
    return largest == 1 and library.mallopt(_M_TRIM_THRESHOLD, _MOST_FREED) == 1
