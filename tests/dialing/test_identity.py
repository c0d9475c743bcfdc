"""Verification of server names: a server whose certificate is not for the requested host gets no
byte of a request, in every use of TLS as a client, and for every malformed name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from OpenSSL.crypto import X509
from OpenSSL.SSL import VERIFY_PEER, Connection
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, quoteStringArgument
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory
from zope.interface import implementer

from support.applications import Applications, Recorder
from support.certificates import authority, stranger
from support.log_recorder import Log
from support.network import Network
from support.raw_peer import Raw
from support.resolver import FakeResolver
from support.scripted_servers import agrees, server
from support.waiting import asynchronous, reactor, within
from support.waiting import until as eventually
from txhixie import CertificateForAnotherHost, HandshakeRefused, TLSFailed, UnknownIssuer
from txhixie import WebSocketClientEndpoint as Endpoint
from txhixie.daemon.services.tcp import StreamService
from txhixie.dialing.identity import OF_ANOTHER, checkName
from txhixie.dialing.tls_descriptions import clientEndpoint
from txhixie.gateway import GatewayService
from txhixie.websocket import WebSocketClientEndpoint as TwistedsEndpoint

pytestmark = [
    # service-identity 21.1, asked by Twisted; ours does not come so far.
    pytest.mark.filterwarnings("ignore::service_identity.SubjectAltNameWarning"),
]

HOST = "server.example"

# Names in DER: a tag, a length, and what is in it (RFC 5280 section 4.2.1.6).


def der(tag: int, *parts: bytes) -> bytes:
    value = b"".join(parts)
    size = len(value)
    if size < 128:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def names_of(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def email(name: bytes) -> bytes:
    return der(0x81, name)


def dns(name: bytes) -> bytes:
    return der(0x82, name)


def uri(name: bytes) -> bytes:
    return der(0x86, name)


def address(packed: bytes) -> bytes:
    return der(0x87, packed)


def srv(value: bytes) -> bytes:
    """An otherName of the type id-on-dnsSRV (RFC 4985)."""
    return der(0xA0, bytes.fromhex("06082b06010505070807"), der(0xA0, value))


GOOD = dns(b"server.example")

WRONG = {
    # Values that Twisted 26.10 accepts.
    "no subjectAltName": None,
    "an empty subjectAltName": names_of(),
    "a star": names_of(dns(b"*")),
    "a star and one label": names_of(dns(b"*.example")),
    "an address as a DNS name": names_of(dns(b"127.0.0.1")),
    "a number as a DNS name": names_of(dns(b"2130706433")),
    "NUL behind our name": names_of(dns(b"server.example\0.evil.example")),
    "NUL": names_of(dns(b"\0")),
    "an empty name": names_of(dns(b"")),
    "a blank": names_of(dns(b" ")),
    "two stars": names_of(dns(b"*.*.example")),
    "a star behind": names_of(dns(b"server.*")),
    "a star between": names_of(dns(b"www.*.example")),
    "a star within a label": names_of(dns(b"s*r.example.com")),
    "a star and no label": names_of(dns(b"*..example")),
    "Latin-1": names_of(dns("sérver.example".encode("latin-1"))),
    "UTF-8": names_of(dns("sérver.example".encode())),
    "a URI without a scheme": names_of(uri(b"server.example")),
    "a URI with a port": names_of(uri(b"https://server.example:443/")),
    "a URI with a star": names_of(uri(b"https://*.example/")),
    "an address of three bytes": names_of(address(b"\x7f\0\0")),
    "no address": names_of(address(b"")),
    "a network": names_of(address(b"\x7f\0\0\1\xff\xff\xff\xff")),
    "an SRV name that is none": names_of(srv(der(0x16, b"server.example"))),
    "an SRV name of another type": names_of(srv(der(0x02, b"\1"))),
    "an SRV name that is empty": names_of(srv(der(0x16))),
    "our name and a star": names_of(GOOD, dns(b"*")),
    "our name and an address as a DNS name": names_of(GOOD, dns(b"127.0.0.1")),
    "our name and an empty one": names_of(GOOD, dns(b"")),
    # Names of other hosts.
    "another name": names_of(dns(b"other.example")),
    "our name with a dot before it": names_of(dns(b".server.example")),
    "a name below ours": names_of(dns(b"www.server.example")),
    "a star below ours": names_of(dns(b"*.server.example")),
    "our name and more": names_of(dns(b"server.example.evil.example")),
    "an A-label that is none": names_of(dns(b"xn--zzzzzzz.example")),
    "a control character": names_of(dns(b"server.example\n")[:-1] + b"\x7f"),
    "a very long name": names_of(dns(b"a" * 20_000 + b".server.example")),
    "a thousand names": names_of(*[dns(b"host%d.example" % number) for number in range(1000)]),
    "e-mail only": names_of(email(b"admin@server.example")),
    "a URI only": names_of(uri(b"https://server.example")),
    "another address": names_of(address(b"\x7f\0\0\2")),
    "a directory name only": names_of(der(0xA4, der(0x30))),
    "an SRV name only": names_of(srv(der(0x16, b"_https.server.example"))),
}
"""Values of the subjectAltName. The common name is always the host that is asked for."""

UNREADABLE = {
    "no sequence": der(0x04, b"server.example"),
    "a sequence that is cut": b"\x30\x20\x82\x0eserver.exampl",
}
"""Malformed values with which OpenSSL builds no chain of certificates."""

Asks = Callable[[Network, Any], Awaitable[None]]


async def by_endpoint(net: Network, port: int) -> None:
    endpoint = Endpoint.new(
        reactor,
        f"wss://user:password@{HOST}:{port}/?token=secret",
        trustRoot=authority().trust,
        headers=((b"Cookie", b"secret=1"),),
    )
    await within(endpoint.connectApplication(Recorder()))


async def by_context(net: Network, port: int) -> None:
    """With Twisted's own options."""
    options = ssl.optionsForClientTLS(HOST, trustRoot=authority().trust)
    endpoint = Endpoint.new(reactor, f"wss://u:p@{HOST}:{port}/", contextFactory=options)
    await within(endpoint.connectApplication(Recorder()))


