"""Random bytes for masks, taken from the operating system by the page.

A mask must be one that nobody can foresee (RFC 6455 section 10.3), and there is one for each frame:
four bytes, for which the system call takes 1.5 us, a fifth of what a client's message costs.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Final

_PAGE: Final = 4096
"""Bytes taken at once: 1024 masks."""


class MaskKeys:
    """Whoever is called with a number answers that many bytes, each of them once."""

    __slots__ = ("_bytes", "_position", "_source")

    def __init__(self, source: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """:param source: takes a number, answers that many random bytes."""
        self._source = source
        self._bytes = b""
        self._position = 0

    def __call__(self, size: int) -> bytes:
        """Take some."""
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
        """Use none of what has been taken."""
        self._bytes = b""
        self._position = 0


random_bytes: Final = MaskKeys()

if hasattr(os, "register_at_fork"):  # or a child would use its parent's
    os.register_at_fork(after_in_child=random_bytes.forget)
