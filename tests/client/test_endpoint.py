"""The client endpoint for a URL: it connects, or fails with an error that says why, for each
cause."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import ssl
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import TCP6ServerEndpoint
from twisted.internet.error import (
    ConnectingCancelledError,
    DNSLookupError,
    NoRouteError,
)
from twisted.internet.error import ConnectionRefusedError as NobodyThere
from twisted.internet.protocol import Factory, Protocol

from support import certificates
from support.applications import Applications, Recorder
from support.certificates import authority, stranger
from support.daemon import free_port
from support.dialect_marks import each
from support.dialect_names import HIXIE
from support.log_recorder import Log
from support.network import Network, Place
from support.raw_peer import RawServer
from support.reactor_state import ReactorState
from support.resolver import FakeResolver
from support.scripted_servers import (
    Act,
    agrees,
    agrees_as_hixie_76,
    closes,
    full_queue,
    resets,
    says,
    server,
    silent,
)
from support.waiting import asynchronous, reactor, until, within
from txhixie import (
    AbruptClose,
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectFailed,
    ConnectionFailed,
    ConnectTimeout,
    HandshakeRefused,
    HixieError,
    HixieServerFactory,
    InvalidHandshake,
    Limits,
    LookupFailed,
    NotOpen,
    PeerLeft,
    ProxyRefused,
    TLSFailed,
    UnknownIssuer,
    UnsupportedByDialect,
    WebSocketClientEndpoint,
)
from txhixie.dialing.stage import Abandoned
from txhixie.sansio.http.url import parse_url

PATIENT = Limits(close_timeout=0.2)
"""Limits with long timeouts: no test waits for one of them."""


@dataclass
class Scene:
    """
    The place and the options of an attempt to connect.

    :ivar reached: whether that stage has begun, so that a test can cancel in it.
    :ivar waits: it ends with a deadline.
    """

    url: str
    options: dict[str, Any] = field(default_factory=dict)
    reached: Callable[[], object] = lambda: True
    waits: bool = False

    def endpoint(self, limits: Limits = PATIENT) -> WebSocketClientEndpoint:
        return WebSocketClientEndpoint.new(reactor, self.url, limits=limits, **self.options)


Setting = Callable[[Network], Any]
"""A function that makes a Scene, as an asynchronous context manager."""


@asynccontextmanager
async def name(host: str, net: Network, **options: Any) -> AsyncIterator[Scene]:
    yield Scene(f"ws://{host}/demo", options)


@asynccontextmanager
async def nobody_listens(net: Network) -> AsyncIterator[Scene]:
    yield Scene(f"ws://server.example:{free_port()}/demo")


@asynccontextmanager
async def nobody_accepts(net: Network) -> AsyncIterator[Scene]:
    with full_queue() as port:
        yield Scene(f"ws://server.example:{port}/demo")


@asynccontextmanager
async def no_proxy_accepts(net: Network) -> AsyncIterator[Scene]:
    with full_queue() as port:
        yield Scene("ws://inside.example/demo", {"proxy": f"http://127.0.0.1:{port}"})


@asynccontextmanager
async def proxy(act: Act, net: Network, **options: Any) -> AsyncIterator[Scene]:
    """A proxy, and a server that is reached only through it."""
    place, made = await server(net, act)
    url = options.pop("url", "wss://inside.example/demo")
    there = f"http://user:secret@127.0.0.1:{place.port}"
    yield Scene(url, {"proxy": there, **options}, reached=lambda: made and made[0].data)


@asynccontextmanager
async def proxy_by_tls(tls: Callable[[], Any], net: Network) -> AsyncIterator[Scene]:
    """A proxy that is itself reached by TLS."""
    place, _ = await server(net, says(TUNNEL), tls())
    there = f"https://server.example:{place.port}"
    options = {"proxy": there, "trustRoot": authority().trust}
    yield Scene("ws://inside.example/demo", options)


@asynccontextmanager
async def below_tls_of_proxy(act: Act, net: Network) -> AsyncIterator[Scene]:
    """A proxy that was expected to speak TLS, and does not."""
    place, made = await server(net, act)
    there = f"https://server.example:{place.port}"
    options = {"proxy": there}
    yield Scene("ws://inside.example/demo", options, reached=lambda: made and made[0].data)


@asynccontextmanager
async def asked_again(net: Network) -> AsyncIterator[Scene]:
    """A proxy that demands credentials, closes, and does not respond on the next connection."""
    place, made = await server(
        net, lambda raw: says(WHO % BASIC, and_closes=True)(raw) if raw is made[0] else None
    )
    options = {"proxy": f"http://user:secret@127.0.0.1:{place.port}"}
    yield Scene(
        "ws://inside.example/demo", options, reached=lambda: len(made) == 2 and made[1].data
    )


@asynccontextmanager
async def below_tls(act: Act, net: Network) -> AsyncIterator[Scene]:
    """A server that does not speak TLS, or rejects the handshake."""
    place, made = await server(net, act)
    yield Scene(f"wss://server.example:{place.port}/demo", reached=lambda: made and made[0].data)


@asynccontextmanager
async def certificate(tls: Callable[[], Any], net: Network) -> AsyncIterator[Scene]:
    place, _ = await server(net, agrees(), tls())
    yield Scene(f"wss://server.example:{place.port}/demo", {"trustRoot": authority().trust})


@asynccontextmanager
async def http(act: Act, net: Network, **options: Any) -> AsyncIterator[Scene]:
    place, made = await server(net, act)
    url = f"ws://server.example:{place.port}/demo"
    waits = options.pop("waits", False)
    yield Scene(url, options, reached=lambda: made and made[0].data, waits=waits)


@asynccontextmanager
async def https(act: Act, net: Network) -> AsyncIterator[Scene]:
    place, made = await server(net, act, ours())
    url = f"wss://server.example:{place.port}/demo"
    options = {"trustRoot": authority().trust}
    yield Scene(url, options, reached=lambda: made and made[0].data)


def ours(**options: Any) -> Any:
    """The TLS context of a server whose certificate has one fault."""
    names = options.pop("names", ["server.example"])
    return authority().issue(*names, **options).options()


def demanding() -> Any:
    """The TLS context of a server that demands a client certificate."""
    return authority().issue("server.example").options(ssl.Certificate.loadPEM(authority().pem))


def old_fashioned() -> Any:
    """The TLS context of a server that speaks TLS 1.1 at most."""
    issued = authority().issue("server.example")
    return ssl.CertificateOptions(
        privateKey=issued.privateKey.original,
        certificate=issued.original,
        insecurelyLowerMinimumTo=ssl.TLSVersion.TLSv1_0,
        lowerMaximumSecurityTo=ssl.TLSVersion.TLSv1_1,
    )


TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
WHO = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n%b\r\nwho?"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nX-Why: down\r\nContent-Length: 4\r\n\r\ndown"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nX-Why: gone\r\nContent-Length: 11\r\n\r\nnobody here"
IN_CHUNKS = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
ENDLESS = b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + bytes(200_000)
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
FORBIDDEN = b"HTTP/1.0 403 Forbidden\r\n\r\n"
BASIC = b"Proxy-Authenticate: Basic realm=x\r\nConnection: close\r\n"
NTLM = b"Proxy-Authenticate: NTLM\r\n"
UNFINISHED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\n\r\nnobody"
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x28" * 5000

TABLE: list[tuple[str, Setting, type[HixieError], str | None]] = [
    # the fault, its details, the error that is raised, and the stage
    ("a name nobody knows", partial(name, "nobody.example"), LookupFailed, "lookup"),
    ("a resolver is silent", partial(name, "silent.example"), ConnectTimeout, "lookup"),
    ("nobody listens", nobody_listens, ConnectFailed, "tcp"),
    ("nobody accepts", nobody_accepts, ConnectTimeout, "tcp"),
    (
        "a proxy's name nobody knows",
        partial(name, "inside.example", proxy="http://nobody.example:3128"),
        LookupFailed,
        "lookup",
    ),
    (
        "no proxy listens",
        partial(name, "inside.example", proxy="http://127.0.0.1:9"),
        ConnectFailed,
        "tcp",
    ),
    (
        "a resolver is silent on a proxy's name",
        partial(name, "inside.example", proxy="http://silent.example:3128"),
        ConnectTimeout,
        "lookup",
    ),
    ("no proxy accepts", no_proxy_accepts, ConnectTimeout, "tcp"),
    ("a proxy asks who we are", partial(proxy, says(WHO % BASIC)), ProxyRefused, None),
    ("a proxy asks in no way we speak", partial(proxy, says(WHO % NTLM)), ProxyRefused, None),
    ("a proxy cannot reach the server", partial(proxy, says(BAD_GATEWAY)), ProxyRefused, None),
    ("a proxy forbids it", partial(proxy, says(FORBIDDEN, and_closes=True)), ProxyRefused, None),
    ("a proxy's no has no end", partial(proxy, says(ENDLESS)), ProxyRefused, None),
    ("a proxy asks, and is silent then", asked_again, ConnectTimeout, "proxy"),
    ("a proxy speaks no HTTP", partial(proxy, says(GARBAGE)), ConnectionFailed, "proxy"),
    ("a proxy is silent", partial(proxy, silent), ConnectTimeout, "proxy"),
    ("a proxy closes", partial(proxy, closes), PeerLeft, "proxy"),
    ("a proxy resets", partial(proxy, resets), PeerLeft, "proxy"),
    (
        "a proxy closes inside its answer",
        partial(proxy, says(TUNNEL[:-2], and_closes=True)),
        PeerLeft,
        "proxy",
    ),
    (
        "a proxy closes its tunnel in the TLS handshake",
        partial(proxy, says(TUNNEL, and_closes=True)),
        PeerLeft,
        "tls",
    ),
    (
        "a proxy's tunnel is silent in the TLS handshake",
        partial(proxy, says(TUNNEL)),
        ConnectTimeout,
        "tls",
    ),
    (
        "a proxy closes its tunnel in our handshake",
        partial(proxy, says(TUNNEL, and_closes=True), url="ws://inside.example/demo"),
        PeerLeft,
        "handshake",
    ),
    (
        "a proxy's certificate is for others",
        partial(proxy_by_tls, partial(ours, names=["other.example"])),
        CertificateForAnotherHost,
        "tls",
    ),
    (
        "a proxy's certificate is of last week",
        partial(proxy_by_tls, partial(ours, since=-7, until=-1)),
        CertificateExpired,
        "tls",
    ),
    (
        "a proxy's certificate is signed by itself",
        partial(proxy_by_tls, lambda: stranger().issue_to_itself("server.example").options()),
        UnknownIssuer,
        "tls",
    ),
    ("a proxy speaks no TLS", partial(below_tls_of_proxy, says(TUNNEL)), TLSFailed, "tls"),
    ("a proxy closes in TLS", partial(below_tls_of_proxy, closes), PeerLeft, "tls"),
    ("a proxy is silent in TLS", partial(below_tls_of_proxy, silent), ConnectTimeout, "tls"),
    ("TLS: the peer closes", partial(below_tls, closes), PeerLeft, "tls"),
    ("TLS: the peer resets", partial(below_tls, resets), PeerLeft, "tls"),
    ("TLS: the peer is silent", partial(below_tls, silent), ConnectTimeout, "tls"),
    ("TLS: the peer speaks HTTP", partial(below_tls, says(NOT_FOUND)), TLSFailed, "tls"),
    ("TLS: the peer is too old", partial(certificate, old_fashioned), TLSFailed, "tls"),
    (
        "TLS: a certificate of last week",
        partial(certificate, partial(ours, since=-7, until=-1)),
        CertificateExpired,
        "tls",
    ),
    (
        "TLS: a certificate of next week",
        partial(certificate, partial(ours, since=7, until=14)),
        CertificateExpired,
        "tls",
    ),
    (
        "TLS: a certificate for others",
        partial(certificate, partial(ours, names=["other.example", "127.0.0.1"])),
        CertificateForAnotherHost,
        "tls",
    ),
    (
        "TLS: an unknown authority",
        partial(certificate, lambda: stranger().issue("server.example").options()),
        UnknownIssuer,
        "tls",
    ),
    (
        "TLS: a certificate signed by itself",
        partial(certificate, lambda: stranger().issue_to_itself("server.example").options()),
        UnknownIssuer,
        "tls",
    ),
    ("TLS: the peer wants a certificate", partial(certificate, demanding), TLSFailed, "tls"),
    ("a status, with headers and body", partial(http, says(NOT_FOUND)), HandshakeRefused, None),
    ("a status, with a body in chunks", partial(http, says(IN_CHUNKS)), HandshakeRefused, None),
    ("a status, with an endless body", partial(http, says(ENDLESS)), HandshakeRefused, None),
    (
        "a status, with half its body",
        partial(http, says(UNFINISHED, and_closes=True)),
        HandshakeRefused,
        None,
    ),
    (
        "a status, whose body does not end in time",
        partial(http, says(UNFINISHED), waits=True),
        HandshakeRefused,
        None,
    ),
    ("a status that asks who we are", partial(http, says(UNAUTHORIZED)), HandshakeRefused, None),
    ("a redirect, which is not followed", partial(http, says(REDIRECT)), HandshakeRefused, None),
    ("no HTTP", partial(http, says(GARBAGE)), InvalidHandshake, None),
    ("a bad accept", partial(http, agrees(accept="x" * 27 + "=")), InvalidHandshake, None),
    (
        "a bad challenge",
        partial(http, agrees_as_hixie_76(b"0123456789abcdef"), dialect="hixie-76"),
        InvalidHandshake,
        None,
    ),
    (
        "a subprotocol nobody asked for",
        partial(http, agrees("Sec-WebSocket-Protocol: default")),
        InvalidHandshake,
        None,
    ),
    (
        "another subprotocol than was asked for",
        partial(http, agrees("Sec-WebSocket-Protocol: soap"), subprotocols=["chat"]),
        InvalidHandshake,
        None,
    ),
    (
        "an extension nobody asked for",
        partial(http, agrees("Sec-WebSocket-Extensions: deflate-stream")),
        InvalidHandshake,
        None,
    ),
    (
        "an extension with what nobody can do",
        partial(
            http,
            agrees("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"),
        ),
        InvalidHandshake,
        None,
    ),
    (
        "compression that was not asked for",
        partial(http, agrees("Sec-WebSocket-Extensions: permessage-deflate"), extensions=()),
        InvalidHandshake,
        None,
    ),
    ("the server is silent", partial(http, silent), ConnectTimeout, "handshake"),
    ("the server closes", partial(http, closes), PeerLeft, "handshake"),
    ("the server resets", partial(http, resets), PeerLeft, "handshake"),
    (
        "the server closes inside its answer",
        partial(http, says(b"HTTP/1.1 101 Switching", and_closes=True)),
        PeerLeft,
        "handshake",
    ),
    (
        "the server is silent inside its answer",
        partial(http, says(b"HTTP/1.1 101 Switching")),
        ConnectTimeout,
        "handshake",
    ),
    (
        "the server closes before its proof",
        partial(http, agrees_as_hixie_76(b"012345678", and_closes=True), dialect="hixie-76"),
        PeerLeft,
        "handshake",
    ),
    (
        "the server is silent before its proof",
        partial(http, agrees_as_hixie_76(b""), dialect="hixie-76"),
        ConnectTimeout,
        "handshake",
    ),
    ("through TLS the server is silent", partial(https, silent), ConnectTimeout, "handshake"),
    ("through TLS the server closes", partial(https, closes), PeerLeft, "handshake"),
    ("through TLS the server resets", partial(https, resets), PeerLeft, "handshake"),
    ("through TLS, a status", partial(https, says(NOT_FOUND)), HandshakeRefused, None),
]

IMPATIENT = Limits(
    lookup_timeout=0.2,
    tcp_timeout=0.2,
    proxy_timeout=0.2,
    tls_timeout=0.2,
    open_timeout=0.2,
    close_timeout=0.2,
)


@pytest.mark.parametrize(
    ("setting", "expected", "stage"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
@asynchronous
async def test_each_failure_is_raised_once_with_its_type_and_stage(
    setting: Setting,
    expected: type[HixieError],
    stage: str | None,
    net: Network,
    names: FakeResolver,
    log: Log,
) -> None:
    """Each row of the table of failures; nothing is left in the reactor after any of them."""
    async with setting(net) as scene:
        reactor_state = ReactorState()
        application = Recorder()
        late = expected is ConnectTimeout or scene.waits
        endpoint = scene.endpoint(IMPATIENT if late else PATIENT)
        with pytest.raises(expected) as caught:
            await within(endpoint.connectApplication(application))
        assert type(caught.value) is expected
        assert getattr(caught.value, "stage", None) == stage
        assert application.told in ([], ["started", "lost"])
        await reactor_state.is_restored()


CANCELLED: list[tuple[str, Setting]] = [
    ("lookup", partial(name, "silent.example")),
    ("lookup of a proxy", partial(name, "a.example", proxy="http://silent.example:3128")),
    ("tcp", nobody_accepts),
    ("tcp to a proxy", no_proxy_accepts),
    ("tls to a proxy", partial(below_tls_of_proxy, silent)),
    ("proxy", partial(proxy, silent)),
    ("proxy, the second time", asked_again),
    ("tls through a proxy", partial(proxy, says(TUNNEL))),
    ("tls", partial(below_tls, silent)),
    ("handshake", partial(http, silent)),
    ("handshake through TLS", partial(https, silent)),
    ("hixie-76's handshake", partial(http, agrees_as_hixie_76(b""), dialect="hixie-76")),
    ("the body of a refusal", partial(http, says(UNFINISHED))),
]


@pytest.mark.parametrize(
    "setting", [pytest.param(setting, id=stage) for stage, setting in CANCELLED]
)
@asynchronous
async def test_a_connect_can_be_cancelled_at_each_stage(
    setting: Setting, net: Network, names: FakeResolver, log: Log
) -> None:
    """The started operations are cancelled; nothing is left in the reactor."""
    async with setting(net) as scene:
        reactor_state = ReactorState()
        application = Recorder()
        connecting = scene.endpoint().connectApplication(application)
        fired: list[Any] = []
        connecting.addBoth(fired.append)
        await until(scene.reached)
        assert not fired
        connecting.cancel()
        assert fired[0].check(ConnectingCancelledError)
        parsed = parse_url(scene.url)
        assert fired[0].value.address == HostnameAddress(parsed.name.encode(), parsed.port)
        for question in names.questions:
            assert question.cancelled == (question.name == "silent.example")
        await reactor_state.is_restored()
        assert len(fired) == 1
        assert application.told in ([], ["started", "lost"])


@asynchronous
async def test_a_refusal_holds_the_status_the_headers_and_the_bounded_body(
    net: Network, names: FakeResolver
) -> None:
    for answer, status, size in (
        (NOT_FOUND, 404, 11),
        (IN_CHUNKS, 404, 4),
        (ENDLESS, 503, 5000),
    ):
        async with http(says(answer), net) as scene:
            with pytest.raises(HandshakeRefused) as caught:
                await within(
                    scene.endpoint(Limits(refusal_size=5000)).connectApplication(Recorder())
                )
            assert (caught.value.status, len(caught.value.body)) == (status, size)
            assert (size != 11) or (b"x-why", b"gone") in caught.value.headers


@pytest.mark.parametrize(
    ("tls", "cause", "words"),
    [
        (partial(ours, since=-7, until=-1), SSL.Error, "expired"),
        (partial(ours, since=7, until=14), SSL.Error, "not yet valid"),
        (partial(ours, names=["other.example"]), VerificationError, "not for this host"),
        (lambda: stranger().issue_to_itself("server.example").options(), SSL.Error, "self.signed"),
        (demanding, SSL.Error, "certificate"),
    ],
)
@asynchronous
async def test_a_failure_of_TLS_is_described_and_keeps_its_cause(
    tls: Any, cause: type[Exception], words: str, net: Network, names: FakeResolver, log: Log
) -> None:
    async with certificate(tls, net) as scene:
        with pytest.raises(TLSFailed, match=words) as caught:
            await within(scene.endpoint().connectApplication(Recorder()))
        assert isinstance(caught.value.__cause__, cause)


@asynchronous
async def test_a_proxys_refusal_has_its_response_without_our_credentials(
    net: Network, names: FakeResolver
) -> None:
    """The text of the error has no credentials either, although the request had a password."""
    for answer, status, size in (
        (WHO % BASIC, 407, 4),
        (BAD_GATEWAY, 502, 4),
        (ENDLESS, 503, 5000),
    ):
        async with proxy(says(answer), net) as scene:
            endpoint = scene.endpoint(Limits(refusal_size=5000))
            with pytest.raises(ProxyRefused, match="the proxy") as caught:
                await within(endpoint.connectApplication(Recorder()))
            assert (caught.value.status, len(caught.value.body)) == (status, size)
            assert "secret" not in f"{caught.value!r} {endpoint!r} {vars(endpoint)!r}"


@asynchronous
async def test_an_application_that_closes_at_its_start_has_an_error_that_names_it(
    net: Network, names: FakeResolver, log: Log
) -> None:
    async with http(silent, net) as scene:
        application = Recorder(started=lambda app: app.transport.abortConnection())
        with pytest.raises(NotOpen):
            await within(scene.endpoint().connectApplication(application))


@pytest.mark.parametrize("when", ["started", "finished"])
@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_an_application_may_cancel_the_connect_that_opens_it(
    when: str, over: str, net: Network
) -> None:
    """The call is made inside the application's opening event: the connection ends, and nothing
    of the attempt remains."""
    place = await net.serve(Applications(), over)
    reactor_state = ReactorState()
    trust = certificates.certificate() if over == "tls" else None
    endpoint = WebSocketClientEndpoint.new(reactor, place.url(), trustRoot=trust)
    connecting: list[Deferred[Any]] = []
    application = Recorder(**{when: lambda app: connecting[0].cancel()})
    connecting.append(endpoint.connectApplication(application))
    with pytest.raises(ConnectingCancelledError):
        await within(connecting[0])
    await until(lambda: application.lost)
    assert application.told[-2:] == [when, "lost"]
    await reactor_state.is_restored()


# Through a tunnel.


class FarEnd(RawServer):
    """A proxy and its server in one, which reads no further than the handshake."""

    isTunnel = False

    def dataReceived(self, data: bytes) -> None:
        if not self.isTunnel:
            self.isTunnel = True
            self.send(TUNNEL)
            return
        wasOpened = self.opened
        super().dataReceived(data)
        if not wasOpened and self.opened:
            self.transport.pauseProducing()


@asynchronous
async def test_a_tunnel_ends_after_its_data_was_sent_when_the_server_half_closes(
    net: Network,
) -> None:
    """Even if the transport was full at the time, and nothing more is written."""
    made: list[FarEnd] = []

    def make() -> FarEnd:
        made.append(FarEnd())
        net.raws.append(made[0])
        return made[0]

    place = await net.listen(Factory.forProtocol(cast("type[Protocol]", make)))
    application = Recorder()
    endpoint = WebSocketClientEndpoint.new(
        reactor,
        "ws://inside.example/demo",
        proxy=f"http://127.0.0.1:{place.port}",
        limits=Limits(ping_interval=None),
    )
    await within(endpoint.connectApplication(application))
    size = 8 * 1024 * 1024
    application.transport.sendBytesMessage(bytes(size))
    assert application.transport.full
    made[0].transport.loseWriteConnection()
    await until(lambda: application.transport.transport.disconnecting)
    made[0].transport.resumeProducing()
    await until(lambda: application.lost)
    assert isinstance(application.lost, AbruptClose)
    await until(lambda: len(made[0].data) > size)


# Successful connections.


@each
@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_every_dialect_can_be_chosen_by_its_name(
    dialect: str, over: str, net: Network
) -> None:
    served = Applications()
    place = await net.serve(served, over)
    options: dict[str, Any] = {"dialect": dialect}
    if over == "tls":
        options["trustRoot"] = certificates.certificate()
    endpoint = WebSocketClientEndpoint.new(reactor, place.url(), **options)
    application = Recorder()
    assert await within(endpoint.connectApplication(application)) is application
    assert application.told == ["started", "finished"]
    application.transport.sendTextMessage("Grüße")
    await until(lambda: application.messages == ["Grüße"])
    assert served.asked[0].dialect == dialect
    application.transport.loseConnection()
    await until(lambda: application.lost)


@asynchronous
async def test_the_default_dialect_is_rfc_6455(net: Network) -> None:
    """No other dialect is tried: an attacker on the network path could force one without
    masking."""
    served = Applications()
    place = await net.serve(served, dialects=["hixie-76"])
    with pytest.raises(HandshakeRefused) as caught:
        await within(
            WebSocketClientEndpoint.new(reactor, place.url()).connectApplication(Recorder())
        )
    assert caught.value.status == 426
    assert served.asked == []


@asynchronous
async def test_connect_is_a_coroutine_function_that_takes_a_factory(net: Network) -> None:
    """Like ``twisted.web.websocket``: with ``buildProtocol(url)``, which is called for each
    connection."""
    place = await net.serve(Applications())
    clients = Applications(Recorder)
    endpoint = WebSocketClientEndpoint.new(reactor, place.url())
    assert inspect.iscoroutinefunction(WebSocketClientEndpoint.connect)
    first = await endpoint.connect(clients)
    second = await endpoint.connect(clients)
    assert clients.made == [first, second]
    assert clients.asked == [place.url()] * 2
    for application in clients.made:
        application.transport.loseConnection()
    await until(lambda: first.lost and second.lost)


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_any_stream_endpoint_can_be_used(over: str, net: Network) -> None:
    """The constructor takes the endpoint that reaches the server; the URL is for the
    handshake."""
    served = Applications()
    place = await net.serve(served, over)
    endpoint = WebSocketClientEndpoint(place.endpoint, "ws://any.example:81/x?y")
    application = await within(endpoint.connectApplication(Recorder()))
    assert (served.asked[0].host, served.asked[0].target) == ("any.example:81", "/x?y")
    application.transport.loseConnection()
    await until(lambda: application.lost)


@each
@asynchronous
async def test_an_IPv6_address_is_written_in_brackets(dialect: str, net: Network) -> None:
    """The handshake has brackets too, and servers of the Hixie dialects repeat them."""
    served = Applications()
    server = TCP6ServerEndpoint(reactor, 0, interface="::1")
    listening = await server.listen(cast("Any", HixieServerFactory(served)))
    net.places.append(Place("tcp", listening, "", None))
    port = net.places[-1].port
    endpoint = WebSocketClientEndpoint.new(reactor, f"ws://[::1]:{port}/", dialect=dialect)
    application = await within(endpoint.connectApplication(Recorder()))
    assert served.asked[0].host == f"[::1]:{port}"
    application.transport.loseConnection()
    await until(lambda: application.lost)


class Failing:
    """An endpoint of another package, with an error of its own."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def connect(self, factory: object) -> Deferred[Any]:
        return fail(self._error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DNSLookupError("server.example"), LookupFailed),
        (NobodyThere(), ConnectFailed),
        (NoRouteError(), ConnectFailed),
        (ConnectingCancelledError(None), Abandoned),
        (CancelledError(), Abandoned),
        (LookupFailed("in words"), LookupFailed),
        (ConnectTimeout("proxy", 5), ConnectTimeout),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
