"""Which fields of a client's request its backend gets: cookies, and others by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ..sansio.errors import HandshakeRefused
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.types import Headers

PASSED_HEADERS: Final = ("authorization", "user-agent", "accept-language")
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
    Read names of header fields that are to be passed on, with commas between them.

    :raises ValueError: "expected ..." for a name that is none, or that we write ourselves.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not is_token(name) or _OURS.fullmatch(name):
            raise ValueError(f"expected header fields that may be passed on, not {name}")
    return names


def fields_of(offer: Offer, names: Iterable[bytes]) -> Headers:
    """Those of a request that have one of these names, in lower case."""
    return tuple(
        (name.title(), value) for name, value in offer.head.fields().pairs if name in names
    )


_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authentication-info"),
        *(b"content-length", b"transfer-encoding"),
    }
)
"""What an answer says of its own connection (RFC 9110 section 7.6.1), or of how long it is: we have
the body, out of its chunks and within our limit."""


_OF_BODY: Final = re.compile(rb"content-|etag|last-modified|digest|repr-digest", re.IGNORECASE)
"""Fields that are about a body (RFC 9110 section 8)."""


def handed_on(refused: HandshakeRefused) -> Refusal:
    """
    The same refusal.

    What it says of its own handshake (``Sec-WebSocket-*``) is left out: the client may speak
    another dialect. A status that no refusal can have is a 502.
    """
    if not 200 <= refused.status <= 599:
        return Refusal(502, "the backend's answer is none\n")
    headers = end_to_end(refused.headers)
    if refused.whole:
        return Refusal(refused.status, refused.body, headers)
    # A part of a body, with the length of that part, would be taken for all of it.
    rest = tuple((name, value) for name, value in headers if not _OF_BODY.match(name))
    return Refusal(
        refused.status,
        "the backend's answer is too long, or not whole\n",
        rest,
    )


def end_to_end(headers: Headers) -> Headers:
    """Those fields of an answer that are for whoever it is handed on to."""
    hops = {
        name for name, _ in headers if name in _HOP_BY_HOP or name.startswith(b"sec-websocket-")
    }
    for name, value in headers:
        if name == b"connection":
            hops.update(token.strip(b" \t").lower() for token in value.split(b","))
    return tuple((name.title(), value) for name, value in headers if name not in hops)
