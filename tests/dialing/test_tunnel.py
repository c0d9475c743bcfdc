"""A tunnel through a proxy, in memory: every response, every end, and a cancel at every
moment."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionLost,
    NoProtocol,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from support import applications
from support.memory_proxies import Factory, Inside, ProxyEndpoint
from txhixie.dialing.tunnel import HTTPConnectEndpoint
from txhixie.errors import ConnectionFailed, ConnectTimeout, HixieError, PeerLeft, ProxyRefused
from txhixie.sansio.http.authentication import read_challenges
from txhixie.sansio.limits import Limits

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"
ME = ("me", "s3cr3t")


def who(challenge: bytes, *, closes: bool = False, version: int = 1) -> bytes:
    """A 407 response."""
    return (
        b"HTTP/1.%d 407 Proxy Authentication Required\r\nContent-Length: 4\r\n%b"
        b"Proxy-Authenticate: %b\r\n\r\nwho?"
    ) % (version, b"Connection: close\r\n" if closes else b"", challenge)


BASIC = b'Basic realm="there"'
DIGEST = b'Digest realm="there", nonce="n%d", qop="auth"'


class Attempt:
    """
    One attempt to connect through a tunnel.

    :ivar results: what its Deferred fired with.
    """

    def __init__(
        self,
        endpoint: HTTPConnectEndpoint | None = None,
        make: Any = Inside,
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.proxy = ProxyEndpoint()
        self.endpoint = endpoint or HTTPConnectEndpoint(
            self.proxy, "host.example", 443, clock=self.clock, **options
        )
        self.results: list[Any] = []
        self.factory = Factory(make)
        self.connect()

    def connect(self) -> None:
        """Start an attempt, or another one."""
        self.results = []
        self.deferred: Deferred[Any] = self.endpoint.connect(cast("Any", self.factory))
        self.deferred.addBoth(self.results.append)

    def says(self, data: bytes, size: int | None = None) -> None:
        """Deliver the proxy's bytes on the last connection."""
        self.proxy.last.says(data, size)

    @property
    def inside(self) -> Inside:
        """The connected protocol; no timer is left."""
        (result,) = self.results
        assert isinstance(result, Inside), result
        assert not self.clock.getDelayedCalls()
        return result

    def failed(self) -> Any:
        """The error of the attempt: every connection has been ended, and no timer is left."""
        (result,) = self.results
        assert isinstance(result, Failure), result
        assert not self.clock.getDelayedCalls()
        for each in self.proxy.connections:
            assert each.wire.dead or each.aborted
        assert ME[1] not in f"{result.value} {result.value!r}"
        return result.value


# Accepted requests.


@pytest.mark.parametrize("size", [None, 1])
def test_a_2xx_opens_the_tunnel(size: int | None) -> None:
    """The protocol is built for the host, and has the transport to the proxy."""
    attempt = Attempt()
    request = attempt.proxy.last.asked()
    assert request.head.raw == (
        b"CONNECT host.example:443 HTTP/1.1\r\nHost: host.example:443\r\n\r\n"
    )
    attempt.says(OK, size)
    inside = attempt.inside
    assert attempt.factory.events == ["start", HostnameAddress(b"host.example", 443)]
    assert inside.events == ["made"]
    assert inside.transport is attempt.proxy.last.wire
    attempt.says(b"hello", size)
    assert inside.data == b"hello"
    attempt.proxy.last.ends(ConnectionLost())
    assert inside.events[-1] is ConnectionLost


@pytest.mark.parametrize("size", [None, 1, 41])
def test_early_bytes_are_delivered_to_the_protocol(size: int | None) -> None:
    """In some protocols the server sends first; a callback of the Deferred runs before the bytes
    are delivered."""
    attempt = Attempt()
    order: list[object] = []
    attempt.deferred.addBoth(lambda _: order.append(list(attempt.inside.events)))
    attempt.says(OK + BANNER, size)
    assert attempt.inside.data == BANNER
    assert order == [["made"]]


def test_a_protocol_cancelled_on_connect_gets_no_early_bytes() -> None:
    """The connection has ended by then."""

    class GivesUp(Inside):
        def connectionMade(self) -> None:
            super().connectionMade()
            attempt.proxy.last.ends()

    attempt = Attempt(make=GivesUp)
    attempt.says(OK + BANNER)
    assert attempt.inside.data == b""
    assert len(attempt.inside.events) == 2


def test_a_half_closeable_protocol_is_half_closed() -> None:
    """The transport looks for the interface on its own protocol, which is the tunnel."""

    @implementer(IHalfCloseableProtocol)
    class Half(Inside):
        def readConnectionLost(self) -> None:
            self.events.append("read lost")

        def writeConnectionLost(self) -> None:
            self.events.append("write lost")

    attempt = Attempt(make=Half)
    attempt.says(OK)
    attempt.proxy.last.protocol.writeConnectionLost()
    attempt.proxy.last.protocol.readConnectionLost()
    assert attempt.inside.events == ["made", "write lost", "read lost"]
    assert attempt.proxy.last.wire.endings == []


