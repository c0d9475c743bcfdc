"""One client of a backend: its application, and the decision that waits for the backend.

It carries out what the pair's machine asks of the client's side; the messages themselves go past
it, to the backend's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from ..dialects import named
from ..handshake.offer import NOTHING_MORE, Agreement
from ..interfaces import AbruptClose, Accepted, CleanClose, Decision, WebSocketTransport
from ..pure_errors import Refused, TunnelRefused
from ..wire.frame import Close, CloseCode
from . import pair
from .closing import CLIENT_GONE, passed_on
from .outage import UNREACHED
from .pair import PAIR, Core
from .refusing import handed_on

if TYPE_CHECKING:
    from .crossings import Crossings


class Backend(pair.Backend, Protocol):
    """A backend's side, as a crossing meets it."""

    def reach(self, crossing: Crossing) -> Deferred[Agreement]:
        """
        Begin to connect. Fires, before anything is read, with what the backend has agreed to.

        :param crossing: whose ``pair`` is told of the backend's end, and whose ``transport`` gets
            its messages once ``resume`` was called.
        """
        ...

    @property
    def ping(self) -> Callable[[bytes], None] | None:
        """Takes a client's ping, to be answered by the backend; ``None``: it is answered here."""

    def pong(self, payload: bytes) -> None:
        """The client has answered a ping that was not ours."""

    def sendTextMessage(self, message: str) -> None:
        """The client has said this. It never fails."""

    def sendBytesMessage(self, data: bytes) -> None:
        """The client has said this. It never fails."""

    def pauseReading(self) -> None:
        """The way to the client is full."""

    def resumeReading(self) -> None:
        """The way to the client is free."""


@implementer(IPushProducer)
class Crossing:
    """
    From a client's offer to the end of its conversation.

    :ivar crossings: those of the same backend's, who are told how it is.
    :ivar pair: the machine; the backend's side tells it what the backend does.
    :ivar transport: the client's, once there is one.
    """

    transport: WebSocketTransport
    textMessageReceived: Callable[[str], None]
    bytesMessageReceived: Callable[[bytes], None]
    pongReceived: Callable[[bytes], None]
    pingReceived: Callable[[bytes], None]

    def __init__(
        self,
        backend: Backend,
        crossings: Crossings,
        clock: IReactorTime,
        connectTimeout: float,
        drainTimeout: float,
    ) -> None:
        """
        :param crossings: those of the same backend's, who are told how it is.
        :param connectTimeout: seconds until a backend that does not answer is given up.
        :param drainTimeout: seconds for it to read what was sent to it, and to go.
        """
        self._backend = backend
        self.crossings = crossings
        self._clock = clock
        self._connectTimeout = connectTimeout
        self._timer: IDelayedCall | None = None
        self._agreement = NOTHING_MORE
        self.pair = PAIR(Core(self, backend, self._deadline, connectTimeout, drainTimeout))

    def begin(self) -> Deferred[Decision]:
        """
        Reach the backend.

        :return: fires with what the client is to be answered; cancelling it, when the client has
            left, cancels the connecting.
        """
        self._decision: Deferred[Decision] = Deferred(self._cancelled)
        self._deadline(self._connectTimeout)
        self._backend.reach(self).addCallbacks(self._reached, self._unreached)
        return self._decision

    def _cancelled(self, decision: Deferred[Decision]) -> None:
        self.pair.client_left(Close(CloseCode.GOING_AWAY))

    def _reached(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self.pair.reached()

    def _unreached(self, failure: Failure) -> None:
        self.pair.unreached(cast(Exception, failure.value))

    def _deadline(self, seconds: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if seconds is not None:
            self._timer = self._clock.callLater(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        self.pair.late()

    def log(self, why: str, code: int | None = None) -> None:
        """
        Write a line about this client and its backend.

        :param code: what the conversation is closed with for that; ``None`` if it goes on.
        """
        self.crossings.log(getattr(self, "transport", None), why, code)

    def abort(self) -> None:
        """End the connection to the backend at once."""
        self._backend.abort()

    def backendLost(self, close: Close) -> None:
        """It has ended. ``close`` is what the client is told."""
        self.crossings.left(self)
        self.pair.backend_lost(close)

    # What the machine asks of the client's side.

    def admit(self) -> None:
        """Let it in, on the backend's conditions."""
        self.crossings.reached(self)
        backend = self._backend
        # Straight to the backend's side: each message would pay for the way through here.
        self.textMessageReceived = backend.sendTextMessage
        self.bytesMessageReceived = backend.sendBytesMessage
        self.pongReceived = backend.pong
        if backend.ping is not None:
            self.pingReceived = backend.ping
        agreed = self._agreement
        self._decision.callback(Accepted(self, agreed.subprotocol, agreed.headers))

    def refuse(self, error: Exception) -> None:
        """Say why not; what is no backend's fault is a 500, and a traceback."""
        if isinstance(error, Refused) and not isinstance(error, TunnelRefused):
            self.crossings.refused()
            self._decision.callback(handed_on(error))
        elif isinstance(error, UNREACHED):
            self._decision.callback(self.crossings.failed(error))
        else:
            self._decision.errback(error)

    def close(self, close: Close) -> None:
        """After all that was sent."""
        self.transport.loseConnection(close.code, close.reason)

    # What the client does.

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """It has been let in."""
        self.transport = transport
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        """Its conversation is open."""
        self.pair.opened()

    def connectionLost(self, reason: Failure) -> None:
        """It has gone."""
        error = cast("CleanClose | AbruptClose", reason.value)
        hasCodes = named(self.transport.offer.dialect).has_codes
        self.pair.client_left(passed_on(error.ended, hasCodes, CLIENT_GONE))

    def pauseProducing(self) -> None:
        """It does not read: neither do we, of what would have to wait for it."""
        self._backend.pauseReading()

    def resumeProducing(self) -> None:
        """It reads."""
        self._backend.resumeReading()

    def stopProducing(self) -> None:
        """It has gone, of which ``connectionLost`` tells more."""
