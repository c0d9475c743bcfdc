"""Mending of requests that deviate from their dialect in a known way: the quirks of requests.

A request is read strictly first. Only a request that fails is mended, and then read again by the
same strict rules. Requests without a deviation cost nothing here, and everything that is let in
has passed the same checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from ..errors import MalformedHead
from ..http.head import TOKEN, Head, text
from ..http.parameters import read_list
from ..quirks import Fault
from .hybi import is_key

ABSENT_HOST: Final = "absent.invalid"
"""Host with which a request without Host is read: a name that no server has (RFC 2606 section 2).
The offer of such a request has an empty host."""

NO_CONNECTION: Final = (
    "Upgrade without 'Connection: Upgrade' (RFC 6455 section 4.1): did a proxy drop it?"
)
"""Error for a handshake without the token ``upgrade`` in ``Connection``."""

_LINE: Final = re.compile(rb"(GET) ([!-~]*) (HTTP/1\.1)")
_KEY: Final = re.compile(rb"[!-~]{1,128}")
_A_KEY: Final = b"AAAAAAAAAAAAAAAAAAAAAA=="
"""A valid key, in the place of one that is let in. Its hash is never sent."""

_SLASHES: Final = re.compile(r"//+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DOTS: Final = re.compile(r"(?:[^?]*/)?\.\.?(?:[/?]|\Z)")
"""A path with a segment . or .., for which no route is found."""

_BETWEEN: Final = re.compile(rb"[ \t,;]+")
"""Separators of subprotocols, as devices write them."""


class Mended(NamedTuple):
    """
    A request after its mending.

    :ivar head: the head, without the deviations.
    :ivar faults: the deviations, in the order of the table of quirks.
    :ivar key: the ``Sec-WebSocket-Key`` as the client has sent it, if it was replaced: the response
        has the hash of this one.
    """

    head: Head
    faults: tuple[Fault, ...]
    key: bytes | None


class _Lines:
    """The lines of a head, in which the deviations are mended one after another."""

    def __init__(self, head: Head) -> None:
        self.start, *self.fields = head[:-4].split(b"\r\n")
        self.key: bytes | None = None

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields with a name, in lower case."""
        return [
            line.partition(b":")[2].strip(b" \t") for line in self.fields if _name(line) == name
        ]

    def replace(self, name: bytes, value: bytes | None) -> None:
        """Replace all fields of a name by one with this value, or by none."""
        kept = [line for line in self.fields if _name(line) != name]
        self.fields = kept if value is None else [*kept, name + b": " + value]

    def head(self) -> Head:
        """Return the head of these lines."""
        return Head(b"\r\n".join([self.start, *self.fields, b"", b""]))


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def mend(head: Head, *, direct: bool) -> Mended | None:
    """
    Mend the deviations of a request that its dialect does not allow.

    :param head: the head of the request, which has failed the strict reading.
    :param direct: whether no reverse proxy has read the request. Otherwise its host and its target
        are not mended: the reverse proxy may have read others.
    :return: the request after its mending; ``None`` if there is nothing to mend.
    """
    lines = _Lines(head)
    faults = [
        Fault(word, found)
        for word, step in _STEPS
        if (direct or word not in _DIRECT) and (found := step(lines)) is not None
    ]
    return Mended(lines.head(), tuple(faults), lines.key) if faults else None


def _mend_connection(lines: _Lines) -> str | None:
    if not _has_token(lines, b"upgrade", b"websocket"):
        return None
    if _has_token(lines, b"connection", b"upgrade"):
        return None
    lines.fields.append(b"Connection: Upgrade")
    return NO_CONNECTION


def _has_token(lines: _Lines, name: bytes, token: bytes) -> bool:
    members = b",".join(lines.values(name)).lower().split(b",")
    return token in [member.strip(b" \t") for member in members]


def _mend_key(lines: _Lines) -> str | None:
    keys = lines.values(b"sec-websocket-key")
    strict = lines.values(b"sec-websocket-version") == [b"13"]
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]) or is_key(keys[0], strict):
        return None
    lines.key = keys[0]
    lines.replace(b"sec-websocket-key", _A_KEY)
    return "Sec-WebSocket-Key is not 16 bytes in base64 (RFC 6455 section 4.1)"


def _mend_host(lines: _Lines) -> str | None:
    hosts = lines.values(b"host")
    if hosts in ([], [b""]) and not any(_name(line).endswith(b"origin") for line in lines.fields):
        lines.replace(b"host", ABSENT_HOST.encode("ascii"))
        return f"{'empty' if hosts else 'missing'} Host (RFC 9112 section 3.2)"
    if len(hosts) < 2 or len(set(hosts)) > 1:
        return None
    lines.fields = list(dict.fromkeys(lines.fields))
    if len(lines.values(b"host")) > 1:  # the same value, but not the same to the byte
        return None
    return "the same Host more than once (RFC 9112 section 3.2)"


def _mend_target(lines: _Lines) -> str | None:
    match = _LINE.fullmatch(lines.start)
    if match is None:
        return None
    target = text(match[2])
    if target.startswith("/") or _SCHEME.match(target) or _DOTS.match(target):
        return None
    path = normal_target("/" + target)
    lines.start = b"GET %b HTTP/1.1" % path.encode("ascii")
    return "request target without a slash at its beginning (RFC 9112 section 3.2.1)"


def normal_target(target: str, host: str = "") -> str:
    """
    Return a target with single slashes in its path, and without the server's own authority.

    :param target: path and query, beginning with a slash. Devices also send ``//HOST:PORT/path``.
    :param host: the ``Host`` of the request.
    """
    path, mark, query = target.partition("?")
    if host and re.match(rf"//{re.escape(host)}(?:/|\Z)", path, re.IGNORECASE):
        path = path[2 + len(host) :] or "/"
    return _SLASHES.sub("/", path) + mark + query


def _mend_lists(lines: _Lines) -> str | None:
    found = None
    subprotocols = b",".join(lines.values(b"sec-websocket-protocol"))
    if any(member.strip(b" \t").translate(None, TOKEN) for member in subprotocols.split(b",")):
        members = [name.strip(b"\"'") for name in _BETWEEN.split(subprotocols)]
        tokens = [name for name in members if name and not name.translate(None, TOKEN)]
        lines.replace(b"sec-websocket-protocol", b", ".join(tokens) or None)
        found = "invalid list in Sec-WebSocket-Protocol (RFC 6455 section 4.1)"
    extensions = [text(value) for value in lines.values(b"sec-websocket-extensions")]
    try:
        read_list(extensions)
    except MalformedHead:
        lines.replace(b"sec-websocket-extensions", None)
        found = "invalid list in Sec-WebSocket-Extensions (RFC 6455 section 9.1)"
    return found


_STEPS: Final[tuple[tuple[str, Callable[[_Lines], str | None]], ...]] = (
    ("upgrade", _mend_connection),
    ("key", _mend_key),
    ("host", _mend_host),
    ("target", _mend_target),
    ("lists", _mend_lists),
)

_DIRECT: Final = frozenset({"host", "target"})
"""Quirks that are only for clients without a reverse proxy between them and the server."""
