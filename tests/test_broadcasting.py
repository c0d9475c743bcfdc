"""Broadcasts to connections in memory: all dialects, both sides, slow receivers, compression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from support.applications import Answering, Applications, Recorder, closed
from support.dialect_names import HIXIE, MODERN, NAMES, code_of
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd, opened
from support.private_state import conversation_of
from txhixie import Accepted, Channel, Counters, Delivery, Limits, PreparedMessage, broadcast, serve
from txhixie.extensions import Agreed, DeflateFrame, Extension, PermessageDeflate
from txhixie.sansio.wire.frame import Side
from txhixie.testing import Pair

each = pytest.mark.parametrize("dialect", NAMES)
both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])

NONE = Delivery(sent=0, waiting=0, skipped=0, closed=0, unsupported=0, absent=0)
ALL = Delivery(*(1 for _ in NONE))
BIG = "x" * 70_000
"""More than the write buffer of a transport in memory: its connection is slow afterwards."""


def delivery(**counts: int) -> Delivery:
    """A delivery with these numbers, and otherwise none."""
    return NONE._replace(**counts)


def member(dialect: str = "rfc6455", **options: Any) -> tuple[Pair, Recorder, Recorder]:
    """A connection of a room: the pair, the application of the server, and that of the client."""
    server, client = Recorder(), Recorder()
    return (
        Pair.new(Applications(lambda: server), client, dialect=dialect, **options),
        server,
        client,
    )


def slow(dialect: str = "rfc6455", **options: Any) -> tuple[Pair, Recorder, Recorder]:
    """A member whose client does not read, and whose write buffer is full."""
    pair, server, client = member(dialect, **options)
    pair.toClient.paused = True
    server.transport.sendTextMessage(BIG, compress=False)
    assert server.transport.full
    return pair, server, client


def reads(pair: Pair) -> None:
    """Let the client read all that waits for it."""
    pair.toClient.paused = False
    pair.pump()


def counters(pair: Pair) -> Counters:
    """The counters of the server of a member."""
    factory: Any = pair.server.protocol.factory
    found: Counters = factory.counters
    return found


# The receivers of a message.


@pytest.mark.parametrize("message", ["hello", "grüße 🙂", "", b"\x00\xff", b"", "x" * 200_000])
def test_a_message_arrives_in_every_dialect(message: str | bytes) -> None:
    members = [member(dialect, binary="send") for dialect in NAMES]
    receivers = [server.transport for _, server, _ in members]
    assert broadcast(receivers, message) == delivery(sent=len(NAMES))
    for pair, _, client in members:
        pair.pump()
        assert client.messages == [message]
        assert counters(pair).skipped == {}
        pair.done()


@each
def test_clients_broadcast_to_their_servers(dialect: str) -> None:
    """Each frame is masked with a key of its own (RFC 6455 section 5.3)."""
    members = [member(dialect) for _ in range(3)]
    before = [len(pair.toServer.carried) for pair, *_ in members]
    assert broadcast([client.transport for *_, client in members], "hello") == delivery(sent=3)
    frames = set()
    for (pair, server, _), start in zip(members, before, strict=True):
        pair.pump()
        assert server.messages == ["hello"]
        frames.add(bytes(pair.toServer.carried[start:]))
        pair.done()
    assert b"hello" not in b"".join(frames) or dialect in HIXIE


def test_each_frame_of_a_client_has_another_masking_key() -> None:
    keys = iter((b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"))
    # The first sixteen bytes are those of the handshake.
    one, first = opened("rfc6455", side=Side.CLIENT, entropy=lambda size: bytes(size))
    two, second = opened(
        "rfc6455", side=Side.CLIENT, entropy=lambda size: next(keys) if size == 4 else bytes(size)
    )
    message = PreparedMessage(b"\x00\x00\x00\x00")
    for _ in range(2):
        broadcast([first.transport, second.transport], message)
    assert one.wire.written == 2 * b"\x82\x84\x00\x00\x00\x00\x00\x00\x00\x00"
    assert two.wire.written == (
        b"\x82\x84\x01\x02\x03\x04\x01\x02\x03\x04\x82\x84\x05\x06\x07\x08\x05\x06\x07\x08"
    )
    one.done()
    two.done()


def test_equal_receivers_are_written_the_same_object() -> None:
    """The bytes are not copied for each receiver."""
    ends = [opened(dialect) for dialect in NAMES for _ in range(2)]
    broadcast([application.transport for _, application in ends], "hello")
    written = [end.wire.writes[-1] for end, _ in ends]
    assert len({id(data) for data in written}) == 2
    assert {bytes(data) for data in written} == {b"\x00hello\xff", b"\x81\x05hello"}
    for end, _ in ends:
        end.done()


@each
@both
def test_a_receiver_that_is_not_open_is_left_out(dialect: str, side: str) -> None:
    """Before the handshake is complete, closing, aborted, and after the end."""
    counted = []
    tells = Recorder(started=lambda app: counted.append(broadcast([app.transport], "x")))
    early, _ = opened(dialect, tells, side)
    gone = [opened(dialect, side=side) for _ in range(4)]
    gone[0][1].transport.loseConnection()
    gone[1][1].transport.abortConnection()
    gone[2][0].lose()
    gone[3][1].transport.failConnection()
    for end, _ in gone:
        end.wire.taken()
    for rule in ("skip", "newest", "close"):
        outcome = broadcast([application.transport for _, application in gone], "x", slow=rule)
        assert outcome == delivery(absent=4)
    assert counted == [delivery(absent=1)]
    assert [end.wire.written for end, _ in gone] == [b""] * 4
    for end in (early, *(end for end, _ in gone)):
        end.done()


def test_a_broadcast_to_nobody_is_not_an_error() -> None:
    assert broadcast([], "hello") == broadcast((), "hello", slow="close") == NONE


def test_the_numbers_of_a_delivery_are_those_of_all_receivers() -> None:
    assert sum(ALL) == len(NONE) == 6


@pytest.mark.parametrize("iterable", [list, tuple, set, iter, dict.fromkeys])
def test_receivers_may_be_any_iterable(iterable: Any) -> None:
    end, application = opened("rfc6455")
    assert broadcast(iterable([application.transport]), "hello") == delivery(sent=1)
    assert broadcast((t for t in [application.transport]), "hello") == delivery(sent=1)
    end.done()


def test_a_binary_message_is_left_out_where_the_dialect_loses_it() -> None:
    members = [member(dialect) for dialect in NAMES]
    outcome = broadcast([server.transport for _, server, _ in members], b"\xff")
    assert outcome == delivery(sent=len(NAMES) - 2, unsupported=2)
    for pair, server, client in members:
        pair.pump()
        lost = server.transport.offer.dialect in ("hixie-75", "hixie-76")
        assert client.messages == ([] if lost else [b"\xff"])
        assert counters(pair).skipped == ({"dialect": 1} if lost else {})


def test_a_binary_message_is_sent_to_a_peer_that_has_sent_one() -> None:
    end, application = opened("hixie-76")
    other, silent = opened("hixie-76")
    end.receive(b"\x80\x01x")
    receivers = [application.transport, silent.transport]
    for _ in range(2):
        assert broadcast(receivers, b"\xff") == delivery(sent=1, unsupported=1)
    assert broadcast(receivers, "text") == delivery(sent=2)
    assert end.wire.written == b"\x80\x01\xff" * 2 + b"\x00text\xff"
    assert other.wire.written == b"\x00text\xff"
    end.done()
    other.done()


@each
@pytest.mark.parametrize("rule", ["skip", "newest", "close"])
def test_a_message_over_the_limit_of_a_receiver_is_left_out(dialect: str, rule: str) -> None:
    limits = replace(Limits(), unsent_size=1000)
    pair, server, client = member(dialect, limits=limits)
    assert broadcast([server.transport], "x" * 1001, slow=rule) == delivery(unsupported=1)
    assert broadcast([server.transport], "x" * 1000, slow=rule) == delivery(sent=1)
    pair.pump()
    assert client.messages == ["x" * 1000]
    assert counters(pair).skipped == {"size": 1}
    pair.done()


@pytest.mark.parametrize(
    ("receivers", "said"),
    [
        ("transport", "receivers: expected a list, not str"),
        (None, "receivers: expected a list, not None"),
        ([None], "receivers: expected transports, channels or WebSockets, not NoneType"),
        ([Recorder()], "receivers: .* or WebSockets, not Recorder; write transport"),
    ],
)
def test_an_object_that_is_no_receiver_is_an_error(receivers: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        broadcast(receivers, "hello")


def test_an_error_of_the_caller_sends_nothing() -> None:
    end, application = opened("rfc6455")
    receivers: Any = [application.transport]
    stranger: Any = Recorder()
    with pytest.raises(TypeError):
        broadcast([*receivers, stranger], "hello")
    with pytest.raises(TypeError, match="a message: expected str or bytes, not dict"):
        broadcast(receivers, {})  # type: ignore[arg-type]  # the test passes a wrong type
    with pytest.raises(UnicodeEncodeError):
        broadcast(receivers, "\ud800")
    with pytest.raises(ValueError, match="slow: expected 'skip' or 'newest' or 'close'"):
        broadcast(receivers, "hello", slow="wait")
    assert end.wire.written == b""
    end.done()


# The members change meanwhile.


def test_receivers_that_leave_meanwhile_change_nothing_for_the_others() -> None:
    """The application of a slow member removes it, and tells the others."""
    room: set[Any] = set()

    class Member(Recorder):
        def closeStarted(self, ended: Any) -> None:
            room.discard(self.transport)
            broadcast(room, f"gone: {ended.code}")

    pairs, clients = [], []
    for _ in range(6):
        client = Recorder()
        pairs.append(Pair.new(Applications(Member), client))
        clients.append(client)
        room.add(pairs[-1].server.protocol)
    stuck = pairs[::3]
    for pair in stuck:
        pair.toClient.paused = True
        pair.server.protocol.sendTextMessage(BIG, compress=False)
    assert broadcast(room, "news", slow="close") == delivery(sent=4, closed=2)
    assert len(room) == 4
    for pair, client in zip(pairs, clients, strict=True):
        pair.pump()
        if pair not in stuck:
            assert client.messages == ["news", "gone: 1013", "gone: 1013"]
    for pair in pairs:
        pair.done()


def test_a_producer_that_raises_does_not_end_the_broadcast(log: Log) -> None:
    """The application's producer is paused when its write buffer is full."""

    class Faulty:
        def pauseProducing(self) -> None:
            raise RuntimeError("faulty producer")

        def resumeProducing(self) -> None: ...

        def stopProducing(self) -> None: ...

    members = [member() for _ in range(3)]
    producer: Any = Faulty()
    members[1][1].transport.attachProducer(producer)
    message = PreparedMessage(BIG, compress=False)
    # The first time the frame is made, the second time it is there.
    for count in (1, 2):
        outcome = broadcast([server.transport for _, server, _ in members], message)
        # The write buffer has the message, which arrives.
        assert outcome == delivery(sent=3)
        (failure,) = log.tracebacks()
        assert str(failure) == "faulty producer"
        for pair, server, client in members:
            assert conversation_of(server.transport).sent == count
            pair.pump()
            assert client.messages == [BIG] * count
    for pair, *_ in members:
        pair.done()


