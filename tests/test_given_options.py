"""Options of every public name: a wrong type is a TypeError where it is passed, and says what to
write; a right one may come in any shape that means the same."""

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
    """Connects nowhere."""

    def connect(self, factory: Any) -> Deferred[Any]:
        """Never."""
        return Deferred()


def refuses(call: Callable[[], object], said: str) -> None:
    """It is a TypeError, which says this."""
    with pytest.raises(TypeError) as caught:
        call()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# One string where several belong.


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
    """It would be a list of characters, which lets nobody in or agrees on nothing."""
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
            lambda wrong=wrong: make(subprotocols=wrong),  # type: ignore[misc]
            f'subprotocols: expected a list, not {kind}; write subprotocols=["chat"]',
        )
        refuses(lambda wrong=wrong: make(**{pairs: wrong}), "extensions: expected a list, not")  # type: ignore[misc]
    refuses(lambda: make(subprotocols=["a", b"b"]), "subprotocols[1]: expected str, not bytes")
    refuses(lambda: make(**{pairs: [PermessageDeflate]}), "not the class PermessageDeflate")
    refuses(lambda: make(**{pairs: ["permessage-deflate"]}), "objects such as PermessageDeflate()")


def test_what_is_smaller_takes_no_string_for_a_list_either() -> None:
    refuses(lambda: Policy("https://x"), 'write origins=["https://example.com"]')
    refuses(lambda: Policy(None, "x"), 'write hosts=["example.com"]')
    refuses(lambda: TrustedNetworks("127.0.0.1"), 'write networks=["127.0.0.1"]')
    refuses(lambda: TrustedNetworks([5]), "networks[0]: expected str, not int")  # type: ignore[list-item]
    refuses(lambda: serve(talk, subprotocols="chat"), 'write subprotocols=["chat"]')
    refuses(
        lambda: WebSocket(URL, b"chat", reactor=Clock()),  # type: ignore[arg-type]
        'protocols: expected a list, not bytes; write protocols=["chat"]',
    )
    assert WebSocket(URL, "chat", reactor=MemoryReactorClock()).url == URL  # as pages have it
    refuses(
        lambda: StreamApplications(Factory(), subprotocols="chat"),
        'subprotocols: expected a list, not str; write subprotocols=["chat"]',
    )


@pytest.mark.parametrize("wrong", ["ab", "name:password", b"ab", ("name",), (b"name", b"password")])
def test_credentials_are_two_strings(wrong: Any) -> None:
    """Two characters would have been a name and a password."""
    refuses(
        lambda: HTTPConnectEndpoint(_Endpoint(), "h", 1, wrong),  # type: ignore[arg-type]
        "credentials",
    )


# What can be iterated once.


@every_client
def test_a_client_may_be_given_generators(make: Made) -> None:
    """Though a request is checked before it is sent, and sent again by who stays connected."""
    made = make(
        subprotocols=(name for name in ("chat", "other")),
        headers=(pair for pair in (("Cookie", "a=b"),)),
    )
    if isinstance(made, Pair):
        assert made.client.protocol.offer.subprotocols == ("chat", "other")


def test_every_attempt_asks_for_what_a_generator_gave() -> None:
    asked: list[Offer] = []

    class Refusing:
        def connect(self, factory: HixieClientFactory) -> Deferred[Any]:
            asked.append(factory.offer)
            return Deferred()

    endpoint = WebSocketClientEndpoint(
        Refusing(),  # type: ignore[arg-type]
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


def test_every_client_is_answered_by_what_a_generator_gave() -> None:
    factory = HixieServerFactory(Applications(), subprotocols=(name for name in ("chat",)))
    offer = Offer("rfc6455", "/", "example.com", subprotocols=("chat",))
    assert [factory.chooseSubprotocol(offer) for _ in range(3)] == ["chat"] * 3
    applications = serve(talk, subprotocols=(name for name in ("chat",)))
    assert [applications.buildProtocol(offer).subprotocol for _ in range(3)] == ["chat"] * 3


@pytest.mark.parametrize("name", ["websocket.WebSocketResource", "StreamServerEndpoint"])
def test_a_server_that_is_made_twice_keeps_what_a_generator_gave(name: str) -> None:
    """Once to hear of mistakes, and once to serve."""
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
    """Everywhere: asked by a client, answered by a server, refused by one, said to a proxy."""
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
        for name, value in client.transport.agreement.headers  # type: ignore[union-attr]
    }
    HTTPConnectEndpoint(_Endpoint(), "h", 1, headers=given)  # type: ignore[arg-type]


