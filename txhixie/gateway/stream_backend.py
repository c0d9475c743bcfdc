"""A backend that is a stream of bytes: one connection of one client's.

It carries out what the session's machine asks of the backend's side, and tells it what the backend
does; how bytes stand in messages is its coding's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocolFactory,
    IPushProducer,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from ..byte_streams.coding import Known
from ..connection.acknowledged import lowest, sent_to
from ..connection.keepalive import leaveToKernel
from ..connection.writer import FULL_READ, Writer
from ..dialing.errors import PeerLeft
from ..dialing.stage import cancelled
from ..sansio.errors import FrameError
from ..sansio.handshake.offer import Agreement
from ..sansio.limits import Limits
from ..sansio.wire.frame import Close, CloseCode
from .close_codes import BACKEND_GONE
from .session import Session

P = ParamSpec("P")
M = TypeVar("M")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class StreamBackend(Protocol):
    """
    The backend's side: one connection. As a producer it stands for the client, who is paused while
    the backend does not read.
    """

    ping = None
    transport: Any

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        coding: Known,
        subprotocol: str | None,
        limits: Limits,
    ) -> None:
        """:param limits: of the times for signs of life, which are the kernel's to look for."""
        self.stage = "tcp"
        self._limits = limits
        self._endpoint = endpoint
        self._coding = coding
        self._agreement = Agreement(subprotocol)
        self._standing: Deferred[None] = Deferred(self._notStanding)
        self._kept: list[str | bytes] | None = []  # while the client's conversation is not open
        self._closing = False
        self._ended = False
        self._toldReplaced = False
        self._speaks = False  # whether it has said something since we looked last
        self._quiet: IDelayedCall | None = None  # looks whether anybody still waits for its end

    # Reaching it.

    def reach(self, session: Session) -> Deferred[Agreement]:
        """
        Connect, and where there is TLS, see whether the backend is who it should be.

        :return: fails as the endpoint does, or with the error that ended TLS.
        """
        self._session = session
        self._reaching = Deferred.fromCoroutine(self._reach()).addErrback(cancelled)
        return self._reaching

    async def _reach(self) -> Agreement:
        await self._endpoint.connect(cast(IProtocolFactory, _OneProtocol(self)))
        await self._standing
        return self._agreement

    def cancel(self) -> None:
        """Whatever is waited for."""
        self._reaching.cancel()

    def _notStanding(self, standing: Deferred[None]) -> None:
        self.abort()

    def connectionMade(self) -> None:
        """It stands; over TLS, only the socket below does."""
        transport = self.transport
        self._session.sessions.connected(self)
        self._writer = Writer(transport)
        if (setNoDelay := getattr(transport, "setTcpNoDelay", None)) is not None:
            setNoDelay(True)
        leaveToKernel(transport, self._limits)
        transport.registerProducer(self, True)
        if ISSLTransport.providedBy(transport):
            self.stage = "tls"
            return
        wrapper = getattr(transport, "protocol", None)
        if hasattr(wrapper, "readConnectionLost"):
            # Of a protocol's abilities Twisted's endpoints pass on the last alone.
            alsoProvides(wrapper, IHalfCloseableProtocol)
        self._stand()

    def handshakeCompleted(self) -> None:
        """TLS stands."""
        self._stand()

    def _stand(self) -> None:
        self.transport.pauseProducing()  # until there is somebody to read for
        self._standing.callback(None)

    # What the backend says, and how it ends.

    def dataReceived(self, data: bytes) -> None:
        """It has said something; TLS says what it has also when it is paused."""
        if len(data) >= FULL_READ:
            self._writer.widen()
        if not self._closing:
            self._pass(self._encoded(self._coding.encode, data))
        else:
            self._speaks = True

    def readConnectionLost(self) -> None:
        """It sends no more."""
        if self._closing:
            self.transport.loseConnection()
            return
        self._ended = True
        self._pass(self._encoded(self._coding.finish))
        self._session.machine.backend_ended(Close(CloseCode.NORMAL_CLOSURE))

    def writeConnectionLost(self) -> None:
        """It has been told that there will be no more."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It has gone."""
        self._session.sessions.disconnected(self)
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        if not self._standing.called:
            self._standing.errback(_tlsFailed(reason.value, self.transport))
            return
        self._pass(self._encoded(self._coding.finish))
        self._closing = True
        orderly = isinstance(reason.value, ConnectionDone)
        self._session.backendLost(Close(CloseCode.NORMAL_CLOSURE) if orderly else BACKEND_GONE)

    def _tellReplaced(self) -> None:
        """Once: a console that speaks Latin-1 says so with every word."""
        self._toldReplaced = True
        self._session.log("bytes of the backend that are not UTF-8 became U+FFFD")

    def _encoded(self, encode: Callable[P, list[M]], *args: P.args, **kw: P.kwargs) -> list[M]:
        """The messages, or none and the end of it all."""
        try:
            messages = encode(*args, **kw)
        except FrameError as error:
            self._session.log(f"data of the backend: {error}", CloseCode.BAD_GATEWAY)
            self._session.machine.backend_lost(Close(CloseCode.BAD_GATEWAY, str(error)))
            self.abort()
            return []
        if self._coding.replaced and not self._toldReplaced:
            self._tellReplaced()
        return messages

    def _pass(self, messages: list[str | bytes]) -> None:
        if self._kept is not None:
            self._kept += messages
            return
        transport = self._session.transport
        for message in messages:
            if isinstance(message, bytes):
                transport.sendBytesMessage(message)
            else:
                transport.sendTextMessage(message)

    # What the client says.

    def sendTextMessage(self, message: str) -> None:
        """Some of the client's stream."""
        self._send(message)

    def sendBytesMessage(self, data: bytes) -> None:
        """Some of the client's stream."""
        self._send(data)

    def pong(self, payload: bytes) -> None:
        """A stream has no pings."""

    def _send(self, message: str | bytes) -> None:
        try:
            data = self._coding.decode(message)
        except FrameError as error:
            self._session.transport.loseConnection(error.code, str(error))
            self._session.machine.client_left(Close(error.code))
        else:
            self._writer.write(data)

    # What the machine asks.

    def resume(self) -> None:
        """There is somebody to read for."""
        messages, self._kept = self._kept or [], None
        self._pass(messages)
        if not self._session.transport.full:
            self.resumeReading()

    def close(self, close: Close) -> None:
        """
        Close our half, and forget what comes until the backend closes the other: a socket that is
        closed with bytes unread is reset, and what we sent last lost with it. TLS has no halves.
        """
        self._closing = True
        self._writer.flush()
        transport = self.transport
        transport.unregisterProducer()  # over TLS, it would have to finish first
        if not self._ended:
            transport.resumeProducing()
        closeHalf = getattr(transport, "loseWriteConnection", None)
        if self._ended or closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()
        self._waitForEnd()

    def _waitForEnd(self) -> None:
        sessions = self._session.sessions
        self._quiet = sessions.clock.callLater(sessions.limits.close_timeout, self._endIfQuiet)

    def _endIfQuiet(self) -> None:
        """
        Do not wait for a backend that does not close its half, once it has acknowledged all that
        was sent to it and says no more: many do not look for that end. The socket is closed, which
        leaves it what it has not read yet; a reset might not.
        """
        self._quiet = None
        sent = sent_to(self.transport)
        if self._speaks or sent is None or sent.waiting:
            self._speaks = False
            self._waitForEnd()
        else:
            lowest(self.transport).loseConnection()

    def abort(self) -> None:
        """Nothing that is still to be said or read matters."""
        self._closing = True
        transport = self.transport
        getattr(transport, "abortConnection", transport.loseConnection)()

    # Who has to wait for whom.

    def pauseReading(self) -> None:
        """The client does not read."""
        if not (self._closing or self._ended):
            self.transport.pauseProducing()

    def resumeReading(self) -> None:
        """The client reads."""
        if not (self._closing or self._ended) and self._kept is None:
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """The backend does not read: no more is taken from the client."""
        self._session.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The backend reads."""
        self._session.transport.resumeProducing()

    def stopProducing(self) -> None:
        """It has gone, of which ``connectionLost`` tells more."""


class _OneProtocol(Factory):
    """Makes that of one connection, without the two lines in the log of ``connectProtocol``'s."""

    noisy = False

    def __init__(self, stream: StreamBackend) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> StreamBackend:
        return self._stream


def _tlsFailed(reason: BaseException | None, transport: Any) -> Exception:
    from ..dialing.tls import tlsError  # here, where there is OpenSSL

    error = tlsError(reason, transport.getHandle()) or PeerLeft("tls")
    error.__cause__ = reason
    return error
