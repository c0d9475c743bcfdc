"""One WebSocket connection, of a server or of a client.

All received bytes arrive in ``dataReceived``, those of the handshake and those of the conversation.
The handshake of each side is in ``server/protocol.py`` and ``client/protocol.py``. What the
connections of a factory share is in ``group.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import length_hint
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..interfaces import AbruptClose, CleanClose, WebSocketProtocol, checkExpiry
from ..sansio.arguments import foreign_names, not_text
from ..sansio.closing import Ended
from ..sansio.conversation import FRAME_COST, OPEN, SHORT_TEXT, Conversation
from ..sansio.dialects import Dialect, named
from ..sansio.errors import NotOpen
from ..sansio.extensions.extension import Transform
from ..sansio.handshake.offer import Agreement, Offer
from ..sansio.http.head import NOTHING_ASKED, Asked
from ..sansio.limits import Limits, called
from ..sansio.prepared_message import (
    ABSENT,
    OMITTED,
    SENT,
    SLOW,
    TOO_LARGE,
    WAITING,
    PreparedMessage,
)
from ..sansio.quirks import hint_about
from ..sansio.wire.frame import BINARY, PING, TEXT, CloseCode, Side
from ..sansio.wire.hybi_batch import MOST_FRAMES
from ..sansio.wire.joined_texts import take_joined
from ..sockets.connection_poller import moveToPoller
from ..sockets.payload_reader import readPayloads, stopReadingPayloads
from ..sockets.socket_calls import send_parts
from .addresses import plainAddress
from .group import ConnectionGroup
from .held_bytes import Holding
from .keepalive import payload
from .log import loggedOf, writeFailure
from .output import Output
from .peer_end import has_disconnected
from .socket_options import leave_to_kernel, send_at_once
from .tally import Tally
from .tap import Tap
from .writer import FULL_READ, MOST_JOINED, READS, unsent

BY_APPLICATION, BY_TURN, BY_RATE = 1, 2, 4
"""Reasons why the delivery of messages is paused: bits of ``_paused``."""

IDLE, DELIVERING, RECEIVED = range(3)
"""Values of ``_delivering``: no message is delivered; messages are; bytes came meanwhile, within a
call of the application."""

_CONTROL: Final = b"\x88"
"""Lowest first byte of a control frame (RFC 6455 section 5.2) and of a close frame of hixie-76: a
read that begins with one is nearly always that frame alone."""

_TENURES: Final = {"idle_timeout": "idle timeout", "lifetime": "maximum lifetime"}
"""Close reasons by the name of the limit."""

EXPIRED: Final = "credentials expired"
"""Close reason after ``Accepted.expiresIn``."""

_LONGEST_WAIT: Final = 5.0
"""Most seconds of a pause by a rate limit until it is checked whether the peer has disconnected."""

_SLOW: Final = "closed with 1013 at a broadcast: the peer does not read, the write buffer is full"

_TOO_EARLY: Final = "the handshake is not complete; send after negotiationFinished() was called"


def ignore(data: bytes) -> None:
    """Discard received bytes of a connection that has ended or is being closed."""


_HINTS: Final = {
    "sendMessage": "sendTextMessage(text) or sendBytesMessage(data)",
    "send": "sendTextMessage(text) or sendBytesMessage(data)",
    "write": "sendTextMessage(text) or sendBytesMessage(data)",
    "writeSequence": "sendTextMessage(text) or sendBytesMessage(data)",
    "sendLine": "sendTextMessage(text)",
    "sendPing": "ping(payload)",
    "sendPong": "pong(payload)",
    "sendClose": "loseConnection(code, reason)",
    "close": "loseConnection(code, reason)",
    "dropConnection": "abortConnection()",
    "registerProducer": "attachProducer(producer)",
    "unregisterProducer": "detachProducer()",
    "peer": "getPeer()",
    "http_headers": "offer.headers",
    "http_request_path": "offer.path",
}
"""Names of Autobahn and of Twisted's transports, with the method to call here."""


