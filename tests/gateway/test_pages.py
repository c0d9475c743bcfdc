"""Pages of an HTTP backend: what the backend gets, what the client gets, and backends that fail."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from twisted.internet.protocol import Factory, Protocol

from support.certificates import certificate
from support.log_recorder import Log
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import Limits
from txhixie.daemon.dispatch import (
    Guarded,
    PageSite,
    RoutedApplications,
    RoutedPages,
    RoutedServerFactory,
)
from txhixie.daemon.guards.guard import Guard, Permit
from txhixie.daemon.route_option import read_description
from txhixie.daemon.routes import Routes
from txhixie.daemon.services.http import PAGE_OPTIONS, build_pages
from txhixie.daemon.services.service import Context
from txhixie.gateway.page_transfer import PageTransfer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class ScriptedBackend(Raw):
    """A backend that answers a complete request, and then closes the connection or does not."""

    def __init__(self, answer: bytes, closes: bool) -> None:
        super().__init__()
        self._answer = answer
        self._closes = closes

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.data.endswith(b"\r\n\r\n"):
            self.transport.write(self._answer)
            if self._closes:
                self.transport.loseConnection()

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the request, by their names in lower case."""
        lines = self.data.decode("latin-1").split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


async def backend(
    net: Network, answer: bytes = b"", closes: bool = True, over: str = "tcp"
) -> tuple[Place, list[ScriptedBackend]]:
    """Listen as a scripted backend; return the connections to come."""
    made: list[ScriptedBackend] = []

    def make() -> ScriptedBackend:
        made.append(ScriptedBackend(answer, closes))
        net.raws.append(made[-1])
        return made[-1]

    return await net.listen(Factory.forProtocol(cast("type[Protocol]", make)), over), made


def urlOf(place: Place) -> str:
    if place.over == "unix":
        return f"http://unix:{place.path}"
    return f"http{'s' if place.over == 'tls' else ''}://localhost:{place.port}"


async def gateway(
    net: Network,
    url: str,
    word: str = "",
    *,
    path: str = "/",
    guards: Sequence[Guard] = (),
    passed: frozenset[bytes] = frozenset(),
    connectTimeout: float = 10.0,
    over: str = "tcp",
    limits: Limits = Limits(),
    partOf: Callable[[int], int] = int,
    **options: Any,
) -> Place:
    """Listen as a daemon with one route of pages; ``word`` has the options of the route."""
    description = read_description(f"{path}={url} {word}".strip())
    values = {**description.options(PAGE_OPTIONS), **options}
    context = Context(description.route, limits, connectTimeout, partOf=partOf)
    routes: Routes[Any] = Routes()
    pages = build_pages(reactor, description.service, values, context)
    routes.add(description.route, Guarded(pages, tuple(guards), passed))
    factory = RoutedServerFactory(
        RoutedApplications(Routes()),
        limits=Limits(body_size=0),
        elsewhere=PageSite(RoutedPages(routes)),
        logConnections=True,
    )
    return await net.listen(factory, over)


