"""Long payloads that are received into their messages, over real sockets.

Without the C extension the same connections read in the usual way, and the tests are the same.
"""

from __future__ import annotations

import socket
from random import Random
from typing import Any, Final

import pytest
from twisted.internet import ssl

from support.applications import Recorder
from support.certificates import certificate
from support.frames import MASK, modern_frame
from support.log_recorder import Log
from support.network import Network, Pair
from support.private_state import conversation_of
from support.raw_peer import Raw
from support.waiting import asynchronous, turn, until
from txhixie import HixieServerFactory
from txhixie.connection.held_bytes import HeldBytes
from txhixie.connection.tap import Tap
from txhixie.interfaces import AbruptClose, CleanClose
from txhixie.sansio.limits import Limits
from txhixie.sansio.wire.frame import BINARY, CLOSE, PING, TEXT
from txhixie.sockets.socket_calls import WIDE_READ, receive_payload
from txhixie.testing import Applications

pytestmark = pytest.mark.skipif(not hasattr(socket.socket, "sendmsg"), reason="needs POSIX")
on_and_off = pytest.mark.parametrize("isMoved", [True, False], ids=["poller", "reactor"])

MEBI: Final = 1024 * 1024
LIMITS: Final = Limits(message_size=4 * MEBI, unsent_size=64 * MEBI)


def isReplaced(transport: Any) -> bool:
    """Whether the reads of a transport are those of a payload reader."""
    return "doRead" in vars(transport)


async def large(net: Network, **options: Any) -> Pair:
    """Both sides, once each has received a large message."""
    pair = await net.pair("rfc6455", limits=LIMITS, extensions=(), **options)
    pair.client.transport.sendBytesMessage(bytes(300_000))
    await until(lambda: len(pair.client.messages) == 1)
    for each in (pair.serverWire.transport, pair.clientWire.transport):
        assert isReplaced(each) == (receive_payload is not None)
    return pair


async def opened(net: Network, **options: Any) -> tuple[Recorder, Raw, HixieServerFactory]:
    """A server's application and its peer, after a large message, which is not kept."""
    applications = Applications(Recorder)
    place = await net.serve(applications, limits=LIMITS, **options)
    raw = await net.raw(place)
    await raw.opens("rfc6455")
    raw.send(modern_frame(BINARY, bytes(300_000), key=MASK))
    await until(lambda: applications.made[0].messages)
    applications.made[0].events.clear()
    return applications.made[0], raw, place.factory


@on_and_off
@asynchronous
async def test_large_messages_of_both_sides_arrive_unchanged_and_in_order(
    net: Network, isMoved: bool
) -> None:
    """Masked ones of the client and unmasked ones of the server, binary and text, and small ones
    between them."""
    pair = await large(net, connectionPoller=isMoved)
    random = Random(5)
    sizes = [5, 65_536, 70_000, 262_130, 262_144, 500_001, 1_048_576, 3, 4 * MEBI, 130_000] * 3
    random.shuffle(sizes)
    sent: list[str | bytes] = []
    for index, size in enumerate(sizes):
        content = random.randbytes(size)
        sent.append(content if index % 3 else content.hex()[:size] + "é")
    for each in sent:
        if isinstance(each, str):
            pair.client.transport.sendTextMessage(each[-4 * MEBI + 2 :])
        else:
            pair.client.transport.sendBytesMessage(each)
    await until(lambda: len(pair.client.messages) == 1 + len(sent))
    for received, each in zip(pair.client.messages[1:], sent, strict=True):
        assert received == (each[-4 * MEBI + 2 :] if isinstance(each, str) else each)


@asynchronous
async def test_a_transport_that_has_ended_refers_to_its_connection_no_more(net: Network) -> None:
    pair = await large(net)
    pair.client.transport.loseConnection()
    for each in (pair.server, pair.client):
        await until(lambda: each.lost is not None)  # noqa: B023
    for wire in (pair.serverWire, pair.clientWire):
        assert not isReplaced(wire.transport)


@asynchronous
async def test_an_application_pauses_in_the_middle_of_a_message(net: Network) -> None:
    server, raw, _ = await opened(net)
    message = Random(1).randbytes(MEBI)
    frame = modern_frame(BINARY, message, key=MASK)
    raw.send(frame[:500_000])
    await turn(0.05)
    server.transport.pauseProducing()
    raw.send(frame[500_000:] + modern_frame(TEXT, b"next", key=MASK))
    await turn(0.05)
    assert server.messages == []
    server.transport.resumeProducing()
    await until(lambda: len(server.messages) == 2)
    assert server.messages == [message, "next"]


@asynchronous
async def test_an_application_pauses_before_a_long_message_of_the_same_read(net: Network) -> None:
    """The payload is not read in the same event of the reactor."""
    held = HeldBytes(64 * MEBI)
    server, raw, _ = await opened(net, heldBytes=held)
    server.does["text"] = lambda app: app.transport.pauseProducing()
    message = Random(4).randbytes(MEBI)
    raw.send(modern_frame(TEXT, b"stop", key=MASK) + modern_frame(BINARY, message, key=MASK))
    await until(lambda: server.messages)
    await turn(0.05)
    assert held.total <= WIDE_READ
    server.transport.resumeProducing()
    await until(lambda: len(server.messages) == 2)
    assert server.messages == ["stop", message]


