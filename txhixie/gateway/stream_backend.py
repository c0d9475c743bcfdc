"""Stream backends: the connection of one client to a backend that has a stream of bytes.

A stream backend is the backend side of the session's state machine. A coding converts between the
bytes of the stream and the messages of the client.
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

from ..byte_streams.coding import Binary, Known
from ..byte_streams.either_kind import EitherKind
from ..connection.acknowledged import lowest, sent_to
from ..connection.socket_options import leave_to_kernel, send_at_once
from ..connection.writer import FULL_READ, Writer
from ..dialing.errors import PeerLeft
from ..dialing.stage import cancelled
from ..sansio.errors import FrameError
from ..sansio.handshake.offer import Agreement
from ..sansio.limits import Limits
from ..sansio.quirks import Fault, hint_about
from ..sansio.wire.frame import Close, CloseCode
from ..server.protocol import HixieServerProtocol
from ..sockets.connection_poller import moveToPoller
from .close_codes import BACKEND_GONE
from .session import Session

P = ParamSpec("P")
M = TypeVar("M")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class StreamBackend(Protocol):
    """
    Backend side of a session: one connection to a stream backend.

    As a producer the object pauses the client's transport while the backend's write buffer is full.

    :ivar session: the session, once the connect has begun.
    """

    ping = None
    transport: Any
    session: Session

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        coding: Known | EitherKind,
        subprotocol: str | None,
        limits: Limits,
        connectionPoller: bool = True,
    ) -> None:
        """
        Make a backend side, which connects when :meth:`reach` is called.

        :param endpoint: endpoint of the backend.
        :param coding: converts between the bytes of the stream and messages.
        :param subprotocol: subprotocol to accept for the client; ``None`` for none.
        :param limits: its ping interval and ping timeout are used for TCP keepalive.
        :param connectionPoller: move a connection over TCP without TLS to the poller of its
            reactor.
        """
        self.stage = "tcp"
        self._limits = limits
        self._endpoint = endpoint
        self._coding = coding
        self._most = coding.most if isinstance(coding, Binary) else 0
        self._isMoving = connectionPoller  # to the poller, with the first data
        self._agreement = Agreement(subprotocol)
        self._connected: Deferred[None] = Deferred(self._cancelConnected)
        self._kept: list[str | bytes] | None = []  # while the client's conversation is not open
        self._closing = False
        self._ended = False
        self._loggedReplaced = False
        self._receives = False  # whether data was received since the last call of _endIfQuiet
        self._quiet: IDelayedCall | None = None  # the next call of _endIfQuiet

    # Connecting.

    def reach(self, session: Session) -> Deferred[Agreement]:
        """
        Connect to the backend; over TLS, verify the backend's certificate.

        :return: fires with the agreement for the client. Fails with the errors of the endpoint, or
            with the error of TLS.
        """
        self.session = session
        if isinstance(self._coding, EitherKind):
            self._coding.tell = self._deviates
        self._reaching = Deferred.fromCoroutine(self._reach()).addErrback(cancelled)
        return self._reaching

    async def _reach(self) -> Agreement:
        await self._endpoint.connect(cast(IProtocolFactory, _OneProtocol(self)))
        await self._connected
        return self._agreement

    def cancel(self) -> None:
        """Cancel the current stage of the connect."""
        self._reaching.cancel()

    def _cancelConnected(self, connected: Deferred[None]) -> None:
        self.abort()

    def connectionMade(self) -> None:
        """Set up the connection; over TLS, the TLS handshake follows."""
        transport = self.transport
        self.session.sessions.connected(self)
        self._writer = writer = Writer(transport)
        if self._most:
            # The bytes of a binary message are those of the stream: this saves three calls for each
            # message.
            self.sendBytesMessage = writer.write  # type: ignore[method-assign]  # in place of the method
        send_at_once(transport)
        leave_to_kernel(transport, self._limits)
        transport.registerProducer(self, True)
        if ISSLTransport.providedBy(transport):
            self.stage = "tls"
            return
        wrapper = getattr(transport, "protocol", None)
        if writer.direct:
            # Twisted's client endpoints wrap the protocol in another one, which passes each call
            # on. Once the connection is made, the wrapper has nothing else to do.
            transport.protocol = self
        elif hasattr(wrapper, "readConnectionLost"):
            # The wrapper provides only the last of the protocol's interfaces: without this line,
            # not the half-close.
            alsoProvides(wrapper, IHalfCloseableProtocol)
        self._isConnected()

    def handshakeCompleted(self) -> None:
        """Finish the connect: the TLS handshake has completed."""
        self._isConnected()

    def _isConnected(self) -> None:
        self.transport.pauseProducing()  # until the client's conversation is open
        self._connected.callback(None)

    # Data and end of the backend.

    def dataReceived(self, data: bytes) -> None:
        """Encode data of the backend as messages; TLS delivers its buffered data while paused."""
        size = len(data)
        if size >= FULL_READ:
            self._writer.widen()
        elif self._isMoving:
            self._move()
        if self._closing:
            self._receives = True
        elif size <= self._most and self._kept is None:
            self.session.transport.sendBytesMessage(data)
        else:
            self._pass(self._encoded(self._coding.encode, data))

    def _move(self) -> None:
        """Move the transport to the poller of its reactor, if it has no bytes to write."""
        if not self._writer.direct:
            self._isMoving = False
        elif self._writer.isFree():
            self._isMoving = False
            moveToPoller(self.transport)

    def readConnectionLost(self) -> None:
        """Tell the machine that the backend has closed its half: no more data will be received."""
        if self._closing:
            self.transport.loseConnection()
            return
        self._ended = True
        self._pass(self._encoded(self._coding.finish))
        self.session.machine.backend_ended(Close(CloseCode.NORMAL_CLOSURE))

    def writeConnectionLost(self) -> None:
        """Do nothing: our half of the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail the connect, or tell the session that the connection to the backend has ended."""
        self.session.sessions.disconnected(self)
        if self._quiet is not None and self._quiet.active():
            self._quiet.cancel()
            self._quiet = None
        if not self._connected.called:
            self._connected.errback(_tlsFailed(reason.value, self.transport))
            return
        self._pass(self._encoded(self._coding.finish))
        self._closing = True
        orderly = isinstance(reason.value, ConnectionDone)
        self.session.backendLost(Close(CloseCode.NORMAL_CLOSURE) if orderly else BACKEND_GONE)

    def _logReplaced(self) -> None:
        """Log replaced bytes once for a connection: a Latin-1 console has them in many words."""
        self._loggedReplaced = True
        self.session.log("bytes of the backend that are not UTF-8 were replaced with U+FFFD")

    def _encoded(self, encode: Callable[P, list[M]], *args: P.args, **kw: P.kwargs) -> list[M]:
        """Encode data as messages; for data that cannot be encoded, end the session."""
        try:
            messages = encode(*args, **kw)
        except FrameError as error:
            why = f"data of the backend cannot be encoded as messages: {error}"
            self.session.log(why, CloseCode.BAD_GATEWAY)
            self.session.machine.backend_lost(Close(CloseCode.BAD_GATEWAY, str(error)))
            self.abort()
            return []
        if self._coding.replaced and not self._loggedReplaced:
            self._logReplaced()
        return messages

    def _pass(self, messages: list[str | bytes]) -> None:
        if self._kept is not None:
            self._kept += messages
            return
        transport = self.session.transport
        for message in messages:
            if isinstance(message, bytes):
                transport.sendBytesMessage(message)
            else:
                transport.sendTextMessage(message)

    # Messages of the client.

    def sendTextMessage(self, message: str) -> None:
        """Write a text message of the client to the stream."""
        self._send(message)

    def sendBytesMessage(self, data: bytes) -> None:
        """Write a binary message of the client to the stream."""
        self._send(data)

    def pong(self, payload: bytes) -> None:
        """Ignore a pong: a stream has no pings."""

    def _deviates(self, fault: Fault) -> None:
        """Have the client's connection log a message of the other kind that a quirk lets in."""
        transport = self.session.transport
        if isinstance(transport, HixieServerProtocol):
            transport.deviates(fault)

    def _send(self, message: str | bytes) -> None:
        try:
            data = self._coding.decode(message)
        except FrameError as error:
            if (hint := hint_about(str(error))) is not None:
                self.session.log(f"{error}; {hint}", error.code)
            self.session.transport.loseConnection(error.code, str(error))
            self.session.machine.client_left(Close(error.code))
        else:
            self._writer.write(data)

    # The backend side of the machine.

    def resume(self) -> None:
        """Send the kept messages to the client, and read from the backend."""
        messages, self._kept = self._kept or [], None
        self._pass(messages)
        if not self.session.transport.full:
            self.resumeReading()

    def close(self, close: Close) -> None:
        """
        Close our half of the connection, and discard data until the backend closes its half.

        A socket that is closed with unread bytes is reset, which may lose the data that we sent
        last. TLS has no half-close.
        """
        self._closing = True
        self._writer.flush()
        transport = self.transport
        transport.unregisterProducer()  # a TLS transport closes only without a producer
        if not self._ended:
            transport.resumeProducing()
        closeHalf = getattr(transport, "loseWriteConnection", None)
        if self._ended or closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()
        self._waitForEnd()

    def _waitForEnd(self) -> None:
        sessions = self.session.sessions
        self._quiet = sessions.clock.callLater(sessions.limits.close_timeout, self._endIfQuiet)

    def _endIfQuiet(self) -> None:
        """
        Close the socket of a backend that has acknowledged all data and sends nothing more.

        Many servers do not notice that a client has closed its half, and never close their own. To
        close the socket keeps the data that the backend has not read yet; a reset might lose it.
        """
        self._quiet = None
        sent = sent_to(self.transport)
        if self._receives or sent is None or sent.waiting:
            self._receives = False
            self._waitForEnd()
        else:
            lowest(self.transport).loseConnection()

    def abort(self) -> None:
        """Abort the connection at once; unsent data is lost."""
        self._closing = True
        transport = self.transport
        getattr(transport, "abortConnection", transport.loseConnection)()

    @property
    def held(self) -> int:
        """Number of bytes that wait for the client or for the backend."""
        return sum(map(len, self._kept or ())) + (self._writer.waiting or 0)

    # Back-pressure.

    def pauseReading(self) -> None:
        """Stop reading from the backend: the client's write buffer is full."""
        if not (self._closing or self._ended):
            self.transport.pauseProducing()

    def resumeReading(self) -> None:
        """Read from the backend again: the client's write buffer has room."""
        if not (self._closing or self._ended) and self._kept is None:
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """Stop reading from the client: the backend's write buffer is full."""
        self.session.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the client again: the backend's write buffer has room."""
        self.session.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""


class _OneProtocol(Factory):
    """Factory that returns one protocol, without the two log lines of ``connectProtocol``."""

    noisy = False

    def __init__(self, stream: StreamBackend) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> StreamBackend:
        return self._stream


def _tlsFailed(reason: BaseException | None, transport: Any) -> Exception:
    from ..dialing.tls import tlsError  # OpenSSL is imported only where TLS is used

    error = tlsError(reason, transport.getHandle()) or PeerLeft("tls")
    error.__cause__ = reason
    return error