async def by_certificate_options(net: Network, port: int) -> None:
    """With options that verify the chain and look at no name."""
    options = Verifying(ssl.CertificateOptions(trustRoot=authority().trust))
    endpoint = Endpoint.new(reactor, f"wss://u:p@{HOST}:{port}/", contextFactory=options)
    await within(endpoint.connectApplication(Recorder()))


async def by_proxy(net: Network, port: int) -> None:
    endpoint = Endpoint.new(
        reactor,
        "ws://inside.example/",
        proxy=f"https://user:password@{HOST}:{port}",
        trustRoot=authority().trust,
    )
    await within(endpoint.connectApplication(Recorder()))


async def by_description(net: Network, port: int) -> None:
    (net.directory / "roots.pem").write_bytes(authority().pem)
    endpoint = clientFromString(
        reactor, f"wss:{HOST}:{port}:user=u:password=p:trustRoot={net.directory}/roots.pem"
    )
    await within(endpoint.connect(Factory.forProtocol(Raw)))


async def by_tls_description(net: Network, port: int) -> None:
    (net.directory / "roots.pem").write_bytes(authority().pem)
    endpoint: Any = clientEndpoint(
        reactor, f"TLS:{HOST}:{port}:trustRoots={net.directory}/roots.pem"
    )
    await within(endpoint.connect(Factory.forProtocol(Raw)))


async def by_ssl_description(net: Network, port: int) -> None:
    (net.directory / "roots.pem").write_bytes(authority().pem)
    endpoint: Any = clientEndpoint(
        reactor, f"ssl:127.0.0.1:{port}:hostname={HOST}:caCertsDir={net.directory}"
    )
    await within(endpoint.connect(Factory.forProtocol(Raw)))


async def by_tunnel_description(net: Network, port: int) -> None:
    """TLS to a proxy, by an endpoint description within a description."""
    (net.directory / "roots.pem").write_bytes(authority().pem)
    proxy = f"tls:{HOST}:{port}:trustRoots={net.directory}/roots.pem"
    endpoint = clientFromString(
        reactor,
        f"httpconnect:x:1:inside.example:80:user=u:password=p:endpoint={quoteStringArgument(proxy)}",
    )
    await within(endpoint.connect(Factory.forProtocol(Raw)))


