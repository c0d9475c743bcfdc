"""Pair of a client and a server in memory; data is delivered only when the test calls for it."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock

from ..client.factory import HixieClientFactory
from ..client.protocol import HixieClientProtocol
from ..interfaces import WebSocketProtocol, WebSocketServerFactory
from ..sansio.errors import HandshakeRefused
from ..sansio.extensions import CLIENT_EXTENSIONS, DEFAULT_EXTENSIONS
from ..sansio.extensions.extension import Extension
from ..sansio.handshake.offer import Offer
from ..sansio.limits import Limits
from ..sansio.types import HeadersLike
from ..server.factory import HixieServerFactory
from ..server.protocol import HixieServerProtocol
from .applications import Applications, Recorder
from .end import End
from .trace import Trace

_READ: Final = 64 * 1024
"""Bytes of one read, and of the write buffer: ``bufferSize`` of Twisted's transports."""

_MOST_READS: Final = 1_000_000
"""Most reads of one :meth:`Pair.pump`: two sides that send without end fail the test."""


class Cable:
    """
    One direction between the two sides, with faults that a test can set.

    :ivar piece: bytes of each read of the receiver.
    :ivar cut: bytes that are still delivered before the connection is lost for both sides;
        ``None``: all.
    :ivar paused: whether delivery is paused; sent data then waits.
    :ivar carried: all bytes delivered so far.
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
        Deliver one read, or the end of the connection.

        :return: whether anything was delivered.
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
        Deliver the bytes of one read.

        :return: whether any bytes were delivered.
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
        End the connection after all data was delivered.

        The receiver's transport ends both directions, as a Twisted transport does for a protocol
        without support for half-closed connections.
        """
        while self.back.deliver():  # data that was sent before the end
            pass
        self._break(ConnectionDone(), ConnectionDone())

    def _break(self, here: Exception, there: Exception) -> None:
        for end, reason in ((self._target, there), (self._source, here)):
            if not end.wire.dead:
                end.lose(reason)


class _Requested:
    """Server factory that sets the request of each offer."""

    def __init__(self, applications: WebSocketServerFactory, request: Any) -> None:
        self._applications = applications
        self._request = request

    def buildProtocol(self, offer: Offer) -> Any:
        offer.request = self._request
        return self._applications.buildProtocol(offer)


class Pair:
    """
    A client and a server, connected in memory; :meth:`pump` delivers their data.

    :ivar server: the server's side; ``server.protocol`` is its protocol.
    :ivar client: the client's side.
    :ivar toServer: the direction from the client to the server.
    :ivar toClient: the direction from the server to the client.
    :ivar trace: trace of the delivered data.
    :ivar clock: the clock of both sides.
    """

    def __init__(
        self,
        serverFactory: HixieServerFactory,
        clientFactory: HixieClientFactory,
        clock: Clock,
    ) -> None:
        """
        Connect two factories; no data is delivered yet.

        :param serverFactory: the server's factory.
        :param clientFactory: the client's factory.
        :param clock: the clock that was passed to both factories.
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
        binary: str = "refuse",
        clock: Clock | None = None,
        request: Any = None,
    ) -> Pair:
        """
        Connect a client and a server, and deliver the handshake.

        Random values are the same in each run.

        :param server: the applications of a :class:`txhixie.HixieServerFactory`; write
            ``Applications(Yours)`` for a class that takes no arguments.
        :param client: the application of the client; by default a
            :class:`txhixie.testing.Recorder`.
        :param clock: the clock of both sides; a new one by default.
        :param request: the value of ``offer.request``, as under a Site: for example a
            ``twisted.web.test.requesthelper.DummyRequest``.
        :param limits: the limits of both sides. All other parameters are those of
            :class:`txhixie.HixieClientFactory` and :class:`txhixie.HixieServerFactory`.
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
            entropy=Random(6455).randbytes,  # noqa: S311 (the same in each run)
        )
        pair = cls(serverFactory, clientFactory, clock)
        pair.pump()
        return pair

    @property
    def refused(self) -> HandshakeRefused | None:
        """
        The server's refusal, with its ``status``, ``headers`` and ``body``.

        ``None`` if the server did not refuse the handshake.
        """
        failure = self.client.protocol.failure
        return failure if isinstance(failure, HandshakeRefused) else None

    def pump(self) -> None:
        """
        Deliver all data in both directions, and run the delayed calls that are due.

        This is repeated until neither side sends anything.

        :raises RuntimeError: if the two sides never stop sending.
        """
        for _ in range(_MOST_READS):
            went, came = self.toServer.carry(), self.toClient.carry()
            if not went and not came and not self._turn():
                return
        raise RuntimeError("client and server never stop sending")

    def _turn(self) -> bool:
        """Run the delayed calls that are due; return whether there were any."""
        now = self.clock.seconds()
        waits = any(call.getTime() <= now for call in self.clock.getDelayedCalls())
        if waits:
            self.clock.advance(0)
        return waits

    def advance(self, seconds: float) -> None:
        """
        Advance the clock, and deliver the data that is sent meanwhile.

        The clock advances by at most a second at once: the keepalive treats a larger step as the
        sleep of a suspended machine.

        :param seconds: time to advance.
        """
        self.pump()
        while seconds > 0:
            step = min(seconds, 1.0)
            seconds -= step
            self.clock.advance(step)
            # A timeout that has passed checks once more, in the next turn, whether data has come.
            self.clock.advance(0)
            self.pump()

    def done(self) -> None:
        """
        End the connection, if it has not ended, and check that nothing of it remains.

        :raises AssertionError: for a remaining timer.
        """
        for end in (self.client, self.server):
            if not end.wire.dead:
                end.lose()
        self.client.done()
        self.server.done()
