"""Every modern dialect over TCP, TLS and UNIX sockets, with and without compression."""

from __future__ import annotations

import secrets
import zlib
from functools import partial
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.web import _websocket_impl, websocket
from twisted.web.resource import Resource
from twisted.web.server import Site

from support import applications
from support.applications import Answering, Applications, Plain, Recorder, echo, fails
from support.dialect_marks import each, modern
from support.dialect_names import CLOSING, MODERN, NAMES
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import body_of, request, status_of
from support.log_recorder import Log
from support.network import OVER, Network, Pair
from support.private_state import waiting_bytes
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import (
    AbruptClose,
    Accepted,
    CleanClose,
    HandshakeRefused,
    InvalidHandshake,
    Limits,
    Offer,
    Refusal,
    UsageError,
)
from txhixie.sansio.quirks import hint_about
from txhixie.sansio.wire.frame import Opcode

over_all = pytest.mark.parametrize("over", OVER)
either = pytest.mark.parametrize("side", ["server", "client"])
matrix = pytest.mark.parametrize(
    ("dialect", "compressed"),
    [(name, False) for name in NAMES] + [(name, True) for name in MODERN],
)

gathers = pytest.mark.skipif(
    not hasattr(_websocket_impl, "maybeDeliver"),
    reason="this Twisted's own module gives a large message to its application in pieces",
)


MEBI = 1024 * 1024
OFFERED = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
GRANTED = (
    "Sec-WebSocket-Extensions: permessage-deflate; "
    "server_no_context_takeover; client_no_context_takeover\r\n"
)


def extensions(compressed: bool) -> dict[str, Any]:
    """The option ``extensions`` of the factories."""
    return {} if compressed else {"extensions": ()}


