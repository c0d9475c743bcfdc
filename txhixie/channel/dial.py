"""A conversation to be had: ``async with connect(url) as channel``.

It composes an endpoint and a channel, and begins nothing before somebody waits for it.
"""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Never, Unpack

from twisted.internet.defer import Deferred

from ..client.endpoint import EndpointOptions, WebSocketClientEndpoint
from ..connection.awaiting import explain
from ..dialing.stage import cancelled
from ..sansio.arguments import no_attribute, scalars
from ..sansio.errors import UsageError
from .channel import Channel, ChannelApplication
from .queues import HIGH_WATER

_ENTER: Final = "async with connect(url) as channel, or channel = await connect(url)"

_CHANNEL: Final = f"{_ENTER}; under inlineCallbacks, channel = yield connect(url).asDeferred()"

_HINTS: Final = dict.fromkeys(
    ("send", "receive", "recv", "close", "abort", "ping", "offer", "ended"), _CHANNEL
) | dict.fromkeys(
    ("addCallback", "addErrback", "addCallbacks", "addBoth"), "connect(url).asDeferred()"
)
"""Names of a channel and of a Deferred, with the expression to write here."""


class ConnectionAttempt:
    """
    What :func:`connect` answers: an asynchronous context manager, an awaitable, and
    :meth:`asDeferred` for everybody else. Each is a way to begin, and only one of them can be used,
    once; until then nothing has been started, so that one which is forgotten costs nothing.
    """

    def __init__(self, endpoint: WebSocketClientEndpoint, highWater: int = HIGH_WATER) -> None:
        """
        :param endpoint: where to.
        :param highWater: bytes of received messages that may wait to be taken.
        """
        scalars(int, highWater=highWater)
        self._endpoint = endpoint
        self._highWater = highWater
        self._application: ChannelApplication | None = None

    if not TYPE_CHECKING:  # these would tell type checkers that what they refuse is there

        def __getattr__(self, name: str) -> Never:
            raise no_attribute(self, name, _HINTS)

        def __enter__(self) -> Never:
            raise TypeError(f"connect(url) is entered asynchronously; write {_ENTER}")

        __exit__ = __enter__

        def __iter__(self) -> Never:
            raise TypeError(f"connect(url) is awaited, not iterated over; write {_CHANNEL}")

        def __aiter__(self) -> Never:
            raise TypeError(
                "connect(url) makes one connection; write async with connect(url) as channel, and "
                "async for message in channel. A WebSocketClientService connects again and again"
            )

    def asDeferred(self) -> Deferred[Channel]:
        """
        Begin.

        :return: fires with the channel once the conversation is open. Fails as
            :meth:`txhixie.WebSocketClientEndpoint.connect` does. Cancelling it ends whatever has
            been started, and it fails with ``twisted.internet.defer.CancelledError``.
        :raises txhixie.errors.UsageError: the second time.
        """
        if self._application is not None:
            raise UsageError("this connection was used: call connect() for another")
        self._application = ChannelApplication(self._highWater)
        opened = self._endpoint.connectApplication(self._application)
        return opened.addCallbacks(Channel, cancelled)

    def __await__(self) -> Generator[Any, Any, Channel]:
        return self.asDeferred().__await__()

    async def __aenter__(self) -> Channel:
        return await self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Close: with 1000 after the last line of the block, and as what it is after an exception; and
        wait for the end.
        """
        explain(error)
        application = self._application
        if application is None:
            return
        if kind is None:
            application.transport.loseConnection()
        elif issubclass(kind, GeneratorExit):
            application.transport.abortConnection()  # here nothing can be waited for
            return
        elif application.ended is None:
            application.transport.failConnection(reason="the application failed")
        await application.whenEnded()


def connect(
    url: str,
    *,
    reactor: Any = None,
    highWater: int = HIGH_WATER,
    **options: Unpack[EndpointOptions],
) -> ConnectionAttempt:
    """
    A conversation with a server::

        async with connect("wss://example.com/") as channel:
            await channel.send("hello")
            async for message in channel:
                print(message)

    or ``channel = await connect(url)``, or ``connect(url).asDeferred()``
    under ``inlineCallbacks`` and wherever a Deferred is wanted: an asyncio Task awaits its
    ``asFuture(loop)``.

    :param url: ``ws:`` or ``wss:``.
    :param reactor: the one that runs by default.
    :param highWater: bytes of received messages that may wait to be taken; beyond them, nothing
        more is read from the peer.
    :param options: those of :meth:`txhixie.WebSocketClientEndpoint.new`: ``dialect``, ``headers``,
        ``subprotocols``, ``trustRoot`` and so on.
    :return: what begins when it is entered or awaited.
    :raises ValueError: for what no request can say, as the endpoint does.
    """
    if reactor is None:
        from twisted.internet import reactor
    return ConnectionAttempt(WebSocketClientEndpoint.new(reactor, url, **options), highWater)
