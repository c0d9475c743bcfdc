"""The examples, run as a reader runs them: as processes, and in the browsers that they are for."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.utils import getProcessOutputAndValue

from browser.chromium import Browser, grow, started
from support import guide_pages, handshake_bytes, third_party
from support.applications import Answering, Applications, Recorder
from support.daemon import PATIENCE, free_port, program, running
from support.dialect_names import NAMES
from support.frames import MASK, modern_frame
from support.network import Network
from support.real_proxies import squid
from support.waiting import asynchronous, reactor, until, within
from txhixie import CleanClose, HixieClientFactory, Offer
from txhixie.sansio.wire.frame import Opcode

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PHANTOM = Path(__file__).parent / "peers" / "phantom"
OPTIONS = ["--ssl-certificates-path=/nonexistent", "--proxy-type=none"]
FILES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_file())


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_short_and_has_a_docstring_and_a_test(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert text.startswith(('"""', "<!DOCTYPE"))
    assert f'"{Path(name).stem}.' in guide_pages.example_tests()


@contextmanager
def serving(name: str, directory: Path, *command: str, told: str = "") -> Iterator[int]:
    """
    An example that serves, on a port of its own, until the block ends.

    :param command: what runs it, instead of Python.
    :param told: a further argument.
    """
    port = free_port()
    where = f"tcp:{port}:interface=127.0.0.1"
    example = os.fspath(EXAMPLES / name)
    started = [*command, example] if command else [sys.executable, example, where]
    started += [told] if told else []
    environment = {**os.environ, "WHERE": where}
    with subprocess.Popen(started, cwd=directory, env=environment) as process:
        try:
            connected(port).close()
            yield port
            assert process.poll() is None, f"{name} has ended"
        finally:
            process.terminate()


def run(name: str, *arguments: str, fails: bool = False, **environment: str) -> str:
    """Run an example to its end. Return its output, or fail with the error."""
    command = [sys.executable, os.fspath(EXAMPLES / name), *arguments]
    ran = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    said, unsaid = (ran.stderr, ran.stdout) if fails else (ran.stdout, ran.stderr)
    assert (ran.returncode, unsaid) == (int(fails), "")
    return said


def asks(port: int, path: str = "/", words: str = "hello") -> str:
    """Run the example's client against a server of the examples. Return its output."""
    return run("echo_client.py", f"ws://127.0.0.1:{port}{path}", words)


def connected(port: int) -> socket.socket:
    """Connect as soon as the port is listened on."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def fetched(port: int) -> str:
    """Get the page at a URL."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as page:
        return str(page.read().decode())


# Servers and clients.


def test_the_echo_server_echoes(tmp_path: Path) -> None:
    with serving("echo.py", tmp_path) as port, connected(port) as peer:
        opens(peer)
        say(peer, "hello")
        assert heard(peer) == "hello"