def deflated(data: bytes) -> bytes:
    """The payload of a message, compressed by zlib and without the package."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def over_both(pair: Pair) -> None:
    """Wait until both applications got ``connectionLost``, each once."""
    await until(lambda: pair.client.lost and pair.server.lost)
    assert pair.client.told.count("lost") == pair.server.told.count("lost") == 1


# txhixie on both sides.


@modern
@asynchronous
async def test_resumeProducing_does_not_call_connectionLost_itself(
    dialect: str, net: Network
) -> None:
    """A close that was read during the pause is reported in a later turn of the reactor."""
    pair = await net.pair(
        dialect, "tcp", server=lambda: Recorder(text=lambda a: a.transport.pauseProducing())
    )
    pair.client.transport.sendTextMessage("wait")
    pair.client.transport.loseConnection()
    await until(lambda: pair.server.messages)
    await turn(0.02)
    pair.server.transport.resumeProducing()
    assert pair.server.lost is None
    await over_both(pair)
    assert isinstance(pair.server.lost, CleanClose)


@over_all
@matrix
@asynchronous
async def test_messages_of_every_kind_arrive_on_either_side(
    dialect: str, compressed: bool, over: str, net: Network, log: Log
) -> None:
    pair = await net.pair(dialect, over, **extensions(compressed))
    for wire in (pair.serverWire, pair.clientWire):
        assert wire.offer.dialect == wire.dialect.name == dialect
        assert wire.agreement is not None
        agreed = [name for name, _ in wire.agreement.extensions]
        assert agreed == (["permessage-deflate"] if compressed else [])
    messages = [
        "Grüße, \U0001f600",
        bytes(range(256)),
        "",
        b"",
        "x" * MEBI,
        secrets.token_bytes(MEBI),
        "ü" * 1000,
        "last",
    ]
    for message in messages:
        if isinstance(message, str):
            pair.client.transport.sendTextMessage(message)
        else:
            pair.client.transport.sendBytesMessage(message)
    await until(lambda: len(pair.client.messages) == len(messages))
    assert pair.server.messages == messages
    assert pair.client.messages == messages
    assert log.lines() == []


@over_all
@either
@each
@asynchronous
async def test_a_close_from_either_side_tells_both_the_code_and_the_reason(
    dialect: str, side: str, over: str, net: Network, log: Log
) -> None:
    pair = await net.pair(dialect, over)
    closer, other = (pair.server, pair.client) if side == "server" else (pair.client, pair.server)
    closer.transport.sendTextMessage("last")
    closer.transport.loseConnection(4001, "genug für heute")
    await over_both(pair)
    said = (4001, "genug für heute") if dialect in MODERN else (1005, "")
    assert closer.lost.ended == (*said, "us", True)
    assert other.lost.ended == (*said, "peer", True)
    assert isinstance(closer.lost, CleanClose)
    assert isinstance(other.lost, CleanClose)
    if other is pair.client:
        assert other.messages == ["last"]


@over_all
@pytest.mark.parametrize("dialect", CLOSING)
@asynchronous
async def test_both_may_close_at_once(dialect: str, over: str, net: Network, log: Log) -> None:
    pair = await net.pair(dialect, over)
    pair.server.transport.loseConnection(4001, "the server's")
    pair.client.transport.loseConnection(4002, "the client's")
    await over_both(pair)
    assert pair.server.lost.ended[2:] == pair.client.lost.ended[2:] == ("us", True)
    if dialect in MODERN:
        assert pair.server.lost.ended[:2] == (4001, "the server's")
        assert pair.client.lost.ended[:2] == (4002, "the client's")


@over_all
@modern
@asynchronous
async def test_messages_sent_before_a_close_arrive_first(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    pair = await net.pair(dialect, over)
    sent = ["x" * MEBI] * 8
    for message in sent:
        pair.server.transport.sendTextMessage(message, compress=False)
    pair.server.transport.loseConnection(1001, "going")
    await over_both(pair)
    assert pair.client.messages == sent
    assert pair.client.lost.ended == (1001, "going", "peer", True)
    assert pair.server.lost.ended == (1001, "going", "us", True)


@modern
@asynchronous
async def test_a_message_of_one_side_may_be_compressed_and_the_next_not(
    dialect: str, net: Network
) -> None:
    pair = await net.pair(dialect)
    message = "ha" * 20_000
    for compress in (True, False, None, True):
        before = bytes_written(pair.clientWire)
        pair.client.transport.sendTextMessage(message, compress=compress)
        size = bytes_written(pair.clientWire) - before
        assert (size > len(message)) == (compress is False)
        assert (size < 500) == (compress is not False)
    await until(lambda: len(pair.client.messages) == 4)
    assert pair.client.messages == [message] * 4


def bytes_written(wire: Any) -> int:
    """Count the bytes that a client has written since the first call."""
    outflow = wire._output  # private: a sum of the writes, which no transport has
    if not isinstance(outflow, Counting):
        # private: the conversation writes to the same object
        wire._output = wire._conversation._port = outflow = Counting(outflow)
    return outflow.size


class Counting:
    """A wrapper of the output that counts the bytes."""

    def __init__(self, outflow: Any) -> None:
        self.outflow = outflow
        self.size = 0

    def write(self, *parts: bytes) -> None:
        self.size += sum(map(len, parts))
        self.outflow.write(*parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outflow, name)


# Closing handshakes, byte by byte.


@over_all
@modern
@asynchronous
async def test_the_server_ends_TCP_once_both_have_closed(
    dialect: str, over: str, net: Network
) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications, over, limits=Limits(close_timeout=60))
    peer = FrameWriter(dialect, MASK)
    ours, theirs = await net.raw(place), await net.raw(place)
    for raw in (ours, theirs):
        await raw.opens(dialect)
    applications.made[0].transport.loseConnection(4000, "enough")
    await ours.reads(FrameWriter(dialect).close(4000, "enough"))
    assert ours.reason is None
    ours.send(peer.close(4000))
    theirs.send(peer.close(4001, "bye"))
    for raw in (ours, theirs):
        await raw.ends()
    assert bytes(theirs.data) == FrameWriter(dialect).close(4001, "bye")
    await until(lambda: not place.factory.connections)
    assert applications.made[0].lost.ended == (4000, "enough", "us", True)
    assert applications.made[1].lost.ended == (4001, "bye", "peer", True)


@either
@modern
@asynchronous
async def test_the_client_waits_for_the_server_to_end_TCP(
    dialect: str, side: str, net: Network
) -> None:
    place, made = await net.raw_server()
    applications = Applications(Recorder)
    wire = await net.connect(place, applications, dialect=dialect)
    await within(wire.whenOpen())
    (raw,) = made
    peer = FrameWriter(dialect)
    if side == "client":
        applications.made[0].transport.loseConnection(4000, "enough")
        await until(lambda: len(raw.data) == 2 + 4 + 2 + 6)
    raw.send(peer.close(4000, "enough"))
    await until(lambda: len(raw.data) == 2 + 4 + 2 + 6)
    await turn(0.1)
    assert raw.reason is None
    assert "lost" not in applications.made[0].told
    raw.transport.loseConnection()
    await until(lambda: applications.made[0].lost)
    who = "us" if side == "client" else "peer"
    assert applications.made[0].lost.ended == (4000, "enough", who, True)


HASTY = Limits(close_timeout=0.2, drain_timeout=5.0)


@over_all
@modern
@asynchronous
async def test_a_client_that_never_answers_the_close_is_not_waited_for(
    dialect: str, over: str, net: Network
) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications, over, limits=HASTY)
    raw = await net.raw(place)
    await raw.opens(dialect)
    applications.made[0].transport.loseConnection(4000, "enough")
    await raw.reads(FrameWriter(dialect).close(4000, "enough"))
    raw.send(FrameWriter(dialect, MASK).text("what?"))
    await until(lambda: applications.made[0].lost, 3)
    assert applications.made[0].lost.ended == (4000, "enough", "us", False)
    assert applications.made[0].messages == []
    await until(lambda: raw.reason is not None)


@modern
@asynchronous
async def test_a_server_that_never_answers_the_close_is_not_waited_for(
    dialect: str, net: Network
) -> None:
    place, _ = await net.raw_server()
    applications = Applications(Recorder)
    wire = await net.connect(place, applications, dialect=dialect, limits=HASTY)
    await within(wire.whenOpen())
    applications.made[0].transport.loseConnection(4000, "enough")
    await until(lambda: applications.made[0].lost, 3)
    assert applications.made[0].lost.ended == (4000, "enough", "us", False)


@modern
@asynchronous
async def test_a_server_that_answers_the_close_and_keeps_TCP_open_is_disconnected(
    dialect: str, net: Network
) -> None:
    place, made = await net.raw_server()
    applications = Applications(Recorder)
    wire = await net.connect(place, applications, dialect=dialect, limits=HASTY)
    await within(wire.whenOpen())
    made[0].send(FrameWriter(dialect).close(1001))
    await until(lambda: applications.made[0].lost, 3)
    assert applications.made[0].lost.ended == (1001, "", "peer", True)


@over_all
@modern
@asynchronous
async def test_a_peer_that_leaves_without_a_close_frame_is_an_abrupt_close(
    dialect: str, over: str, net: Network
) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications, over)
    raw = await net.raw(place)
    await raw.opens(dialect)
    raw.send(FrameWriter(dialect, MASK).text("hello")[:-1])
    raw.transport.loseConnection()
    await until(lambda: applications.made[0].lost)
    assert isinstance(applications.made[0].lost, AbruptClose)
    assert applications.made[0].lost.ended == (1006, "", "peer", False)


@either
@modern
@asynchronous
async def test_an_invalid_close_code_of_the_application_does_not_close(
    dialect: str, side: str, net: Network
) -> None:
    pair = await net.pair(dialect, client=echo if side == "server" else Recorder)
    one = getattr(pair, side)
    one.does = {}
    for code in (999, 1004, 1006, 1015, 2000, 5000):
        with pytest.raises(UsageError):
            one.transport.loseConnection(code, "why")
    one.transport.sendTextMessage("still open")
    await until(lambda: one.messages == ["still open"])
    one.transport.loseConnection(1005)
    await over_both(pair)
    assert one.lost.ended == (1005, "", "us", True)


@modern
@asynchronous
async def test_of_a_long_reason_the_peer_reads_123_bytes(dialect: str, net: Network) -> None:
    pair = await net.pair(dialect)
    pair.server.transport.loseConnection(4000, "x" + "ü" * 100)
    await over_both(pair)
    assert pair.client.lost.ended == (4000, "x" + "ü" * 61, "peer", True)


# Fragments.


@over_all
@modern
@pytest.mark.parametrize("compressed", [False, True])
@asynchronous
async def test_fragments_of_the_peers_are_one_message(
    dialect: str, compressed: bool, over: str, net: Network, log: Log
) -> None:
    """The fragments end inside characters, with control frames between the fragments."""
    place = await net.serve(Applications(), over)
    raw = await net.raw(place)
    peer = FrameWriter(dialect, MASK)
    if compressed:
        raw.send(request(dialect, OFFERED))
        await raw.reads(b"\r\n\r\n")
        raw.data.clear()
    else:
        await raw.opens(dialect)
    message = "Grüße, \U0001f600!"
    payload = deflated(message.encode()) if compressed else message.encode()
    parts = [payload[at : at + 1] for at in range(len(payload))]
    for number, part in enumerate(parts):
        raw.send(
            peer.frame(
                Opcode.CONTINUATION if number else Opcode.TEXT,
                part,
                final=number == len(parts) - 1,
                reserved=0x40 if compressed and not number else 0,
            )
        )
        raw.send(peer.frame(Opcode.PING, b"%d" % number))
        if number % 3 == 0:
            await turn()
    said = FrameWriter(dialect)
    pongs = [said.frame(Opcode.PONG, b"%d" % number) for number in range(len(parts))]
    await raw.reads(pongs[-1])
    assert bytes(raw.data) == b"".join(pongs[:-1]) + said.text(message) + pongs[-1]


@modern
@pytest.mark.parametrize("compressed", [False, True])
@asynchronous
async def test_fragments_of_a_servers_are_one_message(
    dialect: str, compressed: bool, net: Network, log: Log
) -> None:
    place, made = await net.raw_server(GRANTED if compressed else "")
    applications = Applications(Recorder)
    wire = await net.connect(place, applications, dialect=dialect)
    await within(wire.whenOpen())
    payload = "Grüße".encode()
    payload = deflated(payload) if compressed else payload
    peer = FrameWriter(dialect)
    first = 0x40 if compressed else 0
    made[0].send(peer.frame(Opcode.TEXT, payload[:3], final=False, reserved=first))
    await turn(0.01)
    made[0].send(peer.frame(Opcode.PONG, b"mine"))
    made[0].send(peer.frame(Opcode.CONTINUATION, payload[3:4], final=False))
    await turn(0.01)
    made[0].send(peer.frame(Opcode.CONTINUATION, payload[4:]))
    await until(lambda: applications.made[0].messages)
    assert applications.made[0].events[2:] == [("pong", b"mine"), ("text", "Grüße")]


@modern
@asynchronous
async def test_a_mebibyte_in_fragments_arrives_and_one_byte_more_does_not(
    dialect: str, net: Network, log: Log
) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications)
    peer = FrameWriter(dialect, MASK)
    for more in (b"", b"x"):
        raw = await net.raw(place)
        await raw.opens(dialect)
        raw.send(peer.frame(Opcode.BINARY, b"x" * 65_536, final=False))
        for _ in range(15):
            raw.send(peer.frame(Opcode.CONTINUATION, b"x" * 65_536, final=False))
        raw.send(peer.frame(Opcode.CONTINUATION, more))
        if more:
            await raw.ends()
            assert bytes(raw.data) == FrameWriter(dialect).close(1009, "message too big")
        else:
            await until(lambda: applications.made[0].messages)
            assert applications.made[0].messages == [b"x" * MEBI]


# Protocol violations: the close code on the wire, the reason in connectionLost.

LONG = 1001
VIOLATIONS: dict[str, tuple[int, str | tuple[str, ...]]] = {
    "an unknown opcode": (1002, "unknown opcode 0x3"),
    "an unknown control opcode": (1002, "unknown opcode 0xf"),
    "a reserved bit": (1002, "reserved bits must be 0"),
    "a reserved bit of a ping": (1002, "reserved bits of a control frame must be 0"),
    "unexpected continuation frame": (1002, "unexpected continuation frame"),
    "expected a continuation frame": (1002, "expected a continuation frame"),
    "a ping in fragments": (1002, "fragmented control frame"),
    "a long ping": (1002, "control frame payload longer than 125 bytes"),
    "a top bit": (1002, "the most significant bit of a 64-bit payload length must be 0"),
    "half a code": (1002, "close frame payload of 1 byte"),
    "a close that is not UTF-8": (1007, "invalid UTF-8 in a close reason"),
    "invalid UTF-8 in a text message": (1007, "invalid UTF-8 in a text message"),
    "text that ends inside a character": (1007, "invalid UTF-8 in a text message"),
    "a wrong byte in a part of a frame": (1007, "invalid UTF-8 in a text message"),
    "invalid compressed data": (1007, "invalid compressed data"),
    "a bomb": (1009, "message of 1,001 bytes or more exceeds our limit of 1,000 "),
    "a long frame": (1009, "frame of 1,001 bytes exceeds our limit of 1,000 "),
    "a long message": (1009, "message of 1,001 bytes or more exceeds our limit of 1,000 "),
    "many fragments": (1009, "message of 6 fragments exceeds our limit of 5 "),
    # From version 8 on:
    "a wrong mask": (1002, ("client frames must be masked", "server frames must not be masked")),
    # From version 13 on:
    "a code that nobody may send": (1002, "invalid close code 1006"),
}
SINCE_8 = {
    "invalid UTF-8 in a text message",
    "text that ends inside a character",
    "a wrong byte in a part of a frame",
    "a wrong mask",
}
SINCE_13 = {"a code that nobody may send"}
COMPRESSED = {"invalid compressed data", "a bomb"}


def violation(peer: FrameWriter, what: str) -> bytes:
    """The bytes of a protocol violation."""
    frame, part = peer.frame, partial(peer.frame, final=False)
    wrong = FrameWriter(peer.dialect, None if peer.key else MASK)
    bomb = deflated(bytes(1_000_000))
    kinds = {
        "an unknown opcode": lambda: frame(3),
        "an unknown control opcode": lambda: frame(15),
        "a reserved bit": lambda: frame(1, b"x", reserved=0x20),
        "a reserved bit of a ping": lambda: frame(9, b"x", reserved=0x40),
        "unexpected continuation frame": lambda: frame(0, b"x"),
        "expected a continuation frame": lambda: part(1, b"x") + frame(1, b"x"),
        "a ping in fragments": lambda: part(9, b"x"),
        "a long ping": lambda: frame(9, b"x" * 126),
        "a top bit": lambda: frame(2, b"", size=1 << 63, form=8),
        "half a code": lambda: frame(8, b"\x03"),
        "a close that is not UTF-8": lambda: frame(8, b"\x03\xe8\xff"),
        "invalid UTF-8 in a text message": lambda: frame(1, b"\xff"),
        "text that ends inside a character": lambda: part(1, b"\xc3") + frame(0, b""),
        "a wrong byte in a part of a frame": lambda: frame(1, b"\xff" * 900)[:50],
        "invalid compressed data": lambda: frame(1, b"\xff" * 9, reserved=0x40),
        "a bomb": lambda: frame(1, bomb[:900], reserved=0x40),
        "a long frame": lambda: frame(2, b"", size=LONG, form=2),
        "a long message": lambda: part(2, b"x" * 600) + frame(0, b"x" * 600),
        "many fragments": lambda: part(2, b"x") + part(0, b"") * 5,
        "a wrong mask": lambda: wrong.text("hello"),
        "a code that nobody may send": lambda: peer.close(1006),
    }
    return kinds[what]()


def allowed(dialect: str, what: str) -> bool:
    """Whether an older draft allows a violation of RFC 6455."""
    return (what in SINCE_13 and dialect != "rfc6455") or (what in SINCE_8 and dialect == "hybi-07")


CASES = [(name, what) for name in MODERN for what in VIOLATIONS if not allowed(name, what)]
STRICT = Limits(message_size=1000, fragments=5, close_timeout=60)


def told_of(what: str, reason: str) -> str:
    """The close reason that the peer gets: for a limit without its name and value."""
    return "message too big" if VIOLATIONS[what][0] == 1009 else reason


def reason_of(what: str, told: str) -> str:
    """Check the reason in our own ``connectionLost``, which has all details."""
    _, reason = VIOLATIONS[what]
    assert told.startswith(reason)
    assert told.isprintable()
    assert "\n" not in told
    return told


@pytest.mark.parametrize(("dialect", "what"), CASES)
@asynchronous
async def test_a_client_that_violates_the_protocol_gets_a_close_frame_with_the_reason(
    dialect: str, what: str, net: Network, log: Log
) -> None:
    code = VIOLATIONS[what][0]
    applications = Applications(echo)
    place = await net.serve(applications, limits=STRICT)
    raw = await net.raw(place)
    raw.send(request(dialect, *([OFFERED] if what in COMPRESSED else [])))
    await raw.reads(b"\r\n\r\n")
    raw.data.clear()
    peer = FrameWriter(dialect, MASK)
    raw.send(peer.text("good") + violation(peer, what) + peer.text("not heard"))
    await raw.ends()
    await until(lambda: applications.made[0].lost)
    lost = applications.made[0].lost
    assert isinstance(lost, AbruptClose)
    who = "us" if code == 1009 else "peer"
    assert (lost.code, lost.ended.who) == (code, who)
    reason = reason_of(what, lost.reason)
    said = FrameWriter(dialect)
    assert bytes(raw.data) == said.text("good") + said.close(code, told_of(what, reason))
    assert applications.made[0].messages == ["good"]
    (line,) = log.lines()
    assert line.startswith("ended connection=1 ")
    hint = hint_about(reason)  # the log of the server names the quirk that lets it in
    logged = reason if hint is None else f"{reason}; {hint}"
    assert f' code={code} reason="{logged}" by={who} ' in line


@pytest.mark.parametrize(("dialect", "what"), CASES)
@asynchronous
async def test_a_server_that_violates_the_protocol_gets_a_close_frame_with_the_reason(
    dialect: str, what: str, net: Network, log: Log
) -> None:
    code = VIOLATIONS[what][0]
    peer, own = FrameWriter(dialect), FrameWriter(dialect, bytes(4))
    lines = GRANTED if what in COMPRESSED else ""
    words = peer.text("good") + violation(peer, what) + peer.text("not heard")
    place, made = await net.raw_server(lines, words)
    applications = Applications(Recorder)
    entropy = bytes  # masking keys of zeros, so that the test can read the payload
    wire = await net.connect(place, applications, dialect=dialect, limits=STRICT, entropy=entropy)
    await within(wire.whenOpen())
    await until(lambda: len(made[0].data) > 8)
    await made[0].reads(own.close(code, told_of(what, decoded(bytes(made[0].data)))))
    made[0].transport.loseConnection()
    await until(lambda: applications.made[0].lost)
    lost = applications.made[0].lost
    assert isinstance(lost, AbruptClose)
    assert lost.code == code
    reason = reason_of(what, lost.reason)
    assert decoded(bytes(made[0].data)) == told_of(what, reason)
    assert applications.made[0].messages == ["good"]


def decoded(close: bytes) -> str:
    """The reason in a client's short close with a mask of zeros."""
    return close[8:].decode()


