"""A connection to NATS that reconnects, with clients of nats-py."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from nats import errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from ..client.backoff import Backoff
from .nats_parser import NatsParser
from .nats_transport import NatsTransport
from .paced_work import TURN_SECONDS
from .reach import Reach
from .server_url import ServerURL, trusting

MOST_WAITING_BYTES: Final = 4 * 1024 * 1024
"""Most bytes of messages that wait to be written to the connection; further messages are delivered
in this process only. The client of nats-py and the transport hold about 1 MiB more."""

SECURE: Final = ("tls",)
"""Schemes of URLs of servers that are reached by TLS."""

_PENDING: Final = 512 * 1024
"""Bytes that the client of nats-py collects before it waits for the transport."""

_UNREAD: Final = 8 * 1024 * 1024
"""Bytes of a subscription that the client of nats-py holds. A server sends at most 1 MiB in a
message by default, and the client reads 64 KiB at a time."""

_STAGE_SECONDS: Final = 5
"""Seconds for each stage of connecting."""

_PING_SECONDS: Final = 5
"""Seconds between two pings. A server that has not answered one when the next is due is lost."""

_CONFIRM_SECONDS: Final = 10
_STOP_SECONDS: Final = 2.0

TakePayload = Callable[[bytes], object]


class _Task(NamedTuple):
    """
    Something to do on the connection, in order.

    :ivar size: bytes of the message.
    :ivar run: does it.
    """

    size: int
    run: Callable[[Client], Awaitable[object]]


class NatsConnection:
    """
    Connection that is made again whenever it is lost, and its subscriptions with it.

    A client of nats-py could reconnect itself. It would keep up to 2 MiB of old messages for that
    time and tell no application which messages were lost; so each connection has a client of its
    own.

    :ivar isReady: whether the server has confirmed all subscriptions of the connection.
    """

    def __init__(
        self,
        reactor: Any,
        url: ServerURL,
        ready: Callable[[], object],
        lost: Callable[[str], object],
        reach: Reach,
    ) -> None:
        """
        :param reactor: the asyncio reactor.
        :param url: the server.
        :param ready: called when the server has confirmed all subscriptions of a new connection.
        :param lost: called with the reason when the connection is lost, and after each attempt that
            failed.
        :param reach: counters.
        :raises ValueError: "expected ..." for CA certificates that cannot be read.
        """
        self._reactor = reactor
        self._url = url
        self._ready = ready
        self._lost = lost
        self._reach = reach
        trusting(url.ca)
        self.isReady = False
        self._receivers: dict[str, TakePayload] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._confirmed: dict[str, Callable[[], object]] = {}
        self._unconfirmed: set[str] = set()
        self._isComplete = False  # whether all subscriptions were sent on this connection
        self._tasks: deque[_Task] = deque()
        self._size = 0
        self._isConnected = False
        self._toDo = asyncio.Event()
        self._toConfirm = asyncio.Event()
        self._backoff = Backoff(first=0.5, longest=5.0)
        self._failures = 0
        self._turnEnds = 0.0  # until when messages are passed on in this turn of the reactor
        self._error: Exception | None = None
        self._begin: Any = None
        self._running: asyncio.Task[None] | None = None
        self._isStopped = False

    def start(self) -> None:
        """Connect, and connect again whenever the connection is lost."""

        def begin() -> None:
            self._begin = None
            self._running = asyncio.get_running_loop().create_task(self._run())

        self._begin = self._reactor.callLater(0, begin)

    def stop(self) -> Deferred[None]:
        """Disconnect; fires with ``None`` in the end."""
        self._isStopped = True
        if self._begin is not None:
            self._begin.cancel()
            self._begin = None
        running, self._running = self._running, None
        if running is None:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        running.add_done_callback(lambda _: stopped.callback(None))
        running.cancel()
        return stopped

    # What is sent.

    def subscribe(
        self, subject: str, receive: TakePayload, confirmed: Callable[[], object]
    ) -> None:
        """
        Subscribe to a subject, on this connection and on later ones.

        :param receive: gets the payload of each message.
        :param confirmed: called on each connection when the server has confirmed the subscription.
        """
        self._receivers[subject] = receive
        self._confirmed[subject] = confirmed
        if self._isConnected:
            self._do(0, partial(self._subscribe, subject))

    def unsubscribe(self, subject: str) -> None:
        """End a subscription."""
        self._receivers.pop(subject, None)
        self._confirmed.pop(subject, None)
        if self._isConnected:
            self._do(0, partial(self._unsubscribe, subject))

    def publish(self, subject: str, data: bytes) -> bool:
        """Send a message; return whether there is a connection with room."""
        hasRoom = self._isConnected and self._size + len(data) <= MOST_WAITING_BYTES
        if hasRoom:
            self._do(len(data), partial(self._publish, subject, data))
        return hasRoom

    def _do(self, size: int, run: Callable[[Client], Awaitable[object]]) -> None:
        self._tasks.append(_Task(size, run))
        self._size += size
        self._toDo.set()

    async def _publish(self, subject: str, data: bytes, client: Client) -> None:
        try:
            await client.publish(subject, data)
        except errors.MaxPayloadError:
            self._reach.lost += 1

    async def _subscribe(self, subject: str, client: Client) -> None:
        if subject not in self._receivers:
            return

        async def received(message: Any) -> None:
            if (receive := self._receivers.get(subject)) is not None:
                receive(message.data)
                # The client of nats-py passes on all messages that wait, in one turn.
                if self._reactor.seconds() >= self._turnEnds:
                    await asyncio.sleep(0)
                    self._turnEnds = self._reactor.seconds() + TURN_SECONDS

        if subject not in self._subscriptions:
            self._subscriptions[subject] = await client.subscribe(
                subject, cb=received, pending_bytes_limit=_UNREAD
            )
        self._unconfirmed.add(subject)
        self._toConfirm.set()

    async def _unsubscribe(self, subject: str, client: Client) -> None:
        if subject in self._receivers:
            return
        subscription = self._subscriptions.pop(subject, None)
        if subscription is not None:
            await subscription.unsubscribe()

    # The connection.

    async def _run(self) -> None:
        with suppress(asyncio.CancelledError):
            # Not only until it is cancelled: nats-py swallows the cancellation of a flush, which is
            # also a part of connecting.
            while not self._isStopped:
                self._lost(await self._connection())
                self._failures += 1
                await asyncio.sleep(self._backoff.delay(self._failures))

    async def _connection(self) -> str:
        """Connect, and return why the connection was lost, or could not be made."""
        client, transport = Client(), NatsTransport(self._url.scheme in SECURE)
        # nats-py has no other way to give it a transport and a parser.
        client._transport = transport  # noqa: SLF001 (pinned by tests/test_private_names.py)
        client._ps = NatsParser(client)  # noqa: SLF001 (pinned by tests/test_private_names.py)
        closed = asyncio.Event()
        self._error = None
        working: list[asyncio.Task[Any]] = []
        try:
            await self._connect(client, closed)
            if self._isStopped:
                raise asyncio.CancelledError
            self._connected()
            create = asyncio.get_running_loop().create_task
            working = [
                create(each) for each in (self._work(client), self._confirm(client), closed.wait())
            ]
            done, _ = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
            error = self._error or client.last_error or next(iter(done)).exception()
        except Exception as raised:
            error = self._error or client.last_error or raised
        finally:
            await self._disconnect(client, transport, working)
        if error is None:
            return "the connection was lost"
        return str(error) or type(error).__name__

    async def _connect(self, client: Client, closed: asyncio.Event) -> None:
        url = self._url

        async def end() -> None:
            closed.set()

        await client.connect(
            f"{url.scheme}://{url.netloc}",
            error_cb=self._failed,
            closed_cb=end,
            # Two attempts: nats-py knows no single one.
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            allow_reconnect=False,
            connect_timeout=_STAGE_SECONDS,
            ping_interval=_PING_SECONDS,
            max_outstanding_pings=1,
            no_echo=True,
            pending_size=_PENDING,
            tls=trusting(url.ca),
            tls_hostname=url.host,
            # The user alone is a token, as in the tools of NATS.
            user=url.user if url.password else None,
            password=url.password,
            token=None if url.password else url.user,
        )

    def _connected(self) -> None:
        self._isConnected = True
        self._failures = 0
        for subject in self._receivers:
            self._do(0, partial(self._subscribe, subject))
        self._do(0, self._complete)

    async def _complete(self, client: Client) -> None:
        self._isComplete = True
        self._toConfirm.set()

    async def _work(self, client: Client) -> None:
        """Do what is to be done on the connection, in order."""
        while self._isConnected:
            while self._tasks and self._isConnected:
                task = self._tasks.popleft()
                self._size -= task.size
                await task.run(client)
            if self._isConnected:
                self._toDo.clear()
                await self._toDo.wait()

    async def _confirm(self, client: Client) -> None:
        """Wait until the server has read the subscriptions that were sent."""
        while self._isConnected:
            await self._toConfirm.wait()
            self._toConfirm.clear()
            subjects, self._unconfirmed = self._unconfirmed, set()
            isComplete = self._isComplete
            # The first ping may overtake commands that the client of nats-py has collected; at the
            # answer to it these are written.
            for _ in range(2):
                if self._isConnected:
                    await client.flush(_CONFIRM_SECONDS)
            for subject in subjects:
                if (confirmed := self._confirmed.get(subject)) is not None:
                    confirmed()
            if isComplete and not self.isReady:
                self.isReady = True
                self._ready()

    async def _failed(self, error: Exception) -> None:
        """Take an error of the client of nats-py."""
        if isinstance(error, errors.SlowConsumerError):
            self._reach.gaps += 1
        elif self.isReady and type(error) is errors.Error:
            self._reach.failed("the server of the bus refused a command", Failure(error))
        else:
            self._error = error

    async def _disconnect(
        self, client: Client, transport: NatsTransport, working: list[asyncio.Task[Any]]
    ) -> None:
        """Send what is left, unless the connection is lost, and close the client."""
        self._isConnected = self.isReady = self._isComplete = False
        for each in working:
            each.cancel()
        if working:
            await asyncio.wait(working)
        abort = asyncio.get_running_loop().call_later(_STOP_SECONDS, transport.abort)
        with suppress(Exception):
            while self._tasks and not client.is_closed:
                await self._tasks.popleft().run(client)
        with suppress(Exception):
            await client.close()
        abort.cancel()
        self._reach.lost += sum(each.size > 0 for each in self._tasks)
        self._tasks.clear()
        self._size = 0
        self._subscriptions.clear()
        self._unconfirmed.clear()
        self._toConfirm.clear()
