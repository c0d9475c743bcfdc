"""Byte protocols over WebSocket, for clients and servers.

An ordinary Twisted protocol (the inner protocol) writes bytes, which are sent as messages, and
receives the bytes of messages. The boundaries of messages have no meaning. A
:class:`txhixie.stream.Coding` converts bytes to messages; the inner protocol's transport is in
:mod:`txhixie.byte_streams.transport`.

A WebSocket connection cannot be half closed. When the peer closes without an error, both
methods of a protocol with ``IHalfCloseableProtocol`` are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    INegotiated,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from ..dialing.stage import abandonable
from ..interfaces import (
    Accepted,
    CleanClose,
    Connector,
    WebSocketProtocol,
    WebSocketTransport,
    judged,
)
from ..sansio.arguments import whole_text
from ..sansio.errors import FrameError
from ..sansio.handshake.offer import Offer
from ..server.subprotocols import SubprotocolChoice, chosen_subprotocol, settled_choice
from .coding import CODINGS, Coding
from .transport import SecureStreamTransport, StreamTransport

CodingChoice: TypeAlias = "str | Callable[[], Coding]"
"""Name in :data:`txhixie.byte_streams.coding.CODINGS`, or a function that returns a coding."""

_Build: TypeAlias = Callable[[IAddress], IProtocol | None]


class Stream:
    """
    Application of one connection that carries an inner protocol.

    :ivar protocol: the inner protocol; ``None`` before it was built.
    """

    protocol: IProtocol | None = None
    _transport: StreamTransport | None = None

    def __init__(self, build: _Build, coding: CodingChoice = "binary") -> None:
        """
        Create an application.

        :param build: returns the inner protocol for a peer's address, or ``None`` to refuse the
            connection.
        :param coding: the coding of the messages.
        """
        self._build = build
        self._coding = makerOf(coding)()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Build the inner protocol now, so that its factory can refuse during the handshake."""
        self._conversation = transport
        self.protocol = self._build(transport.getPeer())
        if self.protocol is None:
            transport.loseConnection()

    def negotiationFinished(self) -> None:
        """Connect the inner protocol to its transport."""
        assert self.protocol is not None
        secure = INegotiated.providedBy(self._conversation.transport)
        make = SecureStreamTransport if secure else StreamTransport
        self._transport = make(self._conversation, self._coding)
        self.protocol.makeConnection(self._transport)

    def textMessageReceived(self, message: str) -> None:
        """Deliver the bytes of a message, or fail the connection if the coding does not fit."""
        self._receive(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Deliver the bytes of a message, or fail the connection if the coding does not fit."""
        self._receive(data)

    def _receive(self, message: str | bytes) -> None:
        assert self.protocol is not None
        assert self._transport is not None
        try:
            data = self._coding.decode(message)
        except FrameError as error:
            self._transport.fail(error.code, str(error))
        else:
            if data:
                self.protocol.dataReceived(data)

    def pongReceived(self, payload: bytes) -> None:
        """Ignore a pong: a byte stream has no pongs."""

    def connectionLost(self, reason: Failure) -> None:
        """
        Tell the inner protocol that the connection has ended.

        The reason is a :class:`txhixie.CleanClose` (a ``ConnectionDone``) when both sides closed
        without an error, and otherwise an :class:`txhixie.AbruptClose` (a ``ConnectionLost``).
        """
        protocol, transport = self.protocol, self._transport
        if protocol is None or transport is None:
            return
        transport.disconnecting = True
        close = judged(cast(CleanClose, reason.value))
        if (
            close.orderly
            and close.ended.who == "peer"
            and IHalfCloseableProtocol.providedBy(protocol)
        ):
            protocol.writeConnectionLost()
            protocol.readConnectionLost()
        protocol.connectionLost(Failure(close))


class StreamApplications:
    """
    Applications of a server that carry the protocols of a Twisted factory.

    Pass an object to :class:`txhixie.HixieServerFactory`, which also starts and stops the factory.
    """

    def __init__(
        self,
        factory: IProtocolFactory,
        *,
        subprotocols: SubprotocolChoice | None = None,
        coding: CodingChoice = "binary",
    ) -> None:
        """
        Create the applications.

        :param factory: factory of the inner protocols, as for a TCP port.
        :param subprotocols: subprotocols to choose from, as for
            :class:`txhixie.HixieServerFactory`; ``None`` leaves the choice to that factory.
        :param coding: coding of the messages: ``"binary"``, ``"base64"``, ``"lines"``,
            ``"crlf-lines"``, ``"text"``, or a function that returns the
            :class:`txhixie.stream.Coding` of a connection.
        :raises ValueError: for an unknown coding.
        :raises TypeError: for invalid subprotocols, such as one string.
        """
        self._factory = factory
        self._subprotocols = None if subprotocols is None else settled_choice(subprotocols)
        self._coding = makerOf(coding)

    def doStart(self) -> None:
        """Start the factory: a port listens."""
        self._factory.doStart()

    def doStop(self) -> None:
        """Stop the factory: the port has stopped listening."""
        self._factory.doStop()

    def buildProtocol(self, offer: Offer) -> WebSocketProtocol | Accepted:
        """Accept an offer; the inner protocol is built when the peer's address is known."""
        stream = Stream(self._factory.buildProtocol, self._coding)
        if self._subprotocols is None:
            return stream
        return Accepted(stream, chosen_subprotocol(self._subprotocols, offer))


@implementer(IStreamClientEndpoint)
class StreamClientEndpoint:
    """Client endpoint that connects ordinary Twisted protocols over WebSocket."""

    def __init__(self, connector: Connector, coding: CodingChoice = "binary") -> None:
        """
        Create an endpoint.

        :param connector: object with ``connectApplication(application)``, such as a
            ``WebSocketClientEndpoint``.
        :param coding: coding of the messages, as for :class:`StreamApplications`.
        :raises ValueError: for an unknown coding.
        """
        self._connector = connector
        self._coding = makerOf(coding)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect a protocol of a factory.

        :return: fires with the inner protocol once it is connected. Fails with the error of
            connecting or of the handshake, with the exception of the factory, or with
            ``NoProtocol`` when the factory returned ``None``. Cancelling it ends the attempt; it
            then fails with ``twisted.internet.error.ConnectingCancelledError``.
        """
        connecting = _ConnectingStream(protocolFactory, self._coding)
        protocolFactory.doStart()
        deferred = self._connector.connectApplication(connecting)
        opened = deferred.addCallbacks(connecting.connected, connecting.failed)
        return abandonable(opened, None, "handshake")


class _ConnectingStream(Stream):
    """Application of a client connection, which starts and stops the factory of its protocol."""

    _failure: Failure | None = None
    _isOpen = False

    def __init__(self, factory: IProtocolFactory, coding: CodingChoice) -> None:
        super().__init__(self._ask, coding)
        self._factory = factory

    def _ask(self, address: IAddress) -> IProtocol | None:
        """Build the inner protocol; an error fails the Deferred of ``connect`` and is not
        logged."""
        try:
            protocol = self._factory.buildProtocol(address)
        except Exception:
            self._failure = Failure()
            return None
        if protocol is None:
            self._failure = Failure(NoProtocol())
        return protocol

    def connected(self, opened: object) -> IProtocol:
        assert self.protocol is not None
        return self.protocol

    def failed(self, failure: Failure) -> Failure:
        if not self._isOpen:
            self._factory.doStop()
        return self._failure or failure

    def negotiationFinished(self) -> None:
        self._isOpen = True
        super().negotiationFinished()

    def connectionLost(self, reason: Failure) -> None:
        try:
            super().connectionLost(reason)
        finally:
            if self._isOpen:
                self._factory.doStop()


def makerOf(coding: CodingChoice) -> Callable[[], Coding]:
    """
    Return the function that creates the coding of a connection.

    :raises ValueError: for an unknown name.
    """
    if callable(coding):
        return coding
    if whole_text("coding", coding) not in CODINGS:
        raise ValueError(f"coding: expected one of {', '.join(CODINGS)}, not {coding!r}")
    return CODINGS[coding]
