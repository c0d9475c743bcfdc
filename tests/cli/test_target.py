"""The options of connect and doctor that say where to connect to, against real servers."""

from __future__ import annotations

import math
import os
import socket
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command_line import run, secure_daemon
from support.scripted_peer import Script, accept, close, read_frame, read_head, say, serving
from txhixie.cli.status import CommandFailed, Status
from txhixie.cli.target import (
    Target,
    addOptions,
    connectTo,
    header,
    idleSeconds,
    seconds,
    size,
    usageErrors,
    withScheme,
)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("example.com", "ws://example.com"),
        ("example.com/?next=ws://x/", "ws://example.com/?next=ws://x/"),
        ("localhost:8080/chat", "ws://localhost:8080/chat"),
        ("[::1]:8080", "ws://[::1]:8080"),
        ("example.com:443/chat", "wss://example.com:443/chat"),
        ("example.com:4430", "ws://example.com:4430"),
        ("me:secret@example.com", "ws://me:secret@example.com"),
        ("WSS://example.com", "WSS://example.com"),
        ("ws:example.com", "ws:example.com"),
    ],
)
def test_a_URL_without_a_scheme_gets_one(given: str, used: str) -> None:
    assert withScheme(given) == used


def test_a_URL_of_a_page_names_the_URL_to_write() -> None:
    with pytest.raises(ValueError, match=r"did you mean ws://example\.com\?"):
        withScheme("http://example.com")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:8080", ("10.0.0.1", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        (":8080", ("", 8080)),
        ("Example.com:", ("example.com", 0)),
    ],
)
def test_an_address_to_connect_to_may_leave_out_either_part(
    text: str, address: tuple[str, int]
) -> None:
    assert connectTo(text) == address


def answering(heads: list[bytes]) -> Script:
    """A server's script: it echoes one message, closes, and adds the request to the list."""

    def script(peer: socket.socket) -> None:
        heads.append(accept(peer))
        say(peer, read_frame(peer))
        close(peer, 1000)

    return script


def test_a_bare_host_is_connected_to_and_the_URL_is_stated() -> None:
    with serving(answering([])) as port:
        ran = run("connect", "--once", "hello", f"me:s3cret@127.0.0.1:{port}")
    assert (ran.status, ran.output) == (0, b"hello\n")
    assert ran.line == f"no scheme in the URL: using ws://127.0.0.1:{port}"


def test_a_virtual_host_is_tried_at_another_address() -> None:
    heads: list[bytes] = []
    with serving(answering(heads)) as port:
        there = ("--connect-to", f"127.0.0.1:{port}")
        ran = run("connect", "--once", "hello", *there, "ws://chat.example/room")
        assert (ran.status, ran.output, ran.errors) == (0, b"hello\n", [])
        ran = run("connect", "--once", "hello", "--connect-to", "127.0.0.1:", f"ws://b.test:{port}")
        assert (ran.status, ran.output) == (0, b"hello\n")
    assert heads[0].startswith(b"GET /room HTTP/1.1\r\nHost: chat.example\r\n")
    assert f"\r\nHost: b.test:{port}\r\n".encode() in heads[1]


@pytest.mark.parametrize("host", ["chat.example", "chat.example:8080"])
def test_a_Host_header_replaces_the_host_of_the_request(host: str) -> None:
    heads: list[bytes] = []
    with serving(answering(heads)) as port:
        ran = run("connect", "--once", "hi", "-H", f"Host: {host}", f"ws://me:pw@127.0.0.1:{port}/")
    assert (ran.status, ran.output, ran.errors) == (0, b"hi\n", [])
    assert heads[0].count(b"Host:") == 1
    assert f"\r\nHost: {host}\r\n".encode() in heads[0]
    assert b"Authorization: Basic" in heads[0]


@pytest.mark.parametrize(
    "words",
    [
        ("-H", "Host: a@b"),
        ("-H", "Host: a/b"),
        ("-H", "Host:"),
        ("-H", "Host: a", "-H", "host: b"),
        ("--connect-to", "example.com"),
        ("--connect-to", "a:b:c"),
        ("--connect-to", "a:70000"),
    ],
)
def test_an_invalid_Host_header_or_address_is_exit_status_2(words: tuple[str, ...]) -> None:
    ran = run("connect", *words, "ws://127.0.0.1/")
    assert (ran.status, ran.output) == (2, b"")
    assert "expected" in ran.line or "host:" in ran.line


