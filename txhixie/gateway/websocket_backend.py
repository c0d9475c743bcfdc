"""WebSocket backends: the conversation of one client with a backend, in the backend's dialect.

A WebSocket backend is the application of this conversation and the backend side of the session's
state machine. Whole messages are passed on, text as text and binary as binary.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ..client.endpoint import WebSocketClientEndpoint
from ..connection.protocol import HixieProtocol
from ..dialing.stage import Abandoned
from ..interfaces import AbruptClose, CleanClose, WebSocketTransport
from ..sansio.dialects import Dialect
from ..sansio.errors import UnsupportedByDialect
from ..sansio.handshake.offer import Agreement
from ..sansio.wire.frame import Close, CloseCode
from .close_codes import BACKEND_GONE, passed_on
from .session import Session

REFUSE: Final = "refuse"
AS_BASE64: Final = "base64"
BINARY_RULES: Final = (REFUSE, AS_BASE64)
"""Values of the option ``binary``, for a binary message to a side with a dialect without
binary messages: ``"refuse"`` closes both conversations with 1003, ``"base64"`` sends the message as
text in base64. In the other direction, text that looks like base64 stays text."""


@implementer(IPushProducer)
class WebSocketBackend:
    """
    Backend side of a session: one conversation with a WebSocket backend.

    As a producer the object pauses the client's transport while the backend's write buffer is full.

    :ivar stage: stage of the connect that was cancelled.
    :ivar transport: transport of the conversation with the backend.
    """

    stage = "handshake"
    transport: WebSocketTransport
    pingReceived: Callable[[bytes], None]

    def __init__(
        self, endpoint: WebSocketClientEndpoint, dialect: Dialect, binary: str, relaysPings: bool
    ) -> None:
        """
        Make a backend side, which connects when :meth:`reach` is called.

        :param endpoint: endpoint of the backend.
        :param dialect: dialect of the endpoint.
        :param binary: one of :data:`BINARY_RULES`.
        :param relaysPings: whether to pass pings and pongs on, which both dialects have to have;
            ``False``: the gateway answers the pings of either side.
        """
        self._endpoint = endpoint
        self._dialect = dialect
        self._binary = binary
        self._kept: list[str | bytes] | None = []  # while the client's conversation is not open
        self.ping: Callable[[bytes], None] | None = None
        if relaysPings:
            self.ping = self._ping
            self.pingReceived = self._pingReceived

    # Connecting.

    def reach(self, session: Session) -> Deferred[Agreement]:
        """
        Connect to the backend, with the WebSocket handshake.

        :return: fires with the subprotocol that the backend has selected, and its cookies. Fails as
            :meth:`txhixie.WebSocketClientEndpoint.connect` does.
        """
        self._session = session
        self._reaching = Deferred.fromCoroutine(self._reach())
        return self._reaching

    async def _reach(self) -> Agreement:
        try:
            await self._endpoint.connectApplication(self)
        except Abandoned as abandoned:
            self.stage = abandoned.stage
            raise CancelledError from abandoned
        del self._endpoint  # saves 3 kB while the session lasts
        agreed = cast(Agreement, self.transport.agreement)
        cookies = tuple((b"Set-Cookie", v) for name, v in agreed.headers if name == b"set-cookie")
        return Agreement(agreed.subprotocol, cookies)

    def cancel(self) -> None:
        """Cancel the current stage of the connect."""
        self._reaching.cancel()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Keep the transport of the backend's conversation."""
        self.transport = transport

    def negotiationFinished(self) -> None:
        """Pause reading from the backend until the client's conversation is open."""
        self.transport.pauseProducing()
        self.transport.attachProducer(self)

    # Messages and end of the backend. Messages are kept while the client's conversation is not
    # open: a connection that ends delivers its buffered messages also while it is paused.

    def textMessageReceived(self, message: str) -> None:
        """Pass a text message of the backend on to the client, or keep the message."""
        if self._kept is None:
            self._session.transport.sendTextMessage(message)
        else:
            self._kept.append(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Pass a binary message of the backend on to the client, or keep the message."""
        if self._kept is None:
            self._sendBytes(self._session.transport, data)
        else:
            self._kept.append(data)

    def _pingReceived(self, payload: bytes) -> None:
        """Relay a ping of the backend to the client."""
        if self._kept is None:
            passOn(self._session.transport.ping, payload)

    def pongReceived(self, payload: bytes) -> None:
        """Relay a pong of the backend to the client, also a pong without a ping."""
        if self.ping is not None and self._kept is None:
            passOn(self._session.transport.pong, payload)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the session that the backend disconnected, with the close for the client."""
        ended = cast("CleanClose | AbruptClose", reason.value).ended
        self._session.backendLost(passed_on(ended, self._dialect.has_codes, BACKEND_GONE))

    # Messages of the client.

    def sendTextMessage(self, message: str) -> None:
        """Send a text message of the client to the backend."""
        self.transport.sendTextMessage(message)

    def sendBytesMessage(self, data: bytes) -> None:
        """Send a binary message of the client to the backend."""
        self._sendBytes(self.transport, data)

    def pong(self, payload: bytes) -> None:
        """Relay a pong of the client for a ping that the gateway has not sent itself."""
        passOn(self.transport.pong, payload)

    def _ping(self, payload: bytes) -> None:
        passOn(self.transport.ping, payload)

    # Binary messages, for which the option ``binary`` decides if a dialect has none.

    def _sendBytes(self, transport: WebSocketTransport, data: bytes) -> None:
        try:
            transport.sendBytesMessage(data)
        except UnsupportedByDialect:
            if self._binary == AS_BASE64:
                transport.sendTextMessage(b64encode(data).decode("ascii"))
            else:
                self._refuseBinary(transport.offer.dialect)

    def _refuseBinary(self, dialect: str) -> None:
        why = f"binary message for a side with {dialect}, which has no binary messages"
        self._session.log(why, CloseCode.UNSUPPORTED_DATA)
        self._session.machine.backend_ended(
            Close(CloseCode.UNSUPPORTED_DATA, "binary messages are not supported")
        )

    # The backend side of the machine.

    def resume(self) -> None:
        """Send the kept messages to the client, and read from the backend."""
        # A log line about the connection to the backend has the number of the client's connection.
        cast(Any, self.transport).number = getattr(self._session.transport, "number", 0)
        kept, self._kept = self._kept or [], None
        for message in kept:
            if isinstance(message, str):
                self.textMessageReceived(message)
            else:
                self.bytesMessageReceived(message)
        if not self._session.transport.full:
            self.resumeReading()

    def close(self, close: Close) -> None:
        """Close the backend's conversation, after all messages were sent."""
        self.transport.loseConnection(close.code, close.reason)

    def abort(self) -> None:
        """Abort the connection at once; unsent data is lost."""
        self.transport.abortConnection()

    @property
    def held(self) -> int:
        """Number of bytes that wait for the client or for the backend."""
        kept = sum(map(len, self._kept or ()))
        return kept + cast(HixieProtocol, self.transport).holding.size

    # Back-pressure.

    def pauseReading(self) -> None:
        """Stop reading from the backend: the client's write buffer is full."""
        self.transport.pauseProducing()

    def resumeReading(self) -> None:
        """Read from the backend again: the client's write buffer has room."""
        if self._kept is None:
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """Stop reading from the client: the backend's write buffer is full."""
        if self._kept is None:
            self._session.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the client again: the backend's write buffer has room."""
        if self._kept is None:
            self._session.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""


def passOn(send: Callable[[bytes], None], payload: bytes) -> None:
    """Send a ping or a pong; do nothing if the dialect has no pings."""
    with suppress(UnsupportedByDialect):
        send(payload)
