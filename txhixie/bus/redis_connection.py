"""A connection to Redis that reconnects, with a protocol of txredisapi."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import hiredis
import txredisapi
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ..client.backoff import Backoff
from .paced_work import PacedWork
from .redis_address import RedisAddress

REPLY_SECONDS: Final = 10.0
"""Seconds for each reply of the server; then the connection is aborted. Longer than Redis needs to
fork for a snapshot of many gigabytes."""

MOST_REPLY: Final = 64 * 1024 * 1024
"""Most bytes of a reply of the server, which may have many messages; then the connection is
aborted."""

_PING_SECONDS: Final = 5.0
"""Seconds between two pings: a connection without one would never notice that the server's machine
has lost its power."""

_STOP_SECONDS: Final = 1.0
"""Seconds for the last messages when the bus stops."""


_LOOKS: Final = 4
"""Looks within :data:`REPLY_SECONDS`, between which the process reads. A process that is busy for
so long, as one that sends to thousands of members on a busy machine, finds the reply only then."""


class _ReplyTimeout:
    """
    Calls a function when a protocol has read nothing for :data:`_LOOKS` looks.

    It has those methods of a delayed call that txredisapi calls.
    """

    def __init__(
        self, protocol: BoundedReplies, seconds: float, call: Callable[[], object]
    ) -> None:
        self._protocol = protocol
        self._seconds = seconds / _LOOKS
        self._call = call
        self._reads = protocol.reads
        self._left = _LOOKS
        self._wait()

    def _wait(self) -> None:
        self._timer = self._protocol.factory.clock.callLater(self._seconds, self._look)

    def _look(self) -> None:
        if self._reads == self._protocol.reads:
            self._left -= 1
        else:  # replies come in order: the server is sending those before
            self._reads, self._left = self._protocol.reads, _LOOKS
        if self._left:
            self._wait()
        else:
            self._call()

    def active(self) -> bool:
        """Whether the function has not been called."""
        active: bool = self._timer.active()
        return active

    def cancel(self) -> None:
        """Do not call the function."""
        self._timer.cancel()


class BoundedReplies:
    """
    Parses replies with hiredis, and ends the connection at a reply that is too long.

    hiredis has no bound of its own, and Redis sends up to 512 MB in one message. The method of
    txredisapi would convert each word of each reply, which takes half of the time of a message.

    :ivar reads: number of turns of the reactor in which replies were read.
    """

    _held = 0  # bytes of the reply that is not whole yet, and at most a read more
    _lastRead = 0  # bytes of the last read
    reads = 0
    factory: Any
    transport: Any

    def __init__(self, **options: Any) -> None:
        """:param options: those of txredisapi."""
        super().__init__(**options)
        invalid, error = txredisapi.InvalidData, txredisapi.ResponseError
        self._parser = hiredis.Reader(protocolError=invalid, replyError=error)

    def callLater(self, seconds: float, call: Callable[[], object]) -> _ReplyTimeout:
        """Make the timeout of a reply: a method that txredisapi calls."""
        return _ReplyTimeout(self, seconds, call)

    def connectionMade(self) -> None:
        """Prepare to read replies."""
        self._paced = PacedWork(self.factory.clock, self._readReplies, self.transport)
        super().connectionMade()  # type: ignore[misc]  # a method of the class of txredisapi that this class is mixed into

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Handle the replies that were received before the end of the connection."""
        self._paced.finish()
        super().connectionLost(reason)  # type: ignore[misc]  # a method of the class of txredisapi that this class is mixed into

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Parse bytes; abort the connection if they belong to a reply that is too long."""
        self._parser.feed(data)
        self._lastRead = len(data)
        self._held += len(data)
        self._paced.go()
        if self._held > MOST_REPLY:
            self._held = 0
            self.factory.replyTooLong()
            self.transport.abortConnection()

    def _readReplies(self, until: float) -> bool:
        """Handle replies until a time; return whether some may be left."""
        self.reads += 1
        parser = self._parser
        reply = parser.gets()
        if reply is False:
            return False
        self._held = self._lastRead
        while reply is not False:
            self.replyReceived(reply)
            # At a moderate rate a read has one reply: nothing is asked again without further bytes.
            if not parser.has_data():
                return False
            if self.factory.clock.seconds() >= until:
                return True
            reply = parser.gets()
        return False

    def replyReceived(self, reply: Any) -> None:
        """Handle a reply."""
        super().replyReceived(reply)  # type: ignore[misc]  # a method of the class of txredisapi that this class is mixed into


class RedisCommands(BoundedReplies, txredisapi.HiredisProtocol):  # type: ignore[misc]  # txredisapi has no annotations
    """A connection for commands. hiredis is in C; without it, txredisapi parses in Python."""


class RedisSubscriber(BoundedReplies, txredisapi.SubscriberProtocol):  # type: ignore[misc]  # txredisapi has no annotations
    """
    A connection for the messages of channels.

    :ivar heard: called with the channel and the message.
    """

    heard: Callable[[bytes, bytes], object]

    def replyReceived(self, reply: Any) -> None:
        """Handle a message, or the reply to a command."""
        if type(reply) is list and reply[0] == b"message":
            self.heard(reply[1], reply[2])
        else:
            super().replyReceived(reply)


class RedisConnection(Factory):
    """
    Connection that is made again whenever it is lost.

    ``ClientService`` is not used: it writes a log line for each attempt, and does not tell why an
    attempt failed. A protocol of txredisapi tells this factory why the server refused it.

    :ivar clock: the reactor.
    :ivar protocol: the connected protocol; ``None`` without a connection that can be used.
    :ivar whenTooLong: called when the connection is aborted because of a reply that is too long.
    """

    noisy = False
    isLazy = False  # asked by a protocol of txredisapi, which would write a log line of its own
    protocol: Any = None

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        make: Callable[..., Any],
        ready: Callable[[], object],
        lost: Callable[[str], object],
    ) -> None:
        """
        :param reactor: the reactor.
        :param address: the server.
        :param make: the protocol class of txredisapi.
        :param ready: called when the server has accepted the credentials.
        :param lost: called with the reason when the connection is lost, and after each attempt that
            failed.
        """
        self.clock = reactor
        self._address = address
        self._endpoint = address.endpoint(reactor)
        self._make = make
        self._ready = ready
        self._lost = lost
        self._backoff = Backoff(first=0.5, longest=5.0)
        self._failures = 0
        self._ping: Any = None
        self._pausing: Deferred[None] | None = None
        self._running: Deferred[None] | None = None
        self._made: Any = None  # the protocol, from the connection on, before the server accepts it
        self._over: Deferred[Any] = succeed(None)
        self._isStopped = False
        self.whenTooLong: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Connect, and connect again whenever the connection is lost."""
        self._running = Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        while not self._isStopped:
            try:
                self._made = await self._endpoint.connect(self)
            except Exception as error:
                if not self._isStopped:
                    self._lost(str(error) or type(error).__name__)
            else:
                await self._over
                self._made = None
            if not self._isStopped:
                await self._pause()

    async def _pause(self) -> None:
        """Wait before the next attempt."""
        self._failures += 1
        self._pausing = deferLater(self.clock, self._backoff.delay(self._failures))
        with suppress(CancelledError):
            await self._pausing
        self._pausing = None

    def hurry(self) -> None:
        """Make the next attempt now, or soon: another connection to the server was made."""
        self._failures = 0
        if self._pausing is not None:
            self._pausing.cancel()

    def stop(self) -> Deferred[None]:
        """Disconnect; fires with ``None`` in the end."""
        self._isStopped = True
        if self._running is None:
            return succeed(None)
        if (protocol := self._made) is None:
            self._running.cancel()
            return self._running
        protocol.transport.loseConnection()
        # A server that stands still takes none of the last bytes.
        abort = self.clock.callLater(_STOP_SECONDS, protocol.transport.abortConnection)
        return self._running.addBoth(lambda _: abort.cancel() if abort.active() else None)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Build a protocol that hands out bytes.

        txredisapi decodes by default what is UTF-8, and makes numbers of what looks like one.
        """
        address = self._address
        protocol = self._make(
            charset=None,
            convertNumbers=False,
            replyTimeout=REPLY_SECONDS,
            password=address.url.password,
            username=address.url.user,
            dbid=address.database or None,
        )
        protocol.factory = self
        protocol.whenConnected().addCallback(self._connected)
        self._over = protocol.whenDisconnected()
        return protocol

    def _connected(self, protocol: Any) -> None:
        self.protocol = protocol
        self._failures = 0
        protocol.whenDisconnected().addCallback(self._disconnected)
        self._ping = self.clock.callLater(_PING_SECONDS, self._sendPing)
        self._ready()

    def _sendPing(self) -> None:
        self._ping = self.clock.callLater(_PING_SECONDS, self._sendPing)
        # Without a reply txredisapi aborts the connection, and the reason is known by then.
        self.protocol.ping().addErrback(lambda _: None)

    def _disconnected(self, _: object) -> None:
        self.protocol = None
        self._ping.cancel()
        self._lost("the connection was lost")

    def replyTooLong(self) -> None:
        """Take the reason why a protocol aborts its connection."""
        self._lost(f"a reply of the server has more than {MOST_REPLY:,} bytes")
        self.whenTooLong()

    # What a protocol of txredisapi calls when the server refuses the credentials or the database.

    def stopTrying(self) -> None:
        """Do nothing: the operator may correct the server's users."""

    def connectionError(self, why: str) -> None:
        """Take the reason why the server refused."""
        self._lost(why)
