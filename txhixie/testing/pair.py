"""Both ends of a connection, joined in memory: nothing passes unless the test says so."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock

from ..client.protocol import HixieClientFactory, HixieClientProtocol
from ..interfaces import WebSocketProtocol, WebSocketServerFactory
from ..sansio.errors import HandshakeRefused
from ..sansio.extensions import CLIENT_EXTENSIONS, DEFAULT_EXTENSIONS
from ..sansio.extensions.extension import Extension
from ..sansio.handshake.offer import Offer
from ..sansio.limits import Limits
from ..sansio.types import HeadersLike
from ..server.protocol import HixieServerFactory, HixieServerProtocol
from .applications import Applications, Recorder
from .end import End
from .trace import Trace

_READ: Final = 64 * 1024
"""Bytes of one read, and of what may be underway: ``bufferSize`` of Twisted's transports."""

_MOST_READS: Final = 1_000_000
"""After so many, two ends that always have an answer are taken for what they are."""


class Cable:
    """
    One of the two ways between the ends, and what can be wrong with it.

    :ivar piece: bytes of each read at its end; 1 is byte by byte.
    :ivar cut: bytes that still pass, before the connection breaks for both; ``None``: all.
    :ivar paused: nothing passes, and what was sent waits.
    :ivar carried: every byte that has arrived.
    """

    back: Cable

    def __init__(self, source: End[Any], target: End[Any], trace: Trace) -> None:
        self._trace = trace
        self._source = source
        self._target = target
        self._waiting = b""
        self.piece = _READ
        self.cut: int | None = None
        self.paused = False
        self.carried = bytearray()

    def carry(self) -> bool:
        """
        Let one read pass, or the end of the connection.

        :return: whether there was anything.
        """
        wire = self._source.wire
        if wire.dead or self._target.wire.dead:
            return False
        if "abort" in wire.endings:
            self._break(ConnectionAborted(), ConnectionLost())
        elif self.cut == 0:
            self._break(ConnectionLost(), ConnectionLost())
        elif self.deliver():
            return True
        elif wire.endings and self._isFree():
            self._finish()
        else:
            return False
        return True

    def _isFree(self) -> bool:
        return not self.paused and not self._target.wire.paused

    def deliver(self) -> bool:
        """
        Let one read's bytes pass.

        :return: whether there were any that could.
        """
        self._waiting += self._source.wire.taken()
        size = self.piece if self.cut is None else min(self.piece, self.cut)
        data, rest = self._waiting[:size], self._waiting[size:]
        if not data or not self._isFree() or self._target.wire.dead:
            return False
        self._waiting = rest
        if self.cut is not None:
            self.cut -= len(data)
        self.carried += data
        self._trace.passed(self._source.protocol.side, data)
        self._target.receive(data)
        if not self._source.wire.dead:
            self._source.wire.arrived(len(data))
        return True

    def _finish(self) -> None:
        """
        All has passed, and no more will be sent: the other end is told, and its transport ends the
        whole connection, as that of a protocol does which knows no half-closed ones.
        """
        while self.back.deliver():  # it was on its way before
            pass
        self._break(ConnectionDone(), ConnectionDone())

    def _break(self, here: Exception, there: Exception) -> None:
        for end, reason in ((self._target, there), (self._source, here)):
            if not end.wire.dead:
                end.lose(reason)


class _Requested:
    """Gives each offer a request before it is answered."""

    def __init__(self, applications: WebSocketServerFactory, request: Any) -> None:
        self._applications = applications
        self._request = request

    def buildProtocol(self, offer: Offer) -> Any:
        offer.request = self._request
        return self._applications.buildProtocol(offer)