def test_an_extension_that_raises_sends_nothing(log: Log) -> None:
    """The message has no frame for this connection."""

    class Failing:
        reserved = 0x40

        def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
            raise RuntimeError("faulty extension")

        def decode(self, *_: object) -> bytes:
            return b""

    pair, server, client = member()
    conversation_of(server.transport)._transform = Failing()  # private: agreed otherwise
    assert broadcast([server.transport], "hello") == delivery(skipped=1)
    assert conversation_of(server.transport).sent == 0
    assert [str(failure) for failure in log.tracebacks()] == ["faulty extension"]
    pair.pump()
    assert client.messages == []
    pair.done()


class Interleaving(Recorder):
    """Answers each message with messages of its own and broadcasts, in one read."""

    room: Any

    def textMessageReceived(self, message: str) -> None:
        for name in ("one", "two"):
            self.transport.sendTextMessage(f"own before {name}")
            broadcast(self.room, f"{message} {name}")
            for each in self.room:
                each.sendTextMessage(f"own after {name}")


ORDER = ["hello one", "own after one", "hello two", "own after two"]


@each
def test_broadcasts_and_own_messages_of_one_read_are_joined_in_their_order(dialect: str) -> None:
    applications = Applications(Interleaving)
    clients = [Recorder() for _ in range(3)]
    pairs = [Pair.new(applications, client, dialect=dialect) for client in clients]
    Interleaving.room = [each.transport for each in applications.made]
    clients[0].transport.sendTextMessage("hello")
    for pair in pairs:
        pair.pump()
    assert clients[0].messages == [
        *("own before one", *ORDER[:2]),
        *("own before two", *ORDER[2:]),
    ]
    assert clients[1].messages == clients[2].messages == ORDER
    for pair in pairs:
        pair.done()