@pytest.mark.parametrize("dialect", ["hybi-07", "hybi-08"])
@asynchronous
async def test_the_older_drafts_allow_some_frames_that_RFC_6455_forbids(
    dialect: str, net: Network, log: Log
) -> None:
    """Up to version 8: lengths in too many bytes and any close code. In version 7 also frames
    without a mask, and text that is not UTF-8."""
    place = await net.serve(Applications())
    peer, said = FrameWriter(dialect, MASK), FrameWriter(dialect)
    raw = await net.raw(place)
    await raw.opens(dialect)
    for what in sorted(SINCE_13 | SINCE_8):
        if not allowed(dialect, what) or "part" in what or "code" in what:
            continue
        raw.send(violation(peer, what))
        raw.send(peer.text(what))
        await raw.reads(said.text(what))
    raw.send(peer.close(1006))
    await raw.ends()
    assert bytes(raw.data).endswith(said.close(None))


@either
@modern
@asynchronous
async def test_an_application_that_raises_closes_with_1011(
    dialect: str, side: str, net: Network, log: Log
) -> None:
    pair = await net.pair(dialect, server=Recorder)
    getattr(pair, side).does["text"] = fails
    one, other = (pair.server, pair.client) if side == "server" else (pair.client, pair.server)
    other.transport.sendTextMessage("hello")
    await over_both(pair)
    assert [type(error) for error in log.tracebacks()] == [applications.Broken]
    assert isinstance(one.lost, AbruptClose)
    assert one.lost.ended == (1011, "the application failed", "us", False)
    assert other.lost.ended[:3] == (1011, "the application failed", "peer")