def request(target: str = "/", *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    head = [f"{method} {target} HTTP/{version}", "Host: page.example:8080", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


async def answer(net: Network, place: Place, *lines: str, **which: Any) -> bytes:
    """Send one request; return all bytes until the connection ends in good order."""
    raw = await net.raw(place)
    target = which.pop("target", "/")
    raw.send(request(target, *lines, **which))
    await raw.ends()
    return bytes(raw.data)


def bodyOf(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


# The request.


@asynchronous
async def test_the_backend_gets_the_fields_of_a_client_without_those_of_its_connection(
    net: Network,
) -> None:
    """Of the forwarded fields it gets the gateway's own, and of names that CGI takes for others
    none."""
    back, made = await backend(net, OK + b"\r\n")
    place = await gateway(net, urlOf(back))
    await answer(
        net,
        place,
        "Accept: text/html",
        "Cookie: a=1",
        "Authorization: Basic eDp5",
        "Range: bytes=0-3",
        "If-None-Match: x",
        "Accept-Encoding: gzip",
        "Connection: keep-alive, X-Named",
        "X-Named: hop",
        "Keep-Alive: 5",
        "TE: trailers",
        "Trailer: x",
        "Proxy-Authorization: secret",
        "Proxy: http://evil",
        "Content-Length: 0",
        "X-Forwarded-For: 203.0.113.7",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Port: 1",
        "X-Real-IP: 203.0.113.7",
        "X_Forwarded_For: 203.0.113.7",
        "X-SSL-Client-S-DN: CN=root",
        "Forwarded: for=203.0.113.7",
        "Via: 1.0 cache",
        target="/a%20b?c=d",
    )
    assert made[0].data.startswith(b"GET /a%20b?c=d HTTP/1.1\r\n")
    assert made[0].data.count(b"Via: ") == 2
    assert made[0].fields == {
        "accept": "text/html",
        "cookie": "a=1",
        "authorization": "Basic eDp5",
        "range": "bytes=0-3",
        "if-none-match": "x",
        "accept-encoding": "gzip",
        "host": f"localhost:{back.port}",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "page.example:8080",
        "forwarded": 'for=127.0.0.1;host="page.example:8080";proto=http',
        "via": "1.1 txhixie",
        "connection": "close",
    }


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_a_backend_is_reached_over_each_transport(net: Network, over: str) -> None:
    """A backend at a UNIX socket gets the host localhost, as from nginx."""
    back, made = await backend(net, OK + b"Content-Length: 5\r\n\r\nhello", over=over)
    trust: dict[str, Any] = {"trust-root": certificate()} if over == "tls" else {}
    place = await gateway(net, urlOf(back), **trust)
    response = await answer(net, place)
    assert bodyOf(response) == b"hello"
    assert made[0].fields["host"] == ("localhost" if over == "unix" else f"localhost:{back.port}")


@asynchronous
async def test_a_backend_with_an_untrusted_certificate_is_a_502(net: Network, log: Log) -> None:
    back, made = await backend(net, over="tls")
    place = await gateway(net, urlOf(back))
    assert (await answer(net, place)).startswith(b"HTTP/1.1 502 ")
    assert not any(each.data for each in made)
    (line,) = [line for line in log.lines() if line.startswith("backend-down ")]
    assert "certificate" in line


@pytest.mark.parametrize(
    ("path", "word", "asked", "reached", "prefix"),
    [
        ("/", "", "/a/b?c", "/a/b?c", None),
        ("/app", "", "/app", "/app", None),
        ("/app", "", "/app/x", "/app/x", None),
        ("/app", "strip-prefix=true", "/app/x?y", "/x?y", "/app"),
        ("/app", "strip-prefix=true", "/app/", "/", "/app"),
    ],
)
@asynchronous
async def test_the_path_that_the_backend_gets(
    net: Network, path: str, word: str, asked: str, reached: str, prefix: str | None
) -> None:
    back, made = await backend(net, OK + b"\r\n")
    place = await gateway(net, urlOf(back), word, path=path)
    await answer(net, place, target=asked)
    assert made[0].data.startswith(f"GET {reached} HTTP/1.1\r\n".encode())
    assert made[0].fields.get("x-forwarded-prefix") == prefix


@asynchronous
async def test_the_path_of_a_route_that_strips_its_prefix_is_redirected(net: Network) -> None:
    """Relative links of the backend's first page would be wrong without the slash."""
    back, made = await backend(net, OK + b"\r\n")
    place = await gateway(net, urlOf(back), "strip-prefix=true", path="/app")
    response = await answer(net, place, target="/app?x")
    assert response.startswith(b"HTTP/1.1 301 ")
    assert b"\r\nLocation: /app/?x\r\n" in response
    assert made == []


@asynchronous
async def test_the_host_is_kept_and_fields_are_fixed(net: Network) -> None:
    back, made = await backend(net, OK + b"\r\n")
    word = "backend-host=keep header=X-Key: a b header=User-Agent: gate"
    place = await gateway(net, urlOf(back).replace("://", "://us:p%40w@"), word)
    await answer(net, place, "X-Key: evil", "X_Key: evil", "Authorization: x", "User-Agent: y")
    fields = made[0].fields
    assert fields["host"] == "page.example:8080"
    assert (fields["x-key"], fields["user-agent"]) == ("a b", "gate")
    assert fields["authorization"] == "Basic dXM6cEB3"
    assert made[0].data.count(b"uthorization") == 1
    assert b"X_Key" not in made[0].data


class NeedsKey(Guard):
    """A guard that uses a field and a parameter, and tells the backend about the client."""

    usedHeaders = frozenset({b"authorization"})
    usedParameters = frozenset({"token"})

    def check(self, visitor: Any) -> Permit:
        return Permit(((b"X-SSL-Client-S-DN", b"CN=ada"),))


@pytest.mark.parametrize("passes", [False, True])
@asynchronous
async def test_credentials_that_were_used_here_do_not_reach_the_backend(
    net: Network, passes: bool
) -> None:
    """The option ``pass-headers`` names those that reach the backend all the same."""
    back, made = await backend(net, OK + b"\r\n")
    passed = frozenset({b"authorization"}) if passes else frozenset()
    place = await gateway(net, urlOf(back), guards=[NeedsKey()], passed=passed)
    await answer(
        net,
        place,
        "Authorization: Bearer secret",
        "X-SSL-Client-S-DN: CN=root",
        target="/a?x=1&token=secret&y=2",
    )
    assert made[0].data.startswith(b"GET /a?x=1&y=2 HTTP/1.1\r\n")
    assert made[0].fields["x-ssl-client-s-dn"] == "CN=ada"
    assert made[0].data.count(b"CN=root") == 0
    assert (b"Bearer secret" in made[0].data) == passes


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
@asynchronous
async def test_other_methods_are_not_passed_on(net: Network, method: str) -> None:
    back, made = await backend(net, OK + b"\r\n")
    place = await gateway(net, urlOf(back))
    response = await answer(net, place, method=method)
    assert response.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET, HEAD\r\n" in response
    assert made == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Length: 3", "", "abc"], 413),
        (["Transfer-Encoding: chunked", "", "3", "abc", "0"], 413),
        (["Content-Length: 3", "Transfer-Encoding: chunked", "", "0"], 400),
        (["Content-Length: 0", "Content-Length: 5"], 400),
        (["Content-Length : 5"], 400),
        (["Transfer-Encoding: xchunked"], 501),
        (["X: a\rb"], 400),
        (["X: a\0b"], 400),
        ([" Folded: line"], 400),
    ],
)
@asynchronous
async def test_a_request_with_a_body_or_an_ambiguous_end_is_refused(
    net: Network, lines: list[str], status: int
) -> None:
    """Such requests hide a second one (request smuggling). The backend gets no byte."""
    back, made = await backend(net, OK + b"\r\n")
    place = await gateway(net, urlOf(back))
    raw = await net.raw(place)
    raw.send(request("/", *lines))
    await raw.reads(b"\r\n\r\n")
    assert int(raw.data.split()[1]) in {400, 413, 501}, status
    assert made == []


@asynchronous
async def test_a_second_request_in_the_same_bytes_is_not_passed_on(net: Network) -> None:
    """The response to the first one says ``Connection: close``."""
    back, made = await backend(net, OK + b"Content-Length: 1\r\n\r\na")
    place = await gateway(net, urlOf(back))
    raw = await net.raw(place)
    raw.send(request("/one") + request("/two"))
    await raw.ends()
    assert len(made) == 1
    assert b"/two" not in made[0].data


@pytest.mark.parametrize("target", ["/a#b", "/\xff", "/a\\b#", "http://page.example:8080/a#b"])
@asynchronous
async def test_a_target_that_cannot_be_written_is_a_400(net: Network, target: str) -> None:
    back, made = await backend(net, OK + b"\r\n")
    place = await gateway(net, urlOf(back))
    assert re.match(rb"HTTP/1.1 40[04] ", await answer(net, place, target=target))
    assert made == []


# The response.


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("sent", "framing", "body"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", b"Content-Length: 5", b"hello"),
        (OK + b"\r\nhello", None, b"hello"),
        (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", None, b"hello"),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", None, b"hello"),
    ],
)
@asynchronous
async def test_a_body_reaches_clients_of_both_versions(
    net: Network, version: str, sent: bytes, framing: bytes | None, body: bytes
) -> None:
    """A client of HTTP/1.0 gets no chunks."""
    back, _ = await backend(net, sent)
    response = await answer(net, await gateway(net, urlOf(back)), version=version)
    assert framing is None or framing in response
    chunked = b"Transfer-Encoding: chunked" in response
    assert chunked == (framing is None and version == "1.1")
    found = bodyOf(response)
    if chunked:
        found = b"".join(re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n", found, re.DOTALL))
    assert found == body


@asynchronous
async def test_the_fields_of_a_response_reach_the_client_without_those_of_its_connection(
    net: Network,
) -> None:
    """Location is passed on unchanged, and each Set-Cookie; no Content-Type is made up."""
    head = [
        *(b"HTTP/1.1 302 Found", b"Location: http://localhost/elsewhere", b"Set-Cookie: a=1"),
        *(b"Set-Cookie: b=2", b"Connection: X-Hop, close", b"X-Hop: 1", b"Keep-Alive: 5"),
        *(b"Proxy-Authenticate: Basic", b"Upgrade: h2c", b"Trailer: x", b"Server: own"),
        *(b"Date: then", b"Sec-WebSocket-Accept: x", b"X-Kept: yes", b"Content-Length: 0"),
    ]
    back, _ = await backend(net, b"\r\n".join([*head, b"", b""]))
    response = await answer(net, await gateway(net, urlOf(back)))
    lines = response.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 302 Found"
    assert sorted(lines[1:]) == [
        b"Connection: close",
        b"Content-Length: 0",
        b"Date: then",
        b"Location: http://localhost/elsewhere",
        b"Server: own",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
        b"X-Kept: yes",
    ]


@pytest.mark.parametrize(
    ("sent", "status", "length"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", 204, False),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nETag: x\r\n\r\n", 304, True),
        (b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-2/9\r\n\r\nabc", 206, False),
        (
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
            404,
            True,
        ),
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", 503, True),
    ],
)
@asynchronous
async def test_other_statuses_are_passed_on(
    net: Network, sent: bytes, status: int, length: bool
) -> None:
    """A 204 and a 304 have no body, even if the backend sends one."""
    back, _ = await backend(net, sent)
    response = await answer(net, await gateway(net, urlOf(back)))
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert (b"Content-Length: " in response) == length
    if status in (204, 304):
        assert bodyOf(response) == b""


@asynchronous
async def test_the_response_to_head_has_the_length_and_no_body(net: Network) -> None:
    """A backend that sends a body all the same is ignored."""
    back, made = await backend(net, OK + b"Content-Length: 5\r\n\r\nhello")
    response = await answer(net, await gateway(net, urlOf(back)), method="HEAD")
    assert made[0].data.startswith(b"HEAD / ")
    assert b"\r\nContent-Length: 5\r\n" in response
    assert bodyOf(response) == b""


@asynchronous
async def test_the_head_of_an_event_stream_comes_before_its_first_event(net: Network) -> None:
    """And each event when the backend sends it."""
    back, made = await backend(net, OK + b"Content-Type: text/event-stream\r\n\r\n", closes=False)
    raw = await net.raw(await gateway(net, urlOf(back)))
    raw.send(request())
    await raw.reads(b"\r\n\r\n")
    made[0].transport.write(b"data: 1\n\n")
    await raw.reads(b"data: 1\n\n")


# Backends that fail.


@pytest.mark.parametrize("over", ["tcp", "tls"])
@pytest.mark.parametrize(
    "sent",
    [OK + b"Content-Length: 9\r\n\r\nhello", CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"9\r\nhello"],
)
@asynchronous
async def test_a_body_that_ends_early_is_truncated_for_the_client(
    net: Network, log: Log, sent: bytes, over: str
) -> None:
    """The client gets what was sent, and no end of the body."""
    back, _ = await backend(net, sent, over=over)
    trust: dict[str, Any] = {"trust-root": certificate()} if over == "tls" else {}
    response = await answer(net, await gateway(net, urlOf(back), **trust))
    assert b"hello" in response
    assert not response.endswith(b"0\r\n\r\n")
    (line,) = [line for line in log.lines() if line.startswith("gateway ")]
    assert re.search(
        rf"gateway connection=1 peer=127.0.0.1:\d+ host=page.example:8080 target=/ route=/ "
        rf'backend={urlOf(back)} reason="incomplete response of the backend: ',
        line,
    )


@asynchronous
async def test_a_truncated_body_without_a_length_resets_a_client_of_http_1_0(net: Network) -> None:
    """For such a client the end of the connection is the end of the body."""
    back, made = await backend(net, CHUNKED + b"5\r\nhello\r\n", closes=False)
    raw = await net.raw(await gateway(net, urlOf(back)))
    raw.send(request(version="1.0"))
    await raw.reads(b"hello")
    made[0].transport.loseConnection()
    await until(lambda: raw.reason is not None)
    assert raw.reason is not None
    assert "reset" in str(raw.reason.value) or "non-clean" in str(raw.reason.value)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_a_reset_is_not_the_end_of_a_body_without_a_length(net: Network, over: str) -> None:
    """Nor is the end of TCP below TLS, which an attacker on the network can cause."""
    back, made = await backend(net, OK + b"\r\nhello", closes=False, over=over)
    trust: dict[str, Any] = {"trust-root": certificate()} if over == "tls" else {}
    raw = await net.raw(await gateway(net, urlOf(back), **trust))
    raw.send(request())
    await raw.reads(b"hello")
    below = made[0].transport
    if over == "tls":
        below.transport.loseConnection()
    else:
        below.abortConnection()
    await until(lambda: raw.reason is not None)
    assert not raw.data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "incomplete response of the backend: the connection was closed before the response"),
        (b"SSH-2.0-x\r\n\r\n", "invalid response of the backend: illegal status line"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            "invalid response of the backend: Received server _SWITCH_UPGRADE",
        ),
        (OK + b"X: a\r\n b\r\n\r\n", "invalid response of the backend: bare CR or LF, folded line"),
        (OK + b"X: " + b"a" * 70_000, "invalid response of the backend: size of the head exceeds"),
        (b"HTTP/1.1 100 C\r\n\r\n" * 5000, "invalid response of the backend: size of the head"),
    ],
)
@asynchronous
async def test_an_invalid_response_is_a_502_with_its_reason_in_the_log(
    net: Network, log: Log, sent: bytes, why: str
) -> None:
    """The client does not get the reason."""
    back, _ = await backend(net, sent)
    response = await answer(net, await gateway(net, urlOf(back)))
    assert response.startswith(b"HTTP/1.1 502 ")
    assert bodyOf(response) == b"the backend's response is invalid\n"
    (line,) = [line for line in log.lines() if line.startswith("refused ")]
    assert " target=/ status=502 " in line
    assert f'reason="{why}' in line


