"""What a decision changes for a client that cannot receive everything: attributes of `Accepted`.

Each test compares what is sent with the attribute and without it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from support.applications import Applications, Recorder, echo
from support.dialect_names import HIXIE, MODERN, NAMES
from support.frame_writer import FrameWriter
from support.frames import MASK, modern_frame
from support.handshake_bytes import head_of, whole_request
from support.memory_connection import ServerEnd
from support.network import Network
from support.waiting import asynchronous, until
from txhixie import Accepted, Limits, broadcast
from txhixie.extensions import CLIENT_EXTENSIONS
from txhixie.sansio.wire.frame import BINARY, CONTINUATION, PING, PONG, TEXT

OFFERS = "Sec-WebSocket-Extensions: permessage-deflate"
every_dialect = pytest.mark.parametrize("dialect", NAMES)
modern = pytest.mark.parametrize("dialect", MODERN)


class Accepting:
    """An applications object that accepts each offer with the same attributes."""

    def __init__(self, make: Callable[[], Any] = echo, **attributes: Any) -> None:
        self.make = make
        self.attributes = attributes

    def buildProtocol(self, offer: Any) -> Accepted:
        return Accepted(self.make(), **self.attributes)


def end(make: Callable[[], Any] = echo, **attributes: Any) -> ServerEnd:
    return ServerEnd(Accepting(make, **attributes), limits=Limits(ping_interval=20))


class Giving:
    """A function that returns one application."""

    def __init__(self, application: Recorder) -> None:
        self.application = application

    def __call__(self) -> Recorder:
        return self.application


class Greeting(Recorder):
    """An application that sends the first message."""

    def negotiationFinished(self) -> None:
        super().negotiationFinished()
        self.transport.sendTextMessage("hello")


def writes(server: ServerEnd) -> list[bytes]:
    return [call[1] for call in server.wire.calls if call[0] == "write"]


# pings


@modern
def test_a_client_without_pings_gets_none_and_is_not_given_up(dialect: str) -> None:
    pinged, silent = end(), end(pings=False)
    for server in (pinged, silent):
        server.receive(whole_request(dialect))
        server.wire.calls.clear()
        for _ in range(200):
            server.clock.advance(0.5)  # a longer step counts as a blocked reactor
    assert writes(pinged)[0][:1] == b"\x89"
    assert ("abort",) in pinged.wire.calls
    assert silent.wire.calls == []
    assert silent.protocol.isOpen


@modern
def test_a_client_without_pings_has_its_own_pings_answered(dialect: str) -> None:
    server = end(pings=False)
    server.receive(whole_request(dialect))
    server.wire.calls.clear()
    server.receive(modern_frame(PING, b"alive", key=MASK))
    assert writes(server) == [modern_frame(PONG, b"alive")]


@asynchronous
async def test_the_kernel_keeps_a_connection_without_pings(net: Network) -> None:
    application = Recorder()
    for pings in (True, False):
        place = await net.serve(Accepting(lambda: application, pings=pings))
        client = await net.raw(place)
        await client.opens("rfc6455")
        handle = application.transport.transport.getHandle()
        assert bool(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is not pings


# compression


def test_a_client_gets_no_compression_where_the_decision_has_none() -> None:
    for compression in (True, False):
        server = end(compression=compression)
        server.receive(whole_request("rfc6455", OFFERS))
        assert (b"Sec-WebSocket-Extensions" in server.wire.written) is compression
        server.wire.calls.clear()
        server.receive(server.peer.text("a" * 1000))
        assert (writes(server)[0][:1] == b"\xc1") is compression


# firstFrameDelay


@every_dialect
def test_the_first_frame_follows_the_response_after_the_delay(dialect: str) -> None:
    at_once, later = end(Greeting), end(Greeting, firstFrameDelay=0.2)
    for server in (at_once, later):
        server.receive(whole_request(dialect))
    hello = at_once.own.text("hello")
    assert at_once.wire.written.endswith(hello)
    head = later.wire.taken()
    assert head + hello == at_once.wire.written
    later.clock.advance(0.19)
    assert later.wire.written == b""
    later.clock.advance(0.02)
    assert later.wire.written == hello


@every_dialect
def test_messages_that_come_within_the_delay_are_delivered_after_it(dialect: str) -> None:
    application = Recorder()
    server = end(lambda: application, firstFrameDelay=0.2)
    server.receive(whole_request(dialect))
    assert server.wire.calls[-2:][0] == ("pause",)
    server.receive(server.peer.text("early") + server.peer.text("and more"), size=3)
    assert application.told == ["started"]
    server.clock.advance(0.2)
    assert ("resume",) in server.wire.calls
    assert application.messages == ["early", "and more"]


@every_dialect
def test_a_client_that_leaves_within_the_delay_is_told_to_the_application(dialect: str) -> None:
    application = Recorder()
    server = end(lambda: application, firstFrameDelay=0.2)
    server.receive(whole_request(dialect))
    server.lose()
    assert application.told[-1] == "lost"
    assert server.clock.getDelayedCalls() == []


@every_dialect
def test_a_server_that_stops_within_the_delay_ends_the_connection(dialect: str) -> None:
    server = end(firstFrameDelay=0.2)
    server.receive(whole_request(dialect))
    stopped = server.factory.closeAll()
    assert ("resume",) in server.wire.calls
    assert server.wire.endings
    server.clock.advance(30)
    server.lose()
    assert stopped.called
    assert server.clock.getDelayedCalls() == []


def test_the_delay_of_hixie_76_begins_with_the_proof() -> None:
    server = end(Greeting, firstFrameDelay=0.2)
    whole = whole_request("hixie-76")
    server.receive(whole[:-8])
    server.clock.advance(1)
    server.receive(whole[-8:])
    server.wire.taken()
    server.clock.advance(0.1)
    assert server.wire.written == b""
    server.clock.advance(0.1)
    assert server.wire.written == server.own.text("hello")


# maxSentFrame


def fragments(data: bytes) -> list[tuple[int, bool, int, int]]:
    """Opcode, FIN, RSV1 and size of each frame of a server."""
    found, at = [], 0
    while at < len(data):
        size, header = data[at + 1], 2
        if size == 126:
            size, header = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        assert size < 127 or header == 4
        found.append((data[at] & 15, data[at] >= 128, data[at] & 64, size))
        at += header + size
    return found


@modern
@pytest.mark.parametrize("size", [0, 125, 126, 250, 251, 1000])
def test_a_long_message_is_sent_in_fragments_of_the_greatest_size(dialect: str, size: int) -> None:
    application = Recorder()
    server = end(lambda: application, maxSentFrame=125)
    server.receive(whole_request(dialect))
    sizes = [*([125] * (size // 125)), *([size % 125] if size % 125 or not size else [])]
    for opcode in (TEXT, BINARY):
        server.wire.taken()
        if opcode == TEXT:
            application.transport.sendTextMessage("a" * size)
        else:
            application.transport.sendBytesMessage(bytes(size))
        assert fragments(server.wire.written) == [
            (CONTINUATION if number else opcode, number == len(sizes) - 1, 0, each)
            for number, each in enumerate(sizes)
        ]


@modern
def test_a_message_of_a_megabyte_is_sent_in_fragments_too(dialect: str) -> None:
    application = Recorder()
    server = end(lambda: application, maxSentFrame=65535)
    server.receive(whole_request(dialect))
    server.wire.taken()
    application.transport.sendBytesMessage(bytes(1 << 20))
    sizes = [size for *_, size in fragments(server.wire.written)]
    assert sizes == [65535] * 16 + [16]


def test_a_compressed_message_has_its_mark_on_the_first_fragment() -> None:
    application = Recorder()
    server = end(lambda: application, maxSentFrame=125)
    server.receive(whole_request("rfc6455", OFFERS))
    server.wire.taken()
    application.transport.sendTextMessage("".join(map(chr, range(256, 2000))))
    found = fragments(server.wire.written)
    assert len(found) > 2
    assert [mark for _, _, mark, _ in found] == [64] + [0] * (len(found) - 1)


@pytest.mark.parametrize("dialect", HIXIE)
def test_a_message_of_a_dialect_without_fragments_is_sent_whole(dialect: str) -> None:
    server = end(maxSentFrame=125)
    server.receive(whole_request(dialect))
    server.wire.taken()
    server.receive(server.peer.text("a" * 300))
    assert server.wire.written == FrameWriter(dialect, None).text("a" * 300)


@modern
def test_a_message_is_never_sent_in_fragments_otherwise(dialect: str) -> None:
    application = Recorder()
    server = end(lambda: application)
    server.receive(whole_request(dialect))
    server.wire.taken()
    application.transport.sendTextMessage("a" * 60_000)
    assert fragments(server.wire.written) == [(1, True, 0, 60_000)]


def test_a_broadcast_message_has_the_fragments_of_each_receiver() -> None:
    applications = [Recorder(), Recorder(), Recorder()]
    ends = [
        end(Giving(application), maxSentFrame=most)
        for application, most in zip(applications, (None, 125, 200), strict=True)
    ]
    for server in ends:
        server.receive(whole_request("rfc6455"))
        server.wire.taken()
    assert broadcast([each.transport for each in applications], "a" * 200).sent == 3
    sizes = [[size for *_, size in fragments(server.wire.written)] for server in ends]
    assert sizes == [[200], [125, 75], [200]]


@asynchronous
async def test_a_client_reads_the_fragments_as_messages(net: Network) -> None:
    place = await net.serve(Accepting(maxSentFrame=125))
    application = Recorder()
    wire = await net.connect(
        place, Applications(lambda: application), dialect="rfc6455", extensions=CLIENT_EXTENSIONS
    )
    await wire.whenOpen()
    text = "".join(map(chr, range(256, 5000)))
    wire.sendTextMessage(text)
    wire.sendBytesMessage(bytes(range(256)) * 400)
    await until(lambda: len(application.messages) == 2)
    assert application.messages == [text, bytes(range(256)) * 400]


# plainAnswer


@every_dialect
def test_a_plain_answer_has_the_fields_of_the_handshake_only(dialect: str) -> None:
    cookie = {"Set-Cookie": "session=" + "a" * 500, "X-Powered-By": "us"}
    full, plain = end(headers=cookie), end(headers=cookie, plainAnswer=True)
    for server in (full, plain):
        server.receive(whole_request(dialect))
    assert b"Set-Cookie" in full.wire.written
    head = head_of(plain.wire.written)
    assert b"Set-Cookie" not in head
    assert b"X-Powered-By" not in head
    assert len(head) < 500
    assert len(writes(plain)) == 1


# Mistakes


@pytest.mark.parametrize(
    ("attributes", "error", "why"),
    [
        ({"firstFrameDelay": -1}, ValueError, "firstFrameDelay: expected 0 to 10 seconds, not -1"),
        ({"firstFrameDelay": 11}, ValueError, "firstFrameDelay: expected 0 to 10 seconds, not 11"),
        ({"firstFrameDelay": "1"}, TypeError, "firstFrameDelay: expected "),
        ({"maxSentFrame": 124}, ValueError, "maxSentFrame: expected at least 125 bytes, not 124"),
        ({"maxSentFrame": True}, TypeError, "maxSentFrame: expected "),
        ({"pings": "off"}, TypeError, "pings: expected .*; write pings=True or pings=False"),
        ({"compression": 0}, TypeError, "compression: expected "),
        ({"plainAnswer": None}, TypeError, "plainAnswer: expected "),
    ],
)
def test_a_wrong_attribute_is_an_error(
    attributes: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        Accepted(echo(), **attributes)
