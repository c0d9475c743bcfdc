"""Apache, lighttpd and Caddy in front of the daemon, configured as in docs/howto/apache.rst,
docs/howto/lighttpd.rst and docs/howto/caddy.rst; and real clients of old dialects through them and
through nginx.

What they have in common: they write every head anew. The slides' dialect, which is fixed to the
byte, gets through nginx alone.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.phantomjs import Browse
from peers.reverse_proxies import daemon, running, written
from peers.test_front import (
    CLIENT,
    Front,
    behind_nginx,
    read_exactly,
    read_until,
    shake_hands,
    talk,
)
from support import third_party
from support.daemon import PATIENCE, free_port
from support.dialect_names import NAMES
from support.handshake_bytes import request, status_of, whole_request

HERE = Path(__file__).parent
ORIGIN = "http://localhost"

APACHE = """\
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {directory}/apache.pid
ErrorLog {directory}/errors
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
User nobody
Group nogroup
Include {directory}/apache.conf
"""
"""The parts of Debian's apache2.conf around our configuration, with paths in a directory of the
test."""

CADDY = "{\n    admin off\n    auto_https off\n}\n"


def apache(front: Front) -> list[str | Path]:
    written(
        front.directory,
        "apache.conf",
        {"*:80": f"127.0.0.1:{front.plain}", "127.0.0.1:8080": f"127.0.0.1:{front.behind}"},
    )
    whole = front.directory / "whole.conf"
    modules = third_party.apache_modules()
    text = APACHE.format(directory=front.directory, port=front.plain, modules=modules)
    whole.write_text(text, "utf-8")
    return [third_party.apache(), "-X", "-f", whole]


def lighttpd(front: Front) -> list[str | Path]:
    rules = written(
        front.directory,
        "lighttpd.conf",
        {
            "server.port = 80\n": f'server.bind = "127.0.0.1"\nserver.port = {front.plain}\n',
            "/var/www/html": front.directory,
            '"port" => 8080': f'"port" => {front.behind}',
        },
    )
    return [third_party.lighttpd(), "-D", "-f", rules]


def caddy(front: Front) -> list[str | Path]:
    rules = written(
        front.directory,
        "Caddyfile",
        {
            "example.com {\n": f"{CADDY}http://:{front.plain} {{\n    bind 127.0.0.1\n",
            "127.0.0.1:8080": f"127.0.0.1:{front.behind}",
        },
    )
    command: list[str | Path] = [third_party.caddy(), "run", "--adapter", "caddyfile"]
    # Caddy keeps its files in the user's home directory.
    return ["env", f"HOME={front.directory}", *command, "--config", rules]


PROXIES = {"apache": apache, "lighttpd": lighttpd, "caddy": caddy}


@contextlib.contextmanager
def behind(name: str, directory: Path) -> Iterator[Front]:
    """Start a reverse proxy with the daemon behind it, without a TLS port."""
    front = Front(free_port(), 0, free_port(), directory)
    pages = directory / "www"
    pages.mkdir()
    replaced = {"8080": front.behind, "/srv/www": pages}
    configuration = written(directory, "hixie.toml", replaced)
    command = PROXIES[name](front)
    with (
        running(daemon(configuration), [front.behind], directory),
        running(command, [front.plain], directory),
    ):
        yield front


def _fixture(name: str, factory: pytest.TempPathFactory) -> Iterator[Front]:
    with behind(name, factory.mktemp(name)) as front:
        yield front


@pytest.fixture(scope="module", name="apache")
def _apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    yield from _fixture("apache", tmp_path_factory)


@pytest.fixture(scope="module", name="lighttpd")
def _lighttpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    yield from _fixture("lighttpd", tmp_path_factory)


@pytest.fixture(scope="module", name="caddy")
def _caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    yield from _fixture("caddy", tmp_path_factory)


@pytest.fixture(scope="module", name="nginx")
def _nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with behind_nginx(tmp_path_factory.mktemp("nginx")) as front:
        yield front


@pytest.fixture
def front(request: pytest.FixtureRequest) -> Front:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Front)
    return made


every = pytest.mark.parametrize("front", list(PROXIES), indirect=True)
REWRITTEN = [name for name in NAMES if name != "hixie-54"]


# Every dialect, by the bytes.


@every
@pytest.mark.parametrize("dialect", REWRITTEN)
def test_every_dialect_of_a_browser_works_through_the_proxy(front: Front, dialect: str) -> None:
    """The client's address is in the log. Key 3 of hixie-76 is sent after the head of the
    answer."""
    target = f"/echo/{dialect}"
    with front.connect() as peer:
        head = shake_hands(peer, dialect, target, apart=dialect == "hixie-76", origin=ORIGIN)
        if dialect.startswith("hixie"):
            assert b"ocation: ws://localhost" + target.encode() + b"\r\n" in head
        talk(peer, dialect)
    assert f" peer={CLIENT}" in front.logged(f"target={target} dialect={dialect}")


@pytest.mark.parametrize("front", ["apache", "lighttpd"], indirect=True)
def test_key_3_is_relayed_together_with_the_head(front: Front) -> None:
    with front.connect() as peer:
        shake_hands(peer, "hixie-76", "/echo/together", origin=ORIGIN)
        talk(peer, "hixie-76")


def test_caddy_drops_key_3_that_is_sent_together_with_the_head(caddy: Front) -> None:
    """docs/howto/caddy.rst describes this; the daemon's log shows such clients."""
    which = {"target": "/echo/swallowed", "host": "localhost", "origin": ORIGIN}
    with caddy.connect() as peer:
        peer.sendall(whole_request("hixie-76", **which))
        assert status_of(read_until(peer, b"\r\n\r\n")) == 101
        peer.settimeout(1)
        with pytest.raises(TimeoutError):
            peer.recv(16)
    line = caddy.logged("did not send the last 8 bytes of its handshake")
    assert "/echo/swallowed" in line


