"""The request of a gateway to its backend: Host, fixed fields, path, and UNIX sockets."""

from __future__ import annotations

import pytest

from support.applications import Applications, echo
from support.certificates import certificate
from support.dialect_names import NAMES
from support.gateway_setup import gateway, hears, met
from support.log_recorder import Log
from support.network import Network
from support.waiting import asynchronous, reactor
from txhixie import HandshakeRefused, Offer
from txhixie.daemon.route_option import read_description
from txhixie.daemon.routes import Route
from txhixie.daemon.services.gateway import GATEWAY_OPTIONS, build_gateway
from txhixie.daemon.services.service import Context
from txhixie.gateway import GatewayService


def built(word: str) -> GatewayService:
    """The gateway of a route as the operator writes it."""
    description = read_description(word)
    options = description.options(GATEWAY_OPTIONS)
    return build_gateway(reactor, description.service, options, Context(description.route))


@pytest.mark.parametrize("back", NAMES)
@asynchronous
async def test_the_backend_gets_the_host_of_the_client(net: Network, back: str) -> None:
    """A Hixie backend repeats the host in its response, which the gateway compares."""
    applications = Applications(echo)
    place, behind = await gateway(net, applications, back, backendHost="keep")
    application = await met(net, place, "hixie-76")
    assert applications.asked[0].host == f"localhost:{place.port}"
    assert place.port != behind.port
    application.transport.sendTextMessage("hello")
    assert await hears(application, 1) == ["hello"]


@asynchronous
async def test_a_backend_that_compares_origin_with_host_takes_a_browser_with_the_host_kept(
    net: Network,
) -> None:
    """Without the option, as the guide says, such a backend refuses every page."""
    for host, accepts in ((None, False), ("keep", True)):
        back = await net.serve(Applications(echo))
        service = GatewayService(reactor, back.url(""), backendHost=host)
        place = await net.serve(service, origins=["*"])
        page = f"http://localhost:{place.port}"
        if accepts:
            await met(net, place, origin=page)
        else:
            with pytest.raises(HandshakeRefused, match="403"):
                await met(net, place, origin=page)


@asynchronous
async def test_a_fixed_host_does_not_change_the_name_that_tls_verifies(net: Network) -> None:
    """The certificate is for localhost."""
    applications = Applications(echo)
    place, _ = await gateway(
        net, applications, over="tls", trustRoot=certificate(), backendHost="app.example:8443"
    )
    await met(net, place)
    assert applications.asked[0].host == "app.example:8443"


@asynchronous
async def test_fixed_fields_replace_those_of_the_client(net: Network) -> None:
    """Also of a field that the gateway passes on by default; two fields may have one name."""
    applications = Applications(echo)
    fixed = [("User-Agent", "gate"), ("X-Site", "a, b"), ("x-site", "c"), ("X-Mine", "us")]
    place, _ = await gateway(net, applications, headers=fixed, passHeaders=["X-Mine"])
    sent = ((b"User-Agent", b"old"), (b"X-Mine", b"them"), (b"X-Site", b"them"))
    await met(net, place, headers=sent)
    offer: Offer = applications.asked[0]
    assert offer.header("user-agent") == "gate"
    assert offer.header("x-site") == "a, b, c"
    assert offer.header("x-mine") == "us"