# The handshake.


@modern
@asynchronous
async def test_a_client_may_send_frames_before_the_response_up_to_the_limit(
    dialect: str, net: Network, log: Log
) -> None:
    decisions: list[Deferred[Any]] = []
    cancelled: list[Deferred[Any]] = []

    def decide(offer: Offer) -> Deferred[Any]:
        decisions.append(Deferred(cancelled.append))
        return decisions[-1]

    place = await net.serve(Answering(decide), limits=Limits(early_size=1000))
    peer = FrameWriter(dialect, MASK)
    patient, hasty = await net.raw(place), await net.raw(place)
    patient.send(request(dialect) + peer.text("one"))
    await until(lambda: len(decisions) == 1)
    patient.send(peer.text("x" * 500)[:200])
    await turn(0.02)
    patient.send(peer.text("x" * 500)[200:])
    await turn(0.02)
    assert not patient.data
    application = echo()
    decisions[0].callback(application)
    await patient.reads(FrameWriter(dialect).text("x" * 500))
    assert application.messages == ["one", "x" * 500]
    hasty.send(request(dialect))
    await until(lambda: len(decisions) == 2)
    hasty.send(peer.text("x" * 1000))
    await hasty.ends()
    assert status_of(bytes(hasty.data)) == 400
    assert cancelled == decisions[1:]


