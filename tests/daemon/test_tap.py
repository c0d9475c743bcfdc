"""``twistd hixie`` in a process: services, refusals, log lines, options, routes and its end."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.certificates import certificate
from support.daemon import OPTIONS, PATIENCE, Daemon, free_port, program, run_hixie, running

SLIDES = (
    b"GET /text HTTP/1.1\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Host: example.com\r\n"
    b"WebSocket-Origin: http://example.com\r\n"
    b"WebSocket-Protocol: sample\r\n"
    b"\r\n"
)
SLIDES_ANSWER = (
    b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
    b"Upgrade: WebSocket\r\n"
    b"Connection: Upgrade\r\n"
    b"WebSocket-Origin: http://example.com\r\n"
    b"WebSocket-Location: ws://example.com/text\r\n"
    b"WebSocket-Protocol: sample\r\n"
    b"\r\n"
)
KEYS = b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n"


def request(path: bytes, *lines: bytes, origin: bytes | None = b"http://example.com") -> bytes:
    """A handshake request; the further lines may have the keys."""
    head = [b"GET %b HTTP/1.1" % path, b"Upgrade: WebSocket", b"Connection: Upgrade"]
    head.append(b"Host: example.com")
    if origin is not None:
        head.append(b"Origin: " + origin)
    return b"\r\n".join([*head, *(line.rstrip() for line in lines), b"", b""])


def read(peer: socket.socket, size: int) -> bytes:
    """Read this many bytes, or fewer if the connection ends before."""
    data = b""
    while len(data) < size and (more := peer.recv(size - len(data))):
        data += more
    return data


def read_head(peer: socket.socket) -> bytes:
    """Read the head of the answer."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = peer.recv(1)
        assert more, data
        data += more
    return data


