"""Redaction of credentials in heads, URLs and subprotocols, for logs, traces and reports.

The value of a header field is redacted by the name of the field. Of the query of a URL only the
names of its parameters are shown: a page cannot set a header field, and sends its token in a
parameter of any name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

_SECRET_FIELD: Final = re.compile(
    r"authorization|cookie|token|secret|passw|credential|assertion|signature|session|jwt|"
    r"api[-_.]?key|x[-_]auth"
)
"""Names of fields with credentials: those of HTTP, and common names of applications' own fields.

The pattern is searched for. Matching a whole name with ``.*`` around these words takes quadratic
time for a name of many such words and a line feed."""

_SECRET_PARAMETER: Final = re.compile(
    r"((?:[&;]|%3f|%26|%3b)"
    r"(?:[\w.-]*(?:token|secret|password|passwd|session(?:_?id)?|signature|api_?key)|auth|key|sig)"
    r"(?:=|%3d))[^&;#?/,\s]+",
    re.IGNORECASE,
)
"""A parameter with a credential outside of a query: ``/a;jsessionid=...``, and the query of a
client that has escaped its question mark, ``/websockify%3Ftoken%3D...``."""

_PARAMETER: Final = re.compile(r"[\w.\[\]-]{1,32}", re.ASCII)
_QUERY: Final = re.compile(r"\?([^\s#\"<>]+)")
_FRAGMENT: Final = re.compile(r"(?<=\S)#[^\s\"<>]*")
_USER: Final = re.compile(r"(?<=://)[^/?#\s@]*@")
_BEARER: Final = re.compile(r"((?:bearer|authorization)\.)[^,\s]+", re.IGNORECASE)
"""A credential in a subprotocol, where a page can send one, as Kubernetes requires."""
_RANDOM: Final = re.compile(
    r"(?=[^,\s]*[0-9])(?=[^,\s]*[A-Z])(?=[^,\s]*[a-z])[\w.~+/=-]{32,}|"
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12,}|[0-9A-F]{32,}",
    re.ASCII,
)
"""A subprotocol that looks like a token, such as a JWT, a UUID or 16 bytes in hexadecimal."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
"""The end of a line of a head. A peer may end lines wrongly, and send a field with a credential
after such an end."""

_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(?=/)")
_OF_URL: Final = frozenset({"sec-websocket-location", "websocket-location", "location", "referer"})
"""Fields with a URL as their value, which may be one of this server."""


def masked_lines(
    head: bytes, masked_target: Callable[[str], str] = lambda target: target
) -> Iterator[str]:
    """
    Yield the redacted lines of a head in ASCII, including the empty line at its end.

    :param head: a complete head of a request or a response.
    :param masked_target: returns a request target without the tokens that are in its path.
    """
    for line in _LINE_END.split(head.decode("latin-1"))[:-2]:
        # A line that begins with white space continues the value of the field above it. For some
        # programs other control characters are white space as well.
        continues = "" < line[:1] <= " "
        yield "..." if continues else ascii(_masked(line, masked_target))[1:-1]
    yield ""


def masked_url(url: str) -> str:
    """
    Redact the query, the user and the fragment of a URL or a request target.

    :param url: any text, as a peer may have sent it.
    """
    place, mark, query = url.partition("?")
    place = _SECRET_PARAMETER.sub(r"\1...", _USER.sub("***@", _FRAGMENT.sub("", place)))
    return place + (mark + masked_query(query) if query else "")


def masked_query(query: str) -> str:
    """
    Redact the values of the parameters of a query.

    A parameter without a value or with an unusual name is redacted as a whole: it may be a token,
    such as base64 with ``=`` at its end.
    """
    return "&".join(map(_masked_parameter, query.partition("#")[0].split("&")))


def _masked_parameter(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{name}=..." if value.strip("=") and _PARAMETER.fullmatch(name) else "..."


def masked_subprotocol(name: str) -> str:
    """Redact a subprotocol that is a credential."""
    masked = _BEARER.sub(r"\1...", name)
    return "..." if _RANDOM.fullmatch(masked) else masked


def _masked(line: str, masked_target: Callable[[str], str]) -> str:
    request, version, number = line.rpartition(" HTTP/")
    method, space, target = request.partition(" ")
    if space and method.isalpha():
        # The target is the whole text up to the version, with blanks and quotation marks.
        return masked_text(f"{method} {_masked_target(target, masked_target)}{version}{number}")
    name, colon, value = line.partition(":")
    if not colon:
        word = name.split(" ")[0]  # perhaps the name of a field without its colon
        return f"{word} ..." if _SECRET_FIELD.search(word.lower()) else masked_text(line)
    return f"{name}:{_masked_value(name.strip().lower(), value, masked_target)}"


def _masked_value(field: str, value: str, masked_target: Callable[[str], str]) -> str:
    """Redact the value of a field; its name is in lower case."""
    if _SECRET_FIELD.search(field):
        return " ..."
    if field in ("sec-websocket-protocol", "websocket-protocol"):
        members = (masked_subprotocol(member.strip()) for member in value.split(","))
        return f" {', '.join(members)}"
    if field in _OF_URL:
        return f" {_masked_target(value.strip(), masked_target)}"
    if field == "host":
        return f" {masked_host(value.strip())}"
    return masked_text(value)


def _masked_target(url: str, masked_target: Callable[[str], str]) -> str:
    """Redact a request target or a URL, with the tokens that are in its path."""
    before = "" if (found := _AUTHORITY.match(url)) is None else found[0]
    return masked_url(before + masked_target(url[len(before) :]))


def masked_text(text: str) -> str:
    """
    Redact the user, the query and the bearer tokens of each URL in a text.

    :param text: the value of a field that is not a URL, such as ``User-Agent``.
    """
    text = _QUERY.sub(lambda found: f"?{masked_query(found[1])}", _USER.sub("***@", text))
    return _BEARER.sub(r"\1...", _SECRET_PARAMETER.sub(r"\1...", text))


def masked_host(host: str) -> str:
    """Redact the user of a ``Host`` field, which RFC 9110 section 7.2 does not allow."""
    _, at, name = host.rpartition("@")
    return f"***@{name}" if at else host