ASKS = {
    "endpoint": by_endpoint,
    "CertificateOptions": by_certificate_options,
    "proxy": by_proxy,
    "wss:": by_description,
    "tls:": by_tls_description,
    "ssl:": by_ssl_description,
    "httpconnect:": by_tunnel_description,
}


@implementer(IOpenSSLClientConnectionCreator)
class Verifying:
    """A connection creator that verifies, as CertificateOptions are with Twisted 26.10."""

    def __init__(self, options: Any, verify: Callable[..., bool] | None = None) -> None:
        self._options = options
        self._verify = verify

    def clientConnectionForTLS(self, protocol: Any) -> Connection:
        made = Connection(self._options.getContext(), None)
        if self._verify is not None:
            made.set_verify(VERIFY_PEER, self._verify)
        return made


async def shown(net: Network, value: bytes | None, by: Any = None) -> tuple[int, list[Raw]]:
    """Listen with a certificate; the port, and the connections that it accepts."""
    issued = (by or authority()).issue_with(HOST, value)
    place, made = await server(net, agrees(), issued.options())
    return place.port, made


async def nothing_came(made: list[Raw], connections: int = 1) -> None:
    """Assert that each connection has ended without a byte received."""
    await eventually(lambda: sum(raw.reason is not None for raw in made) == connections)
    assert [raw.data for raw in made] == [b""] * len(made)


@pytest.mark.parametrize("wrong", WRONG)
@asynchronous
async def test_a_server_with_a_wrong_certificate_is_sent_nothing(
    wrong: str, net: Network, names: FakeResolver
) -> None:
    port, made = await shown(net, WRONG[wrong])
    for asks in ASKS.values():
        with pytest.raises(CertificateForAnotherHost, match=rf"^{OF_ANOTHER}"):
            await asks(net, port)
    await nothing_came(made, len(ASKS))


@pytest.mark.parametrize("wrong", WRONG)
@asynchronous
async def test_twisteds_own_options_for_tls_are_checked_again(
    wrong: str, net: Network, names: FakeResolver, log: Log
) -> None:
    """Twisted 26.10 continues with a malformed certificate, and logs a traceback."""
    port, made = await shown(net, WRONG[wrong])
    with pytest.raises(TLSFailed, match=r"^the peer's certificate"):
        await by_context(net, port)
    await nothing_came(made)
    log.tracebacks()


@pytest.mark.parametrize("wrong", UNREADABLE)
@asynchronous
async def test_unreadable_names_match_no_host(
    wrong: str, net: Network, names: FakeResolver
) -> None:
    port, made = await shown(net, UNREADABLE[wrong])
    for asks in ASKS.values():
        with pytest.raises(TLSFailed):
            await asks(net, port)
    await nothing_came(made, len(ASKS))


@pytest.mark.parametrize("asks", ["endpoint", "CertificateOptions", "wss:"])
@pytest.mark.parametrize(
    "value",
    [
        names_of(GOOD),
        names_of(dns(b"other.example"), GOOD, address(b"\x7f\0\0\2")),
        names_of(dns(b"SERVER.Example")),
        names_of(email(b"a@b.example"), uri(b"https://server.example"), GOOD),
    ],
)
@asynchronous
async def test_a_valid_certificate_is_accepted(
    asks: str, value: bytes, net: Network, names: FakeResolver
) -> None:
    port, made = await shown(net, value)
    await ASKS[asks](net, port)
    assert b"Authorization: Basic " in made[0].data
    made[0].transport.abortConnection()


@pytest.mark.parametrize(
    ("value", "isOurs"),
    [
        (names_of(address(b"\x7f\0\0\1")), True),
        (names_of(dns(b"other.example"), address(b"\x7f\0\0\1")), True),
        (names_of(address(b"\x7f\0\0\2")), False),
        (names_of(address(b"\0" * 15 + b"\1")), False),
        (names_of(dns(b"127.0.0.1")), False),
        (names_of(dns(b"127.0.0.1"), address(b"\x7f\0\0\1")), False),
        (names_of(uri(b"https://127.0.0.1")), False),
        (None, False),
    ],
)
@asynchronous
async def test_an_address_has_to_be_in_the_certificate_as_an_address(
    value: bytes | None, isOurs: bool, net: Network
) -> None:
    place, made = await server(net, agrees(), authority().issue_with("127.0.0.1", value).options())
    url = f"wss://u:p@127.0.0.1:{place.port}/"
    connecting = Endpoint.new(reactor, url, trustRoot=authority().trust).connectApplication(
        Recorder()
    )
    if isOurs:
        (await within(connecting)).transport.abortConnection()
        return
    with pytest.raises(CertificateForAnotherHost):
        await within(connecting)
    await nothing_came(made)


