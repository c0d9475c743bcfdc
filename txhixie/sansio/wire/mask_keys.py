"""Random bytes for masking keys, read from the operating system 4 KiB at a time.

A masking key must be unpredictable (RFC 6455 section 10.3), and each frame has a new one of four
bytes. A system call for four bytes takes 1.5 us, a fifth of the cost of a client's message.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Final

_PAGE: Final = 4096
"""Bytes read at once: 1024 masking keys."""


class MaskKeys:
    """Buffered source of random bytes: a call with a number returns that many new bytes."""

    __slots__ = ("_bytes", "_position", "_source")

    def __init__(self, source: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """
        Create an empty buffer.

        :param source: takes a number and returns that many random bytes.
        """
        self._source = source
        self._bytes = b""
        self._position = 0

    def __call__(self, size: int) -> bytes:
        """Return ``size`` random bytes, which are never returned again."""
        position = self._position
        self._position = end = position + size
        if end > len(self._bytes):
            return self._more(size)
        return self._bytes[position:end]

    def _more(self, size: int) -> bytes:
        self._bytes = self._source(max(_PAGE, size))
        self._position = size
        return self._bytes[:size]

    def forget(self) -> None:
        """Discard the buffered bytes."""
        self._bytes = b""
        self._position = 0


random_bytes: Final = MaskKeys()

if hasattr(os, "register_at_fork"):  # otherwise a child process would use its parent's bytes
    os.register_at_fork(after_in_child=random_bytes.forget)
