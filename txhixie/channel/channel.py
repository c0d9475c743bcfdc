"""A channel: one open conversation for a coroutine, on either side of the connection.

Each method that takes time returns a Deferred: ``await`` the Deferred in a coroutine, ``yield`` it
under ``inlineCallbacks``, add callbacks, or await its ``asFuture(loop)`` in an asyncio Task. To
cancel a Deferred loses no message: a received message stays in the inbox, and a message that still
waits in the outbox is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Never, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from ..connection.awaiting import Awaited
from ..connection.protocol import HixieProtocol
from ..interfaces import CleanClose, WebSocketTransport, judged
from ..sansio.arguments import foreign_names, whole_bytes
from ..sansio.closing import Ended
from ..sansio.errors import ConversationEnded, UsageError
from ..sansio.handshake.offer import Agreement, Offer
from ..sansio.prepared_message import SENT, PreparedMessage
from ..sansio.wire.frame import CloseCode
from .queues import HIGH_WATER, Inbox, Message, Outbox
from .quiet import QuietDeferred, failed


class ChannelApplication:
    """
    Application behind a :class:`Channel`, with the messages and the Deferreds that wait.

    :ivar transport: the transport of the conversation, once the handshake has begun.
    :ivar inbox: received messages that the channel's user has not taken.
    :ivar outbox: messages that wait to be sent.
    :ivar ended: how the conversation ended, once the close has begun; ``None`` while the
        conversation is open.
    """

    transport: WebSocketTransport
    inbox: Inbox
    outbox: Outbox
    ended: Ended | None = None
    _isOver = False

    def __init__(self, highWater: int = HIGH_WATER) -> None:
        """
        Make an application without a transport.

        :param highWater: most bytes of received messages that may wait in the inbox.
        """
        self._highWater = highWater
        self._pings: dict[bytes, Deferred[None]] = {}
        self._pinged = 0
        self._waiting: list[Deferred[Ended]] = []

    @property
    def heldBytes(self) -> int:
        """Number of bytes that wait in both queues, for the ceiling of all connections."""
        return self.inbox.size + self.outbox.size

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Make the inbox and the outbox; no message can be sent yet."""
        self.transport = transport
        self.inbox = Inbox(transport.pauseProducing, transport.resumeProducing, self._highWater)
        self.outbox = Outbox(self._send, transport.limits.unsent_size, self._overflowed)

    def negotiationFinished(self) -> None:
        """Register the outbox as the producer that a full transport pauses."""
        self.transport.attachProducer(self.outbox)

    def textMessageReceived(self, message: str) -> None:
        """Put a text message into the inbox."""
        self.inbox.put(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Put a binary message into the inbox."""
        self.inbox.put(data)

    def _send(self, message: Message | PreparedMessage) -> None:
        if isinstance(message, str):
            self.transport.sendTextMessage(message)
        elif isinstance(message, PreparedMessage):
            cast(HixieProtocol, self.transport).sendPrepared(message, "skip")
        else:
            self.transport.sendBytesMessage(message)

    def keepNewest(self, message: PreparedMessage) -> bool:
        """
        Keep the newest message of broadcasts behind all messages that wait.

        :return: whether the message replaces another one.
        """
        return self.outbox.keep(message)

    @property
    def hasLostNewest(self) -> bool:
        """Whether the connection has ended before the newest message of broadcasts was sent."""
        return self.outbox.hasLostNewest

    def _overflowed(self, size: int) -> None:
        """Abort the connection: the outbox holds more than ``Limits.unsent_size`` bytes."""
        self.transport.abortConnection(self.transport.limits.unsent_error(size))

    def ping(self) -> Deferred[None]:
        """Send a ping frame; :meth:`Channel.ping` describes the Deferred."""
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
        """Fire the Deferred of the answered ping and of all before (RFC 6455 section 5.5.3)."""
        while payload in self._pings:
            earliest = next(iter(self._pings))
            self._pings.pop(earliest).callback(None)

    def whenEnded(self) -> Deferred[Ended]:
        """Wait for the end of the connection, as :meth:`Channel.whenEnded` describes."""
        if self._isOver and self.ended is not None:
            return succeed(self.ended)
        deferred: Deferred[Ended] = Awaited(self._forget)
        self._waiting.append(deferred)
        return deferred

    def _forget(self, deferred: Deferred[Ended]) -> None:
        if deferred in self._waiting:
            self._waiting.remove(deferred)

    def _ended(self) -> ConversationEnded:
        """Return a new error for one failed send or ping, since each error has a traceback."""
        assert self.ended is not None
        return ConversationEnded(self.ended.code, self.ended.reason)

    def closeStarted(self, ended: Ended) -> None:
        """Fail all messages and pings that wait: the close has begun, nothing can be sent."""
        self.ended = ended
        self.outbox.end(self._ended)
        while self._pings:
            self._pings.popitem()[1].errback(self._ended())

    def connectionLost(self, reason: Failure) -> None:
        """Fail the receive that waits, and fire each Deferred of :meth:`whenEnded`."""
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
"""Names of websockets, aiohttp, Autobahn and Twisted, with the expression for a channel."""


@foreign_names(_HINTS)
class Channel:
    """
    Open conversation of a coroutine.

    ``async for message in channel`` iterates over the received messages, ``str`` or ``bytes``. The
    loop ends after the last message when the close was clean, and raises
    :class:`txhixie.AbruptClose` after the last message otherwise.

    The received messages that wait are bounded: above the high-water mark no more data is read from
    the peer.

    Channels are made by :func:`txhixie.connect`, and by :func:`txhixie.serve` for its coroutine.
    """

    def __init__(self, application: ChannelApplication) -> None:
        """
        Make a channel of an application.

        :param application: application of an open conversation.
        """
        self._application = application
        self._transport = application.transport

    if not TYPE_CHECKING:  # type checkers would accept names that these methods refuse

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
        Receive the next message.

        :return: fires with the next message, ``str`` for text and ``bytes`` for binary. After the
            last message the Deferred fails with :class:`txhixie.CleanClose` if the close was clean
            and with :class:`txhixie.AbruptClose` otherwise. The Deferred fails at once with
            :class:`txhixie.errors.UsageError` while another ``receive()`` waits.
        """
        return self._application.inbox.get()

    def send(self, message: Message | bytearray | memoryview) -> Deferred[None]:
        """
        Send a text or binary message: at once, or when the write buffer has room again.

        Messages that wait are sent in the order of their ``send`` calls. The connection is aborted
        when more than :attr:`txhixie.Limits.unsent_size` bytes wait: a caller that does not await
        each ``send`` has to look at :attr:`full`.

        :return: fires with ``None`` once the message was given to the transport. Fails with
            :class:`txhixie.errors.ConversationEnded` once the close has begun (see :attr:`ended`),
            with :class:`txhixie.errors.UnsupportedByDialect` for a binary message in hixie-75 and
            hixie-76, where browsers lose binary messages, and with ``UnicodeEncodeError`` for a
            lone surrogate.
            A failure that is not awaited is not logged.
        :raises TypeError: for a message that is neither ``str`` nor bytes-like.
        """
        if type(message) is not bytes and not isinstance(message, str):
            message = whole_bytes("a message", message, "str or bytes")
        return self._application.outbox.put(message)

    # A broadcast: see HixieProtocol.

    def sendPrepared(self, message: PreparedMessage, slow: str) -> int:
        """Send a message of :func:`txhixie.broadcast`, which calls this method."""
        transport = cast(HixieProtocol, self._transport)
        outbox = self._application.outbox
        if outbox.size and not transport.full:
            # The outbox has begun to send the messages that have waited, and goes on with this one.
            outbox.put(message)
            return SENT
        return transport.sendPrepared(message, slow)

    def closeSlow(self) -> None:
        """Close the connection at a broadcast, since its write buffer is full."""
        cast(HixieProtocol, self._transport).closeSlow()

    def ping(self) -> Deferred[None]:
        """
        Send a ping frame and wait for the pong frame (RFC 6455 section 5.5.2).

        :return: fires with ``None`` when the pong frame was received. Fails with
            :class:`txhixie.errors.ConversationEnded` once the close has begun, and with
            :class:`txhixie.errors.UnsupportedByDialect` in the Hixie dialects, which have no pings.
        """
        return self._application.ping()

    # Closing.

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> Deferred[None]:
        """
        Close the conversation as its dialect requires, unless the close has begun already.

        Messages that were received before can still be taken with :meth:`receive`.

        :param code: close code for the peer, in a dialect with close codes.
        :param reason: close reason, of which at most 123 bytes of UTF-8 are sent.
        :return: fires with ``None`` when the connection has ended: at most
            :attr:`txhixie.Limits.close_timeout` seconds later, and
            :attr:`txhixie.Limits.drain_timeout` more if the peer has much data to read. The
            Deferred never fails; to cancel the Deferred ends only the wait.
        :raises txhixie.errors.UsageError: for a code that must not be sent in a close frame
            (RFC 6455 section 7.4).
        """
        self._transport.loseConnection(code, reason)
        return self.whenEnded().addCallback(lambda _: None)

    def abort(self) -> None:
        """Abort the connection at once; messages that were not sent yet are lost."""
        self._transport.abortConnection()

    def whenEnded(self) -> Deferred[Ended]:
        """
        Wait for the end of the connection.

        :return: fires with :attr:`ended` when either side has ended the connection and all messages
            that were sent before have been received; at most :attr:`txhixie.Limits.drain_timeout`
            seconds after the end. The Deferred never fails.
        """
        return self._application.whenEnded()

    # State of the conversation.

    @property
    def ended(self) -> Ended | None:
        """
        How the conversation ended, once the close has begun; ``None`` while it is open.

        Whether the close was clean is known after the connection has ended: see :meth:`whenEnded`.
        """
        return self._application.ended

    @property
    def full(self) -> bool:
        """Whether the write buffer of the transport is full."""
        return self._transport.full

    @property
    def unsent(self) -> int:
        """Bytes of the messages that wait to be sent, with :attr:`WebSocketTransport.unsent`."""
        return self._application.outbox.size + self._transport.unsent

    @property
    def offer(self) -> Offer:
        """Offer of the client: dialect, path, origin, subprotocols, headers."""
        return self._transport.offer

    @property
    def agreement(self) -> Agreement:
        """Agreement of the handshake: subprotocol, extensions, headers of the response."""
        return cast(Agreement, self._transport.agreement)

    @property
    def subprotocol(self) -> str | None:
        """Agreed subprotocol; ``None`` if there is no subprotocol."""
        return self.agreement.subprotocol

    @property
    def peerCertificate(self) -> Any:
        """Certificate of the peer, as in :attr:`txhixie.WebSocketTransport.peerCertificate`."""
        return self._transport.peerCertificate

    @property
    def latency(self) -> float | None:
        """Seconds from the last automatic ping to its pong; ``None`` before the first pong."""
        return self._transport.latency

    def getPeer(self) -> IAddress:
        """Address of the peer."""
        return self._transport.getPeer()

    def getHost(self) -> IAddress:
        """Local address of the connection."""
        return self._transport.getHost()