def read_all(peer: socket.socket) -> bytes:
    """Read all bytes up to the end of the connection, in order or by a reset."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := peer.recv(65536):
            data += more
    return data


def asked(daemon: Daemon, data: bytes) -> bytes:
    """The whole answer to bytes after which the server ends the connection."""
    with daemon.connect() as peer:
        peer.sendall(data)
        return read_all(peer)


def opened(daemon: Daemon, data: bytes = SLIDES) -> socket.socket:
    """Open a connection and complete its handshake."""
    peer = daemon.connect()
    peer.sendall(data)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += peer.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 ")
    if b"Sec-WebSocket-Location" in answer:
        read(peer, 16)
    return peer


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


# Services.


def test_the_conversation_of_the_slides_has_exactly_the_expected_bytes(daemon: Daemon) -> None:
    """The slides show a handshake and two messages, on one connection."""
    with daemon.connect() as peer:
        peer.sendall(SLIDES)
        assert read(peer, len(SLIDES_ANSWER)) == SLIDES_ANSWER
        peer.sendall(b"\x00Hello, WebSocket\xff\x80\x10Hello, WebSocket")
        assert read(peer, 36) == b"\x00Hello, WebSocket\xff\x80\x10Hello, WebSocket"


def test_text_and_binary_are_echoed_in_hixie_75(daemon: Daemon) -> None:
    with opened(daemon, request(b"/any/path?x=1")) as peer:
        peer.sendall(b"\x00h\xc3\xa9\xff\x80\x03\xff\x00\xff")
        assert read(peer, 10) == b"\x00h\xc3\xa9\xff\x80\x03\xff\x00\xff"


def test_text_binary_and_close_are_answered_in_hixie_76(daemon: Daemon) -> None:
    with opened(daemon, request(b"/", KEYS) + b"^n:ds[4U") as peer:
        peer.sendall(b"\x00hi\xff\x80\x02hi\xff\x00")
        assert read_all(peer) == b"\x00hi\xff\x80\x02hi\xff\x00"


def test_the_daemon_stops_reading_from_a_peer_that_never_reads(daemon: Daemon) -> None:
    """Back-pressure: the data that the server holds for such a peer is bounded."""
    with opened(daemon) as peer:
        peer.settimeout(3)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 256 * 1024 * 1024:
                sent += peer.send(b"\x00" + b"x" * 65534 + b"\xff")
    assert sent < 256 * 1024 * 1024


def test_the_console_is_served_on_the_same_port(daemon: Daemon) -> None:
    answer = asked(daemon, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"<!doctype html>" in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HEAD / HTTP/1.1", b"200"),
        (b"GET /2009 HTTP/1.1", b"200"),
        (b"GET /other HTTP/1.1", b"404"),
        (b"POST / HTTP/1.1", b"405"),
    ],
)
def test_the_pages_of_the_console_have_their_paths_and_methods(
    daemon: Daemon, head: bytes, status: bytes
) -> None:
    answer = asked(daemon, head + b"\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)


MODERN = (
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
)
HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # RFC 6455 section 5.7


def test_rfc_6455_is_spoken_on_the_same_port(daemon: Daemon) -> None:
    with opened(daemon, request(b"/", MODERN)) as peer:
        peer.sendall(HELLO)
        assert read(peer, 7) == b"\x81\x05Hello"
        port = peer.getsockname()[1]
    line = daemon.logged(f"peer=127.0.0.1:{port} ")
    assert line.endswith(" dialect=rfc6455 origin=http://example.com extensions=permessage-deflate")


def test_limits_pings_and_compression_are_set_by_options(tmp_path: Path) -> None:
    options = ["--max-frame-size", "5", "--max-fragments", "2", "--no-compression"]
    pings = ["--ping-interval", "0.1", "--ping-timeout", "0.2"]
    with running(tmp_path, *options, *pings) as daemon, daemon.connect() as peer:
        peer.sendall(request(b"/", MODERN) + HELLO)
        answer = read_all(peer)
        assert b"permessage-deflate" not in answer
        assert b"\x81\x05Hello" in answer
        assert b"\x89\x08" in answer  # a ping, which the client does not answer
    with running(tmp_path, *options) as daemon:  # without a ping before the bytes that are too many
        with opened(daemon, request(b"/", MODERN)) as peer:
            peer.sendall(HELLO[:1] + b"\x86" + HELLO[2:] + b"!")
            assert read_all(peer).startswith(b"\x88\x11\x03\xf1")  # 1009
        with opened(daemon, request(b"/", MODERN)) as peer:
            peer.sendall(b"\x01\x80abcd" + b"\x00\x80abcd" * 2)
            assert b"\x03\xf1" in read_all(peer)


# Refusals.


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"rubbish\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"GET / HTTP/1.1\nHost: a\n\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
        (request(b"/", origin=b"http://elsewhere.example"), b"403"),
        (request(b"/", b"Sec-WebSocket-Version: 99"), b"426"),
        (request(b"/", KEYS, b"Sec-WebSocket-Draft: 9"), b"400"),
        (request(b"/") + b"\x00early\xff", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", b"405"),
    ],
)
def test_an_invalid_request_is_refused_in_plain_http(
    daemon: Daemon, data: bytes, status: bytes
) -> None:
    assert asked(daemon, data).startswith(b"HTTP/1.1 " + status)


def test_the_option_max_head_size_limits_heads_of_handshakes_and_pages(tmp_path: Path) -> None:
    """The limit of twisted.web, which parses page requests, is raised too."""
    long = b"X: " + b"x" * 20_000
    page = b"GET / HTTP/1.1\r\nHost: a\r\n" + long + b"\r\n\r\n"
    with running(tmp_path, "--max-head-size", "30000") as daemon:
        assert asked(daemon, page).startswith(b"HTTP/1.1 200 ")
        assert asked(daemon, page.replace(b"x" * 200, b"x" * 500)).startswith(b"HTTP/1.1 431 ")
        with daemon.connect() as peer:
            peer.sendall(request(b"/", long))
            assert read(peer, 12) == b"HTTP/1.1 101"


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0", b"GET / HTTP/1.1", b"HEAD / HTTP/1.0"])
def test_a_page_may_be_asked_for_on_a_UNIX_socket_without_a_host(
    line: bytes, tmp_path: Path
) -> None:
    with TemporaryDirectory(prefix="hixie") as directory:
        path = f"{directory}/s"
        with running(tmp_path, "--port", f"unix:{path}") as daemon:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(PATIENCE)
                peer.connect(path)
                peer.sendall(line + b"\r\n\r\n")
                assert read_all(peer)[8:13] == b" 200 "
            assert "Traceback" not in daemon.log


def test_nothing_a_peer_does_leaves_a_traceback(daemon: Daemon) -> None:
    with opened(daemon) as bystander:
        for data in (b"\x01unknown\xff", b"\x81\x01x", b"\x80" * 12, b"\xff\x00"):
            with opened(daemon) as peer:
                peer.sendall(data)
                assert read_all(peer) == b""
        bystander.sendall(b"\x00still here\xff")
        assert read(bystander, 12) == b"\x00still here\xff"
    assert "Traceback" not in daemon.log
    assert daemon.errors == ""


# The log.


def test_a_page_request_has_a_log_line_of_bounded_length_without_tokens(daemon: Daemon) -> None:
    """The request has 15 KB of bytes that the log escapes to four characters each, and a token
    twice."""
    head = (
        b"GET /nowhere?token=s3cret HTTP/1.1\r\nHost: a.example\r\n"
        b"Referer: http://a.example/?t=s3cret\r\nUser-Agent: %b\r\n\r\n" % (b"\xff" * 15_000)
    )
    assert asked(daemon, head).startswith(b"HTTP/1.1 404")
    line = daemon.logged('target="/nowhere?token=..."')
    found = re.search(
        r"page connection=\d+ peer=127\.0\.0\.1:\d+ host=a\.example method=GET "
        r'target="/nowhere\?token=\.\.\." status=404 bytes=\d+ '
        r'referrer="http://a\.example/\?t=\.\.\." agent=(\S+)$',
        line,
    )
    assert found is not None
    assert found[1] == r"\xff" * 200 + "..."
    assert "s3cret" not in daemon.log


@pytest.mark.parametrize(
    ("target", "field", "status", "shown"),
    [
        ("/", "Host: me:s3cret@a.example", 200, "host=***@a.example"),
        ("/", "User-Agent: x (+http://a/?key=s3cret)", 200, 'agent="x (+http://a/?key=..."'),
        ("http://me:s3cret@a.example/", "Accept: x", 400, 'reason="invalid Host"'),
    ],
)
def test_no_credential_of_a_page_request_is_logged(
    daemon: Daemon, target: str, field: str, status: int, shown: str
) -> None:
    host = "" if field.startswith("Host") else "Host: a.example\r\n"
    head = f"GET {target} HTTP/1.1\r\n{host}{field}\r\n\r\n"
    assert asked(daemon, head.encode()).startswith(b"HTTP/1.1 %d" % status)
    daemon.logged(shown)
    assert "s3cret" not in daemon.log


def test_a_client_that_is_refused_repeatedly_has_one_log_line(tmp_path: Path) -> None:
    """A second line at the end has the number of repetitions."""
    with running(tmp_path, "--hosts", "a.example") as daemon:
        for _ in range(50):
            assert asked(daemon, request(b"/")).startswith(b"HTTP/1.1 403")
        daemon.terminate()
        daemon.ended()
        lines = [line for line in daemon.log.splitlines() if " status=403 " in line]
        assert len(lines) == 2
        assert lines[1].endswith(" repeated=49")


def test_the_opening_and_the_end_of_a_connection_have_a_log_line_each(daemon: Daemon) -> None:
    path = b"/logged-once"
    with opened(daemon, request(path)) as peer:
        peer.sendall(b"\x00one\xff")
        read(peer, 5)
        port = peer.getsockname()[1]
        line = daemon.logged("target=/logged-once")
        found = re.search(
            rf"opened (connection=\d+) peer=127\.0\.0\.1:{port} host=example\.com "
            r"target=/logged-once dialect=hixie-75 origin=http://example\.com$",
            line,
        )
        assert found
    line = daemon.logged(f"ended {found[1]} peer=127.0.0.1:{port} host=example.com ")
    assert re.search(r" code=1005 by=peer received=1 sent=1 seconds=\d+\.\d$", line)
    assert daemon.log.count("/logged-once") == 2


def test_a_peers_bytes_are_escaped_in_the_log(daemon: Daemon) -> None:
    head = request(b"/", b"Sec-WebSocket-Protocol: x", origin=b"http://\x1b[31mred")
    asked(daemon, head)
    assert daemon.logged(r"origin=http://\x1b[31mred")
    assert "\x1b" not in daemon.log


# Options.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--port", "rubbish"], r"--port rubbish: expected a port number or an endpoint desc"),
        (["--port", "65536"], r"--port 65536: expected a number from 0 to 65535"),
        (["--port", "tcp:x"], r"--port tcp:x: port x: expected"),
        (["--port", "tcp:1:bogus=1"], r"--port tcp:1:bogus=1: expected"),
        (
            ["--port", "ssl:0:privateKey=/nonexistent.pem"],
            r"--port ssl:0:privateKey=/nonexistent.pem: expected .*No such file",
        ),
        (
            ["--port", "unix:/nonexistent/x"],
            r"--port unix:/nonexistent/x: expected a socket path in a directory",
        ),
        (["--origins", "https://*"], r"--origins https://\*: expected \* alone or as the first"),
        (["--dialects", "hixie-99"], r"--dialects hixie-99: .*hixie-54.*hixie-76"),
        (["--max-message-size", "big"], r"--max-message-size big: expected a number of bytes"),
        (["--max-message-size", "0"], r"--max-message-size 0: expected a number of bytes"),
        (["--max-frame-size", "-1"], r"--max-frame-size -1: expected a number of bytes"),
        (["--max-fragments", "x"], r"--max-fragments x: expected a number of fragments"),
        (["--ping-interval", "soon"], r"--ping-interval soon: expected a number of seconds"),
        (["--ping-timeout", "0"], r"--ping-timeout 0: expected more than 0 seconds"),
        (["--port", "tcp"], r"--port tcp: expected a port number .*: missing port$"),
        (
            ["--serve", "/=static:/nowhere"],
            r"expected static:/PATH of an existing directory; /nowhere is not a directory$",
        ),
        (
            ["--serve", "/=static:"],
            r"expected static:/PATH of an existing directory; there is no path$",
        ),
        (["--serve", "/a b=echo"], r"/a b: expected a path of a URL, .* blanks as %20"),
        (["--port", "ssl:0:privatekey=x"], r": unknown option privatekey=$"),
        (["--serve", "/=tcp:127.0.0.1"], r"such as tcp:HOST:PORT.*: missing port$"),
        (["--serve", "/=http://127.0.0.1/a"], r"expected a URL without a path, not even /: "),
        (["--serve", "/=127.0.0.1:9000"], r"or an endpoint description such as tcp:HOST:PORT$"),
        (["--origins", "https://example.com/"], r"expected an Origin without a path"),
        (
            ["--origins", "example.com"],
            r"--origins example.com: .* scheme, such as https://example.c",
        ),
        (["--origins", "https://a https://b"], r"expected one Origin, such as https://example.com"),
        (["--hosts", "http://example.com"], r"--hosts http://example.com: expected a name such as"),
        (["--hosts", "*.example.com"], r"expected a name such as example.com"),
        (["--nonsense"], r"option --nonsense not recognized; --help lists the options$"),
        (["--orgin", "x"], r"option --orgin not recognized; did you mean --origins\?$"),
        (["-n"], r"option -n not recognized; .* option of twistd before hixie: twistd -n hixie$"),
        (["--pidfile", "x"], r"not recognized; .* before hixie: twistd --pidfile hixie$"),
        (["-z"], r"option -z not recognized; --help lists the options$"),
        (["word"], r"word: expected options only$"),
        (["--serve", "/=echo", "x=y"], r"x=y: expected options only; a route is one word: --serve"),
    ],
)
def test_an_error_in_the_options_is_the_last_line_of_stderr(
    options: list[str], expected: str
) -> None:
    """The line names the option, its value and what was expected; status 1, no traceback."""
    result = run_hixie(*options)
    assert re.search(expected, result.stderr.splitlines()[-1])
    assert result.returncode == 1
    assert "Traceback" not in result.stderr + result.stdout


def test_the_reason_why_the_daemon_cannot_start_is_in_the_log_file_too(
    daemon: Daemon, tmp_path: Path
) -> None:
    """A daemon's standard error is discarded, and the shell gets 100 characters of the reason."""
    port = f"tcp:{daemon.port}:interface=127.0.0.1"
    own = [f"--pidfile={tmp_path / 'pid'}", f"--logfile={tmp_path / 'log'}"]
    command = [program("twistd"), *own, "hixie", "--port", port]
    ended = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    line = f"hixie: --port {port}: cannot listen: Address already in use"
    assert line in (tmp_path / "log").read_text()


