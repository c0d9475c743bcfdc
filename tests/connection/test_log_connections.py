"""
The number of a connection in the lines of its gateway, its Site, its timers and its tracebacks.

The fixture ``log`` fails each test of the suite that has a line without the number of its
connection; here are the lines that few other tests write.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.web.server import Site

from support.applications import Applications, Broken, Recorder, fails
from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import End
from support.network import Network
from support.waiting import asynchronous, reactor, until
from test_web import Leaf
from txhixie import Admission, HixieServerFactory, Limits, serve
from txhixie.gateway import GatewayService
from txhixie.sansio.wire.frame import TEXT
from txhixie.web import HixieResource, HixieSite


def numbers(log: Log, event: str) -> list[tuple[Any, Any]]:
    """The connection and the host of each line of an event."""
    lines = [each for each in log.everything if each.get("event") == event]
    return [(each["connection"], each.get("host")) for each in lines]


@asynchronous
async def test_a_line_about_a_backend_has_the_number_of_its_client(net: Network, log: Log) -> None:
    back, backends = await net.raw_server()
    service = GatewayService(reactor, back.url(), dialect="rfc6455")
    place = await net.serve(service, origins=["*"])
    for _ in range(2):
        client = await net.raw(place)
        await client.opens("rfc6455")
    await until(lambda: len(backends) == 2 and backends[1].opened)
    backends[1].send(b"\x8f\x00")  # an unknown opcode
    await until(lambda: b"\x88" in backends[1].data)  # a close frame
    backends[1].transport.loseConnection()
    await until(lambda: numbers(log, "ended"))
    assert numbers(log, "ended")[0] == (2, f"localhost:{back.port}")


@pytest.mark.parametrize(
    "method", ["negotiationFinished", "textMessageReceived", "closeStarted", "connectionLost"]
)
def test_the_traceback_of_an_application_names_its_connection(method: str, log: Log) -> None:
    application: Any = Recorder()
    setattr(application, method, lambda *_: fails(application))
    factory = HixieServerFactory(Applications(lambda: application), clock=(clock := Clock()))
    end = End(factory.buildProtocol(None), clock)
    end.receive(whole_request("rfc6455"))
    end.receive(modern_frame(TEXT, b"hello", key=MASK))
    end.lose()
    assert numbers(log, "error") == [(1, "example.com")]
    assert [type(error) for error in log.tracebacks()] == [Broken]


def test_the_traceback_of_a_coroutine_names_its_connection(log: Log) -> None:
    async def broken(channel: Any) -> None:
        raise Broken

    factory = HixieServerFactory(serve(broken), clock=(clock := Clock()))
    end = End(factory.buildProtocol(None), clock)
    end.receive(whole_request("rfc6455"))
    end.lose()
    assert numbers(log, "error") == [(1, "example.com")]
    log.tracebacks()


@asynchronous
async def test_a_connection_of_a_Site_keeps_the_number_of_its_first_line(
    net: Network, log: Log
) -> None:
    resource = HixieResource(Applications(Recorder), logConnections=True)
    client = await net.raw(await net.listen(Site(resource)))
    client.send(b"GET /demo HTTP/1.1\r\nHost: a\r\nUpgrade: nothing\r\nConnection: Upgrade\r\n\r\n")
    await client.reads(b"only WebSocket")
    client.data.clear()
    client.send(whole_request("rfc6455"))
    await until(lambda: numbers(log, "opened"))
    assert {number for number, _ in numbers(log, "opened")} == {1}


@asynchronous
async def test_requests_that_a_Site_refuses_have_the_number_of_their_connection(
    net: Network, log: Log
) -> None:
    place = await net.listen(HixieSite(Leaf(), limits=Limits(body_size=1)))
    for _ in range(2):
        client = await net.raw(place)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        await client.ends()
    assert numbers(log, "refused") == [(1, "a")]  # the second one is counted
    client = await net.raw(place)
    client.send(b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n")
    await client.ends()
    assert numbers(log, "refused") == [(1, "a"), (3, "b")]


@asynchronous
async def test_a_client_beyond_the_limits_has_a_number_too(net: Network, log: Log) -> None:
    place = await net.serve(Applications(Recorder), admission=Admission(connections=1))
    client = await net.raw(place)
    await client.opens("rfc6455")
    await (await net.raw(place)).ends()
    assert numbers(log, "refused") == [(2, None)]
