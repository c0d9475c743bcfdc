"""TLS as a stage of connecting: both certificates are verified before a protocol is built."""

from __future__ import annotations

from typing import Any

import pytest
from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet import ssl
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectingCancelledError, ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ISSLTransport,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from support import certificates
from support.applications import Applications, Recorder
from support.certificates import authority, stranger
from support.log_recorder import Log
from support.network import Network
from support.raw_peer import Raw
from support.reactor_state import ReactorState
from support.resolver import FakeResolver
from support.scripted_servers import agrees, says, server, silent
from support.waiting import asynchronous, reactor, within
from support.waiting import until as eventually
from txhixie import CertificateForAnotherHost, TLSFailed, UnknownIssuer, WebSocketClientEndpoint
from txhixie.dialing.tls import TLSEndpoint, tlsError
from txhixie.errors import CertificateExpired


@implementer(IOpenSSLServerConnectionCreator)
class Watching:
    """A server's context that records the requested server name."""

    def __init__(self, *names: str) -> None:
        self._options = authority().issue(*names).options()
        self.connections: list[SSL.Connection] = []

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        self.connections.append(SSL.Connection(self._options.getContext(), None))
        return self.connections[-1]


async def opened(net: Network, url: str, **options: Any) -> None:
    """Open a conversation, and close it again."""
    options.setdefault("trustRoot", authority().trust)
    endpoint = WebSocketClientEndpoint.new(reactor, url, **options)
    application = await within(endpoint.connectApplication(Recorder()))
    application.transport.abortConnection()


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("server.example", b"server.example"),
        ("xn--fa-hia.example", b"xn--fa-hia.example"),
        ("faß.example", b"xn--fa-hia.example"),
        ("server.example.", b"server.example"),
        ("127.0.0.1", None),
    ],
)
@asynchronous
async def test_server_name_indication_has_the_host_name_and_no_address(
    host: str, sent: bytes | None, net: Network, names: FakeResolver
) -> None:
    """Server Name Indication (RFC 6066) has no addresses; the certificate is for the address
    nevertheless."""
    names.known |= {"xn--fa-hia.example": ["127.0.0.1"], "server.example.": ["127.0.0.1"]}
    watching = Watching("server.example", "xn--fa-hia.example", "127.0.0.1")
    place, _ = await server(net, agrees(), watching)
    await opened(net, f"wss://{host}:{place.port}/")
    assert watching.connections[0].get_servername() == sent


def test_a_name_that_cannot_be_verified_is_an_error_before_connecting() -> None:
    with pytest.raises(ValueError, match=r"^host: "):
        WebSocketClientEndpoint.new(reactor, "wss://some_container/")


@asynchronous
async def test_the_platforms_authorities_are_trusted_by_default(
    net: Network, names: FakeResolver
) -> None:
    """The test's own authority is not among them."""
    place, _ = await server(net, agrees(), authority().issue("server.example").options())
    with pytest.raises(TLSFailed):
        await opened(net, f"wss://server.example:{place.port}/", trustRoot=None)


@asynchronous
async def test_a_client_certificate_is_sent_when_the_server_asks(
    net: Network, names: FakeResolver
) -> None:
    authorities = ssl.Certificate.loadPEM(authority().pem)
    place, made = await server(
        net, agrees(), authority().issue("server.example").options(authorities)
    )
    url = f"wss://server.example:{place.port}/"
    await opened(net, url, certificate=authority().issue("client.example"))
    certificate = made[0].transport.getPeerCertificate().to_cryptography()
    assert "client.example" in certificate.subject.rfc4514_string()
    with pytest.raises(TLSFailed):
        await opened(net, url, certificate=stranger().issue("client.example"))


@asynchronous
async def test_a_given_context_may_trust_another_CA(net: Network, names: FakeResolver) -> None:
    """A context without verification needs an explicit option; for the rest see test_identity."""
    place, _ = await server(net, agrees(), stranger().issue("other.example").options())
    url, ready = f"wss://server.example:{place.port}/", ssl.CertificateOptions(verify=False)
    with pytest.raises(UnknownIssuer):
        await opened(net, url, trustRoot=None, contextFactory=Trusting(ready))
    await opened(net, url, trustRoot=None, contextFactory=Trusting(ready), verify=False)


@implementer(IOpenSSLClientConnectionCreator)
class Trusting:
    """An IOpenSSLClientConnectionCreator that verifies nothing."""

    def __init__(self, options: Any) -> None:
        self._options = options

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(self._options.getContext(), None)


class Counting(Factory):
    """A factory that counts its starts and stops, and builds a given protocol."""

    noisy = False

    def __init__(self, build: Any) -> None:
        self.build = build
        self.counts = [0, 0]

    def startFactory(self) -> None:
        self.counts[0] += 1

    def stopFactory(self) -> None:
        self.counts[1] += 1

    def buildProtocol(self, addr: Any) -> Any:
        return self.build()


