"""Tunnels through the real proxies squid and tinyproxy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, quoteStringArgument, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.utils import getProcessOutputAndValue

from support import certificates
from support.certificates import authority
from support.daemon import PATIENCE, free_port
from support.guide_pages import block
from support.network import Network, Place
from support.raw_peer import Raw
from support.reactor_state import readers
from support.real_proxies import NAME, PASSWORD, RealProxy, squid, tinyproxy
from support.waiting import asynchronous, reactor, until, within
from txhixie.dialing.proxy import parse_proxy
from txhixie.dialing.proxy_endpoint import proxyEndpoint, tunnelThrough
from txhixie.dialing.tunnel import HTTPConnectEndpoint
from txhixie.errors import PeerLeft, ProxyRefused, UnknownIssuer
from txhixie.testing import Applications

"""The warning is caused by Twisted's own code for TLS certificates."""


BANNER = b"220 speaks first\r\n"


class Greeter(Raw):
    """A server that sends a banner first, and then echoes all data in capitals."""

    def connectionMade(self) -> None:
        self.send(BANNER)

    def dataReceived(self, data: bytes) -> None:
        self.send(data.upper())


async def greeter(net: Network, over: str = "tcp") -> Place:
    """Listen with a `Greeter`."""
    return await net.listen(Factory.forProtocol(Greeter), over)


async def talks(net: Network, endpoint: Any) -> Raw:
    """Connect, and assert that the server at the other end is a `Greeter`."""
    connecting = endpoint.connect(cast("Any", Factory.forProtocol(Raw)))
    raw: Raw = await within(cast("Deferred[Any]", connecting))
    net.raws.append(raw)
    raw.send(b"hello " * 50000)
    await until(lambda: len(raw.data) >= len(BANNER) + 300000 or raw.reason is not None)
    assert bytes(raw.data) == BANNER + b"HELLO " * 50000
    return raw


def through(proxy: RealProxy, place: Place, url: str | None = None) -> HTTPConnectEndpoint:
    """The endpoint of a tunnel through this proxy to a listening port."""
    url = url or proxy.url_with_credentials
    return tunnelThrough(reactor, url, "127.0.0.1", place.port, trustRoot=authority().trust)


async def refused(endpoint: IStreamClientEndpoint) -> ProxyRefused:
    """Connect, and return the proxy's refusal."""
    with pytest.raises(ProxyRefused) as caught:
        await within(cast("Deferred[Any]", endpoint.connect(cast("Any", Factory.forProtocol(Raw)))))
    return caught.value


KINDS = ("open", "basic", "digest", "both", "hasty")


@pytest.mark.parametrize("kind", KINDS)
@asynchronous
async def test_squid_connects_a_client_with_the_right_credentials(net: Network, kind: str) -> None:
    """The credentials are sent on the same connection, since squid speaks HTTP/1.1. The next
    connection reuses the challenge; with ``hasty`` each nonce is stale by then."""
    place = await greeter(net)
    with squid(kind) as proxy:
        endpoint = through(proxy, place)
        for _ in range(3):
            raw = await talks(net, endpoint)
            raw.transport.loseConnection()
            await raw.ends()


@asynchronous
async def test_credentials_for_tinyproxy_are_sent_on_a_second_connection(net: Network) -> None:
    place = await greeter(net)
    with tinyproxy() as proxy:
        await talks(net, through(proxy, place, f"http://user:pass@127.0.0.1:{proxy.port}"))


@pytest.mark.parametrize("credentials", ["", f"{NAME}:wrong@", "she:pass@"])
@pytest.mark.parametrize(
    "start",
    [lambda: squid("basic"), lambda: squid("digest"), lambda: squid("both"), tinyproxy],
    ids=["basic", "digest", "both", "tinyproxy"],
)
@asynchronous
async def test_a_proxy_refuses_missing_or_wrong_credentials(
    net: Network, start: Callable[[], AbstractContextManager[RealProxy]], credentials: str
) -> None:
    place = await greeter(net)
    with start() as proxy:
        url = f"http://{credentials}127.0.0.1:{proxy.port}"
        no = await refused(through(proxy, place, url))
        assert no.status in ((407,) if "squid" in proxy.program else (407, 401))
        assert {b"proxy-authenticate", b"www-authenticate"} & dict(no.headers).keys()
        assert b"</html>" in no.body.lower()
        assert "wrong" not in str(no)


