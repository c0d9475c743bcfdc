"""The names of the dialects, by what the dialects can do."""

from __future__ import annotations

from txhixie import (
    DIALECTS,
)
from txhixie.sansio.dialects import named

NAMES = tuple(dialect.name for dialect in DIALECTS)


HIXIE = tuple(name for name in NAMES if not named(name).has_codes)


MODERN = tuple(name for name in NAMES if named(name).has_codes)
"""These have codes, pings and masks."""


CLOSING = tuple(name for name in NAMES if named(name).has_close)


OLDEST = ("hixie-54", "hixie-75")
"""Those without a closing frame."""


def code_of(dialect: str, code: int = 1000) -> int:
    """What is known of a close with this code where it may have none."""
    return code if dialect in MODERN else 1005