@pytest.mark.parametrize(
    ("value", "host", "isOurs"),
    [
        (names_of(dns(b"*.server.example")), "www.server.example", True),
        (names_of(dns(b"*.server.example")), "a.www.server.example", False),
        (names_of(dns(b"*.server.example")), "server.example", False),
        (names_of(GOOD), "server.example.", True),
        (names_of(dns(b"xn--fa-hia.example")), "xn--fa-hia.example", True),
        (names_of(dns(b"some_container")), "some_container", True),
        (names_of(dns(b"some_container")), "", False),
        (names_of(address(b"\xfe\x80" + b"\0" * 13 + b"\1")), "fe80::1%eth0", True),
        (names_of(dns(b"fe80::1")), "fe80::1", False),
        (None, "server.example", False),
    ],
)
def test_names_are_compared_by_rfc_9525(value: bytes | None, host: str, isOurs: bool) -> None:
    certificate: X509 = authority().issue_with(HOST, value).original
    if isOurs:
        checkName(certificate, host)
        return
    with pytest.raises(CertificateForAnotherHost):
        checkName(certificate, host)
    with pytest.raises(CertificateForAnotherHost):
        checkName(None, host)


def test_a_reason_is_short_and_printable() -> None:
    """The reason contains text of an untrusted certificate."""
    long = names_of(dns(b"*" + b"\x1b[31m\n" * 5000))
    with pytest.raises(CertificateForAnotherHost) as caught:
        checkName(authority().issue_with(HOST, long).original, HOST)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


# Connections to backends.


def services(port: int, directory: Any) -> dict[str, Any]:
    (directory / "roots.pem").write_bytes(authority().pem)
    tls = f"{HOST}:{port}:trustRoots={directory}/roots.pem"
    wss = tls.replace("trustRoots", "trustRoot")  # tls: has Twisted's word
    return {
        "gateway": GatewayService(
            reactor, f"wss://user:password@{HOST}:{port}", trustRoot=authority().trust
        ),
        "stream": StreamService(reactor, f"tls:{tls}"),
        "tunnel": StreamService(
            reactor, f"httpconnect:x:1:h:1:user=u:endpoint={quoteStringArgument(f'tls:{tls}')}"
        ),
        "messages": StreamService(reactor, f"wss:{wss}:user=u:password=p"),
    }


@pytest.mark.parametrize("wrong", ["no subjectAltName", "a star", "NUL", "another name"])
@pytest.mark.parametrize("service", ["gateway", "stream", "tunnel", "messages"])
@asynchronous
async def test_a_backend_with_a_wrong_certificate_is_a_502(
    service: str, wrong: str, net: Network, names: FakeResolver, log: Log
) -> None:
    """The log has one line, and no traceback."""
    port, made = await shown(net, WRONG[wrong])
    place = await net.serve(services(port, net.directory)[service])
    headers = ((b"Cookie", b"secret=1"),)
    wire = await net.connect(place, Applications(Recorder), dialect="rfc6455", headers=headers)
    with pytest.raises(HandshakeRefused) as refused:
        await within(wire.whenOpen())
    assert refused.value.status == 502
    await nothing_came(made)
    [line] = log.lines()
    assert OF_ANOTHER in line


# A TLS context of the caller's.


def pins(connection: Connection, certificate: X509, error: int, depth: int, good: int) -> bool:
    """A caller's own verification, with one pinned authority."""
    return certificate.to_cryptography().issuer == stranger().root.subject


