"""Stopping of a server whose clients do not cooperate, in processes of their own."""

from __future__ import annotations

import select
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.blocking_peer import status
from support.certificates import Authority
from support.daemon import Daemon, configured, free_port, run_hixie, running
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
    assert status(peer) in (101, 200)


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
def daemon_with_all(
    directory: Path, stop: float = STOP, drain: float = 0.0
) -> Iterator[tuple[Daemon, int]]:
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
        options += ["--origins", "*", "--drain", str(drain)]
        options += ["--port", f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"]
        with running(directory, *options) as daemon:
            yield daemon, port


def ends_within_the_stop_timeout(daemon: Daemon) -> None:
    """Send SIGTERM, and assert that the daemon ends in time."""
    began = time.monotonic()
    daemon.terminate()
    assert daemon.ended() == -signal.SIGTERM
    assert time.monotonic() - began < STOP + MARGIN
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize("stuck", KINDS)
def test_SIGTERM_ends_within_the_stop_timeout(stuck: Stuck, tmp_path: Path) -> None:
    with daemon_with_all(tmp_path) as (daemon, port), ExitStack() as stack:
        stuck(stack, daemon, port)
        ends_within_the_stop_timeout(daemon)
        assert daemon.errors == ""


def test_SIGTERM_ends_all_clients_together_within_the_stop_timeout(tmp_path: Path) -> None:
    with daemon_with_all(tmp_path) as (daemon, port), ExitStack() as stack:
        for stuck in KINDS:
            stuck(stack, daemon, port)
        ends_within_the_stop_timeout(daemon)


def test_a_second_signal_does_not_wait_for_the_stop_timeout(tmp_path: Path) -> None:
    with daemon_with_all(tmp_path, stop=3000) as (daemon, port), ExitStack() as stack:
        for stuck in KINDS:
            stuck(stack, daemon, port)
        daemon.terminate()
        daemon.logged("(TCP Port")  # the ports are closed, so that the second signal is handled
        daemon.terminate(signal.SIGINT)
        assert daemon.ended() in (-signal.SIGTERM, -signal.SIGINT)
        assert "Traceback" not in daemon.log


# The closes are spread over --drain seconds.

DRAIN = 2.0


def message(dialect: str, text: bytes) -> bytes:
    if dialect.startswith("hixie"):
        return b"\x00" + text + b"\xff"
    return b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text


def answer(dialect: str, text: bytes) -> bytes:
    return message(dialect, text) if dialect.startswith("hixie") else b"\x81\x05" + text


def received(peer: socket.socket, size: int) -> bytes:
    """Read that many bytes, or less if the server closes before."""
    data = b""
    while len(data) < size and (piece := peer.recv(size - len(data))):
        data += piece
    return data


@pytest.mark.parametrize(
    ("dialect", "close"),
    [("rfc6455", b"\x88\x02\x03\xe9"), ("hixie-76", b"\xff\x00"), ("hixie-75", b"")],
)
def test_drain_spreads_the_closes_and_refuses_new_clients_at_once(
    dialect: str, close: bytes, tmp_path: Path
) -> None:
    options = ("--drain", f"{DRAIN}", "--stop-timeout", "3000", "--serve", "/=echo")
    with running(tmp_path, *options) as daemon, ExitStack() as stack:
        peers = [connected(stack, daemon.port) for _ in range(8)]
        for peer in peers:
            asks(peer, whole_request(dialect))
        poll = select.poll()
        for peer in peers:
            poll.register(peer, select.POLLIN)
        began = time.monotonic()
        daemon.terminate()
        left, times = {peer.fileno(): peer for peer in peers}, []
        while left:
            (number, _), *_ = poll.poll(30_000)
            peer = left.pop(number)
            poll.unregister(peer)
            assert received(peer, max(len(close), 1)) == close
            times.append(time.monotonic() - began)
            if len(times) == 1:
                with pytest.raises(ConnectionRefusedError):
                    connected(stack, daemon.port)
                for other in left.values():  # conversations go on until their turn
                    other.sendall(message(dialect, b"hello"))
                for other in left.values():
                    expected = answer(dialect, b"hello")
                    assert received(other, len(expected)) == expected
            peer.close()
        assert daemon.ended() == -signal.SIGTERM
        assert times[-1] - times[0] >= DRAIN * 6 / 8
        assert "Traceback" not in daemon.log


def test_drain_ends_with_the_last_client(tmp_path: Path) -> None:
    options = ("--drain", "3000", "--stop-timeout", "3000")
    with running(tmp_path, *options) as daemon, ExitStack() as stack:
        peers = [connected(stack, daemon.port) for _ in range(3)]
        for peer in peers:
            asks(peer, whole_request("rfc6455"))
        daemon.terminate()
        daemon.logged("(TCP Port")
        for peer in peers:
            peer.close()
        assert daemon.ended() == -signal.SIGTERM


@pytest.mark.parametrize("drain", [0.0, STOP])
def test_a_drain_with_all_kinds_of_clients_ends_within_the_stop_timeout(
    drain: float, tmp_path: Path
) -> None:
    with daemon_with_all(tmp_path, drain=drain) as (daemon, port), ExitStack() as stack:
        for stuck in KINDS:
            stuck(stack, daemon, port)
        ends_within_the_stop_timeout(daemon)


def test_clients_from_before_a_reload_are_ended_within_the_stop_timeout_too(tmp_path: Path) -> None:
    with daemon_with_all(tmp_path, drain=STOP) as (daemon, port), ExitStack() as stack:
        for times, stuck in enumerate(KINDS, 1):
            stuck(stack, daemon, port)
            daemon.reload(times)
        ends_within_the_stop_timeout(daemon)


def test_a_second_signal_ends_a_drain_at_once(tmp_path: Path) -> None:
    with daemon_with_all(tmp_path, stop=3000, drain=3000) as (daemon, port), ExitStack() as stack:
        for stuck in KINDS:
            stuck(stack, daemon, port)
        daemon.terminate()
        daemon.logged("(TCP Port")
        daemon.terminate()
        assert daemon.ended() == -signal.SIGTERM
        assert "Traceback" not in daemon.log


def test_a_drain_that_exceeds_the_stop_timeout_is_refused_at_the_start() -> None:
    result = run_hixie("--drain", "9", "--check")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "hixie: --drain 9: expected at most --stop-timeout, which is 8 seconds"
    )


