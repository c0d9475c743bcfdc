"""Bounds of a request over HTTP/2 under a ``HixieSite``, over real TLS; h2 is the client."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from server.test_http_bounds import Said
from support import third_party
from support.applications import Applications
from support.certificates import unverified_context
from support.log_recorder import Log
from support.network import Network
from support.third_party import missing
from support.waiting import PATIENCE, asynchronous, until, within
from test_web import Leaf
from txhixie import Limits
from txhixie.sansio.limits import MOST_SEGMENTS
from txhixie.web import HixieResource, HixieSite

Fields = Iterable[tuple[str, str]]


class Client:
    """A client of HTTP/2, and the responses by stream."""

    def __init__(self, port: int) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        context = unverified_context()
        context.set_alpn_protocols(["h2"])
        below = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.peer = context.wrap_socket(below, server_hostname="localhost")
        self.http = H2Connection(H2Configuration(validate_outbound_headers=False))
        self.http.initiate_connection()
        self.status: dict[int, int] = {}
        self.body: dict[int, bytes] = {}
        self.over: set[int] = set()
        self.resets: dict[int, int] = {}

    def ask(self, method: str, path: str, *more: tuple[str, str], ends: bool = False) -> int:
        """Send a request's head; the number of its stream."""
        stream: int = self.http.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":path", path)]
        pseudo += [(":authority", "localhost")]
        fields = [*[each for each in more if each[0][0] == ":"], *pseudo]
        fields += [each for each in more if each[0][0] != ":"]
        self.http.send_headers(stream, fields, end_stream=ends)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, ends: bool = False) -> None:
        """Send as much of a body as flow control allows before the stream ends."""
        for start in range(0, len(data), 16_000):
            piece = data[start : start + 16_000]
            while stream not in self.over and self.http.local_flow_control_window(stream) < len(
                piece
            ):
                self.read()
            if stream in self.over:
                return
            self.http.send_data(stream, piece, ends and start + 16_000 >= len(data))
            self.flush()

    def _room(self, stream: int) -> int:
        room: int = self.http.local_flow_control_window(stream)
        return room

    def flush(self) -> None:
        self.peer.sendall(self.http.data_to_send())

    def read(self) -> None:
        from h2 import events

        data = self.peer.recv(65536)
        assert data, "the connection has ended"
        for event in self.http.receive_data(data):
            if isinstance(event, events.ResponseReceived):
                headers: Any = event.headers
                self.status[event.stream_id] = int(dict(headers)[b":status"])
                self.body[event.stream_id] = b""
            elif isinstance(event, events.DataReceived):
                self.body[event.stream_id] += event.data
            elif isinstance(event, (events.StreamEnded, events.StreamReset)):
                self.over.add(event.stream_id)
                if isinstance(event, events.StreamReset):
                    self.resets[event.stream_id] = event.error_code
        self.flush()

    def answer(self, stream: int) -> tuple[int, bytes]:
        """The status and the body of a complete response."""
        while stream not in self.over:
            self.read()
        return self.status[stream], self.body[stream]


async def talk(net: Network, site: HixieSite, act: Callable[[Client], Any]) -> Any:
    """Run a client against this Site; afterwards the Site still answers."""
    if find_spec("h2") is None or find_spec("priority") is None:
        missing("h2", "tests/peers/install (PyPI: twisted[http2])")
    place = await net.listen(site, "tls")

    def run() -> Any:
        client = Client(place.port)
        with client.peer:
            found = act(client)
            assert client.answer(client.ask("GET", "/after", ends=True)) == (
                200,
                b"0 bytes, 0 fields",
            )
            return found

    return await within(deferToThread(run), 2 * PATIENCE)


@asynchronous
async def test_an_extended_CONNECT_that_stays_open_is_answered_at_once(
    net: Network, log: Log
) -> None:
    resource = HixieResource(Applications(), elsewhere=Said())

    def act(client: Client) -> Any:
        return client.answer(client.ask("CONNECT", "/", (":protocol", "websocket")))

    assert await talk(net, HixieSite(resource), act) == (505, b"")


@pytest.mark.parametrize("announced", [True, False])
@asynchronous
async def test_a_body_over_the_limit_is_refused(announced: bool, net: Network, log: Log) -> None:
    more = [("content-length", "10000000")] if announced else []

    def act(client: Client) -> Any:
        stream = client.ask("POST", "/", *more)
        if not announced:
            client.send(stream, b"a=1&" * 250_000)
        return client.answer(stream)

    assert await talk(net, HixieSite(Said()), act) == (413, b"")
    (line,) = (line for line in log.lines() if " status=413 " in line)
    assert re.search(r" host=\S+ target=/ status=413 ", line)