@asynchronous
async def test_the_errors_of_any_endpoint_become_typed_errors(
    error: Exception, expected: type[Exception]
) -> None:
    """Errors of the types that Twisted's endpoints raise are converted; any other is passed
    on."""
    endpoint: Any = Failing(error)
    connecting = WebSocketClientEndpoint(endpoint, "ws://server.example/")
    with pytest.raises(expected) as caught:
        await within(connecting.connectApplication(Recorder()))
    assert type(caught.value) is expected


# The options of the handshake.


@each
@asynchronous
async def test_the_request_has_the_options_of_the_endpoint(dialect: str, net: Network) -> None:
    served = Applications()
    place = await net.serve(served, origins=["https://page.example"])
    endpoint = WebSocketClientEndpoint.new(
        reactor,
        f"ws://user:p%40ss@localhost:{place.port}/x?y=1",
        dialect=dialect,
        origin="https://page.example",
        headers=((b"Cookie", b"a=b"), (b"X-More", b"yes")),
        subprotocols=["chat"],
    )
    assert endpoint.url == f"ws://localhost:{place.port}/x?y=1"
    connecting = endpoint.connectApplication(Recorder())
    if dialect in HIXIE:
        # The server grants no subprotocol, which is an error in these drafts.
        with pytest.raises(InvalidHandshake):
            await within(connecting)
    else:
        (await within(connecting)).transport.loseConnection()
    (offer,) = served.asked
    assert (offer.target, offer.origin) == ("/x?y=1", "https://page.example")
    assert (offer.header("Cookie"), offer.header("X-More")) == ("a=b", "yes")
    assert offer.header("Authorization") == "Basic dXNlcjpwQHNz"
    assert offer.subprotocols == ("chat",)


