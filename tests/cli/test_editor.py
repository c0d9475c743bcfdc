"""``txhixie connect`` on a real terminal, with a server in another process or thread."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from support.daemon import PATIENCE, Daemon, running
from support.scripted_peer import accept, close, read_frame, say, serving
from support.terminal import terminal

ENTER = b"\r"
UP = b"\x1b[A"
LEFT = b"\x1b[D"
CONTROL_C = b"\x03"
CONTROL_D = b"\x04"
CANONICAL = 4095
"""Bytes of a line that a terminal keeps in canonical mode, on Linux."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield _url(daemon)


def _url(daemon: Daemon) -> str:
    return f"ws://127.0.0.1:{daemon.port}/"


def test_a_line_is_edited_and_an_earlier_one_comes_back(url: str) -> None:
    """The cursor moves left, a character is inserted, and the earlier line is sent again."""
    with terminal("connect", url, NO_COLOR="1") as typed:
        typed.until(b"* connected to")
        typed.type(b"helo" + LEFT + b"l" + ENTER)
        seen = len(typed.until(b"< hello"))
        typed.type(UP + b" again" + ENTER)
        typed.until(b"< hello again", seen)
        typed.type(CONTROL_D)
        assert typed.ended() == 0
    assert b"> hello\r\n" in typed.shown
    assert typed.shown.rstrip().count(b"* closed: 1000") == 1
    # Without a colour, since NO_COLOR is set.
    assert re.search(rb"\x1b\[3\d", typed.shown) is None


def test_the_marks_of_sent_and_received_messages_have_colours(url: str) -> None:
    with terminal("connect", url) as typed:
        typed.until(b"connected to")
        typed.type(b"hello" + ENTER)
        typed.until(b"\x1b[32m>\x1b[0m hello")
        typed.until(b"\x1b[36m<\x1b[0m hello")


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_a_paste_is_one_message_at_any_length(url: str, size: int) -> None:
    text = b"".join(b"%08x" % number for number in range(size // 8))
    assert len(text) == size > 2 * CANONICAL
    with terminal("connect", url, NO_COLOR="1") as typed:
        typed.until(b"* connected to")
        typed.paste(text)
        typed.until(b"< " + text + b"\r\n")
        typed.type(CONTROL_D)
        assert typed.ended() == 0


def test_a_long_typed_line_is_not_cut(url: str) -> None:
    """Without the marks of a bracketed paste each character arrives as a key."""
    text = b"x" * (CANONICAL + 100)
    with terminal("connect", url, NO_COLOR="1") as typed:
        typed.until(b"* connected to")
        typed.type(text + ENTER)
        typed.until(b"< " + text + b"\r\n")


def test_lines_that_are_pasted_together_are_one_message() -> None:
    heard: list[tuple[int, bytes]] = []

    def script(peer: socket.socket) -> None:
        accept(peer)
        heard.append(read_frame(peer))
        close(peer, 1000, b"thanks")

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/", NO_COLOR="1") as typed,
    ):
        typed.until(b"* connected to")
        typed.paste(b"{\n}")
        assert typed.ended() == 0
    assert heard == [(1, b"{\n}")]
    assert b"> {\r\n  }\r\n" in typed.shown
    assert b"* closed by the server: 1000: thanks\r\n" in typed.shown


def test_received_messages_do_not_mix_with_the_line_being_typed() -> None:
    """The line is sent whole, and is shown again below each received message."""
    heard: list[tuple[int, bytes]] = []
    begun = threading.Event()

    def script(peer: socket.socket) -> None:
        accept(peer)
        begun.wait()
        for number in range(50):
            say(peer, (1, b"message %d" % number))
        heard.append(read_frame(peer))
        close(peer, 1000)

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/", NO_COLOR="1") as typed,
    ):
        typed.until(b"* connected to")
        typed.type(b"half a li")
        typed.until(b"half a li")
        begun.set()
        seen = len(typed.until(b"< message 49\r\n"))
        typed.until(b"half a li", typed.shown.index(b"< message 49"))
        typed.type(b"ne" + ENTER)
        typed.until(b"> half a line\r\n", seen - 20)
        assert typed.ended() == 0
    assert heard == [(1, b"half a line")]
    for number in range(50):
        assert b"< message %d\r\n" % number in typed.shown