def test_a_tap_is_told_of_a_broadcast() -> None:
    told: list[bytes] = []

    class Listening:
        def sent(self, *data: bytes) -> None:
            told.extend(data)

    members = [member() for _ in range(3)]
    tapped: Any = members[1][1].transport
    tapped.tap = Listening()
    for text in ("hello", "again"):
        broadcast([server.transport for _, server, _ in members], text)
    assert told == [b"\x81\x05hello", b"\x81\x05again"]
    tapped.tap = None
    for pair, _, client in members:
        pair.pump()
        assert client.messages == ["hello", "again"]
        pair.done()


# Slow receivers.


@each
def test_a_slow_receiver_is_skipped(dialect: str) -> None:
    pair, server, client = slow(dialect)
    other, fast, told = member(dialect)
    receivers = [server.transport, fast.transport]
    for number in range(3):
        assert broadcast(receivers, f"{number}") == delivery(sent=1, skipped=1)
    reads(pair)
    other.pump()
    assert client.messages == [BIG]
    assert told.messages == ["0", "1", "2"]
    assert broadcast(receivers, "4") == delivery(sent=2)
    reads(pair)
    assert client.messages == [BIG, "4"]
    assert counters(pair).skipped == {"full": 3}
    assert counters(other).skipped == {}
    pair.done()
    other.done()


