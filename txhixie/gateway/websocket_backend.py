"""A backend that speaks WebSocket: one conversation of one client's, in a dialect of its own.

It is the application of that conversation, and carries out what the session's machine asks of the
backend's side. Messages pass whole, text as text and binary as binary.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ..client.endpoint import WebSocketClientEndpoint
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
"""What becomes of a binary message towards a dialect that has none: it ends both conversations with
1003, or is sent as text of base64. Text from there stays text: it may be just that."""


@implementer(IPushProducer)
class WebSocketBackend:
    """
    The backend's side. As a producer it stands for the client, who is paused while the backend does
    not read.

    :ivar transport: the backend's.
    """

    stage = "handshake"
    transport: WebSocketTransport
    pingReceived: Callable[[bytes], None]

    def __init__(
        self, endpoint: WebSocketClientEndpoint, dialect: Dialect, binary: str, relaysPings: bool
    ) -> None:
        """
        :param dialect: that of the endpoint.
        :param binary: one of :data:`BINARY_RULES`.
        :param relaysPings: pings pass as well: both dialects have them. Otherwise they are
            answered on either side.
        """
        self._endpoint = endpoint
        self._dialect = dialect
        self._binary = binary
        self._kept: list[str | bytes] | None = []  # while the client's conversation is not open
        self.ping: Callable[[bytes], None] | None = None
        if relaysPings:
            self.ping = self._ping
            self.pingReceived = self._pingReceived

    # Reaching it.

    def reach(self, session: Session) -> Deferred[Agreement]:
        """
        Connect and shake hands.

        :return: fires with the subprotocol that the backend has chosen and its cookies. Fails as
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
        del self._endpoint  # 3 kB for as long as the client stays
        agreed = cast(Agreement, self.transport.agreement)
        cookies = tuple((b"Set-Cookie", v) for name, v in agreed.headers if name == b"set-cookie")
        return Agreement(agreed.subprotocol, cookies)

    def cancel(self) -> None:
        """Whatever is waited for."""
        self._reaching.cancel()

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """It is connected."""
        self.transport = transport

    def negotiationFinished(self) -> None:
        """It has agreed; it is not read from until there is somebody to read for."""
        self.transport.pauseProducing()
        self.transport.attachProducer(self)

    # What the backend says, and how it ends. What comes before there is anybody to hear it is kept:
    # a connection that ends says what it has.

    def textMessageReceived(self, message: str) -> None:
        """It has said this."""
        if self._kept is None:
            self._session.transport.sendTextMessage(message)
        else:
            self._kept.append(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """It has said this."""
        if self._kept is None:
            self._carry(self._session.transport, data)
        else:
            self._kept.append(data)

    def _pingReceived(self, payload: bytes) -> None:
        """It waits for a pong of the client's."""
        if self._kept is None:
            passOn(self._session.transport.ping, payload)

    def pongReceived(self, payload: bytes) -> None:
        """It has answered the client's ping, or says that it lives."""
        if self.ping is not None and self._kept is None:
            passOn(self._session.transport.pong, payload)

    def connectionLost(self, reason: Failure) -> None:
        """It has gone."""
        ended = cast("CleanClose | AbruptClose", reason.value).ended
        self._session.backendLost(passed_on(ended, self._dialect.has_codes, BACKEND_GONE))

    # What the client says.

    def sendTextMessage(self, message: str) -> None:
        """The client has said this."""
        self.transport.sendTextMessage(message)

    def sendBytesMessage(self, data: bytes) -> None:
        """The client has said this."""
        self._carry(self.transport, data)

    def pong(self, payload: bytes) -> None:
        """The client has answered a ping that was not ours."""
        passOn(self.transport.pong, payload)

    def _ping(self, payload: bytes) -> None:
        passOn(self.transport.ping, payload)

    # Binary, which goes by the rule where there is none.

    def _carry(self, transport: WebSocketTransport, data: bytes) -> None:
        try:
            transport.sendBytesMessage(data)
        except UnsupportedByDialect:
            if self._binary == AS_BASE64:
                transport.sendTextMessage(b64encode(data).decode("ascii"))
            else:
                self._refuseBinary(transport.offer.dialect)

    def _refuseBinary(self, dialect: str) -> None:
        self._session.log(f"a binary message, and {dialect} has none", CloseCode.UNSUPPORTED_DATA)
        self._session.machine.backend_ended(
            Close(CloseCode.UNSUPPORTED_DATA, "no binary is carried here")
        )

    # What the machine asks.

    def resume(self) -> None:
        """There is somebody to read for."""
        kept, self._kept = self._kept or [], None
        for message in kept:
            if isinstance(message, str):
                self.textMessageReceived(message)
            else:
                self.bytesMessageReceived(message)
        if not self._session.transport.full:
            self.resumeReading()

    def close(self, close: Close) -> None:
        """In its dialect's way, after all that was sent."""
        self.transport.loseConnection(close.code, close.reason)

    def abort(self) -> None:
        """Nothing that is still to be said or read matters."""
        self.transport.abortConnection()

    # Who has to wait for whom.

    def pauseReading(self) -> None:
        """The client does not read."""
        self.transport.pauseProducing()

    def resumeReading(self) -> None:
        """The client reads."""
        if self._kept is None:
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """The backend does not read: no more is taken from the client."""
        if self._kept is None:
            self._session.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The backend reads."""
        if self._kept is None:
            self._session.transport.resumeProducing()

    def stopProducing(self) -> None:
        """It has gone, of which ``connectionLost`` tells more."""


def passOn(send: Callable[[bytes], None], payload: bytes) -> None:
    """Send a ping or a pong, or nothing where the dialect does not have them."""
    with suppress(UnsupportedByDialect):
        send(payload)
