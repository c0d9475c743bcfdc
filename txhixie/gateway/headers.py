"""Header fields that a gateway passes on: of requests to the backend, of refusals to the client."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from ..sansio.errors import HandshakeRefused
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.types import Headers

PASSED_HEADERS: Final = ("authorization", "user-agent", "accept-language")
"""Header fields that are passed on to the backend by default. Cookies are always passed on."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_PASSED: Final = re.compile(
    r"host|origin|cookie|connection|upgrade|content-length|transfer-encoding|"
    r"(sec-)?websocket-.*|forwarded|x-forwarded-.*|keep-alive|te|trailer|proxy-.*",
    re.IGNORECASE,
)
"""Header fields that the client handshake writes itself, or that concern one connection only."""


def is_token(word: str) -> bool:
    """Whether a word is a token (RFC 9110 section 5.6.2): a name of a field or a subprotocol."""
    return _TOKEN.fullmatch(word) is not None


def read_names(text: str) -> tuple[str, ...]:
    """
    Read a list of the names of header fields to pass on, separated by commas.

    :raises ValueError: "expected ..." for a name that is not a token, or of a header field that the
        client handshake writes itself.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not is_token(name) or _NOT_PASSED.fullmatch(name):
            raise ValueError(f"expected header fields that may be passed on, not {name}")
    return names


def checked_fields(fields: Headers) -> Headers:
    """
    Check header fields that an operator adds to each request to a backend.

    :raises ValueError: "expected ..." for a field that the gateway writes itself. The text has the
        name of the field and not its value, which may be a credential.
    """
    for name, _ in fields:
        shown = name.decode("ascii")
        if shown.lower() == "host":
            raise ValueError("expected the option backend-host for the field Host")
        if _NOT_PASSED.fullmatch(shown):
            raise ValueError(f"expected a header field that the gateway does not write: {shown}")
    return fields


def fields_of(offer: Offer, names: Iterable[bytes]) -> Headers:
    """
    Return the header fields of a request that have one of some names.

    :param offer: the client's offer, with the head of its request.
    :param names: names of header fields in lower case.
    """
    return tuple(
        (name.title(), value) for name, value in offer.head.fields().pairs if name in names
    )


_PAGE_NAME: Final = re.compile(rb"[a-z0-9-]+")
_NOT_PASSED_OF_PAGE: Final = re.compile(
    rb"host|connection|upgrade|http2-settings|content-length|transfer-encoding|expect|"
    rb"(sec-)?websocket-.*|forwarded|x-forwarded-.*|x-real-ip|keep-alive|te|trailer|proxy(-.*)?"
)
"""Header fields of a request for a page that concern its connection or its body, and those in which
a gateway tells a backend about a client. CGI takes ``Proxy`` for a setting of its own
(CVE-2016-5385)."""


def passed_of_page(fields: Headers, fixed: Collection[bytes]) -> Headers:
    """
    Return the header fields of a request for a page that are passed on to a backend.

    A field with a name of other characters than letters, digits and hyphens is not passed on, as in
    nginx: CGI and WSGI take ``X_Forwarded_For`` for ``X-Forwarded-For``.

    :param fields: fields of the client's request, names in lower case.
    :param fixed: names, in lower case, of the fields that the gateway adds.
    """
    hops = set(fixed)
    for name, value in fields:
        if name == b"connection":
            hops.update(token.strip(b" \t").lower() for token in value.split(b","))
    return tuple(
        (name.title(), value.strip(b" \t"))
        for name, value in fields
        if name not in hops
        and _PAGE_NAME.fullmatch(name)
        and not _NOT_PASSED_OF_PAGE.fullmatch(name)
    )


_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authentication-info"),
        *(b"content-length", b"transfer-encoding"),
    }
)
"""Header fields of a response that concern its connection (RFC 9110 section 7.6.1), or the length
of its body. The gateway has read the body already, without its chunks and within our limit."""


_OF_BODY: Final = re.compile(rb"content-|etag|last-modified|digest|repr-digest", re.IGNORECASE)
"""Header fields that describe a body (RFC 9110 section 8)."""


def handed_on(refused: HandshakeRefused) -> Refusal:
    """
    Return the refusal of a backend as the refusal for the client.

    The header fields of the backend's handshake (``Sec-WebSocket-*``) are left out, since the
    client may speak another dialect. A status outside 200 to 599 becomes 502.
    """
    if not 200 <= refused.status <= 599:
        return Refusal(502, "the backend sent an invalid response\n")
    headers = end_to_end(refused.headers)
    if refused.whole:
        return Refusal(
            refused.status, refused.body, headers, why=_reason_of(refused), cause="backend"
        )
    # Do not send a part of a body: with the length of that part, the client would take it for the
    # whole body.
    rest = tuple((name, value) for name, value in headers if not _OF_BODY.match(name))
    return Refusal(
        refused.status,
        "the backend's response is too long or incomplete\n",
        rest,
        why=_reason_of(refused),
        cause="backend",
    )


def _reason_of(refused: HandshakeRefused) -> str:
    """
    Return the reason for the log.

    The reason names the backend, since a backend that is txhixie has the words of our own refusals.
    """
    body = refused.body.decode("utf-8", "replace").strip()
    hint = "; see backend-host=keep" if refused.status == 403 and "origin" in body.lower() else ""
    return f"the backend refused the handshake: {body or 'no reason given'}{hint}"


def end_to_end(headers: Headers) -> Headers:
    """Return the header fields of a response without those of the backend's connection."""
    hops = {
        name for name, _ in headers if name in _HOP_BY_HOP or name.startswith(b"sec-websocket-")
    }
    for name, value in headers:
        if name == b"connection":
            hops.update(token.strip(b" \t").lower() for token in value.split(b","))
    return tuple((name.title(), value) for name, value in headers if name not in hops)