def test_a_protocol_without_half_close_ends_with_the_first_half() -> None:
    attempt = Attempt()
    attempt.says(OK)
    attempt.proxy.last.protocol.writeConnectionLost()
    assert attempt.proxy.last.wire.endings == []
    attempt.proxy.last.protocol.readConnectionLost()
    assert attempt.proxy.last.wire.endings == ["lose"]


def test_a_factory_stops_with_its_last_connection() -> None:
    attempt = Attempt(credentials=ME)
    wrapped = attempt.proxy.last.protocol  # what an endpoint has to start and stop is the factory
    assert attempt.factory.events == ["start"]
    assert wrapped is not None
    attempt.says(who(BASIC, closes=True))
    assert attempt.factory.events == ["start", "start"]


def test_a_factory_that_builds_nothing_has_no_connection() -> None:
    attempt = Attempt(make=lambda: None)
    attempt.says(OK)
    assert isinstance(attempt.failed(), NoProtocol)


def test_a_factory_that_raises_has_no_connection() -> None:
    def broken() -> None:
        raise applications.Broken

    attempt = Attempt(make=broken)
    attempt.says(OK)
    assert isinstance(attempt.failed(), applications.Broken)


# Refusals.


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize("status", [302, 403, 404, 407, 500, 502, 503])
def test_any_other_response_is_a_refusal(status: int, size: int | None) -> None:
    """The error has the whole response; a redirect is not followed."""
    attempt = Attempt()
    attempt.says(
        b"HTTP/1.1 %d No\r\nContent-Length: 5\r\nLocation: http://x/\r\n\r\nsorry" % status, size
    )
    refused = attempt.failed()
    assert isinstance(refused, ProxyRefused)
    assert (refused.status, refused.body) == (status, b"sorry")
    assert (b"location", b"http://x/") in refused.headers
    assert attempt.factory.events == ["start"]
    assert len(attempt.proxy.connections) == 1


def test_a_101_is_a_refusal_at_once() -> None:
    """A 101 has no body: the bytes behind it are of a protocol that was not requested."""
    attempt = Attempt()
    attempt.says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxxx")
    refused = attempt.failed()
    assert isinstance(refused, ProxyRefused)
    assert (refused.status, refused.body) == (101, b"")


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_body_of_no_length_ends_with_the_connection(version: bytes) -> None:
    attempt = Attempt()
    attempt.says(version + b" 403 No\r\n\r\nso")
    attempt.says(b"rry")
    assert attempt.results == []
    attempt.proxy.last.protocol.readConnectionLost()
    attempt.proxy.last.ends()
    assert attempt.failed().body == b"sorry"


def test_of_a_large_body_the_beginning_is_kept() -> None:
    attempt = Attempt(limits=Limits(refusal_size=5))
    attempt.says(b"HTTP/1.1 403 No\r\n\r\nsorry, but")
    assert attempt.failed().body == b"sorry"


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH\r\n", b"\x15\x03\x03\x00\x02", OK.replace(b"1.1", b"2.0")]
)
def test_a_response_that_is_not_HTTP_is_an_error(data: bytes) -> None:
    attempt = Attempt()
    attempt.says(data)
    error = attempt.failed()
    assert isinstance(error, ConnectionFailed)
    assert error.stage == "proxy"


def test_a_head_without_an_end_is_refused_at_the_limit() -> None:
    attempt = Attempt(limits=Limits(head_size=1000))
    attempt.says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, 7)
    assert attempt.failed().stage == "proxy"


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("reason", [None, ConnectionLost("reset")])
def test_a_proxy_that_disconnects_has_not_responded(data: bytes, reason: Exception | None) -> None:
    attempt = Attempt(credentials=ME)
    attempt.says(data)
    attempt.proxy.last.ends(reason)
    error = attempt.failed()
    assert isinstance(error, PeerLeft)
    assert (error.stage, error.__cause__) == ("proxy", reason)
    assert len(attempt.proxy.connections) == 1


def test_a_silent_proxy_is_a_timeout() -> None:
    attempt = Attempt(limits=Limits(proxy_timeout=7))
    attempt.says(b"HTTP/1.1 200 OK\r\n")
    attempt.clock.advance(6.9)
    assert attempt.results == []
    attempt.clock.advance(0.2)
    error = attempt.failed()
    assert isinstance(error, ConnectTimeout)
    assert (error.stage, error.seconds) == ("proxy", 7)
    attempt.proxy.last.ends()


