"""One connection of either side, from its first byte to its last, and the factory of connections.

All bytes come in by ``dataReceived``, for the handshake or for the conversation. The handshake of
each side is in ``server/protocol.py`` and ``client/protocol.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Never, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..interfaces import AbruptClose, CleanClose, WebSocketProtocol
from ..sansio.arguments import close_arguments, instance, no_attribute, scalars, word
from ..sansio.closing import Ended
from ..sansio.conversation import OPEN, Conversation
from ..sansio.dialects import Dialect, named
from ..sansio.errors import NotOpen, UsageError
from ..sansio.extensions.extension import Extension, Transform, chosen_extensions
from ..sansio.handshake.offer import Agreement, Offer
from ..sansio.http.head import NOTHING_ASKED, Asked
from ..sansio.limits import Limits, called
from ..sansio.types import RandomBytes
from ..sansio.wire.frame import BINARY, PING, TEXT, CloseCode
from ..sansio.wire.hybi import sendable
from .addresses import plainAddress
from .awaiting import Awaited
from .keepalive import Keepalive, leaveToKernel, payload
from .log import ConnectionLog, loggedOf
from .output import Output
from .progress import Watched
from .timeouts import Timeouts
from .writer import FULL_READ

BY_APPLICATION, BY_TURN = 1, 2
"""Reasons why the delivery is paused: bits of ``_paused``."""


def ignore(data: bytes) -> None:
    """Drop the bytes: the connection has ended, or is being ended."""


_HINTS: Final = {
    "sendMessage": "sendTextMessage(text) or sendBytesMessage(data)",
    "send": "sendTextMessage(text) or sendBytesMessage(data)",
    "write": "sendTextMessage(text) or sendBytesMessage(data)",
    "writeSequence": "sendTextMessage(text) or sendBytesMessage(data)",
    "sendLine": "sendTextMessage(text)",
    "sendPing": "ping(payload)",
    "sendPong": "pong(payload)",
    "sendClose": "loseConnection(code, reason)",
    "close": "loseConnection(code, reason)",
    "dropConnection": "abortConnection()",
    "registerProducer": "attachProducer(producer)",
    "unregisterProducer": "detachProducer()",
    "peer": "getPeer()",
    "http_headers": "offer.headers",
    "http_request_path": "offer.path",
}
"""Names of Autobahn and of Twisted's transports, with the method to call here."""