@asynchronous
async def test_a_proxy_that_forbids_all_targets_answers_403(net: Network) -> None:
    place = await greeter(net)
    with squid("refusing") as proxy:
        assert (await refused(through(proxy, place))).status == 403


@asynchronous
async def test_an_unreachable_target_is_a_5xx_status_of_the_proxy(net: Network) -> None:
    """squid answers 503, tinyproxy 500."""
    nobody = free_port()
    with squid("open") as proxy:
        endpoint = tunnelThrough(reactor, proxy.url, "127.0.0.1", nobody)
        assert (await refused(endpoint)).status == 503
        endpoint = tunnelThrough(reactor, proxy.url, "nobody.invalid", 80)
        assert (await refused(endpoint)).status in (500, 502, 503)
    with tinyproxy(asks=False) as proxy:
        endpoint = tunnelThrough(reactor, proxy.url, "127.0.0.1", nobody)
        assert (await refused(endpoint)).status in (500, 502, 503)


@asynchronous
async def test_an_IPv6_address_is_sent_in_brackets(net: Network) -> None:
    greeters: Any = Factory.forProtocol(Greeter)
    listening = reactor.listenTCP(0, greeters, interface="::1")
    try:
        with squid("open") as proxy:
            port = listening.getHost().port
            raw = await talks(net, tunnelThrough(reactor, proxy.url, "::1", port))
            raw.transport.loseConnection()
            await raw.ends()
    finally:
        await within(listening.stopListening())


@pytest.mark.parametrize("kind", ["open", "basic", "digest"])
@asynchronous
async def test_TLS_to_the_proxy_and_TLS_inside_the_tunnel(net: Network, kind: str) -> None:
    """The second handshake runs inside the first connection. Clear text inside the tunnel works
    too."""
    place, secure = await greeter(net), await greeter(net, "tls")
    with squid(kind, authority().pem_for("localhost")) as proxy:
        await talks(net, through(proxy, place))
        options = optionsForClientTLS("localhost", trustRoot=certificates.certificate())
        await talks(net, wrapClientTLS(options, through(proxy, secure)))


@asynchronous
async def test_a_proxy_with_an_untrusted_certificate_is_an_error(net: Network) -> None:
    """The error is raised before the password is sent."""
    place = await greeter(net)
    with squid("basic", authority().pem_for("localhost")) as proxy:
        endpoint = tunnelThrough(reactor, proxy.url_with_credentials, "127.0.0.1", place.port)
        with pytest.raises(UnknownIssuer):
            await talks(net, endpoint)


@asynchronous
async def test_a_tunnel_leads_through_two_proxies(net: Network) -> None:
    """The first proxy has TLS and requires Digest; the second is reached through the first and
    requires Basic."""
    place = await greeter(net)
    with squid("digest", authority().pem_for("localhost")) as first, tinyproxy() as second:
        given = parse_proxy(first.url_with_credentials)
        reached = proxyEndpoint(reactor, given, trustRoot=authority().trust)
        to_second = HTTPConnectEndpoint(reached, "127.0.0.1", second.port, given.credentials)
        await talks(net, HTTPConnectEndpoint(to_second, "127.0.0.1", place.port, ("user", "pass")))
        assert await refused(HTTPConnectEndpoint(to_second, "127.0.0.1", place.port))


@asynchronous
async def test_an_endpoint_description_makes_a_tunnel(net: Network) -> None:
    """The description of the first proxy is nested, quoted, in that of the second."""
    place = await greeter(net)
    with squid("digest") as first, tinyproxy() as second:
        to_first = (
            f"httpconnect:127.0.0.1:{first.port}:127.0.0.1:{second.port}"
            f":user={NAME}:password={quoteStringArgument(PASSWORD)}"
        )
        to_second = (
            f"httpconnect:proxy=localhost:proxyPort={second.port}:host=127.0.0.1:port={place.port}"
            f":user=user:password=pass:endpoint={quoteStringArgument(to_first)}"
        )
        await talks(net, clientFromString(reactor, to_second))


