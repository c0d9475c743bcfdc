"""``txhixie connect`` as a person and a script run it: its output, its errors and its exit status.

The command runs in a process of its own, against the daemon and against scripted servers.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.certificates import Authority, authority, stranger
from support.command_line import Ran, environment, interrupted_handshake, run, secure_daemon, start
from support.daemon import PATIENCE, Daemon, program, running
from support.dialect_marks import each
from support.frames import modern_frame
from support.real_proxies import NAME, PASSWORD, squid
from support.scripted_peer import accept, asking, close, read_frame, read_head, say, serving
from txhixie import DIALECTS
from txhixie.cli.main import COMMANDS

NAMES = [dialect.name for dialect in DIALECTS]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def url(daemon: Daemon) -> str:
    return f"ws://127.0.0.1:{daemon.port}/"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A daemon with TLS: its port, and the file of its certificate authority."""
    directory = tmp_path_factory.mktemp("secure")
    with secure_daemon(directory) as port:
        yield port, os.fspath(directory / "authority.pem")


# One message.


@each
def test_once_writes_the_first_answer_and_nothing_else(url: str, dialect: str) -> None:
    ran = run("connect", "--once", "gr\u00fc\u00dfe", "--dialect", dialect, url)
    assert (ran.status, ran.output, ran.errors) == (0, "gr\u00fc\u00dfe\n".encode(), [])


def test_python_m_txhixie_runs_the_command(url: str) -> None:
    command = [sys.executable, "-m", "txhixie", "connect", "--once", "hello", url]
    ran = subprocess.run(command, capture_output=True, check=False, env=environment())
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"hello\n", b"")


def test_once_closes_with_1000_and_waits_for_the_close_frame_of_the_server() -> None:
    closes: list[tuple[int, bytes]] = []

    def script(peer: socket.socket) -> None:
        accept(peer)
        assert read_frame(peer) == (1, b"hello")
        say(peer, (1, b"first"), (1, b"second"))
        closes.append(read_frame(peer))
        say(peer, closes[0])

    with serving(script) as port:
        ran = run("connect", "--once", "hello", f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output, ran.errors) == (0, b"first\n", [])
    assert closes == [(8, b"\x03\xe8")]


INPUT = "ein\n\nText\r\n\x00 ohne Ende \u2603".encode()


@pytest.mark.parametrize("dialect", ["hixie-76", "rfc6455"])
def test_once_with_a_hyphen_sends_all_input_as_one_message(url: str, dialect: str) -> None:
    ran = run("connect", "--once", "-", "--dialect", dialect, url, given=INPUT)
    assert (ran.status, ran.output, ran.errors) == (0, INPUT, [])


@pytest.mark.parametrize("dialect", ["hixie-54", "hixie-76", "hybi-07", "rfc6455"])
def test_binary_input_and_output_are_raw_bytes(url: str, dialect: str) -> None:
    data = bytes(range(256)) * 1000
    ran = run("connect", "--once", "-", "--binary", "--dialect", dialect, url, given=data)
    assert (ran.status, ran.errors) == (0, [])
    assert ran.output == data


def test_an_empty_input_is_an_empty_message(url: str) -> None:
    assert run("connect", "--once", "-", url).output == b""
    assert run("connect", "--once", "", url).output == b"\n"


def test_input_that_is_not_utf_8_is_not_sent_as_text(url: str) -> None:
    ran = run("connect", "--once", "-", url, given=b"\xff")
    assert (ran.status, ran.output) == (1, b"")
    assert (
        ran.line == "txhixie: standard input is not UTF-8: use --binary to send bytes as they are"
    )


def test_once_without_an_answer_is_exit_status_1() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        close(peer, 1000, b"not today")

    with serving(script) as port:
        ran = run("connect", "--once", "hello", f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output) == (1, b"")
    assert ran.line == "txhixie: no answer: closed by the server: 1000: not today"


# Lines.


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
def test_lines_in_are_messages_out_and_messages_in_are_lines_out(url: str, dialect: str) -> None:
    given = "eins\n\nzw\u00f6lf".encode()
    ran = run("connect", "--dialect", dialect, url, given=given)
    assert (ran.status, ran.output, ran.errors) == (0, given + b"\n", [])


def test_each_line_is_a_message_of_its_own_and_binary_on_request() -> None:
    heard: list[tuple[int, bytes]] = []

    def script(peer: socket.socket) -> None:
        accept(peer)
        heard.extend([read_frame(peer), read_frame(peer)])
        say(peer, (1, b"text"), (2, b"\xff\xfe"))
        close(peer, 1000)

    with serving(script) as port:
        ran = run("connect", "--binary", f"ws://127.0.0.1:{port}/", given=b"\xc3\nb\n")
    assert heard == [(2, b"\xc3"), (2, b"b")]
    assert (ran.status, ran.output, ran.errors) == (0, b"text\n\xff\xfe\n", [])


