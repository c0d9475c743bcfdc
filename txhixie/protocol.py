"""The wire's Protocol: one connection, whichever side, from its first byte to its last.

``dataReceived`` is the only door. Behind it stands, in a slot, whoever takes bytes now: an opening,
the conversation, or nobody. The sides differ in how they open, which is in ``server.py`` and
``client.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from .conversation import Conversation
from .dialects import Dialect
from .errors import NotOpen
from .handshake.offer import Agreement, Offer
from .interfaces import AbruptClose, CleanClose, WebSocketProtocol
from .lifecycle import Ended
from .outflow import Outflow
from .port import Port
from .wire.frame import CloseCode, Opcode

if TYPE_CHECKING:
    from .factory import HixieFactory

_MOST_PENDING: Final = 64 * 1024
"""Replies of one read leave in one write (1.3 times as many messages a second, and 2 to 3 times
as many as with a send each); beyond this many bytes they leave at once, so that a transport that
is full can say so before a peer's 64 KiB of tiny questions have all been answered at length."""


class HixieProtocol(Protocol):
    """
    One WebSocket connection. It is the transport of its application
    (:class:`txhixie.interfaces.WebSocketTransport`).

    :ivar offer: what the client asked for.
    :ivar agreement: what was granted; ``None`` before.
    :ivar dialect: the row that is spoken; known with the offer.
    :ivar side: which end we are.
    :ivar began: when the connection below was made, in seconds of the factory's clock.
    """

    _log = Logger()

    factory: HixieFactory
    transport: Any
    offer: Offer
    dialect: Dialect
    agreement: Agreement | None = None
    side: str
    began: float

    _conversation: Conversation | None = None
    _timer: IDelayedCall | None = None
    _pending: list[bytes] | None = None
    _pendingSize = 0
    _paused = False
    _delivering = False
    _aborted = False
    _extended = False

    def __init__(self, factory: HixieFactory) -> None:
        self.factory = factory
        self._receive: Callable[[bytes], None] = self._ignore
        self._outflow = Outflow()
        self._application: WebSocketProtocol | None = None

    # What the transport says.

    def connectionMade(self) -> None:
        """Prepare the transport; the side's opening begins."""
        transport = self.transport
        # Without it a server that pushes small messages in separate turns stalls for 44 ms at a
        # time, waiting for acknowledgements. Only TCP has it.
        if (setNoDelay := getattr(transport, "setTcpNoDelay", None)) is not None:
            setNoDelay(True)
        transport.registerProducer(self._outflow, True)
        self.began = self.factory.clock.seconds()
        self.factory.joined(self)
        self._setDeadline(self.factory.limits.open_timeout)

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer, in pieces of any size. All they cause leaves in one write."""
        self._pending = []
        try:
            self._receive(data)
        finally:
            self._flush()
            self._pending = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection below has ended: tell whoever waits for anything."""
        self._setDeadline(None)
        self._outflow.stopProducing()
        try:
            if self._conversation is None:
                self._lostOpening(reason)
            else:
                self._lostConversation(self._conversation)
        finally:
            self._receive = self._ignore
            self._application = None
            self.factory.left(self)

    # Opening.

    def _lostOpening(self, reason: Failure) -> None:
        """The connection has ended before there was a conversation."""
        self._tellLost(Ended(CloseCode.ABNORMAL, "ended inside the handshake", "peer", False))

    def _lateOpening(self) -> None:
        """The deadline has passed before there was a conversation."""
        raise NotImplementedError

    def _open(self, agreement: Agreement, rest: bytes) -> None:
        """Both halves of the handshake are through; ``rest`` is the peer's first words."""
        self._setDeadline(None)
        self.agreement = agreement
        port = Port(self._write, self._setDeadline, self._drop)
        self._conversation = Conversation(
            self.dialect, self.side, self.factory.limits, port, self.factory.binary
        )
        self._receive = self._converse
        self.factory.journal.opened(self)
        self._call(lambda application: application.negotiationFinished())
        if rest:
            self._receive(rest)

    # Conversation.

    def _converse(self, data: bytes) -> None:
        assert self._conversation is not None
        self._conversation.feed(data)
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
                if kind == Opcode.TEXT:
                    application.textMessageReceived(message)  # type: ignore[arg-type]
                elif kind == Opcode.BINARY:
                    application.bytesMessageReceived(message)  # type: ignore[arg-type]
                else:
                    application.pongReceived(message)  # type: ignore[arg-type]
                if self._paused:
                    break
        except Exception:
            self._applicationFailed()
        finally:
            self._delivering = False

    def _call(self, method: Callable[[WebSocketProtocol], None]) -> None:
        """Call the application once, whatever it does."""
        if self._application is None:
            return
        try:
            method(self._application)
        except Exception:
            self._applicationFailed()

    def _applicationFailed(self) -> None:
        """Its exception is ours to mend: one traceback, and the peer hears that we failed."""
        self._log.failure("the application of a WebSocket connection raised")
        if self._conversation is not None:
            self._conversation.fail_here("the application failed")

    def _lostConversation(self, conversation: Conversation) -> None:
        if self._paused and not self._aborted:
            self._paused = False
            self._deliver()
        self._tellLost(conversation.lost())

    def _tellLost(self, ended: Ended) -> None:
        close = CleanClose(ended) if ended.clean else AbruptClose(ended)
        self.factory.journal.ended(self, ended, self._conversation)
        self._call(lambda application: application.connectionLost(Failure(close)))

    # What floor 2 asks of its Port.

    def _write(self, data: bytes) -> None:
        pending = self._pending
        if pending is None:
            self.transport.write(data)
            return
        pending.append(data)
        self._pendingSize += len(data)
        if self._pendingSize > _MOST_PENDING:
            self._flush()

    def _flush(self) -> None:
        pending = self._pending
        if pending:
            self.transport.write(b"".join(pending))
            pending.clear()
            self._pendingSize = 0

    def _setDeadline(self, seconds: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if seconds is not None:
            self._timer = self.factory.clock.callLater(seconds, self._expire)

    def _expire(self) -> None:
        """
        Time is up, unless what we wait for lies in the socket: after a turn in which the reactor
        was blocked, timers run before reads. A late clock is not a late peer.
        """
        self._timer = self.factory.clock.callLater(0, self._late)

    def _late(self) -> None:
        self._timer = None
        if self._outflow.full and not self._extended:
            # The peer is still reading what it was promised before the close.
            self._extended = True
            self._setDeadline(self.factory.limits.drain_timeout)
        elif self._conversation is not None:
            self._conversation.late()
        elif self._receive == self._ignore:
            self._drop(abort=True)
        else:
            self._lateOpening()

    def _drop(self, abort: bool = False) -> None:
        """
        End the connection below: at once, or after all that was written, leaving the peer time to
        read it. A socket closed with bytes unread is reset, and what we wrote last is lost with it
        (RFC 9112 section 9.6); so only our half is closed, and the other read and forgotten until
        the peer has gone or the deadline comes.
        """
        self._flush()
        transport = self.transport
        if abort:
            self._aborted = True
            transport.abortConnection()
            return
        self._listen()
        if self._outflow.full:
            self._outflow.drained = self._drop
            return
        # Over TLS, loseConnection waits for ever for a producer to finish.
        transport.unregisterProducer()
        closeHalf = getattr(transport, "loseWriteConnection", None)
        if closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()

    def _listen(self) -> None:
        """Undo a pause: the peer's close has to be seen."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def _ignore(self, data: bytes) -> None:
        """Nobody is left whom these bytes concern."""

    # The application's transport.

    @property
    def full(self) -> bool:
        """Whether more is waiting to be sent than the transport likes to hold."""
        return self._outflow.full

    def sendTextMessage(self, text: str) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.sendTextMessage`."""
        if self._conversation is None:
            raise NotOpen("the handshake is not through")
        self._conversation.send_text(text)

    def sendBytesMessage(self, data: bytes) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.sendBytesMessage`."""
        if self._conversation is None:
            raise NotOpen("the handshake is not through")
        self._conversation.send_bytes(data)

    def ping(self, payload: bytes = b"") -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.ping`."""
        if self._conversation is None:
            raise NotOpen("the handshake is not through")
        self._conversation.ping(payload)

    def loseConnection(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.loseConnection`."""
        if self._conversation is None:
            self._leave()
            return
        self._conversation.close(code, reason)
        self._listen()
        self._deliver()

    def abortConnection(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.abortConnection`."""
        self._drop(abort=True)

    def attachProducer(self, producer: IPushProducer) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.attachProducer`."""
        self._outflow.attach(producer)

    def detachProducer(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.detachProducer`."""
        self._outflow.detach()

    def pauseProducing(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.pauseProducing`."""
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.resumeProducing`."""
        if not self._paused:
            return
        self._paused = False
        if self._pending is None:
            self.dataReceived(b"")  # what was held back, its replies in one write too
        elif self._conversation is not None:
            self._deliver()
        if not self._paused:
            self.transport.resumeProducing()

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        return self.transport.getPeer()  # type: ignore[no-any-return]

    def getHost(self) -> IAddress:
        """Where this end is."""
        return self.transport.getHost()  # type: ignore[no-any-return]

    def _leave(self) -> None:
        """End a connection that has no conversation, leaving the peer time to read."""
        self._receive = self._ignore
        self._setDeadline(self.factory.limits.close_timeout)
        self._drop()