@pytest.mark.parametrize("runner", ["twistd", "twist"])
def test_a_port_that_is_taken_is_named(daemon: Daemon, runner: str) -> None:
    port = f"tcp:{daemon.port}:interface=127.0.0.1"
    result = run_hixie("--port", port, runner=runner)
    assert result.stderr.splitlines() == [
        f"hixie: --port {port}: cannot listen: Address already in use"
    ]
    assert result.returncode == 1


def test_check_works_beside_a_running_daemon(tmp_path: Path) -> None:
    """``twistd`` reads the pid file, here the running daemon's, only after the options."""
    (tmp_path / "twistd.pid").write_text(f"{os.getppid()}")
    command = [program("twistd"), "-n", "hixie", "--check"]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("port              8080\n")


def test_the_shell_gets_the_reason_why_a_daemon_cannot_start(
    daemon: Daemon, tmp_path: Path
) -> None:
    """Without ``-n`` the reason has to cross two forks. No pid file stays."""
    port = f"tcp:{daemon.port}:interface=127.0.0.1"
    command = [program("twistd"), "--pidfile=pid", "--logfile=log", "hixie", "--port", port]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert f"--port {port}" in result.stderr
    assert result.returncode == 1
    deadline = (
        time.monotonic() + PATIENCE
    )  # the shell gets the reason before the pid file is removed
    while (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not (tmp_path / "pid").exists()


def test_the_version_option_prints_the_versions_of_txhixie_and_twisted() -> None:
    result = run_hixie("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"txhixie \d+\.\d+\.\d+, Twisted \d+\.\d+\.\d+\n", result.stdout)


def test_the_help_names_every_option() -> None:
    result = run_hixie("--help")
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: twistd [options] hixie [options]\n")
    for option in OPTIONS:
        assert option in result.stdout


def test_origins_hosts_dialects_and_the_message_size_are_set_by_options(tmp_path: Path) -> None:
    options = ["--origins", "null", "--origins", "https://Good.example", "--hosts", "example.com"]
    options += ["--dialects", "hixie-75", "--max-message-size", "10"]
    with running(tmp_path, *options) as daemon:
        for origin in (b"null", b"https://good.example", None):
            with opened(daemon, request(b"/", origin=origin)) as peer:
                peer.sendall(b"\x000123456789\xff")
                assert read(peer, 12) == b"\x000123456789\xff"
                peer.sendall(b"\x000123456789A\xff")
                assert read_all(peer) == b""
        assert asked(daemon, request(b"/")).startswith(b"HTTP/1.1 403")
        foreign = request(b"/", origin=None).replace(b"example.com", b"rebound.example")
        assert asked(daemon, foreign).startswith(b"HTTP/1.1 403")
        answer = asked(daemon, SLIDES)
        assert answer.startswith(b"HTTP/1.1 426")
        assert b"supported dialects: hixie-75" in answer


def test_any_origin_is_admitted_with_the_option_origins_star(tmp_path: Path) -> None:
    with running(tmp_path, "--origins", "*") as daemon:
        opened(daemon, request(b"/", origin=b"file://")).close()


def test_the_daemon_listens_on_every_given_endpoint(tmp_path: Path) -> None:
    path, port = tmp_path / "socket", free_port()
    options = ["--port", f"unix:{path}", "--port", str(port)]
    with running(tmp_path, *options):
        for address in (os.fspath(path), ("127.0.0.1", port)):
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            with socket.socket(family) as peer:
                peer.settimeout(PATIENCE)
                peer.connect(address)
                peer.sendall(SLIDES)
                assert read(peer, len(SLIDES_ANSWER)) == SLIDES_ANSWER


def test_the_daemon_serves_TLS(tmp_path: Path) -> None:
    """The endpoint has a certificate, so the Location of the answer is ``wss:``."""
    made, pem, port = certificate(), tmp_path / "both.pem", free_port()
    key = made.privateKey.original.to_cryptography_key()
    public = made.original.to_cryptography().public_bytes(Encoding.PEM)
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + public)
    endpoint = f"ssl:{port}:privateKey={pem}:certKey={pem}:interface=127.0.0.1"
    context = ssl.create_default_context(cadata=public.decode())
    with (
        running(tmp_path, "--port", endpoint),
        socket.create_connection(("127.0.0.1", port), PATIENCE) as below,
        context.wrap_socket(below, server_hostname="localhost") as peer,
    ):
        peer.sendall(SLIDES.replace(b"http:", b"https:"))
        answer = SLIDES_ANSWER.replace(b"http:", b"https:").replace(b"ws://", b"wss://")
        assert read(peer, len(answer)) == answer


def test_the_daemon_takes_a_socket_from_systemd(tmp_path: Path) -> None:
    """systemd passes descriptors from 3 on, to the process whose number is in LISTEN_PID."""
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='web'); "
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-c", script, str(listening.fileno()), program("twistd")]
        command += ["-n", "--pidfile=", "hixie", "--port", "systemd:domain=INET:index=0"]
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                with socket.create_connection(listening.getsockname(), PATIENCE) as peer:
                    peer.sendall(SLIDES)
                    assert read(peer, len(SLIDES_ANSWER)) == SLIDES_ANSWER
            finally:
                process.terminate()