def test_a_refusal_with_an_endless_body_is_a_refusal() -> None:
    attempt = Attempt()
    attempt.says(b"HTTP/1.1 403 No\r\nContent-Length: 1000\r\n\r\nsorry")
    attempt.clock.advance(60)
    assert (attempt.failed().status, attempt.failed().body) == (403, b"sorry")


def test_an_unreachable_proxy_fails_with_its_endpoints_error() -> None:
    """The tunnel itself has no part in names, addresses and sockets."""
    attempt = Attempt()
    attempt.proxy.pending = Deferred()
    attempt.connect()
    attempt.proxy.pending.errback(ConnectError())
    attempt.proxy.connections.clear()
    (result,) = attempt.results
    assert isinstance(result.value, ConnectError)


# Proxy authentication.


@pytest.mark.parametrize("size", [None, 1])
def test_a_407_is_answered_on_the_same_connection(size: int | None) -> None:
    attempt = Attempt(credentials=ME)
    assert attempt.proxy.last.authorization() is None
    attempt.says(who(BASIC), size)
    assert attempt.proxy.last.authorization() == b"Basic bWU6czNjcjN0"
    attempt.says(OK + BANNER, size)
    assert attempt.inside.data == BANNER
    assert len(attempt.proxy.connections) == 1


@pytest.mark.parametrize(
    "challenge",
    [
        who(BASIC, closes=True),
        who(BASIC, version=0),
        who(BASIC).replace(b"Content-Length: 4", b"Proxy-Connection: close"),
        who(BASIC).replace(b"Content-Length: 4", b"Content-Length: 999999"),
        who(BASIC) + b"more",
    ],
)
def test_a_407_that_closes_is_answered_on_another_connection(challenge: bytes) -> None:
    """A connection is also replaced if the body of its response does not end in time."""
    attempt = Attempt(credentials=ME)
    attempt.says(challenge)
    if not attempt.proxy.last.aborted and len(attempt.proxy.connections) == 1:
        attempt.proxy.last.ends()
    first, second = attempt.proxy.connections
    assert first.wire.dead or first.aborted
    assert second.authorization() == b"Basic bWU6czNjcjN0"
    attempt.says(OK)
    assert attempt.inside.transport is second.wire


@pytest.mark.parametrize("reason", [None, ConnectionLost()])
def test_a_connection_that_closes_under_the_second_request_is_replaced(
    reason: Exception | None,
) -> None:
    """The proxy announced keep-alive, and may close an idle connection at any time."""
    attempt = Attempt(credentials=ME)
    attempt.says(who(DIGEST % 1))
    first = attempt.proxy.last
    assert count_of(first.authorization()) == 1
    first.ends(reason)
    assert count_of(attempt.proxy.last.authorization()) == 2
    attempt.says(OK)
    assert attempt.inside.transport is attempt.proxy.last.wire


def test_a_second_connection_that_closes_is_not_replaced() -> None:
    """The proxy closes for the content of the request."""
    attempt = Attempt(credentials=ME)
    attempt.says(who(BASIC))
    attempt.proxy.last.ends()
    attempt.proxy.last.ends()
    assert isinstance(attempt.failed(), PeerLeft)
    assert len(attempt.proxy.connections) == 2


def parameters(authorization: bytes | None) -> dict[str, str]:
    """The parameters of a Digest answer."""
    assert authorization is not None
    [answer] = read_challenges([authorization.decode()])
    assert answer.scheme == "digest"
    return answer.parameters


def count_of(authorization: bytes | None) -> int:
    """The count of the nonce in a Digest answer."""
    return int(parameters(authorization)["nc"], 16)


def test_the_strongest_of_several_schemes_is_answered() -> None:
    attempt = Attempt(credentials=ME)
    attempt.says(who(BASIC + b", " + DIGEST % 1 + b", " + DIGEST % 2 + b", algorithm=SHA-256"))
    said = parameters(attempt.proxy.last.authorization())
    assert (said["nonce"], said["algorithm"], len(said["response"])) == ("n2", "SHA-256", 64)


def test_wrong_credentials_are_a_refusal() -> None:
    """The credentials are not tried in a weaker scheme."""
    attempt = Attempt(credentials=ME)
    attempt.says(who(DIGEST % 1))
    attempt.says(who(DIGEST % 2 + b", " + BASIC))
    refused = attempt.failed()
    assert isinstance(refused, ProxyRefused)
    assert (refused.status, refused.body) == (407, b"who?")


@pytest.mark.parametrize("challenge", [b"Negotiate, NTLM", b"", DIGEST % 1 + b", algorithm=X"])
def test_an_unsupported_scheme_is_a_refusal(challenge: bytes) -> None:
    attempt = Attempt(credentials=ME)
    attempt.says(who(challenge))
    assert attempt.failed().status == 407


def test_a_407_without_credentials_is_a_refusal_that_names_the_schemes() -> None:
    attempt = Attempt()
    attempt.says(who(BASIC))
    assert (b"proxy-authenticate", BASIC) in attempt.failed().headers


