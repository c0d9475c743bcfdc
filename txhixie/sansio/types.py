"""Types that several files share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


HeadersLike: TypeAlias = (
    "Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str | bytes, str | bytes]]"
)
"""Header fields as they may be given: pairs of a name and a value, or a mapping; ``str`` has to be
ASCII."""


RandomBytes: TypeAlias = Callable[[int], bytes]
"""As ``secrets.token_bytes``, or what a test puts in its place."""
