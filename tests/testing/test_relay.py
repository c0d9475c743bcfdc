"""The relay that prints a trace, as a program between a client and a server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.daemon import PATIENCE, free_port, running
from support.dialect_names import HIXIE, MODERN
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import whole_request


def relay(directory: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "txhixie.testing.relay", *words]
    with (directory / "relayed").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("dialect", [HIXIE[0], "hixie-76", "rfc6455"])
def test_a_relay_shows_what_passes(dialect: str, tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path) as daemon:
        there = f"tcp:127.0.0.1:{daemon.port}"
        process = relay(tmp_path, f"tcp:{port}:interface=127.0.0.1", there)
        try:
            with connected(port) as peer:
                peer.sendall(whole_request(dialect, origin=None))
                voice = FrameWriter(dialect, MASK if dialect in MODERN else None)
                while b"\r\n\r\n" not in peer.recv(4096):
                    pass
                peer.sendall(voice.text("hello"))
                while b"hello" not in peer.recv(4096):
                    pass
            deadline = time.monotonic() + PATIENCE
            while "server  closed" not in (said := (tmp_path / "relayed").read_text()):
                assert time.monotonic() < deadline, said
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    number = next(line for line in said.splitlines() if "hello" in line).split()[0]
    lines = [line for line in said.splitlines() if line.startswith(f"{number} ")]
    assert lines[0] == f"{number} client  GET /demo HTTP/1.1"
    hello = [f"{number} client  text 'hello'", f"{number} server  text 'hello'"]
    assert lines[-4:-2] == hello
    assert lines[-2:] == [f"{number} client  closed", f"{number} server  closed"]


def connected(port: int) -> socket.socket:
    """A connection, once the relay listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_relay_names_its_required_arguments(tmp_path: Path) -> None:
    process = relay(tmp_path, "tcp:0")
    assert process.wait(PATIENCE) == 1
    assert "LISTEN CONNECT" in (tmp_path / "relayed").read_text()


def test_a_relay_without_a_server_closes_the_connection(tmp_path: Path) -> None:
    port = free_port()
    process = relay(tmp_path, f"tcp:{port}:interface=127.0.0.1", f"tcp:127.0.0.1:{free_port()}")
    try:
        with connected(port) as peer, contextlib.suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(PATIENCE)
