"""The connections of one factory, and what they share: limits, clock, log, and timers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import BaseProtocol
from twisted.logger import Logger

from ..sansio.arguments import instance, scalars, word
from ..sansio.conversation import Conversation
from ..sansio.extensions.extension import Extension, chosen_extensions
from ..sansio.http.head import NOTHING_ASKED, Asked
from ..sansio.limits import Limits
from ..sansio.paced_conversation import PacedConversation
from ..sansio.types import RandomBytes
from ..sockets.inherited_options import InheritedOptions
from .expiry import Expiries
from .flight_recorder import FlightRecorder
from .held_bytes import HeldBytes, Holder
from .keepalive import Keepalive
from .lifetimes import Lifetimes
from .log import ConnectionLog
from .progress import Watched
from .socket_options import inheritable
from .tap import Tap
from .timeouts import Timeouts
from .tracer import Tracer

BINARY_CHOICES: Final = ("refuse", "send")
"""Values of the option ``binary``, the default first."""

C = TypeVar("C", bound=BaseProtocol)


@dataclass(frozen=True, slots=True)
class TimerCalls(Generic[C]):
    """
    The functions that the timers of a group call with one of its connections.

    :ivar stalled: see :class:`txhixie.connection.progress.Watched`.
    :ivar look: see :class:`txhixie.connection.keepalive.Keepalive`.
    :ivar activity: see :class:`txhixie.connection.lifetimes.Lifetimes`.
    :ivar over: see :class:`txhixie.connection.lifetimes.Lifetimes`.
    :ivar expired: see :class:`txhixie.connection.expiry.Expiries`.
    """

    stalled: Callable[[C, int], None]
    look: Callable[[C, float, bool], None]
    activity: Callable[[C], object]
    over: Callable[[C, str], None]
    expired: Callable[[C], None]


class ConnectionGroup(Generic[C]):
    """
    The part of a factory that its connections use: what they share.

    :class:`txhixie.HixieFactory` describes the attributes that a program may use. The others are:

    :ivar conversation: makes the conversation of a connection.
    :ivar timeouts: timeout queues of the connections.
    :ivar watched: the connections, checked for stalled peers.
    :ivar draining: the timers of lost connections with last messages that the application has not
        taken yet; undelivered messages are dropped then.
    :ivar keepalive: automatic pings of the connections.
    :ivar inheritedOptions: options of the connections' sockets.
    :ivar tracer: writes what connections receive and send to the log; ``None`` for none.
    :ivar connectionPoller: whether open connections over TCP without TLS are moved to a
        :class:`txhixie.sockets.connection_poller.ConnectionPoller`, where there is epoll.
    :ivar recorder: keeps the last events of each connection for the log; ``None`` for none.
    """

    connectionPoller = True
    heldBytes: HeldBytes | None
    tracer: Tracer | None = None
    recorder: FlightRecorder | None = None
    _logger = Logger()

    def __init__(
        self,
        limits: Limits,
        clock: IReactorTime | None,
        binary: str,
        logConnections: bool,
        extensions: Iterable[Extension],
        entropy: RandomBytes,
        calls: TimerCalls[C],
    ) -> None:
        scalars(bool, logConnections=logConnections)
        # Each read looks at it, and an attribute of the class would take 0.04 us more.
        self.heldBytes = None
        self.limits = instance("limits", limits, Limits)
        self.sendsBinary = word("binary", binary, BINARY_CHOICES) == "send"
        self.extensions = chosen_extensions(extensions)
        self.entropy = entropy
        self._clock = clock
        self._calls = calls
        self.conversation: Callable[..., Conversation] = Conversation
        if limits.messages_per_second is not None or limits.bytes_per_second is not None:
            self.conversation = partial(PacedConversation, seconds=self._seconds)
        self.log = ConnectionLog(self._logger, logConnections, lambda: self.clock)
        self.timeouts = Timeouts(lambda: self.clock)
        self.watched: Watched[C] = Watched(limits.stall_timeout, lambda: self.clock, calls.stalled)
        self.connections = self.watched.connections
        self.draining: dict[C, IDelayedCall] = {}
        self.keepalive = Keepalive(limits, lambda: self.clock, self.connections, calls.look)
        self.inheritedOptions = InheritedOptions(inheritable(limits))
        self._lifetimes: Lifetimes[C] | None = None
        if limits.idle_timeout is not None or limits.lifetime is not None:
            self._lifetimes = Lifetimes(
                limits, lambda: self.clock, self.connections, calls.activity, calls.over
            )
        self._expiries: Expiries[C] | None = None  # made for the first connection

    @property
    def clock(self) -> IReactorTime:
        """The clock that was passed to the factory, or else the reactor."""
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = cast(IReactorTime, reactor)
        return self._clock

    def _seconds(self) -> float:
        return self.clock.seconds()

    def joined(self, connection: C) -> None:
        """Add a connection that was made."""
        self.watched.add(connection)
        if self.tracer is not None or self.recorder is not None:
            self._tap(connection)
        if self.heldBytes is not None:
            self.heldBytes.watch(self)
        if self._lifetimes is not None:
            self._lifetimes.start()

    def _tap(self, connection: Any) -> None:
        """Show what a new connection receives and sends, to those that want to know."""
        tap = Tap(connection, self._maskedTarget)
        if self.recorder is not None:
            self.recorder.follow(tap)
        if self.tracer is not None and self.tracer.isOn:
            self.tracer.follow(tap, connection)
        connection.tap = tap if tap.readers else None

    def _maskedTarget(self, target: str) -> str:
        """Return a request target without the tokens that are in its path."""
        return self.masked(NOTHING_ASKED._replace(target=target)).target or ""

    def masked(self, asked: Asked) -> Asked:
        """Return the host, target and origin of a request for the log."""
        return asked

    def trace(self, isOn: bool) -> None:
        """
        Begin or end the trace, also of the conversations that are open.

        :param isOn: whether to trace. A handshake that has begun is not traced.
        """
        if (tracer := self.tracer) is None:
            return
        tracer.isOn = isOn
        for each in tuple(self.connections):
            connection: Any = each
            tap = connection.tap or Tap(connection, self._maskedTarget)
            tracer.leave(tap)
            if isOn and connection.isOpen:
                tracer.follow(tap, connection)
            connection.tap = tap if tap.readers else None
        if not isOn:
            tracer.stop()

    def left(self, connection: C) -> None:
        """Remove a connection that has ended."""
        self.watched.discard(connection)
        if self.heldBytes is not None:
            self.heldBytes.count(cast(Holder, connection))
        if self._expiries is not None:
            self._expiries.discard(connection)
        if not self.connections:
            self.emptied()

    def expire(self, connection: C, seconds: float) -> None:
        """Close a connection with 1008 after a number of seconds, unless it has ended before."""
        if self._expiries is None:
            self._expiries = Expiries(lambda: self.clock, self._calls.expired)
        self._expiries.add(connection, seconds)

    def emptied(self) -> None:
        """Stop the timers: the last connection has ended."""
        self.keepalive.stop()
        if self.heldBytes is not None:
            self.heldBytes.forget(self)
        if self._lifetimes is not None:
            self._lifetimes.stop()
