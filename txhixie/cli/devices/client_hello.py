"""The first message of a TLS client, read from a port without TLS (RFC 8446 section 4.1.2)."""

from __future__ import annotations

from typing import Final, NamedTuple

_RECORD: Final = 5
"""Bytes of the header of a TLS record: type, version, length."""

_HELLO: Final = 1
_SERVER_NAME: Final = 0
_SUPPORTED_VERSIONS: Final = 43

_NAMES: Final = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}


class ClientHello(NamedTuple):
    """
    First message of a TLS client.

    :ivar version: the newest version that the client speaks.
    :ivar server_name: the server name (SNI); empty if the client sends none.
    """

    version: str
    server_name: str


class _Reader:
    """Reads numbers and vectors, each of which has to be complete."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, size: int) -> bytes:
        """Return the next bytes; raise IndexError if some are missing."""
        end = self._position + size
        if end > len(self._data):
            raise IndexError
        taken, self._position = self._data[self._position : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        """Return a reader of a vector, after its length of this number of bytes."""
        return _Reader(self.take(self.number(size)))


def read_client_hello(data: bytes) -> ClientHello | None:
    """
    Read a ClientHello.

    :param data: the first bytes of a connection.
    :return: ``None`` for other bytes, and while the message is incomplete.
    """
    try:
        record = _Reader(data)
        if record.number(1) != 0x16:
            return None
        record.take(2)
        message = record.vector(2)
        if message.number(1) != _HELLO:
            return None
        return _read(message.vector(3))
    except IndexError:
        return None


def _read(hello: _Reader) -> ClientHello:
    version, name = hello.number(2), b""
    hello.take(32)
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        hello.vector(size)
    extensions = hello.vector(2) if hello else _Reader(b"")
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME and content:
            names = content.vector(2)
            names.take(1)
            name = names.take(names.number(2))
        elif kind == _SUPPORTED_VERSIONS:
            versions = content.vector(1)
            while versions:
                version = max(version, _known(versions.number(2)))
    return ClientHello(_NAMES.get(version, f"0x{version:04x}"), name.decode("latin-1"))


def _known(version: int) -> int:
    """Return a version, or 0 for the reserved values that browsers mix in (RFC 8701)."""
    return version if version in _NAMES else 0