class Pair:
    """
    A server's and a client's connection, whose bytes pass when the test says :meth:`pump`.

    :ivar server: the server's end; ``server.protocol`` is its connection.
    :ivar client: the client's.
    :ivar toServer: the way there, with its faults.
    :ivar toClient: the way back.
    :ivar trace: what has passed, as lines to be read.
    :ivar clock: of both.
    """

    def __init__(
        self,
        serverFactory: HixieServerFactory,
        clientFactory: HixieClientFactory,
        clock: Clock,
    ) -> None:
        """
        Connect; no byte has passed yet.

        :param clock: the one that both factories were given.
        """
        self.clock = clock
        server = serverFactory.buildProtocol(None)
        client = clientFactory.buildProtocol(None)
        self.server: End[HixieServerProtocol] = End(server, clock, _READ)
        self.client: End[HixieClientProtocol] = End(client, clock, _READ)
        self.trace = Trace()
        self.toServer = Cable(self.client, self.server, self.trace)
        self.toClient = Cable(self.server, self.client, self.trace)
        self.toServer.back, self.toClient.back = self.toClient, self.toServer

    @classmethod
    def new(
        cls,
        server: WebSocketServerFactory,
        client: WebSocketProtocol | None = None,
        *,
        dialect: str = "rfc6455",
        url: str = "ws://example.com/",
        origin: str | None = None,
        subprotocols: Iterable[str] = (),
        headers: HeadersLike = (),
        serverExtensions: Iterable[Extension] = DEFAULT_EXTENSIONS,
        clientExtensions: Iterable[Extension] = CLIENT_EXTENSIONS,
        limits: Limits = Limits(),
        binary: bool = False,
        clock: Clock | None = None,
        request: Any = None,
    ) -> Pair:
        """
        Connect, and let the handshake through. Chance is the same each time.

        :param server: what a :class:`txhixie.HixieServerFactory` is given; for one that makes
            applications without looking at the offer, ``Applications(Yours)``.
        :param client: the client's application; by default a
            :class:`txhixie.testing.Recorder`.
        :param clock: of both ends; one of its own by default.
        :param request: what ``offer.request`` is, as under a Site: a
            ``twisted.web.test.requesthelper.DummyRequest``, say.
        :param limits: of both ends; and the rest as :class:`txhixie.HixieClientFactory` and
            :class:`txhixie.HixieServerFactory` take them.
        """
        clock = Clock() if clock is None else clock
        application = Recorder() if client is None else client
        serverFactory = HixieServerFactory(
            server if request is None else _Requested(server, request),
            extensions=serverExtensions,
            limits=limits,
            binary=binary,
            clock=clock,
        )
        clientFactory = HixieClientFactory(
            url,
            Applications(lambda: application),
            dialect=dialect,
            origin=origin,
            subprotocols=subprotocols,
            headers=headers,
            extensions=clientExtensions,
            limits=limits,
            binary=binary,
            clock=clock,
            entropy=Random(6455).randbytes,  # noqa: S311 (it is to be foretold)
        )
        pair = cls(serverFactory, clientFactory, clock)
        pair.pump()
        return pair

    @property
    def refused(self) -> HandshakeRefused | None:
        """The server's refusal, with its ``status``, ``headers`` and ``body``; ``None`` if it did
        not refuse."""
        failure = self.client.protocol.failure
        return failure if isinstance(failure, HandshakeRefused) else None

    def pump(self) -> None:
        """
        Let everything pass, both ways, until nobody says anything any more, in as many turns of the
        reactor as that takes.

        :raises RuntimeError: for two that never stop.
        """
        for _ in range(_MOST_READS):
            went, came = self.toServer.carry(), self.toClient.carry()
            if not went and not came and not self._turn():
                return
        raise RuntimeError("they never stop talking")

    def _turn(self) -> bool:
        """The reactor's next turn, if anything waits for it."""
        now = self.clock.seconds()
        waits = any(call.getTime() <= now for call in self.clock.getDelayedCalls())
        if waits:
            self.clock.advance(0)
        return waits

    def advance(self, seconds: float) -> None:
        """
        Let time pass, and whatever it makes them say: at most a second at once, since a clock that
        jumps is, to whoever waits for signs of life, a machine that was asleep.
        """
        self.pump()
        while seconds > 0:
            step = min(seconds, 1.0)
            seconds -= step
            self.clock.advance(step)
            # A timeout that has passed looks once more whether what it waits for has come.
            self.clock.advance(0)
            self.pump()

    def done(self) -> None:
        """
        The connection is over, now if it was not, and nothing of it remains.

        :raises AssertionError: for a timer that does.
        """
        for end in (self.client, self.server):
            if not end.wire.dead:
                end.lose()
        self.client.done()
        self.server.done()