def test_the_echo_client_sends_a_message_and_receives_it(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        url = f"ws://127.0.0.1:{daemon.port}/"
        assert run("echo_client.py", url, "hello") == "hello\n"


def test_a_WebSocket_is_a_resource_among_the_pages_of_a_site(tmp_path: Path) -> None:
    with serving("in_site.py", tmp_path) as port:
        assert "A page like any other" in fetched(port)
        assert asks(port, "/echo") == "hello\n"


def test_a_service_is_started_by_twistd_and_closes_its_connections(tmp_path: Path) -> None:
    twistd = (program("twistd"), "--pidfile=", "-ny")
    with serving("in_service.py", tmp_path, *twistd) as port:
        assert asks(port) == "welcome\n"
        peer = connected(port)
        peer.sendall(
            b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        seen = b""
        while b"welcome" not in seen:
            seen += peer.recv(4096)
    # The service has ended.
    with peer:
        seen = b""
        while data := peer.recv(4096):
            seen += data
    assert seen == b"\x88\x11\x03\xe9server shutdown"


def test_a_line_protocol_runs_over_messages(tmp_path: Path) -> None:
    with serving("lines.py", tmp_path) as port, connected(port) as peer:
        opens(peer)
        assert heard(peer) == "numbers, please"
        say(peer, "1 2 3")
        assert heard(peer) == "6"
        say(peer, "one")
        assert heard(peer) == "numbers only"
        assert peer.recv(1) == b""


def test_a_coroutine_sends_and_awaits_the_answers_in_turn(tmp_path: Path) -> None:
    """Seven questions find one of a hundred numbers: each answer halves the range."""
    with serving("coroutine_server.py", tmp_path) as port, connected(port) as peer:
        opens(peer)
        assert "from 1 to 100" in heard(peer)
        say(peer, "x")
        assert heard(peer) == "A number, please."
        least, most = 1, 100
        while least < most:
            middle = (least + most) // 2
            say(peer, str(middle))
            answer = heard(peer)
            least, most = {
                "Higher.": (middle + 1, most),
                "Lower.": (least, middle - 1),
                "That is it.": (middle, middle),
            }[answer]
        if answer != "That is it.":
            say(peer, str(least))
            assert heard(peer) == "That is it."
        assert peer.recv(1) == b""


def test_a_client_connects_through_a_proxy_or_reports_its_refusal(tmp_path: Path) -> None:
    """The proxy is squid with authentication."""
    with running(tmp_path) as daemon, squid("basic") as proxy:
        url = f"ws://127.0.0.1:{daemon.port}/"
        said = run("behind_proxy.py", url, "hello", proxy.url_with_credentials)
        assert said == "hello\n"
        said = run("behind_proxy.py", url, "hello", proxy.url, fails=True)
        assert said == "the proxy refused with status 407\n"
        said = run("behind_proxy.py", url, "hello", http_proxy=proxy.url_with_credentials)
        assert said == "hello\n"


@asynchronous
async def test_a_client_reconnects_until_it_is_closed_with_1008(net: Network) -> None:
    """The first connection is cut, the second one is closed with 1008."""
    ends: list[Callable[[Recorder], object]] = [
        lambda app: app.transport.abortConnection(),
        lambda app: app.transport.loseConnection(1008, "enough"),
    ]
    tokens: list[str | None] = []

    def answer(offer: Offer) -> Recorder:
        tokens.append(offer.header("authorization"))
        return Recorder(text=lambda app: greets(app, ends.pop(0)))

    def greets(app: Recorder, end: Callable[[Recorder], object]) -> None:
        app.transport.sendTextMessage(f"{len(tokens)} for {app.messages[0]!r}")
        end(app)

    place = await net.serve(Answering(answer))
    running: Any = getProcessOutputAndValue(
        sys.executable,
        [os.fspath(EXAMPLES / "reconnecting_client.py"), place.url()],
        env=os.environ,
    )
    out, errors, status = await within(running, PATIENCE)
    assert (errors, status) == (b"", 0)
    assert out.decode().splitlines()[-2:] == [
        "2 for 'here I am'",
        "not connecting again: Connection was closed cleanly: enough.",
    ]
    assert len(set(tokens)) == 2
    assert not ends


def opens(peer: socket.socket, path: bytes = b"/") -> None:
    """Perform the handshake of hixie-75."""
    lines = [b"GET %b HTTP/1.1" % path, b"Upgrade: WebSocket", b"Connection: Upgrade", b"Host: a"]
    peer.sendall(b"\r\n".join([*lines, b"", b""]))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = peer.recv(1)
        assert more, f"the end came after {head!r}"
        head += more
    assert head.startswith(b"HTTP/1.1 101 "), head


def say(peer: socket.socket, words: str) -> None:
    """Send a text message of hixie-75."""
    peer.sendall(b"\x00" + words.encode() + b"\xff")


def heard(peer: socket.socket) -> str:
    """Receive the next text message."""
    data = b""
    while not data.endswith(b"\xff"):
        more = peer.recv(1)
        assert more, f"the end came after {data!r}"
        data += more
    return data[1:-1].decode()


def test_a_gateway_relays_only_clients_with_the_password(tmp_path: Path) -> None:
    with (
        serving("echo.py", tmp_path) as backend,
        serving("gateway.py", tmp_path, told=f"ws://127.0.0.1:{backend}") as port,
    ):
        with connected(port) as peer:
            opens(peer, b"/?word=sesame")
            say(peer, "hello")
            assert heard(peer) == "hello"
        with connected(port) as peer, pytest.raises(AssertionError, match=r"HTTP/1\.1 403 "):
            opens(peer, b"/?word=open")


# Pages.


@pytest.fixture(scope="module", name="chromium")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def test_a_chat_sends_each_message_to_all_members(tmp_path: Path, chromium: Browser) -> None:
    assert (EXAMPLES / "chat.html").exists()
    with serving("chat.py", tmp_path) as port:
        chromium.open(f"http://127.0.0.1:{port}/")
        chromium.awaits("state", "connected")
        assert asks(port, words="good <b>evening</b>") == "good <b>evening</b>\n"
        chromium.awaits("said", "good <b>evening</b>")
        chromium.element("words").send_keys("and to you\n")
        chromium.awaits("said", "and to you")
        chromium.hold_timers()
    chromium.awaits("state", "connecting again")
    assert grow(chromium.fire(6))


def test_a_page_of_a_chat_connects_again(tmp_path: Path, chromium: Browser) -> None:
    with serving("chat.py", tmp_path) as port:
        chromium.open(f"http://127.0.0.1:{port}/")
        chromium.awaits("state", "connected")
        chromium.driver.execute_script("socket.close()")
        chromium.awaits("state", "connecting again")
        chromium.awaits("state", "connected")
        assert asks(port, words="still here?") == "still here?\n"
        chromium.awaits("said", "still here?")


class Guest:
    """A member of the chat that reads and writes the bytes itself."""

    def __init__(self, port: int, buffer: int | None = None) -> None:
        """:param buffer: bytes that the kernel takes for it unread."""
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(handshake_bytes.whole_request("rfc6455"))
        self.reading = self.socket.makefile("rb")
        assert b" 101 " in self.reading.readline()
        while self.reading.readline() != b"\r\n":
            pass

    def say(self, opcode: int, payload: bytes) -> None:
        self.socket.sendall(modern_frame(opcode, payload, key=MASK))

    def hears(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        first, size = self.reading.read(2)
        if size == 126:
            size = int.from_bytes(self.reading.read(2), "big")
        return first & 0x0F, self.reading.read(size)

    def close(self) -> None:
        self.reading.close()
        self.socket.close()

    def vanish(self) -> None:
        """Leave without a close frame: the kernel sends a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def test_a_chat_survives_slow_members_lost_members_and_a_stop(tmp_path: Path) -> None:
    """
    The other members receive every message. A member that reads nothing and one that reads a third
    of the messages are closed with 1013. Other members reset their connections, or are closed and
    do not answer the close frame.
    """
    with ExitStack() as stack:
        process, log = stack.enter_context(chatting(tmp_path))
        speaker, listener = (stack.enter_context(closing(Guest(process.port))) for _ in range(2))
        stack.enter_context(closing(Guest(process.port, buffer=4096)))  # reads nothing
        slow = stack.enter_context(closing(Guest(process.port, buffer=4096)))
        for number in itertools.count():
            if number % 50 == 0:
                leaving = stack.enter_context(closing(Guest(process.port)))
                leaving.say(Opcode.BINARY, b"no text")
                assert leaving.hears() == (Opcode.CLOSE, b"\x03\xebtext only")
                Guest(process.port).vanish()
            words = f"{number} ".encode().ljust(20_000, b"x")
            speaker.say(Opcode.TEXT, words)
            assert speaker.hears() == (Opcode.TEXT, words)
            assert listener.hears() == (Opcode.TEXT, words)
            if number % 3 == 0:
                opcode, payload = slow.hears()
                if opcode == Opcode.CLOSE:
                    slow.say(Opcode.CLOSE, payload)
                    break
        assert payload == b"\x03\xf5too slow"
        process.terminate()
        for member in (speaker, listener):
            assert member.hears() == (Opcode.CLOSE, b"\x03\xe9")
            member.say(Opcode.CLOSE, b"\x03\xe9")
        assert process.wait(PATIENCE) == 0
        assert log.read_text().count(" code=1013 ") == 2
        assert "Traceback" not in log.read_text()


class Serving(subprocess.Popen[bytes]):
    """
    The process of a server.

    :ivar port: the port on which it listens.
    """

    port: int


@contextmanager
def chatting(directory: Path, name: str = "chat.py") -> Iterator[tuple[Serving, Path]]:
    """Run a server in a process until the block ends. Yield it with the path of its log."""
    port, log = free_port(), directory / "log"
    command = [sys.executable, os.fspath(EXAMPLES / name), f"tcp:{port}:interface=127.0.0.1"]
    with log.open("wb") as file, Serving(command, stdout=file, stderr=file) as process:
        process.port = port
        try:
            connected(port).close()
            yield process, log
        finally:
            process.kill()


async def joined(net: Network, port: int, dialect: str) -> Recorder:
    """Connect a member of the room /garden in a dialect."""
    application = Recorder()
    url = f"ws://127.0.0.1:{port}/garden"
    factory = HixieClientFactory(url, Applications(lambda: application), dialect=dialect)
    net.factories.append(factory)
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    wire: Any = await within(endpoint.connect(cast("IProtocolFactory", factory)))
    await within(wire.whenOpen())
    return application


@asynchronous
async def test_a_room_of_200_members_with_slow_and_leaving_ones(
    tmp_path: Path, net: Network
) -> None:
    """
    All dialects, a tenth of the members slow, and a tenth leaving: half of these are lost.

    The others receive every message. The slow ones receive what was sent before they were closed.
    """
    with chatting(tmp_path, "rooms.py") as (process, log):
        members = [await joined(net, process.port, NAMES[number % 6]) for number in range(200)]
        slow, leaving, rest = members[::10], members[1::10], []
        for index, member in enumerate(members):
            if index % 10 == 0:
                member.transport.pauseProducing()
            elif index % 10 != 1:
                rest.append(member)
        sent: list[str] = []
        left = list(leaving)

        def closed() -> int:
            return sum(map(int, re.findall(r"/garden: (\d+) closed", log.read_text())))

        while left or closed() < len(slow):
            sent.append(f"{len(sent)} {secrets.token_hex(50_000)}")  # hardly compressible
            rest[len(sent) % len(rest)].transport.sendTextMessage(sent[-1])
            await until(lambda: all(len(member.messages) == len(sent) for member in rest), PATIENCE)
            if left:
                member = left.pop()
                (member.transport.loseConnection if left else member.transport.abortConnection)()
        assert closed() == len(slow)
        for member in slow:
            member.transport.resumeProducing()
        await until(lambda: all(member.lost is not None for member in (*slow, *leaving)), PATIENCE)
        for member in (*slow, *leaving):
            assert member.messages == sent[: len(member.messages)]
            assert len(member.messages) < len(sent)
        codes = {cast("CleanClose", member.lost).code for member in slow}
        assert codes == {1013, 1005}
        assert all(member.messages == sent for member in rest)
        process.terminate()
        await until(lambda: all(member.lost is not None for member in rest), PATIENCE)
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in log.read_text()


def test_a_plot_is_drawn_as_numbers_are_received(tmp_path: Path, chromium: Browser) -> None:
    assert (EXAMPLES / "plot.html").exists()
    with serving("plot.py", tmp_path) as port:
        chromium.open(f"http://127.0.0.1:{port}/")
        chromium.awaits("count", "5")
        assert -1 <= float(chromium.text("last")) <= 1
        points = str(chromium.element("line").get_attribute("points"))
        assert len(points.split()) >= 5
        assert [said for said in chromium.complaints() if "favicon" not in said] == []


def test_a_page_of_2009_works_in_a_browser_of_its_time(tmp_path: Path) -> None:
    browser = third_party.phantomjs()
    plan = tmp_path / "plan.json"
    with serving("old_browser.py", tmp_path) as port:
        assert asks(port).endswith(" in rfc6455\n")
        assert "HTML 4.01" in (EXAMPLES / "old_browser.html").read_text()
        plan.write_text(
            json.dumps(
                {
                    "page": f"http://127.0.0.1:{port}/",
                    "button": "ask",
                    "place": "answer",
                    "first": "connected",
                    "patience": PATIENCE * 500,
                }
            )
        )
        ran = subprocess.run(
            [os.fspath(browser), *OPTIONS, os.fspath(PHANTOM / "press.js"), str(plan)],
            env={**os.environ, "OPENSSL_CONF": "/dev/null", "HOME": str(tmp_path)},
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
    seen = json.loads(ran.stdout)
    assert seen["complaints"] == []
    assert seen["said"][-1].endswith(" in hixie-76")
