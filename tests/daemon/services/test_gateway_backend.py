"""How the gateway reaches its backend, how far, and how it says that it does not."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.testing import MemoryReactorClock

from support.applications import Applications, Recorder, echo
from support.certificates import Authority
from support.daemon import PATIENCE, running
from support.dialect_names import HIXIE
from support.gateway_setup import gateway, met
from support.handshake_bytes import body_of, status_of, whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from support.network import Network, Place
from support.raw_peer import Raw
from support.real_proxies import squid
from support.waiting import asynchronous, reactor, until, within
from txhixie import HandshakeRefused, HixieServerFactory, Offer
from txhixie.daemon.route_option import read_description
from txhixie.daemon.services.gateway import GATEWAY_OPTIONS, build_gateway
from txhixie.daemon.services.service import Context
from txhixie.daemon.services.tcp import StreamService
from txhixie.gateway import GatewayService
from txhixie.testing import Wire

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


async def refused(net: Network, service: Any, dialect: str = "rfc6455") -> int:
    """The status a client of this service gets."""
    wire = await net.connect(await net.serve(service), Applications(Recorder), dialect=dialect)
    with pytest.raises(HandshakeRefused) as refusal:
        await within(wire.whenOpen())
    return refusal.value.status


def described(words: str) -> GatewayService:
    """A service as an operator describes it, options and all."""
    description = read_description(f"/={words}")
    options = description.options(GATEWAY_OPTIONS)
    return build_gateway(reactor, description.service, options, Context(description.route))


# One that hangs.


@pytest.fixture
def hole() -> Iterator[int]:
    """A port that lets no further connection come about and says nothing, as a firewall does."""
    with socket.socket() as listening, ExitStack() as kept:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        while True:
            peer = kept.enter_context(socket.socket())
            peer.settimeout(0.2)
            try:
                peer.connect(listening.getsockname())
            except TimeoutError:
                break
        yield listening.getsockname()[1]


async def silent(net: Network) -> int:
    """A port that takes connections and says nothing."""
    factory: Any = Factory.forProtocol(Raw)
    return (await net.listen(factory)).port


BRIEF = 0.3


def down(backend: str, reason: str) -> str:
    """The log's line about a backend that cannot be reached."""
    return f'backend-down backend={backend} reason="{reason}"'