@pytest.mark.parametrize(
    ("url", "options", "wrong"),
    [
        ("http://server.example/", {}, "scheme"),
        ("ws://server.example/#part", {}, "fragment"),
        ("ws://server.example:22/", {}, "port"),
        ("wss://server.example:6000/", {}, "port"),
        ("ws://user:secret@server.example:25/", {}, "port"),
        ("ws://user:secret@server.example/", {"dialect": "hixie-77"}, "dialect"),
        ("wss://h/", {"contextFactory": object(), "trustRoot": object()}, "contextFactory"),
    ],
)
def test_an_option_that_cannot_be_sent_is_refused_at_once(
    url: str, options: dict[str, Any], wrong: str
) -> None:
    """The error is raised before a name is resolved, and does not contain the password."""
    with pytest.raises(ValueError, match=wrong) as caught:
        WebSocketClientEndpoint.new(reactor, url, **options)
    assert "secret" not in str(caught.value)


def test_more_subprotocols_than_a_request_has_room_for_are_refused_at_once() -> None:
    with pytest.raises(UnsupportedByDialect):
        WebSocketClientEndpoint.new(
            reactor, "ws://server.example/", dialect="hixie-75", subprotocols=["a", "b"]
        )


@pytest.mark.parametrize(
    ("url", "options", "asked"),
    [
        ("ws://silent.example/", {}, ("silent.example", 80)),
        ("wss://silent.example/", {}, ("silent.example", 443)),
        ("ws://SILENT.example:8080/", {}, ("silent.example", 8080)),
        ("ws://silent.example:22/", {"anyPort": True}, ("silent.example", 22)),
        ("wss://faß.example/", {}, ("xn--fa-hia.example", 443)),
    ],
)
@asynchronous
async def test_the_host_and_port_are_those_of_the_url(
    url: str, options: dict[str, Any], asked: tuple[str, int], names: FakeResolver
) -> None:
    """The default is the scheme's own port; a blocked port has to be allowed explicitly."""
    names.known[asked[0]] = None
    connecting = WebSocketClientEndpoint.new(reactor, url, **options).connectApplication(Recorder())
    assert names.asked == [asked]
    connecting.cancel()
    with pytest.raises(ConnectingCancelledError) as caught:
        await within(connecting)
    assert caught.value.address == HostnameAddress(asked[0].encode(), asked[1])


@asynchronous
async def test_credentials_are_in_no_error_and_no_log_line(
    net: Network, names: FakeResolver, log: Log
) -> None:
    """Neither an error's text, nor the log, nor a ``repr()`` has them."""
    shown: list[str] = []
    for setting in (http(says(NOT_FOUND), net), http(closes, net), name("nobody.example", net)):
        async with setting as scene:
            scene.url = scene.url.replace("//", "//user:secret@")
            endpoint = scene.endpoint()
            with pytest.raises(HixieError) as caught:
                await within(endpoint.connectApplication(Recorder()))
            shown += [str(caught.value), repr(caught.value), repr(endpoint), endpoint.url]
    shown += [str(event) for event in log.events]
    assert "secret" not in "\n".join(shown)