@implementer(IHandshakeListener)
class Listening(Raw):
    """A protocol that is notified of the end of the TLS handshake, as with Twisted's own TLS."""

    completed = 0

    def connectionMade(self) -> None:
        assert ISSLTransport.providedBy(self.transport)

    def handshakeCompleted(self) -> None:
        self.completed += 1


def over_tls(port: int) -> TLSEndpoint:
    """Connect over TLS, to ``server.example``."""
    tcp: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    options = ssl.optionsForClientTLS("server.example", trustRoot=authority().trust)
    return TLSEndpoint(tcp, options, host="server.example", seconds=10, clock=reactor)


@asynchronous
async def test_any_protocol_is_connected_after_the_TLS_handshake(net: Network) -> None:
    """The factory lives as long as the connection; the peer's first bytes are delivered."""
    place, made = await server(
        net, says(b"answer", and_closes=True), authority().issue("server.example").options()
    )
    factory: Any = Counting(Listening)
    protocol: Any = await within(over_tls(place.port).connect(factory))
    assert (factory.counts, protocol.completed) == ([1, 0], 1)
    protocol.send(b"word")
    await protocol.reads(b"answer")
    await protocol.ends()
    assert factory.counts == [1, 1]
    assert made[0].data == b"word"


@asynchronous
async def test_no_protocol_is_built_for_another_host(net: Network) -> None:
    """No protocol is built even for a moment."""
    place, made = await server(net, silent, authority().issue("other.example").options())
    built: list[Raw] = []
    factory: Any = Counting(lambda: built.append(Raw()))
    with pytest.raises(CertificateForAnotherHost):
        await within(over_tls(place.port).connect(factory))
    await eventually(lambda: made[0].reason is not None)
    assert not built
    assert not made[0].data


@asynchronous
async def test_a_factory_that_builds_nothing_ends_the_connection(net: Network) -> None:
    """The caller's error is the one that Twisted's endpoints raise."""
    place, _ = await server(net, silent, authority().issue("server.example").options())
    reactor_state = ReactorState()
    factory: Any = Counting(lambda: None)
    with pytest.raises(NoProtocol):
        await within(over_tls(place.port).connect(factory))
    await reactor_state.is_restored()
    assert factory.counts == [1, 1]


@asynchronous
async def test_cancelling_the_handshake_ends_the_connection(net: Network) -> None:
    place, made = await server(net, silent)
    reactor_state = ReactorState()
    factory: Any = Counting(Raw)
    connecting = over_tls(place.port).connect(factory)
    await eventually(lambda: made and made[0].data)
    connecting.cancel()
    with pytest.raises(ConnectingCancelledError) as caught:
        await within(connecting)
    assert caught.value.address.port == place.port
    await reactor_state.is_restored()
    assert factory.counts == [1, 1]


@asynchronous
async def test_the_packages_server_and_client_connect_over_TLS(net: Network) -> None:
    place = await net.serve(Applications(), "tls")
    await opened(net, place.url(), trustRoot=certificates.certificate())


@asynchronous
async def test_an_error_of_a_TLS_context_fails_the_connect(net: Network, log: Log) -> None:
    """The exception would otherwise be raised in the reactor, and the caller would wait without
    end."""
    place, _ = await server(net, silent)
    tcp: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", place.port)
    factory: Any = Counting(Raw)
    reactor_state = ReactorState()
    with pytest.raises(ZeroDivisionError):
        await within(
            TLSEndpoint(tcp, Broken(), host=None, seconds=10, clock=reactor).connect(factory)
        )
    await reactor_state.is_restored()


@implementer(IOpenSSLClientConnectionCreator)
class Broken:
    """An IOpenSSLClientConnectionCreator that creates nothing."""

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        raise ZeroDivisionError


def test_an_error_of_another_kind_is_not_a_TLS_error() -> None:
    """A connection that simply ended is not an error of TLS."""
    assert tlsError(None, None) is None
    assert tlsError(ConnectionDone(), None) is None
    assert type(tlsError(SSL.Error([("a", "b", "no luck")]), None)) is TLSFailed
    for error in (SSL.Error(), SSL.Error([]), SSL.SysCallError(104, "ECONNRESET")):
        assert type(tlsError(error, None)) is TLSFailed


def test_the_verification_result_of_pyOpenSSL_is_where_expected() -> None:
    """pyOpenSSL has no public name for the result; this test fails when the attribute moves."""
    made = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    assert lib.SSL_get_verify_result(made._ssl) == 0
    lib.X509_verify_cert_error_string(10)
    assert issubclass(CertificateExpired, TLSFailed)