@pytest.mark.parametrize(
    ("asked", "reached"),
    [("/app/room?a=1", "/room?a=1"), ("/app", "/"), ("/%61pp/x%20y", "/x%20y"), ("/app/", "/")],
)
@asynchronous
async def test_the_prefix_is_stripped_and_told_to_the_backend(
    net: Network, asked: str, reached: str
) -> None:
    """A client cannot tell the backend another prefix."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications, stripPrefix="/app/")
    await met(net, place, path=asked, headers=((b"X-Forwarded-Prefix", b"/evil"),))
    offer: Offer = applications.asked[0]
    assert offer.target == reached
    assert offer.header("x-forwarded-prefix") == "/app"


@pytest.mark.parametrize(("path", "reached"), [("", "/demo?a=1"), (":/own", "/own?a=1")])
@asynchronous
async def test_a_backend_at_a_unix_socket_is_relayed(net: Network, path: str, reached: str) -> None:
    """Such a backend gets the host localhost, as from nginx."""
    applications = Applications(echo)
    back = await net.serve(applications, "unix")
    place = await net.serve(GatewayService(reactor, f"ws://unix:{back.path}{path}"), origins=["*"])
    application = await met(net, place, path="/demo?a=1")
    application.transport.sendTextMessage("hello")
    assert await hears(application, 1) == ["hello"]
    assert (applications.asked[0].host, applications.asked[0].target) == ("localhost", reached)


@asynchronous
async def test_a_unix_socket_without_a_backend_is_a_502_with_the_path_in_the_log(
    net: Network, log: Log
) -> None:
    socket = f"{net.directory}/none"
    place = await net.serve(GatewayService(reactor, f"ws://unix:{socket}"), origins=["*"])
    with pytest.raises(HandshakeRefused, match="502"):
        await met(net, place)
    (line,) = [line for line in log.lines() if line.startswith("backend-down ")]
    assert line == (
        f'backend-down backend=ws://unix:{socket} reason="no connection to UNIX socket {socket}: '
        'No such file or directory"'
    )


@asynchronous
async def test_the_daemon_s_options_do_the_same(net: Network) -> None:
    """The options of a route as the operator writes it."""
    applications = Applications(echo)
    back = await net.serve(applications, origins=["*"])
    service = built(
        f"/app=ws://127.0.0.1:{back.port} strip-prefix=true backend-host=keep "
        "header=X-Site: a b header=Authorization: Bearer secret"
    )
    place = await net.serve(service, origins=["*"])
    await met(net, place, path="/app/x")
    offer: Offer = applications.asked[0]
    assert (offer.target, offer.host) == ("/x", f"localhost:{place.port}")
    assert (offer.header("x-site"), offer.header("authorization")) == ("a b", "Bearer secret")
    assert offer.header("x-forwarded-prefix") == "/app"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("strip-prefix=true", "stripPrefix: expected a URL without a path"),
        ("header=Host: x", "header Host: .*: expected the option backend-host for the field Host"),
        ("header=Cookie: x", "expected a header field that the gateway does not write: Cookie"),
        ("header=Sec-WebSocket-Key: x", "does not write: Sec-WebSocket-Key"),
        ("header=X-Forwarded-For: x", "does not write: X-Forwarded-For"),
        ("header=nonsense", "expected 'NAME: VALUE'"),
        ("backend-host=a/b", "expected keep, HOST or HOST:PORT"),
    ],
)
def test_a_mistake_is_an_error_at_start(options: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        built(f"/app=ws://host/path {options}")


@pytest.mark.parametrize("value", ["Authorization: Bearer secret", "secret"])
def test_the_value_of_a_field_is_in_no_error_and_no_report(value: str) -> None:
    """A fixed field may be the password of the backend."""
    word = f"/app=ws://host header={value} header=X-B: secret dialect=rfc6455"
    for made in (
        read_description(word),
        read_description({"path": "/", "service": "ws://host", "header": [value, "X-B: secret"]}),
    ):
        assert "secret" not in str(made)
        assert str(made).count("***") == 2
        assert made.route == Route(None, made.route.path)
    with pytest.raises(ValueError, match=r"header .*'NAME: VALUE'") as caught:
        built(f"/app=ws://host header=Bad Name: {value}")
    assert "secret" not in str(caught.value)


def test_a_password_in_the_url_and_an_authorization_field_are_an_error() -> None:
    with pytest.raises(ValueError, match="Authorization"):
        built("/=ws://us:pw@host header=Authorization: x")