@asynchronous
async def test_no_tcp_connection_is_a_504(net: Network, log: Log, hole: int) -> None:
    """Whatever there is behind the port lets nobody in."""
    service = GatewayService(reactor, f"ws://127.0.0.1:{hole}", connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [down(f"ws://127.0.0.1:{hole}", "no TCP connection within 0.3 seconds")]


@asynchronous
async def test_no_tls_is_a_504(net: Network, log: Log) -> None:
    """It takes the connection and says nothing to that."""
    port = await silent(net)
    service = GatewayService(reactor, f"wss://localhost:{port}", connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [
        down(f"wss://localhost:{port}", "no answer to the TLS handshake within 0.3 seconds")
    ]


@asynchronous
async def test_no_answer_from_a_proxy_is_a_504(net: Network, log: Log) -> None:
    """The way goes through it."""
    proxy = f"http://127.0.0.1:{await silent(net)}"
    service = GatewayService(reactor, "ws://backend.example", proxy=proxy, connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [
        down("ws://backend.example", "no answer from the proxy within 0.3 seconds")
    ]


class Naming:
    """The reactor, with a resolver that answers with the next of these addresses, or not at all."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)
        self.asked: list[str] = []
        self.nameResolver = self

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def resolveHostName(self, receiver: Any, host: str, portNumber: int = 0, **more: Any) -> None:
        self.asked.append(host)
        receiver.resolutionBegan(None)
        if self._addresses:
            receiver.addressResolved(IPv4Address("TCP", self._addresses.pop(0), portNumber))
            receiver.resolutionComplete()


@asynchronous
async def test_no_address_is_a_504(net: Network, log: Log) -> None:
    """A name server that is away."""
    service = GatewayService(Naming(), "ws://backend.example", connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [
        down("ws://backend.example", "no address for the name within 0.3 seconds")
    ]


@asynchronous
async def test_a_name_is_looked_up_for_each_client(net: Network) -> None:
    """So that a backend may move while the daemon runs."""
    applications = [Applications(echo), Applications(echo)]
    first = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        HixieServerFactory(applications[0])
    )
    port = first.getHost().port
    second = await TCP4ServerEndpoint(reactor, port, interface="127.0.0.2").listen(
        HixieServerFactory(applications[1])
    )
    naming = Naming("127.0.0.1", "127.0.0.2")
    place = await net.serve(GatewayService(naming, f"ws://backend.example:{port}"))
    try:
        clients = [await met(net, place) for _ in range(2)]
        await until(lambda: all(each.made for each in applications))
        assert naming.asked == ["backend.example"] * 2
        for client in clients:
            client.transport.abortConnection()
        await until(lambda: all(each.made[0].lost for each in applications))
    finally:
        for listening in (first, second):
            await listening.stopListening()


# A client that leaves meanwhile.


@pytest.mark.parametrize("way", ["tls", "proxy", "handshake"])
@asynchronous
async def test_a_client_that_leaves_cancels_every_stage(net: Network, log: Log, way: str) -> None:
    """The connection that was begun ends with it, and nobody is blamed."""
    raws: list[Raw] = []

    def made() -> Raw:
        raws.append(Raw())
        return raws[-1]

    factory: Any = Factory.forProtocol(cast("type[Protocol]", made))
    port = (await net.listen(factory)).port
    url = f"{'wss' if way == 'tls' else 'ws'}://127.0.0.1:{port}"
    proxy = f"http://127.0.0.1:{port}" if way == "proxy" else None
    raw = await net.raw(await net.serve(GatewayService(reactor, url, proxy=proxy)))
    raw.send(whole_request("rfc6455"))
    await until(lambda: raws and raws[0].data)
    raw.transport.abortConnection()
    await until(lambda: raws[0].reason is not None)
    assert log.lines() == []


def test_a_client_that_leaves_cancels_the_connect() -> None:
    """It need not come about."""
    clock: Any = MemoryReactorClock()
    end = ServerEnd(GatewayService(clock, "ws://127.0.0.1:1"), clock=clock)
    end.receive(whole_request("rfc6455"))
    (connector,) = clock.connectors
    assert not connector.stoppedConnecting
    end.lose()
    assert connector.stoppedConnecting
    assert not clock.getDelayedCalls()


# Where it goes.


def asked_of(
    service: Any, clock: Any, offer: bytes
) -> tuple[int | None, list[tuple[str, int]], bytes]:
    """What a client is answered, where it led, and what was said there."""
    before = len(clock.tcpClients)
    end = ServerEnd(service, clock=clock, origins=["*"])
    end.receive(offer)
    wire = Wire()
    reached = clock.tcpClients[before:]
    for _, _, factory, *_ in reached:
        wire.protocol = factory.buildProtocol(None)  # type: ignore[attr-defined]
        wire.protocol.makeConnection(wire)  # type: ignore[attr-defined]
    status = status_of(end.wire.written) if end.wire.written else None
    return status, [(host, port) for host, port, *_ in reached], wire.written


VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
NASTY = (
    *("//evil.example/x", "/\\evil.example", "/@evil.example:1/", "/%2f%2fevil.example/"),
    *(
        "/x?url=ws://evil.example",
        "/?#",
        "/a/..%2f..%2fetc",
        "/%0d%0aX-Evil:%201",
        "/;@evil",
        "/:99",
    ),
)


@given(st.one_of(st.sampled_from(NASTY), st.text(VISIBLE, max_size=40).map("/".__add__)))
def test_no_target_leads_anywhere_else(target: str) -> None:
    """Whatever a client asks for, it is a path of the one backend, to the letter, or a 400."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    status, reached, said = asked_of(service, clock, whole_request("hixie-75", target=target))
    if status is None:
        assert reached == [("127.0.0.1", 1)]
        lines = said.split(b"\r\n")
        assert lines[0] == b"GET %b HTTP/1.1" % target.encode("ascii")
        assert [line for line in lines if line.startswith(b"Host:")] == [b"Host: 127.0.0.1:1"]
    else:
        assert status == 400
        assert reached == []


@pytest.mark.parametrize(
    "target", ["http:evil.example/x", "ftp://evil.example/", "evil.example:443", "*", "x", "?x"]
)
@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
def test_what_is_no_path_leads_nowhere(dialect: str, target: str) -> None:
    """Not even to the backend."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    status, reached, _ = asked_of(service, clock, whole_request(dialect, target=target))
    assert status == 400
    assert reached == []


@pytest.mark.parametrize("target", ["http://evil.example/x", "ws://evil.example:22/x"])
@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
def test_a_target_that_is_a_whole_URL_leads_to_the_backend(dialect: str, target: str) -> None:
    """Its host is the request's own (RFC 9112 section 3.2.2): told, and not obeyed."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    data = whole_request(dialect, target=target, origin=None)
    _, reached, said = asked_of(service, clock, data)
    assert reached == [("127.0.0.1", 1)]
    assert said.startswith(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n")
    assert b"\r\nX-Forwarded-Host: evil.example" in said


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:22", "evil.example:1"])
def test_a_client_s_host_is_told_and_not_obeyed(host: str) -> None:
    """A backend that asks may know; nobody else is asked."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    _, reached, said = asked_of(service, clock, whole_request("rfc6455", host=host))
    assert reached == [("127.0.0.1", 1)]
    assert b"\r\nHost: 127.0.0.1:1\r\n" in said
    assert said.count(b"\r\nHost: ") == 1
    assert b"\r\nX-Forwarded-Host: %b\r\n" % host.encode() in said


# Proxies.


@asynchronous
async def test_the_environment_s_proxies_see_nothing(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of what speaks WebSocket behind, nor of what does not."""
    raws: list[Raw] = []

    def made() -> Raw:
        raws.append(Raw())
        return raws[-1]

    factory: Any = Factory.forProtocol(cast("type[Protocol]", made))
    proxy = f"http://127.0.0.1:{(await net.listen(factory)).port}"
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    place, back = await gateway(net, Applications(echo))
    application = await met(net, place)
    application.transport.sendTextMessage("hello")
    await until(lambda: application.messages == ["hello"])
    tunnel = await net.serve(StreamService(reactor, f"tcp:127.0.0.1:{back.port}"))
    await met(net, tunnel)
    assert raws == []


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_a_proxy_is_gone_through_if_the_operator_says_so(
    net: Network, tmp_path: Path, over: str
) -> None:
    """A squid that asks who we are; its password stays between us."""
    authority = Authority("ours")
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    with squid("basic") as proxy:
        back = await backend(net, authority, over)
        url = f"{'wss' if over == 'tls' else 'ws'}://localhost:{back.port}"
        service = described(f"{url} trust-root={tmp_path} proxy={proxy.url_with_credentials}")
        application = await met(net, await net.serve(service), "hixie-76")
        application.transport.sendTextMessage("hello")
        await until(lambda: application.messages == ["hello"])
        application.transport.loseConnection()
        await until(lambda: application.lost)


@asynchronous
async def test_a_proxy_s_no_is_a_502_that_says_nothing_of_it(net: Network, log: Log) -> None:
    """Who it is, and what it says, is the operator's to know."""
    with squid("refusing") as proxy:
        service = GatewayService(reactor, "ws://localhost:1", proxy=proxy.url)
        raw = await net.raw(await net.serve(service))
        raw.send(whole_request("rfc6455"))
        await raw.ends()
        answer = bytes(raw.data)
        assert status_of(answer) == 502
        assert body_of(answer) == b"the backend cannot be reached\n"
        assert b"squid" not in answer
        assert log.lines() == [down("ws://localhost:1", "the proxy refused with status 403")]


# TLS.


async def backend(
    net: Network, authority: Authority, over: str, asks: bool = False, name: str = "localhost"
) -> Place:
    """An echo, by TLS with a certificate of this authority."""
    factory = HixieServerFactory(Applications(echo), origins=["*"])
    if over == "tcp":
        return await net.listen(factory)
    mine = authority.issue(name)
    options = CertificateOptions(
        privateKey=mine.privateKey.original,
        certificate=mine.original,
        trustRoot=authority.trust if asks else None,
    )
    endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
    place = Place("tls", await endpoint.listen(factory), "", factory)
    net.places.append(place)
    net.factories.append(factory)
    return place


@pytest.mark.parametrize(
    ("who", "asks", "served"),
    [
        ("ours", False, True),
        ("others", False, False),
        ("platform", False, False),
        ("ours", True, False),
        ("ours and known", True, True),
    ],
)
@asynchronous
async def test_a_backend_by_tls_is_who_it_should_be_and_so_are_we(
    net: Network, log: Log, tmp_path: Path, who: str, asks: bool, served: bool
) -> None:
    """By the files that the operator names; what is not trusted is a 502, and a line with why."""
    authority = Authority("ours")
    trusted = Authority("others") if who == "others" else authority
    (tmp_path / "root.pem").write_bytes(trusted.pem)
    (tmp_path / "we.pem").write_bytes(authority.pem_for("gateway"))
    back = await backend(net, authority, "tls", asks)
    words = [f"wss://localhost:{back.port}"]
    if who != "platform":
        words.append(f"trust-root={tmp_path / 'root.pem'}")
    if who == "ours and known":
        words.append(f"certificate={tmp_path / 'we.pem'}")
    service = described(" ".join(words))
    if served:
        application = await met(net, await net.serve(service), "hixie-75")
        application.transport.sendTextMessage("hello")
        await until(lambda: application.messages == ["hello"])
    else:
        assert await refused(net, service) == 502
        # The backend, which is one of ours, has a line as well where it is not content with us.
        (line,) = [line for line in log.lines() if line.startswith("backend-down ")]
        assert "certificate" in line


@asynchronous
async def test_a_backend_by_tls_with_another_s_name_is_a_502(net: Network, log: Log) -> None:
    """It may be anybody."""
    authority = Authority("ours")
    back = await backend(net, authority, "tls", name="elsewhere.example")
    service = GatewayService(reactor, f"wss://localhost:{back.port}", trustRoot=authority.trust)
    assert await refused(net, service) == 502
    assert "not for this host" in log.lines()[0]


# Who is in front.

PROXY_1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 50000 80\r\n"
PROXY_2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    + bytes([203, 0, 113, 9, 127, 0, 0, 1])
    + struct.pack("!HH", 50000, 80)
)
"""The same header in both versions."""


@pytest.mark.parametrize("front", [*HIXIE, "rfc6455"])
@asynchronous
async def test_a_trusted_proxy_names_the_client(net: Network, front: str) -> None:
    """And the backend hears of that client, and of nobody whom it might have made up."""
    applications = Applications(echo)
    back = await net.serve(applications, origins=["*"])
    service = GatewayService(reactor, f"ws://127.0.0.1:{back.port}")
    place = await net.serve(service, origins=["*"], trustForwarded=["127.0.0.1"])
    raw = await net.raw(place)
    told = [
        "X-Forwarded-For: 192.0.2.66, 203.0.113.7",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: www.example.com",
    ]
    raw.send(whole_request(front, *told))
    await raw.reads(b"\r\n\r\n")
    offer: Offer = applications.asked[0]
    assert offer.header("x-forwarded-for") == "203.0.113.7"
    assert offer.header("x-forwarded-proto") == "https"
    assert offer.header("x-forwarded-host") == "www.example.com"
    assert offer.header("forwarded") == 'for=203.0.113.7;host="www.example.com";proto=https'


@pytest.mark.parametrize(
    ("options", "header", "lines", "told"),
    [
        ([], b"", [], "127.0.0.1"),
        (["--proxy-protocol", "127.0.0.1"], PROXY_1, [], "203.0.113.9"),
        (["--proxy-protocol", "127.0.0.1"], PROXY_2, [], "203.0.113.9"),
        (["--trust-forwarded", "127.0.0.1"], b"", ["X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
        (["--trust-forwarded", "192.0.2.1"], b"", ["X-Forwarded-For: 203.0.113.9"], "127.0.0.1"),
    ],
)
def test_the_daemon_sends_the_clients_address_to_the_backend(
    tmp_path: Path, options: list[str], header: bytes, lines: list[str], told: str
) -> None:
    """As far as whoever stands before it is believed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        backend = f"/=ws://127.0.0.1:{listening.getsockname()[1]}"
        with running(tmp_path, "--serve", backend, *options) as daemon, daemon.connect() as peer:
            own = {"host": "localhost", "origin": "http://localhost"}
            peer.sendall(header + whole_request("hixie-76", *lines, **own))
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n"))
    assert f"\r\nX-Forwarded-For: {told}\r\n".encode() in head
    assert f"\r\nForwarded: for={told};".encode() in head


@asynchronous
async def test_tls_that_ends_before_us_is_told(net: Network) -> None:
    """By the operator's word, since nothing that came says so."""
    applications = Applications(echo)
    back = await net.serve(applications, origins=["*"])
    service = GatewayService(reactor, f"ws://127.0.0.1:{back.port}")
    await met(net, await net.serve(service, secure=True))
    assert applications.asked[0].header("x-forwarded-proto") == "https"


@asynchronous
async def test_a_client_without_an_address_has_none(net: Network) -> None:
    """It came by a UNIX socket."""
    applications = Applications(echo)
    back = await net.serve(applications, origins=["*"])
    service = GatewayService(reactor, f"ws://127.0.0.1:{back.port}")
    await met(net, await net.serve(service, "unix"))
    offer: Offer = applications.asked[0]
    assert offer.header("x-forwarded-for") is None
    assert offer.header("forwarded") == 'for=unknown;host="localhost";proto=http'