@asynchronous
async def test_a_close_frame_ends_the_transport_in_the_read_after_a_long_message(
    net: Network, log: Log
) -> None:
    """No read into a payload follows it."""
    server, raw, _ = await opened(net)
    raw.send(modern_frame(CLOSE, b"\x03\xe8", key=MASK))
    await raw.ends()
    await until(lambda: server.lost is not None)
    assert isinstance(server.lost, CleanClose)


@asynchronous
async def test_a_control_frame_follows_a_long_payload_in_the_same_segment(net: Network) -> None:
    server, raw, _ = await opened(net)
    raw.send(
        modern_frame(BINARY, bytes(MEBI), key=MASK)
        + modern_frame(PING, b"still there?", key=MASK)
        + modern_frame(BINARY, bytes(MEBI), key=MASK)
    )
    await raw.reads(b"still there?")
    await until(lambda: len(server.messages) == 2)
    assert server.messages == [bytes(MEBI)] * 2


@asynchronous
async def test_wrong_text_ends_the_connection_before_the_end_of_its_frame(net: Network) -> None:
    """RFC 6455 section 8.1; as in the usual way, at the first wrong byte."""
    server, raw, _ = await opened(net)
    frame = modern_frame(TEXT, "é".encode() * 500_000, key=MASK)
    raw.send(frame[:300_000])
    await turn(0.05)
    assert server.lost is None
    raw.send(frame[:1] * 50_000)
    await raw.reads(b"invalid UTF-8 in a text message")
    await until(lambda: server.lost is not None)
    assert isinstance(server.lost, AbruptClose)
    assert server.lost.code == 1007


@pytest.mark.parametrize("isHalf", [True, False], ids=["half", "whole"])
@asynchronous
async def test_a_peer_disconnects_in_the_middle_of_a_message(net: Network, isHalf: bool) -> None:
    server, raw, _ = await opened(net)
    raw.send(modern_frame(BINARY, bytes(MEBI), key=MASK)[:700_000])
    await turn(0.05)
    if isHalf:
        raw.transport.loseWriteConnection()
    else:
        raw.transport.abortConnection()
    await until(lambda: server.lost is not None)
    assert server.messages == []
    assert isinstance(server.lost, AbruptClose)
    assert server.lost.code == 1006


@asynchronous
async def test_we_close_in_the_middle_of_a_message(net: Network) -> None:
    """The rest of the message is discarded as it comes, and the peer's close frame is read."""
    server, raw, factory = await opened(net)
    frame = modern_frame(BINARY, bytes(3 * MEBI), key=MASK)
    raw.send(frame[:700_000])
    await turn(0.05)
    (connection,) = factory.connections
    held = connection.holding.received
    server.transport.loseConnection()
    raw.send(frame[700_000:])
    await turn(0.05)
    assert connection.holding.received == held
    raw.send(b"\x88\x80" + MASK)
    await until(lambda: server.lost is not None)
    assert server.messages == []


@asynchronous
async def test_a_tap_that_comes_in_the_middle_gets_all_bytes_from_then_on(net: Network) -> None:
    received: list[bytes] = []

    class Listening(Tap):
        def received(self, data: bytes) -> None:
            received.append(data)

    server, raw, factory = await opened(net)
    (connection,) = factory.connections
    message = Random(2).randbytes(MEBI)
    frame = modern_frame(BINARY, message, key=MASK)
    raw.send(frame[:400_000])
    framing = conversation_of(connection).framing
    await until(lambda: framing.missing[0] == len(frame) - 400_000)
    connection.tap = Listening.__new__(Listening)
    raw.send(frame[400_000:])
    await until(lambda: server.messages)
    connection.tap = None
    assert server.messages == [message]
    assert b"".join(received) == frame[400_000:]


@asynchronous
async def test_large_messages_after_startTLS_are_read_by_TLS(net: Network) -> None:
    pair = await large(net)
    pair.serverWire.transport.startTLS(certificate().options())
    pair.clientWire.transport.startTLS(
        ssl.optionsForClientTLS("localhost", trustRoot=certificate())
    )
    message = Random(3).randbytes(2 * MEBI)
    pair.client.transport.sendBytesMessage(message)
    pair.client.transport.sendBytesMessage(message[::-1])
    await until(lambda: len(pair.client.messages) == 3)
    assert pair.client.messages[1:] == [message, message[::-1]]


@asynchronous
async def test_what_is_allocated_for_a_message_is_counted(net: Network) -> None:
    """At most five times the bytes that the peer has sent of it."""
    held = HeldBytes(64 * MEBI)
    server, raw, _ = await opened(net, heldBytes=held)
    assert held.total == 0
    frame = modern_frame(BINARY, bytes(4 * MEBI), key=MASK)
    raw.send(frame[: 14 + 400_000])
    await until(lambda: held.total >= 400_000)
    assert held.total <= 2_000_000
    raw.send(frame[14 + 400_000 :])
    await until(lambda: server.messages and held.total == 0)
    assert server.messages == [bytes(4 * MEBI)]