def test_twist_runs_the_daemon_too(tmp_path: Path) -> None:
    with running(tmp_path, runner="twist") as daemon, opened(daemon) as peer:
        peer.sendall(b"\x00hi\xff")
        assert read(peer, 4) == b"\x00hi\xff"


# The end of the daemon.


def test_sigterm_closes_each_connection_as_its_dialect_does(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        with opened(daemon) as old, opened(daemon, request(b"/", KEYS) + b"^n:ds[4U") as peer:
            daemon.terminate()
            assert read(peer, 2) == b"\xff\x00"
            assert read_all(old) == b""
            peer.sendall(b"\xff\x00")
            assert read_all(peer) == b""
        assert daemon.ended() == -signal.SIGTERM
        assert daemon.errors == ""
        assert "Traceback" not in daemon.log


def test_a_second_signal_ends_the_daemon_at_once(tmp_path: Path) -> None:
    """The peer does not answer the close, and the daemon does not wait for the peer."""
    with running(tmp_path, "--stop-timeout", "3000") as daemon:
        with opened(daemon, request(b"/", KEYS) + b"^n:ds[4U") as peer:
            daemon.terminate()
            assert read(peer, 2) == b"\xff\x00"
            daemon.terminate(signal.SIGINT)
            assert daemon.ended() in (-signal.SIGTERM, -signal.SIGINT)
        assert daemon.errors == ""
        assert "Traceback" not in daemon.log


def test_the_daemon_works_on_after_it_ran_out_of_file_descriptors(tmp_path: Path) -> None:
    """Open connections are served, and new ones once others have been closed."""
    with running(tmp_path) as daemon:
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (24, hard))
        with opened(daemon) as first:
            crowd = [daemon.connect() for _ in range(40)]
            first.sendall(b"\x00hi\xff")
            assert read(first, 4) == b"\x00hi\xff"
            for peer in crowd:
                peer.close()
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), daemon.connect() as peer:
                    peer.sendall(SLIDES)
                    if read(peer, len(SLIDES_ANSWER)) == SLIDES_ANSWER:
                        break
                time.sleep(0.05)
            else:
                raise AssertionError("nobody new was served")


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one(daemon: Daemon) -> None:
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    assert soft == hard


