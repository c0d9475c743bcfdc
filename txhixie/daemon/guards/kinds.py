"""The table of guards: a module and a row of the table for each kind."""

from __future__ import annotations

from typing import Final

from .guard_kind import GuardKind
from .users import buildUsers

GUARDS: Final[tuple[GuardKind, ...]] = (
    GuardKind(("users",), ("realm",), buildUsers, isAlternative=True),
)  # fmt: skip
"""
Table of all kinds of guards, in the order in which a client is checked.

A new kind needs a module in this package, a row in this table, and its options in the table
:data:`txhixie.daemon.conditions.CONDITIONS`.
"""
