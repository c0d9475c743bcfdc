"""The ``connect`` function of the coroutine interface: ``async with connect(url) as channel``."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Never, Unpack

from twisted.internet.defer import Deferred

from ..client.endpoint import EndpointOptions, WebSocketClientEndpoint
from ..connection.awaiting import explain
from ..dialing.stage import cancelled
from ..sansio.arguments import foreign_names, scalars
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
"""Names of a channel and of a Deferred, with the expression to write for ``connect(url)``."""


@foreign_names(_HINTS)
class ConnectionAttempt:
    """
    Result of :func:`connect`: an asynchronous context manager, and an awaitable.

    :meth:`asDeferred` is for callers that are not coroutines. Use one of the three, once. Nothing
    is connected before: an attempt that is not used has no effect.
    """

    def __init__(self, endpoint: WebSocketClientEndpoint, highWater: int = HIGH_WATER) -> None:
        """
        :param endpoint: endpoint that connects.
        :param highWater: most bytes of received messages that may wait to be taken.
        """
        scalars(int, highWater=highWater)
        self._endpoint = endpoint
        self._highWater = highWater
        self._application: ChannelApplication | None = None

    if not TYPE_CHECKING:  # type checkers would accept names that these methods refuse

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
        Begin to connect.

        :return: fires with the channel once the conversation is open. Fails as
            :meth:`txhixie.WebSocketClientEndpoint.connect` does. To cancel the Deferred aborts the
            connection, and the Deferred fails with ``twisted.internet.defer.CancelledError``.
        :raises txhixie.errors.UsageError: if this attempt has been used before.
        """
        if self._application is not None:
            raise UsageError("connect(url) was used already; call connect(url) again")
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
        Close the conversation and wait for the end of the connection.

        The close code is 1000 after the block has ended normally, and 1011 after an exception.
        """
        explain(error)
        application = self._application
        if application is None:
            return
        if kind is None:
            application.transport.loseConnection()
        elif issubclass(kind, GeneratorExit):
            application.transport.abortConnection()  # a coroutine that is closed cannot await
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
    Connect to a server and open a conversation::

        async with connect("wss://example.com/") as channel:
            await channel.send("hello")
            async for message in channel:
                print(message)

    or ``channel = await connect(url)``. ``connect(url).asDeferred()`` returns a Deferred, for
    ``inlineCallbacks`` and callbacks; an asyncio Task awaits ``asFuture(loop)`` of this Deferred.

    :param url: ``ws:`` or ``wss:`` URL.
    :param reactor: the reactor to use; by default the installed one.
    :param highWater: most bytes of received messages that may wait to be taken; above this mark, no
        more data is read from the peer.
    :param options: the options of :meth:`txhixie.WebSocketClientEndpoint.new`: ``dialect``,
        ``headers``, ``subprotocols``, ``trustRoot`` and so on.
    :return: an attempt, which connects when it is entered or awaited.
    :raises ValueError: for a value that cannot be written in a request, as the endpoint does.
    :raises TypeError: for a value of another type, as the endpoint does.
    """
    if reactor is None:
        from twisted.internet import reactor
    return ConnectionAttempt(WebSocketClientEndpoint.new(reactor, url, **options), highWater)