def test_a_server_cannot_control_the_terminal() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, (1, b"a \x1b[31mred\x07\nline"), (2, b"\xff\x9b"))
        close(peer, 1000)

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/", NO_COLOR="1") as typed,
    ):
        assert typed.ended() == 0
    assert b"< a \\x1b[31mred\\x07\r\n  line\r\n" in typed.shown
    assert b"< (2 bytes) \\xff\\x9b\r\n" in typed.shown


def test_an_abnormal_end_is_printed_once() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        close(peer, 1011, b"sorry")

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/", NO_COLOR="1") as typed,
    ):
        assert typed.ended() == 1
    assert typed.shown.count(b"closed by the server: 1011: sorry") == 1
    assert typed.shown.endswith(b"txhixie: closed by the server: 1011: sorry\r\n")


def test_control_C_closes_the_connection_and_is_exit_status_130() -> None:
    closes: list[tuple[int, bytes]] = []

    def script(peer: socket.socket) -> None:
        accept(peer)
        closes.append(read_frame(peer))
        say(peer, closes[0])

    with serving(script) as port, terminal("connect", f"ws://127.0.0.1:{port}/") as typed:
        typed.until(b"connected to")
        typed.type(CONTROL_C)
        assert typed.ended() == 128 + signal.SIGINT
    assert closes == [(8, b"\x03\xe8")]


def test_control_D_ends_the_command_before_the_connection_is_open() -> None:
    """The server does not answer the handshake; the command says that the typed line is waiting."""
    asked = threading.Event()

    def script(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        asked.set()
        peer.recv(1)

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/", NO_COLOR="1") as typed,
    ):
        assert asked.wait(30)
        typed.type(b"hello" + ENTER)
        typed.until(b"* not connected; 1 message queued\r\n")
        typed.type(CONTROL_D)
        assert typed.ended() == 0


def test_a_line_typed_while_disconnected_is_sent_on_the_next_connection() -> None:
    heard: list[tuple[int, bytes]] = []
    again = threading.Event()

    def script(peer: socket.socket) -> None:
        if heard:
            again.wait()
        accept(peer)
        heard.append(read_frame(peer))
        if len(heard) == 1:
            close(peer, 1012, b"restart")
        else:
            close(peer, 4000, b"enough")

    with serving(script) as port:
        url = f"ws://127.0.0.1:{port}/"
        with terminal("connect", "--reconnect", url, NO_COLOR="1") as typed:
            typed.until(b"* connected to")
            typed.type(b"one" + ENTER)
            typed.until(b"* closed by the server: 1012: restart; connecting again in ")
            typed.type(b"two" + ENTER)
            typed.until(b"* not connected; 1 message queued\r\n")
            again.set()
            typed.until(b"* closed by the server: 4000: enough; connecting again in ")
            typed.type(CONTROL_D)
            assert typed.ended() == 0
    assert heard == [(1, b"one"), (1, b"two")]


def test_closing_the_terminal_ends_the_command() -> None:
    """The connection is closed with a close frame, although messages can no longer be shown."""
    closes: list[tuple[int, bytes]] = []
    gone = threading.Event()

    def script(peer: socket.socket) -> None:
        accept(peer)
        gone.wait()
        say(peer, (1, b"x" * 100_000))
        closes.append(read_frame(peer))
        say(peer, closes[0])

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/") as typed,
    ):
        typed.until(b"connected to")
        typed.close()
        gone.set()
        typed.process.wait(PATIENCE)
    assert closes == [(8, b"\x03\xe8")]