@over_all
@modern
@asynchronous
async def test_a_request_with_frames_in_the_same_read_is_answered_whole(
    dialect: str, over: str, net: Network
) -> None:
    raw = await net.raw(await net.serve(Applications(), over))
    peer, said = FrameWriter(dialect, MASK), FrameWriter(dialect)
    raw.send(request(dialect) + peer.text("a", "b") + peer.close(4000, "bye"))
    await raw.ends()
    assert body_of(bytes(raw.data)) == said.text("a", "b") + said.close(4000, "bye")


@modern
@asynchronous
async def test_frames_in_the_same_read_as_the_response_are_delivered(
    dialect: str, net: Network
) -> None:
    peer = FrameWriter(dialect)
    place, _ = await net.raw_server(words=peer.text("a", "b") + peer.close(4000, "bye"))
    applications = Applications(Recorder)
    wire = await net.connect(place, applications, dialect=dialect, limits=HASTY)
    await within(wire.whenOpen())
    await until(lambda: applications.made[0].lost)
    assert applications.made[0].told == ["started", "finished", "text", "text", "lost"]
    assert applications.made[0].lost.ended == (4000, "bye", "peer", True)


@modern
@pytest.mark.parametrize(
    "lines",
    [
        "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; unheard_of\r\n",
        "Sec-WebSocket-Protocol: unasked\r\n",
    ],
)
@asynchronous
async def test_a_server_that_grants_what_was_not_requested_is_disconnected(
    dialect: str, lines: str, net: Network
) -> None:
    place, made = await net.raw_server(lines, FrameWriter(dialect).text("not heard"))
    applications = Applications(Recorder)
    wire = await net.connect(place, applications, dialect=dialect)
    with pytest.raises(InvalidHandshake, match=r"^(extension|protocol-mismatch): "):
        await within(wire.whenOpen())
    await until(lambda: made[0].reason is not None)
    await until(lambda: applications.made[0].told == ["started", "lost"])


