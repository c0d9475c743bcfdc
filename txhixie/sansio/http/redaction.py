"""Heads, URLs and subprotocols without their credentials, for logs, traces and reports.

The value of a field is hidden by the field's name. Of a URL's query only the names of its
parameters are shown: a page cannot set a field, and puts its token there under any name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_SECRET_FIELD: Final = re.compile(
    r"^(?:proxy-)?authorization\Z|^(?:set-)?cookie2?\Z|token|secret|password|api-?key|session"
)
"""Those that HTTP has for it, and what people call their own. It is searched for: to match a whole
name with ``.*`` around these words takes quadratic time for a name of many of them and a line feed.
"""

_SECRET_PARAMETER: Final = re.compile(
    r"([&;](?:[\w.-]*(?:token|secret|password|passwd|session(?:_?id)?|signature|api_?key)|auth|key|sig)=)"
    r"[^&;#?/,\s]+",
    re.IGNORECASE,
)
"""A parameter outside of a query: of a path's segment (``/a;jsessionid=...``), say."""

_PARAMETER: Final = re.compile(r"[\w.\[\]-]{1,32}", re.ASCII)
_QUERY: Final = re.compile(r"\?([^\s#\"<>]+)")
_FRAGMENT: Final = re.compile(r"(?<=\S)#[^\s\"<>]*")
_USER: Final = re.compile(r"(?<=://)[^/?#\s@]*@")
_BEARER: Final = re.compile(r"((?:bearer|authorization)\.)[^,\s]+", re.IGNORECASE)
"""A credential among subprotocols, where a page can put one: Kubernetes wants it there."""
_RANDOM: Final = re.compile(
    r"(?=[^,\s]*[0-9])(?=[^,\s]*[A-Z])(?=[^,\s]*[a-z])[\w.~+/=-]{32,}", re.ASCII
)
"""A subprotocol that nobody has registered: a token by itself, such as a JWT."""


def masked_lines(head: bytes) -> Iterator[str]:
    """
    The lines of a head in ASCII, the empty one that ends it included.

    :param head: a whole one, of a request or an answer.
    """
    for line in head.decode("latin-1").split("\r\n")[:-2]:
        yield ascii(_masked(line))[1:-1]
    yield ""


def masked_url(url: str) -> str:
    """
    A URL or a request's target, without the values of its query, its user and its fragment.

    :param url: of any shape, as a peer may have sent it.
    """
    place, mark, query = url.partition("?")
    place = _SECRET_PARAMETER.sub(r"\1...", _USER.sub("***@", _FRAGMENT.sub("", place)))
    return place + (mark + masked_query(query) if query else "")


def masked_query(query: str) -> str:
    """
    A query, without the values of its parameters.

    A part without a value is hidden whole, and so is one with an unusual name: it may be a token by
    itself, such as base64 with ``=`` at its end.
    """
    return "&".join(map(_masked_parameter, query.partition("#")[0].split("&")))


def _masked_parameter(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{name}=..." if value.strip("=") and _PARAMETER.fullmatch(name) else "..."


def masked_subprotocol(name: str) -> str:
    """A subprotocol, unless it is a credential."""
    masked = _BEARER.sub(r"\1...", name)
    return "..." if _RANDOM.fullmatch(masked) else masked


def _masked(line: str) -> str:
    name, colon, value = line.partition(":")
    field = name.strip().lower()
    if colon and _SECRET_FIELD.search(field):
        return f"{name}: ..."
    if colon and field in ("sec-websocket-protocol", "websocket-protocol"):
        members = (masked_subprotocol(member.strip()) for member in value.split(","))
        return f"{name}: {', '.join(members)}"
    return masked_text(line)


def masked_text(text: str) -> str:
    """
    Hide the user, the query and the bearer tokens of each URL in a text.

    :param text: the value of a field that is no URL as a whole, such as ``User-Agent``.
    """
    text = _QUERY.sub(lambda found: f"?{masked_query(found[1])}", _USER.sub("***@", text))
    return _BEARER.sub(r"\1...", _SECRET_PARAMETER.sub(r"\1...", text))


def masked_host(host: str) -> str:
    """Hide the user of a ``Host`` field, which RFC 9110 section 7.2 has no place for."""
    _, at, name = host.rpartition("@")
    return f"***@{name}" if at else host
