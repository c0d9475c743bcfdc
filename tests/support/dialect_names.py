"""The names of the dialects, by what the dialects can do."""

from __future__ import annotations

from txhixie import (
    DIALECTS,
)
from txhixie.sansio.dialects import named

NAMES = tuple(dialect.name for dialect in DIALECTS)


HIXIE = tuple(name for name in NAMES if not named(name).has_codes)


MODERN = tuple(name for name in NAMES if named(name).has_codes)
"""The dialects with close codes, pings and masking."""


CLOSING = tuple(name for name in NAMES if named(name).has_close)


OLDEST = ("hixie-54", "hixie-75")
"""The dialects without a close frame."""


def code_of(dialect: str, code: int = 1000) -> int:
    """The close code that the other side gets, in a dialect with or without close codes."""
    return code if dialect in MODERN else 1005