@asynchronous
async def test_a_server_that_does_not_speak_HTTP_is_no_proxy(net: Network) -> None:
    """The server sends a banner, and would wait without end."""
    place = await greeter(net)
    endpoint = tunnelThrough(reactor, f"http://127.0.0.1:{place.port}", "127.0.0.1", 80)
    with pytest.raises(Exception, match="this is not HTTP") as caught:
        await talks(net, endpoint)
    assert caught.value.stage == "proxy"  # type: ignore[attr-defined]  # the error is one of dialing, which has a stage


@asynchronous
async def test_a_cancelled_connect_leaves_no_reader_and_no_timer(net: Network) -> None:
    """The connect is cancelled at once, or before the proxy has answered."""

    class Thinks(Raw):
        def connectionMade(self) -> None:
            net.raws.append(self)

    place = await net.listen(Factory.forProtocol(Thinks))
    before = set(readers()), set(reactor.getDelayedCalls())
    endpoint = tunnelThrough(reactor, f"http://127.0.0.1:{place.port}", "127.0.0.1", 80)
    for waited in (False, True):
        connecting = endpoint.connect(cast("Any", Factory.forProtocol(Raw)))
        if waited:
            await until(lambda: net.raws and net.raws[-1].data)
        gone: list[Any] = []
        connecting.addErrback(gone.append)
        connecting.cancel()
        await until(lambda: all(raw.reason is not None for raw in net.raws))
        assert len(gone) == 1
    await until(lambda: set(readers()) <= before[0])
    assert {call for call in reactor.getDelayedCalls() if call.active()} <= before[1]


@asynchronous
async def test_a_proxy_that_closes_without_an_answer_is_an_error(net: Network) -> None:
    class HangsUp(Raw):
        def dataReceived(self, data: bytes) -> None:
            self.transport.loseConnection()

    place = await net.listen(Factory.forProtocol(HangsUp))
    endpoint = tunnelThrough(reactor, f"http://127.0.0.1:{place.port}", "127.0.0.1", 80)
    with pytest.raises(PeerLeft) as caught:
        await talks(net, endpoint)
    assert caught.value.stage == "proxy"


# The guide's programs.

PAGE = "docs/howto/proxies.rst"


async def output(tmp_path: Path, name: str, *arguments: str) -> str:
    """The output of a program of the page."""
    program = tmp_path / f"{name}.py"
    program.write_text(block(PAGE, name))
    running = getProcessOutputAndValue(
        sys.executable, [str(program), *arguments], {**os.environ, "PYTHONWARNINGS": ""}
    )
    out, err, status = await within(cast("Deferred[Any]", running), PATIENCE)
    assert (err, status) == (b"", 0)
    return cast("str", out.decode())


@asynchronous
async def test_the_client_of_the_page_connects_through_a_proxy(
    net: Network, tmp_path: Path
) -> None:
    place = await net.serve(Applications())
    url = f"ws://127.0.0.1:{place.port}/"
    with squid("basic") as proxy:
        assert await output(tmp_path, "client", url, proxy.url_with_credentials) == "hello\n"
        said = await output(tmp_path, "client", url, f"http://{NAME}:wrong@127.0.0.1:{proxy.port}")
    assert said == f"127.0.0.1:{proxy.port} says 407\n"


@asynchronous
async def test_the_endpoint_description_of_the_page_works(net: Network, tmp_path: Path) -> None:
    place = await greeter(net)
    command, _, banner = block(PAGE, "description").partition("\n")
    _, python, program, description = command.split(" ")
    assert (python, program) == ("python", "banner.py")
    assert banner.startswith("SSH-2.0-")
    for shown, real in (
        ("host.example:22", f"127.0.0.1:{place.port}"),
        ("name:", f"{NAME}:"),
        ("secret", quoteStringArgument(PASSWORD)),
    ):
        assert shown in description
        description = description.replace(shown, real)
    with squid("digest") as proxy:
        description = description.replace("proxy.example:3128", f"127.0.0.1:{proxy.port}")
        assert await output(tmp_path, "banner", description) == BANNER.decode().rstrip() + "\n"