def test_a_line_that_is_not_utf_8_ends_the_command_after_the_lines_before_it(url: str) -> None:
    ran = run("connect", url, given=b"good\nb\xe4d\n")
    assert ran.status == 1
    said = "txhixie: line 2 of standard input is not UTF-8: use --binary to send bytes as they are"
    assert ran.line == said


def test_the_command_waits_for_messages_after_the_end_of_the_input() -> None:
    """A server may need some time, and send more than one answer."""
    go = threading.Event()

    def script(peer: socket.socket) -> None:
        accept(peer)
        read_frame(peer)
        go.wait(PATIENCE)
        say(peer, (1, b"one"), (1, b"two"))
        assert read_frame(peer)[0] == 8
        say(peer, (8, b""))

    with serving(script) as port:
        process = start("connect", "--wait", "5", f"ws://127.0.0.1:{port}/")
        assert process.stdin is not None
        process.stdin.write(b"subscribe\n")
        process.stdin.close()
        process.stdin = None
        go.set()
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (0, b"one\ntwo\n", b"")


def test_with_wait_inf_the_command_waits_until_the_server_closes() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, (1, b"one"))
        close(peer, 1001)

    with serving(script) as port:
        ran = run("connect", "--wait", "inf", f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output, ran.errors) == (0, b"one\n", [])


def test_a_closed_input_is_an_empty_one(url: str) -> None:
    command = f"exec {program('txhixie')} connect --wait 0 {url} <&-"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")


def test_files_are_input_and_output(url: str, tmp_path: Path) -> None:
    """The epoll reactor cannot watch regular files."""
    lines = b"".join(b"line %d\n" % number for number in range(20000))
    (tmp_path / "in").write_bytes(lines)
    with (tmp_path / "in").open("rb") as given, (tmp_path / "out").open("wb") as taken:
        ran = run("connect", url, stdin=given, stdout=taken)
    assert (ran.status, ran.errors) == (0, [])
    assert (tmp_path / "out").read_bytes() == lines


@pytest.mark.parametrize(
    "redirection", ["| true", ">&-", "> /dev/full"], ids=["pipe", "closed", "full"]
)
@pytest.mark.parametrize("mode", ["--once hello", "--wait inf"], ids=["once", "lines"])
def test_output_that_cannot_be_written_is_exit_status_1(
    url: str, mode: str, redirection: str
) -> None:
    shell = f"set -o pipefail; echo hello | {program('txhixie')} connect {mode} {url} {redirection}"
    ran = subprocess.run(["bash", "-c", shell], capture_output=True, check=False, timeout=PATIENCE)
    assert ran.returncode == 1
    line = ran.stderr.decode()
    assert re.fullmatch(
        r"txhixie: standard output: (Broken pipe|Bad file descriptor|No space left on device)\n",
        line,
    )


