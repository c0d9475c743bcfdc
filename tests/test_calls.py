"""The number of calls of the package's own Python functions for one small message, and for a
handshake with the close that follows, over real TCP.

Times vary with the load of the machine; the number of calls does not.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

import txhixie
from support.applications import Applications, Recorder
from support.frame_writer import text
from support.frames import MASK, modern_frame
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, turn, until
from txhixie import broadcast
from txhixie.bus.local import LocalBus
from txhixie.daemon.services.tcp import StreamService
from txhixie.gateway import GatewayService
from txhixie.hub.hub import Hub
from txhixie.hub.service import REQUEST_PATH, HubService
from txhixie.sansio.wire.compiled import COMPILED
from txhixie.sansio.wire.frame import BINARY, CLOSE, TEXT

PACKAGE = f"{Path(txhixie.__file__).parent}/"
TESTING = f"{PACKAGE}testing/"

MOST_FOR_AN_ECHO = 6
MOST_FOR_A_GATEWAY = 12
MOST_INTO_A_STREAM = 9
MOST_OUT_OF_A_STREAM = 6
MOST_FOR_A_BROADCAST = 20
MOST_FOR_THE_HUB = 32
MOST_FOR_A_HANDSHAKE = 110
MOST_FOR_A_HANDSHAKE_76 = 120

CLOSED = {"rfc6455": modern_frame(CLOSE, b"\x03\xe8"), "hixie-76": b"\xff\x00"}
"""The server's answers to the close of a client, by dialect."""

WARM = 20
"""Messages before the one that is counted: the first ones build what all later ones use."""


compiled_only = pytest.mark.skipif(
    COMPILED is None, reason="counted with the C extension, which is not installed"
)


class Calls:
    """Counter of the calls of the package's functions, resumed generators included, while it is
    entered."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()

    def __enter__(self) -> Self:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE) and not file.startswith(TESTING):
            self.made[f"{file.removeprefix(PACKAGE)}:{frame.f_code.co_qualname}"] += 1

    @property
    def count(self) -> int:
        return sum(self.made.values())

    def __str__(self) -> str:
        return "\n".join(f"{count} {name}" for name, count in self.made.most_common())


class Echo:
    """An application that echoes each text message, in one call."""

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None: ...

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None: ...

    def pongReceived(self, payload: bytes) -> None: ...

    def connectionLost(self, reason: Any) -> None: ...


async def counted(sender: Raw, sent: bytes, receiver: Raw, size: int) -> Calls:
    """Count the calls until the bytes of one message have arrived, on a connection that is warmed
    up."""
    for _ in range(WARM):
        receiver.data.clear()
        sender.send(sent)
        await until(lambda: len(receiver.data) == size)
    receiver.data.clear()
    await turn()
    with Calls() as calls:
        sender.send(sent)
        await until(lambda: len(receiver.data) == size)
    return calls


@compiled_only
@asynchronous
async def test_an_echoed_message_takes_few_calls(net: Network) -> None:
    place = await net.serve(Applications(Echo), origins=["*"])
    client = await net.raw(place)
    await client.opens("hixie-75")
    calls = await counted(client, text("hello"), client, len(text("hello")))
    assert calls.count <= MOST_FOR_AN_ECHO, str(calls)


@compiled_only
@asynchronous
async def test_a_message_through_a_gateway_takes_few_calls_in_either_direction(
    net: Network,
) -> None:
    back, backends = await net.raw_server()
    service = GatewayService(reactor, back.url(), dialect="rfc6455")
    client = await net.raw(await net.serve(service, origins=["*"]))
    await client.opens("rfc6455")
    await until(lambda: backends and backends[0].opened)
    backend = backends[0]
    masked, plain = modern_frame(TEXT, b"hello", key=MASK), modern_frame(TEXT, b"hello")
    inwards = await counted(client, masked, backend, len(masked))
    outwards = await counted(backend, plain, client, len(plain))
    assert inwards.count <= MOST_FOR_A_GATEWAY, str(inwards)
    assert outwards.count <= MOST_FOR_A_GATEWAY, str(outwards)


@compiled_only
@asynchronous
async def test_the_bytes_of_a_gateway_to_a_stream_take_few_calls_in_either_direction(
    net: Network,
) -> None:
    backends: list[Raw] = []

    class Backends(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Raw:
            backends.append(Raw())
            net.raws.append(backends[-1])
            return backends[-1]

    place = await net.listen(Backends(), "tcp")
    service = StreamService(reactor, f"tcp:127.0.0.1:{place.port}")
    client = await net.raw(await net.serve(service, origins=["*"]))
    await client.opens("rfc6455")
    await until(lambda: backends and backends[0].transport)
    masked, plain = modern_frame(BINARY, b"hello", key=MASK), modern_frame(BINARY, b"hello")
    inwards = await counted(client, masked, backends[0], len(b"hello"))
    outwards = await counted(backends[0], b"hello", client, len(plain))
    assert inwards.count <= MOST_INTO_A_STREAM, str(inwards)
    assert outwards.count <= MOST_OUT_OF_A_STREAM, str(outwards)


async def connection(net: Network, place: Place, dialect: str, close: bytes) -> None:
    """Open a connection, close it from the client's side, and wait until it has ended."""
    client = await net.raw(place)
    await client.opens(dialect)
    client.send(close)
    await client.reads(CLOSED[dialect])
    client.transport.loseConnection()
    await client.ends()
    await turn()


@pytest.mark.parametrize(
    ("dialect", "close", "most"),
    [
        ("rfc6455", modern_frame(CLOSE, b"\x03\xe8", key=MASK), MOST_FOR_A_HANDSHAKE),
        ("hixie-76", b"\xff\x00", MOST_FOR_A_HANDSHAKE_76),
    ],
)
@compiled_only
@asynchronous
async def test_a_handshake_and_its_close_take_few_calls(
    net: Network, dialect: str, close: bytes, most: int
) -> None:
    place = await net.serve(Applications(Echo), origins=["*"])
    other = await net.raw(place)  # the timers of the factory run on
    await other.opens(dialect)
    for _ in range(WARM):
        await connection(net, place, dialect, close)
    with Calls() as calls:
        await connection(net, place, dialect, close)
    assert calls.count <= most, str(calls)


@pytest.mark.parametrize("dialect", ["hixie-76", "rfc6455"])
@compiled_only
@asynchronous
async def test_a_broadcast_takes_no_calls_for_each_connection(net: Network, dialect: str) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications, origins=["*"])
    listeners = [await net.raw(place) for _ in range(40)]
    for each in listeners:
        await each.opens(dialect)
    members = [each.transport for each in applications.made]
    broadcast(members, "hello")  # what each connection makes once
    with Calls() as calls:
        assert broadcast(members, "hello").sent == len(members)
    assert calls.count <= MOST_FOR_A_BROADCAST, str(calls)


@compiled_only
@asynchronous
async def test_a_message_of_the_hub_takes_no_calls_for_each_member(net: Network) -> None:
    service = HubService(Hub(LocalBus(time.time), reactor), REQUEST_PATH)
    place = await net.serve(service, origins=["*"])
    listeners = [await net.raw(place) for _ in range(40)]
    for each in listeners:
        await each.opens("rfc6455", target="/room")
    service.publish("/room", b"hello", True)  # what each connection makes once
    with Calls() as calls:
        assert isinstance(service.publish("/room", b"hello", True), Deferred)
    assert calls.count <= MOST_FOR_THE_HUB, str(calls)