@each
def test_a_slow_receiver_gets_the_newest_message(dialect: str) -> None:
    pair, server, client = slow(dialect)
    for number in range(5):
        outcome = broadcast([server.transport], f"{number}", slow="newest")
        assert outcome == delivery(waiting=1)
    reads(pair)
    assert client.messages == [BIG, "4"]
    assert counters(pair).skipped == {"replaced": 4}
    assert broadcast([server.transport], "5", slow="newest") == delivery(sent=1)
    reads(pair)
    assert client.messages == [BIG, "4", "5"]
    pair.done()


@each
def test_a_slow_receiver_is_closed_with_1013(dialect: str, log: Log) -> None:
    pair, server, client = slow(dialect)
    other, fast, told = member(dialect)
    receivers = [server.transport, fast.transport]
    assert broadcast(receivers, "hello", slow="close") == delivery(sent=1, closed=1)
    assert ["closed with 1013 at a broadcast" in line for line in log.lines()] == [True]
    assert broadcast(receivers, "again", slow="close") == delivery(sent=1, absent=1)
    reads(pair)
    other.pump()
    assert client.messages == [BIG]
    assert told.messages == ["hello", "again"]
    assert closed(client).code == code_of(dialect, 1013)
    assert counters(pair).skipped == {"full": 1}
    pair.done()
    other.done()


def test_a_message_that_waits_is_lost_with_its_connection_and_counted() -> None:
    pair, server, _ = slow()
    broadcast([server.transport], "newest", slow="newest")
    pair.done()
    assert counters(pair).skipped == {"ended": 1}