class HixieProtocol(Protocol):
    """
    One WebSocket connection. It is the transport of its application
    (:class:`txhixie.WebSocketTransport`).

    A class in another module that inherits from this one or from a side's overrides only the
    methods of this list, which do little or nothing here, and those that Twisted calls:

    - :meth:`openingLate`, :meth:`openingLost`, :meth:`openingAbandoned`: a side's handshake ends
      without a conversation;
    - :meth:`ended`, :meth:`finished`: the connection ends, for a log of requests;
    - and those of :class:`txhixie.HixieServerProtocol`: ``isSecure``, ``answerHeaders``,
      ``answered`` and ``request``, for a handshake that another HTTP server has read.

    ``late``, ``drained``, ``overflowed``, ``look`` and ``stalled`` are called by the parts of the
    connection and of its factory, which are made here.

    :ivar offer: what the client asked for.
    :ivar agreement: what was granted; ``None`` before.
    :ivar dialect: the row that is spoken; known with the offer.
    :ivar side: which end we are.
    :ivar number: of the connection, by which the log's lines about it are found: among those of one
        factory the first is 1.
    :ivar latency: seconds from the last automatic ping to its answer; ``None`` before there was
        one.
    """

    _log = Logger()

    # Without slots, attributes that the first connections never set (a health check has few, and
    # none was pinged yet) would cost each later connection a dict of its own: 500 bytes, of the
    # 1.2 kB that an idle connection costs besides its socket.
    __slots__ = (
        "_application",
        "_asked",
        "_began",
        "_conversation",
        "_delivering",
        "_draining",
        "_left",
        "_lost",
        "_output",
        "_paused",
        "_pinged",
        "_receive",
        "_toldEnding",
        "_turning",
        "agreement",
        "connected",
        "dialect",
        "factory",
        "latency",
        "number",
        "offer",
        "transport",
    )

    factory: HixieFactory
    transport: Any
    number: int
    offer: Offer
    dialect: Dialect
    side: str
    _output: Output

    if not TYPE_CHECKING:  # it would tell type checkers that there is every attribute

        def __getattr__(self, name: str) -> Never:
            raise no_attribute(self, name, _HINTS)

    def __init__(self, factory: HixieFactory) -> None:
        self.factory = factory
        self.connected = 0
        self.transport = None
        self.agreement: Agreement | None = None
        self._began: float | None = None  # when the conversation opened, where the log tells
        self.latency: float | None = None
        self._receive: Callable[[bytes], None] = ignore
        self._application: WebSocketProtocol | None = None
        self._conversation: Conversation | None = None
        self._paused = 0
        self._delivering = False
        self._turning: IDelayedCall | None = None  # goes on with what waits for the next turn
        self._draining: IDelayedCall | None = None  # drops messages not taken after the end
        self._toldEnding = False
        self._pinged: float | None = None  # when its silence began to count
        self._asked: float | None = None  # when our last ping left
        self._left = False
        self._lost = False

    @property
    def asked(self) -> Asked:
        """Name what the request asks for, for the log: neither masked nor, if refused, checked."""
        offer: Offer | None = getattr(self, "offer", None)  # unset until the head was read
        return NOTHING_ASKED if offer is None else Asked(offer.host, offer.target, offer.origin)

    @property
    def limits(self) -> Limits:
        """See :meth:`txhixie.WebSocketTransport.limits`."""
        return self.factory.limits

    @property
    def timeouts(self) -> Timeouts:
        """The queues in which the factory's connections wait."""
        return self.factory.timeouts

    # What the application asks for: :class:`txhixie.WebSocketTransport`.

    def _listen(self) -> None:
        """Undo a pause: the peer's close has to be seen."""
        if self._paused == BY_APPLICATION:
            self.transport.resumeProducing()
        self._paused &= BY_TURN

    @property
    def peerCertificate(self) -> Any:
        """See :meth:`txhixie.WebSocketTransport.peerCertificate`."""
        if not ISSLTransport.providedBy(self.transport):
            return None
        return self.transport.getPeerCertificate()

    @property
    def isOpen(self) -> bool:
        """See :meth:`txhixie.WebSocketTransport.isOpen`."""
        return self._conversation is not None and self._conversation.stage == OPEN

    @property
    def full(self) -> bool:
        """Whether more is waiting to be sent than the transport likes to hold."""
        return self._output.full

    @property
    def unsent(self) -> int:
        """See :meth:`txhixie.WebSocketTransport.unsent`."""
        return self._output.unsent

    def sendTextMessage(self, text: str, compress: bool | None = None) -> None:
        """See :meth:`txhixie.WebSocketTransport.sendTextMessage`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.send_text(text, compress)

    def sendBytesMessage(self, data: bytes, compress: bool | None = None) -> None:
        """See :meth:`txhixie.WebSocketTransport.sendBytesMessage`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.send_bytes(data, compress)

    def ping(self, payload: bytes = b"") -> None:
        """See :meth:`txhixie.WebSocketTransport.ping`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.ping(payload)

    def pong(self, payload: bytes) -> None:
        """See :meth:`txhixie.WebSocketTransport.pong`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.pong(payload)

    def loseConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """See :meth:`txhixie.WebSocketTransport.loseConnection`."""
        if self._conversation is None:
            self._leave()
        elif self._lost:
            self._forgo()
        else:
            self._conversation.close(code, reason)
            self._listen()
            self._deliver()
            self._tellEnding()

    def failConnection(self, code: int = CloseCode.INTERNAL_ERROR, reason: str = "") -> None:
        """See :meth:`txhixie.WebSocketTransport.failConnection`."""
        if self._conversation is None:
            self.abortConnection()
        elif self._lost:
            self._forgo()
        else:
            self._conversation.fail_here(reason, code)
            self._listen()
            self._tellEnding()

    def abortConnection(self, reason: str = "aborted") -> None:
        """See :meth:`txhixie.WebSocketTransport.abortConnection`."""
        if self._lost:
            self._forgo()
            return
        if self._conversation is None:
            self.openingAbandoned()
        self._left = True
        self._receive = ignore
        if self._conversation is not None:
            self._conversation.abort(reason)
        self._output.abort()
        self._tellEnding()

    def attachProducer(self, producer: IPushProducer) -> None:
        """See :meth:`txhixie.WebSocketTransport.attachProducer`."""
        self._output.attach(producer)

    def detachProducer(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.detachProducer`."""
        self._output.detach()

    def pauseProducing(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.pauseProducing`."""
        if self._conversation is None:
            if not self._isOver:  # the handshake goes on
                self._paused = BY_APPLICATION
        elif self._conversation.ended is None:
            if not (self._paused or self._lost):
                self.transport.pauseProducing()
            self._paused |= BY_APPLICATION

    def resumeProducing(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.resumeProducing`."""
        if self._paused & BY_APPLICATION:
            self._paused &= ~BY_APPLICATION
            if self._conversation is not None and not self._paused:
                self._goOn()

    def stopProducing(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.stopProducing`."""
        self.loseConnection()

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        return plainAddress(self.transport.getPeer())

    def getHost(self) -> IAddress:
        """Where this end is."""
        return self.transport.getHost()  # type: ignore[no-any-return]

    # What the transport says.

    def connectionMade(self) -> None:
        """Prepare the transport; the side's opening begins."""
        transport = self.transport
        # Without it a server that pushes small messages in separate turns stalls for 44 ms at a
        # time, waiting for acknowledgements. Only TCP has it.
        if (setNoDelay := getattr(transport, "setTcpNoDelay", None)) is not None:
            setNoDelay(True)
        factory = self.factory
        self.number = factory.log.number()
        self._output = Output(self, transport)
        self._output.timeout(factory.limits.open_timeout)
        factory.joined(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer, in pieces of any size. All they cause leaves in one write."""
        output = self._output
        if len(data) >= FULL_READ and self._conversation is not None:
            output.widen()
        corked = output.cork()
        try:
            if self._conversation is None:
                self._receive(data)
            else:
                self._converse(self._conversation, data)
        finally:
            if corked:
                output.uncork(read=True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport has ended: tell the application, or what waits for the handshake."""
        self._lost = True
        self._receive = ignore
        conversation = self._conversation
        if conversation is not None:
            self._lostConversation(conversation, conversation.cut(isOrderly(reason)))
            return
        self._output.stopProducing()
        try:
            self.openingAbandoned()
            self.openingLost(reason)
        finally:
            self._finished()

    # Opening: what the two sides do, each in its own way.

    def openingLost(self, reason: Failure) -> None:
        """
        The connection has ended before there was a conversation: tell the application.

        :param reason: why the transport was lost.
        """
        who = "us" if self._left else "peer"
        self._tellLost(Ended(CloseCode.ABNORMAL_CLOSURE, "ended inside the handshake", who, False))

    def openingLate(self) -> None:
        """The timeout has passed before there was a conversation: end the connection."""
        raise NotImplementedError

    def openingAbandoned(self) -> None:
        """The opening ends without a conversation: cancel what it waits for. May come again."""

    # The connection's end, for a log of requests.

    def ended(self, ended: Ended) -> None:
        """
        Learn how the connection ended, before its application does. Not called without one.

        :param ended: how the connection ended.
        """

    def finished(self) -> None:
        """Learn that the connection is over. The last call, after that of the application."""

    def adopt(
        self,
        application: WebSocketProtocol,
        offer: Offer,
        agreement: Agreement,
        rest: bytes = b"",
        transform: Transform | None = None,
    ) -> None:
        """
        Begin with the conversation, where the program has made the handshake, as on a stream of
        HTTP/2 (RFC 8441). The connection stands, and nothing has been received on it.

        :param rest: the peer's first words, if they have come already.
        :param transform: what the agreed extension does to messages.
        """
        self.offer = offer
        self.dialect = named(offer.dialect)
        self._application = application
        application.negotiationStarted(self)
        self._open(agreement, rest, transform)

    def _open(self, agreement: Agreement, rest: bytes, transform: Transform | None) -> None:
        """Both halves of the handshake are through; ``rest`` is the peer's first words."""
        self._output.timeout(None)
        self.agreement = agreement
        factory = self.factory
        self._conversation = Conversation(
            self.dialect,
            self.side,
            factory.limits,
            self._output,
            binary=factory.sendsBinary,
            transform=transform,
            entropy=factory.entropy,
        )
        self._receive = ignore
        self._conversation.answers_pings = not hasattr(self._application, "pingReceived")
        if self.dialect.has_pings:
            factory.keepalive.start()
        else:
            leaveToKernel(self.transport, factory.limits)
        if factory.log.everything:
            self._began = factory.clock.seconds()
            factory.log.opened(loggedOf(self), self.offer, agreement)
        if self._paused:
            self.transport.pauseProducing()
        try:
            if self._application is not None:
                self._application.negotiationFinished()
        except Exception:
            self._applicationFailed()
        if rest:
            self._converse(self._conversation, rest)

    # Conversation.

    def _converse(self, conversation: Conversation, data: bytes) -> None:
        conversation.feed(data, self._output.direct)  # TLS gives several pieces in one turn
        if not self._paused:
            self._deliver()

    def _deliver(self) -> None:
        """Hand messages up until there are none, or no more are wanted."""
        conversation, application = self._conversation, self._application
        if self._delivering or conversation is None or application is None:
            return
        self._delivering = True
        try:
            for kind, message in conversation.events():
                if kind == TEXT:
                    application.textMessageReceived(message)  # type: ignore[arg-type]
                elif kind == BINARY:
                    application.bytesMessageReceived(message)  # type: ignore[arg-type]
                elif kind == PING:
                    application.pingReceived(message)  # type: ignore[attr-defined]
                elif not self._tellsLatency(message):
                    application.pongReceived(message)  # type: ignore[arg-type]
                if self._paused:
                    break
        except Exception:
            self._applicationFailed()
        finally:
            self._delivering = False
        if conversation.rest is not None and not self._paused:
            self._waitForTurn()
        elif conversation.ended is not None:
            self._tellEnding()

    # A turn of the reactor inflates and delivers no more than the limits say.

    def _waitForTurn(self) -> None:
        """There is more, for the reactor's next turn: others come first."""
        self._paused |= BY_TURN
        if not self._lost:
            self.transport.pauseProducing()  # else what comes meanwhile would pile up
        self._turning = self.factory.clock.callLater(0, self._turned)

    def _turned(self) -> None:
        """The next turn has come."""
        self._turning = None
        self._paused &= ~BY_TURN
        if (conversation := self._conversation) is not None:
            conversation.turned()
        if not self._paused:
            self._goOn()

    def _goOn(self) -> None:
        """Hand up what waits after a pause; then read on, or, if there is nothing to read, end."""
        corked = self._output.cork()
        try:
            self._deliver()
        finally:
            if corked:
                self._output.uncork()
        if self._paused:
            return
        if self._lost:
            self._finish()
        else:
            self.transport.resumeProducing()

    # Signs of life.

    def look(self, now: float, slept: bool) -> None:
        """
        Keepalive tick: ping the peer after ``ping_interval``, and abort the connection of one that
        was silent for ``ping_timeout`` after a ping.

        :param now: seconds of the factory's clock.
        :param slept: the reactor was blocked for so long that silence proves nothing.
        """
        conversation = self._conversation
        if conversation is None or conversation.stage != OPEN or not conversation.has_pings:
            return
        if self._paused or self._output.full:
            self._pinged = None  # we do not listen, or our ping could not leave
            return
        limits = self.factory.limits
        if self._pinged is None:
            self._pinged = now
            conversation.heard = True  # from now on
        elif not conversation.heard and now - self._pinged >= limits.ping_timeout and not slept:
            conversation.abort(
                f"not a byte within {limits.ping_timeout:g} seconds of a ping"
                f" ({called('ping_timeout')})"
            )
            self._receive = ignore
            self._output.abort()
            self._tellEnding()
        elif conversation.heard and now - self._pinged >= (limits.ping_interval or 0):
            self._pinged = self._asked = now
            conversation.heard = False
            conversation.ping(payload(now))

    def _tellsLatency(self, pong: object) -> bool:
        """Whether a pong answers our own last ping."""
        if self._asked is None or pong != payload(self._asked):
            return False
        self.latency = self.factory.clock.seconds() - self._asked
        return True

    def overflowed(self, size: int) -> None:
        """Abort the connection: more bytes than the limit wait for a peer that does not read."""
        if self._conversation is not None:
            self._conversation.abort(self.factory.limits.unsent_error(size))
        self._left = True
        self._receive = ignore
        self._tellEnding()

    def stalled(self, waiting: int) -> None:
        """The peer has made no progress for ``stall_timeout``: end the connection at once."""
        if self._lost:
            return  # only our own application is still taking what came before
        seconds = self.factory.limits.stall_timeout
        self.factory.log.stalled(loggedOf(self), seconds, waiting)
        self.abortConnection(
            f"the peer acknowledged nothing for {seconds:g} seconds ({called('stall_timeout')})"
        )

    def drained(self) -> None:
        """The transport has sent what it held."""
        self.factory.watched.resumed(self)
        if self._conversation is not None:
            self._conversation.drained()

    def _applicationFailed(self) -> None:
        """Its exception is ours to mend: one traceback, and the peer hears that we failed."""
        self._log.failure("the application of a WebSocket connection raised")
        self.failConnection(reason="the application failed")

    def _tellEnding(self, ended: Ended | None = None) -> None:
        """
        Tell the application, once, that the end has begun.

        :param ended: how, where the conversation does not know it yet.
        """
        if ended is None and self._conversation is not None:
            ended = self._conversation.ended
        if ended is None or self._toldEnding:
            return
        self._toldEnding = True
        if (closeStarted := getattr(self._application, "closeStarted", None)) is not None:
            try:
                closeStarted(ended)
            except Exception:
                self._log.failure("the application of a WebSocket connection raised at its end")

    def _lostConversation(self, conversation: Conversation, ended: Ended) -> None:
        """
        The connection below has ended. What came before is the application's, as fast as it takes
        it: delivered all at once, 64 KiB of compressed zeros would fill its memory.
        """
        self._tellEnding(ended)
        self._output.stopProducing()
        if self._paused & BY_APPLICATION and not conversation.holds_messages:
            self._paused &= ~BY_APPLICATION
        if not self._paused:
            self._goOn()
        if self._paused:
            seconds = self.factory.limits.drain_timeout
            self._draining = self.factory.clock.callLater(seconds, self._dropRest, seconds)

    def _dropRest(self, seconds: float) -> None:
        self._draining = None
        assert self._conversation is not None
        self._conversation.drop(
            f"were dropped: the connection was lost, and the application did not take them within"
            f" {seconds:g} seconds (Limits.drain_timeout)"
        )
        self._finish()

    def _forgo(self) -> None:
        if self._conversation is None or self._application is None:
            return
        self._conversation.forget()
        self._paused &= ~BY_APPLICATION
        if not (self._paused or self._delivering):
            self._waitForTurn()

    def _finish(self) -> None:
        """Tell the application of the end, after the last message was delivered."""
        try:
            if self._conversation is not None:
                self._tellLost(self._conversation.lost())
        finally:
            self._finished()

    def _finished(self) -> None:
        """Forget the application and cancel the timers."""
        self._application = None
        for timer in (self._turning, self._draining):
            if timer is not None:
                timer.cancel()
        self._turning = self._draining = None
        self.factory.left(self)
        self.finished()

    def _tellLost(self, ended: Ended) -> None:
        self.ended(ended)
        close = CleanClose(ended) if ended.clean else AbruptClose(ended)
        if self.factory.log.tells(ended):
            self._logEnd(ended)
        application, self._application = self._application, None
        try:
            if application is not None:
                application.connectionLost(Failure(close))
        except Exception:
            self._log.failure("the application of a WebSocket connection raised at its end")

    def _logEnd(self, ended: Ended) -> None:
        conversation = self._conversation
        received = 0 if conversation is None else conversation.received
        sent = 0 if conversation is None else conversation.sent
        seconds = None if self._began is None else self.factory.clock.seconds() - self._began
        self.factory.log.ended(loggedOf(self), ended, received, sent, seconds)

    # The end.

    @property
    def _isOver(self) -> bool:
        """Whether there will be no conversation: refused, given up, aborted or lost."""
        return self._left or self._lost

    def late(self) -> None:
        """The timeout that was set has passed."""
        if self._conversation is not None:
            self._conversation.late()
        elif self._isOver:
            self._output.drop(abort=True)
        else:
            self.openingLate()

    def _leave(self) -> None:
        """End a connection that has no conversation, leaving the peer time to read."""
        self.openingAbandoned()
        self._left = True
        self._receive = ignore
        self._output.timeout(self.factory.limits.close_timeout)
        self._output.drop()


def isOrderly(reason: Failure) -> bool:
    """Whether a connection was closed, and not reset or the like."""
    return isinstance(reason.value, ConnectionDone)


BINARY_RULES: Final = ("refuse", "send")
"""Values of the option ``binary``, the default first."""


class HixieFactory(Factory):
    """
    Either side's factory.

    :ivar limits: what a connection may cost.
    :ivar sendsBinary: whether binary messages are sent also in dialects whose browsers lose them.
    :ivar extensions: what may be agreed besides the dialect, the better first.
    :ivar entropy: takes a number, answers that many random bytes.
    :ivar connections: those that stand.
    :ivar log: writes the log's lines.
    :ivar timeouts: the queues in which its connections wait for a time to pass.
    :ivar watched: the connections, as they are watched for peers that have stalled.
    :ivar keepalive: the rounds in which peers are pinged.
    """

    noisy = False
    _logger = Logger()

    def __init__(
        self,
        limits: Limits,
        clock: IReactorTime | None,
        binary: str,
        logConnections: bool,
        extensions: Iterable[Extension],
        entropy: RandomBytes,
    ) -> None:
        scalars(bool, logConnections=logConnections)
        self.limits = instance("limits", limits, Limits)
        self.sendsBinary = word("binary", binary, BINARY_RULES) == "send"
        self.extensions = chosen_extensions(extensions)
        self.entropy = entropy
        self._clock = clock
        self.log = ConnectionLog(self._logger, logConnections, lambda: self.clock)
        self.timeouts = Timeouts(lambda: self.clock)
        self.watched: Watched[HixieProtocol] = Watched(
            limits.stall_timeout, lambda: self.clock, HixieProtocol.stalled
        )
        self.connections = self.watched.connections
        self.keepalive = Keepalive(limits, lambda: self.clock, self.connections, HixieProtocol.look)
        self._waiting: list[Deferred[None]] = []

    def stopFactory(self) -> None:
        """The last port has stopped listening."""
        self.log.close()

    @property
    def clock(self) -> IReactorTime:
        """The clock it was given, or else the reactor that runs."""
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = cast(IReactorTime, reactor)
        return self._clock

    def joined(self, connection: HixieProtocol) -> None:
        """A connection stands."""
        self.watched.add(connection)

    def left(self, connection: HixieProtocol) -> None:
        """A connection has ended."""
        self.watched.discard(connection)
        self._tellIfNone()

    def _tellIfNone(self) -> None:
        if not self.connections:
            self.keepalive.stop()
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def closeAll(
        self,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
        timeout: float | None = None,
    ) -> Deferred[None]:
        """
        Close every connection its dialect's way, and abort what is left after a time.

        :param timeout: seconds until then; by default the limits' ``stop_timeout``.
        :return: fires with ``None`` when the last has ended. It never fails.
        :raises txhixie.errors.UsageError: for a code that is never sent; then none is closed.
        :raises TypeError: for a code, a reason or a time of another type.
        """
        close_arguments(code, reason)
        if timeout is not None:
            scalars(float, timeout=timeout)
        if code != CloseCode.NO_STATUS_RCVD and not sendable(code):
            raise UsageError(f"close code {code} cannot be sent; send 1000 or 3000 to 4999")
        done: Deferred[None] = Awaited()
        self._waiting.append(done)
        for connection in tuple(self.connections):
            connection.loseConnection(code, reason)
        if self.connections:
            seconds = self.limits.stop_timeout if timeout is None else timeout
            done.addBoth(_cancelling(self.clock.callLater(seconds, self.abortAll)))
        self._tellIfNone()
        return done

    def abortAll(self) -> None:
        """End every connection at once."""
        for connection in tuple(self.connections):
            connection.abortConnection()


def _cancelling(timer: IDelayedCall) -> Callable[[None], None]:
    def cancel(result: None) -> None:
        if timer.active():
            timer.cancel()

    return cancel
