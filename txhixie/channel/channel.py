"""One open conversation for whoever would rather await than be called, on either side.

Every method that takes time answers a Deferred: ``await`` it in a coroutine, ``yield`` it under
``inlineCallbacks``, add callbacks, or give an asyncio Task its ``asFuture(loop)``. Cancelling one
takes nothing back and loses nothing: a message that was not received stays, one that still waited
was not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Never, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from ..connection.awaiting import Awaited
from ..interfaces import CleanClose, WebSocketTransport, judged
from ..sansio.arguments import no_attribute, whole_bytes
from ..sansio.closing import Ended
from ..sansio.errors import ConversationEnded, UsageError
from ..sansio.handshake.offer import Agreement, Offer
from ..sansio.wire.frame import CloseCode
from .queues import HIGH_WATER, Inbox, Message, Outbox
from .quiet import QuietDeferred, failed


class ChannelApplication:
    """
    The application of a conversation that has a :class:`Channel`, and all that waits on either side
    of it.

    :ivar transport: the conversation, once its handshake has begun.
    :ivar inbox: what has come.
    :ivar outbox: what is to leave.
    :ivar ended: how it ended, as far as that has begun; ``None`` while it is open.
    """

    transport: WebSocketTransport
    inbox: Inbox
    outbox: Outbox
    ended: Ended | None = None
    _isOver = False

    def __init__(self, highWater: int = HIGH_WATER) -> None:
        """:param highWater: bytes of received messages that may wait to be taken."""
        self._highWater = highWater
        self._pings: dict[bytes, Deferred[None]] = {}
        self._pinged = 0
        self._waiting: list[Deferred[Ended]] = []

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Nothing can be sent yet."""
        self.transport = transport
        self.inbox = Inbox(transport.pauseProducing, transport.resumeProducing, self._highWater)
        self.outbox = Outbox(self._send, transport.limits.unsent_size, self._overflowed)

    def negotiationFinished(self) -> None:
        """From now on the outbox is told when the transport is full."""
        self.transport.attachProducer(self.outbox)

    def textMessageReceived(self, message: str) -> None:
        """For whoever receives."""
        self.inbox.put(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """For whoever receives."""
        self.inbox.put(data)

    def _send(self, message: Message) -> None:
        if isinstance(message, str):
            self.transport.sendTextMessage(message)
        else:
            self.transport.sendBytesMessage(message)

    def _overflowed(self, size: int) -> None:
        """As a transport that is sent too much while its peer does not read."""
        self.transport.abortConnection(self.transport.limits.unsent_error(size))

    def ping(self) -> Deferred[None]:
        """See :meth:`Channel.ping`."""
        if self.ended is not None:
            return failed(self._ended())
        self._pinged += 1
        payload = b"channel %d" % self._pinged

        def forget(deferred: Deferred[None]) -> None:
            self._pings.pop(payload, None)

        deferred = self._pings[payload] = QuietDeferred(forget)
        try:
            self.transport.ping(payload)
        except UsageError:
            del self._pings[payload]
            return failed()
        return deferred

    def pongReceived(self, payload: bytes) -> None:
        """An answer to one ping answers those before it too (RFC 6455 section 5.5.3)."""
        while payload in self._pings:
            earliest = next(iter(self._pings))
            self._pings.pop(earliest).callback(None)

    def whenEnded(self) -> Deferred[Ended]:
        """See :meth:`Channel.whenEnded`."""
        if self._isOver and self.ended is not None:
            return succeed(self.ended)
        deferred: Deferred[Ended] = Awaited(self._forget)
        self._waiting.append(deferred)
        return deferred

    def _forget(self, deferred: Deferred[Ended]) -> None:
        if deferred in self._waiting:
            self._waiting.remove(deferred)

    def _ended(self) -> ConversationEnded:
        """For a send or a ping. Each has one of its own, for the sake of its traceback."""
        assert self.ended is not None
        return ConversationEnded(self.ended.code, self.ended.reason)

    def closeStarted(self, ended: Ended) -> None:
        """Nothing can be sent any more."""
        self.ended = ended
        self.outbox.end(self._ended)
        while self._pings:
            self._pings.popitem()[1].errback(self._ended())

    def connectionLost(self, reason: Failure) -> None:
        """Whoever waits for anything hears of it."""
        close = judged(cast(CleanClose, reason.value))
        self._isOver = True
        self.ended = close.ended
        self.inbox.end(lambda: type(close)(close.ended))
        while self._waiting:
            self._waiting.pop(0).callback(close.ended)


_HINTS: Final = {
    "recv": "await channel.receive()",
    "receive_str": "await channel.receive()",
    "receive_bytes": "await channel.receive()",
    "receive_json": "json.loads(await channel.receive())",
    "send_str": "await channel.send(text)",
    "send_bytes": "await channel.send(data)",
    "send_json": "await channel.send(json.dumps(...))",
    "sendMessage": "channel.send(message)",
    "sendTextMessage": "channel.send(text)",
    "sendBytesMessage": "channel.send(data)",
    "write": "channel.send(message)",
    "sendClose": "channel.close(code, reason)",
    "loseConnection": "channel.close(code, reason)",
    "abortConnection": "channel.abort()",
    "transport": "channel.send(message), or channel.close(code, reason)",
    "wait_closed": "await channel.whenEnded()",
    "closed": "channel.ended is not None",
    "open": "channel.ended is None",
    "state": "channel.ended",
    "close_code": "channel.ended.code",
    "close_reason": "channel.ended.reason",
    "remote_address": "channel.getPeer()",
    "local_address": "channel.getHost()",
    "path": "channel.offer.path",
    "request": "channel.offer",
    "request_headers": "channel.offer.headers",
}
"""Names of websockets, aiohttp, Autobahn and Twisted, with the expression to write here."""


class Channel:
    """
    An open conversation. ``async for message in channel`` gives what comes, ``str`` or ``bytes``,
    until the peer or we close in good order, and raises :class:`txhixie.AbruptClose`
    after the last message when it ended otherwise.

    What has come and was not taken is bounded: beyond the high-water mark nothing more is read from
    the peer.

    One is made by :func:`txhixie.connect`, and for the coroutine given to :func:`txhixie.serve`.
    """

    def __init__(self, application: ChannelApplication) -> None:
        """:param application: whose transport is open."""
        self._application = application
        self._transport = application.transport

    if not TYPE_CHECKING:  # these would tell type checkers that what they refuse is there

        def __getattr__(self, name: str) -> Never:
            raise no_attribute(self, name, _HINTS)

        def __iter__(self) -> Never:
            raise TypeError("a channel is read asynchronously; write async for message in channel")

        def __aenter__(self) -> Never:
            raise TypeError("a channel is not entered; write async with connect(url) as channel")

        __aexit__ = __aenter__

    # Messages.

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.receive()
        except CleanClose:
            raise StopAsyncIteration from None

    def receive(self) -> Deferred[Message]:
        """
        :return: fires with the next message, ``str`` for text and ``bytes`` for binary. After the
            last it fails with :class:`txhixie.CleanClose` for an orderly end and with
            :class:`txhixie.AbruptClose` for any other, and at once with
            :class:`txhixie.errors.UsageError` while somebody else waits for the next message.
        """
        return self._application.inbox.get()

    def send(self, message: Message | bytearray | memoryview) -> Deferred[None]:
        """
        Send text or binary: at once, or when the transport has room again. Any number may wait, and
        leave in the order in which they came. Whoever does not await may look at :attr:`full`:
        beyond :attr:`txhixie.Limits.unsent_size` bytes that wait, the connection is
        aborted.

        :return: fires with ``None`` once the message was handed to the transport. Fails with
            :class:`txhixie.errors.ConversationEnded` once the end has begun, which :attr:`ended`
            then tells, with
            :class:`txhixie.errors.UnsupportedByDialect` for binary in a dialect whose peers lose
            it, and with ``UnicodeEncodeError`` for a lone surrogate. Nothing is logged of a failure
            that nobody awaits.
        :raises TypeError: for what is neither ``str`` nor bytes-like.
        """
        if type(message) is not bytes and not isinstance(message, str):
            message = whole_bytes("a message", message, "str or bytes")
        return self._application.outbox.put(message)

    def ping(self) -> Deferred[None]:
        """
        :return: fires with ``None`` when the peer has answered. Fails with
            :class:`txhixie.errors.ConversationEnded` once the end has begun, and with
            :class:`txhixie.errors.UnsupportedByDialect` in the Hixie dialects, which have no pings.
        """
        return self._application.ping()

    # The end.

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> Deferred[None]:
        """
        Close the dialect's way, if nobody has; messages that were received can still be taken.

        :param code: told to the peer where the dialect has codes.
        :param reason: at most 123 bytes of UTF-8 of it are sent.
        :return: fires with ``None`` when the connection has ended, within the limits'
            ``close_timeout`` of the peer's and ``drain_timeout`` more if it has much to read. It
            never fails; cancelling it only ends the wait.
        :raises txhixie.errors.UsageError: for a code that is never sent.
        """
        self._transport.loseConnection(code, reason)
        return self.whenEnded().addCallback(lambda _: None)

    def abort(self) -> None:
        """End at once; what was not sent yet is lost."""
        self._transport.abortConnection()

    def whenEnded(self) -> Deferred[Ended]:
        """
        :return: fires with :attr:`ended` when the connection has ended, whoever ended it, and all
            that came before has been received, or at most
            :attr:`txhixie.Limits.drain_timeout` later. It never fails.
        """
        return self._application.whenEnded()

    # What is known of it.

    @property
    def ended(self) -> Ended | None:
        """
        How it ended, as far as that has begun; ``None`` while it is open. That the close was clean
        is known when both have closed: :meth:`whenEnded`.
        """
        return self._application.ended

    @property
    def full(self) -> bool:
        """Whether more is waiting to be sent than the transport likes to hold."""
        return self._transport.full

    @property
    def unsent(self) -> int:
        """Bytes that wait: for the transport, and in it (see :attr:`WebSocketTransport.unsent`)."""
        return self._application.outbox.size + self._transport.unsent

    @property
    def offer(self) -> Offer:
        """What the client asked for: dialect, path, origin, subprotocols, headers."""
        return self._transport.offer

    @property
    def agreement(self) -> Agreement:
        """What was granted: subprotocol, extensions, headers of the answer."""
        return cast(Agreement, self._transport.agreement)

    @property
    def subprotocol(self) -> str | None:
        """The one that is spoken."""
        return self.agreement.subprotocol

    @property
    def peerCertificate(self) -> Any:
        """See :meth:`txhixie.WebSocketTransport.peerCertificate`."""
        return self._transport.peerCertificate

    @property
    def latency(self) -> float | None:
        """Seconds from the last automatic ping to its answer; ``None`` before there was one."""
        return self._transport.latency

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        return self._transport.getPeer()

    def getHost(self) -> IAddress:
        """Where this end is."""
        return self._transport.getHost()