# Routes.


def test_each_path_has_its_service_and_any_other_path_is_a_404(tmp_path: Path) -> None:
    """This holds for handshakes in every dialect. There is no console without its option."""
    options = ["--serve", "/a=echo", "--serve", "*.example.com/b=echo required-subprotocol=chat"]
    with running(tmp_path, *options) as daemon:
        opened(daemon, request(b"/a/below")).close()
        for path in (b"/", b"/ab", b"/b"):
            for lines in ((), (KEYS,), (MODERN,)):
                assert asked(daemon, request(path, *lines)).startswith(b"HTTP/1.1 404")
        assert asked(daemon, SLIDES).startswith(b"HTTP/1.1 404")
        chat = request(b"/b", MODERN, b"Sec-WebSocket-Protocol: other, chat")
        assert asked(daemon, chat).startswith(b"HTTP/1.1 404")
        with opened(daemon, chat.replace(b"example.com", b"a.example.com")) as peer:
            peer.sendall(HELLO)
            assert read(peer, 7) == b"\x81\x05Hello"
        line = daemon.logged("target=/b dialect=")
        assert " subprotocol=chat offered=other" in line
        page = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
        assert asked(daemon, page).startswith(b"HTTP/1.1 404")


def test_the_console_is_served_at_the_path_of_its_option(tmp_path: Path) -> None:
    options = ["--serve", "/a=echo", "--console", "/a/console"]
    with running(tmp_path, *options) as daemon:
        for path, status in {
            b"/a/console/": b"200",
            b"/a/console/2009": b"200",
            b"/a/console/3": b"404",
            b"/": b"404",
            b"/a": b"404",
        }.items():
            head = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path
            assert asked(daemon, head).startswith(b"HTTP/1.1 " + status), path
        answer = asked(daemon, b"GET /a/%63onsole?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 301")
        assert b"\r\nLocation: /a/console/?x=1\r\n" in answer
        opened(daemon, request(b"/a/console/")).close()


