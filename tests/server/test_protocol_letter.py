"""Responses to the letter, since some clients that never change compare them so.

The expected bytes are written out here, from the RFC and the drafts. Each response is the same from
a server, a gateway, a resource of a ``Site`` and a server behind a PROXY protocol header, and is
one write.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.web.server import Site
from zope.interface import implementer

from support.applications import Answering, Applications, Recorder, echo
from support.dialect_names import MODERN, NAMES
from support.handshake_bytes import KEY3, accept_for, head_of, proof_for, request, whole_request
from support.network import Network
from support.waiting import asynchronous, reactor, until
from txhixie import Accepted, HixieServerFactory
from txhixie.gateway import GatewayService
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.proxy_protocol import ProxyProtocolFactory
from txhixie.testing import Wire
from txhixie.web import HixieResource

WAYS: Final = ("server", "gateway", "site", "proxy")
PROXY: Final = b"PROXY TCP4 203.0.113.9 198.51.100.1 51000 443\r\n"
SENDER: Final = IPv4Address("TCP", "192.0.2.1", 54321)

MODERN_HEAD: Final = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\n"
    "{more}"
    "\r\n"
)
HEAD_76: Final = (
    "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
    "Upgrade: WebSocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Origin: http://example.com\r\n"
    "Sec-WebSocket-Location: ws://example.com/demo\r\n"
    "\r\n"
)
HEAD_75: Final = (
    "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
    "Upgrade: WebSocket\r\n"
    "Connection: Upgrade\r\n"
    "WebSocket-Origin: http://example.com\r\n"
    "WebSocket-Location: ws://example.com/demo\r\n"
    "\r\n"
)


def expected(dialect: str, asked: bytes, more: str = "") -> bytes:
    """The whole response, with the proof of hixie-76."""
    if dialect in MODERN:
        return MODERN_HEAD.format(accept=accept_for(asked), more=more).encode()
    if dialect == "hixie-76":
        return HEAD_76.encode() + proof_for(asked)
    return HEAD_75.encode()


@implementer(IPushProducer)
class OneWire(Wire):
    """A transport with what a Site and the PROXY protocol need: a protocol, and a state."""

    protocol: Any

    @property
    def disconnecting(self) -> bool:
        return bool(self.endings)

    def stopProducing(self) -> None:
        self.loseConnection()

    @property
    def writes(self) -> list[bytes]:
        return [call[1] for call in self.calls if call[0] == "write"]


def connected(way: str, applications: Any, **options: Any) -> OneWire:
    """A connection in memory to a server of one kind, which has read what comes before HTTP."""
    clock, wire = Clock(), OneWire()
    factory: Any
    if way == "site":
        resource = HixieResource(applications, **options)
        resource.factory._clock = clock  # private: a resource takes the reactor of its Site
        factory = Site(resource)
        factory.reactor = clock
    else:
        factory = HixieServerFactory(applications, clock=clock, **options)
    if way == "proxy":
        trusted = TrustedNetworks(["192.0.2.0/24"])
        factory = ProxyProtocolFactory(factory, trusted, timeout=10, clock=clock)
    protocol = wire.protocol = factory.buildProtocol(SENDER)
    protocol.makeConnection(wire)
    if way == "proxy":
        wire.protocol.dataReceived(PROXY)
    return wire


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", NAMES)
@asynchronous
async def test_a_response_is_the_same_bytes_in_one_write(
    net: Network, dialect: str, way: str
) -> None:
    applications: Any = Applications(echo)
    if way == "gateway":
        back = await net.serve(applications, origins=["*"])
        applications = GatewayService(reactor, back.url())
    wire = connected(way, applications)
    asked = whole_request(dialect)
    wire.protocol.dataReceived(asked)
    await until(lambda: wire.writes)
    assert wire.writes == [expected(dialect, asked)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", MODERN)
@asynchronous
async def test_a_subprotocol_is_the_only_field_that_is_added(
    net: Network, dialect: str, way: str
) -> None:
    applications: Any = Applications(echo)
    options: dict[str, Any] = {"subprotocols": ["mqtt"]}
    if way == "gateway":
        back = await net.serve(applications, origins=["*"], **options)
        applications, options = GatewayService(reactor, back.url()), {}
    wire = connected(way, applications, **options)
    asked = whole_request(dialect, "Sec-WebSocket-Protocol: mqttv3.1, mqtt")
    wire.protocol.dataReceived(asked)
    await until(lambda: wire.writes)
    assert wire.writes == [expected(dialect, asked, "Sec-WebSocket-Protocol: mqtt\r\n")]


def later(way: str) -> tuple[OneWire, Deferred[Any]]:
    """A connection whose decision comes later, as that of a gateway does."""
    decision: Deferred[Any] = Deferred()
    return connected(way, Answering(lambda offer: decision)), decision


@pytest.mark.parametrize("way", [way for way in WAYS if way != "gateway"])
def test_head_and_proof_are_one_write_also_after_a_late_decision(way: str) -> None:
    wire, decision = later(way)
    asked = whole_request("hixie-76")
    wire.protocol.dataReceived(asked[:-3])
    wire.protocol.dataReceived(asked[-3:])
    assert wire.writes == []
    decision.callback(Recorder())
    assert wire.writes == [expected("hixie-76", asked)]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "gateway"])
def test_the_head_does_not_wait_for_the_eight_bytes_that_a_proxy_keeps(way: str) -> None:
    wire = connected(way, Applications(echo))
    wire.protocol.dataReceived(request("hixie-76"))
    wire.protocol.dataReceived(KEY3)
    whole = expected("hixie-76", whole_request("hixie-76"))
    assert wire.writes == [head_of(whole), whole[-16:]]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "gateway"])
@pytest.mark.parametrize("dialect", NAMES)
def test_further_fields_are_behind_those_of_the_handshake_in_the_same_write(
    way: str, dialect: str
) -> None:
    fields = {"Set-Cookie": "a=b", "X-Long": "x" * 2000}
    wire = connected(way, Answering(lambda offer: Accepted(echo(), headers=fields)))
    asked = whole_request(dialect)
    wire.protocol.dataReceived(asked)
    (written,) = wire.writes
    whole = expected(dialect, asked)
    handshake = head_of(whole)[:-2]
    assert written.startswith(handshake + b"Set-Cookie: a=b\r\nX-Long: xxx")
    assert written.endswith(b"\r\n\r\n" + whole[len(handshake) + 2 :])


@pytest.mark.parametrize("dialect", NAMES)
def test_an_origin_of_a_program_is_repeated_to_the_letter(dialect: str) -> None:
    """Java-WebSocket in hixie-76 sends a random word, and compares the response with it."""
    wire = connected("server", Applications(echo))
    asked = whole_request(dialect, origin="random-1234567")
    wire.protocol.dataReceived(asked)
    whole = expected(dialect, asked).replace(b"http://example.com", b"random-1234567")
    assert wire.writes == [whole]


@pytest.mark.parametrize("dialect", MODERN)
def test_the_response_of_a_modern_dialect_has_129_bytes(dialect: str) -> None:
    wire = connected("server", Applications(echo))
    wire.protocol.dataReceived(whole_request(dialect))
    assert [len(each) for each in wire.writes] == [129]
