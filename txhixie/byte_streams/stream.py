"""An ordinary byte protocol inside messages, on either side: what it writes leaves as messages, and
what comes in them is its data.

Where one message ends means nothing here; what a message looks like is a
:class:`txhixie.stream.Coding`'s affair, and the way out is
:mod:`txhixie.byte_streams.transport`'s.

A conversation cannot be half closed, but it can end whole or broken: a protocol that provides
``IHalfCloseableProtocol`` is told of both its halves when the peer has closed in good order.
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
from ..server.protocol import SubprotocolChoice, chosenSubprotocol, settledChoice
from .coding import CODINGS, Coding
from .transport import SecureStreamTransport, StreamTransport

CodingChoice: TypeAlias = "str | Callable[[], Coding]"
"""A name in :data:`txhixie.byte_streams.coding.CODINGS`, or what makes a connection's coding."""

_Build: TypeAlias = Callable[[IAddress], IProtocol | None]


class Stream:
    """
    The application: one conversation that carries an inner protocol.

    :ivar protocol: the inner protocol; ``None`` before the conversation has one.
    """

    protocol: IProtocol | None = None
    _transport: StreamTransport | None = None

    def __init__(self, build: _Build, coding: CodingChoice = "binary") -> None:
        """
        :param build: makes the inner protocol for a peer's address; ``None`` is a no, and ends the
            connection.
        :param coding: how its bytes stand in messages.
        """
        self._build = build
        self._coding = makerOf(coding)()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Make the inner protocol, so that what its factory refuses is refused in the handshake."""
        self._conversation = transport
        self.protocol = self._build(transport.getPeer())
        if self.protocol is None:
            transport.loseConnection()

    def negotiationFinished(self) -> None:
        """The inner protocol is connected."""
        assert self.protocol is not None
        secure = INegotiated.providedBy(self._conversation.transport)
        make = SecureStreamTransport if secure else StreamTransport
        self._transport = make(self._conversation, self._coding)
        self.protocol.makeConnection(self._transport)

    def textMessageReceived(self, message: str) -> None:
        """Some of its data, or a peer that agrees on something else."""
        self._receive(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Some of its data, or a peer that agrees on something else."""
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
        """A stream has none."""

    def connectionLost(self, reason: Failure) -> None:
        """
        The inner protocol hears of a ``ConnectionDone`` when both sides have said that it is over
        and neither that something went wrong, and else of a ``ConnectionLost``: a
        :class:`txhixie.CleanClose` or an :class:`txhixie.AbruptClose`.
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
    Serves a factory's protocols over WebSocket; for
    :class:`txhixie.HixieServerFactory`, which starts and stops it.
    """

    def __init__(
        self,
        factory: IProtocolFactory,
        *,
        subprotocols: SubprotocolChoice | None = None,
        coding: CodingChoice = "binary",
    ) -> None:
        """
        :param factory: of ordinary protocols, as for a TCP port.
        :param subprotocols: which one to choose, as for :class:`txhixie.HixieServerFactory`;
            ``None`` leaves the choice to that factory.
        :param coding: how bytes stand in messages: ``"binary"``, ``"base64"``, ``"lines"``,
            ``"crlf-lines"``, or what makes a connection's
            :class:`txhixie.stream.Coding`.
        :raises ValueError: for a coding there is not.
        :raises TypeError: for subprotocols that are no choice, such as one string.
        """
        self._factory = factory
        self._subprotocols = None if subprotocols is None else settledChoice(subprotocols)
        self._coding = makerOf(coding)

    def doStart(self) -> None:
        """A port listens."""
        self._factory.doStart()

    def doStop(self) -> None:
        """It has stopped listening."""
        self._factory.doStop()

    def buildProtocol(self, offer: Offer) -> WebSocketProtocol | Accepted:
        """Carry one more; the factory is asked when the peer's address is known."""
        stream = Stream(self._factory.buildProtocol, self._coding)
        if self._subprotocols is None:
            return stream
        return Accepted(stream, chosenSubprotocol(self._subprotocols, offer))


@implementer(IStreamClientEndpoint)
class StreamClientEndpoint:
    """Connects ordinary protocols through WebSocket: for whoever takes an endpoint."""

    def __init__(self, connector: Connector, coding: CodingChoice = "binary") -> None:
        """
        :param connector: has ``connectApplication(application)``.
        :param coding: how bytes stand in messages, as for :class:`StreamApplications`.
        :raises ValueError: for a coding there is not.
        """
        self._connector = connector
        self._coding = makerOf(coding)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        :return: fires with the inner protocol once the conversation is open and the protocol is
            connected. Fails with whatever the conversation's opening fails with, with what the
            factory raised, or with ``NoProtocol`` when it made none. Cancelling it gives up, and
            it fails with ``twisted.internet.error.ConnectingCancelledError``.
        """
        connecting = _Connecting(protocolFactory, self._coding)
        protocolFactory.doStart()
        deferred = self._connector.connectApplication(connecting)
        opened = deferred.addCallbacks(connecting.connected, connecting.failed)
        return abandonable(opened, None, "handshake")


class _Connecting(Stream):
    """A stream on whose inner protocol somebody waits, and whose factory is told of its end."""

    _failure: Failure | None = None
    _isOpen = False

    def __init__(self, factory: IProtocolFactory, coding: CodingChoice) -> None:
        super().__init__(self._ask, coding)
        self._factory = factory

    def _ask(self, address: IAddress) -> IProtocol | None:
        """What goes wrong here is the news of whoever waits, not the log's."""
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
    What makes each connection's coding.

    :raises ValueError: for a name that is none.
    """
    if callable(coding):
        return coding
    if whole_text("coding", coding) not in CODINGS:
        raise ValueError(f"there is no coding {coding!r}, but {', '.join(CODINGS)}")
    return CODINGS[coding]