@foreign_names(_HINTS)
class HixieProtocol(Protocol):
    """
    One WebSocket connection, the transport of its application.

    The methods for the application are those of :class:`txhixie.WebSocketTransport`. A subclass in
    another module overrides only methods that Twisted calls, and those of this list, which do
    little or nothing here:

    - :meth:`openingLate`, :meth:`openingLost`, :meth:`openingClosed`, :meth:`openingAbandoned`: the
      handshake ends without a conversation;
    - :meth:`openingHeld`, :meth:`openingRelinquished`: the bytes that a handshake holds, and its
      end for the ceiling of all connections;
    - :attr:`isOpening`, for a connection that has become one of ordinary HTTP;
    - :meth:`opened`, :meth:`ended`, :meth:`finished`: the conversation opens and the connection
      ends, for counters and for a log of requests;
    - and those of :class:`txhixie.HixieServerProtocol`: ``isSecure``, ``answerHeaders``,
      ``answered`` and ``request``, for a handshake that another HTTP server has read.

    ``late``, ``drained``, ``overflowed``, ``look``, ``stalled`` and ``expired`` are called by the
    connection's output, and by the keepalive, the progress checks and the timers of its factory.
    ``sendToAll``, ``sendPrepared`` and ``closeSlow`` are called by :func:`txhixie.broadcast`, and
    by the topics of a hub.

    :ivar offer: the client's offer.
    :ivar agreement: the agreement of the handshake; ``None`` before there is one.
    :ivar dialect: the dialect, known as soon as there is an offer.
    :ivar side: our side of the connection: ``client`` or ``server``.
    :ivar number: number of the connection in log lines: 1 for the first connection of a factory.
    :ivar connected: whether the transport is connected, 0 or 1.
    :ivar latency: seconds from the last automatic ping to its pong; ``None`` before the first pong.
    """

    _log = Logger()

    # Without slots each connection would have a dict of its own if the first connections of the
    # process left some attributes unset, as a health check does: 500 bytes of the 1.2 kB that an
    # idle connection takes in addition to its socket.
    __slots__ = (
        "_application",
        "_asked",
        "_began",
        "_conversation",
        "_delivering",
        "_inherits",
        "_isMoving",
        "_left",
        "_newest",
        "_output",
        "_paused",
        "_pinged",
        "_receive",
        "_toldEnding",
        "_turning",
        "agreement",
        "connected",
        "dialect",
        "factory",
        "latency",
        "number",
        "offer",
        "transport",
    )

    factory: ConnectionGroup[HixieProtocol]
    transport: Any
    number: int
    offer: Offer
    dialect: Dialect
    side: str
    _output: Output
    _inherits: bool  # whether the socket has the options of its listening socket

    def __init__(self, factory: ConnectionGroup[HixieProtocol]) -> None:
        self.factory = factory
        self.connected = 0
        self.transport = None
        self.agreement: Agreement | None = None
        self._began: float | None = None  # when the conversation opened, if the log has that line
        self.latency: float | None = None
        self._receive: Callable[[bytes], None] = ignore
        self._application: WebSocketProtocol | None = None
        self._conversation: Conversation | None = None
        self._paused = 0
        self._delivering = IDLE
        self._isMoving = False  # to the poller, with the first message
        self._turning: IDelayedCall | None = None  # delivers further messages in the next turn
        self._toldEnding = False
        self._pinged: float | None = None  # when the current ping interval began
        self._asked: float | None = None  # when the last automatic ping was sent
        self._left = False
        self._newest: PreparedMessage | None = None  # waits until the write buffer has drained

    @property
    def asked(self) -> Asked:
        """
        Host, target, origin and dialect of the request, for the log.

        The values are not masked; those of a refused request are not checked.
        """
        offer: Offer | None = getattr(self, "offer", None)  # unset until the head was read
        if offer is None:
            return NOTHING_ASKED
        return Asked(offer.host or None, offer.target, offer.origin, offer.dialect)

    @property
    def tap(self) -> Tap | None:
        """The tap that gets all received and sent bytes; ``None`` without one."""
        return self._output.tap

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        """Install a tap, or remove it. A tap gets all bytes, those of long payloads too."""
        if self._output.join is not None:
            self._output.spill()  # a tap gets each message when it is sent
        self._output.tap = tap
        if tap is not None:
            stopReadingPayloads(self.transport)

    @property
    def isBetweenFrames(self) -> bool:
        """Whether the next received byte is the first one of a frame."""
        conversation = self._conversation
        return conversation is not None and conversation.framing.is_between_frames

    @property
    def limits(self) -> Limits:
        """See :meth:`txhixie.WebSocketTransport.limits`."""
        return self.factory.limits

    # The methods of :class:`txhixie.WebSocketTransport`, which the application calls.

    def _listen(self) -> None:
        """End a pause by the application or by a rate: the peer's close frame has to be read."""
        if self._paused and not self._paused & BY_TURN:
            self.transport.resumeProducing()
        self._endWait()
        self._paused &= BY_TURN

    @property
    def peerCertificate(self) -> Any:
        """See :meth:`txhixie.WebSocketTransport.peerCertificate`."""
        if not ISSLTransport.providedBy(self.transport):
            return None
        return self.transport.getPeerCertificate()

    @property
    def isOpen(self) -> bool:
        """See :meth:`txhixie.WebSocketTransport.isOpen`."""
        return self._conversation is not None and self._conversation.stage == OPEN

    @property
    def isOpening(self) -> bool:
        """Whether the handshake is not complete, and the connection has not ended."""
        return self._conversation is None and not self._isOver

    @property
    def full(self) -> bool:
        """Whether the write buffer of the transport is full."""
        return self._output.full

    @property
    def unsent(self) -> int:
        """See :meth:`txhixie.WebSocketTransport.unsent`."""
        return self._output.unsent

    def sendTextMessage(self, text: str, compress: bool | None = None) -> None:
        """See :meth:`txhixie.WebSocketTransport.sendTextMessage`."""
        if (conversation := self._conversation) is None:
            raise NotOpen(_TOO_EARLY)
        if conversation.stage:  # not OPEN
            return
        output = self._output
        if (join := output.join) is not None:
            # Within a read of this connection, in which it has sent only short texts so far.
            try:
                if not compress and join(text, conversation.short_text):
                    conversation.sent += 1
                    return
            except TypeError:
                raise not_text(text) from None
            output.spill()
        parts = output.parts
        # Within a read of this connection that does not join texts, or no longer: what
        # conversation.send_text() does, without its calls, which are 0.3 us of a message.
        if type(parts) is list and output.tap is None and not compress:
            frame = None
            try:
                if len(text) <= (short := conversation.short_text) and (
                    short == SHORT_TEXT  # otherwise an extension leaves messages of so few bytes
                    or text.isascii()
                ):
                    encode = conversation.encode_text
                    frame = encode(text)
            except (TypeError, AttributeError):
                raise not_text(text) from None
            if frame is not None:
                parts.append(frame)
                output.size += len(frame)
                conversation.sent += 1
                if output.size > MOST_JOINED:
                    output.flush()
                return
        conversation.send_text(text, compress)

    def sendBytesMessage(self, data: bytes, compress: bool | None = None) -> None:
        """See :meth:`txhixie.WebSocketTransport.sendBytesMessage`."""
        if (conversation := self._conversation) is None:
            raise NotOpen(_TOO_EARLY)
        if not conversation.stage:  # OPEN
            conversation.send_bytes(data, compress)

    def sendPrepared(self, message: PreparedMessage, slow: str) -> int:
        """
        Send a message of a broadcast, unless the connection is not open.

        :param slow: what becomes of the message if the write buffer is full: ``skip``, ``newest``
            (the message waits, and replaces one that waits) or ``close`` (nothing; the caller calls
            :meth:`closeSlow` when all other receivers have been sent the message).
        :return: what became of it, a constant of ``sansio/prepared_message.py``.
        """
        conversation = self._conversation
        if conversation is None or conversation.stage:  # not OPEN
            return ABSENT
        output = self._output
        if not output.full:
            # The usual case of conversation.send_prepared(), without its call.
            frame = message.frames.get(conversation.encoding)
            sent = conversation.sent
            try:
                if frame is not None and len(frame) <= self.factory.limits.unsent_size:
                    conversation.sent = sent + 1
                    output.write(frame)
                    return SENT
                outcome = conversation.send_prepared(message)
            except Exception:
                # An extension raises before the message is counted. A transport that is not
                # Twisted's may raise after that, when it has taken the bytes.
                self._logFailure("unhandled error while sending a broadcast message")
                return OMITTED if conversation.sent == sent else SENT
        elif not (outcome := conversation.refuses(message)):
            return self._skip(message, slow)
        if outcome:
            self._countSkipped("size" if outcome == TOO_LARGE else "dialect")
        return outcome

    @staticmethod
    def sendToAll(
        connections: Iterable[HixieProtocol], message: PreparedMessage, slow: str
    ) -> dict[int, int]:
        """
        Send a message of a broadcast to many connections, as :meth:`sendPrepared` does to one.

        The usual case has no call for each connection: the frame is joined, and sent by the loop of
        ``READS.flush()``. With the calls, a message takes 2 us more for each connection.

        :return: what became of it where it was not sent, by the index of the connection.
        """
        missed, frames = {}, message.frames
        isLong = message.size > MOST_JOINED
        with READS:
            joined = READS.joined
            for index, each in enumerate(connections):
                conversation = each._conversation  # noqa: SLF001 (of this class)
                if conversation is not None and not conversation.stage:
                    output = each._output  # noqa: SLF001 (of this class)
                    if (
                        output.parts is None
                        and not output.full
                        and output.tap is None
                        and not isLong
                        and (frame := frames.get(conversation.encoding)) is not None
                        and len(frame) <= each.factory.limits.unsent_size
                    ):
                        output.parts = frame
                        joined.append(output)
                        conversation.sent += 1
                        continue
                if outcome := each.sendPrepared(message, slow):
                    missed[index] = outcome
        return missed

    def _skip(self, message: PreparedMessage, slow: str) -> int:
        """Apply the rule ``slow`` to a message that the write buffer has no room for."""
        if slow == "close":
            return SLOW
        if slow == "skip":
            self._countSkipped("full")
            return OMITTED
        if (keepNewest := getattr(self._application, "keepNewest", None)) is not None:
            isReplaced = keepNewest(message)
        else:
            isReplaced = self._newest is not None
            self._newest = message
            if (heldBytes := self.factory.heldBytes) is not None:
                heldBytes.grew(self.factory, self)
        if isReplaced:
            self._countSkipped("replaced")
        return WAITING

    def closeSlow(self) -> None:
        """Close the connection with 1013, since its write buffer is full."""
        if self.isOpen:
            self._countSkipped("full")
            self._retire(CloseCode.TRY_AGAIN_LATER, "try again later", _SLOW)

    def _countSkipped(self, cause: str) -> None:
        if (counters := self.factory.log.counters) is not None:
            counters.skipped[cause] += 1

    def ping(self, payload: bytes = b"") -> None:
        """See :meth:`txhixie.WebSocketTransport.ping`."""
        if (conversation := self._conversation) is None:
            raise NotOpen(_TOO_EARLY)
        if conversation.stage == OPEN:
            conversation.ping(payload)

    def pong(self, payload: bytes) -> None:
        """See :meth:`txhixie.WebSocketTransport.pong`."""
        if (conversation := self._conversation) is None:
            raise NotOpen(_TOO_EARLY)
        if conversation.stage == OPEN:
            conversation.pong(payload)

    def loseConnection(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """See :meth:`txhixie.WebSocketTransport.loseConnection`."""
        if self._conversation is None:
            self.openingClosed()
        elif not self.connected:
            self._forgo()
        else:
            self._conversation.close(code, reason)
            self._listen()
            self._deliver()
            self._tellEnding()

    def failConnection(self, code: int = CloseCode.INTERNAL_ERROR, reason: str = "") -> None:
        """See :meth:`txhixie.WebSocketTransport.failConnection`."""
        if self._conversation is None:
            self.abortConnection()
        elif not self.connected:
            self._forgo()
        else:
            self._conversation.fail_here(reason, code)
            self._listen()
            self._tellEnding()

    def abortConnection(self, reason: str = "aborted") -> None:
        """See :meth:`txhixie.WebSocketTransport.abortConnection`."""
        if not self.connected:
            self._forgo()
            return
        if self._conversation is None:
            self.openingAbandoned()
        self._left = True
        self._receive = ignore
        if self._conversation is not None:
            self._conversation.abort(reason)
        self._output.abort()
        self._tellEnding()

    def attachProducer(self, producer: IPushProducer) -> None:
        """See :meth:`txhixie.WebSocketTransport.attachProducer`."""
        self._output.attach(producer)

    def detachProducer(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.detachProducer`."""
        self._output.detach()

    def pauseProducing(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.pauseProducing`."""
        if self._conversation is None:
            if not self._isOver:  # the handshake goes on
                self._paused = BY_APPLICATION
        elif self._conversation.ended is None:
            if self.connected and not self._paused:
                self.transport.pauseProducing()
            self._paused |= BY_APPLICATION

    def resumeProducing(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.resumeProducing`."""
        if self._paused & BY_APPLICATION:
            self._paused &= ~BY_APPLICATION
            if self._conversation is not None and not self._paused:
                self._goOn()

    def stopProducing(self) -> None:
        """See :meth:`txhixie.WebSocketTransport.stopProducing`."""
        self.loseConnection()

    def getPeer(self) -> IAddress:
        """Return the address of the peer: of the client, where a trusted proxy sends it."""
        return plainAddress(self.transport.getPeer())

    def getHost(self) -> IAddress:
        """Return the address of our side of the connection."""
        return self.transport.getHost()  # type: ignore[no-any-return]  # the transport has the type Any

    # The methods of IProtocol, which the transport calls.

    def connectionMade(self) -> None:
        """Prepare the transport and start the handshake timeout."""
        transport = self.transport
        factory = self.factory
        self.number = factory.log.number()
        self._output = output = Output(self, transport)
        self._inherits = output.direct and factory.inheritedOptions.are_set_on(transport, factory)
        if not self._inherits:
            send_at_once(transport)
        output.timeout(factory.limits.open_timeout)
        factory.joined(self)

    # In one piece, with the code of Output.cork(), uncork() and Conversation.messages(): with calls
    # of these, and for the loop, an echo of 32 bytes takes 0.8 us of 9 more.
    def dataReceived(self, data: bytes) -> None:  # noqa: PLR0912, PLR0915 (for that reason)
        """
        Process bytes from the peer, in pieces of any size; send all replies in one write.

        Nearly every read has whole messages only, which take the short way here. Where the
        application pauses or closes the connection, or another read comes while it is called, the
        bytes of the messages not delivered take the way of all others.
        """
        output, conversation, size = self._output, self._conversation, len(data)
        if (
            conversation is None
            or data >= _CONTROL
            or (application := self._application) is None
            or conversation.buffers
            or conversation.stage  # not OPEN
            or output.parts is not None
            or output.tap is not None
            or self._paused
            or self._delivering
            # TLS may call several times in one turn.
            or size + (0 if (isFirst := output.direct) else conversation.delivered)
            > conversation.short_read
        ):
            if output.tap is not None:
                output.tap.received(data)
            self._receiveOther(data)
            return
        if size >= FULL_READ:
            self._widen(conversation)
        self._delivering = DELIVERING
        depth = READS.depth
        READS.depth = depth + 1  # this, and the parts, is cork()
        if depth or (join := conversation.join_text) is None:
            output.parts, output.size = [], 0
        else:
            output.parts, output.join = b"", join
        try:
            conversation.heard = True
            if isFirst:
                conversation.delivered = conversation.inflated = 0
            messages, end, octets = conversation.read_messages(data, 0, MOST_FRAMES)
            conversation.received += len(messages)
            if end < size or not isFirst:
                conversation.delivered += octets + len(messages) * FRAME_COST
            position = missing = 0
            isDone = False
            while messages:
                left = iter(messages)
                try:
                    for message in left:
                        if type(message) is str:
                            application.textMessageReceived(message)
                        else:
                            application.bytesMessageReceived(message)  # type: ignore[arg-type]  # a binary message is bytes
                        if self._paused or conversation.stage:
                            missing = length_hint(left)
                            break
                    else:
                        if end == size and self._delivering == DELIVERING:
                            isDone = True
                            break
                except Exception:
                    self._applicationFailed()
                    missing = length_hint(left)
                if missing:
                    count = len(messages) - missing
                    position = conversation.take_back(data, isFirst, position, messages, count)
                    break
                position = end
                if (
                    position == size
                    or self._paused
                    or conversation.stage
                    or self._delivering == RECEIVED
                ):
                    break
                messages, end = conversation.messages(data, isFirst, position)
            if isDone:
                if self._isMoving:
                    self._move()
            elif (
                position < size
                or self._paused
                or conversation.stage
                or self._delivering == RECEIVED
            ):
                self._delivering = IDLE
                self._receiveOther(data, position)
            elif self._isMoving:
                self._move()
        finally:
            self._delivering = IDLE
            socket = output.socket
            if (
                socket is None
                or output.shutdown is not None
                or READS.joined
                or output.transport.TLS
            ):
                output.uncork()
            else:
                # The usual case of uncork(), without its calls: 0.2 us.
                READS.depth = depth
                parts: Any
                if output.join is not None:
                    output.join = output.parts = None
                    parts = take_joined()
                    size = len(parts)
                else:
                    parts, size, output.parts = output.parts, output.size, None
                if parts and (sent := send_parts(socket, parts)) != size:
                    output.queue(*unsent(parts, sent))
        if (heldBytes := self.factory.heldBytes) is not None:
            heldBytes.count(self)

    def _receiveOther(self, data: bytes, position: int = 0) -> None:
        """
        Process bytes of the handshake, and those that do not begin with a whole message.

        :param position: as for ``Conversation.feed``.
        """
        output = self._output
        if corked := output.parts is None:
            output.parts, output.size = [], 0  # cork()
            READS.depth += 1
        try:
            if (conversation := self._conversation) is None:
                self._receive(data)
            elif position or not self._closedBy(conversation, data):
                if len(data) >= FULL_READ:
                    self._widen(conversation)
                if self._delivering:
                    self._delivering = RECEIVED
                conversation.feed(data, output.direct, position)
                if not self._paused:
                    self._deliver()
                if self._isMoving and conversation.stage == OPEN and not self._paused:
                    self._move()
        finally:
            if corked and conversation is None and self._isMoving:
                output.uncorkLater()  # the response of a handshake
            elif corked:
                output.uncork()
        if (heldBytes := self.factory.heldBytes) is not None:
            heldBytes.count(self)

    def _closedBy(self, conversation: Conversation, data: bytes) -> bool:
        """
        Process a read that is one close frame, if nothing is left of other reads.

        :return: whether it was processed.
        """
        if (
            (conversation.delivered and not self._output.direct)
            or conversation.buffers
            or conversation.stage  # not OPEN
            or self._paused
            or self._delivering
            or self._application is None
        ):
            return False
        self._delivering = DELIVERING
        try:
            if not conversation.closed_by(data):
                return False
        except Exception:
            self._applicationFailed()  # such as a write to a transport that is not Twisted's
        finally:
            self._delivering = IDLE
        self._tellEnding()
        return True

    def _widen(self, conversation: Conversation) -> None:
        """Receive more bytes at a time, and long payloads directly into their messages."""
        if self._output.widen() and self.tap is None:
            readPayloads(self.transport, conversation.target, self._payloadReceived)

    def _payloadReceived(self, payload: bytes, count: int, isFirst: bool) -> None:
        """Process bytes that were received into the incomplete message."""
        conversation, output = self._conversation, self._output
        assert conversation is not None
        if conversation.payload_received(payload, count, isFirst):
            corked = output.cork()
            try:
                if not self._paused:
                    self._deliver()
            finally:
                if corked:
                    output.uncork()
        if (heldBytes := self.factory.heldBytes) is not None:
            heldBytes.count(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the application, or the code that awaits the handshake, that the transport ended."""
        self.connected = 0
        self._receive = ignore
        conversation = self._conversation
        if conversation is not None:
            # Otherwise the transport was reset, or TLS has failed.
            isOrderly = isinstance(reason.value, ConnectionDone)
            self._lostConversation(conversation, conversation.cut(isOrderly))
            return
        self._output.stopProducing()
        try:
            self.openingAbandoned()
            self.openingLost(reason)
        finally:
            self._finished()

    # The end of a handshake without a conversation, in which the two sides differ.

    def openingLost(self, reason: Failure) -> None:
        """
        Tell the application that the connection ended before the handshake was complete.

        :param reason: why the transport was lost.
        """
        side = "us" if self._left else "peer"
        why = "connection closed before the handshake completed"
        self._tellLost(Ended(CloseCode.ABNORMAL_CLOSURE, why, side, False))

    def openingLate(self) -> None:
        """End a connection after its handshake timeout."""
        raise NotImplementedError

    def openingClosed(self) -> None:
        """Close a connection without a conversation, since our side wants no connection."""
        self._leave()

    def openingAbandoned(self) -> None:
        """Cancel all that an incomplete handshake waits for. May be called more than once."""

    # The conversation of a connection, for counters and a log of requests.

    def opened(self) -> None:
        """Called when the conversation opens, before the application's ``negotiationFinished``."""

    def ended(self, ended: Ended) -> None:
        """
        Called before the application's ``connectionLost``; not called without an application.

        :param ended: how the connection ended.
        """

    def finished(self) -> None:
        """Called last of all, after the application's ``connectionLost``."""

    def adopt(
        self,
        application: WebSocketProtocol,
        offer: Offer,
        agreement: Agreement,
        rest: bytes = b"",
        transform: Transform | None = None,
        expiresIn: float | None = None,
    ) -> None:
        """
        Open the conversation after a handshake that the program has made itself.

        An example is a stream of HTTP/2 (RFC 8441). ``connectionMade`` was called, and no bytes
        were received.

        :param application: the application.
        :param offer: the client's offer.
        :param agreement: the agreement.
        :param rest: bytes of the peer after the handshake, if some were received already.
        :param transform: the transform of the agreed extension.
        :param expiresIn: as in :class:`txhixie.Accepted`.
        :raises ValueError: for seconds that :class:`txhixie.Accepted` does not take.
        """
        if expiresIn is not None:
            self.factory.expire(self, checkExpiry(expiresIn))
        self.offer = offer
        self.dialect = named(offer.dialect)
        self._application = application
        application.negotiationStarted(self)
        self._open(agreement, rest, transform)

    def _open(self, agreement: Agreement, rest: bytes, transform: Transform | None) -> None:
        """Open the conversation; ``rest`` are received bytes that follow the handshake."""
        output, factory, application = self._output, self.factory, self._application
        output.timeout(None)
        self.agreement = agreement
        self._conversation = conversation = factory.conversation(
            self.dialect,
            self.side,
            factory.limits,
            output,
            binary=factory.sendsBinary,
            transform=transform,
            entropy=factory.entropy,
        )
        self._receive = ignore
        self._isMoving = factory.connectionPoller and output.direct
        if output.tap is not None:
            output.tap.opened()
        conversation.answers_pings = not hasattr(application, "pingReceived")
        if self.dialect.is_pinged:
            factory.keepalive.start()
        else:
            leave_to_kernel(self.transport, factory.limits, output.direct, self._inherits)
        if factory.log.everything:
            self._began = factory.clock.seconds()
            factory.log.opened(loggedOf(self), self.offer, agreement, self._backend)
        self.opened()
        if self._paused:
            self.transport.pauseProducing()
        try:
            if application is not None:
                application.negotiationFinished()
        except Exception:
            self._applicationFailed()
        if rest:
            conversation.feed(rest, output.direct)
            if not self._paused:
                self._deliver()

    # Conversation.

    def _move(self) -> None:
        """
        Move the transport to the poller of its reactor, if it has no bytes to write.

        This is done with the first message: a connection that only opens and closes would take
        longer by two calls of ``epoll_ctl``.
        """
        if self._output.isFree():
            self._isMoving = False
            moveToPoller(self.transport)

    def _deliver(self) -> None:
        """Deliver messages to the application until there are none or the delivery is paused."""
        conversation, application = self._conversation, self._application
        if self._delivering or conversation is None or application is None:
            return
        self._delivering = DELIVERING
        try:
            for kind, message in conversation.events():
                if kind == TEXT:
                    application.textMessageReceived(message)  # type: ignore[arg-type]  # a text message is str
                elif kind == BINARY:
                    application.bytesMessageReceived(message)  # type: ignore[arg-type]  # a binary message is bytes
                elif kind == PING:
                    application.pingReceived(message)  # type: ignore[attr-defined]  # an optional method, of PingListener
                elif not self._tellsLatency(message):
                    application.pongReceived(message)  # type: ignore[arg-type]  # the payload of a pong is bytes
                if self._paused:
                    break
        except Exception:
            self._applicationFailed()
        finally:
            self._delivering = IDLE
        if (conversation.rest is not None or conversation.wait) and not self._paused:
            self._waitForTurn(conversation.wait)
        elif conversation.ended is not None:
            self._tellEnding()

    # A turn of the reactor inflates and delivers at most ``Limits.turn_size`` bytes. Where the rate
    # of messages or bytes is limited, the next turn may be seconds later.

    def _waitForTurn(self, seconds: float = 0.0) -> None:
        """
        Continue the delivery in the next turn of the reactor, after other connections.

        :param seconds: how long the rate of messages or bytes pauses the connection.
        """
        self._paused |= BY_RATE if seconds else BY_TURN
        if self.connected:
            # Otherwise received bytes would accumulate.
            if seconds and has_disconnected(self.transport):
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()
        self._turning = self.factory.clock.callLater(min(seconds, _LONGEST_WAIT), self._turned)

    def _endWait(self) -> None:
        """End a pause by a rate limit: no message is delivered any more."""
        if self._paused & BY_RATE and self._turning is not None:
            self._paused &= ~BY_RATE
            turning, self._turning = self._turning, None
            if turning.active():
                turning.cancel()

    def _turned(self) -> None:
        """Continue the delivery in a new turn of the reactor."""
        self._turning = None
        self._paused &= BY_APPLICATION
        if (conversation := self._conversation) is not None:
            conversation.turned()
        if not self._paused:
            self._goOn()

    def _goOn(self) -> None:
        """Deliver waiting messages after a pause; then read, or end a lost connection."""
        corked = self._output.cork()
        try:
            try:
                self._deliver()
            finally:
                if corked:
                    self._output.uncork()
        except BaseException:
            # Within dataReceived the reactor would end the connection. Here it would stay paused.
            self.abortConnection("the application failed")
            raise
        if self._paused:
            return
        if self.connected:
            self.transport.resumeProducing()
        elif not self._delivering:  # otherwise the delivery that goes on comes here later
            self._finish()

    # Keepalive.

    def look(self, now: float, slept: bool) -> None:
        """
        Keepalive tick of the connection.

        Ping the peer after ``ping_interval``; abort the connection if the peer was silent for
        ``ping_timeout`` after a ping.

        :param now: time of the factory's clock, in seconds.
        :param slept: whether the reactor was blocked, so that silence of the peer proves nothing.
        """
        conversation = self._conversation
        if conversation is None or conversation.stage != OPEN or not self.dialect.is_pinged:
            return
        if self._paused or self._output.full:
            self._pinged = None  # we do not read, or a ping could not be sent
            return
        limits = self.factory.limits
        if self._pinged is None:
            self._pinged = now
            conversation.heard = True  # the silence counts from now on
        elif not conversation.heard and now - self._pinged >= limits.ping_timeout and not slept:
            conversation.abort(
                f"no data received within {limits.ping_timeout:g} seconds of a ping"
                f" ({called('ping_timeout')})"
            )
            self._receive = ignore
            self._output.abort()
            self._tellEnding()
        elif conversation.heard and now - self._pinged >= (limits.ping_interval or 0):
            self._pinged = self._asked = now
            conversation.heard = False
            conversation.ping(payload(now))

    def _tellsLatency(self, pong: object) -> bool:
        """Whether a pong is that of the last automatic ping; its round-trip time is kept."""
        if self._asked is None or pong != payload(self._asked):
            return False
        self.latency = self.factory.clock.seconds() - self._asked
        return True

    def overflowed(self, size: int) -> None:
        """
        Abort the connection: its write buffer exceeds ``Limits.unsent_size``.

        :param size: bytes in the write buffer.
        """
        if self._conversation is not None:
            self._conversation.abort(self.factory.limits.unsent_error(size))
        self._left = True
        self._receive = ignore
        self._tellEnding()

    def stalled(self, waiting: int) -> None:
        """
        Abort the connection: the peer has acknowledged nothing for ``Limits.stall_timeout``.

        :param waiting: number of bytes that the peer has not acknowledged.
        """
        if not self.connected or self._paused & BY_RATE:
            # Only messages received before are still being delivered; or the peer cannot send, and
            # many programs read nothing until they have sent.
            return
        seconds = self.factory.limits.stall_timeout
        self.factory.log.stalled(loggedOf(self), seconds, waiting)
        self.abortConnection(
            f"no data acknowledged for {seconds:g} seconds ({called('stall_timeout')})"
        )

    def expired(self, reason: str = EXPIRED) -> None:
        """
        Close the connection with 1008: the credentials of its request are no longer valid.

        :param reason: the close reason.
        """
        self._retire(CloseCode.POLICY_VIOLATION, reason)

    def _retire(self, code: int, reason: str, detail: str = "") -> None:
        """
        Close the connection after its time has passed.

        :param detail: more for the log than the peer gets in the reason.
        """
        conversation = self._conversation
        if self._isOver or (conversation is not None and conversation.ended is not None):
            return  # only messages received before are still being delivered
        if detail or not self.dialect.has_codes:  # the line about the end has no reason
            self.factory.log.noticed(loggedOf(self), detail or reason)
        self.loseConnection(code, reason)

    @property
    def activity(self) -> object:
        """
        Object that differs after each message, and after each part of a message.

        ``None`` while the connection is not idle: before and after the conversation, while its
        received messages wait for the application, and while sent messages wait for the peer.
        """
        conversation = self._conversation
        if conversation is None or conversation.stage != OPEN or self._paused or self._output.full:
            return None
        return conversation.progress

    def tenureOver(self, limit: str) -> None:
        """
        Close the connection with 1001: it was idle for too long, or open for too long.

        :param limit: name of the limit, ``idle_timeout`` or ``lifetime``.
        """
        if self._conversation is not None:  # a handshake has timeouts of its own
            reason = _TENURES[limit]
            seconds = getattr(self.factory.limits, limit)
            detail = f"{reason} of {seconds:g} s ({called(limit)})"
            self._retire(CloseCode.GOING_AWAY, reason, detail)

    # The bytes that the connection holds.

    @property
    def holding(self) -> Holding:
        """The bytes that the connection holds, for the ceiling of all connections."""
        conversation = self._conversation
        if conversation is None:
            return Holding(0 if self._isOver else self.openingHeld(), 0)
        waiting = 0
        if self.connected and not self._left:
            waiting = self._output.held + getattr(self._application, "heldBytes", 0)
            waiting += 0 if self._newest is None else self._newest.size
        return Holding(conversation.held, waiting)

    def relinquish(self, holding: Holding, why: str) -> None:
        """
        End the connection: all connections together hold too many bytes.

        An unfinished message ends with 1013 (IANA's registry: try again later). A peer that does
        not read what was sent would not receive a close frame: the connection is aborted.

        :param holding: the bytes that the connection holds.
        :param why: the reason for the log.
        """
        conversation = self._conversation
        if not self.connected:
            self._forgo()
        elif conversation is None:
            if not self._isOver:
                self.openingRelinquished(why)
        elif holding.waiting > holding.received or conversation.ended is not None:
            self._logHeld(f"aborted with unsent bytes: {why}")
            if (discard := getattr(self._application, "discardHeldBytes", None)) is not None:
                discard()
            self.abortConnection(f"{holding.size:,} bytes were held: {why}")
        else:
            self._logHeld(f"ended with an unfinished message: {why}")
            if self.dialect.has_codes:
                self.failConnection(CloseCode.TRY_AGAIN_LATER, "try again later")
            else:
                self.loseConnection()
        if conversation is not None:
            conversation.release()

    def _logHeld(self, what: str) -> None:
        self.factory.log.noticed(loggedOf(self), what)

    def openingHeld(self) -> int:
        """Return the number of bytes that an incomplete handshake holds."""
        return 0

    def openingRelinquished(self, why: str) -> None:
        """
        End an incomplete handshake: all connections together hold too many bytes.

        :param why: the reason for the log.
        """
        self.abortConnection()

    def drained(self) -> None:
        """Tell the conversation that the transport has sent its write buffer."""
        self.factory.watched.resumed(self)
        if self._conversation is not None:
            self._conversation.drained()
        newest, self._newest = self._newest, None
        if newest is not None:
            self._tellNewest()
            self.sendPrepared(newest, "newest")

    def _tellNewest(self) -> None:
        """Call ``newestFollows``, if the application has this method."""
        if (newestFollows := getattr(self._application, "newestFollows", None)) is not None:
            try:
                newestFollows()
            except Exception:
                self._applicationFailed()

    def _applicationFailed(self) -> None:
        """Log an exception that the application raised, and close with 1011 (RFC 6455 7.4.1)."""
        self._logFailure("unhandled error in the application of a WebSocket connection")
        self.failConnection(reason="the application failed")

    def _logFailure(self, what: str) -> None:
        writeFailure(self._log, what, self)

    def _tellEnding(self, ended: Ended | None = None) -> None:
        """
        Call the application's ``closeStarted``, once.

        :param ended: how the connection ends, if the conversation does not know it yet.
        """
        if ended is None and self._conversation is not None:
            ended = self._conversation.ended
        if ended is None or self._toldEnding:
            return
        self._toldEnding = True
        if (closeStarted := getattr(self._application, "closeStarted", None)) is not None:
            try:
                closeStarted(ended)
            except Exception:
                self._logFailure("unhandled error in closeStarted of a WebSocket application")

    def _lostConversation(self, conversation: Conversation, ended: Ended) -> None:
        """
        End a conversation after its transport was lost and its last messages were delivered.

        The application takes these messages at its own pace. Delivered all at once, 64 KiB of
        compressed zeros would fill the memory of the application.
        """
        if not self._toldEnding:
            self._tellEnding(ended)
        if self._output.owner is not None:  # otherwise its transport has called this
            self._output.stopProducing()
        if self._delivering and not self._paused:
            self._waitForTurn()  # the application has run the reactor: the delivery goes on first
        if not self._paused:
            self._finish()  # all complete frames were processed
            return
        if self._paused & (BY_APPLICATION | BY_RATE) and not conversation.holds_messages:
            self._endWait()
            self._paused &= ~BY_APPLICATION
        if not self._paused:
            self._goOn()
        if self._paused:
            seconds = self.factory.limits.drain_timeout
            timer = self.factory.clock.callLater(seconds, self._dropRest, seconds)
            self.factory.draining[self] = timer

    def _dropRest(self, seconds: float) -> None:
        del self.factory.draining[self]
        assert self._conversation is not None
        self._conversation.drop(
            f"were dropped: the connection was lost, and they were not delivered within"
            f" {seconds:g} seconds (Limits.drain_timeout)"
        )
        self._finish()

    def _forgo(self) -> None:
        """Discard the messages of a lost connection that were not delivered."""
        if self._conversation is None or self._application is None:
            return
        self._conversation.forget()
        self._endWait()
        self._paused &= ~BY_APPLICATION
        if not (self._paused or self._delivering):
            self._waitForTurn()

    def _finish(self) -> None:
        """Call the application's ``connectionLost``, after the last message was delivered."""
        if self._application is None:
            return  # the application has resumed the connection in its connectionLost
        try:
            if self._conversation is not None:
                self._tellLost(self._conversation.forget())
        finally:
            self._finished()

    def _finished(self) -> None:
        """Release the application, cancel the timers, and leave the factory."""
        self._application = None
        if self._newest is not None:
            self._newest = None
            self._countSkipped("ended")
        factory = self.factory
        if self._turning is not None or factory.draining:
            turning, self._turning = self._turning, None
            for timer in (turning, factory.draining.pop(self, None)):
                if timer is not None and timer.active():
                    timer.cancel()
        factory.left(self)
        self.finished()

    def _tellLost(self, ended: Ended) -> None:
        self.ended(ended)
        close = CleanClose(ended) if ended.clean else AbruptClose(ended)
        if self.factory.log.tells(ended):
            self._logEnd(ended)
        application, self._application = self._application, None
        if getattr(application, "hasLostNewest", False):
            self._countSkipped("ended")
        try:
            if application is not None:
                application.connectionLost(Failure(close))
        except Exception:
            self._logFailure("unhandled error in connectionLost of a WebSocket application")

    @property
    def tally(self) -> Tally:
        """Numbers of messages of the conversation, and its duration."""
        conversation = self._conversation
        seconds = None if self._began is None else self.factory.clock.seconds() - self._began
        if conversation is None:
            return Tally(0, 0, seconds)
        return Tally(conversation.received, conversation.sent, seconds)

    @property
    def _backend(self) -> str | None:
        """Backend of the conversation for the log, if the application is that of a gateway."""
        return getattr(self._application, "loggedBackend", None)

    def _logEnd(self, ended: Ended) -> None:
        if self.side == Side.SERVER and not ended.clean and (hint := hint_about(ended.reason)):
            ended = ended._replace(reason=f"{ended.reason}; {hint}")
        self.factory.log.ended(loggedOf(self), ended, *self.tally, self._backend)
        if self.factory.recorder is not None and self.tap is not None:
            self.factory.recorder.write(self.tap, self, ended)

    # The end of the connection.

    @property
    def _isOver(self) -> bool:
        """Whether the handshake ended without a conversation: refused, aborted or lost."""
        return self._left or not self.connected

    def late(self) -> None:
        """End what the elapsed timeout was set for: the handshake, the close or the shutdown."""
        if self._conversation is not None:
            self._conversation.late()
        elif self._isOver:
            self._output.drop(abort=True)
        else:
            self.openingLate()

    def _leave(self) -> None:
        """Close a connection without a conversation; the peer has time to read our last bytes."""
        self.openingAbandoned()
        self._left = True
        self._receive = ignore
        self._output.timeout(self.factory.limits.close_timeout)
        self._output.drop()