@asynchronous
async def test_a_backend_that_is_down_is_a_502_with_one_line_and_a_line_when_it_is_back(
    net: Network, log: Log
) -> None:
    """As for a WebSocket backend."""
    back, _ = await backend(net)
    url, port = urlOf(back), back.port
    place = await gateway(net, url)
    net.places.remove(back)
    await back.listening.stopListening()
    for _ in range(3):
        response = await answer(net, place)
        assert response.startswith(b"HTTP/1.1 502 ")
        assert bodyOf(response) == b"the backend cannot be reached\n"
    again: Any = Factory.forProtocol(lambda: ScriptedBackend(OK + b"\r\n", True))
    listening = reactor.listenTCP(port, again, interface="127.0.0.1")
    try:
        assert (await answer(net, place)).startswith(b"HTTP/1.1 200 ")
    finally:
        await listening.stopListening()
    down, up = [line for line in log.lines() if not line.startswith("page ")]
    assert re.match(rf"backend-down backend={url} reason=.*Connection refused", down)
    assert up == f"backend-up backend={url} repeated=2"


@asynchronous
async def test_a_slow_head_is_a_504_and_a_connection_is_ended(net: Network, log: Log) -> None:
    """Bytes of the head do not prolong the timeout: it is for the whole head."""
    back, made = await backend(net, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1", closes=False)
    place = await gateway(net, urlOf(back), "response-timeout=0.3")
    response = await answer(net, place)
    assert response.startswith(b"HTTP/1.1 504 ")
    await until(lambda: made[0].reason is not None)
    (line,) = [line for line in log.lines() if line.startswith("refused ")]
    assert "no response of the backend within 0.3 seconds (response-timeout)" in line


@asynchronous
async def test_a_body_that_stops_is_truncated_after_the_response_timeout(
    net: Network, log: Log
) -> None:
    back, made = await backend(net, CHUNKED + b"5\r\nhello\r\n", closes=False)
    response = await answer(net, await gateway(net, urlOf(back), "response-timeout=0.3"))
    assert not response.endswith(b"0\r\n\r\n")
    await until(lambda: made[0].reason is not None)
    assert any("no further data of the response" in line for line in log.lines())


@asynchronous
async def test_a_connect_that_takes_too_long_is_a_504(net: Network, log: Log) -> None:
    """The backend accepts the connection and never answers the TLS handshake."""
    back, _ = await backend(net, closes=False)
    url = urlOf(back).replace("http:", "https:")
    place = await gateway(net, url, "stage-timeout=5", connectTimeout=0.3)
    assert (await answer(net, place)).startswith(b"HTTP/1.1 504 ")
    (line,) = [line for line in log.lines() if line.startswith("backend-down ")]
    assert "no answer to the TLS handshake" in line


@pytest.mark.parametrize("workers", [1, 4])
@asynchronous
async def test_the_number_of_connections_is_bounded_and_further_requests_wait(
    net: Network, log: Log, workers: int
) -> None:
    """
    A request that waits for a connection is refused with 503 after the connect timeout.

    Each of several workers has its part of the connections.
    """
    back, made = await backend(net, OK + b"\r\n", closes=False)
    word, partOf = f"connections={workers}", lambda most: int(most // workers)
    place = await gateway(net, urlOf(back), word, connectTimeout=0.5, partOf=partOf)
    first = await net.raw(place)
    first.send(request())
    await first.reads(b"\r\n\r\n")
    assert (await answer(net, place)).startswith(b"HTTP/1.1 503 ")
    assert len(made) == 1
    (line,) = [line for line in log.lines() if line.startswith("refused ")]
    assert "all 1 connections to the backend are in use (connections)" in line
    waiting = await net.raw(place)
    waiting.send(request())
    await turn(0.02)
    first.transport.abortConnection()
    await waiting.reads(b" 200 OK\r\n")
    await until(lambda: made[0].reason is not None)


# Clients that leave, and clients that do not read.


@pytest.mark.parametrize("sent", [b"", OK + b"\r\nhello"])
@asynchronous
async def test_a_client_that_disconnects_ends_the_connection_to_the_backend(
    net: Network, log: Log, sent: bytes
) -> None:
    """Before the response, and in its middle; without a line of its own."""
    back, made = await backend(net, sent, closes=False)
    raw = await net.raw(await gateway(net, urlOf(back)))
    raw.send(request())
    await until(lambda: made and made[0].data)
    if sent:
        await raw.reads(b"hello")
    raw.transport.abortConnection()
    await until(lambda: made[0].reason is not None)
    assert [line for line in log.lines() if not line.startswith("page ")] == []


@asynchronous
async def test_a_client_that_disconnects_ends_the_connect_to_the_backend(net: Network) -> None:
    """The backend never answers the TLS handshake."""
    back, made = await backend(net, closes=False)
    raw = await net.raw(await gateway(net, urlOf(back).replace("http:", "https:")))
    raw.send(request())
    await until(lambda: made and made[0].data)
    raw.transport.abortConnection()
    await until(lambda: made[0].reason is not None)


class Endless(Raw):
    """A backend whose response never ends, and which counts what it could send."""

    sent = 0

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(OK + b"\r\n")
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.sent += 1 << 16
        self.transport.write(b"x" * (1 << 16))

    def stopProducing(self) -> None:
        self.transport.unregisterProducer()


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_an_endless_response_is_bounded_by_a_client_that_does_not_read(
    net: Network, over: str
) -> None:
    """Only the buffers of the sockets fill, and it goes on when the client reads."""
    made: list[Endless] = []

    def make() -> Endless:
        made.append(Endless())
        net.raws.append(made[-1])
        return made[-1]

    back = await net.listen(Factory.forProtocol(cast("type[Protocol]", make)), over)
    trust: dict[str, Any] = {"trust-root": certificate()} if over == "tls" else {}
    place = await gateway(net, urlOf(back), "response-timeout=0.3", **trust)
    raw = await net.raw(place)
    raw.transport.pauseProducing()
    raw.send(request())
    await until(lambda: made and made[0].sent)
    before = -1
    while before != made[0].sent:
        before = made[0].sent
        await turn(0.5)  # longer than the timeout, which does not run while the client is slow
    assert made[0].sent < 32 << 20, "it kept what the client did not read"
    assert made[0].reason is None
    raw.transport.resumeProducing()
    await until(lambda: made[0].sent > before)
    raw.transport.abortConnection()
    await until(lambda: made[0].reason is not None)


@asynchronous
async def test_a_server_that_stops_completes_a_response(net: Network) -> None:
    """A client of HTTP/1.0 could not tell a truncated body from a complete one."""
    back, made = await backend(net, OK + b"\r\nfirst, ", closes=False)
    place = await gateway(net, urlOf(back))
    raw = await net.raw(place)
    raw.send(request(version="1.0"))
    await raw.reads(b"first, ")
    stopped = place.factory.closeAll()
    await turn(0.05)
    made[0].transport.write(b"last")
    made[0].transport.loseConnection()
    await raw.ends()
    assert bodyOf(bytes(raw.data)) == b"first, last"
    await within(stopped)


@asynchronous
async def test_a_server_that_stops_aborts_a_response_that_does_not_end(net: Network) -> None:
    """After the timeout of the stop, at the client and at the backend."""
    back, made = await backend(net, OK + b"\r\nfirst", closes=False)
    place = await gateway(net, urlOf(back))
    raw = await net.raw(place)
    raw.send(request())
    await raw.reads(b"first")
    await within(place.factory.closeAll(timeout=0.1))
    await until(lambda: made[0].reason is not None and raw.reason is not None)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@pytest.mark.parametrize(
    "sent", [OK + b"Content-Length: 9\r\n\r\nhello", OK + b"\r\nhello", OK + b"X\r\n\r\n"]
)
@asynchronous
async def test_nothing_is_left_of_a_request(net: Network, sent: bytes, over: str) -> None:
    """Whether the response was truncated, complete or invalid; no timer either."""
    back, made = await backend(net, sent, over=over)
    trust: dict[str, Any] = {"trust-root": certificate()} if over == "tls" else {}
    place = await gateway(net, urlOf(back), **trust)
    before = {*reactor.getDelayedCalls()}
    for _ in range(3):
        await answer(net, place)
    await until(lambda: not place.factory.connections)
    await until(lambda: all(each.reason is not None for each in made))

    def timers() -> list[Any]:
        calls = [each for each in reactor.getDelayedCalls() if each not in before]
        return [
            each for each in calls if isinstance(getattr(each.func, "__self__", 0), PageTransfer)
        ]

    await until(lambda: timers() == [])
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is PageTransfer] == []


@asynchronous
async def test_a_backend_that_does_not_close_tls_is_aborted_after_the_close_timeout(
    net: Network,
) -> None:
    """TLS waits for the backend's end of the connection; the client has its page already."""
    back, made = await backend(net, OK + b"Content-Length: 5\r\n\r\nhello", False, "tls")
    trust: dict[str, Any] = {"trust-root": certificate()}
    place = await gateway(net, urlOf(back), limits=Limits(close_timeout=0.2), **trust)
    raw = await net.raw(place)
    raw.send(request())
    await until(lambda: made and made[0].data)
    made[0].transport.transport.pauseProducing()  # nothing of the gateway is read any more
    await raw.reads(b"hello")
    (transfer,) = [each for each in gc.get_objects() if type(each) is PageTransfer]
    await until(lambda: transfer.transport is None)
