"""Tunnels through squid and tinyproxy, which none of us wrote."""

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
from support.real_proxies import NAME, PASSWORD, RealProxy, squid, tinyproxy
from support.waiting import asynchronous, reactor, until, within
from txhixie.dialing.proxy import parse_proxy
from txhixie.dialing.proxy_endpoint import proxyEndpoint, tunnelThrough
from txhixie.dialing.tunnel import HTTPConnectEndpoint
from txhixie.errors import PeerLeft, ProxyRefused, UnknownIssuer
from txhixie.testing import Applications

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
"""Twisted's own way of saying who a server is."""


BANNER = b"220 speaks first\r\n"


class Greeter(Raw):
    """Speaks first, and then repeats what it hears in capitals."""

    def connectionMade(self) -> None:
        self.send(BANNER)

    def dataReceived(self, data: bytes) -> None:
        self.send(data.upper())


async def greeter(net: Network, over: str = "tcp") -> Place:
    """Where one listens."""
    return await net.listen(Factory.forProtocol(Greeter), over)


async def talks(net: Network, endpoint: Any) -> Raw:
    """Whoever is at the other end is the greeter."""
    connecting = endpoint.connect(cast("Any", Factory.forProtocol(Raw)))
    raw: Raw = await within(cast("Deferred[Any]", connecting))
    net.raws.append(raw)
    raw.send(b"hello " * 50000)
    await until(lambda: len(raw.data) >= len(BANNER) + 300000 or raw.reason is not None)
    assert bytes(raw.data) == BANNER + b"HELLO " * 50000
    return raw


def through(proxy: RealProxy, place: Place, url: str | None = None) -> HTTPConnectEndpoint:
    """A tunnel to somebody who listens here."""
    url = url or proxy.url_with_credentials
    return tunnelThrough(reactor, url, "127.0.0.1", place.port, trustRoot=authority().trust)


async def refused(endpoint: IStreamClientEndpoint) -> ProxyRefused:
    """The proxy says no, in well-formed HTTP."""
    with pytest.raises(ProxyRefused) as caught:
        await within(cast("Deferred[Any]", endpoint.connect(cast("Any", Factory.forProtocol(Raw)))))
    return caught.value


KINDS = ("open", "basic", "digest", "both", "hasty")


@pytest.mark.parametrize("kind", KINDS)
@asynchronous
async def test_squid_lets_through_who_says_the_right_thing(net: Network, kind: str) -> None:
    """On the same connection, since it speaks HTTP/1.1; and again on the next one, with what it
    was told before: of ``hasty``, each nonce is stale by then."""
    place = await greeter(net)
    with squid(kind) as proxy:
        endpoint = through(proxy, place)
        for _ in range(3):
            raw = await talks(net, endpoint)
            raw.transport.loseConnection()
            await raw.ends()


@asynchronous
async def test_tinyproxy_is_answered_on_another_connection(net: Network) -> None:
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
async def test_who_is_not_known_is_refused(
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
async def test_a_proxy_that_lets_nobody_through_says_so(net: Network) -> None:
    place = await greeter(net)
    with squid("refusing") as proxy:
        assert (await refused(through(proxy, place))).status == 403


@asynchronous
async def test_who_is_not_there_is_a_gateways_error(net: Network) -> None:
    """The proxy's own: 503 says squid, 500 tinyproxy."""
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
async def test_an_IPv6_address_goes_in_brackets(net: Network) -> None:
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
async def test_TLS_to_the_proxy_and_TLS_inside_it(net: Network, kind: str) -> None:
    """Two handshakes, one in the other; and clear text within the outer one."""
    place, secure = await greeter(net), await greeter(net, "tls")
    with squid(kind, authority().pem_for("localhost")) as proxy:
        await talks(net, through(proxy, place))
        options = optionsForClientTLS("localhost", trustRoot=certificates.certificate())
        await talks(net, wrapClientTLS(options, through(proxy, secure)))


@asynchronous
async def test_a_proxy_with_a_certificate_of_its_own_making_is_not_believed(net: Network) -> None:
    """Before it has heard a password."""
    place = await greeter(net)
    with squid("basic", authority().pem_for("localhost")) as proxy:
        endpoint = tunnelThrough(reactor, proxy.url_with_credentials, "127.0.0.1", place.port)
        with pytest.raises(UnknownIssuer):
            await talks(net, endpoint)


@asynchronous
async def test_proxies_make_a_chain(net: Network) -> None:
    """By TLS to the first, which asks by Digest, and through it to the second, which asks by
    Basic."""
    place = await greeter(net)
    with squid("digest", authority().pem_for("localhost")) as first, tinyproxy() as second:
        given = parse_proxy(first.url_with_credentials)
        reached = proxyEndpoint(reactor, given, trustRoot=authority().trust)
        to_second = HTTPConnectEndpoint(reached, "127.0.0.1", second.port, given.credentials)
        await talks(net, HTTPConnectEndpoint(to_second, "127.0.0.1", place.port, ("user", "pass")))
        assert await refused(HTTPConnectEndpoint(to_second, "127.0.0.1", place.port))


@asynchronous
async def test_a_description_is_enough(net: Network) -> None:
    """For any program of Twisted's that takes one; and to be nested, quoted."""
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
async def test_what_speaks_something_else_is_no_proxy(net: Network) -> None:
    """It greets us, and would wait for ever."""
    place = await greeter(net)
    endpoint = tunnelThrough(reactor, f"http://127.0.0.1:{place.port}", "127.0.0.1", 80)
    with pytest.raises(Exception, match="this is not HTTP") as caught:
        await talks(net, endpoint)
    assert caught.value.stage == "proxy"  # type: ignore[attr-defined]


@asynchronous
async def test_who_gives_up_leaves_nothing_behind(net: Network) -> None:
    """Neither at once, nor while the proxy thinks."""

    class Thinks(Raw):
        def connectionMade(self) -> None:
            net.raws.append(self)

    place = await net.listen(Factory.forProtocol(Thinks))
    before = set(reactor.getReaders()), set(reactor.getDelayedCalls())
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
    await until(lambda: set(reactor.getReaders()) <= before[0])
    assert {call for call in reactor.getDelayedCalls() if call.active()} <= before[1]


@asynchronous
async def test_a_proxy_that_hangs_up_has_not_answered(net: Network) -> None:
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
    """What a program of the page prints."""
    program = tmp_path / f"{name}.py"
    program.write_text(block(PAGE, name))
    running = getProcessOutputAndValue(
        sys.executable, [str(program), *arguments], {**os.environ, "PYTHONWARNINGS": ""}
    )
    out, err, status = await within(cast("Deferred[Any]", running), PATIENCE)
    assert (err, status) == (b"", 0)
    return cast("str", out.decode())


@asynchronous
async def test_the_pages_client_goes_through(net: Network, tmp_path: Path) -> None:
    place = await net.serve(Applications())
    url = f"ws://127.0.0.1:{place.port}/"
    with squid("basic") as proxy:
        assert await output(tmp_path, "client", url, proxy.url_with_credentials) == "hello\n"
        said = await output(tmp_path, "client", url, f"http://{NAME}:wrong@127.0.0.1:{proxy.port}")
    assert said == f"127.0.0.1:{proxy.port} says 407\n"


@asynchronous
async def test_the_pages_description_is_read(net: Network, tmp_path: Path) -> None:
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
