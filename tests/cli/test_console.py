"""``txhixie connect`` on a terminal without a line editor, and with a pipe for its output."""

from __future__ import annotations

import os
import pty
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from support.command_line import start
from support.daemon import PATIENCE
from support.scripted_peer import accept, read_frame, say, serving
from support.terminal import terminal

CONTROL_D = b"\x04"


@pytest.mark.parametrize("how", ["a dumb terminal", "prompt_toolkit is missing"])
def test_without_an_editor_lines_are_edited_by_the_terminal(how: str, tmp_path: Path) -> None:
    """A server's message cannot control the terminal, and Control-D closes the connection at
    once."""

    def script(peer: socket.socket) -> None:
        accept(peer)
        opcode, payload = read_frame(peer)
        say(peer, (opcode, payload + b" \x1b[31mred\x07"), (2, b"\xff\x9b"))
        say(peer, read_frame(peer))

    # A module of this name that cannot be imported hides the installed package.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['prompt_toolkit'] = None\n")
    more: dict[str, Any] = {"PYTHONPATH": os.fspath(tmp_path)} if "missing" in how else {}
    term = "dumb" if "dumb" in how else "xterm"
    with serving(script) as port:
        url = f"ws://127.0.0.1:{port}/"
        with terminal("connect", "--wait", "inf", url, term=term, NO_COLOR="1", **more) as typed:
            typed.until(b"* connected to")
            typed.type(b"typed\n")
            typed.until(b"x9b")
            typed.type(CONTROL_D)
            assert typed.ended() == 0
    assert b"< typed \\x1b[31mred\\x07\r\n< (2 bytes) \\xff\\x9b\r\n" in typed.shown
    why = b"TERM is dumb" if "dumb" in how else b"pip install 'txhixie[cli]' for both"
    assert b"no line editing, and lines of at most 4095 bytes: " + why in typed.shown


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cut lines elsewhere")
@pytest.mark.parametrize("size", [4094, 4095, 6000])
def test_without_an_editor_a_line_that_the_terminal_cuts_is_not_sent(size: int) -> None:
    """Linux keeps 4,095 bytes of a line and drops the rest without an error."""
    heard: list[bytes] = []

    def script(peer: socket.socket) -> None:
        accept(peer)
        opcode, payload = read_frame(peer)
        if opcode == 1:
            heard.append(payload)
            opcode, payload = read_frame(peer)
        say(peer, (opcode, payload))

    with (
        serving(script) as port,
        terminal("connect", f"ws://127.0.0.1:{port}/", term="dumb") as typed,
    ):
        typed.until(b"connected to")
        typed.type(b"x" * size + b"\n" + (CONTROL_D if size < 4095 else b""))
        assert typed.ended() == (size >= 4095)
    cut = b"the terminal cuts lines of 4095 bytes or more"
    assert (cut in typed.shown) == (size >= 4095)
    assert heard == ([b"x" * size] if size < 4095 else [])


def test_with_a_pipe_for_output_messages_are_written_as_they_are() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, read_frame(peer), (1, b"\x1b[31m"))
        say(peer, read_frame(peer))

    ours, theirs = pty.openpty()
    with serving(script) as port:
        process = start("connect", f"ws://127.0.0.1:{port}/", stdin=theirs)
        os.close(theirs)
        assert process.stdout is not None
        os.write(ours, b"hello\n")
        assert process.stdout.readline() == b"hello\n"
        assert process.stdout.readline() == b"\x1b[31m\n"
        os.write(ours, CONTROL_D)
        assert process.wait(PATIENCE) == 0
        process.communicate()
    os.close(ours)
