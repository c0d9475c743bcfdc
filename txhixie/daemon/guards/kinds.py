"""The table of guards: a module and a row of the table for each kind."""

from __future__ import annotations

from typing import Final

from .client_certificate import build_client_certificate
from .guard_kind import GuardKind
from .json_web_tokens import buildJSONWebTokens
from .tokens import buildTokens
from .users import buildUsers

GUARDS: Final[tuple[GuardKind, ...]] = (
    GuardKind(("client-certificate",), (), build_client_certificate),
    GuardKind(("users",), ("realm",), buildUsers, isAlternative=True),
    GuardKind(("tokens",), ("token-parameter", "realm"), buildTokens, isAlternative=True),
    GuardKind(
        ("jwt-key",),
        ("jwt-algorithms", "jwt-audience", "jwt-issuer", "token-parameter", "realm"),
        buildJSONWebTokens,
        isAlternative=True,
    ),
)
"""
Table of all kinds of guards, in the order in which a client is checked.

A new kind needs a module in this package, a row in this table, and its options in the table
:data:`txhixie.daemon.conditions.CONDITIONS`.
"""
