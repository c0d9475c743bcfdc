"""``connect`` and ``serve`` against each other, over real sockets."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Generator
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.utils import getProcessOutputAndValue

from support import applications
from support.applications import Answering, Applications, Broken, Recorder
from support.certificates import certificate
from support.dialect_marks import each
from support.dialect_names import code_of
from support.network import Network, Place
from support.reactor_state import readers
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import (
    AbruptClose,
    Channel,
    HandshakeRefused,
    Refusal,
    UsageError,
    WebSocketClientEndpoint,
    connect,
    serve,
)
from txhixie.client.endpoint import EndpointOptions
from txhixie.client.factory import ClientOptions


async def echo(channel: Channel) -> None:
    async for message in channel:
        await channel.send(message)


def connected(place: Place, **options: Any) -> Any:
    """Connect to a server of the test's; neither awaited nor entered yet."""
    if place.over == "tls":
        options["trustRoot"] = certificate()
    return connect(place.url(), anyPort=True, **options)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@each
@asynchronous
async def test_a_block_opens_talks_and_closes(dialect: str, over: str, net: Network) -> None:
    places = Applications(lambda: applications.echo())
    place = await net.serve(places, over, binary="send")
    async with connected(place, dialect=dialect, binary="send") as channel:
        await channel.send("hello")
        assert await within(channel.receive()) == "hello"
        await channel.send(b"\x00\xff")
        assert await within(channel.receive()) == b"\x00\xff"
        assert channel.offer.dialect == dialect
    assert channel.ended is not None
    assert channel.ended.code == code_of(dialect)
    await until(lambda: places.made[0].lost)
    assert places.made[0].lost.orderly


@asynchronous
async def test_connect_can_be_awaited(net: Network) -> None:
    place = await net.serve(serve(echo))
    channel = await connected(place)
    await channel.send("hello")
    assert await within(channel.receive()) == "hello"
    await within(channel.ping())
    await within(channel.close(4000, "enough"))


@pytest.mark.filterwarnings("error")
@asynchronous
async def test_connect_can_be_yielded(net: Network) -> None:
    place = await net.serve(serve(echo))

    @inlineCallbacks
    def talk() -> Generator[Deferred[Any], Any, str]:
        channel = yield connected(place).asDeferred()
        yield channel.send("hello")
        answer = yield channel.receive()
        yield channel.close()
        return str(answer)

    assert await within(talk()) == "hello"


@asynchronous
async def test_a_connect_that_is_not_awaited_does_not_start(net: Network) -> None:
    """Python does not warn about it either, since no coroutine was created."""
    place = await net.serve(serve(echo))
    before = len(readers()) + len(reactor.getDelayedCalls())
    connected(place)
    await turn(0.02)
    assert len(readers()) + len(reactor.getDelayedCalls()) == before
    assert not place.factory.connections


@asynchronous
async def test_a_context_manager_of_connect_is_used_once(net: Network) -> None:
    place = await net.serve(serve(echo))
    connecting = connected(place)
    async with connecting:
        with pytest.raises(UsageError):
            await connecting
        with pytest.raises(UsageError):
            connecting.asDeferred()


def test_a_bad_URL_is_an_error_before_anything_is_awaited() -> None:
    with pytest.raises(ValueError, match="scheme"):
        connect("gopher://example.com/")


@asynchronous
async def test_a_refusal_is_raised_in_every_way_of_connecting(net: Network) -> None:
    place = await net.serve(Answering(lambda offer: Refusal(403)))
    with pytest.raises(HandshakeRefused):
        await connected(place)
    with pytest.raises(HandshakeRefused):
        async with connected(place):
            pass
    with pytest.raises(HandshakeRefused):
        await within(connected(place).asDeferred())


@asynchronous
async def test_cancelling_ends_the_attempt(net: Network) -> None:
    place = await net.serve(Answering(lambda offer: Deferred()))

    async def inside() -> None:
        async with connected(place):
            raise AssertionError

    for begin in (lambda: connected(place).asDeferred(), lambda: Deferred.fromCoroutine(inside())):
        waiting: Deferred[Any] = begin()
        await until(lambda: place.factory.connections)
        waiting.cancel()
        with pytest.raises(CancelledError):
            await within(waiting)
        await until(lambda: not place.factory.connections)


@asynchronous
async def test_an_exception_in_the_block_is_not_a_clean_close(net: Network) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications)
    with pytest.raises(Broken):
        async with connected(place):
            raise Broken
    await until(lambda: applications.made[0].lost)
    assert applications.made[0].lost.code == 1011


@asynchronous
async def test_a_block_that_is_cancelled_or_thrown_away_ends_its_conversation(
    net: Network,
) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications)

    async def waits() -> None:
        async with connected(place) as channel:
            await channel.receive()

    waiting = Deferred.fromCoroutine(waits())
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    await turn(0.02)
    waiting.cancel()
    with pytest.raises(CancelledError):
        await within(waiting)
    await until(lambda: applications.made[0].lost)

    connecting = connected(place)
    await connecting.__aenter__()
    await connecting.__aexit__(GeneratorExit, GeneratorExit(), None)
    await until(lambda: len(applications.made) == 2 and applications.made[1].lost)
    assert isinstance(applications.made[1].lost, AbruptClose)


