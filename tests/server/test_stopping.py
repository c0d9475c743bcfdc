"""Stopping of a server whose clients do not cooperate, in processes of their own."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.certificates import Authority
from support.daemon import Daemon, free_port, running
from support.handshake_bytes import whole_request

STOP = 1.5
"""The stop timeout of these daemons, in seconds; without it they take 63 to stop."""

MARGIN = 20.0
"""Additional seconds that a busy machine may need."""

TEXT = b"\x00" + b"x" * 65534 + b"\xff"
CHUNK = b"\x82\xfe\xff\xff\0\0\0\0" + b"x" * 65535

Stuck = Callable[[ExitStack, Daemon, int], None]


def connected(stack: ExitStack, port: int) -> socket.socket:
    peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
    peer.settimeout(30)
    return peer


def secured(stack: ExitStack, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return stack.enter_context(context.wrap_socket(connected(stack, port)))


def asks(peer: socket.socket, request: bytes) -> None:
    """Send a request, and read the head of the response, or a little more."""
    peer.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = peer.recv(1024)
        assert piece, answer
        answer += piece
    assert answer[9:12] in (b"101", b"200"), answer


def pushes(peer: socket.socket, data: bytes) -> None:
    """Send until the peer's buffers are full."""
    peer.settimeout(0.5)
    try:
        for _ in range(4000):
            peer.sendall(data)
    except TimeoutError:
        pass


def echo(stack: ExitStack, daemon: Daemon, port: int) -> None:
    """A client of an echo server that does not read the echo."""
    peer = connected(stack, daemon.port)
    asks(peer, whole_request("hixie-75", target="/echo"))
    pushes(peer, TEXT)


def echo_over_tls(stack: ExitStack, daemon: Daemon, port: int) -> None:
    peer = secured(stack, port)
    asks(peer, whole_request("hixie-75", target="/echo"))
    pushes(peer, TEXT)


def download(stack: ExitStack, daemon: Daemon, port: int) -> None:
    asks(connected(stack, daemon.port), b"GET /pages/big HTTP/1.1\r\nHost: example.com\r\n\r\n")


def download_over_tls(stack: ExitStack, daemon: Daemon, port: int) -> None:
    asks(secured(stack, port), b"GET /pages/big HTTP/1.1\r\nHost: example.com\r\n\r\n")


def client_of_a_gateway(stack: ExitStack, daemon: Daemon, port: int) -> None:
    """A client of a gateway, whose backend is this daemon's own echo."""
    peer = connected(stack, daemon.port)
    asks(peer, whole_request("rfc6455", target="/relay"))
    pushes(peer, CHUNK)


def backend(stack: ExitStack, daemon: Daemon, port: int) -> None:
    """A client of a ``tcp:`` service, whose backend accepts and reads nothing."""
    peer = connected(stack, daemon.port)
    asks(peer, whole_request("rfc6455", target="/deaf"))
    pushes(peer, CHUNK)


def unfinished_handshake(stack: ExitStack, daemon: Daemon, port: int) -> None:
    connected(stack, daemon.port).sendall(b"GET / HTTP/1.1\r\n")


def unfinished_tls(stack: ExitStack, daemon: Daemon, port: int) -> None:
    connected(stack, port).sendall(b"\x16\x03\x01\x02\x00\x01\x00")


def silent_over_tls(stack: ExitStack, daemon: Daemon, port: int) -> None:
    """A client over TLS that answers neither a close frame nor the close of TLS."""
    asks(secured(stack, port), whole_request("rfc6455", target="/echo"))


@contextmanager
def deaf() -> Iterator[int]:
    """A backend that accepts connections, and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


KINDS: tuple[Stuck, ...] = (
    echo,
    echo_over_tls,
    download,
    download_over_tls,
    client_of_a_gateway,
    backend,
    unfinished_handshake,
    unfinished_tls,
    silent_over_tls,
)


@contextmanager
def daemon_with_all(directory: Path, stop: float = STOP) -> Iterator[tuple[Daemon, int]]:
    """
    A daemon with all services that these clients use.

    :return: it, and its port of TLS.
    """
    pages = directory / "pages"
    pages.mkdir()
    with (pages / "big").open("wb") as big:
        big.truncate(60_000_000)
    pem = directory / "pem"
    pem.write_bytes(Authority("test").pem_for("localhost"))
    port, relayed = free_port(), free_port()
    with deaf() as behind:
        served = {
            "echo": "echo",
            "deaf": f"tcp:127.0.0.1:{behind}",
            "relay": f"ws://127.0.0.1:{relayed}/echo",
            "pages": "static:pages",
        }
        options = [word for path, what in served.items() for word in ("--serve", f"/{path}={what}")]
        options += ["--port", f"tcp:{relayed}:interface=127.0.0.1", "--stop-timeout", str(stop)]
        options += ["--origins", "*"]
        options += ["--port", f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"]
        with running(directory, *options, awaited=port) as daemon:
            yield daemon, port


@pytest.mark.parametrize("stuck", KINDS)
def test_SIGTERM_ends_within_the_stop_timeout(stuck: Stuck, tmp_path: Path) -> None:
    with daemon_with_all(tmp_path) as (daemon, port), ExitStack() as stack:
        stuck(stack, daemon, port)
        began = time.monotonic()
        daemon.terminate()
        assert daemon.ended() == -signal.SIGTERM
        assert time.monotonic() - began < STOP + MARGIN
        assert "Traceback" not in daemon.log
        assert daemon.errors == ""


def test_SIGTERM_ends_all_clients_together_within_the_stop_timeout(tmp_path: Path) -> None:
    with daemon_with_all(tmp_path) as (daemon, port), ExitStack() as stack:
        for stuck in KINDS:
            stuck(stack, daemon, port)
        began = time.monotonic()
        daemon.terminate()
        assert daemon.ended() == -signal.SIGTERM
        assert time.monotonic() - began < STOP + MARGIN
        assert "Traceback" not in daemon.log


def test_a_second_signal_does_not_wait_for_the_stop_timeout(tmp_path: Path) -> None:
    with daemon_with_all(tmp_path, stop=3000) as (daemon, port), ExitStack() as stack:
        for stuck in KINDS:
            stuck(stack, daemon, port)
        daemon.terminate()
        daemon.logged("(TCP Port")  # the ports are closed, so that the second signal is handled
        daemon.terminate(signal.SIGINT)
        assert daemon.ended() in (-signal.SIGTERM, -signal.SIGINT)
        assert "Traceback" not in daemon.log
