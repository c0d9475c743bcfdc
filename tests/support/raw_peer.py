"""Peers over real sockets that send and keep bytes, without a WebSocket library."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from support.handshake_bytes import PROOF, accept_for, status_of, whole_request
from support.waiting import until


class Raw(Protocol):
    """
    A peer that is no library: sends bytes, keeps bytes.

    :ivar data: what came.
    :ivar reason: why it ended; ``None`` while it has not.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.pieces: list[bytes] = []
        self.reason: Failure | None = None

    def send(self, data: bytes) -> None:
        """Over TLS, a request's page came by TLS too."""
        if ISSLTransport.providedBy(self.transport):
            data = data.replace(b"Origin: http://example.", b"Origin: https://example.")
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason

    async def reads(self, wanted: bytes) -> None:
        """Wait for bytes."""
        await until(lambda: wanted in self.data or self.reason is not None)
        assert wanted in self.data, f"{wanted!r} did not come, but {bytes(self.data)!r:.500}"

    async def ends(self) -> None:
        """Wait for the other side to end it, in good order."""
        await until(lambda: self.reason is not None)
        assert self.reason is not None
        assert self.reason.check(ConnectionDone), f"not in good order: {self.reason.value!r}"

    async def opens(self, dialect: str, **which: Any) -> None:
        """Shake hands as a client, by the bytes."""
        self.send(whole_request(dialect, **which))
        await self.reads(PROOF if dialect == "hixie-76" else b"\r\n\r\n")
        assert status_of(bytes(self.data)) == 101
        self.data.clear()
        self.pieces.clear()


class RawServer(Raw):
    """
    A server that is no library: shakes hands as a modern one does, and then keeps what comes.

    :ivar more: lines of its answer, and in the same write its first words.
    """

    more: tuple[str, bytes] = ("", b"")
    opened = False

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if not self.opened and b"\r\n\r\n" in self.data:
            self.opened = True
            lines, words = self.more
            self.send(
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept_for(self.data)}\r\n{lines}\r\n".encode("latin-1")
                + words
            )
            self.data.clear()
