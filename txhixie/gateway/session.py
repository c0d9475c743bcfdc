"""Sessions of a gateway: one client and its backend.

A session is the application of the client's conversation and the client side of the session's state
machine. The client's messages go to the backend side directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from ..connection.log import fieldsOf, loggedOf, whyStalled, writeLine
from ..connection.log_fields import BackendFields, ConnectionFields
from ..connection.progress import Watched
from ..display import shown_address
from ..interfaces import AbruptClose, Accepted, CleanClose, Decision, WebSocketTransport
from ..sansio.dialects import named
from ..sansio.errors import HandshakeRefused, ProxyRefused
from ..sansio.handshake.offer import NOTHING_MORE, Agreement
from ..sansio.limits import Limits
from ..sansio.wire.frame import Close, CloseCode
from .close_codes import CLIENT_GONE, passed_on
from .headers import handed_on
from .machine import SESSION, BackendSide, SessionCore
from .outage import UNREACHED, Outages


class Backend(BackendSide, Protocol):
    """Backend side of a session, as the session calls it."""

    def reach(self, session: Session) -> Deferred[Agreement]:
        """
        Begin to connect to the backend.

        :param session: its ``machine`` gets the events of the backend, and its ``transport`` gets
            the messages of the backend once ``resume`` was called.
        :return: fires with the agreement of the backend, before data of the backend is read.
        """
        ...

    @property
    def ping(self) -> Callable[[bytes], None] | None:
        """Callable that relays a client's ping; ``None`` if the gateway answers pings itself."""

    def pong(self, payload: bytes) -> None:
        """Relay a pong of the client for a ping that the gateway has not sent itself."""

    def sendTextMessage(self, message: str) -> None:
        """Send a text message of the client to the backend; never raises."""

    def sendBytesMessage(self, data: bytes) -> None:
        """Send a binary message of the client to the backend; never raises."""

    @property
    def held(self) -> int:
        """Number of bytes that wait for the client or for the backend."""
        ...

    def pauseReading(self) -> None:
        """Stop reading from the backend: the client's write buffer is full."""

    def resumeReading(self) -> None:
        """Read from the backend again: the client's write buffer has room."""


