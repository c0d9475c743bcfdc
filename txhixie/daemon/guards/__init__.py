"""Guards of the routes of ``twistd hixie``: a module and a row of the table for each kind."""

from __future__ import annotations

from typing import Final

from .guard_kind import GuardKind

GUARDS: Final[tuple[GuardKind, ...]] = ()
"""Table of all kinds of guards. A new kind needs a module in this package and a row in this table.
The order is that in which a client is checked."""