@asynchronous
async def test_a_block_raises_what_the_loop_raises_when_the_peer_closes(net: Network) -> None:
    place = await net.serve(
        Applications(lambda: Recorder(text=lambda app: app.transport.abortConnection()))
    )
    with pytest.raises(AbruptClose):
        async with connected(place) as channel:
            await channel.send("go")
            async for _ in channel:
                pass


PIECE = Random(2009).randbytes(65_536)
"""Random bytes, which do not compress."""

MANY = 200
"""Pieces to send: times :data:`PIECE` it is 12.5 MiB, more than the kernel takes for a peer that
does not read."""


@pytest.mark.parametrize("over", ["tcp", "tls"])
@pytest.mark.parametrize("who", ["server", "client"])
@asynchronous
async def test_a_peer_is_paused_while_the_channel_does_not_receive(
    who: str, over: str, net: Network
) -> None:
    """The sender waits while the receiver does not read, and in the end every message has
    arrived."""
    sent: list[int] = []
    received: list[int] = []
    stalled: Deferred[None] = Deferred()

    async def floods(channel: Channel) -> None:
        for number in range(MANY):
            await channel.send(PIECE)
            sent.append(number)

    async def takes(channel: Channel) -> None:
        await stalled
        received.extend([len(message) async for message in channel])

    async def visits(talk: Callable[[Channel], Coroutine[Any, Any, None]]) -> None:
        async with connected(place) as channel:
            await talk(channel)

    there, here = (floods, takes) if who == "server" else (takes, floods)
    place = await net.serve(serve(there), over)
    visiting = Deferred.fromCoroutine(visits(here))
    before = -1
    while len(sent) != before or not sent:
        before = len(sent)
        await turn(0.1)
    assert len(sent) < MANY
    stalled.callback(None)
    await within(visiting, 60)
    await until(lambda: not place.factory.connections)
    assert sum(received) == MANY * len(PIECE)


@asynchronous
async def test_concurrent_sends_are_possible(net: Network) -> None:
    applications = Applications(Recorder)
    place = await net.serve(applications)

    async def sends(channel: Channel, who: int) -> None:
        for number in range(50):
            await channel.send(f"{who} {number} {'x' * 10_000}")

    async with connected(place) as channel:
        for task in [Deferred.fromCoroutine(sends(channel, who)) for who in range(5)]:
            await within(task)
    await until(lambda: applications.made[0].lost)
    messages = [message.split()[:2] for message in applications.made[0].messages]
    for who in range(5):
        assert [n for w, n in messages if w == str(who)] == [str(n) for n in range(50)]


def test_the_options_of_connect_are_those_of_the_endpoint() -> None:
    """The endpoint has their types and defaults; only the names are repeated."""
    own = set(inspect.signature(WebSocketClientEndpoint.new).parameters)
    further = set(EndpointOptions.__annotations__) - set(ClientOptions.__annotations__)
    assert further == own - {"reactor", "url", "options"}


REACT = """
import sys
from twisted.internet.task import react
from txhixie import connect

async def main(reactor, url):
    async with connect(url, anyPort=True) as channel:
        await channel.send("hello")
        print(await channel.receive())

react(main, sys.argv[1:])
"""

UNDER_ASYNCIO = """
import asyncio
import sys
from twisted.internet import asyncioreactor
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
asyncioreactor.install(loop)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from txhixie import connect
"""

ASYNCIO = f"""{UNDER_ASYNCIO}
async def coroutine(url):
    async with connect(url, anyPort=True) as channel:
        await channel.send("hello")
        async for message in channel:
            print(message)
            break

async def task(url):
    "What an asyncio Task awaits is a Future."
    loop = asyncio.get_running_loop()
    channel = await connect(url, anyPort=True).asDeferred().asFuture(loop)
    try:
        waiting = asyncio.ensure_future(channel.receive().asFuture(loop))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        await channel.send("world").asFuture(loop)
        print(await asyncio.wait_for(channel.receive().asFuture(loop), 30))
    finally:
        await channel.close().asFuture(loop)
    await Deferred.fromCoroutine(coroutine(url)).asFuture(loop)
    reactor.stop()

reactor.callWhenRunning(lambda: setattr(reactor, "kept", loop.create_task(task(sys.argv[1]))))
reactor.run()
"""

STALLED = f"""{UNDER_ASYNCIO}
import os
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import deferLater, react
from txhixie import HixieServerFactory, serve

async def main(reactor, *ignored):
    sent = []

    async def floods(channel):
        for _ in range({MANY}):
            await channel.send(os.urandom(65536))
            sent.append(len(sent))

    server = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = (await server.listen(HixieServerFactory(serve(floods)))).getHost().port
    async with connect("ws://127.0.0.1:" + str(port), anyPort=True) as channel:
        before = -1
        while before != len(sent) or not sent:
            before = len(sent)
            await deferLater(reactor, 0.1)
        print("full" if len(sent) < {MANY} else "lost")
        print(sum([len(message) async for message in channel]))

react(main, sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (REACT, ["hello"]),
        (ASYNCIO, ["world", "hello"]),
        (STALLED, ["full", f"{MANY * 65536}"]),
    ],
    ids=["react", "asyncio", "back-pressure in asyncio"],
)
@asynchronous
async def test_it_runs_under(program: str, printed: list[str], net: Network) -> None:
    place = await net.serve(serve(echo))
    running: Any = getProcessOutputAndValue(
        sys.executable, ["-W", "error", "-c", program, place.url()], env=os.environ
    )
    out, errors, status = await within(running, 60)
    assert (status, out.decode().split(), errors) == (0, printed, b"")
