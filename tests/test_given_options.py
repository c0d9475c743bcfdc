"""Options of every public name: a value of a wrong type is a TypeError where the value is passed.

The error says what to write. A value of the right type may have any shape that means the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.web.resource import Resource

import txhixie
from support.log_recorder import Log
from txhixie import (
    Accepted,
    Backoff,
    HixieClientFactory,
    HixieServerFactory,
    HTTPConnectEndpoint,
    Limits,
    NotOpen,
    Offer,
    Refusal,
    StreamApplications,
    WebSocket,
    WebSocketClientEndpoint,
    WebSocketClientService,
    connect,
    serve,
    websocket,
)
from txhixie.byte_streams.endpoint import StreamServerEndpoint
from txhixie.extensions import DeflateFrame
from txhixie.gateway import GatewayService
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.http.head import header_pairs
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.access import Policy
from txhixie.testing import Applications, Pair, Recorder
from txhixie.web import HixieResource

URL: Final = "ws://example.com/"
Made = Callable[..., Any]


async def talk(channel: Any) -> None:
    """A conversation."""


SERVERS: Final[dict[str, Made]] = {
    "HixieServerFactory": lambda **options: HixieServerFactory(Applications(), **options),
    "HixieResource": lambda **options: HixieResource(Applications(), **options),
    "websocket.WebSocketResource": lambda **options: websocket.WebSocketResource(
        Applications(),
        **options,
    ),
    "StreamServerEndpoint": lambda **options: StreamServerEndpoint(
        TCP4ServerEndpoint(MemoryReactorClock(), 0), **options
    ),
}
CLIENTS: Final[dict[str, Made]] = {
    "HixieClientFactory": lambda url=URL, **options: HixieClientFactory(
        url, Applications(Recorder), **options
    ),
    "WebSocketClientEndpoint": lambda url=URL, **options: WebSocketClientEndpoint(
        cast("Any", _Endpoint()), url, **options
    ),
    "WebSocketClientEndpoint.new": lambda url=URL, **options: WebSocketClientEndpoint.new(
        MemoryReactorClock(), url, **options
    ),
    "connect": lambda url=URL, **options: connect(url, reactor=MemoryReactorClock(), **options),
    "WebSocketClientService.new": lambda url=URL, **options: WebSocketClientService.new(
        MemoryReactorClock(), url, Applications(Recorder), **options
    ),
    "Pair.new": lambda url=URL, **options: Pair.new(Applications(Recorder), url=url, **options),
}
ALL: Final = SERVERS | CLIENTS
every_server = pytest.mark.parametrize("make", SERVERS.values(), ids=SERVERS.keys())
every_client = pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS.keys())


class _Endpoint:
    """An endpoint that never connects."""

    def connect(self, factory: Any) -> Deferred[Any]:
        """Return a Deferred that never fires."""
        return Deferred()


def refuses(call: Callable[[], object], said: str) -> None:
    """Check that a call raises a TypeError with this text."""
    with pytest.raises(TypeError) as caught:
        call()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# One string where a list of strings is needed.


@every_server
@pytest.mark.parametrize(
    ("option", "wrong", "example"),
    [
        ("dialects", "rfc6455", '["rfc6455"]'),
        ("origins", "https://x", '["https://example.com"]'),
        ("hosts", "x", '["example.com"]'),
        ("subprotocols", "chat", '["chat"]'),
        ("trustForwarded", "127.0.0.1", '["127.0.0.1"]'),
        ("extensions", "permessage-deflate", "[PermessageDeflate()]"),
    ],
)
def test_a_server_takes_no_string_for_a_list(
    make: Made, option: str, wrong: str, example: str
) -> None:
    """Read as a list, a string would be its characters, so that no client would match."""
    refuses(lambda: make(**{option: wrong}), f"{option}: expected a list, not str; write ")
    refuses(lambda: make(**{option: wrong}), f"write {option}={example}")
    refuses(lambda: make(**{option: wrong.encode()}), f"{option}: expected a list, not bytes")
    refuses(lambda: make(**{option: 5}), f"{option}: expected a list, not int")
    refuses(lambda: make(**{option: Path("/")}), f"{option}: expected a list, not PosixPath")
    refuses(lambda: make(**{option: [wrong.encode()]}), f"{option}")
    refuses(lambda: make(**{option: [None]}), f"{option}")


@every_client
def test_a_client_takes_no_string_for_a_list(make: Made) -> None:
    pairs = "serverExtensions" if make is CLIENTS["Pair.new"] else "extensions"
    for wrong, kind in (("chat", "str"), (b"chat", "bytes"), (5, "int"), (None, "None")):
        refuses(
            lambda wrong=wrong: make(subprotocols=wrong),  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
            f'subprotocols: expected a list, not {kind}; write subprotocols=["chat"]',
        )
        refuses(lambda wrong=wrong: make(**{pairs: wrong}), "extensions: expected a list, not")  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
    refuses(lambda: make(subprotocols=["a", b"b"]), "subprotocols[1]: expected str, not bytes")
    refuses(lambda: make(**{pairs: [PermessageDeflate]}), "not the class PermessageDeflate")
    refuses(lambda: make(**{pairs: ["permessage-deflate"]}), "objects such as PermessageDeflate()")


def test_policies_streams_and_pages_take_no_string_for_a_list() -> None:
    refuses(lambda: Policy("https://x"), 'write origins=["https://example.com"]')
    refuses(lambda: Policy(None, "x"), 'write hosts=["example.com"]')
    refuses(lambda: TrustedNetworks("127.0.0.1"), 'write networks=["127.0.0.1"]')
    refuses(lambda: TrustedNetworks([5]), "networks[0]: expected str, not int")  # type: ignore[list-item]  # the test passes a wrong type
    refuses(lambda: serve(talk, subprotocols="chat"), 'write subprotocols=["chat"]')
    refuses(
        lambda: WebSocket(URL, b"chat", reactor=Clock()),  # type: ignore[arg-type]  # the test passes a wrong type
        'protocols: expected a list, not bytes; write protocols=["chat"]',
    )
    assert WebSocket(URL, "chat", reactor=MemoryReactorClock()).url == URL  # as pages have it
    refuses(
        lambda: StreamApplications(Factory(), subprotocols="chat"),
        'subprotocols: expected a list, not str; write subprotocols=["chat"]',
    )


@pytest.mark.parametrize("wrong", ["ab", "name:password", b"ab", ("name",), (b"name", b"password")])
def test_credentials_are_two_strings(wrong: Any) -> None:
    """A string of two characters would be unpacked to a name and a password."""
    refuses(
        lambda: HTTPConnectEndpoint(_Endpoint(), "h", 1, wrong),  # type: ignore[arg-type]  # the test passes a wrong type
        "credentials",
    )


# What can be iterated once.


@every_client
def test_a_client_takes_generators(make: Made) -> None:
    """A request is checked before it is sent, and a client that reconnects sends it again."""
    made = make(
        subprotocols=(name for name in ("chat", "other")),
        headers=(pair for pair in (("Cookie", "a=b"),)),
    )
    if isinstance(made, Pair):
        assert made.client.protocol.offer.subprotocols == ("chat", "other")


def test_every_attempt_offers_all_that_a_generator_yielded() -> None:
    asked: list[Offer] = []

    class Refusing:
        def connect(self, factory: HixieClientFactory) -> Deferred[Any]:
            asked.append(factory.offer)
            return Deferred()

    endpoint = WebSocketClientEndpoint(
        Refusing(),  # type: ignore[arg-type]  # connect is enough for this test
        URL,
        subprotocols=(name for name in ("chat",)),
        headers=iter([("Cookie", "a=b")]),
        extensions=iter([PermessageDeflate()]),
    )
    for _ in range(2):
        endpoint.connectApplication(Recorder())
    for offer in asked:
        assert offer.subprotocols == ("chat",)
        assert offer.header("Cookie") == "a=b"
        assert [name for name, _ in offer.extensions] == ["permessage-deflate"]
    assert len(asked) == 2


def test_every_client_is_answered_with_all_that_a_generator_yielded() -> None:
    factory = HixieServerFactory(Applications(), subprotocols=(name for name in ("chat",)))
    offer = Offer("rfc6455", "/", "example.com", subprotocols=("chat",))
    assert [factory.chooseSubprotocol(offer) for _ in range(3)] == ["chat"] * 3
    applications = serve(talk, subprotocols=(name for name in ("chat",)))
    assert [applications.buildProtocol(offer).subprotocol for _ in range(3)] == ["chat"] * 3


@pytest.mark.parametrize("name", ["websocket.WebSocketResource", "StreamServerEndpoint"])
def test_a_server_that_is_made_twice_keeps_all_that_a_generator_yielded(name: str) -> None:
    """The server is made once to check the options, and once to serve."""
    made = SERVERS[name](hosts=(host for host in ("example.com",)))
    options = made._options  # private: what is kept for each listen()
    assert options["hosts"] == ("example.com",)


# Headers.


@pytest.mark.parametrize(
    "given",
    [
        ((b"Cookie", b"a=b"), (b"X-A", b"")),
        [("Cookie", "a=b"), ("X-A", "")],
        [["Cookie", b"a=b"], (b"X-A", "")],
        {"Cookie": "a=b", "X-A": ""},
        {b"Cookie": b"a=b", b"X-A": b""},
    ],
)
def test_headers_may_be_pairs_or_a_mapping_of_str_or_bytes(given: Any) -> None:
    """In a client's request, a server's response, a refusal, and a request to a proxy."""
    expected = ((b"Cookie", b"a=b"), (b"X-A", b""))
    assert header_pairs(given) == expected
    assert Accepted(Recorder(), None, given).headers == expected
    assert Refusal(403, headers=given).headers == expected
    servers = Applications(Recorder)
    Pair.new(servers, headers=given)
    assert servers.asked[0].header("cookie") == "a=b"
    assert servers.asked[0].header("x-a") == ""
    client = Recorder()
    Pair.new(_Answers(lambda offer: Accepted(Recorder(), None, given)), client)
    assert set(expected) <= {
        (name.title(), value)
        for name, value in client.transport.agreement.headers  # type: ignore[union-attr]  # the conversation is open, so the agreement is not None
    }
    HTTPConnectEndpoint(_Endpoint(), "h", 1, headers=given)  # type: ignore[arg-type]  # the endpoint is never used


class _Answers:
    """Applications that answer an offer with a given value."""

    def __init__(self, answer: Callable[[Offer], Any]) -> None:
        self.buildProtocol = answer


WRONG_HEADERS: Final[list[tuple[Any, str]]] = [
    ("Cookie: a=b", "headers: expected pairs, as in headers=[("),
    (b"Cookie: a=b", "or a mapping, not bytes"),
    (5, "or a mapping, not int"),
    (None, "or a mapping, not NoneType"),
    (["Cookie: a=b"], "found str instead of a pair"),
    ([("Cookie",)], "found tuple instead of a pair"),
    ([("Cookie", "a", "b")], "found tuple instead of a pair"),
    (["ab"], "found str instead of a pair"),
    ({"Cookie": ["a=b"]}, "of str or bytes, not list"),
    ([("Cookie", None)], "of str or bytes, not NoneType"),
    ([(5, "a")], "of str or bytes, not int"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG_HEADERS)
def test_other_shapes_of_headers_are_a_TypeError_with_an_example(wrong: Any, said: str) -> None:
    for make in CLIENTS.values():
        refuses(lambda make=make: make(headers=wrong), said)  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
    refuses(lambda: Accepted(Recorder(), None, wrong), said)
    refuses(lambda: Refusal(403, headers=wrong), said)
    refuses(
        lambda: HTTPConnectEndpoint(_Endpoint(), "h", 1, headers=wrong),  # type: ignore[arg-type]  # the test passes a wrong type
        said,
    )


@pytest.mark.parametrize(
    "wrong", [{"X-A": "a\r\nb"}, {"X A": "b"}, {"": "b"}, {"X-A": "\u20ac"}, {"X-\u00e9": "a"}]
)
def test_invalid_headers_are_an_error_where_they_are_passed(wrong: Any) -> None:
    for call in (
        lambda: HixieClientFactory(URL, Applications(Recorder), headers=wrong),
        lambda: Accepted(Recorder(), None, wrong),
        lambda: Refusal(403, headers=wrong),
    ):
        with pytest.raises(ValueError, match="header"):
            call()


@pytest.mark.parametrize(
    "fresh", [{"Authorization": "Bearer x"}, succeed([("Authorization", "Bearer x")])]
)
def test_fresh_headers_may_have_any_of_these_shapes(fresh: Any) -> None:
    seen: list[Any] = []

    class Connector:
        def __init__(self, headers: Any) -> None:
            seen.append(headers)

        def connectApplication(self, application: Any) -> Deferred[Any]:
            return Deferred()

    service = WebSocketClientService(
        Connector, URL, Applications(Recorder), clock=Clock(), freshHeaders=lambda: fresh
    )
    service.startService()
    service.stopService()
    assert seen == [((b"Authorization", b"Bearer x"),)]


# Everything else.


@every_client
@pytest.mark.parametrize("wrong", [b"ws://example.com/", None, 5, Path("/"), ["ws://example.com/"]])
def test_a_url_is_a_string(make: Made, wrong: Any) -> None:
    refuses(lambda: make(url=wrong), "url: expected str, not ")


def test_a_pages_url_is_a_string() -> None:
    refuses(
        lambda: WebSocket(b"ws://example.com/", reactor=Clock()),  # type: ignore[arg-type]  # the test passes a wrong type
        "url: expected str, not bytes",
    )


@every_client
@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("dialect", b"rfc6455"),
        ("dialect", None),
        ("dialect", ["rfc6455"]),
        ("origin", b"https://example.com"),
        ("origin", ["https://example.com"]),
    ],
)
def test_a_dialect_and_an_origin_are_strings(make: Made, option: str, wrong: Any) -> None:
    refuses(lambda: make(**{option: wrong}), f"{option}: expected str, not ")


@pytest.mark.parametrize("wrong", [{"message_size": 5}, 5, None, Limits])
@pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
def test_limits_are_limits(make: Made, wrong: Any) -> None:
    refuses(lambda: make(limits=wrong), "limits: expected Limits, not ")


def test_limits_of_a_secure_url_are_looked_at_before_they_are_used() -> None:
    refuses(lambda: CLIENTS["connect"](url="wss://example.com/", limits=5), "limits: expected")


@pytest.mark.parametrize(
    ("option", "wrong", "expected"),
    [
        ("message_size", "1", "int, not str"),
        ("message_size", None, "int, not None"),
        ("message_size", 1e6, "int, not float"),
        ("open_timeout", None, "a number, not None"),
        ("ping_timeout", None, "a number, not None"),
        ("ping_interval", "20", "a number, not str"),
        ("close_timeout", True, "a number, not bool"),
    ],
)
def test_a_limit_is_a_number(option: str, wrong: Any, expected: str) -> None:
    refuses(lambda: Limits(**{option: wrong}), f"{option}: expected {expected}")


@pytest.mark.parametrize("wrong", [b"http://proxy:3128", 5, ["http://proxy:3128"], ("proxy", 3128)])
def test_a_proxy_is_a_url_or_a_proxy(wrong: Any) -> None:
    for name in ("WebSocketClientEndpoint.new", "connect", "WebSocketClientService.new"):
        refuses(lambda name=name: CLIENTS[name](proxy=wrong), "proxy: expected str, not ")  # type: ignore[misc]  # mypy does not infer the type of a lambda's default


def test_a_host_and_a_port_for_a_proxy_have_their_types() -> None:
    endpoint: Any = _Endpoint()
    refuses(lambda: HTTPConnectEndpoint(endpoint, b"h", 1), "host: expected str, not bytes")  # type: ignore[arg-type]  # the test passes a wrong type
    refuses(lambda: HTTPConnectEndpoint(endpoint, "h", "1"), "port: expected int, not str")  # type: ignore[arg-type]  # the test passes a wrong type


@pytest.mark.parametrize("wrong", ["403", None, 403.0])
def test_the_status_of_a_refusal_is_a_number(wrong: Any) -> None:
    refuses(lambda: Refusal(wrong), "status: expected int, not ")


@pytest.mark.parametrize("wrong", [None, 5, ["no"], bytearray(b"no")])
def test_the_body_of_a_refusal_is_text_or_bytes(wrong: Any) -> None:
    refuses(lambda: Refusal(403, wrong), "body: expected str, not ")


def test_the_function_that_chooses_a_subprotocol_is_no_coroutine_function() -> None:
    """A coroutine function returns a coroutine, which is no subprotocol and would not be
    awaited."""

    async def choose(offer: Offer) -> str:
        return "chat"

    refuses(
        lambda: HixieServerFactory(Applications(), subprotocols=choose),  # type: ignore[arg-type]  # the test passes a wrong type
        "subprotocols: expected a function, not a coroutine function",
    )
    refuses(lambda: serve(talk, subprotocols=choose), "not a coroutine function")  # type: ignore[arg-type]  # the test passes a wrong type


class Builder:
    """A factory of applications."""

    def buildProtocol(self, offer: Offer) -> Recorder:
        """One more."""
        return Recorder()


class Static:
    """Applications without state: the class is the object."""

    @staticmethod
    def buildProtocol(offer: Offer) -> Recorder:
        """One more."""
        return Recorder()


def test_applications_are_an_object_and_not_its_class() -> None:
    refuses(
        lambda: HixieServerFactory(Builder),  # type: ignore[arg-type]  # the test passes a wrong type
        "applications: expected an object, not the class Builder; write Builder()",
    )
    Pair.new(Static)


def test_elsewhere_is_a_factory_and_no_resource() -> None:
    """A resource is an error where it is passed, not at the first request for a page."""
    resource: Any = Resource()
    refuses(
        lambda: HixieServerFactory(Builder(), elsewhere=resource),
        "elsewhere: expected an object with buildProtocol",
    )
    refuses(
        lambda: HixieServerFactory(Builder(), elsewhere=resource),
        "pass a resource to Site(resource)",
    )


# Unusable applications of a client.


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda url: None, "Unusable: buildProtocol returned NoneType, not an application"),
        (lambda url: Recorder, "buildProtocol returned the class Recorder"),
        (lambda url: Protocol(), "a protocol of bytes; pass its factory to"),
        (lambda url: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_connect_fails_with_the_error_about_the_application(
    answer: Callable[[str], Any], said: str, log: Log
) -> None:
    """Not only with an aborted connection. The log has the traceback."""
    clock = Clock()
    factory = HixieClientFactory(URL, _Answers(answer), clock=clock)  # type: ignore[arg-type]  # the test passes a wrong type
    factory.begins = False
    joined = Pair(HixieServerFactory(Applications(), clock=clock), factory, clock)
    waiting = joined.client.protocol.whenOpen()
    joined.client.protocol.begin()
    joined.pump()
    failures: list[Any] = []
    waiting.addErrback(failures.append)
    [failure] = failures
    assert isinstance(failure.value, NotOpen)
    assert said in str(failure.value)
    assert failure.value.__cause__ is not None
    assert len(log.tracebacks()) == 1


# Headers of the handshake itself, and certificates.


@pytest.mark.parametrize(
    "name",
    [
        *("Upgrade", "connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions"),
        *("WebSocket-Location", "Content-Length", "Transfer-Encoding"),
    ],
)
def test_an_accepted_response_repeats_no_header_of_the_handshake(name: str) -> None:
    """A client that reads the wrong field of two ends the connection."""
    with pytest.raises(ValueError, match=f"^headers: {name} is set by the handshake; leave it out"):
        Accepted(Recorder(), headers={name: "x"})


def test_a_subprotocol_among_the_headers_is_an_error_that_names_the_option() -> None:
    with pytest.raises(ValueError, match=r"; write subprotocol=$"):
        Accepted(Recorder(), headers={"Sec-WebSocket-Protocol": "chat"})


def test_a_path_is_no_certificate() -> None:
    """The error comes where the option is passed, not when a connection is made."""
    new = cast("Made", WebSocketClientEndpoint.new)
    made = partial(new, MemoryReactorClock(), "wss://example.com/")
    for wrong in ("ca.pem", b"-----BEGIN", Path("ca.pem"), ["ca.pem"]):
        refuses(lambda w=wrong: made(trustRoot=w), "trustRoot: expected a certificate, not ")  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
        said = "certificate: expected a PrivateCertificate, not "
        refuses(lambda w=wrong: made(certificate=w), said)  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
        refuses(lambda w=wrong: made(verify=w), "verify: expected bool, not ")  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
    refuses(lambda: made(serverName=b"x"), "serverName: expected str, not bytes")


def test_an_unusable_application_is_an_error_before_any_connection() -> None:
    endpoint = WebSocketClientEndpoint(cast("Any", _Endpoint()), URL)
    made = cast("Made", endpoint.connectApplication)
    refuses(lambda: made(Recorder), "application: the class Recorder, not an application; write R")
    refuses(lambda: made(None), "application: NoneType, not an application: no method")
    refuses(lambda: made(talk), "application: a function, not an application")


@pytest.mark.parametrize("wrong", [8080.0, None, b"tcp:0", True, ["tcp:0", None]])
def test_the_error_of_an_unusable_port_lists_the_accepted_types(wrong: Any) -> None:
    refuses(
        lambda: txhixie.run(wrong, Applications()),
        "description: expected a port number, an endpoint description or a list of these, not ",
    )


# Scalars: a string is no bool and no number, since the string "no" is true.


def scalar_options() -> list[tuple[str, str, str]]:
    """Each name of an option that is a scalar, of each maker that takes it, and its type."""
    found = []
    endpoint = txhixie.EndpointOptions.__annotations__
    client = txhixie.ClientOptions.__annotations__
    server = txhixie.ServerOptions.__annotations__
    tables: dict[str, Any] = {
        **dict.fromkeys(SERVERS, server),
        **dict.fromkeys(("HixieClientFactory", "WebSocketClientEndpoint"), client),
        **dict.fromkeys(("WebSocketClientEndpoint.new", "connect"), endpoint),
        "WebSocketClientService.new": endpoint,
    }
    for maker, names in tables.items():
        for option, annotation in names.items():
            kind = str(getattr(annotation, "__forward_arg__", annotation)).removesuffix(" | None")
            if kind in ("bool", "int", "float"):
                found.append((maker, option, kind))
    return found


SCALARS: Final = scalar_options()


@pytest.mark.parametrize(("maker", "option", "kind"), SCALARS)
def test_a_scalar_has_its_annotated_type(maker: str, option: str, kind: str) -> None:
    example = f"; write {option}=True or {option}=False" if kind == "bool" else ""
    expected, other = {"bool": ("bool", 1), "float": ("a number", True)}[kind]
    wrongs: list[object] = ["no", b"", other, []]
    for wrong in wrongs:
        said = f"{option}: expected {expected}, not {type(wrong).__name__}{example}"
        refuses(lambda wrong=wrong: ALL[maker](**{option: wrong}), said)  # type: ignore[misc]  # mypy does not infer the type of a lambda's default


def test_no_scalar_among_the_options_is_left_out() -> None:
    assert {option for _, option, _ in SCALARS} == {
        *("timeout", "secure", "logConnections", "lenient", "verify", "proxyBasic", "anyPort"),
        *("flightRecorder", "connectionPoller"),
    }


def gateway(**options: Any) -> GatewayService:
    return GatewayService(MemoryReactorClock(), "ws://example.com/", **options)


def twisted_endpoint(**options: Any) -> object:
    new = cast(Made, websocket.WebSocketClientEndpoint.new)
    return new(MemoryReactorClock(), URL, **options)


@pytest.mark.parametrize(
    ("make", "option", "expected"),
    [
        (CLIENTS["connect"], "highWater", "int"),
        (partial(serve, talk), "highWater", "int"),
        (partial(cast(Made, HTTPConnectEndpoint), _Endpoint(), "h", 1), "proxyBasic", "bool"),
        (twisted_endpoint, "connectTimeout", "a number"),
        (twisted_endpoint, "verify", "bool"),
        (gateway, "timeout", "a number"),
        (gateway, "lenient", "bool"),
        (gateway, "proxyBasic", "bool"),
        (gateway, "connectTimeout", "a number"),
        (Backoff, "first", "a number"),
        (Backoff, "longest", "a number"),
        (Backoff, "steady", "a number"),
        (partial(Refusal, 403), "logged", "bool"),
        (PermessageDeflate, "server_takeover", "bool"),
        (PermessageDeflate, "client_takeover", "bool"),
        (PermessageDeflate, "client_bits", "int"),
        (PermessageDeflate, "level", "int"),
        (PermessageDeflate, "threshold", "int"),
        (DeflateFrame, "takeover", "bool"),
        (DeflateFrame, "memory", "int"),
        (HixieServerFactory(Applications(), clock=Clock()).closeAll, "timeout", "a number"),
    ],
)
def test_a_scalar_of_limits_extensions_and_refusals_has_its_type(
    make: Made, option: str, expected: str
) -> None:
    refuses(lambda: make(**{option: "5"}), f"{option}: expected {expected}, not str")
    if expected != "bool":
        refuses(lambda: make(**{option: True}), f"{option}: expected {expected}, not bool")


def test_wrong_types_of_a_gateways_options_are_errors() -> None:
    said = "passHeaders: expected a list, not str; write passHeaders=["
    refuses(lambda: gateway(passHeaders="cookie"), said)
    refuses(lambda: gateway(trustRoot="ca.pem"), "trustRoot: expected a certificate, not str")
    refuses(lambda: gateway(limits=5), "limits: expected Limits, not int")
    refuses(lambda: gateway(route=5), "route: expected str, not int")


@pytest.mark.parametrize(
    ("make", "option", "words"),
    [
        *((SERVERS[name], "binary", "'refuse' or 'send'") for name in SERVERS),
        (CLIENTS["connect"], "binary", "'refuse' or 'send'"),
        (CLIENTS["Pair.new"], "binary", "'refuse' or 'send'"),
        (gateway, "binary", "'refuse' or 'base64'"),
        (gateway, "pings", "'answer' or 'relay'"),
    ],
)
def test_the_error_of_an_option_with_a_few_values_lists_them(
    make: Made, option: str, words: str
) -> None:
    refuses(lambda: make(**{option: True}), f"{option}: expected {words}, not bool")
    with pytest.raises(ValueError, match=f"^{option}: expected {words}$"):
        make(**{option: "maybe"})


@pytest.mark.parametrize("wrong", [5, b"127.0.0.1", ["127.0.0.1", 0], ("127.0.0.1",), (1, "a")])
def test_bindAddress_is_an_address_or_an_address_and_a_port(wrong: Any) -> None:
    said = "bindAddress: expected an address or an address and a port, not "
    for name in ("WebSocketClientEndpoint.new", "connect", "WebSocketClientService.new"):
        refuses(lambda name=name: CLIENTS[name](bindAddress=wrong), said)  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
    for right in (None, "127.0.0.1", ("127.0.0.1", 0)):
        CLIENTS["connect"](bindAddress=right)


# Unknown options.


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("connectTimeout", "write timeout=seconds for each stage, or limits=Limits(...) with on"),
        ("open_timeout", "write limits=Limits(open_timeout=...)"),
        ("message_size", "write limits=Limits(message_size=...)"),
        ("trust_root", "did you mean trustRoot?"),
        ("subprotocol", "did you mean subprotocols?"),
    ],
)
@pytest.mark.parametrize(
    "name", ["WebSocketClientEndpoint.new", "connect", "WebSocketClientService.new"]
)
def test_the_error_of_an_unknown_option_suggests_a_known_one(
    name: str, option: str, said: str
) -> None:
    refuses(lambda: CLIENTS[name](**{option: 5}), f"{option}: no such option; {said}")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("origin", "; did you mean origins?"),
        ("dialect", "; did you mean dialects?"),
        ("log_connections", "; did you mean logConnections?"),
        ("ping_interval", "; write limits=Limits(ping_interval=...)"),
        ("closeTimeout", "; write limits=Limits(...) with one of its times"),
        ("zebra", ""),
    ],
)
@pytest.mark.parametrize("name", SERVERS)
def test_the_error_of_an_unknown_option_of_a_server_suggests_a_known_one(
    name: str, option: str, said: str
) -> None:
    with pytest.raises(TypeError) as raised:
        SERVERS[name](**{option: 5})
    assert str(raised.value) == f"{option}: no such option{said}"


def test_the_error_of_an_unknown_option_of_run_suggests_a_known_one() -> None:
    refuses(
        lambda: txhixie.run(0, Applications(), origin="*"),  # type: ignore[call-arg]  # the test passes a wrong option
        "origin: no such option; did you mean origins?",
    )


def test_the_error_of_an_unknown_option_of_a_client_factory_suggests_a_known_one() -> None:
    refuses(
        lambda: HixieClientFactory("ws://a/", Applications(), origins=[]),  # type: ignore[call-arg]  # the test passes a wrong option
        "origins: no such option; did you mean origin?",
    )
    refuses(
        lambda: GatewayService(Clock(), "ws://a/", pass_headers=[]),  # type: ignore[call-arg]  # the test passes a wrong option
        "pass_headers: no such option; did you mean passHeaders?",
    )


def test_an_option_of_another_surface_is_unknown_to_an_endpoint_over_an_endpoint() -> None:
    refuses(lambda: CLIENTS["WebSocketClientEndpoint"](trustRoot=None), "trustRoot: no such option")