class _Answers:
    """Answers offers."""

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
def test_other_headers_are_a_type_error_that_says_what_is_wanted(wrong: Any, said: str) -> None:
    for make in CLIENTS.values():
        refuses(lambda make=make: make(headers=wrong), said)  # type: ignore[misc]
    refuses(lambda: Accepted(Recorder(), None, wrong), said)
    refuses(lambda: Refusal(403, headers=wrong), said)
    refuses(
        lambda: HTTPConnectEndpoint(_Endpoint(), "h", 1, headers=wrong),  # type: ignore[arg-type]
        said,
    )


@pytest.mark.parametrize(
    "wrong", [{"X-A": "a\r\nb"}, {"X A": "b"}, {"": "b"}, {"X-A": "\u20ac"}, {"X-\u00e9": "a"}]
)
def test_headers_that_cannot_be_sent_are_found_where_they_are_given(wrong: Any) -> None:
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
        lambda: WebSocket(b"ws://example.com/", reactor=Clock()),  # type: ignore[arg-type]
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
    ("option", "wrong"),
    [
        ("message_size", "1"),
        ("message_size", None),
        ("open_timeout", None),
        ("ping_timeout", None),
        ("ping_interval", "20"),
        ("close_timeout", True),
    ],
)
def test_a_limit_is_a_number(option: str, wrong: Any) -> None:
    refuses(lambda: Limits(**{option: wrong}), f"{option}: expected a number, not ")


@pytest.mark.parametrize("wrong", [b"http://proxy:3128", 5, ["http://proxy:3128"], ("proxy", 3128)])
def test_a_proxy_is_a_url_or_a_proxy(wrong: Any) -> None:
    for name in ("WebSocketClientEndpoint.new", "connect", "WebSocketClientService.new"):
        refuses(lambda name=name: CLIENTS[name](proxy=wrong), "proxy: expected str, not ")  # type: ignore[misc]


def test_a_host_and_a_port_for_a_proxy_have_their_types() -> None:
    endpoint: Any = _Endpoint()
    refuses(lambda: HTTPConnectEndpoint(endpoint, b"h", 1), "host: expected str, not bytes")  # type: ignore[arg-type]
    refuses(lambda: HTTPConnectEndpoint(endpoint, "h", "1"), "port: expected int, not str")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["403", None, 403.0])
def test_the_status_of_a_refusal_is_a_number(wrong: Any) -> None:
    refuses(lambda: Refusal(wrong), "status: expected int, not ")


@pytest.mark.parametrize("wrong", [None, 5, ["no"], bytearray(b"no")])
def test_the_body_of_a_refusal_is_text_or_bytes(wrong: Any) -> None:
    refuses(lambda: Refusal(403, wrong), "body: expected str, not ")


def test_the_choice_of_a_subprotocol_is_made_at_once() -> None:
    """What a coroutine function answers is no subprotocol, and nobody would await it."""

    async def choose(offer: Offer) -> str:
        return "chat"

    refuses(
        lambda: HixieServerFactory(Applications(), subprotocols=choose),  # type: ignore[arg-type]
        "subprotocols: expected a function, not a coroutine function",
    )
    refuses(lambda: serve(talk, subprotocols=choose), "not a coroutine function")  # type: ignore[arg-type]


class Builder:
    """Applications."""

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
        lambda: HixieServerFactory(Builder),  # type: ignore[arg-type]
        "applications: expected an object, not the class Builder; write Builder()",
    )
    Pair.new(Static)


def test_what_serves_the_other_requests_is_a_factory() -> None:
    """And not the resource, which is found out before somebody asks for a page."""
    resource: Any = Resource()
    refuses(
        lambda: HixieServerFactory(Builder(), elsewhere=resource),
        "elsewhere: expected an object with buildProtocol",
    )
    refuses(
        lambda: HixieServerFactory(Builder(), elsewhere=resource),
        "pass a resource to Site(resource)",
    )


# What a client's application does wrong.


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
    """Not only that the connection was given up; and the log has its traceback."""
    clock = Clock()
    factory = HixieClientFactory(URL, _Answers(answer), clock=clock)  # type: ignore[arg-type]
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


# What the handshake says itself, and who a server is.


@pytest.mark.parametrize(
    "name",
    [
        *("Upgrade", "connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions"),
        *("WebSocket-Location", "Content-Length", "Transfer-Encoding"),
    ],
)
def test_an_agreement_has_no_second_field_of_the_handshakes_own(name: str) -> None:
    """A client that reads the wrong one ends the connection."""
    with pytest.raises(ValueError, match=f"^headers: {name} is set by the handshake; leave it out"):
        Accepted(Recorder(), headers={name: "x"})