@modern
@pytest.mark.parametrize("how", ["list", "callable", "accepted", "none"])
@asynchronous
async def test_both_sides_know_the_subprotocol_that_was_chosen(
    dialect: str, how: str, net: Network
) -> None:
    options: dict[str, Any] = {}
    applications: Any = Applications(Recorder)
    if how == "list":
        options["subprotocols"] = ["unknown", "beta"]
    elif how == "callable":
        options["subprotocols"] = lambda offer: offer.subprotocols[1]
    elif how == "accepted":
        applications = Answering(lambda offer: Accepted(Recorder(), "beta"))
    place = await net.serve(applications, **options)
    clients = Applications(Recorder)
    wire = await net.connect(place, clients, dialect=dialect, subprotocols=["alpha", "beta"])
    await within(wire.whenOpen())
    (served,) = place.factory.connections
    chosen = None if how == "none" else "beta"
    for agreement in (served.agreement, wire.agreement):
        assert agreement is not None
        assert agreement.subprotocol == chosen


@modern
@either
@asynchronous
async def test_either_side_can_do_without_compression(
    dialect: str, side: str, net: Network
) -> None:
    applications = Applications(echo)
    without: dict[str, Any] = {"extensions": ()}
    place = await net.serve(applications, **(without if side == "server" else {}))
    clients = Applications(Recorder)
    wire = await net.connect(
        place, clients, dialect=dialect, **(without if side == "client" else {})
    )
    await within(wire.whenOpen())
    assert wire.agreement is not None
    assert wire.agreement.extensions == ()
    clients.made[0].transport.sendTextMessage("ha" * 1000, compress=True)
    await until(lambda: clients.made[0].messages == ["ha" * 1000])


@modern
@asynchronous
async def test_the_log_names_the_dialect_and_the_extensions(
    dialect: str, net: Network, log: Log
) -> None:
    pair = await net.pair(dialect, logConnections=True)
    pair.client.transport.loseConnection(1001, "leaving")
    await over_both(pair)
    opened = [line for line in log.lines() if line.startswith("opened ")]
    assert len(opened) == 2
    assert all(
        f" target=/demo dialect={dialect} extensions=permessage-deflate" in o for o in opened
    )
    ended = [line for line in log.lines() if line.startswith("ended ")]
    assert len([line for line in ended if " code=1001 reason=leaving by=peer " in line]) == 1
    assert len([line for line in ended if " code=1001 reason=leaving by=us " in line]) == 1


