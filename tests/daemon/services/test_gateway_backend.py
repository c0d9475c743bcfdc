"""How the gateway connects to its backend: timeouts, targets, proxies, TLS and forwarded
headers."""

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


async def refused(net: Network, service: Any, dialect: str = "rfc6455") -> int:
    """Return the status of the refusal that a client of this service gets."""
    wire = await net.connect(await net.serve(service), Applications(Recorder), dialect=dialect)
    with pytest.raises(HandshakeRefused) as refusal:
        await within(wire.whenOpen())
    return refusal.value.status


def described(words: str) -> GatewayService:
    """Build a gateway service from the operator's description, with its options."""
    description = read_description(f"/={words}")
    options = description.options(GATEWAY_OPTIONS)
    return build_gateway(reactor, description.service, options, Context(description.route))


# A backend that does not respond.


@pytest.fixture
def hole() -> Iterator[int]:
    """A port that accepts no further connection and sends no reply, as behind a firewall."""
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
    """Open a port that accepts connections and sends nothing; return its number."""
    factory: Any = Factory.forProtocol(Raw)
    return (await net.listen(factory)).port


BRIEF = 0.3


def down(backend: str, reason: str) -> str:
    """The log line about a backend that cannot be reached."""
    return f'backend-down backend={backend} reason="{reason}"'


