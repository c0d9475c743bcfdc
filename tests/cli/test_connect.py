"""``txhixie connect --reconnect``: the ends after which it reconnects, and the lines it prints."""

from __future__ import annotations

import re
import socket

import pytest

from support.command_line import run, start
from support.daemon import PATIENCE
from support.scripted_peer import accept, close, read_frame, read_head, say, serving


def test_a_line_that_was_not_sent_is_the_first_of_the_next_connection() -> None:
    """A lost connection, then a temporary refusal, then a server that answers."""
    heard: list[bytes] = []
    connections = [0]

    def script(peer: socket.socket) -> None:
        connections[0] += 1
        if connections[0] == 2:
            read_head(peer)
            peer.sendall(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")
            return
        accept(peer)
        while (frame := read_frame(peer))[0] == 1:
            heard.append(frame[1])
            if connections[0] == 1:
                return  # without a close
            say(peer, frame)
        say(peer, frame)

    with serving(script) as port:
        words = ("--reconnect", "--wait", "0.2", f"ws://127.0.0.1:{port}/")
        with start("connect", *words) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(b"one\n")
            process.stdin.flush()
            lost = process.stderr.readline().decode().strip()
            process.stdin.write(b"two\n")
            process.stdin.close()
            (refused,) = process.stderr.read().decode().splitlines()
            assert process.wait(PATIENCE) == 0
    delay = r"connecting again in \d\.\d seconds"
    assert re.fullmatch(rf"connection lost: 1006.*; {delay}", lost)
    assert re.fullmatch(
        rf"the server refused with status 503 Service Unavailable; {delay}(; 1 message queued)?",
        refused,
    )
    assert heard == [b"one", b"two"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n", 3), (b"HTTP/1.1 101 x\r\n\r\n", 1)],
)
def test_a_permanent_refusal_ends_the_command(answer: bytes, status: int) -> None:
    def script(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(answer)

    with serving(script) as port:
        ran = run("connect", "--reconnect", f"ws://127.0.0.1:{port}/", given=b"one\n")
    assert (ran.status, len(ran.errors)) == (status, 1)


def test_the_end_of_the_input_ends_the_command() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        assert read_frame(peer) == (8, b"\x03\xe8")
        close(peer, 1000)

    with serving(script) as port:
        ran = run("connect", "--reconnect", "--wait", "0", f"ws://127.0.0.1:{port}/")
    assert (ran.status, ran.output, ran.errors) == (0, b"", [])


@pytest.mark.parametrize("given", [b"", b"never sent"])
def test_without_a_connection_the_end_of_an_empty_input_ends_it(given: bytes) -> None:
    """With a line that was not sent, the next connection is tried, which is refused for good."""
    refusals = [b"HTTP/1.1 503 x", b"HTTP/1.1 403 x"]

    def script(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(refusals.pop(0) + b"\r\nContent-Length: 0\r\n\r\n")

    with serving(script) as port:
        ran = run("connect", "--reconnect", f"ws://127.0.0.1:{port}/", given=given)
    assert ran.status == 3
    assert ran.errors[-1].startswith(
        f"txhixie: the server refused with status {403 if given else 503}"
    )


def test_a_program_that_only_receives_connects_again_without_an_input() -> None:
    answers = [b"HTTP/1.1 503 x", b"HTTP/1.1 403 x"]

    def script(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(answers.pop(0) + b"\r\nContent-Length: 0\r\n\r\n")

    with serving(script) as port:
        ran = run("connect", "--reconnect", "--wait", "inf", f"ws://127.0.0.1:{port}/")
    assert ran.status == 3
    assert answers == []


@pytest.mark.parametrize("option", ["--ping", "--reconnect"])
@pytest.mark.parametrize("mode", [("--once", "x"), ("--echo",)])
def test_options_of_a_conversation_of_lines_need_one(option: str, mode: tuple[str, ...]) -> None:
    ran = run("connect", option, *mode, "ws://127.0.0.1/")
    assert (ran.status, ran.output) == (2, b"")
    assert ran.line == f"txhixie: {option}: not allowed with --once or --echo"
