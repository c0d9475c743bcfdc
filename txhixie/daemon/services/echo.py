"""The echo service: sends each message back, text as text and binary as binary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ...interfaces import Accepted, WebSocketTransport
from ...sansio.errors import UnsupportedByDialect
from ...sansio.handshake.offer import Offer
from ...sansio.wire.frame import CloseCode
from .service import Context


@implementer(IPushProducer)
class Echo:
    """
    Application that sends each message back.

    While the write buffer is full, no data is read from the peer: a peer that sends and does not
    read costs one transport's buffer at most.
    """

    __slots__ = ("_transport",)

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Register this application as the producer that a full transport pauses."""
        self._transport = transport
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        """Do nothing: the peer sends the first message."""

    def textMessageReceived(self, message: str) -> None:
        """Send a text message back."""
        self._transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Send a binary message back; close with 1003 if the dialect has no binary messages."""
        try:
            self._transport.sendBytesMessage(data)
        except UnsupportedByDialect:
            self._transport.loseConnection(
                CloseCode.UNSUPPORTED_DATA, "binary messages are not supported"
            )

    def pongReceived(self, payload: bytes) -> None:
        """Ignore a pong: this application sends no pings."""

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing: this application keeps no data."""

    def pauseProducing(self) -> None:
        """Stop reading from the peer: the write buffer is full."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the peer again: the write buffer has room."""
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""


class EchoApplications:
    """Server factory of :class:`Echo` applications."""

    def buildProtocol(self, offer: Offer) -> Accepted:
        """Accept each offer on every path, with the first subprotocol that the client offers."""
        return Accepted(Echo(), offer.subprotocols[0] if offer.subprotocols else None)


def buildEcho(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> EchoApplications:
    """
    Make the echo service.

    :raises ValueError: for a description other than ``echo``.
    """
    if description != "echo":
        raise ValueError("expected echo alone, without a text after it")
    return EchoApplications()
