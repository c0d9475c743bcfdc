"""A daemon with several workers: processes that share ports, limits, topics and the status."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from daemon.test_systemd import Manager, launched
from peers.test_front import write_certificate
from support.blocking_peer import answer, connected, status
from support.certificates import authority, unverified_context
from support.crowd import Crowd, Peer
from support.daemon import PATIENCE, Daemon, configured, free_port, program, run_hixie, started
from support.echoing import offer
from support.handshake_bytes import whole_request
from support.ipv6 import needs_ipv6
from support.page_requests import ask, opened
from support.workers import Workers, working
from txhixie.daemon.workers.heartbeats import HANG_SECONDS, HEARTBEAT_INTERVAL

ARRIVALS = 1000

TWISTD = (program("twistd"), "-n", "--pidfile=")

BY_SIGTERM = -signal.SIGTERM
"""Status of a daemon that has ended in order: twistd ends by the signal that stopped it."""


def until(condition: Any, patience: float = PATIENCE) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(daemon: Daemon) -> dict[str, Any]:
    """The status of the daemon, once all workers have answered in time."""
    found: dict[str, Any] = {}

    def is_whole() -> bool:
        found.update(json.loads(ask(daemon, "/status?format=json").body))
        return not found["workers"]["silent"]

    until(is_whole)
    return found


def metrics(daemon: Daemon) -> str:
    """The metrics of the daemon, once all workers have answered in time."""
    found = [""]

    def is_whole() -> bool:
        found[0] = ask(daemon, "/metrics").body.decode()
        return 'txhixie_workers{state="silent"} 0.0' in found[0]

    until(is_whole)
    return found[0]


@contextlib.contextmanager
def clients(daemon: Daemon, count: int) -> Iterator[list[socket.socket]]:
    """Open conversations."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(opened(daemon)) for _ in range(count)]


@contextlib.contextmanager
def spread(workers: Workers, count: int, all_of: int = 2) -> Iterator[list[socket.socket]]:
    """Open conversations, and more of them until each worker has one."""
    with contextlib.ExitStack() as stack:
        peers: list[socket.socket] = []
        while len(peers) < count or len({worker_of(workers, each) for each in peers}) < all_of:
            assert len(peers) < ARRIVALS
            peers.append(stack.enter_context(opened(workers.daemon)))
        yield peers


def worker_of(workers: Workers, client: socket.socket) -> int:
    """The number of the worker that has a client."""
    address = "{}:{}".format(*client.getsockname())
    return workers.of([address])[address]


def is_connected(client: socket.socket) -> bool:
    """Whether the echo of a client still comes."""
    client.sendall(b"\x81\x82\0\0\0\0hi")
    return client.recv(16) == b"\x81\x02hi"


