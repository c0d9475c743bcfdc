"""Connections of real sockets that are refused when they are accepted, and those that are not."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import pytest
from twisted.internet.threads import deferToThread
from twisted.web.server import Site

from server.test_http2_bounds import Client
from support.applications import Applications, echo
from support.handshake_bytes import status_of, whole_request
from support.log_recorder import Log
from support.network import OVER, Network, Place
from support.raw_peer import Raw
from support.reactor_state import readers
from support.third_party import missing
from support.waiting import PATIENCE, asynchronous, turn, until, within
from test_web import Page
from txhixie import Admission, HixieServerFactory
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.proxy_protocol import ProxyProtocolFactory
from txhixie.web import HixieResource, HixieSite

PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEADER = b"PROXY TCP4 192.0.2.%d 127.0.0.1 5000 80\r\n"


def offer(more: str = "") -> bytes:
    """A WebSocket request."""
    return whole_request("rfc6455", *([more] if more else []), origin=None)


@asynchronous
@pytest.mark.parametrize("over", OVER)
async def test_a_connection_beyond_the_limit_is_refused_before_its_request(
    over: str, net: Network, log: Log
) -> None:
    """Over TLS it is closed before the TLS handshake. The others go on, and when one of them has
    left, the next one finds its place."""
    place = await net.serve(Applications(echo), over, admission=Admission(connections=2))
    first, second = await net.raw(place), await net.raw(place)
    await first.opens("rfc6455")
    third = await net.raw(place)
    await until(lambda: third.reason is not None)
    counters = place.factory.counters
    if over == "tls":
        assert not third.data
        assert counters.refused == {(None, "connections"): 1}
    else:
        assert status_of(bytes(third.data)) == 503
        assert bytes(third.data).endswith(b"\r\n\r\ntoo many connections\n")
        assert counters.refused == {(503, "connections"): 1}
        line = log.lines()[-1]
        assert "status=503" in line
        assert "connections exceed our limit of 2 (Admission.connections, --max-conn" in line
    first.transport.loseConnection()
    await until(lambda: len(place.factory.admission) == 1)
    await second.opens("rfc6455")
    fourth = await net.raw(place)
    await fourth.opens("rfc6455")
    assert counters.accepted == 4


@asynchronous
async def test_a_refused_client_that_sends_its_request_at_once_reads_the_response(
    net: Network,
) -> None:
    """The kernel resets a socket that is closed with unread bytes, and the response is lost."""
    place = await net.serve(Applications(echo), admission=Admission(connections_per_address=1))
    await net.raw(place)

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", place.port), PATIENCE) as peer:
            with suppress(BrokenPipeError):
                peer.sendall(offer("Cookie: " + "x" * 4000))
            data = b""
            while more := peer.recv(65536):
                data += more
            return data

    for _ in range(20):
        data = await within(deferToThread(ask))
        assert status_of(data) == 429
        assert data.endswith(b"too many connections from your address\n")


@asynchronous
async def test_refused_clients_that_stay_hold_few_sockets_and_for_a_moment(net: Network) -> None:
    place = await net.serve(Applications(echo), admission=Admission(connections=1))
    talking = await net.raw(place)
    await talking.opens("rfc6455")
    refused = [await net.raw(place) for _ in range(100)]
    await until(lambda: all(b"\r\n\r\n" in each.data for each in refused))
    await until(lambda: place.factory.counters.refused[503, "connections"] == 100)
    accepted = [each for each in readers() if _is_of(each, place)]
    assert len(accepted) <= 1 + 64
    await until(lambda: sum(_is_of(each, place) for each in readers()) == 1)
    assert len(place.factory.admission) == 1


def _is_of(reader: Any, place: Place) -> bool:
    """Whether a reader of the reactor is a connection that a port has accepted."""
    host = getattr(reader, "getHost", lambda: None)()
    return getattr(reader, "server", None) is place.listening and host is not None


@asynchronous
async def test_new_connections_beyond_the_rate_are_refused(net: Network) -> None:
    admission = Admission(new_connections_per_address=3)
    place = await net.serve(Applications(echo), admission=admission)
    raws = [await net.raw(place) for _ in range(20)]
    await until(lambda: sum(place.factory.counters.refused.values()) + len(admission) >= 20)
    refused = place.factory.counters.refused
    assert set(refused) == {(429, "new-connections-per-address")}
    await until(lambda: sum(b"Retry-After: 1\r\n" in each.data for each in raws) >= 10)


# Behind a reverse proxy, by Forwarded and X-Forwarded-For.


@asynchronous
async def test_behind_a_trusted_proxy_the_forwarded_client_counts(net: Network, log: Log) -> None:
    admission = Admission(connections_per_address=2, connections=50)
    factory = HixieServerFactory(
        Applications(echo), trustForwarded=["127.0.0.1"], admission=admission
    )
    place = await net.listen(factory)
    silent = [await net.raw(place) for _ in range(10)]  # of the proxy, without a head yet
    await until(lambda: len(admission) == 10)
    for _ in range(2):
        await (await net.raw(place)).opens("rfc6455", origin=None)
    for number in (1, 1, 2, 2):
        peer = await net.raw(place)
        peer.send(offer(f"X-Forwarded-For: 203.0.113.9, 192.0.2.{number}"))
        await peer.reads(b"101")
    peer = await net.raw(place)
    peer.send(offer('Forwarded: for="[::ffff:192.0.2.1]:80"'))
    await peer.reads(b"too many connections from your address\n")
    assert status_of(bytes(peer.data)) == 429
    assert admission.count("192.0.2.1") == 2
    assert admission.count("127.0.0.1") == 0
    assert "peer=192.0.2.1" in log.lines()[-1]
    assert all(each.reason is None for each in silent)
    factory.abortAll()
    await until(lambda: len(admission) == 0)
    assert admission.count("192.0.2.1") == 0


@asynchronous
async def test_a_page_behind_a_proxy_that_keeps_its_connection_has_no_address(
    net: Network,
) -> None:
    """The next request on the connection may be that of another client."""
    admission = Admission(connections_per_address=1)
    factory = HixieServerFactory(
        Applications(echo), trustForwarded=["127.0.0.1"], admission=admission
    )
    resource = HixieResource.sharing(factory, Page())
    factory.elsewhere = Site(resource)
    place = await net.listen(factory)
    kept = await net.raw(place)
    for number in (1, 2, 1):
        kept.data.clear()
        kept.send(PAGE.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number))
        await kept.reads(b"200 OK")
    assert admission.count("192.0.2.1") == 0
    kept.data.clear()
    kept.send(offer("X-Forwarded-For: 192.0.2.1"))
    await kept.reads(b"101")
    assert admission.count("192.0.2.1") == len(admission) == 1
    other = await net.raw(place)
    other.send(offer("X-Forwarded-For: 192.0.2.1"))
    await other.reads(b"429")
    kept.transport.loseConnection()
    other.transport.loseConnection()
    await until(lambda: len(admission) == 0)


# Behind a reverse proxy, by the PROXY protocol.


def proxied(factory: HixieServerFactory) -> ProxyProtocolFactory:
    """A factory whose peers on this machine send a header of the PROXY protocol."""
    return ProxyProtocolFactory(factory, TrustedNetworks(["127.0.0.1"]))


@asynchronous
async def test_the_client_of_a_PROXY_header_counts_and_before_it_only_the_whole(
    net: Network,
) -> None:
    admission = Admission(connections=6, connections_per_address=2, exempt=["127.0.0.1"])
    factory = HixieServerFactory(Applications(echo), admission=admission)
    place = await net.listen(proxied(factory))
    for _ in range(2):
        peer = await net.raw(place)
        peer.send(HEADER % 1 + offer())
        await peer.reads(b"101")
    refused = await net.raw(place)
    refused.send(HEADER % 1)
    await refused.reads(b"too many connections from your address\n")
    assert len(admission) == admission.count("192.0.2.1") == 2
    waiting = [await net.raw(place) for _ in range(4)]
    await until(lambda: len(admission) == 6)
    late = await net.raw(place)
    await late.reads(b"too many connections\n")  # before its header
    waiting[0].send(b"PROXY UNKNOWN\r\n" + offer())  # a health check of the proxy itself
    await waiting[0].reads(b"101")
    waiting[1].send(HEADER % 2 + offer())
    await waiting[1].reads(b"101")
    waiting[2].send(b"no header\r\n\r\n")
    await until(lambda: waiting[2].reason is not None)
    waiting[3].transport.loseConnection()
    await until(lambda: len(admission) == 4)
    assert admission.count("192.0.2.2") == 1
    factory.abortAll()
    await until(lambda: len(admission) == 0)
    assert admission.count("192.0.2.1") == 0


# Under a Site.


@asynchronous
@pytest.mark.parametrize("over", ["tcp", "tls"])
async def test_a_connection_of_a_HixieSite_counts_once_as_a_page_and_as_a_conversation(
    over: str, net: Network
) -> None:
    admission = Admission(connections=2)
    resource = HixieResource(Applications(echo), elsewhere=Page(), admission=admission)
    site = HixieSite(resource, admission=admission)
    place = await net.listen(site, over)
    first, second = await net.raw(place), await net.raw(place)
    await until(lambda: len(admission) == 2)
    for _ in range(2):
        first.data.clear()
        first.send(PAGE)
        await first.reads(b"200 OK")
    first.send(offer())
    await first.reads(b"101")
    assert len(admission) == 2
    third = await net.raw(place)
    await until(lambda: third.reason is not None)
    assert (not third.data) if over == "tls" else status_of(bytes(third.data)) == 503
    assert sum(site.counters.refused.values()) == 1
    first.transport.loseConnection()
    await until(lambda: len(admission) == 1)
    second.transport.loseConnection()
    await until(lambda: len(admission) == 0)


@asynchronous
async def test_under_a_plain_Site_a_conversation_counts_from_its_request(net: Network) -> None:
    admission = Admission(connections_per_address=1)
    resource = HixieResource(Applications(echo), elsewhere=Page(), admission=admission)
    place = await net.listen(Site(resource))
    first, second = await net.raw(place), await net.raw(place)
    first.send(PAGE)
    await first.reads(b"200 OK")
    assert len(admission) == 0
    first.send(offer())
    await first.reads(b"101")
    assert len(admission) == 1
    second.send(offer())
    await second.reads(b"too many connections from your address\n")
    assert status_of(bytes(second.data)) == 429
    assert resource.factory.counters.refused == {(429, "connections-per-address"): 1}
    first.transport.abortConnection()
    await until(lambda: len(admission) == 0)
    third = await net.raw(place)
    third.send(offer())
    await third.reads(b"101")
    resource.factory.abortAll()
    await until(lambda: len(admission) == 0)


@asynchronous
async def test_a_connection_of_HTTP_2_counts_until_it_is_closed(net: Network) -> None:
    if find_spec("h2") is None or find_spec("priority") is None:
        missing("h2", "tests/peers/install (PyPI: twisted[http2])")
    admission = Admission(connections=1)
    place = await net.listen(HixieSite(Page(), admission=admission), "tls")

    def ask() -> int:
        client = Client(place.port)
        with client.peer:
            status, _ = client.answer(client.ask("GET", "/", ends=True))
        return status

    for _ in range(3):
        assert await within(deferToThread(ask)) == 200
        await until(lambda: len(admission) == 0)


# Every end of a connection, in any order.


async def _leaves(raw: Raw) -> None:
    if raw.reason is None:
        raw.transport.loseConnection()


async def _resets(raw: Raw) -> None:
    if raw.reason is None:
        raw.transport.abortConnection()


async def _opens_and_leaves(raw: Raw) -> None:
    raw.send(offer())
    await until(lambda: b"\r\n\r\n" in raw.data or raw.reason is not None)
    await _leaves(raw)


async def _opens_and_resets(raw: Raw) -> None:
    raw.send(offer())
    await until(lambda: b"\r\n\r\n" in raw.data or raw.reason is not None)
    await _resets(raw)


async def _stays(raw: Raw) -> None:
    raw.send(offer())


async def _asks_for_a_page(raw: Raw) -> None:
    raw.send(PAGE)


async def _asks_for_a_page_and_then_opens(raw: Raw) -> None:
    raw.send(PAGE)
    await until(lambda: b"200 OK" in raw.data or raw.reason is not None)
    raw.send(offer())


async def _sends_half_a_head(raw: Raw) -> None:
    raw.send(b"GET / HT")


async def _is_refused(raw: Raw) -> None:
    raw.send(offer("Origin: http://elsewhere.example"))


async def _breaks_the_protocol(raw: Raw) -> None:
    raw.send(offer() + b"\xff\xff\xff")


async def _is_no_HTTP(raw: Raw) -> None:
    raw.send(b"\x00\x01\x02\r\n\r\n")


WAYS = (
    *(_leaves, _resets, _opens_and_leaves, _opens_and_resets, _stays, _asks_for_a_page),
    *(_asks_for_a_page_and_then_opens, _sends_half_a_head, _is_refused, _breaks_the_protocol),
    _is_no_HTTP,
)


@asynchronous
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["tcp", "tls", "unix", "elsewhere", "Site", "proxied"])
async def test_each_connection_is_given_back_however_it_ends(
    kind: str, seed: int, net: Network
) -> None:
    """A connection that stayed counted would lock its address out for ever."""
    chance = random.Random(f"{kind} {seed}")
    admission = Admission(connections=6, connections_per_address=4)
    factory = HixieServerFactory(
        Applications(echo), origins=["http://example.com"], admission=admission
    )
    listening: Any = factory
    if kind == "elsewhere":
        factory.elsewhere = Site(HixieResource.sharing(factory, Page()))
    elif kind == "Site":
        resource = HixieResource.sharing(factory, Page())
        listening = HixieSite(resource, admission=admission)
    elif kind == "proxied":
        listening = proxied(factory)
    place = await net.listen(listening, kind if kind in OVER else "tcp")
    raws: list[Raw] = []
    for _ in range(40):
        raw = await net.raw(place)
        raws.append(raw)
        if kind == "proxied" and chance.random() < 0.9:
            raw.send(HEADER % chance.randint(1, 3))
        await chance.choice(WAYS)(raw)
        if chance.random() < 0.3:
            await turn()
        if chance.random() < 0.2:
            await _leaves(chance.choice(raws))
        assert len(admission) <= 6
    for raw in raws:
        await _resets(raw)
    await until(lambda: len(admission) == 0)
    assert admission.count("127.0.0.1") == 0
    assert not any(admission.count(f"192.0.2.{number}") for number in (1, 2, 3))
    talking = await net.raw(place)
    if kind == "proxied":
        talking.send(HEADER % 1)
    talking.send(offer())
    await talking.reads(b"101")