def test_a_binary_message_does_not_replace_the_newest_where_it_would_be_lost() -> None:
    pair, server, client = slow("hixie-76")
    for message in ("text", b"\xff"):
        outcome = broadcast([server.transport], message, slow="newest")
        assert outcome == delivery(**{"waiting" if message == "text" else "unsupported": 1})
    assert broadcast([server.transport], b"\xff", slow="close") == delivery(unsupported=1)
    reads(pair)
    assert client.messages == [BIG, "text"]
    pair.done()


def test_own_messages_and_the_newest_one_share_the_write_buffer() -> None:
    pair, server, client = slow()
    broadcast([server.transport], "one", slow="newest")
    server.transport.sendTextMessage("own")
    broadcast([server.transport], "two", slow="newest")
    reads(pair)
    assert client.messages == [BIG, "own", "two"]
    pair.done()


def test_the_newest_message_waits_again_where_the_write_buffer_is_full_again() -> None:
    """A pong that waits is sent first; then the message waits for the next time."""
    pair, server, client = slow()
    broadcast([server.transport], BIG + "1", slow="newest")
    pair.toClient.paused = False
    pair.toClient.piece = 1 << 20
    pair.pump()
    assert client.messages == [BIG, BIG + "1"]
    pair.done()


def test_a_slow_receiver_holds_its_write_buffer_and_one_message() -> None:
    """The bound of the guide: however many messages there are, and with each rule."""
    for rule in ("skip", "newest"):
        pair, server, _ = member()
        pair.toClient.paused = True
        before = len(pair.server.wire.written)
        for _ in range(1000):
            broadcast([server.transport], "x" * 1000, slow=rule)
        assert len(pair.server.wire.written) - before <= 64 * 1024 + 1004
        pair.done()


# Channels.


def chat(**options: Any) -> tuple[Pair, Recorder, list[Channel]]:
    """A connection whose server is a coroutine, and the channel of the coroutine."""
    channels: list[Channel] = []

    async def member(channel: Channel) -> None:
        channels.append(channel)
        async for _ in channel:
            pass

    client = Recorder()
    pair = Pair.new(serve(member), client, **options)
    return pair, client, channels


@each
def test_channels_are_receivers(dialect: str) -> None:
    pair, client, (channel,) = chat(dialect=dialect)
    other, server, told = member(dialect)
    assert broadcast([channel, server.transport], "hello") == delivery(sent=2)
    pair.pump()
    other.pump()
    assert client.messages == told.messages == ["hello"]
    channel.close()
    assert broadcast([channel, server.transport], "hello") == delivery(sent=1, absent=1)
    pair.done()
    other.done()


@each
@pytest.mark.parametrize("rule", ["skip", "newest", "close"])
def test_a_slow_channel_follows_the_rule(dialect: str, rule: str) -> None:
    pair, client, (channel,) = chat(dialect=dialect, serverExtensions=())
    pair.toClient.paused = True
    channel.send(BIG)
    outcomes = [broadcast([channel], f"{number}", slow=rule) for number in range(3)]
    own = channel.send("own")
    reads(pair)
    if rule == "skip":
        assert outcomes == [delivery(skipped=1)] * 3
        assert client.messages == [BIG, "own"]
    elif rule == "newest":
        assert outcomes == [delivery(waiting=1)] * 3
        assert client.messages == [BIG, "2", "own"]
        assert counters(pair).skipped == {"replaced": 2}
    else:
        assert outcomes == [delivery(closed=1), delivery(absent=1), delivery(absent=1)]
        assert client.messages == [BIG]
        assert own.called
    pair.done()


def test_the_newest_message_of_a_channel_is_counted_if_its_connection_ends_before() -> None:
    pair, _, (channel,) = chat(serverExtensions=())
    pair.toClient.paused = True
    channel.send(BIG)
    for number in range(3):
        broadcast([channel], f"{number}", slow="newest")
    pair.done()
    assert counters(pair).skipped == {"replaced": 2, "ended": 1}