def ended(client: socket.socket) -> bytes:
    """What a client reads until the end of its connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(4096):
            received += more
    return received


# Accepting.


@pytest.mark.parametrize("kind", ["TCP", "UNIX"])
def test_connections_are_spread_over_the_workers(kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with working(tmp_path, "--port", f"unix:{path}", "--serve", "/=hub") as workers:
        where: Any = ("127.0.0.1", workers.daemon.port) if kind == "TCP" else path
        family = socket.AF_INET if kind == "TCP" else socket.AF_UNIX
        with contextlib.ExitStack() as stack:
            peers = []
            for number in range(ARRIVALS):
                peer = stack.enter_context(socket.socket(family))
                peer.settimeout(PATIENCE)
                peer.connect(where)
                peer.sendall(whole_request("rfc6455"))
                peers.append(peer)
                if number % 50 == 0:  # bursts and single arrivals
                    assert status(peer) == 101
            assert all(status(peer) == 101 for number, peer in enumerate(peers) if number % 50)
            until(lambda: len(re.findall(r" opened ", workers.daemon.log)) == ARRIVALS)
            counts = [len(workers.lines(number, " opened ")) for number in (1, 2)]
        assert sum(counts) == ARRIVALS
        assert max(counts) <= 2 * min(counts), counts
    assert workers.daemon.ended() == BY_SIGTERM
    assert not Path(path).exists()


def test_every_kind_of_port_is_shared(tmp_path: Path) -> None:
    both, second = free_port(), free_port()
    files = write_certificate(tmp_path)
    key, cert = (files[f"/etc/ssl/{name}/example.com.pem"] for name in ("private", "certs"))
    (tmp_path / "pem").mkdir()
    (tmp_path / "pem" / "both.pem").write_bytes(key.read_bytes() + cert.read_bytes())
    numbers = [free_port() for _ in range(2)]
    ports = [
        str(both),
        f"tcp:{second}:interface=127.0.0.1",
        f"ssl:{numbers[0]}:privateKey={key}:certKey={cert}:interface=127.0.0.1",
        rf"tls:{tmp_path / 'pem'}:port={numbers[1]}:interface=127.0.0.1",
    ]
    words = [word for port in ports for word in ("--port", port)]
    with working(tmp_path, *words) as workers:
        for number in (both, second):
            with connected(number, beginning=offer()) as peer:
                assert status(peer) == 101
        for number in numbers:
            seen: set[int] = set()
            with contextlib.ExitStack() as stack:
                while seen != {1, 2}:
                    peer = stack.enter_context(socket.create_connection(("127.0.0.1", number)))
                    peer.settimeout(PATIENCE)
                    secure = unverified_context().wrap_socket(peer, server_hostname="example.com")
                    stack.enter_context(secure)
                    secure.sendall(offer())
                    assert answer(secure).split()[1] == b"101"
                    assert is_connected(secure)
                    seen.add(worker_of(workers, secure))
    assert workers.daemon.ended() == BY_SIGTERM
    assert "Traceback" not in workers.daemon.log


@needs_ipv6
def test_a_port_number_is_shared_for_both_families(tmp_path: Path) -> None:
    port = free_port()
    with working(tmp_path, "--port", str(port)):
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, port), PATIENCE) as peer:
                peer.sendall(whole_request("rfc6455"))
                assert status(peer) == 101


def test_sockets_of_systemd_are_shared(tmp_path: Path) -> None:
    file = tmp_path / "hixie.toml"
    file.write_text('port = "systemd:domain=INET:name=hixie"\nworkers = 2\n')
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        variables = {"LISTEN_FDNAMES": "hixie"}
        options = ("--config", str(file))
        with launched(tmp_path, *options, passed=[tcp], variables=variables) as daemon:
            daemon.port = tcp.getsockname()[1]
            workers = Workers(daemon, 2)
            with spread(workers, 12) as peers:
                daemon.terminate(signal.SIGHUP)
                daemon.logged_times("] reloaded ", 3)
                assert all(map(is_connected, peers))
                daemon.terminate()
                assert all(ended(peer)[:2] == b"\x88\x02" for peer in peers)
            assert daemon.ended() == BY_SIGTERM
        # The socket is systemd's: its next client waits for the next daemon.
        with socket.create_connection(tcp.getsockname(), PATIENCE):
            pass


@pytest.mark.parametrize("runner", ["twist", "txhixie"])
def test_other_programs_start_workers_as_well(runner: str, tmp_path: Path) -> None:
    port = free_port()
    options = ("--port", f"tcp:{port}:interface=127.0.0.1", "--workers", "2")
    with started(tmp_path, port, *options, runner=runner) as daemon:
        Workers(daemon, 2)
        with clients(daemon, 4) as peers:
            assert all(map(is_connected, peers))
        daemon.terminate()
        assert daemon.ended() == (0 if runner == "txhixie" else BY_SIGTERM)


def test_the_workers_have_the_reactor_of_the_parent(tmp_path: Path) -> None:
    port = free_port()
    words = ["-n", "--pidfile=", "-r", "asyncio", "hixie", "--workers", "2", "--port"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [program("twistd"), *words, f"tcp:{port}:interface=127.0.0.1"], stdout=file
        )
    daemon = Daemon(port, process, tmp_path)
    try:
        (tmp_path / "errors").write_text("")
        workers = Workers(daemon, 2)
        command = Path(f"/proc/{workers.process(1)}/cmdline").read_text()
        assert "twisted.internet.asyncioreactor" in command
        with clients(daemon, 4) as peers:
            assert all(map(is_connected, peers))
        daemon.terminate()
        assert daemon.ended() == BY_SIGTERM
    finally:
        process.kill()


def test_systemd_is_told_that_the_daemon_is_ready_when_all_workers_listen(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    options = ("--port", f"tcp:{free_port()}:interface=127.0.0.1", "--workers", "2")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(address)
        manager = Manager(receiving)
        with launched(tmp_path, *options, variables={"NOTIFY_SOCKET": address}) as daemon:
            assert manager.told() == {"READY": "1", "STATUS": "listening on 1 port"}
            until(lambda: daemon.log.count("starting on") == 3)
            daemon.terminate()
            assert manager.told()["STATUS"].startswith("closing 0 connections")
            assert daemon.ended() == BY_SIGTERM


# The end of a worker.


def test_a_killed_worker_costs_its_own_clients_only_and_is_started_again(tmp_path: Path) -> None:
    with working(tmp_path) as workers, spread(workers, 20) as peers:
        of = {peer: worker_of(workers, peer) for peer in peers}
        workers.kill(1)
        for peer, number in of.items():
            if number == 1:
                assert ended(peer) == b""  # no close frame: 1006
            else:
                assert is_connected(peer)
        line = workers.daemon.logged("worker-ended")
        assert 'worker-ended worker=1 reason="signal 9" seconds=0.1' in line
        workers.serves(1, times=2)
        with spread(workers, 1):
            pass
        assert all(is_connected(peer) for peer, number in of.items() if number == 2)


def test_five_ends_of_workers_within_a_minute_end_the_daemon(tmp_path: Path) -> None:
    with working(tmp_path) as workers, clients(workers.daemon, 8) as peers:
        kept = [peer for peer in peers if worker_of(workers, peer) == 2]
        for times in range(1, 6):
            workers.daemon.logged_times("worker-started worker=1 ", times)
            workers.kill(1)
            workers.daemon.logged_times("worker-ended", times)
        assert workers.daemon.ended() == 1
        assert "#critical] hixie: 5 workers ended within 60 seconds" in workers.daemon.log
        assert all(ended(peer)[:2] == b"\x88\x02" for peer in kept)


def test_workers_that_cannot_start_end_the_daemon_with_one_line(tmp_path: Path) -> None:
    """A key that the parent can read and the workers cannot: they have no such descriptor."""
    files = write_certificate(tmp_path)
    key, cert = (files[f"/etc/ssl/{name}/example.com.pem"] for name in ("private", "certs"))
    with key.open() as file:
        passed = fcntl.fcntl(file, fcntl.F_DUPFD, 200)
    try:
        port = f"ssl:{free_port()}:privateKey=/proc/self/fd/{passed}:certKey={cert}"
        found = subprocess.run(
            [*TWISTD, "hixie", "--port", port, "--workers", "2"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            pass_fds=[passed],
            check=False,
        )
    finally:
        os.close(passed)
    assert found.returncode == 1
    (line,) = [line for line in found.stdout.splitlines() if "#critical" in line]
    assert f"hixie: --port {port}: " in line
    assert "No such file or directory" in line


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    with working(tmp_path) as workers, clients(workers.daemon, 8) as peers:
        processes = [workers.process(number) for number in (1, 2)]
        workers.daemon.process.kill()
        assert all(ended(peer)[:2] == b"\x88\x02" for peer in peers)
        until(lambda: not any(Path(f"/proc/{each}").exists() for each in processes))
        with pytest.raises(ConnectionRefusedError):
            workers.daemon.connect()


# Signals.


def test_SIGHUP_reaches_all_workers(tmp_path: Path) -> None:
    text = 'port = "{port}"\nworkers = 2\nstatus = "/status"\n'
    with configured(tmp_path, text) as daemon:
        workers = Workers(daemon, 2)
        file = tmp_path / "hixie.toml"
        old, new = free_port(), f"unix:{tmp_path / 'new'}"
        right = file.read_text()
        with clients(daemon, 8) as peers:
            file.write_text(f"{right}origins = 5\n")
            daemon.terminate(signal.SIGHUP)
            daemon.logged("] not-reloaded ")
            ports = right.replace("port = ", f'port = ["tcp:{old}:interface=127.0.0.1", "{new}", ')
            ports = ports.replace('"\nworkers', '"]\nworkers')
            file.write_text(f'{ports}origins = "http://example.com"\n')
            daemon.terminate(signal.SIGHUP)
            daemon.logged_times("] reloaded kept=1 opened=2", 3)
            assert [len(workers.lines(number, "reloaded")) for number in (1, 2)] == [1, 1]
            seen: set[int] = set()
            with contextlib.ExitStack() as stack:
                while seen != {1, 2}:
                    number = old if seen else daemon.port
                    asked = whole_request("rfc6455", origin="http://evil.example")
                    peer = stack.enter_context(connected(number, beginning=asked))
                    assert status(peer) == 403
                    peer = stack.enter_context(opened(daemon, origin="http://example.com"))
                    seen.add(worker_of(workers, peer))
            with socket.socket(socket.AF_UNIX) as local:
                local.connect(str(tmp_path / "new"))
            file.write_text(right)
            daemon.terminate(signal.SIGHUP)
            daemon.logged_times("] reloaded kept=1 opened=0 closed=2", 3)
            with pytest.raises(ConnectionRefusedError):
                connected(old)
            assert not (tmp_path / "new").exists()
            assert all(map(is_connected, peers))
            file.write_text(right.replace("workers = 2", "workers = 3"))
            daemon.terminate(signal.SIGHUP)
            line = daemon.logged("expected the number of workers")
            assert "restart the daemon to change it" in line
        assert "Traceback" not in daemon.log


def test_a_renewed_certificate_reaches_all_workers(tmp_path: Path) -> None:
    pem, number = tmp_path / "server.pem", free_port()
    pem.write_bytes(authority().pem_for("localhost"))
    port = f"ssl:{number}:privateKey={pem}:interface=127.0.0.1"

    def served() -> set[bytes | None]:
        found = set()
        for _ in range(8):
            peer = socket.create_connection(("127.0.0.1", number), PATIENCE)
            with unverified_context().wrap_socket(peer, server_hostname="example.com") as secure:
                found.add(secure.getpeercert(binary_form=True))
        return found

    with working(tmp_path, "--port", port) as workers:
        before = served()
        assert len(before) == 1
        pem.write_bytes(authority().pem_for("localhost"))
        workers.daemon.logged_times("] reloaded ", 3)
        assert len(served()) == 1
        assert served() != before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_all_processes_get_ends_the_daemon_in_order(
    number: int, tmp_path: Path
) -> None:
    """As by Ctrl-C on a terminal, and by systemctl stop."""
    with working(tmp_path) as workers, clients(workers.daemon, 8) as peers:
        for worker in (1, 2):
            workers.kill(worker, number)
        workers.daemon.terminate(number)
        received = [ended(peer) for peer in peers]
        assert {each[:4] for each in received} == {b"\x88\x02\x03\xe9"}
        assert workers.daemon.ended() == -number
        assert "worker-ended" not in workers.daemon.log
        assert "Traceback" not in workers.daemon.log
        with pytest.raises(ConnectionRefusedError):
            workers.daemon.connect()


def test_a_client_that_is_sent_1001_is_refused_when_it_connects_again(tmp_path: Path) -> None:
    """Each worker closes its connections when no process accepts any more."""
    with working(tmp_path) as workers, clients(workers.daemon, 30) as peers:
        workers.daemon.terminate()
        for peer in peers:
            assert peer.recv(4) == b"\x88\x02\x03\xe9"
            with pytest.raises(ConnectionRefusedError):
                workers.daemon.connect()


def test_a_second_signal_aborts_the_connections_of_all_workers(tmp_path: Path) -> None:
    with working(tmp_path, "--stop-timeout", "600") as workers:  # noqa: SIM117
        with clients(workers.daemon, 8) as peers:
            workers.daemon.terminate()
            for peer in peers:
                assert peer.recv(4) == b"\x88\x02\x03\xe9"  # and no answer
            workers.daemon.terminate()
            assert workers.daemon.ended() == BY_SIGTERM
            assert all(ended(peer) == b"" for peer in peers)


def test_the_health_page_is_answered_until_the_last_connection_has_ended(tmp_path: Path) -> None:
    with working(tmp_path, "--health", "/health") as workers:
        daemon = workers.daemon
        assert ask(daemon, "/health").status == 200
        with clients(daemon, 8) as peers:
            daemon.terminate()
            for peer in peers:
                assert peer.recv(4) == b"\x88\x02\x03\xe9"
            assert {ask(daemon, "/health").status for _ in range(6)} == {503}
        assert daemon.ended() == BY_SIGTERM


def test_a_worker_that_does_not_run_is_killed_in_the_end(tmp_path: Path) -> None:
    with working(tmp_path, "--stop-timeout", "0.2") as workers:
        workers.kill(1, signal.SIGSTOP)
        workers.daemon.terminate()
        assert workers.daemon.ended() == BY_SIGTERM
        until(lambda: not Path(f"/proc/{workers.process(1)}").exists())


def test_a_worker_that_hangs_is_killed_and_started_again(tmp_path: Path) -> None:
    """The time in which all processes are stopped, as on a suspended machine, does not count."""
    with working(tmp_path, "--ping-interval", "0") as workers, spread(workers, 20) as peers:
        of = {peer: worker_of(workers, peer) for peer in peers}
        processes = [workers.process(1), workers.process(2), workers.daemon.process.pid]
        for each in processes:
            os.kill(each, signal.SIGSTOP)
        time.sleep(HANG_SECONDS + HEARTBEAT_INTERVAL)
        for each in processes[1:]:
            os.kill(each, signal.SIGCONT)
        begin = time.monotonic()
        until(lambda: "worker-ended" in workers.daemon.log, PATIENCE + 2 * HANG_SECONDS)
        assert time.monotonic() - begin >= HANG_SECONDS - HEARTBEAT_INTERVAL
        line = workers.daemon.logged("worker-ended")
        assert 'worker=1 reason="no heartbeat for 30 seconds" seconds=0.1' in line
        workers.serves(1, times=2)
        for peer, number in of.items():
            if number == 1:
                assert ended(peer) == b""
            else:
                assert is_connected(peer)
        assert workers.daemon.log.count("worker-ended") == 1


# What is of the whole.


def in_time(attempt: Callable[[], bool]) -> None:
    """
    Attempt until the parent has answered each question, or passed each count on, in time.

    After 5 ms a worker decides by its own share, which is another decision. A machine that runs
    other tests as well may be so late.
    """
    assert any(attempt() for _ in range(20))


def test_the_limit_of_all_connections_is_that_of_all_workers(tmp_path: Path) -> None:
    with working(tmp_path, "--max-connections", "10") as workers:

        def attempt() -> bool:
            with contextlib.ExitStack() as stack:
                found = []
                for _ in range(30):
                    peer = stack.enter_context(connected(workers.daemon.port, beginning=offer()))
                    found.append(status(peer))
            return found == [101] * 10 + [503] * 20

        in_time(attempt)
        until(lambda: _opens(workers.daemon))


def test_pages_and_unfinished_handshakes_count_for_the_limit_of_all_workers(
    tmp_path: Path,
) -> None:
    options = ("--max-connections", "6", "--health", "/health")
    page = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with working(tmp_path, *options) as workers:
        port = workers.daemon.port

        def statuses(request: bytes, count: int) -> list[int | None]:
            found = []
            for _ in range(count):
                with connected(port, beginning=request) as peer:
                    found.append(status(peer))
            return found

        def attempt() -> bool:
            with contextlib.ExitStack() as stack:
                for _ in range(5):
                    stack.enter_context(connected(port))  # it sends nothing
                peer = stack.enter_context(connected(port, beginning=offer()))
                if status(peer) != 101:
                    return False
                return {*statuses(page, 5), *statuses(offer(), 5)} == {503}

        in_time(attempt)
        # Each page gives its place back.
        in_time(lambda: statuses(page, 20) == [200] * 20)


def _opens(daemon: Daemon, source: str = "127.0.0.1") -> bool:
    with connected(daemon.port, source, beginning=offer()) as peer:
        return status(peer) == 101


def test_the_limit_of_an_address_is_that_of_all_workers(tmp_path: Path) -> None:
    sources = (f"127.0.0.{number}" for number in count(2))
    with working(tmp_path, "--max-connections-per-address", "5") as workers:  # noqa: SIM117
        with contextlib.ExitStack() as stack:
            peers: list[socket.socket] = []

            def attempt() -> bool:
                source, found = next(sources), []
                peers.clear()
                for _ in range(20):
                    peer = connected(workers.daemon.port, source, beginning=offer())
                    peers.append(stack.enter_context(peer))
                    found.append(status(peer))
                return found == [101] * 5 + [429] * 15

            in_time(attempt)
            in_time(attempt)  # the next address
            # The places of a worker that has ended are given back.
            workers.kill(worker_of(workers, peers[0]))
            source = peers[0].getsockname()[0]
            until(lambda: _opens(workers.daemon, source))


def test_the_limit_of_topics_is_that_of_all_workers(tmp_path: Path) -> None:
    options = ("--serve", "/=hub:topic={path} max-topics=3 topic-age=0.1")
    with working(tmp_path, *options) as workers:
        with contextlib.ExitStack() as stack:
            for topic, expected in (("a", 101), ("b", 101), ("c", 101), ("d", 503), ("e", 503)):
                found = []
                for _ in range(8):
                    request = whole_request("rfc6455", target=f"/{topic}")
                    peer = stack.enter_context(connected(workers.daemon.port, beginning=request))
                    found.append(status(peer))
                assert found == [expected] * 8, topic

        def begins() -> bool:
            request = whole_request("rfc6455", target="/d")
            with connected(workers.daemon.port, beginning=request) as peer:
                return status(peer) == 101

        until(begins)


def test_wrong_passwords_are_counted_at_all_workers(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:$2b$04$abcdefghijklmnopqrstuuFmFcLAaMWBKtGhpMV6yTCQSC7K3Y3xK\n")
    with working(tmp_path, "--users", str(file)) as workers:
        credentials = b64encode(b"alice:wrong").decode()
        field = f"Authorization: Basic {credentials}"
        request = whole_request("rfc6455", field)
        sources = (f"127.0.0.{number}" for number in count(2))

        def attempt() -> bool:
            source = next(sources)
            found: list[int | None] = []
            while found.count(429) < 20:
                with connected(workers.daemon.port, source, beginning=request) as peer:
                    found.append(status(peer))
                assert len(found) < 60
            assert {*found} == {401, 429}
            assert found.count(401) >= 10
            # Between the check at a worker and the count at the other one there may be one more.
            return found.count(401) <= 11

        in_time(attempt)


def test_the_status_has_the_sums_of_all_workers(tmp_path: Path) -> None:
    options = ("--status", "/status", "--metrics", "/metrics", "--max-held-bytes", "1000000")
    with working(tmp_path, *options, count=3) as workers, spread(workers, 30, 3) as peers:
        count = len(peers)
        assert all(map(is_connected, peers))
        until(lambda: state(workers.daemon)["messages"] == {"received": count, "sent": count})
        for _ in range(3):  # of any worker
            found = state(workers.daemon)
            assert found["connections"]["open"] == count
        assert f'txhixie_connections{{state="open"}} {count}.0' in metrics(workers.daemon)


def test_topics_are_whole_across_the_workers(tmp_path: Path) -> None:
    options = ("--serve", "/room=hub history=100", "--status", "/status")
    with working(tmp_path, *options) as workers:  # noqa: SIM117
        with Crowd(workers.daemon) as crowd:
            members = [Peer(f"member{number}", "/room", keeps=True) for number in range(20)]
            crowd.join(members)
            crowd.flood(members, *[50] * 5)
            crowd.until(lambda: all(each.count == 19 * 5 for each in members))
            assert all((each.faults, each.gap) == ([], 0) for each in members)
            late = Peer("late", "/room", keeps=True)
            crowd.join([late])
            crowd.until(lambda: late.count == 100)
            # One order for the members of all workers.
            for each in members:
                others = [text for text in late.texts or () if not text.startswith(f"{each.name} ")]
                assert each.texts == others
            # The parent keeps the history. A worker that has no member has no topic.
            hub = state(workers.daemon)["hub"]
            assert hub["members"] == 21
            assert hub["topics"] in (1, 2)
            assert hub["history_bytes"] == sum(map(len, late.texts or ()))
    assert workers.daemon.ended() == BY_SIGTERM


def test_the_trace_is_turned_on_in_all_workers(tmp_path: Path) -> None:
    with working(tmp_path) as workers, spread(workers, 12) as peers:
        workers.daemon.terminate(signal.SIGUSR2)
        workers.daemon.logged("turned on by SIGUSR2")
        for number in (1, 2):
            until(lambda: all(map(is_connected, peers)) and workers.lines(number, " trace "))  # noqa: B023


def test_the_log_as_JSON_has_the_number_of_the_worker(tmp_path: Path) -> None:
    port = free_port()
    options = ("--port", f"tcp:{port}:interface=127.0.0.1", "--workers", "2", "--log-json")
    with started(tmp_path, port, *options) as daemon:
        until(lambda: daemon.log.count(f"starting on {port}") == 3)
        with clients(daemon, 12):
            until(lambda: daemon.log.count('"opened"') == 12)
        lines = [json.loads(line) for line in daemon.log.splitlines()]
        found = [line for line in lines if line.get("event") == "opened"]
        assert {line["worker"] for line in found} <= {1, 2}
        assert {line["peer"].partition(":")[0] for line in found} == {"127.0.0.1"}
        begun = [line for line in lines if line.get("event") == "worker-started"]
        assert [line["worker"] for line in begun] == [1, 2]


# Options.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--workers", "0"], "--workers 0: expected a number of processes from 1 to 1024, or auto"),
        (["--workers", "two"], "--workers two: expected a number of processes from 1 to 1024"),
        (
            ["--workers", "2", "--port", "haproxy:tcp:0"],
            "--port haproxy:tcp:0: expected a port number or one of tcp:, tcp6:, ssl:, tls:, unix:",
        ),
    ],
)
def test_a_mistake_is_one_line_at_the_start(options: list[str], expected: str) -> None:
    found = run_hixie(*options)
    assert found.returncode == 1
    assert found.stderr.startswith(f"hixie: {expected}")
    assert len(found.stderr.splitlines()) == 1


def test_workers_need_a_daemon_without_chroot(tmp_path: Path) -> None:
    words = ["-n", "--pidfile=", "--chroot", str(tmp_path), "hixie", "--workers", "2"]
    found = subprocess.run(
        [program("twistd"), *words], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert found.returncode == 1
    expected = "expected twistd without --chroot, where no worker can be started"
    assert found.stderr == f"hixie: --workers 2: {expected}\n"


def test_auto_is_a_worker_for_each_core(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    found = run_hixie("--workers", "auto", "--check")
    assert re.search(r"^workers +auto$", found.stdout, re.MULTILINE)
    port = free_port()
    options = ("--port", f"tcp:{port}:interface=127.0.0.1", "--workers", "auto")
    with started(tmp_path, port, *options) as daemon:
        if cores > 1:
            Workers(daemon, cores)
        assert daemon.log.count("worker-started") == (cores if cores > 1 else 0)


def test_one_worker_is_the_daemon_itself(tmp_path: Path) -> None:
    port = free_port()
    options = ("--port", f"tcp:{port}:interface=127.0.0.1", "--workers", "1")
    with started(tmp_path, port, *options) as daemon:
        with clients(daemon, 2) as peers:
            assert all(map(is_connected, peers))
        children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
        assert children.read_text() == ""