def test_a_stale_nonce_is_answered_with_the_new_one() -> None:
    attempt = Attempt(credentials=ME)
    attempt.says(who(DIGEST % 1))
    attempt.proxy.last.asked()
    attempt.says(who(DIGEST % 2 + b", stale=true"))
    said = parameters(attempt.proxy.last.authorization())
    assert (said["nonce"], said["nc"]) == ("n2", "00000001")
    attempt.says(OK)
    assert attempt.inside


def test_nonces_that_are_always_stale_are_a_refusal() -> None:
    """Otherwise a proxy could cause requests without end."""
    attempt = Attempt(credentials=ME)
    asked = 0
    while not attempt.results and asked < 20:
        attempt.says(who(DIGEST % asked + b", stale=true"))
        asked += 1
    assert attempt.failed().status == 407
    assert asked < 10


def test_the_next_connection_sends_credentials_at_once() -> None:
    """The connection uses the same nonce and counts it, and answers a new challenge when that
    nonce is stale or unknown."""
    attempt = Attempt(credentials=ME)
    attempt.says(who(DIGEST % 1))
    attempt.says(OK)
    attempt.connect()
    assert count_of(attempt.proxy.last.authorization()) == 2
    attempt.says(OK)
    for again in (b", stale=true", b""):
        attempt.connect()
        attempt.proxy.last.asked()
        attempt.says(who(DIGEST % 7 + again))
        assert count_of(attempt.proxy.last.authorization()) == 1
        attempt.says(OK)
        assert attempt.inside


# Cancelling.


def assert_cancelled(error: object) -> None:
    """Assert that the error is that of Twisted's endpoints, and names the host, not the proxy."""
    assert isinstance(error, ConnectingCancelledError)
    assert error.address == HostnameAddress(b"host.example", 443)


def test_cancelling_a_tunnel_cancels_its_connect() -> None:
    attempt = Attempt()
    cancelled: list[object] = []
    attempt.proxy.pending = Deferred(cancelled.append)
    attempt.connect()
    attempt.deferred.cancel()
    assert cancelled == [attempt.proxy.pending]
    (result,) = attempt.results
    assert_cancelled(result.value)


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200", b"HTTP/1.1 403 No\r\n\r\nso", who(BASIC), who(BASIC) + b"HTTP/1.1 200"],
)
def test_cancelling_a_tunnel_that_waits_ends_its_connection(said: bytes) -> None:
    attempt = Attempt(credentials=ME)
    for part in (said[: len(who(BASIC))], said[len(who(BASIC)) :]):
        if part:
            attempt.says(part)
    attempt.deferred.cancel()
    assert_cancelled(attempt.failed())
    attempt.says(OK)
    attempt.proxy.last.ends()
    assert attempt.factory.events == ["start"]


def test_cancelling_a_finished_tunnel_changes_nothing() -> None:
    attempt = Attempt()
    attempt.says(OK)
    attempt.deferred.cancel()
    attempt.says(b"hello")
    assert attempt.inside.data == b"hello"


def test_a_transport_that_cannot_abort_is_closed() -> None:
    """For example a process on pipes has such a transport."""
    attempt = Attempt()
    wire: Any = attempt.proxy.last.wire

    class Pipes:
        loseConnection = wire.loseConnection

    attempt.proxy.last.protocol.transport = Pipes()
    attempt.deferred.cancel()
    assert wire.endings == ["lose"]


# Arguments.


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("", 443, {}),
        ("a\r\nb", 443, {}),
        ("host", 0, {}),
        ("host", 65536, {}),
        ("host", 443, {"credentials": ("a\n", "b")}),
        ("host", 443, {"headers": ((b"X", b"a\r\nb"),)}),
    ],
)
def test_an_option_that_cannot_be_sent_is_an_error_of_the_constructor(
    host: str, port: int, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"host|port|credentials|header"):
        HTTPConnectEndpoint(ProxyEndpoint(), host, port, **options)


def test_an_IPv6_address_is_requested_in_brackets() -> None:
    proxy = ProxyEndpoint()
    endpoint = HTTPConnectEndpoint(
        proxy, "2001:db8::1", 80, clock=Clock(), headers=((b"User-Agent", b"me"),)
    )
    endpoint.connect(cast("Any", Factory())).addErrback(lambda _: None)
    request = proxy.last.asked()
    assert (request.target, request.fields.only(b"host")) == (
        "[2001:db8::1]:80",
        b"[2001:db8::1]:80",
    )
    assert request.fields.only(b"user-agent") == b"me"


def test_a_refusal_is_one_of_the_packages_errors() -> None:
    attempt = Attempt()
    attempt.says(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(attempt.failed(), HixieError)
    assert "the proxy refused with status 502" in str(attempt.failed())