@pytest.mark.parametrize(
    ("verify", "value", "error"),
    [
        (None, names_of(GOOD), UnknownIssuer),
        (None, None, UnknownIssuer),
        (pins, names_of(GOOD), None),
        (pins, names_of(dns(b"other.example")), CertificateForAnotherHost),
        (pins, names_of(dns(b"*")), CertificateForAnotherHost),
        (pins, None, CertificateForAnotherHost),
    ],
)
@asynchronous
async def test_a_context_that_checks_no_name_is_checked(
    verify: Any,
    value: bytes | None,
    error: type[Exception] | None,
    net: Network,
    names: FakeResolver,
) -> None:
    """A context that verifies no certificate is refused as well."""
    port, made = await shown(net, value, stranger())
    context = Verifying(ssl.CertificateOptions(), verify)
    url = f"wss://user:password@{HOST}:{port}/"
    endpoint = Endpoint.new(reactor, url, contextFactory=context)
    if error is None:
        (await within(endpoint.connectApplication(Recorder()))).transport.abortConnection()
        return
    with pytest.raises(error):
        await within(endpoint.connectApplication(Recorder()))
    await nothing_came(made)


@pytest.mark.parametrize("ready", [False, True])
@asynchronous
async def test_verification_has_to_be_switched_off_explicitly(
    ready: bool, net: Network, names: FakeResolver
) -> None:
    port, made = await shown(net, None, stranger())
    options: Any = {"contextFactory": Verifying(ssl.CertificateOptions())} if ready else {}
    endpoint = Endpoint.new(reactor, f"wss://{HOST}:{port}/", verify=False, **options)
    (await within(endpoint.connectApplication(Recorder()))).transport.abortConnection()
    assert made[0].data


@pytest.mark.parametrize(
    "context", [ssl.ClientContextFactory(), ssl.ClientContextFactory, object(), "", 0]
)
def test_an_object_that_makes_no_TLS_connections_is_a_type_error(context: Any) -> None:
    for url in (f"wss://{HOST}/", f"ws://{HOST}/"):
        with pytest.raises(TypeError, match=r"^contextFactory: expected an IOpenSSLClientConn"):
            Endpoint.new(reactor, url, contextFactory=context)


@asynchronous
async def test_certificate_options_are_checked_or_refused(
    net: Network, names: FakeResolver
) -> None:
    """CertificateOptions create client connections since Twisted 26.10, and verify no name."""
    options = ssl.CertificateOptions()
    port, made = await shown(net, names_of(dns(b"other.example")))
    with pytest.raises((TypeError, TLSFailed)):
        endpoint = Endpoint.new(reactor, f"wss://u:p@{HOST}:{port}/", contextFactory=options)
        await within(endpoint.connectApplication(Recorder()))
    if made:
        await nothing_came(made)


@asynchronous
async def test_another_server_name_may_be_verified(net: Network, names: FakeResolver) -> None:
    """For example where the server is reached by its address."""
    port, _ = await shown(net, names_of(GOOD))
    options: Any = {"trustRoot": authority().trust, "serverName": HOST}
    endpoint = Endpoint.new(reactor, f"wss://127.0.0.1:{port}/", **options)
    (await within(endpoint.connectApplication(Recorder()))).transport.abortConnection()
    port, made = await shown(net, names_of(address(b"\x7f\0\0\1")))
    with pytest.raises(CertificateForAnotherHost):
        endpoint = Endpoint.new(reactor, f"wss://127.0.0.1:{port}/", **options)
        await within(endpoint.connectApplication(Recorder()))
    await nothing_came(made)


class Policy:
    """An IPolicyForHTTPS of a program."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return Verifying(ssl.CertificateOptions(trustRoot=authority().trust))


@asynchronous
async def test_a_policy_of_twisted_webs_is_checked_too(net: Network, names: FakeResolver) -> None:
    for value, verify in [(names_of(dns(b"*")), True), (names_of(GOOD), True), (None, False)]:
        port, made = await shown(net, value)
        policy: Any = Policy()
        endpoint = TwistedsEndpoint.new(reactor, f"wss://{HOST}:{port}/", policy, verify=verify)
        connecting = within(Deferred.fromCoroutine(endpoint.connect(Making())))
        if value == names_of(dns(b"*")):
            with pytest.raises(CertificateForAnotherHost):
                await connecting
            await nothing_came(made)
        else:
            (await connecting).transport.abortConnection()


class Making:
    """A factory of recorders."""

    def buildProtocol(self, url: str) -> Recorder:
        return Recorder()