@each
@asynchronous
async def test_a_redirect_is_refused_with_its_headers(dialect: str, net: Network) -> None:
    refusal = Refusal(307, "over there\n", ((b"Location", b"ws://elsewhere.example/"),))
    place = await net.serve(Answering(lambda offer: refusal))
    wire = await net.connect(place, Applications(Recorder), dialect=dialect)
    with pytest.raises(HandshakeRefused) as caught:
        await within(wire.whenOpen())
    assert caught.value.status == 307
    assert (b"location", b"ws://elsewhere.example/") in caught.value.headers


@pytest.mark.parametrize("version", [4, 5, 6, 9, 14, 99])
@asynchronous
async def test_the_response_to_an_unknown_version_lists_the_known_versions(
    version: int, net: Network
) -> None:
    raw = await net.raw(await net.serve(Applications()))
    raw.send(request("rfc6455").replace(b"Version: 13", b"Version: %d" % version))
    await raw.ends()
    lines = bytes(raw.data).split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 426 Upgrade Required"
    for line in (
        b"Upgrade: WebSocket",
        b"Connection: Upgrade, close",
        b"Sec-WebSocket-Version: 13, 8, 7",
    ):
        assert lines.count(line) == 1


@modern
@asynchronous
async def test_the_error_of_a_client_lists_the_versions_of_the_server(
    dialect: str, net: Network
) -> None:
    others = [name for name in NAMES if name != dialect]
    place = await net.serve(Applications(), dialects=others)
    wire = await net.connect(place, Applications(Recorder), dialect=dialect)
    with pytest.raises(HandshakeRefused) as caught:
        await within(wire.whenOpen())
    assert caught.value.status == 426
    (listed,) = [value for name, value in caught.value.headers if name == b"sec-websocket-version"]
    versions = {"hybi-07": b"7", "hybi-08": b"8", "rfc6455": b"13"}
    assert listed.split(b", ") == [versions[name] for name in reversed(MODERN) if name in others]


