"""Which fields of a client's request its backend gets: cookies, and others by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ..handshake.offer import Offer, Pairs

CARRIED: Final = ("authorization", "user-agent", "accept-language")
"""Fields that a backend gets if nobody says otherwise; cookies it always gets."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS: Final = re.compile(
    r"host|origin|cookie|connection|upgrade|content-length|transfer-encoding|"
    r"(sec-)?websocket-.*|forwarded|x-forwarded-.*|keep-alive|te|trailer|proxy-.*",
    re.IGNORECASE,
)
"""Fields that a handshake of ours writes itself, or that end with a connection."""


def is_token(word: str) -> bool:
    """Whether it is one (RFC 9110 section 5.6.2): the name of a field, or of a subprotocol."""
    return _TOKEN.fullmatch(word) is not None


def read_names(text: str) -> tuple[str, ...]:
    """
    Read names that have commas between them.

    :raises ValueError: "expected ..." for a name that is none, or that we write ourselves.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not is_token(name) or _OURS.fullmatch(name):
            raise ValueError(f"expected fields that may be carried over, not {name}")
    return names


def fields_of(offer: Offer, names: Iterable[bytes]) -> Pairs:
    """Those of a request that have one of these names, in lower case."""
    return tuple(
        (name.title(), value) for name, value in offer.head.fields().pairs if name in names
    )