@every
def test_the_slides_dialect_is_refused_where_its_lines_are_rewritten(front: Front) -> None:
    with front.connect() as peer:
        peer.sendall(request("hixie-54", host="localhost", target="/echo", origin=ORIGIN))
        assert status_of(read_until(peer, b"\r\n\r\n")) == 400
    assert front.logged(
        "status=400 reason=\"expected 'Upgrade: WebSocket' and 'Connection: Upgrade'"
    )


@pytest.mark.parametrize("front", ["nginx", *PROXIES], indirect=True)
@pytest.mark.parametrize("listed", ["chat,sample", "x, y"])
@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76"])
def test_a_list_of_subprotocols_is_relayed_unchanged(
    front: Front, dialect: str, listed: str
) -> None:
    name = "WebSocket-Protocol" if dialect == "hixie-75" else "Sec-WebSocket-Protocol"
    with front.connect() as peer:
        peer.sendall(
            request(dialect, f"{name}: {listed}", host="localhost", target="/echo", origin=ORIGIN)
        )
        head = read_until(peer, b"\r\n\r\n")
    assert f"\r\n{name}: {listed}\r\n".lower().encode() in head.lower()


@every
def test_a_client_cannot_forge_its_address(front: Front) -> None:
    lies = ["X-Forwarded-For: 203.0.113.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.b"]
    more = [*lies, "Forwarded: for=203.0.113.2"]
    with front.connect() as peer:
        asked = request("rfc6455", *more, host="localhost", target="/echo/lies", origin=ORIGIN)
        peer.sendall(asked)
        assert status_of(read_until(peer, b"\r\n\r\n")) == 101
    assert CLIENT in front.logged("target=/echo/lies dialect=")
    assert "203.0.113" not in front.log


@every
def test_pages_are_served_through_the_proxy(front: Front) -> None:
    (front.directory / "www" / "index.html").write_bytes(b"<p>a page\n")
    with front.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert status_of(read_until(peer, b"\r\n\r\n")) == 200
        assert read_exactly(peer, 10) == b"<p>a page\n"


# Real clients.