# Reverse proxies.

INTRODUCED = b"PROXY TCP4 203.0.113.9 198.51.100.1 51000 443\r\n"
FORWARDED = (
    b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example"
)


def test_a_reverse_proxy_is_trusted_if_it_is_named(tmp_path: Path) -> None:
    """The PROXY protocol header is used first, then the X-Forwarded-* fields of the address in
    it."""
    options = ["--proxy-protocol", "127.0.0.0/8", "--trust-forwarded", "203.0.113.9"]
    with running(tmp_path, *options) as daemon:
        with opened(daemon, INTRODUCED + request(b"/one")):
            assert daemon.logged("peer=203.0.113.9:51000 host=example.com target=/one dialect=")
        forwarded = request(b"/two", FORWARDED, origin=b"https://public.example")
        with daemon.connect() as peer:
            for byte in INTRODUCED + forwarded:
                peer.sendall(bytes([byte]))
            answer = read_head(peer)
            assert b"\r\nWebSocket-Location: wss://public.example/two\r\n" in answer
            assert daemon.logged("peer=203.0.113.7 host=public.example target=/two dialect=")
        assert asked(daemon, request(b"/three")) == b""
        assert daemon.logged("expected a PROXY protocol header")


def test_a_proxy_that_is_not_named_is_not_trusted(tmp_path: Path) -> None:
    options = ["--proxy-protocol", "10.0.0.0/8", "--trust-forwarded", "10.0.0.0/8"]
    with running(tmp_path, *options) as daemon:
        assert asked(daemon, INTRODUCED + request(b"/")).startswith(b"HTTP/1.1 400")
        with daemon.connect() as peer:
            peer.sendall(request(b"/two", FORWARDED))
            assert b"\r\nWebSocket-Location: ws://example.com/two\r\n" in read_head(peer)
            assert daemon.logged(
                f"peer=127.0.0.1:{peer.getsockname()[1]} host=example.com target=/two "
            )


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ([], 0o666),
        (["--trust-forwarded", "127.0.0.1"], 0o666),
        (["--trust-forwarded", "unix"], 0o660),
        (["--proxy-protocol", "unix"], 0o660),
    ],
)
def test_a_unix_socket_of_trusted_peers_is_not_open_to_all_users(
    tmp_path: Path, options: list[str], mode: int
) -> None:
    """The operator can set another mode."""
    default, said = tmp_path / "a.sock", tmp_path / "b.sock"
    ports = ["--port", f"unix:{default}", "--port", f"unix:{said}:mode=622"]
    with running(tmp_path, *ports, *options):
        assert stat.S_IMODE(default.stat().st_mode) == mode
        assert stat.S_IMODE(said.stat().st_mode) == 0o622


