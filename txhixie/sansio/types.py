"""Types that several files share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


HeadersLike: TypeAlias = (
    "Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str | bytes, str | bytes]]"
)
"""Header fields as a program may pass them: pairs of name and value, or a mapping; ``str`` has to
be ASCII."""


RandomBytes: TypeAlias = Callable[[int], bytes]
"""A function that takes a number and returns that many random bytes: ``secrets.token_bytes``."""