@pytest.mark.parametrize("front", ["nginx", "apache", "lighttpd"], indirect=True)
@pytest.mark.parametrize("subprotocol", ["sample", ["v10.stomp", "v11.stomp"]])
def test_a_browser_of_2012_works_through_the_proxy(
    front: Front, browse: Browse, subprotocol: str | list[str]
) -> None:
    """PhantomJS, in hixie-76, with one subprotocol or a list."""
    seen = browse(
        "websocket.js",
        origin=f"http://127.0.0.1:{front.plain}",
        url=f"ws://127.0.0.1:{front.plain}/echo",
        subprotocol=subprotocol,
        messages=["hello"],
        close="page",
    )
    assert seen["events"] == ["open", "message", "close"]


def conversed(*command: str | Path) -> dict[str, object]:
    """The events that a client prints."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PATIENCE, encoding="utf-8"
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


def ruby(port: int, version: int, origin: str, subprotocol: str, *messages: str) -> object:
    """Ruby's websocket, in one of its versions."""
    command: list[str | Path] = [
        third_party.ruby_with_websocket(),
        "-E",
        "UTF-8",
        HERE / "ruby" / "client.rb",
    ]
    return conversed(*command, str(port), "/echo", str(version), origin, subprotocol, *messages)


@pytest.mark.parametrize("front", ["nginx", "apache", "lighttpd", "caddy"], indirect=True)
@pytest.mark.parametrize("subprotocol", ["", "sample", "v10.stomp,v11.stomp"])
def test_the_ruby_client_of_hixie_75_works_through_the_proxy(
    front: Front, subprotocol: str
) -> None:
    """A list of subprotocols works too; the client compares the answer with the whole list."""
    messages = ["hello", "gr\u00fc\u00dfe", "x" * 70_000]
    origin = f"http://localhost:{front.plain}"
    told = ruby(front.plain, 75, origin, subprotocol, *messages)
    assert told == {"valid": True, "messages": messages}
    assert front.logged(f"target=/echo dialect=hixie-75 origin={origin}")


@pytest.mark.parametrize("front", ["nginx", "apache", "lighttpd"], indirect=True)
@pytest.mark.parametrize("subprotocol", ["", "sample"])
def test_the_ruby_client_of_hixie_76_works_through_the_proxy(
    front: Front, subprotocol: str
) -> None:
    origin = f"http://localhost:{front.plain}"
    told = ruby(front.plain, 76, origin, subprotocol, "hello")
    assert told == {"valid": True, "messages": ["hello"]}


@pytest.mark.parametrize("version", [75, 76])
@pytest.mark.parametrize("subprotocol", ["", "sample", "v10.stomp,v11.stomp"])
def test_the_ruby_client_works_with_the_daemon_without_a_proxy(
    daemon: int, version: int, subprotocol: str
) -> None:
    command: list[str | Path] = [
        third_party.ruby_with_websocket(),
        "-E",
        "UTF-8",
        HERE / "ruby" / "client.rb",
    ]
    origin = f"http://localhost:{daemon}"
    told = conversed(*command, str(daemon), "/", str(version), origin, subprotocol, "hello")
    assert told == {"valid": True, "messages": ["hello"]}


@pytest.mark.parametrize("subprotocol", ["", "binary,base64"])
def test_ws_of_2012_talks_in_version_8(daemon: int, subprotocol: str) -> None:
    """The client sends ``Origin`` and ``Sec-WebSocket-Origin``, and its key has 15 bytes."""
    script = HERE / "programs" / "ws04_client.js"
    url, origin = f"ws://127.0.0.1:{daemon}/", f"http://127.0.0.1:{daemon}"
    command: list[str | Path] = [
        third_party.node(),
        "--no-deprecation",
        script,
        third_party.ws04_library(),
    ]
    messages = ["hello", "gr\u00fc\u00dfe", "x" * 70_000]
    assert conversed(*command, url, origin, subprotocol, *messages) == {
        "open": 8,
        "messages": messages,
        "close": [1000, "done"],
    }


def test_the_origin_of_ws_of_2012_is_its_Sec_WebSocket_Origin(daemon: int) -> None:
    """The client's ``Origin`` field names its own host and is not used."""
    script = HERE / "programs" / "ws04_client.js"
    command: list[str | Path] = [
        third_party.node(),
        "--no-deprecation",
        script,
        third_party.ws04_library(),
    ]
    told = conversed(*command, f"ws://127.0.0.1:{daemon}/", "http://evil.example", "", "hello")
    assert "403" in str(told["error"])