def test_the_location_is_secure_if_a_reverse_proxy_terminates_tls(tmp_path: Path) -> None:
    with running(tmp_path, "--secure") as daemon, daemon.connect() as peer:
        peer.sendall(SLIDES.replace(b"http:", b"https:"))
        answer = SLIDES_ANSWER.replace(b"http:", b"https:").replace(b"ws://", b"wss://")
        assert read(peer, len(answer)) == answer


@pytest.mark.parametrize("option", ["--proxy-protocol", "--trust-forwarded"])
def test_a_trusted_proxy_is_named_by_an_address(option: str) -> None:
    result = run_hixie(option, "proxy.example.com")
    assert result.stderr.splitlines()[-1] == (
        f"hixie: {option} proxy.example.com: expected an address, a network such as 10.0.0.0/8, "
        "or unix"
    )
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("options", "isNoted"),
    [
        ("--origins https://example.com", True),
        ("--origins https://example.com --port 8081", True),
        ("--origins *", False),
        ("--origins https://example.com,http://localhost:8080", False),
        ("--origins https://example.com --secure", False),
        ("--origins https://example.com --serve /=echo", False),
        ("", False),
    ],
)
def test_origins_without_the_origin_of_the_console_page_are_noted(
    options: str, isNoted: bool
) -> None:
    result = run_hixie(*options.split(), "--check")
    assert result.returncode == 0
    noted = "cannot connect: --origins has not its own origin; add it, such as http://127.0.0.1:80"
    assert (noted in result.stderr) == isNoted


@pytest.mark.parametrize(
    ("routes", "isNoted"),
    [
        (["/a=echo origins=https://a.example"], True),
        (["/a=echo origins=https://a.example", "/b=echo"], False),
        (["/a=echo origins=https://a.example", "/b=echo origins=*"], False),
        (["/a=echo origins=https://a.example,http://localhost:8080"], False),
        (["/a=static:."], False),
    ],
)
def test_origins_of_routes_without_the_origin_of_the_console_page_are_noted(
    routes: list[str], isNoted: bool
) -> None:
    """The page can connect if one route takes its origin."""
    options = [word for route in routes for word in ("--serve", route)]
    result = run_hixie("--console", "/", *options, "--check")
    assert result.returncode == 0
    noted = "cannot connect: no route has its own origin; add it, such as http://127.0.0.1:8080"
    assert (noted in result.stderr) == isNoted


def test_origins_without_the_origin_of_the_console_page_are_logged(tmp_path: Path) -> None:
    with running(tmp_path, "--origins", "https://example.com") as daemon:
        daemon.logged(f"the console page at port {daemon.port} cannot connect")
