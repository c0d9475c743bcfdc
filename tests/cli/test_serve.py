"""``txhixie serve`` in a process of its own: the daemon, with the URLs to open."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.command_line import Ran, run, start
from support.daemon import OPTIONS, PATIENCE, free_port

LOOPBACK = "interface=127.0.0.1"


@contextmanager
def served(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = start("serve", *words)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[bytes], *words: str) -> str:
    """The first line of standard output with all of these words."""
    assert process.stdout is not None
    for data in process.stdout:
        if all(word in data.decode() for word in words):
            return data.decode().rstrip()
    raise AssertionError(words)


def test_the_URLs_to_open_are_printed_once_the_server_listens(tmp_path: Path) -> None:
    with served("--port", f"tcp:0:{LOOPBACK}") as process:
        page = line(process, "console page").split()[-1]
        url = line(process, "WebSocket", "ws:").split()[-1]
        with urlopen(page, timeout=PATIENCE) as answer:
            assert b"<html" in answer.read().lower()
        assert run("connect", "--once", "hello", url).output == b"hello\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


def test_the_URL_of_a_route_is_that_of_its_path() -> None:
    with served("--port", f"tcp:0:{LOOPBACK}", "--serve", "/chat=echo") as process:
        url = line(process, "WebSocket", "ws:").split()[-1]
        assert url.endswith("/chat")
        assert run("connect", "--once", "hello", url).output == b"hello\n"


def test_the_options_are_those_of_the_daemon() -> None:
    helped = run("serve", "--help").output.decode()
    assert [option for option in OPTIONS if option not in helped] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prot", "1"), "unrecognized option --prot; did you mean --port? See txhixie serve"),
        (("--port", "99999"), "--port 99999: expected a number from 0 to 65535; see txhixie serve"),
        (("--config", "/nowhere.toml"), "/nowhere.toml: expected a configuration file"),
    ],
)
def test_an_invalid_option_is_one_line_and_exit_status_2(words: tuple[str, ...], said: str) -> None:
    ran = run("serve", *words)
    assert (ran.status, ran.output) == (2, b"")
    assert ran.line.startswith("txhixie serve: ")
    assert said in ran.line


def test_a_port_in_use_is_one_line_and_exit_status_1() -> None:
    with served("--port", f"tcp:{(port := free_port())}:{LOOPBACK}") as process:
        line(process, "console page")
        ran: Ran = run("serve", "--port", f"tcp:{port}:{LOOPBACK}")
    assert ran.status == 1
    assert ran.line.endswith("cannot listen: Address already in use")
    assert ran.line.startswith("txhixie serve: --port")


def test_check_prints_the_configuration() -> None:
    ran = run("serve", "--check", "--port", "8123")
    assert (ran.status, ran.errors) == (0, [])
    assert b"8123" in ran.output