def test_the_standard_descriptors_stay_in_blocking_mode(url: str) -> None:
    """The shell and later commands use the same pipe."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"one\n")
        ran_ = start("connect", url, stdin=theirs, stdout=theirs)
        assert ours.recv(100) == b"one\n"
        assert os.get_blocking(theirs.fileno())
        ours.shutdown(socket.SHUT_WR)
        assert ran_.wait(PATIENCE) == 0
        assert ran_.stderr is not None
        assert ran_.stderr.read() == b""
        ran_.stderr.close()


# Echo.


def test_echo_sends_each_message_back_until_the_server_closes() -> None:
    heard: list[tuple[int, bytes]] = []

    def script(peer: socket.socket) -> None:
        accept(peer)
        for frame in ((1, b"text"), (2, b"\xff"), (1, b"")):
            say(peer, frame)
            heard.append(read_frame(peer))
        close(peer, 1000)

    with serving(script) as port:
        ran = run("connect", "--echo", f"ws://127.0.0.1:{port}/")
    assert heard == [(1, b"text"), (2, b"\xff"), (1, b"")]
    assert (ran.status, ran.output, ran.errors) == (0, b"", [])


def test_echo_sends_back_the_messages_before_a_protocol_error() -> None:
    """The frames arrive in one read with the handshake response."""
    heard: list[tuple[int, bytes]] = []

    def script(peer: socket.socket) -> None:
        accept(peer, modern_frame(1, b"good") + modern_frame(1, b"bad", reserved=0x20))
        heard.extend([read_frame(peer), read_frame(peer)])

    with serving(script) as port:
        ran = run("connect", "--echo", f"ws://127.0.0.1:{port}/")
    assert heard[0] == (1, b"good")
    assert (heard[1][0], heard[1][1][:2]) == (8, b"\x03\xea")
    assert ran.status == 1
    assert ran.line.startswith("txhixie: closed because of an error of the server: 1002: ")


# Handshake options.


def asked(*words: str) -> bytes:
    """The head of the request that the command sends with these options."""
    heads: list[bytes] = []

    def script(peer: socket.socket) -> None:
        heads.append(accept(peer))
        close(peer, 1000)

    with serving(script) as port:
        assert run("connect", *words, f"ws://127.0.0.1:{port}/path?x=1").status == 0
    return heads[0]


def test_options_are_fields_of_the_request() -> None:
    head = asked(
        *("--header", "X-One: 1", "-H", "X-Two:zw\u00f6lf", "--origin", "https://page.example"),
        *("--subprotocol", "better", "--subprotocol", "good"),
    )
    assert head.startswith(b"GET /path?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-One: 1\r\n" in head
    assert "\r\nX-Two: zw\u00f6lf\r\n".encode() in head
    assert b"\r\nOrigin: https://page.example\r\n" in head
    assert b"\r\nSec-WebSocket-Protocol: better, good\r\n" in head
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate" in head
    assert b"Sec-WebSocket-Extensions" not in asked("--no-compression")


SECRETS = ("c00kie", "t0ken", "s3cret", "pa55", "k3y")


def test_show_handshake_prints_both_heads_without_credentials(url: str) -> None:
    ran = run(
        *("connect", "--once", "hello", "--show-handshake", "-H", "Cookie: a=c00kie"),
        *("-H", "X-Auth-Token: t0ken", "-H", "X-API-Key: k3y", "--subprotocol", "bearer.s3cret"),
        url.replace("ws://", "ws://me:pa55@") + "?access_token=s3cret&x=1",
    )
    assert (ran.status, ran.output) == (0, b"hello\n")
    shown = "\n".join(ran.errors)
    assert shown.startswith("> GET /?access_token=...&x=... HTTP/1.1\n> ")
    for line in ("> Cookie: ...", "> Authorization: ...", "< HTTP/1.1 101 Switching Protocols"):
        assert line in ran.errors
    assert ran.errors.index(">") < ran.errors.index("<") == len(ran.errors) - 1
    assert not [secret for secret in SECRETS if secret in shown]
    assert b64encode(b"me:pa55").decode() not in shown


def test_the_option_max_message_size_limits_input_and_received_messages(url: str) -> None:
    given = b"12345678901\n"
    ran = run("connect", "--max-message-size", "10", url, given=given)
    assert (ran.status, ran.output) == (1, b"")
    assert (
        ran.line == "txhixie: line 1 of standard input is longer than 10 bytes (--max-message-size)"
    )
    ran = run("connect", "--once", "-", "--max-message-size", "10", url, given=given)
    assert ran.line == "txhixie: standard input is longer than 10 bytes (--max-message-size)"

    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, (1, b"12345678901"))
        assert read_frame(peer)[1][:2] == b"\x03\xf1"

    with serving(script) as port:
        ran = run("connect", "--max-message-size", "10", f"ws://127.0.0.1:{port}/")
    assert ran.status == 1
    assert ran.line.startswith("txhixie: closed: 1009: ")
    assert "exceeds our limit of 10 (Limits.message_size, --max-message-size)" in ran.line


def test_a_blocked_port_needs_the_option_any_port() -> None:
    """No server listens on port 1, so the error is the refused connection."""
    ran = run("connect", "--any-port", "ws://127.0.0.1:1/")
    assert (ran.status, ran.line.rpartition(": ")[2]) == (1, "Connection refused")


def test_a_nearly_valid_answer_is_accepted_with_lenient(daemon: Daemon) -> None:
    """A proxy in the test writes the value of ``Upgrade`` in lower case, as Netty does."""

    def script(peer: socket.socket) -> None:
        with daemon.connect() as server:
            server.sendall(read_head(peer) + peer.recv(8))
            peer.sendall(read_head(server).replace(b"Upgrade: WebSocket", b"Upgrade: websocket"))
            peer.sendall(server.recv(16))
            server.sendall(peer.recv(7))
            peer.sendall(server.recv(7))
            peer.recv(2)

    with serving(script) as port:
        words = ("connect", "--dialect", "hixie-76", "--once", "hello", f"ws://127.0.0.1:{port}/")
        strict, lenient = run(*words), run(*words, "--lenient")
    assert strict.status == 1
    assert strict.line.startswith("txhixie: invalid handshake response: ")
    assert (lenient.status, lenient.output, lenient.errors) == (0, b"hello\n", [])


@pytest.mark.parametrize("command", ["", *(command.name for command in COMMANDS)])
def test_every_help_has_examples(command: str) -> None:
    """Each example is a command line of ``txhixie``."""
    ran = run(*command.split(), "--help")
    examples = ran.output.decode().partition("\nExamples:\n")[2]
    assert ran.status == 0
    assert len(re.findall(rf"(?m)^    txhixie {command}", examples)) >= 2


def test_without_arguments_the_usage_is_shown_with_three_examples() -> None:
    ran = run()
    assert (ran.status, ran.output) == (2, b"")
    assert ran.errors[0] == "usage: txhixie COMMAND [OPTIONS] ..."
    assert len([line for line in ran.errors if line.startswith("    txhixie ")]) == 3
    for command in COMMANDS:
        assert f"  {command.name:10}{command.summary}" in ran.errors


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("conect", "did you mean connect?"),
        ("--versoin", "did you mean --version?"),
        ("ws://me:s3cret@127.0.0.1/", "did you mean txhixie connect URL?"),
        ("xyz", "expected a command: connect, doctor, serve; see txhixie --help"),
    ],
)
def test_an_unknown_command_is_exit_status_2(word: str, meant: str) -> None:
    ran = run(word)
    assert (ran.status, ran.output) == (2, b"")
    assert meant in ran.line
    assert "s3cret" not in ran.line


# Exit statuses.


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "the following arguments are required: URL"),
        (("ftp://127.0.0.1/",), "scheme: expected ws: or wss:; write ws://HOST:PORT/PATH"),
        (
            ("http://me:s3cret@127.0.0.1:8080/chat?x=1",),
            "scheme: expected ws: or wss:; did you mean ws://127.0.0.1:8080/chat?x=1?",
        ),
        (("HTTPS://127.0.0.1/",), "did you mean wss://127.0.0.1/?"),
        (("http://me:s3cret/@127.0.0.1/",), "port: expected a number from 1 to 65535"),
        (("ws://:80/",), "host: missing or invalid host name"),
        (("ws://me:s3cret@127.0.0.1:70000/",), "port: expected a number from 1 to 65535"),
        (
            ("ws://127.0.0.1:25/",),
            "port 25 is blocked by the Fetch standard; use --any-port to connect anyway",
        ),
        (("--dialect", "hixie-77", "ws://127.0.0.1/"), "invalid choice: 'hixie-77'"),
        (("--timeout", "0", "ws://127.0.0.1/"), "expected seconds, more than 0"),
        (("--header", "s3cret", "ws://127.0.0.1/"), "expected 'NAME: VALUE'"),
        (("--header", "X: s3cret\r\nY: z", "ws://127.0.0.1/"), "control characters"),
        (("--origin", "a\nb", "ws://127.0.0.1/"), "cannot be written in a request"),
        (("--proxy", "socks5://me:s3cret@127.0.0.1", "ws://127.0.0.1/"), "--proxy: scheme: SOCKS"),
        (("--proxy", "http://me:s3cret@:x", "ws://127.0.0.1/"), "--proxy: host or port"),
        (("--trust-root", "/nowhere/at-all", "wss://127.0.0.1/"), "/nowhere/at-all: No such file"),
        (
            ("--trust-root", "/dev/null", "wss://127.0.0.1/"),
            "/dev/null: expected certificates in PEM",
        ),
        (
            ("--private-key", "/dev/null", "wss://127.0.0.1/"),
            "--private-key: expected a --certificate as well",
        ),
        (("--once", "a", "--echo", "ws://127.0.0.1/"), "not allowed with argument"),
        (
            (
                "--dialect",
                "hixie-76",
                "--subprotocol",
                "a",
                "--subprotocol",
                "b",
                "ws://127.0.0.1/",
            ),
            "subprotocol",
        ),
        (("--onc", "a", "ws://127.0.0.1/"), "unrecognized option --onc; did you mean --once?"),
        (("--pass=s3cret", "ws://me:s3cret@127.0.0.1/"), "unrecognized option --pass; see txhixie"),
        (("ws://127.0.0.1/", "ws://me:s3cret@b/"), "connect: expected no further arguments; "),
        (("--proxy", "http://me:s3cret#@a", "ws://127.0.0.1/"), "percent-encode the user name and"),
    ],
)
def test_invalid_arguments_are_exit_status_2(words: tuple[str, ...], line: str) -> None:
    ran = run("connect", *words)
    assert (ran.status, ran.output) == (2, b"")
    assert line in ran.line
    assert "s3cret" not in ran.line


def test_an_error_in_a_proxy_variable_names_the_variable() -> None:
    ran = run("connect", "ws://127.0.0.1/", env=environment(http_proxy="socks5://me:s3cret@there"))
    assert ran.status == 2
    assert ran.line.startswith("txhixie: http_proxy: scheme: SOCKS proxies are not supported")


def test_a_refused_connection_is_exit_status_1() -> None:
    ran = run("connect", "ws://127.0.0.1:2/")
    assert (ran.status, ran.output) == (1, b"")
    assert ran.line == "txhixie: no connection to 127.0.0.1, port 2: Connection refused"


@pytest.mark.parametrize(
    ("words", "variables", "line"),
    [
        (
            ("--proxy", "http://127.0.0.1:2"),
            {},
            "cannot connect to the proxy http://127.0.0.1:2 (--proxy): no conn",
        ),
        (
            (),
            {"http_proxy": "127.0.0.1:2"},
            "cannot connect to the proxy http://127.0.0.1:2 (http_proxy): no conn",
        ),
        (
            ("--proxy", "nobody.invalid"),
            {},
            "cannot connect to the proxy http://nobody.invalid:1080 (--proxy): no ad",
        ),
    ],
)
def test_an_error_about_an_unreachable_proxy_names_the_proxy_and_the_option(
    words: tuple[str, ...], variables: dict[str, str], line: str
) -> None:
    ran = run("connect", *words, "ws://example.com/", env=environment(**variables))
    assert ran.status == 4
    assert ran.line.startswith(f"txhixie: {line}")


def test_a_lost_connection_is_exit_status_1() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, (1, b"so far"))

    with serving(script) as port:
        ran = run("connect", "--wait", "inf", f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output) == (1, b"so far\n")
    assert ran.line == "txhixie: connection lost: 1006"


@pytest.mark.parametrize(
    ("mode", "code", "status"),
    [
        ("--wait=inf", 1011, 1),
        ("--echo", 1011, 1),
        ("--echo", 1001, 0),
        ("--wait=inf", 4001, 1),
        ("--echo", 4003, 1),
    ],
)
def test_a_close_code_that_is_an_error_is_exit_status_1_and_is_printed(
    mode: str, code: int, status: int
) -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        close(peer, code, b"sorry\n")

    with serving(script) as port:
        ran = run("connect", mode, f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output) == (status, b"")
    assert (
        ran.errors
        == {
            1001: [],
            1011: ["txhixie: closed by the server: 1011: sorry\\n"],
            4001: ["txhixie: closed by the server: 4001: sorry\\n"],
            4003: ["txhixie: closed by the server: 4003: sorry\\n"],
        }[code]
    )


def refusing(answer: bytes, *words: str) -> Ran:
    """Run the command against a server that sends this response."""

    def script(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(answer)

    with serving(script) as port:
        return run("connect", *words, f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (b"HTTP/1.1 404 Gone\r\n\r\n", "404 Not Found"),
        (
            b"HTTP/1.1 301 x\r\nLocation: https://there.example/\r\n\r\n",
            "301 Moved Permanently, and points to https://there.example/",
        ),
        (
            b'HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
            "401 Unauthorized: the server asks for Basic; put NAME:PASSWORD@ into the URL",
        ),
        (
            b"HTTP/1.1 403 x\r\nContent-Length: 20\r\n\r\n\r\n no \x1b[31mway\nat all",
            "403 Forbidden; the server says: no \\x1b[31mway",
        ),
        (
            (
                b"HTTP/1.1 502 x\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE html>\n<html><head>"
                b"<title>Bad\n  gateway &amp; more</title></head><body>long"
            ),
            "502 Bad Gateway; the server says: Bad gateway & more",
        ),
        (
            b"HTTP/1.1 502 x\r\nContent-Type: text/html\r\n\r\n<p>x",
            "502 Bad Gateway; the server says: x",
        ),
        (
            (
                b"HTTP/1.1 403 x\r\n\r\n<!-- a > b --><html><title> </title><style>p {a: b}</style>"
                b"<SCRIPT>if (a > 1) {}</script >\n<body bgcolor=x><h1>No &lt;way\x1b[31m\n in</h1>"
            ),
            "403 Forbidden; the server says: No <way\\x1b[31m in",
        ),
        (
            b"HTTP/1.1 403 x\r\n\r\n<p>" + b"x" * 300,
            f"403 Forbidden; the server says: {'x' * 200}...",
        ),
        (b"HTTP/1.1 403 x\r\n\r\n<!-- <p>x", "403 Forbidden"),
        (b"HTTP/1.1 404 x\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08", "404 Not Found"),
        (
            b"HTTP/1.1 404 x\r\n\r\n" + b"x" * 300,
            f"404 Not Found; the server says: {'x' * 200}...",
        ),
        (
            b"HTTP/1.1 302 x\r\nLocation: https://there.example/?token=s3cret\r\n\r\n",
            "302 Found, and points to https://there.example/?token=...",
        ),
    ],
)
def test_a_refusal_of_the_server_is_exit_status_3(answer: bytes, line: str) -> None:
    ran = refusing(answer)
    assert (ran.status, ran.output) == (3, b"")
    assert ran.line == f"txhixie: the server refused with status {line}"


@pytest.mark.parametrize("how", ["URL", "header"])
def test_an_error_about_refused_credentials_says_that_credentials_were_sent(how: str) -> None:
    answer = b'HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'

    def script(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(answer)

    with serving(script) as port:
        place = "me:wr0ng@127.0.0.1" if how == "URL" else "127.0.0.1"
        words = ["-H", "Authorization: Bearer wr0ng"] if how == "header" else []
        ran = run("connect", *words, f"ws://{place}:{port}/")
    assert ran.status == 3
    assert ran.line == (
        "txhixie: the server refused with status 401 Unauthorized: the server did not accept these"
        " credentials"
    )


@pytest.mark.parametrize(
    ("fields", "credentials", "line"),
    [
        (
            ("NTLM", "Negotiate"),
            "",
            "the proxy accepts NTLM and Negotiate only; txhixie supports Ba",
        ),
        (
            ("Negotiate",),
            "me:pa55@",
            "the proxy accepts Negotiate only; txhixie supports Basic and",
        ),
        (('Basic realm="x"',), "", "the proxy requires Basic; write the proxy as "),
        (('Basic realm="x"',), "me:pa55@", "the proxy rejected the user name and password"),
        ((), "", "no authentication scheme in Proxy-Authenticate"),
    ],
)
def test_an_error_about_a_407_names_the_schemes_of_the_proxy(
    fields: tuple[str, ...], credentials: str, line: str
) -> None:
    asked = "".join(f"Proxy-Authenticate: {field}\r\n" for field in fields)
    answer = f"HTTP/1.1 407 x\r\n{asked}Content-Length: 0\r\n\r\n".encode()

    def script(peer: socket.socket) -> None:
        while read_head(peer):
            peer.sendall(answer)

    with serving(script) as port:
        ran = run("connect", "-x", f"{credentials}127.0.0.1:{port}", "ws://example.com/")
    assert ran.status == 4
    said = f"txhixie: the proxy refused with status 407 Proxy Authentication Required: {line}"
    assert ran.line.startswith(said)


@pytest.mark.parametrize("option", ["--no-proxy-basic", None])
def test_no_proxy_basic_keeps_the_password_from_being_sent_unencrypted(option: str | None) -> None:
    """Basic would send the password to a proxy without TLS; Digest does not send it."""
    heads: list[bytes] = []

    def script(peer: socket.socket) -> None:
        while True:
            heads.append(read_head(peer))
            peer.sendall(
                b'HTTP/1.1 407 \r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
            )

    with serving(script) as port:
        words = [option] if option is not None else []
        ran = run("connect", *words, "-x", f"me:pa55@127.0.0.1:{port}", "ws://example.com/")
    assert ran.status == 4
    sent = b"Proxy-Authorization: Basic bWU6cGE1NQ==" in b"".join(heads)
    assert sent == (option is None)
    told = "the proxy requires Basic, which sends the password unencrypted"
    assert (told in ran.line) == (option is not None)


def test_show_handshake_prints_the_head_of_a_refusal() -> None:
    ran = refusing(b"HTTP/1.1 404 Gone\r\nSet-Cookie: c00kie\r\n\r\n", "--show-handshake")
    assert ran.status == 3
    assert ran.errors[-4:] == [
        "< HTTP/1.1 404 Gone",
        "< Set-Cookie: ...",
        "<",
        "txhixie: the server refused with status 404 Not Found",
    ]


def test_an_invalid_handshake_response_is_exit_status_1() -> None:
    ran = refusing(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert ran.status == 1
    assert ran.line.startswith("txhixie: invalid handshake response: ")
    ran = refusing(b"")
    assert ran.status == 1
    assert ran.line.startswith("txhixie: the peer closed the connection")


def test_a_refusal_of_the_proxy_is_exit_status_4(url: str) -> None:
    with squid("basic") as proxy:
        ran = run("connect", "--proxy", f"http://{NAME}:wr0ng@127.0.0.1:{proxy.port}", url)
    assert (ran.status, ran.output) == (4, b"")
    said = (
        "the proxy refused with status 407 Proxy Authentication Required: the proxy "
        "rejected the user name and password; the proxy says: "
    )
    assert ran.line.startswith(f"txhixie: {said}")


def test_an_invalid_response_of_the_proxy_is_exit_status_4(url: str) -> None:
    with serving(lambda peer: peer.sendall(b"220 speaks first\r\n")) as port:
        ran = run("connect", "--proxy", f"http://127.0.0.1:{port}", url)
    assert ran.status == 4
    assert ran.line.startswith("txhixie: invalid response of the proxy: ")


def test_a_timeout_is_exit_status_6_and_names_its_stage(url: str) -> None:
    def silent(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        peer.recv(1)

    with serving(silent) as port:
        here = f"127.0.0.1:{port}"
        for words, what in (
            ((f"ws://{here}/",), "answer to the handshake"),
            ((f"wss://{here}/",), "answer to the TLS handshake"),
            (("--proxy", here, "ws://x.example/"), "answer from the proxy"),
        ):
            ran = run("connect", "--timeout", "1", *words)
            assert (ran.status, ran.output) == (6, b"")
            assert ran.line == f"txhixie: no {what} within 1 seconds"


def test_a_timeout_of_once_is_exit_status_6() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        read_frame(peer)
        say(peer, read_frame(peer))

    with serving(script) as port:
        ran = run("connect", "--timeout", "2", "--once", "x", f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output) == (6, b"")
    assert ran.line == "txhixie: no answer within 2 seconds"


# Through proxies.


def test_show_handshake_prints_the_heads_of_the_proxy(secure: tuple[int, str]) -> None:
    port, trusted = secure
    with squid("basic") as proxy:
        ran = run(
            *("connect", "--once", "hello", "--show-handshake", "--trust-root", trusted),
            *("--proxy", proxy.url_with_credentials, f"wss://localhost:{port}/"),
        )
    assert (ran.status, ran.output) == (0, b"hello\n")
    first = [line for line in ran.errors if re.match(r"> [A-Z]+ |< HTTP", line)]
    assert first == [
        f"> CONNECT localhost:{port} HTTP/1.1",
        "< HTTP/1.1 407 Proxy Authentication Required",
        f"> CONNECT localhost:{port} HTTP/1.1",
        "< HTTP/1.1 200 Connection established",
        "> GET / HTTP/1.1",
        "< HTTP/1.1 101 Switching Protocols",
    ]
    assert "> Proxy-Authorization: ..." in ran.errors
    secret = b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
    assert not [line for line in ran.errors if secret in line or PASSWORD in line]


def test_the_environment_names_the_proxy(url: str) -> None:
    """The variables are those of curl. An empty ``--proxy`` means no proxy, as in curl."""
    host = url.removeprefix("ws://").rstrip("/")
    heads: list[bytes] = []

    def script(peer: socket.socket) -> None:
        heads.append(read_head(peer))
        peer.sendall(b"HTTP/1.1 403 x\r\n\r\n")

    with serving(script) as port:
        proxy = f"http://127.0.0.1:{port}"
        assert run("connect", url, env=environment(http_proxy=proxy)).status == 4
        assert run("connect", url, env=environment(all_proxy=proxy)).status == 4
        assert len(heads) == 2
        for words, variables in (
            ((), {"HTTP_PROXY": proxy, "https_proxy": proxy}),
            ((), {"http_proxy": proxy, "no_proxy": "10.0.0.0/8,127.0.0.0/8"}),
            (("--proxy", ""), {"http_proxy": proxy}),
        ):
            ran = run("connect", *words, "--once", "hello", url, env=environment(**variables))
            assert (ran.status, ran.output) == (0, b"hello\n")
    assert heads[0].startswith(f"CONNECT {host} HTTP/1.1\r\n".encode())
    assert len(heads) == 2


# TLS.


def test_a_server_is_trusted_by_the_given_CA_certificates(secure: tuple[int, str]) -> None:
    port, trusted = secure
    url = f"wss://localhost:{port}/"
    ran = run("connect", "--once", "hello", "--trust-root", trusted, url)
    assert (ran.status, ran.output, ran.errors) == (0, b"hello\n", [])
    assert run("connect", "--once", "hello", "--cacert", trusted, url).status == 0  # curl's word
    ran = run("connect", "--once", "hello", url)
    assert (ran.status, ran.output) == (5, b"")
    assert ran.line.startswith("txhixie: the peer's certificate: unable to get local issuer")
    ran = run(
        "connect", "--once", "hello", "--trust-root", trusted, url.replace("localhost", "[::1]")
    )
    assert ran.status == 1  # it listens on the other loopback
    ran = run("connect", "--once", "hello", "--no-verify", url.replace("localhost", "127.0.0.1"))
    assert (ran.status, ran.output) == (0, b"hello\n")


@pytest.mark.parametrize(
    ("names", "until", "by", "line"),
    [
        (("localhost",), -1, authority(), "certificate has expired"),
        (("other.example",), 1, authority(), "is not for this host"),
        (("localhost",), 1, stranger(), "unable to get local issuer certificate"),
    ],
    ids=["expired", "another", "stranger"],
)
def test_an_invalid_certificate_is_exit_status_5(
    tmp_path: Path, names: tuple[str, ...], until: int, by: Authority, line: str
) -> None:
    with secure_daemon(tmp_path, names=names, until=until, by=by) as port:
        trusted = os.fspath(tmp_path / "authority.pem")
        url = f"wss://localhost:{port}/"
        ran = run("connect", "--once", "hello", "--trust-root", trusted, url)
        assert (ran.status, ran.output) == (5, b"")
        assert line in ran.line
        ran = run("connect", "--once", "hello", "--no-verify", url)
        assert (ran.status, ran.output, ran.errors) == (0, b"hello\n", [])


def test_a_server_without_TLS_is_exit_status_5(url: str) -> None:
    ran = run("connect", url.replace("ws:", "wss:"))
    assert ran.status == 5
    assert ran.line.startswith("txhixie: no TLS with the peer: ")


def test_a_client_certificate_is_sent_to_a_server_that_requires_one(tmp_path: Path) -> None:
    (tmp_path / "me.pem").write_bytes(authority().pem_for("me"))
    (tmp_path / "key.pem").write_bytes((tmp_path / "me.pem").read_bytes())
    me, key, trusted = (os.fspath(tmp_path / f"{n}.pem") for n in ("me", "key", "authority"))
    with asking(tmp_path) as port:
        words = ("connect", "--once", "hello", f"wss://127.0.0.1:{port}/", "--trust-root", trusted)
        for more in (
            ("--certificate", me),
            ("--certificate", me, "--private-key", key),
            ("--certificate", me, "--no-verify"),
        ):
            ran = run(*words, *more)
            assert (ran.status, ran.output, ran.errors) == (0, b"hello\n", [])
        ran = run(*words)
    assert (ran.status, ran.output) == (5, b"")
    assert ran.line.startswith("txhixie: no TLS with the peer: ")


# Signals.


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_closes_the_connection_without_an_error_line(number: int, status: int) -> None:
    closes: list[tuple[int, bytes]] = []
    connected = threading.Event()

    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, (1, b"hello"))
        connected.set()
        closes.append(read_frame(peer))
        say(peer, closes[0])

    with serving(script) as port:
        process = start("connect", f"ws://127.0.0.1:{port}/")
        assert process.stdout is not None
        assert process.stdout.readline() == b"hello\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (status, b"")
    assert closes == [(8, b"\x03\xe8")]


def test_a_second_signal_ends_the_command_at_once() -> None:
    closing = threading.Event()

    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, (1, b"hello"))
        read_frame(peer)
        closing.set()
        peer.recv(1)  # and no answer

    with serving(script) as port:
        process = start("connect", f"ws://127.0.0.1:{port}/")
        assert process.stdout is not None
        assert process.stdout.readline() == b"hello\n"
        process.send_signal(signal.SIGINT)
        assert closing.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, b"")


def test_a_signal_during_the_handshake_ends_the_command_at_once() -> None:
    ran = interrupted_handshake("connect")
    assert (ran.status, ran.output, ran.errors) == (130, b"", [])


# Back-pressure.


MUCH = 48 * 1024 * 1024
PIECE = b"x" * 65535


def test_a_slow_reader_of_the_output_pauses_the_peer() -> None:
    """The command stops reading from the server; later it writes all data."""
    sent = [0]

    def script(peer: socket.socket) -> None:
        accept(peer)
        while sent[0] < MUCH:
            say(peer, (1, PIECE))
            sent[0] += len(PIECE) + 1
        close(peer, 1000)

    with serving(script) as port:
        process = start("connect", f"ws://127.0.0.1:{port}/")
        assert process.stdout is not None
        assert process.stdout.readline() == PIECE + b"\n"
        stalled = _when_it_stalls(lambda: sent[0])
        assert stalled < MUCH
        rest = process.stdout.read()
        assert process.wait(PATIENCE) == 0
        process.communicate()
    assert len(rest) == sent[0] - len(PIECE) - 1


def test_a_peer_that_does_not_read_pauses_the_input() -> None:
    go = threading.Event()
    taken = [0]

    def script(peer: socket.socket) -> None:
        accept(peer)
        go.wait(PATIENCE)
        while (frame := read_frame(peer))[0] == 1:
            taken[0] += len(frame[1]) + 1
        say(peer, (8, b""))

    given = [0]
    with serving(script) as port:
        process = start("connect", "--wait", "0", f"ws://127.0.0.1:{port}/")
        feeding = threading.Thread(target=_feed, args=(process, given))
        feeding.start()
        stalled = _when_it_stalls(lambda: given[0])
        assert 0 < stalled < MUCH
        go.set()
        feeding.join(PATIENCE)
        assert process.wait(PATIENCE) == 0
        process.stdin = None
        process.communicate()
    assert taken[0] == given[0] >= MUCH


def _feed(process: subprocess.Popen[bytes], given: list[int]) -> None:
    assert process.stdin is not None
    while given[0] < MUCH:
        process.stdin.write(PIECE + b"\n")
        process.stdin.flush()
        given[0] += len(PIECE) + 1
    process.stdin.close()


def _when_it_stalls(count: Callable[[], int]) -> int:
    """Wait until the count is not 0 and has not grown for a second; return it."""
    deadline = time.monotonic() + PATIENCE
    before = -1
    while (now := count()) != before or now == 0:
        assert time.monotonic() < deadline
        before = now
        time.sleep(1)
    return before