@implementer(IPushProducer)
class Session:
    """
    Session of one client and its backend, from the client's offer to the end of the conversation.

    :ivar sessions: all sessions of the same service.
    :ivar machine: state machine of the session, which gets the events of the backend side.
    :ivar transport: transport of the client's conversation, once the handshake was accepted.
    """

    transport: WebSocketTransport
    textMessageReceived: Callable[[str], None]
    bytesMessageReceived: Callable[[bytes], None]
    pongReceived: Callable[[bytes], None]
    pingReceived: Callable[[bytes], None]

    def __init__(
        self, backend: Backend, sessions: Sessions, outages: Outages, connectTimeout: float
    ) -> None:
        """
        Make a session, which connects when :meth:`begin` is called.

        :param backend: backend side of the session.
        :param sessions: all sessions of the same service.
        :param outages: outages of the backend.
        :param connectTimeout: timeout of the connect to the backend, in seconds.
        """
        self._backend = backend
        self.sessions = sessions
        self._outages = outages
        self._connectTimeout = connectTimeout
        self._timer: IDelayedCall | None = None
        self._agreement = NOTHING_MORE
        self.machine = SESSION(
            SessionCore(self, backend, self._setTimeout, connectTimeout, sessions.drainTimeout)
        )

    def begin(self) -> Deferred[Decision]:
        """
        Connect to the backend.

        :return: fires with the decision about the client's handshake. When the client disconnects
            before, the Deferred is cancelled, which cancels the connect to the backend.
        """
        self._decision: Deferred[Decision] = Deferred(self._cancelled)
        self._setTimeout(self._connectTimeout)
        self._backend.reach(self).addCallbacks(self._reached, self._unreached)
        return self._decision

    def _cancelled(self, decision: Deferred[Decision]) -> None:
        self.machine.client_left(Close(CloseCode.GOING_AWAY))

    def _reached(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self.machine.reached()

    def _unreached(self, failure: Failure) -> None:
        self.machine.unreached(cast(Exception, failure.value))

    def _setTimeout(self, seconds: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if seconds is not None:
            self._timer = self.sessions.clock.callLater(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        self.machine.late()

    def log(self, why: str, code: int | None = None) -> None:
        """
        Write a log line about this client and its backend.

        :param why: reason of the line.
        :param code: code of the close that follows; ``None`` if the conversation continues.
        """
        self.sessions.log(self, why, code)

    def abort(self) -> None:
        """End the connection to the backend at once."""
        self._backend.abort()

    @property
    def client(self) -> WebSocketTransport | None:
        """The client's connection, once its handshake was accepted."""
        return getattr(self, "transport", None)

    @property
    def loggedBackend(self) -> str:
        """URL or endpoint of the backend, as the log has it; for the lines of the connection."""
        return self._outages.backend

    def backendLost(self, close: Close) -> None:
        """
        Close the session after its connection to the backend has ended.

        :param close: close code and reason for the client.
        """
        self.sessions.left(self)
        self.machine.backend_lost(close)

    @property
    def heldBytes(self) -> int:
        """Number of bytes that the session holds, for the ceiling of all connections."""
        return self._backend.held

    def discardHeldBytes(self) -> None:
        """End the connection to the backend at once, since all connections hold too many bytes."""
        self.abort()

    # The client side of the machine.

    def admit(self) -> None:
        """Accept the client's handshake, with the subprotocol and the headers of the backend."""
        self._outages.served()
        self.sessions.reached(self)
        backend = self._backend
        # The methods of the backend side itself, which saves one call for each message.
        self.textMessageReceived = backend.sendTextMessage
        self.bytesMessageReceived = backend.sendBytesMessage
        self.pongReceived = backend.pong
        if backend.ping is not None:
            self.pingReceived = backend.ping
        agreed = self._agreement
        self._decision.callback(Accepted(self, agreed.subprotocol, agreed.headers))

    def refuse(self, error: Exception) -> None:
        """
        Refuse the client's handshake.

        An internal error, which the backend did not cause, is a 500 with a traceback in the log.
        """
        if isinstance(error, HandshakeRefused) and not isinstance(error, ProxyRefused):
            self._outages.refused(error.status)
            self._decision.callback(handed_on(error))
        elif isinstance(error, UNREACHED):
            self._decision.callback(self._outages.failed(error))
        else:
            self._decision.errback(error)

    def close(self, close: Close) -> None:
        """Close the client's conversation after all messages were sent."""
        self.transport.loseConnection(close.code, close.reason)

    # Events of the client.

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Register the session as the producer that the client's full transport pauses."""
        self.transport = transport
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        """Tell the machine that the client's conversation is open."""
        self.machine.opened()

    def connectionLost(self, reason: Failure) -> None:
        """Tell the machine that the client disconnected, with the close for the backend."""
        error = cast("CleanClose | AbruptClose", reason.value)
        hasCodes = named(self.transport.offer.dialect).has_codes
        self.machine.client_left(passed_on(error.ended, hasCodes, CLIENT_GONE))

    def pauseProducing(self) -> None:
        """Stop reading from the backend while the client's write buffer is full."""
        self._backend.pauseReading()

    def resumeProducing(self) -> None:
        """Read from the backend again, since the client's write buffer has room."""
        self._backend.resumeReading()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows, with the close of the client."""


class Sessions:
    """
    All sessions of a service with its backends.

    :ivar limits: close, drain and stall timeouts of the connections to the backends.
    :ivar clock: measures these timeouts.
    :ivar drainTimeout: seconds for a backend to read its remaining data and to disconnect.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, limits: Limits, route: str | None = None) -> None:
        """
        Make an empty set of sessions.

        :param clock: measures the timeouts.
        :param limits: close, drain and stall timeouts of the connections to the backends.
        :param route: route that leads to the service, for the log.
        """
        self.limits = limits
        self.clock = clock
        self.drainTimeout = limits.close_timeout + limits.drain_timeout
        self._watched: Watched[Any] = Watched(limits.stall_timeout, lambda: clock, self._stalled)
        self._route = route
        self._connected: set[Session] = set()
        self._waiting: list[Deferred[None]] = []

    def begin(
        self, backend: Backend, outages: Outages, connectTimeout: float
    ) -> Deferred[Decision]:
        """
        Begin the session of one more client.

        :param backend: backend side of the session.
        :param outages: outages of this backend.
        :param connectTimeout: timeout of the connect to the backend, in seconds.
        :return: fires with the decision about the client's handshake; to cancel the Deferred
            cancels the connect to the backend.
        """
        return Session(backend, self, outages, connectTimeout).begin()

    @property
    def hasBackends(self) -> bool:
        """Whether a connection to a backend is open."""
        return bool(self._connected)

    def drained(self) -> Deferred[None]:
        """
        Wait until all connections to the backends have ended.

        :return: fires with ``None`` when no connection to a backend is left: each has ended after
            the backend has read its data, or after the drain timeout. The Deferred never fails.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._tellIfNone()
        return done

    def abortAll(self) -> None:
        """Abort every connection to a backend at once."""
        for session in tuple(self._connected):
            session.abort()

    # Progress.

    def connected(self, stream: Any) -> None:
        """Watch the progress of a new connection to a stream backend."""
        self._watched.add(stream)

    def disconnected(self, stream: Any) -> None:
        """Stop watching a connection that has ended."""
        self._watched.discard(stream)

    def _stalled(self, connection: Any, waiting: int) -> None:
        reason = whyStalled(self.limits.stall_timeout)
        named, known = self._fields(connection.session), _fieldsOf(connection.session.client)
        known["peer"] = shown_address(connection.transport.getPeer())  # the backend's address
        writeLine(self._log, "stalled", **known, **named, reason=reason, waiting=waiting)
        connection.abort()

    def _fields(self, session: Session) -> BackendFields:
        return BackendFields(route=self._route, backend=session.loggedBackend)

    # Events of the sessions.

    def reached(self, session: Session) -> None:
        """Add a session after its backend was connected."""
        self._connected.add(session)

    def left(self, session: Session) -> None:
        """Remove a session after its connection to the backend has ended."""
        self._connected.discard(session)
        self._tellIfNone()

    def log(self, session: Session, why: str, code: int | None) -> None:
        """
        Write a log line about one client and its backend.

        :param session: session of the client.
        :param why: reason of the line.
        :param code: code of the close that follows; ``None`` if the conversation continues.
        """
        named, known = self._fields(session), _fieldsOf(session.client)
        writeLine(self._log, "gateway", LogLevel.warn, **known, **named, code=code, reason=why)

    def _tellIfNone(self) -> None:
        if not self._connected:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)


def _fieldsOf(client: WebSocketTransport | None) -> ConnectionFields:
    return {} if client is None else fieldsOf(loggedOf(client))