def test_the_newest_message_of_a_channel_that_was_sent_is_not_counted() -> None:
    pair, client, (channel,) = chat(serverExtensions=())
    pair.toClient.paused = True
    channel.send(BIG)
    broadcast([channel], "newest", slow="newest")
    reads(pair)
    assert client.messages == [BIG, "newest"]
    pair.done()
    assert counters(pair).skipped == {}


def test_messages_of_a_channel_that_wait_come_before_a_broadcast() -> None:
    """The first Deferred fires while other messages wait, and its callback broadcasts."""
    pair, client, (channel,) = chat(serverExtensions=())
    pair.toClient.paused = True
    channel.send(BIG)
    channel.send("one").addCallback(lambda _: broadcast([channel], "three", slow="close"))
    channel.send("two")
    reads(pair)
    assert client.messages == [BIG, "one", "two", "three"]
    pair.done()


# Compression.


class Inflating:
    """A peer of txhixie in a pair, with these extensions on both sides."""

    def __init__(self, ours: Extension, theirs: Extension) -> None:
        self.pair, self.server, self.client = member(
            serverExtensions=[ours], clientExtensions=[theirs]
        )
        self.sent: list[str | bytes] = []

    def sends(self, message: str) -> None:
        self.server.transport.sendTextMessage(message, compress=True)
        self.sent.append(message)

    def arrives(self) -> None:
        self.pair.pump()
        assert self.client.messages == self.sent


def windows() -> Iterator[tuple[Extension, Extension]]:
    """Extensions of a server and a client: with and without context, in windows of each size."""
    for takeover in (True, False):
        for bits in range(9, 16):
            ours = PermessageDeflate(server_takeover=takeover, server_bits=bits, threshold=0)
            yield ours, PermessageDeflate(server_takeover=True, server_bits=bits, threshold=0)
        frames = DeflateFrame(takeover=takeover, threshold=0)
        yield frames, frames


def prose(number: int, size: int = 400) -> str:
    """A text that refers to earlier ones if its compressor keeps the context."""
    return (f"{number}: the quick brown fox jumps over the lazy dog; " * 40)[:size]


def test_broadcasts_and_own_messages_alternate_on_connections_with_every_window() -> None:
    """A connection that keeps the context of its compressor starts it anew after a broadcast."""
    members = [Inflating(*extensions) for extensions in windows()]
    receivers = [each.server.transport for each in members]
    for number in range(12):
        for each in members[:: 1 + number % 3]:
            each.sends(prose(number, 700))
        text = prose(100 + number, (400, 9000)[number % 2])
        assert broadcast(receivers, text, compress=number % 4 != 3) == delivery(sent=len(members))
        for each in members:
            each.sent.append(text)
            if number % 2:
                each.sends(prose(number))
    for each in members:
        each.arrives()
        each.pair.done()


def test_a_connection_without_a_broadcast_in_between_refers_to_earlier_messages() -> None:
    """Otherwise the test above would prove nothing."""
    keeps = PermessageDeflate(server_takeover=True, threshold=0)
    each = Inflating(keeps, keeps)
    sizes = []
    for number in range(3):
        start = len(each.pair.toClient.carried)
        each.sends(prose(7, 50))
        each.arrives()
        sizes.append(len(each.pair.toClient.carried) - start)
        if number == 1:  # the next message cannot refer to the first one
            broadcast([each.server.transport], prose(8, 50), compress=True)
            each.sent.append(prose(8, 50))
            each.arrives()
    assert sizes[1] < sizes[0] // 2
    assert sizes[2] == sizes[0]
    each.pair.done()


def test_an_uncompressed_broadcast_leaves_the_context() -> None:
    keeps = PermessageDeflate(server_takeover=True, threshold=0)
    each = Inflating(keeps, keeps)
    each.sends(prose(7, 50))
    broadcast([each.server.transport], prose(8, 50), compress=False)
    each.sent.append(prose(8, 50))
    each.arrives()
    start = len(each.pair.toClient.carried)
    each.sends(prose(7, 50))
    each.arrives()
    assert len(each.pair.toClient.carried) - start < 15
    each.pair.done()