def test_a_subprotocol_among_the_headers_is_told_where_it_belongs() -> None:
    with pytest.raises(ValueError, match=r"; write subprotocol=$"):
        Accepted(Recorder(), headers={"Sec-WebSocket-Protocol": "chat"})


def test_files_are_no_certificates() -> None:
    """Found where they are passed, not by Twisted when a connection is tried."""
    new = cast("Made", WebSocketClientEndpoint.new)
    made = partial(new, MemoryReactorClock(), "wss://example.com/")
    for wrong in ("ca.pem", b"-----BEGIN", Path("ca.pem"), ["ca.pem"]):
        refuses(lambda w=wrong: made(trustRoot=w), "trustRoot: expected a certificate, not ")  # type: ignore[misc]
        said = "certificate: expected a PrivateCertificate, not "
        refuses(lambda w=wrong: made(certificate=w), said)  # type: ignore[misc]
        refuses(lambda w=wrong: made(verify=w), "verify: expected bool, not ")  # type: ignore[misc]
    refuses(lambda: made(serverName=b"x"), "serverName: expected str, not bytes")


def test_what_is_no_application_is_found_before_anything_is_connected() -> None:
    endpoint = WebSocketClientEndpoint(cast("Any", _Endpoint()), URL)
    made = cast("Made", endpoint.connectApplication)
    refuses(lambda: made(Recorder), "application: the class Recorder, not an application; write R")
    refuses(lambda: made(None), "application: NoneType, not an application: no method")
    refuses(lambda: made(talk), "application: a function, not an application")


@pytest.mark.parametrize("wrong", [8080.0, None, b"tcp:0", True, ["tcp:0", None]])
def test_a_program_is_told_what_describes_a_port(wrong: Any) -> None:
    refuses(
        lambda: txhixie.run(wrong, Applications()),
        "description: expected a port number, an endpoint description or a list of these, not ",
    )


# Scalars: a string is no bool and no number, since "no" would be yes.


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
def test_a_scalar_is_what_its_type_says(maker: str, option: str, kind: str) -> None:
    example = f"; write {option}=True or {option}=False" if kind == "bool" else ""
    expected, other = {"bool": ("bool", 1), "float": ("a number", True)}[kind]
    wrongs: list[object] = ["no", b"", other, []]
    for wrong in wrongs:
        said = f"{option}: expected {expected}, not {type(wrong).__name__}{example}"
        refuses(lambda wrong=wrong: ALL[maker](**{option: wrong}), said)  # type: ignore[misc]


def test_no_scalar_among_the_options_is_left_out() -> None:
    assert {option for _, option, _ in SCALARS} == {
        *("timeout", "secure", "logConnections", "lenient", "verify", "proxyBasic", "anyPort")
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
def test_a_scalar_of_something_smaller_has_its_type_too(
    make: Made, option: str, expected: str
) -> None:
    refuses(lambda: make(**{option: "5"}), f"{option}: expected {expected}, not str")
    if expected != "bool":
        refuses(lambda: make(**{option: True}), f"{option}: expected {expected}, not bool")


def test_a_gateway_in_a_program_is_told_of_other_types_as_well() -> None:
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
def test_an_option_of_a_few_words_says_which(make: Made, option: str, words: str) -> None:
    refuses(lambda: make(**{option: True}), f"{option}: expected {words}, not bool")
    with pytest.raises(ValueError, match=f"^{option}: expected {words}$"):
        make(**{option: "maybe"})


@pytest.mark.parametrize("wrong", [5, b"127.0.0.1", ["127.0.0.1", 0], ("127.0.0.1",), (1, "a")])
def test_an_address_of_ones_own_is_an_address(wrong: Any) -> None:
    said = "bindAddress: expected an address or an address and a port, not "
    for name in ("WebSocketClientEndpoint.new", "connect", "WebSocketClientService.new"):
        refuses(lambda name=name: CLIENTS[name](bindAddress=wrong), said)  # type: ignore[misc]
    for right in (None, "127.0.0.1", ("127.0.0.1", 0)):
        CLIENTS["connect"](bindAddress=right)


# Options that there are not.


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
def test_an_option_that_there_is_not_says_what_was_probably_meant(
    name: str, option: str, said: str
) -> None:
    refuses(lambda: CLIENTS[name](**{option: 5}), f"{option}: no such option; {said}")


def test_an_option_of_another_surface_is_unknown_to_an_endpoint_over_an_endpoint() -> None:
    refuses(lambda: CLIENTS["WebSocketClientEndpoint"](trustRoot=None), "trustRoot: no such option")
