"""The examples, run as a reader would run them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from support.daemon import PATIENCE, free_port, running

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_the_echo_server_echoes(tmp_path: Path) -> None:
    port = free_port()
    where = f"tcp:{port}:interface=127.0.0.1"
    command = [sys.executable, os.fspath(EXAMPLES / "echo.py"), where]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        try:
            with connected(port) as peer:
                peer.sendall(
                    b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
                    b"Host: a\r\n\r\n"
                )
                while b"\r\n\r\n" not in peer.recv(4096):
                    pass
                peer.sendall(b"\x00hello\xff")
                assert peer.recv(4096) == b"\x00hello\xff"
        finally:
            process.terminate()


def test_the_echo_client_says_something_and_hears_it(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        url = f"ws://127.0.0.1:{daemon.port}/"
        command = [sys.executable, os.fspath(EXAMPLES / "echo_client.py"), url, "hello"]
        said = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    assert (said.stdout, said.stderr) == (b"hello\n", b"")


def connected(port: int) -> socket.socket:
    """A connection, once there is somebody to connect to."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