def test_a_message_is_compressed_once_for_equal_receivers() -> None:
    deflate = PermessageDeflate()
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    written = Counter[int]()
    for keeps in (False, True):
        message = PreparedMessage(prose(1), compress=True)
        ends = []
        for _ in range(3):
            end = ServerEnd(
                Applications(Recorder), extensions=[replace(deflate, server_takeover=keeps)]
            )
            end.receive(whole_request("rfc6455", offer))
            end.wire.taken()
            ends.append(end)
        assert broadcast([end.protocol for end in ends], message) == delivery(sent=3)
        written[len({id(end.wire.writes[-1]) for end in ends})] += 1
        assert len(message.payloads) == 1
        assert len(ends[0].wire.written) < 100
        for end in ends:
            end.done()
    assert written == {1: 2}


@pytest.mark.parametrize("dialect", MODERN)
def test_clients_share_the_compressed_payload(dialect: str) -> None:
    members = [member(dialect) for _ in range(3)]
    message = PreparedMessage(prose(1), compress=True)
    broadcast([client.transport for *_, client in members], message)
    assert len(message.payloads) == 1
    for pair, server, _ in members:
        pair.pump()
        assert server.messages == [prose(1)]
        pair.done()


def test_a_transform_of_the_users_own_encodes_for_each_receiver() -> None:
    calls = []

    class Plain:
        reserved = 0x20

        def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
            calls.append(compress)
            return payload[::-1], 0x20

        def decode(self, opcode: int, payload: bytes, *_: Any) -> bytes:
            return payload[::-1]

    class Own:
        name = "own"

        def offers(self) -> Any:
            return ()

        def accept(self, parameters: Any) -> Any:
            return Agreed((), Plain())

        def agree(self, parameters: Any) -> Any:
            return Plain()

    members = [member(serverExtensions=[Own()], clientExtensions=[Own()]) for _ in range(2)]
    broadcast([server.transport for _, server, _ in members], "hello", compress=True)
    assert calls == [True, True]
    for pair, _, client in members:
        pair.pump()
        assert client.messages == ["hello"]
        pair.done()


def test_a_rate_limit_for_the_peer_does_not_change_a_broadcast() -> None:
    limits = replace(Limits(), messages_per_second=10.0)
    members = [member(dialect, limits=limits) for dialect in NAMES]
    message = PreparedMessage(prose(1))
    receivers = [server.transport for _, server, _ in members]
    assert broadcast(receivers, message) == delivery(sent=len(NAMES))
    assert sorted(message.frames) == ["hixie ", "hybi deflate 15 1 8 256"]
    for pair, _, client in members:
        pair.pump()
        assert client.messages == [prose(1)]
        pair.done()


def test_a_client_that_takes_short_frames_only_gets_fragments() -> None:
    """Other receivers get the whole message in one frame."""
    accepted = Accepted(Recorder(), maxSentFrame=125)
    narrow, wide = ServerEnd(Answering(lambda _: accepted)), opened("rfc6455")[0]
    narrow.receive(whole_request("rfc6455"))
    narrow.wire.taken()
    message = PreparedMessage("x" * 200)
    for _ in range(2):
        assert broadcast([narrow.protocol, wide.protocol], message) == delivery(sent=2)
    fragments = b"\x01\x7d" + b"x" * 125 + b"\x80\x4b" + b"x" * 75
    assert narrow.wire.written == fragments * 2
    assert wide.wire.written == (b"\x81\x7e\x00\xc8" + b"x" * 200) * 2
    narrow.done()
    wide.done()


def test_a_prepared_message_can_be_sent_again_to_other_receivers() -> None:
    message = PreparedMessage("history")
    for dialect in NAMES:
        pair, server, client = member(dialect)
        assert broadcast([server.transport], message) == delivery(sent=1)
        pair.pump()
        assert client.messages == ["history"]
        pair.done()