def test_a_drain_that_exceeds_the_stop_timeout_is_refused_at_a_reload(tmp_path: Path) -> None:
    with configured(tmp_path, 'port = "{port}"\ndrain = 2\n') as daemon:
        file = tmp_path / "hixie.toml"
        file.write_text(file.read_text() + "stop-timeout = 1\n")
        daemon.terminate(signal.SIGHUP)
        line = daemon.logged("not-reloaded")
        assert "drain: 2: expected at most --stop-timeout, which is 1 seconds" in line


def test_connections_of_an_earlier_reload_have_the_drain_of_the_last_one(tmp_path: Path) -> None:
    text = 'port = "{port}"\nstop-timeout = 0.5\n'
    with configured(tmp_path, text) as daemon, ExitStack() as stack:
        early = connected(stack, daemon.port)
        asks(early, whole_request("rfc6455"))
        others = [connected(stack, daemon.port) for _ in range(3)]
        for peer in others:
            asks(peer, whole_request("rfc6455"))
        file = tmp_path / "hixie.toml"
        file.write_text(file.read_text().replace("0.5", "3000\ndrain = 2"))
        daemon.reload()
        began = time.monotonic()
        daemon.terminate()
        times = []
        for peer in (early, *others):
            assert received(peer, 4) == b"\x88\x02\x03\xe9"
            times.append(time.monotonic() - began)
            peer.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
        assert daemon.ended() == -signal.SIGTERM
        assert max(times) >= 1.4
