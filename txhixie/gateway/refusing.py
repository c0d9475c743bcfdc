"""A backend's refusal, handed to the client as it came: status, body, and the fields that are the
client's business.
"""

from __future__ import annotations

import re
from typing import Final

from ..handshake.offer import Pairs, Refusal
from ..pure_errors import Refused

_OURS: Final = frozenset(
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


def handed_on(refused: Refused) -> Refusal:
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


def end_to_end(headers: Pairs) -> Pairs:
    """Those fields of an answer that are for whoever it is handed on to."""
    hops = {name for name, _ in headers if name in _OURS or name.startswith(b"sec-websocket-")}
    for name, value in headers:
        if name == b"connection":
            hops.update(token.strip(b" \t").lower() for token in value.split(b","))
    return tuple((name.title(), value) for name, value in headers if name not in hops)