@asynchronous
async def test_a_tcp_connect_timeout_is_a_504(net: Network, log: Log, hole: int) -> None:
    """The backend's port does not complete any TCP connection."""
    service = GatewayService(reactor, f"ws://127.0.0.1:{hole}", connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [down(f"ws://127.0.0.1:{hole}", "no TCP connection within 0.3 seconds")]


@asynchronous
async def test_a_tls_handshake_timeout_is_a_504(net: Network, log: Log) -> None:
    """The backend accepts the TCP connection and does not answer the TLS handshake."""
    port = await silent(net)
    service = GatewayService(reactor, f"wss://localhost:{port}", connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [
        down(f"wss://localhost:{port}", "no answer to the TLS handshake within 0.3 seconds")
    ]


@asynchronous
async def test_a_timeout_at_the_proxy_is_a_504(net: Network, log: Log) -> None:
    """The backend is reached through a proxy, which does not answer."""
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
async def test_a_name_lookup_timeout_is_a_504(net: Network, log: Log) -> None:
    """The name server does not respond."""
    service = GatewayService(Naming(), "ws://backend.example", connectTimeout=BRIEF)
    assert await refused(net, service) == 504
    assert log.lines() == [
        down("ws://backend.example", "no address for the name within 0.3 seconds")
    ]


@asynchronous
async def test_a_name_is_looked_up_for_each_client(net: Network) -> None:
    """The backend's address may change while the daemon runs."""
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


# A client that disconnects while the backend is being connected to.


@pytest.mark.parametrize("way", ["tls", "proxy", "handshake"])
@asynchronous
async def test_a_client_that_disconnects_cancels_every_stage_of_connecting(
    net: Network, log: Log, way: str
) -> None:
    """The connection to the backend is closed, and the log gets no line about the backend."""
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


def test_a_client_that_disconnects_cancels_the_tcp_connect() -> None:
    clock: Any = MemoryReactorClock()
    end = ServerEnd(GatewayService(clock, "ws://127.0.0.1:1"), clock=clock)
    end.receive(whole_request("rfc6455"))
    (connector,) = clock.connectors
    assert not connector.stoppedConnecting
    end.lose()
    assert connector.stoppedConnecting
    assert not clock.getDelayedCalls()


# The target of the request.


def asked_of(
    service: Any, clock: Any, offer: bytes
) -> tuple[int | None, list[tuple[str, int]], bytes]:
    """The status of the client's answer, the addresses connected to, and the bytes sent to them."""
    before = len(clock.tcpClients)
    end = ServerEnd(service, clock=clock, origins=["*"])
    end.receive(offer)
    wire = Wire()
    reached = clock.tcpClients[before:]
    for _, _, factory, *_ in reached:
        wire.protocol = factory.buildProtocol(None)  # type: ignore[attr-defined]  # an attribute that the test adds
        wire.protocol.makeConnection(wire)  # type: ignore[attr-defined]  # an attribute that the test adds
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
def test_no_target_makes_the_gateway_connect_to_another_host(target: str) -> None:
    """A client's target reaches the one backend unchanged, or is refused with 400."""
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
def test_a_target_that_is_no_path_is_refused(dialect: str, target: str) -> None:
    """The gateway connects to no host, not even to the backend."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    status, reached, _ = asked_of(service, clock, whole_request(dialect, target=target))
    assert status == 400
    assert reached == []


@pytest.mark.parametrize("target", ["http://evil.example/x", "ws://evil.example:22/x"])
@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
def test_a_target_that_is_a_whole_URL_reaches_the_backend(dialect: str, target: str) -> None:
    """The URL's host replaces the Host field (RFC 9112 section 3.2.2): it is forwarded in
    X-Forwarded-Host and never connected to."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    data = whole_request(dialect, target=target, origin=None)
    _, reached, said = asked_of(service, clock, data)
    assert reached == [("127.0.0.1", 1)]
    assert said.startswith(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n")
    assert b"\r\nX-Forwarded-Host: evil.example" in said


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:22", "evil.example:1"])
def test_a_client_s_host_field_is_forwarded_and_never_connected_to(host: str) -> None:
    """The backend finds the client's Host field in X-Forwarded-Host."""
    clock: Any = MemoryReactorClock()
    service = GatewayService(clock, "ws://127.0.0.1:1")
    _, reached, said = asked_of(service, clock, whole_request("rfc6455", host=host))
    assert reached == [("127.0.0.1", 1)]
    assert b"\r\nHost: 127.0.0.1:1\r\n" in said
    assert said.count(b"\r\nHost: ") == 1
    assert b"\r\nX-Forwarded-Host: %b\r\n" % host.encode() in said


# Proxies.


@asynchronous
async def test_the_proxies_of_the_environment_are_not_used(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds for WebSocket backends and for byte stream backends."""
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
async def test_the_backend_is_reached_through_the_proxy_of_the_proxy_option(
    net: Network, tmp_path: Path, over: str
) -> None:
    """The proxy is a squid that demands a user name and a password."""
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
async def test_a_proxy_s_refusal_is_a_502_that_does_not_name_the_proxy(
    net: Network, log: Log
) -> None:
    """The proxy's status is in the log, for the operator alone."""
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
    """An echo server, over TLS with a certificate of this authority."""
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
async def test_certificates_of_the_backend_and_of_the_gateway_are_verified(
    net: Network, log: Log, tmp_path: Path, who: str, asks: bool, served: bool
) -> None:
    """The operator names the certificate files. A certificate that is not trusted is a 502, and the
    log says why."""
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
        # The backend is a txhixie server: it logs a line as well when it rejects our certificate.
        (line,) = [line for line in log.lines() if line.startswith("backend-down ")]
        assert "certificate" in line


@asynchronous
async def test_a_backend_by_tls_with_another_s_name_is_a_502(net: Network, log: Log) -> None:
    """The certificate does not prove that this server is the backend."""
    authority = Authority("ours")
    back = await backend(net, authority, "tls", name="elsewhere.example")
    service = GatewayService(reactor, f"wss://localhost:{back.port}", trustRoot=authority.trust)
    assert await refused(net, service) == 502
    assert "not for this host" in log.lines()[0]


# The reverse proxy in front of the gateway, and the client's address.

PROXY_1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 50000 80\r\n"
PROXY_2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    + bytes([203, 0, 113, 9, 127, 0, 0, 1])
    + struct.pack("!HH", 50000, 80)
)
"""One PROXY protocol header, in version 1 and in version 2."""


@pytest.mark.parametrize("front", [*HIXIE, "rfc6455"])
@asynchronous
async def test_the_backend_gets_the_client_s_address_from_a_trusted_reverse_proxy(
    net: Network, front: str
) -> None:
    """The address that the client itself wrote into X-Forwarded-For is dropped."""
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
    """The address is taken from a reverse proxy if an option says that the proxy is trusted."""
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
async def test_tls_that_a_reverse_proxy_terminates_is_forwarded_as_https(net: Network) -> None:
    """The operator sets ``secure``, since no field of the request tells it."""
    applications = Applications(echo)
    back = await net.serve(applications, origins=["*"])
    service = GatewayService(reactor, f"ws://127.0.0.1:{back.port}")
    await met(net, await net.serve(service, secure=True))
    assert applications.asked[0].header("x-forwarded-proto") == "https"


@asynchronous
async def test_a_client_without_an_ip_address_is_forwarded_as_unknown(net: Network) -> None:
    """The client connected through a UNIX socket."""
    applications = Applications(echo)
    back = await net.serve(applications, origins=["*"])
    service = GatewayService(reactor, f"ws://127.0.0.1:{back.port}")
    await met(net, await net.serve(service, "unix"))
    offer: Offer = applications.asked[0]
    assert offer.header("x-forwarded-for") is None
    assert offer.header("forwarded") == 'for=unknown;host="localhost";proto=http'
