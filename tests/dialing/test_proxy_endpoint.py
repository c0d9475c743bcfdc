"""Endpoint descriptions of a tunnel; tests over sockets are in tests/peers/test_proxies.py."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest
from twisted.internet.endpoints import clientFromString
from twisted.internet.testing import MemoryReactorClock

from support.memory_proxies import Factory
from txhixie.dialing.proxy_endpoint import tunnelThrough
from txhixie.dialing.tunnel import HTTPConnectEndpoint
from txhixie.testing import Wire


def asks(endpoint: Any, reactor: MemoryReactorClock) -> tuple[str, int, bytes]:
    """The destination of the connection, and the request there."""
    endpoint.connect(cast("Any", Factory())).addErrback(lambda _: None)
    host, port, clients, *_ = reactor.tcpClients[-1]
    wire = Wire()
    protocol = cast("Any", clients).buildProtocol(None)
    protocol.makeConnection(wire)
    first = wire.taken()
    protocol.dataReceived(
        b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
    )
    return host, port, first + wire.taken()


@pytest.mark.parametrize(
    "description",
    [
        "httpconnect:192.0.2.1:3128:host.example:443:user=me:password=a\\:b",
        "httpconnect:192.0.2.1:3128:port=443:host=host.example:user=me:password=a\\:b:timeout=5",
        "httpconnect:proxy=192.0.2.1:proxyPort=3128:host=host.example:port=443:user=me:password=a\\:b",
        "HTTPConnect:x:1:host.example:443:user=me:password=a\\:b:endpoint=tcp\\:192.0.2.1\\:3128",
    ],
)
def test_a_description_may_have_every_option(description: str) -> None:
    """Options are positional or named, in any order, as Twisted parses them."""
    reactor = MemoryReactorClock()
    endpoint = clientFromString(reactor, description)
    assert isinstance(endpoint, HTTPConnectEndpoint)
    host, port, said = asks(endpoint, reactor)
    assert (host, port) == ("192.0.2.1", 3128)
    request = b"CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443\r\n"
    assert said == (request + b"\r\n" + request + b"Proxy-Authorization: Basic bWU6YTpi\r\n\r\n")


def test_a_timeout_is_that_of_each_stage() -> None:
    reactor = MemoryReactorClock()
    endpoint = clientFromString(reactor, "httpconnect:192.0.2.1:3128:host.example:443:timeout=5")
    endpoint.connect(cast("Any", Factory())).addErrback(lambda _: None)
    assert reactor.tcpClients[-1][3] == 5
    reactor.tcpClients[-1][2].buildProtocol(cast("Any", None)).makeConnection(Wire())  # type: ignore[union-attr]  # the factory of an endpoint always builds a protocol
    assert [call.getTime() for call in reactor.getDelayedCalls()] == [5]


def test_an_IPv6_address_is_quoted() -> None:
    reactor = MemoryReactorClock()
    description = "httpconnect:2001\\:db8\\:\\:2:3128:2001\\:db8\\:\\:1:443"
    host, _, said = asks(clientFromString(reactor, description), reactor)
    assert host == "2001:db8::2"
    assert said.startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ("", "argument"),
        ("192.0.2.1:3128:host.example", "argument"),
        ("192.0.2.1:3128:host.example:443:nonsense=1", "nonsense"),
        ("192.0.2.1:x:host.example:443", "invalid literal"),
        ("192.0.2.1:3128:host.example:0", "port"),
        ("192.0.2.1:3128:host example:443", "host"),
        ("192.0.2.1:3128:host.example:443:password=s3cr3t", "without user"),
        ("192.0.2.1:3128:host.example:443:tls=perhaps", "tls: expected yes or no"),
        ("192.0.2.1:3128:host.example:443:timeout=soon", "could not convert"),
    ],
)
def test_an_invalid_option_is_an_error(rest: str, error: str) -> None:
    """The error is raised when the description is read, before any connection."""
    with pytest.raises((ValueError, TypeError), match=error) as caught:
        clientFromString(MemoryReactorClock(), f"httpconnect:{rest}")
    assert "s3cr3t" not in str(caught.value)


def test_a_URL_may_have_every_option() -> None:
    reactor = MemoryReactorClock()
    endpoint = tunnelThrough(reactor, "http://me:a%3Ab@192.0.2.1:3128", "host.example", 80)
    host, port, said = asks(endpoint, reactor)
    assert (host, port) == ("192.0.2.1", 3128)
    assert said.endswith(b"Proxy-Authorization: Basic bWU6YTpi\r\n\r\n")


def test_a_URL_of_another_kind_of_proxy_is_an_error() -> None:
    with pytest.raises(ValueError, match="SOCKS"):
        tunnelThrough(MemoryReactorClock(), "socks5://192.0.2.1", "host.example", 80)


def test_reading_the_plugin_imports_neither_this_package_nor_OpenSSL() -> None:
    """Every program that reads descriptions imports the plugins, even one that uses neither."""
    code = (
        "import sys\n"
        "import twisted.plugins\n"
        "before = set(sys.modules)\n"
        "from twisted.plugins import txhixie_endpoints\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "sys.exit(' '.join(new & {'txhixie', 'OpenSSL', 'cryptography'}) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