# Write buffers of peers that do not read.


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_a_peer_that_does_not_read_is_aborted_at_the_limit_of_unsent_bytes(
    over: str, net: Network, log: Log
) -> None:
    """Memory is bounded, and the other connections are not affected."""
    limits = Limits(unsent_size=2 * MEBI)
    applications = Applications(echo)
    place = await net.serve(applications, over, limits=limits)
    deaf, well = await net.raw(place), await net.raw(place)
    await deaf.opens("rfc6455")
    await well.opens("rfc6455")
    heedless, lively = applications.made
    deaf.transport.pauseProducing()
    held = []
    wire = heedless.transport
    peer, said = FrameWriter("rfc6455", MASK), FrameWriter("rfc6455")
    for number in range(1000):
        if not wire.isOpen:
            break
        wire.sendTextMessage("x" * 65_536)
        held.append(waiting_bytes(wire))
        if number % 20 == 0:
            well.send(peer.text(str(number)))
            await well.reads(said.text(str(number)))
    else:
        pytest.fail("64 MiB were taken for a peer that does not read")
    assert max(held) < limits.unsent_size + 1.5 * MEBI
    await until(lambda: heedless.lost)
    assert isinstance(heedless.lost, AbruptClose)
    assert heedless.lost.ended[:1] + heedless.lost.ended[2:] == (1006, "us", False)
    assert "exceeds our limit of 2,097,152 (Limits.unsent_size)" in heedless.lost.reason
    assert lively.lost is None
    well.send(peer.text("still well"))
    await well.reads(said.text("still well"))


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_a_peer_that_reads_is_not_aborted_however_much_was_sent(
    over: str, net: Network
) -> None:
    """The write buffer is never empty, as with an echo of large messages. Its bytes count, not all
    that were sent since it was full."""
    limits = Limits(unsent_size=2 * MEBI)
    applications = Applications(Recorder)
    place = await net.serve(applications, over, limits=limits)
    raw = await net.raw(place)
    await raw.opens("rfc6455")
    wire = applications.made[0].transport
    raw.transport.pauseProducing()
    sent = 0
    while not wire.full:
        wire.sendTextMessage("x" * 65_536)
        sent += 65_536
        await turn()
    raw.transport.resumeProducing()
    while sent < 16 * MEBI:
        for _ in range(16 - waiting_bytes(wire) // 65_536):
            wire.sendTextMessage("x" * 65_536)
            sent += 65_536
        assert wire.isOpen
        assert wire.full
        await turn()
    await until(lambda: len(raw.data) > sent)
    assert applications.made[0].lost is None


@modern
@asynchronous
async def test_pings_of_a_peer_that_does_not_read_fill_no_buffer(
    dialect: str, net: Network, log: Log
) -> None:
    """The peer's pings are answered while the write buffer has room; after that only the latest
    ping."""
    place = await net.serve(Applications())
    raw = await net.raw(place)
    await raw.opens(dialect)
    raw.transport.pauseProducing()
    peer, said = FrameWriter(dialect, MASK), FrameWriter(dialect)
    (wire,) = place.factory.connections
    flood = peer.frame(Opcode.PING, b"x" * 125) * 500
    for _ in range(400):
        raw.send(flood)
        await turn()
        assert waiting_bytes(wire) < 4 * 65_536
        if wire.full:
            break
    assert wire.full
    sent = len(raw.data)
    raw.send(flood + peer.frame(Opcode.PING, b"the latest"))
    await turn(0.05)
    assert waiting_bytes(wire) < 4 * 65_536
    raw.transport.resumeProducing()
    await raw.reads(said.frame(Opcode.PONG, b"the latest"))
    assert len(raw.data) > sent
    assert wire in place.factory.connections


# Keepalive.

LIVELY = Limits(ping_interval=0.1, ping_timeout=0.2)


@over_all
@modern
@asynchronous
async def test_a_peer_that_answers_pings_stays_and_its_latency_is_known(
    dialect: str, over: str, net: Network
) -> None:
    pair = await net.pair(dialect, over, limits=LIVELY)
    await until(lambda: pair.serverWire.latency is not None and pair.clientWire.latency is not None)
    await turn(0.3)
    for application in (pair.server, pair.client):
        assert application.lost is None
        assert 0 <= application.transport.latency < 5
        assert "pong" not in application.told


@over_all
@modern
@asynchronous
async def test_a_silent_peer_is_aborted_and_an_active_peer_is_not(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications, over, limits=LIVELY)
    silent, talking = await net.raw(place), await net.raw(place)
    await silent.opens(dialect)
    await talking.opens(dialect)
    while silent.reason is None:
        talking.send(FrameWriter(dialect, MASK).text("well"))
        await turn(0.03)
    await until(lambda: applications.made[0].lost)
    assert isinstance(applications.made[0].lost, AbruptClose)
    assert applications.made[0].lost.ended[:3] == (
        1006,
        "no data received within 0.2 seconds of a ping (Limits.ping_timeout, --ping-timeout)",
        "us",
    )
    assert silent.data[:2] == b"\x89\x08"
    assert applications.made[1].lost is None
    assert talking.reason is None


# One application class, under Twisted's module and under txhixie.


class Echoing(Plain):
    """An application as the documentation of twisted.web.websocket has it."""

    def textMessageReceived(self, message: str) -> None:
        super().textMessageReceived(message)
        self.transport.sendTextMessage(f"heard {message}")

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        super().bytesMessageReceived(data)
        self.transport.sendBytesMessage(bytes(data))


class Asking(Plain):
    """An application of the client, for `Echoing`."""

    def negotiationFinished(self) -> None:
        super().negotiationFinished()
        self.transport.sendTextMessage("hello")
        self.transport.sendBytesMessage(b"\x00\xff" * 50_000)
        self.transport.ping(b"there?")

    def pongReceived(self, payload: bytes) -> None:
        super().pongReceived(payload)
        self.transport.loseConnection(1000)


async def talks(servers: Applications, clients: Applications) -> None:
    """Check the events of both applications, which are the same under every package."""
    await until(lambda: clients.made and clients.made[0].events[-1][0] == "lost")
    await until(lambda: servers.made and servers.made[0].events[-1][0] == "lost")
    (server,), (client,) = servers.made, clients.made
    big = ("bytes", b"\x00\xff" * 50_000)
    opened = [("started",), ("finished",)]
    assert server.events[:-1] == [*opened, ("text", "hello"), big]
    assert client.events[:-1] == [*opened, ("text", "heard hello"), big, ("pong", b"there?")]


@gathers
@asynchronous
async def test_Twisteds_own_client_talks_to_our_factory(net: Network, log: Log) -> None:
    servers, clients = Applications(Echoing), Applications(Asking)
    place = await net.serve(servers)
    url = f"ws://127.0.0.1:{place.port}/demo"
    endpoint = websocket.WebSocketClientEndpoint.new(reactor, url)
    await within(ensureDeferred(endpoint.connect(clients)))
    await talks(servers, clients)
    assert servers.asked[0].dialect == "rfc6455"


@gathers
@asynchronous
async def test_our_client_talks_to_Twisteds_own_resource(net: Network, log: Log) -> None:
    servers, clients = Applications(Echoing), Applications(Asking)
    root = Resource()
    root.putChild(b"demo", websocket.WebSocketResource(servers))
    place = await net.listen(Site(root))
    wire = await net.connect(place, clients, dialect="rfc6455")
    await within(cast("Deferred[Any]", wire.whenOpen()))
    await talks(servers, clients)


@modern
@asynchronous
async def test_txhixie_on_both_sides_behaves_as_with_Twisteds_module(
    dialect: str, net: Network, log: Log
) -> None:
    servers, clients = Applications(Echoing), Applications(Asking)
    place = await net.serve(servers)
    wire = await net.connect(place, clients, dialect=dialect)
    await within(wire.whenOpen())
    await talks(servers, clients)
    assert wire.dialect.name == dialect
    assert clients.made[0].events[-1] == ("lost", CleanClose)
