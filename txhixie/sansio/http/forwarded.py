"""Forwarded fields of reverse proxies: ``Forwarded`` (RFC 7239) and ``X-Forwarded-*``.

Any client can send these fields, and most reverse proxies append to the fields of a client. So the
fields are read only when the peer is a trusted reverse proxy. They are read from their end, to
which the nearest reverse proxy appends, as far as the addresses there are trusted too. A reverse
proxy that writes one kind of field passes on a client's fields of the other kind; so where a
request has both kinds, they have to agree.
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
    {
        *(b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"),
        b"x-forwarded-prefix",
    }
)
"""Names of the forwarded fields, in lower case: a gateway that writes them removes received
ones."""

_SECURE: Final = {"https": True, "wss": True, "http": False, "ws": False}
_NODE: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+)(?::(\d{1,5}))?|(.*)", re.DOTALL
)
_PAIR: Final = re.compile(
    r"[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    r'(?:"((?:[^"\\]|\\.)*)"|([^";,\s]+))[ \t]*)?([;,]|\Z)'
)
"""A pair ``[ token "=" ( token / quoted-string ) ]``, and the character after it. An address with a
port should be quoted, but some proxies do not quote it."""


class Forwarded(NamedTuple):
    """
    Client data that reverse proxies have forwarded.

    :ivar client: address of the client; ``None`` if it was not forwarded.
    :ivar port: port of the client; 0 if it was not forwarded.
    :ivar secure: whether the client uses TLS; ``None`` if it was not forwarded.
    :ivar host: the ``Host`` of the client's request; ``None`` if it was not forwarded.
    """

    client: str | None = None
    port: int = 0
    secure: bool | None = None
    host: str | None = None


def read_forwarded(fields: Fields, trusted: TrustedNetworks) -> Forwarded:
    """
    Read the forwarded fields of a request from a trusted reverse proxy.

    :raises MalformedHead: for invalid fields, and for fields that contradict each other.
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


def write_forwarded(client: str | None, secure: bool, host: str, prefix: str = "") -> Headers:
    """
    Return the forwarded fields for a request to a backend, without those of the client's request.

    :param client: address of the client; ``None`` without an address.
    :param secure: whether the client uses TLS, to this server or to a reverse proxy in front of it.
    :param host: the ``Host`` of the client's request; empty for a request without it.
    :param prefix: the part of the client's path that the request to the backend does not have:
        ``X-Forwarded-Prefix``, from which a backend makes the links to its own pages.
    """
    proto = "https" if secure else "http"
    node = "unknown" if client is None else f'"[{client}]"' if ":" in client else client
    pairs = [] if client is None else [("X-Forwarded-For", client)]
    pairs += [("X-Forwarded-Proto", proto)]
    pairs += [("X-Forwarded-Host", host)] if host else []
    pairs += [("X-Forwarded-Prefix", prefix)] if prefix else []
    named = f'host="{host}";' if host else ""
    pairs += [("Forwarded", f"for={node};{named}proto={proto}")]
    return tuple((name.encode("ascii"), value.encode("ascii")) for name, value in pairs)


def _read_several(fields: Fields, trusted: TrustedNetworks) -> Forwarded:
    """Read ``X-Forwarded-*``: parallel lists, each of which a reverse proxy may leave unchanged."""
    index, address, port = _client(_list(fields, b"x-forwarded-for"), trusted)
    proto = _beside(_list(fields, b"x-forwarded-proto"), index)
    host = _beside(_list(fields, b"x-forwarded-host"), index)
    return Forwarded(address, port, _read_proto(proto), _read_host(host))


def _read_one(fields: Fields, trusted: TrustedNetworks) -> Forwarded:
    """Read ``Forwarded``: one list of elements with parameters."""
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
    Find the client in a list of nodes: the first one from the end that is not trusted.

    The nodes before it were sent by the client itself, and may be many.

    :return: the index of the client, counted from the end, its address and its port.
    """
    index, address, port = -1, None, 0
    for index in range(-1, -len(nodes) - 1, -1):
        address, port = _read_node(nodes[index])
        if address is None or not trusted.has(address):
            break
    return index, address, port


def _beside(values: Sequence[str], index: int) -> str | None:
    """Return the value at the client's index, or the first one: a shorter list was not appended
    to."""
    return values[max(index, -len(values))] if values else None


def _list(fields: Fields, name: bytes) -> list[str]:
    members = ",".join(text(value) for value in fields.stripped(name)).split(",")
    return [member.strip() for member in members if member.strip()]


def _elements(value: str) -> list[dict[str, str]]:
    """
    Read the elements of a ``Forwarded`` field: names in lower case, values without quotes.

    :raises MalformedHead: for an invalid field.
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
    Read the address and the port of a node.

    The address is ``None`` for ``unknown``, ``_hidden`` and other text, and for an address with a
    zone: a zone can be any text, which would be sent to a backend.
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
