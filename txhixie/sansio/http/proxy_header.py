"""Reader of the PROXY protocol header (HAProxy, proxy-protocol.txt, versions 1 and 2).

A reverse proxy sends the header once, at the beginning of a connection. It has the addresses of the
client's connection to the reverse proxy.

::

    v1 = "PROXY " ( ( "TCP4 " / "TCP6 " ) source " " destination " " port " " port
                    / "UNKNOWN" [ " " anything ] ) CRLF
    v2 = signature(12) version-and-command(1) family-and-transport(1) length(2) addresses TLVs
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple, TypeAlias

from ..errors import MalformedHead

ConnectionEnd: TypeAlias = tuple[str, int] | bytes
"""Address of one end of a connection: IP address and port, or the path of a UNIX socket."""

_V1: Final = b"PROXY "
_V1_MOST: Final = 107
"""Most bytes of a v1 header, with its CRLF (section 2.1)."""

_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED: Final = 16
_LOCAL: Final = 0x20
_PROXY: Final = 0x21

_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: .*)?|(TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5}))"
)
_FAMILIES: Final = {0x11: (IPv4Address, 4), 0x21: (IPv6Address, 16)}
_UNIX: Final = 0x31
_UNIX_PATH: Final = 108


class ProxyHeader(NamedTuple):
    """
    Content of a PROXY protocol header.

    :ivar source: address of the client; ``None`` when the header has no addresses, since the
        reverse proxy made the connection itself (a health check) or does not know its kind. Then
        the addresses of the TCP connection are used.
    :ivar destination: address to which the client connected; ``None`` as for ``source``.
    """

    source: ConnectionEnd | None = None
    destination: ConnectionEnd | None = None


class ProxyHeaderReader:
    """
    Reader of one header, which may be received in pieces of any size.

    At most 64 KiB are kept: the largest length of version 2.
    """

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def read(self, data: bytes) -> tuple[ProxyHeader, bytes] | None:
        """
        Receive bytes; return the header and the bytes after it, once the header is complete.

        :raises MalformedHead: for an invalid header, as soon as its first wrong byte is received.
        """
        held = self._data
        held += data
        if held[: len(_V1)] == _V1[: len(held)]:
            size = self._size_of_line()
        elif held[: len(_V2)] == _V2[: len(held)]:
            size = self._size_of_block()
        else:
            raise MalformedHead("expected a PROXY protocol header")
        if size is None or len(held) < size:
            return None
        self._data = bytearray()
        header = bytes(held[:size])
        read = _read_line if header.startswith(_V1) else _read_block
        return read(header), bytes(held[size:])

    def _size_of_line(self) -> int | None:
        end = self._data.find(b"\r\n", 0, _V1_MOST)
        if end < 0 and len(self._data) >= _V1_MOST:
            raise MalformedHead("PROXY protocol v1 header longer than 107 bytes")
        return None if end < 0 else end + 2

    def _size_of_block(self) -> int | None:
        if len(self._data) < _V2_FIXED:
            return None
        if self._data[12] not in (_LOCAL, _PROXY):
            raise MalformedHead(
                "invalid PROXY protocol v2 header: expected the command LOCAL or PROXY"
            )
        return _V2_FIXED + int.from_bytes(self._data[14:16])


def _read_line(line: bytes) -> ProxyHeader:
    match = _LINE.fullmatch(line[:-2])
    if match is None:
        raise MalformedHead("invalid PROXY protocol v1 header")
    family, source, destination, *ports = match.groups()
    if family is None:
        return ProxyHeader()
    kind = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        ends = [str(kind(address.decode("ascii"))) for address in (source, destination)]
    except ValueError:
        raise MalformedHead("invalid address in a PROXY protocol v1 header") from None
    if any(port != b"%d" % int(port) or int(port) > 65535 for port in ports):
        raise MalformedHead("invalid port in a PROXY protocol v1 header")
    return ProxyHeader((ends[0], int(ports[0])), (ends[1], int(ports[1])))


def _read_block(block: bytes) -> ProxyHeader:
    """Read a v2 header; TLVs after the addresses are ignored."""
    family, addresses = block[13], block[_V2_FIXED:]
    if block[12] == _LOCAL:
        return ProxyHeader()
    if family in _FAMILIES:
        kind, size = _FAMILIES[family]
        if len(addresses) < 2 * size + 4:
            raise MalformedHead("PROXY protocol v2 header too short for its addresses")
        source, destination = addresses[:size], addresses[size : 2 * size]
        ports = addresses[2 * size : 2 * size + 4]
        return ProxyHeader(
            (str(kind(source)), int.from_bytes(ports[:2])),
            (str(kind(destination)), int.from_bytes(ports[2:])),
        )
    if family == _UNIX:
        if len(addresses) < 2 * _UNIX_PATH:
            raise MalformedHead("PROXY protocol v2 header too short for its addresses")
        paths = addresses[:_UNIX_PATH], addresses[_UNIX_PATH : 2 * _UNIX_PATH]
        return ProxyHeader(paths[0].rstrip(b"\0"), paths[1].rstrip(b"\0"))
    return ProxyHeader()  # UNSPEC, or a transport that is not a stream
