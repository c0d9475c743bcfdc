"""All clients of one backend, at the end of a daemon: what was accepted still arrives."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.connection import head_of, whole_request
from support.daemon import PATIENCE, Daemon, running

SIZE = 1 << 16
MESSAGE = b"\x80\x84\x80\x00" + b"x" * SIZE  # hixie-54 has binary, and its close is the end


@contextlib.contextmanager
def stuck(directory: Path) -> Iterator[tuple[Daemon, socket.socket, socket.socket]]:
    """A daemon, a client that sent all that it takes, and the backend, which has read nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        service = f"/=tcp:127.0.0.1:{listening.getsockname()[1]}"
        with running(directory, "--serve", service) as daemon, daemon.connect() as client:
            client.sendall(whole_request("hixie-54", host="localhost", origin="http://localhost"))
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += client.recv(1)
            assert head_of(answer).startswith(b"HTTP/1.1 101 ")
            backend, _ = listening.accept()
            with backend:
                client.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    while True:
                        client.sendall(MESSAGE)
                yield daemon, client, backend


def read_all(peer: socket.socket) -> int:
    """How many bytes there are up to the end, which has to be an orderly one."""
    peer.settimeout(PATIENCE)
    size = 0
    while data := peer.recv(1 << 20):
        size += len(data)
    return size


def test_a_daemon_that_is_asked_to_end_loses_nothing_it_has_accepted(tmp_path: Path) -> None:
    """Though its backend begins to read when the client has long gone."""
    with stuck(tmp_path) as (daemon, client, backend):
        daemon.terminate()
        with contextlib.suppress(ConnectionResetError):
            read_all(client)
        line = daemon.logged("ended with")
        received = re.search(r"(\d+) received", line)
        assert received is not None
        assert daemon.process.poll() is None
        assert read_all(backend) == int(received[1]) * SIZE > 1 << 20
        backend.close()
        assert daemon.ended() == -15


def test_who_asks_twice_does_not_wait_for_a_backend(tmp_path: Path) -> None:
    """It is reset, so that it can tell this from an end."""
    with stuck(tmp_path) as (daemon, client, backend):
        daemon.terminate()
        with contextlib.suppress(ConnectionResetError):
            read_all(client)
        daemon.logged("ended with")
        daemon.terminate()
        assert daemon.ended() == -15
        with pytest.raises(ConnectionResetError):
            read_all(backend)