def test_the_certificate_is_that_of_the_URLs_host(tmp_path: Path) -> None:
    with secure_daemon(tmp_path, names=("chat.example",)) as port:
        trusted = os.fspath(tmp_path / "authority.pem")
        words = ("--trust-root", trusted, "--connect-to", f"127.0.0.1:{port}")
        ran = run("connect", "--once", "hello", *words, "wss://chat.example/")
        assert (ran.status, ran.output, ran.errors) == (0, b"hello\n", [])
        ran = run("connect", *words, "wss://other.example/")
        assert ran.status == 5
        ran = run("doctor", *words, "wss://chat.example/")
        assert ran.status == 0
        told = ran.output.decode()
        assert f"127.0.0.1, port {port}" in told
        assert f"--connect-to 127.0.0.1:{port} wss://chat.example/" in told


def test_a_proxy_is_asked_for_the_address_to_connect_to() -> None:
    heads: list[bytes] = []

    def script(peer: socket.socket) -> None:
        heads.append(read_head(peer))
        peer.sendall(b"HTTP/1.1 403 x\r\n\r\n")

    with serving(script) as port:
        words = ("--proxy", f"http://127.0.0.1:{port}", "--connect-to", "192.0.2.1:8080")
        assert run("connect", *words, "ws://chat.example/").status == 4
    assert heads[0].startswith(b"CONNECT 192.0.2.1:8080 HTTP/1.1\r\n")


def test_a_port_to_connect_to_may_be_blocked() -> None:
    ran = run("connect", "--connect-to", ":22", "ws://127.0.0.1/")
    assert (ran.status, ran.output) == (2, b"")
    assert ran.line.startswith("txhixie: port 22 is blocked by the Fetch standard; use --any-port")


def destination(*words: str) -> Target:
    """Parse these arguments of the command."""
    parser = ArgumentParser()
    addOptions(parser)
    return Target(parser.parse_args([*words, "--proxy", "", "ws://example.com/"]))


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (seconds, "1.5", 1.5),
        (idleSeconds, "0", 0.0),
        (idleSeconds, "inf", math.inf),
        (size, "1", 1),
        (header, "X-A: b", (b"X-A", b"b")),
        (header, "X-A:b:c", (b"X-A", b"b:c")),
        (header, "X-A:", (b"X-A", b"")),
        (header, "X-A: ä", (b"X-A", "ä".encode())),
    ],
)
def test_the_text_of_an_option_is_read(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((seconds, text) for text in ("0", "-1", "inf", "nan", "secret")),
        *((idleSeconds, text) for text in ("-1", "nan", "secret")),
        *((size, text) for text in ("0", "-1", "1.5", "\u0661", "secret", "")),
        *((header, text) for text in ("secret", ": secret", "a b: secret", "X: a\nsecret")),
        (header, "X: a\x00secret"),
    ],
)
def test_an_error_of_an_option_does_not_repeat_the_value(
    read: Callable[[str], Any], text: str
) -> None:
    """The value may be a credential."""
    with pytest.raises(ArgumentTypeError) as caught:
        read(text)
    assert "secret" not in str(caught.value)


def test_the_options_are_printed_as_a_command_line_without_credentials() -> None:
    shown = destination(
        "--origin", "http://a b", "-H", "Authorization: secret", "--lenient"
    ).options
    assert shown == " --origin 'http://a b' --proxy '' --header ... --lenient"


def test_credentials_of_the_request_are_noticed() -> None:
    assert destination("-H", "Authorization: a").hasCredentials
    assert not destination("-H", "X-A: a").hasCredentials


@pytest.mark.parametrize("error", [ValueError("a mistake"), FileNotFoundError(2, "none", "/none")])
def test_invalid_values_and_missing_files_are_usage_errors(error: Exception) -> None:
    with pytest.raises(CommandFailed) as caught, usageErrors():
        raise error
    assert caught.value.status == Status.USAGE
