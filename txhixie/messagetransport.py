"""What an application holds of its connection: the transport of its messages.

All of it acts on the conversation and on the way out. It is the half of
:class:`txhixie.HixieProtocol` that the application calls; the other half is what the wire does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IPushProducer, ISSLTransport

from .addresses import plainAddress
from .conversation import OPEN, Conversation
from .limits import Limits
from .outflow import Output
from .pure_errors import NotOpen
from .wire.frame import CloseCode

BY_APPLICATION, BY_TURN = 1, 2
"""Who has paused the delivery: bits of ``_paused``."""


class MessageTransport:
    """Does what :class:`txhixie.interfaces.WebSocketTransport` says, for one connection."""

    __slots__ = ("_conversation", "_left", "_lost", "_outflow", "_paused", "_receive")

    transport: Any
    _conversation: Conversation | None
    _outflow: Output
    _receive: Callable[[bytes], None]
    _paused: int
    _left: bool
    _lost: bool

    def _deliver(self) -> None:
        """Hand messages up until there are none, or no more are wanted."""
        raise NotImplementedError

    def _goOn(self) -> None:
        """Hand up what waits after a pause, and then read on."""
        raise NotImplementedError

    def _forgo(self) -> None:
        """After the connection was lost: nobody wants what has come before."""
        raise NotImplementedError

    def _tellEnding(self) -> None:
        """Tell the application, once, if the end has begun."""
        raise NotImplementedError

    def _leave(self) -> None:
        """End a connection that has no conversation, leaving the peer time to read."""
        raise NotImplementedError

    def _listen(self) -> None:
        """Undo a pause: the peer's close has to be seen."""
        if self._paused == BY_APPLICATION:
            self.transport.resumeProducing()
        self._paused &= BY_TURN

    @property
    def limits(self) -> Limits:
        """See :meth:`txhixie.interfaces.WebSocketTransport.limits`."""
        raise NotImplementedError

    @property
    def peerCertificate(self) -> Any:
        """See :meth:`txhixie.interfaces.WebSocketTransport.peerCertificate`."""
        if not ISSLTransport.providedBy(self.transport):
            return None
        return self.transport.getPeerCertificate()

    @property
    def isOpen(self) -> bool:
        """See :meth:`txhixie.interfaces.WebSocketTransport.isOpen`."""
        return self._conversation is not None and self._conversation.stage == OPEN

    @property
    def full(self) -> bool:
        """Whether more is waiting to be sent than the transport likes to hold."""
        return self._outflow.full

    @property
    def unsent(self) -> int:
        """See :meth:`txhixie.interfaces.WebSocketTransport.unsent`."""
        return self._outflow.unsent

    def sendTextMessage(self, text: str, compress: bool | None = None) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.sendTextMessage`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.send_text(text, compress)

    def sendBytesMessage(self, data: bytes, compress: bool | None = None) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.sendBytesMessage`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.send_bytes(data, compress)

    def ping(self, payload: bytes = b"") -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.ping`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.ping(payload)

    def pong(self, payload: bytes) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.pong`."""
        if (conversation := self._conversation) is None:
            raise NotOpen("the handshake is not through")
        if conversation.stage == OPEN:
            conversation.pong(payload)

    def loseConnection(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.loseConnection`."""
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
        """See :meth:`txhixie.interfaces.WebSocketTransport.failConnection`."""
        if self._conversation is None:
            self.abortConnection()
        elif self._lost:
            self._forgo()
        else:
            self._conversation.fail_here(reason, code)
            self._listen()
            self._tellEnding()

    def abortConnection(self, reason: str = "aborted") -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.abortConnection`."""
        if self._lost:
            self._forgo()
            return
        self._left = True
        self._receive = ignore
        if self._conversation is not None:
            self._conversation.abort(reason)
        self._outflow.abort()
        self._tellEnding()

    def attachProducer(self, producer: IPushProducer) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.attachProducer`."""
        self._outflow.attach(producer)

    def detachProducer(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.detachProducer`."""
        self._outflow.detach()

    def pauseProducing(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.pauseProducing`."""
        if self._conversation is None:
            if self._receive is not ignore:  # the handshake goes on
                self._paused = BY_APPLICATION
        elif self._conversation.ended is None:
            if not (self._paused or self._lost):
                self.transport.pauseProducing()
            self._paused |= BY_APPLICATION

    def resumeProducing(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.resumeProducing`."""
        if self._paused & BY_APPLICATION:
            self._paused &= ~BY_APPLICATION
            if self._conversation is not None and not self._paused:
                self._goOn()

    def stopProducing(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.stopProducing`."""
        self.loseConnection()

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        return plainAddress(self.transport.getPeer())

    def getHost(self) -> IAddress:
        """Where this end is."""
        return self.transport.getHost()  # type: ignore[no-any-return]


def ignore(data: bytes) -> None:
    """Nobody is left whom these bytes concern."""
