"""What proxies say of the client they stand for: ``Forwarded`` (RFC 7239) and ``X-Forwarded-*``.

Anybody can write these fields, and most proxies add to what a client has written. So they are read
only when a peer that is trusted sends them, from the end to which the nearest one adds, and as far
as those named there are trusted too. A proxy that writes the one kind passes on what a client wrote
of the other: where both are there they have to agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..errors import MalformedHead
from ..types import Headers
from .head import Fields, read_authority, text
from .trusted import TrustedNetworks, read_address

FORWARDED_FIELDS: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}
)
"""The fields' names, in lower case: whoever writes them leaves out those that came."""

_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}
_NODE: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+)(?::(\d{1,5}))?|(.*)", re.DOTALL
)
_PAIR: Final = re.compile(
    r"[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    r'(?:"((?:[^"\\]|\\.)*)"|([^";,\s]+))[ \t]*)?([;,]|\Z)'
)
"""``[ token "=" ( token / quoted-string ) ]``, and what ends it. An address with a port ought to be
quoted, and is not always."""


class Forwarded(NamedTuple):
    """
    A client, as proxies tell of it.

    :ivar client: its address; ``None`` where nobody says.
    :ivar port: 0 where nobody says.
    :ivar secure: whether it came by TLS; ``None`` where nobody says.
    :ivar host: the ``Host`` it asked for; ``None`` where nobody says.
    """

    client: str | None = None
    port: int = 0
    secure: bool | None = None
    host: str | None = None


def read_forwarded(fields: Fields, trusted: TrustedNetworks) -> Forwarded:
    """
    What the fields of a request tell. Ask only for a peer that is trusted.

    :raises MalformedHead: when they cannot be read, or contradict each other.
    """
    several, one = _read_several(fields, trusted), _read_one(fields, trusted)
    for name in ("client", "secure", "host"):
        said = {getattr(several, name), getattr(one, name)} - {None}
        if len(said) > 1:
            raise MalformedHead("Forwarded and X-Forwarded-* contradict each other")
    return Forwarded(
        several.client or one.client,
        several.port or one.port,
        one.secure if several.secure is None else several.secure,
        several.host or one.host,
    )


def write_forwarded(client: str | None, secure: bool, host: str) -> Headers:
    """
    The fields that tell a server of a client. They say what we know and nothing that came in.

    :param client: its address; ``None`` if it has none.
    :param secure: whether it came by TLS, to us or to whoever stands before us.
    :param host: the ``Host`` it asked for.
    """
    proto = "https" if secure else "http"
    node = "unknown" if client is None else f'"[{client}]"' if ":" in client else client
    pairs = [] if client is None else [("X-Forwarded-For", client)]
    pairs += [("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host)]
    pairs += [("Forwarded", f'for={node};host="{host}";proto={proto}')]
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in pairs)


def _read_several(fields: Fields, trusted: TrustedNetworks) -> Forwarded:
    """``X-Forwarded-*``: lists side by side, each of which a proxy may leave as it came."""
    index, address, port = _client(_list(fields, b"x-forwarded-for"), trusted)
    proto = _beside(_list(fields, b"x-forwarded-proto"), index)
    host = _beside(_list(fields, b"x-forwarded-host"), index)
    return Forwarded(address, port, _read_proto(proto), _read_host(host))


def _read_one(fields: Fields, trusted: TrustedNetworks) -> Forwarded:
    """``Forwarded``: one list, of elements with parameters."""
    elements = _elements(",".join(text(value) for value in fields.stripped(b"forwarded")))
    if not elements:
        return Forwarded()
    index, address, port = _client([element.get("for", "") for element in elements], trusted)
    element = elements[index]
    return Forwarded(
        address, port, _read_proto(element.get("proto")), _read_host(element.get("host"))
    )


def _client(nodes: Sequence[str], trusted: TrustedNetworks) -> tuple[int, str | None, int]:
    """
    Which of them is the client, the first from the end that is nobody we trust: its index, counted
    from the end, its address and port. What stands before it is the client's own, and may be long.
    """
    index, address, port = -1, None, 0
    for index in range(-1, -len(nodes) - 1, -1):
        address, port = _read_node(nodes[index])
        if address is None or not trusted.has(address):
            break
    return index, address, port


def _beside(values: Sequence[str], index: int) -> str | None:
    """The value that was written with the client's: a shorter list was passed on as it came."""
    return values[max(index, -len(values))] if values else None


def _list(fields: Fields, name: bytes) -> list[str]:
    members = ",".join(text(value) for value in fields.stripped(name)).split(",")
    return [member.strip() for member in members if member.strip()]


def _elements(value: str) -> list[dict[str, str]]:
    """
    The elements of a ``Forwarded`` field: pairs, in lower case and unquoted.

    :raises MalformedHead: when it is none.
    """
    elements: list[dict[str, str]] = []
    element: dict[str, str] = {}
    position = 0
    while position < len(value):
        match = _PAIR.match(value, position)
        if match is None:
            raise MalformedHead("invalid Forwarded")
        name, quoted, plain, separator = match.groups()
        if name is not None:
            if name.lower() in element:
                raise MalformedHead("duplicate parameter in Forwarded")
            element[name.lower()] = plain or re.sub(r"\\(.)", r"\1", quoted or "")
        if separator != ";" and element:
            elements.append(element)
            element = {}
        position = match.end()
    return elements


def _read_node(node: str) -> tuple[str | None, int]:
    """
    Address and port; no address for ``unknown``, ``_hidden`` and whatever else is none: nor with a
    zone, which is any text at all, and would be repeated to a backend.
    """
    address = None if "%" in node else read_address(node)
    if address is not None:
        return str(address), 0
    match = _NODE.fullmatch(node)
    assert match is not None
    address = read_address(match[1] or match[3] or "")
    port = int(match[2] or match[4] or 0)
    return (None, 0) if address is None else (str(address), port if port < 65536 else 0)


def _read_proto(proto: str | None) -> bool | None:
    if proto is None:
        return None
    if (secure := _SECURE.get(proto.lower())) is None:
        raise MalformedHead("invalid forwarded scheme: expected http, https, ws or wss")
    return secure


def _read_host(host: str | None) -> str | None:
    return None if host is None else read_authority(host.encode("latin-1"))
