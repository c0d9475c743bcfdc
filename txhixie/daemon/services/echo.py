"""The echo service: text comes back as text, binary as binary."""

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
    The application. A peer that sends and does not read is not read from either: what we hold for
    it is bounded by one transport's buffer.
    """

    __slots__ = ("_transport",)

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Be paused while the way back is full."""
        self._transport = transport
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        """There is nothing to say first."""

    def textMessageReceived(self, message: str) -> None:
        """Send it back."""
        self._transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Send it back, if it can be: a peer that sent binary reads it."""
        try:
            self._transport.sendBytesMessage(data)
        except UnsupportedByDialect:
            self._transport.loseConnection(CloseCode.UNSUPPORTED_DATA, "no binary in this dialect")

    def pongReceived(self, payload: bytes) -> None:
        """Nobody asked."""

    def connectionLost(self, reason: Failure) -> None:
        """Nothing is kept."""

    def pauseProducing(self) -> None:
        """The way back is full."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The way back is free."""
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """There is no way back any more."""


class EchoApplications:
    """One :class:`Echo` a connection, on every path, in the subprotocol the client likes best."""

    def buildProtocol(self, offer: Offer) -> Accepted:
        """Serve everybody."""
        return Accepted(Echo(), offer.subprotocols[0] if offer.subprotocols else None)


def buildEcho(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> EchoApplications:
    """
    The row's builder.

    :raises ValueError: when more is said than the name: there is nothing to describe.
    """
    if description != "echo":
        raise ValueError("expected echo, and nothing after it")
    return EchoApplications()