@asynchronous
async def test_curl_reads_the_status_of_a_refused_body(net: Network, log: Log) -> None:
    """curl 7.88 loses the status if the stream is reset in the same read as the response."""
    curl = third_party.curl()
    if find_spec("h2") is None or find_spec("priority") is None:
        missing("h2", "tests/peers/install (PyPI: twisted[http2])")
    place = await net.listen(HixieSite(Said()), "tls")

    def run() -> str:
        command = [str(curl), "-sSk", "--http2", "--noproxy", "*", "-o", "/dev/null"]
        command += ["-w", "%{http_code} %{http_version}", "--data-binary", "@-"]
        return subprocess.run(
            [*command, f"https://localhost:{place.port}/"],
            input=bytes(200_000),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        ).stdout.decode()

    assert await within(deferToThread(run), 2 * PATIENCE) == "413 2"


@asynchronous
async def test_a_stream_that_was_refused_and_stays_open_is_reset(net: Network, log: Log) -> None:
    def act(client: Client) -> Any:
        stream = client.ask("POST", "/", ("content-length", "10000000"))
        answer = client.answer(stream)
        while stream not in client.resets:
            client.read()
        return answer, client.resets[stream]

    site = HixieSite(Said(), limits=Limits(close_timeout=0.1))
    assert await talk(net, site, act) == ((413, b""), 0)


@asynchronous
async def test_a_body_that_ends_after_its_refusal_ends_the_stream(net: Network, log: Log) -> None:
    def act(client: Client) -> Any:
        stream = client.ask("POST", "/")
        client.http.send_data(stream, b"x" * 1000)
        client.flush()
        answer = client.answer(stream)
        client.http.end_stream(stream)
        client.flush()
        return answer

    site = HixieSite(Said(), limits=Limits(body_size=100, close_timeout=10_000))
    assert await talk(net, site, act) == (413, b"")


@asynchronous
async def test_a_body_that_goes_on_after_its_refusal_is_ignored(net: Network, log: Log) -> None:
    def act(client: Client) -> Any:
        stream = client.ask("POST", "/")
        for _ in range(3):  # all that a client may send before it reads
            client.http.send_data(stream, b"x" * 16_000)
        client.flush()
        return client.answer(stream)

    assert await talk(net, HixieSite(Said(), limits=Limits(body_size=100)), act) == (413, b"")


@asynchronous
async def test_a_body_within_the_limit_is_taken(net: Network, log: Log) -> None:
    def act(client: Client) -> Any:
        stream = client.ask("POST", "/", ("content-length", "60000"))
        client.send(stream, b"x" * 60_000, ends=True)
        return client.answer(stream)

    assert await talk(net, HixieSite(Said()), act) == (200, b"60000 bytes, 0 fields")


@asynchronous
async def test_a_request_that_does_not_end_is_408(net: Network, log: Log) -> None:
    def act(client: Client) -> Any:
        streams = [client.ask("GET", "/"), client.ask("POST", "/", ("content-length", "9"))]
        return [client.answer(stream) for stream in streams]

    site = HixieSite(Said(), limits=Limits(request_timeout=0.3))
    assert await talk(net, site, act) == [(408, b"")] * 2


@asynchronous
async def test_a_path_of_thousands_of_segments_is_not_resolved(net: Network, log: Log) -> None:
    def act(client: Client) -> Any:
        return client.answer(client.ask("GET", "/a" * (MOST_SEGMENTS + 1), ends=True))

    assert await talk(net, HixieSite(Said()), act) == (414, b"")


@asynchronous
async def test_a_stream_that_ends_leaves_no_timer(net: Network, log: Log) -> None:
    """Trial fails a test that leaves a timer in the reactor."""
    asked: list[Any] = []

    class Waiting(Leaf):
        def render(self, request: Any) -> bytes:
            asked.append(request)
            return b"0 bytes, 0 fields"

    def act(client: Client) -> Any:
        client.ask("POST", "/", ("content-length", "9"))
        client.http.reset_stream(client.ask("POST", "/"))
        client.flush()

    await talk(net, HixieSite(Waiting(), limits=Limits(request_timeout=600)), act)
    await until(lambda: asked)
