"""The daemon as systemd starts it: notifications, watchdog, sockets that are passed.

The test plays systemd: it receives the notifications on a real datagram socket, and passes real
sockets with LISTEN_PID and LISTEN_FDS.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType

import pytest

from support import third_party
from support.daemon import PATIENCE, Daemon, free_port, program, run_hixie
from support.handshake_bytes import whole_request
from support.page_requests import ask, opened

LAUNCH = """
import os, sys
passed = [os.dup(int(number)) for number in sys.argv[1].split(",") if number]
high = [os.dup2(each, 200 + at) for at, each in enumerate(passed)]
for at, each in enumerate(high):
    os.dup2(each, 3 + at)
if passed:
    os.environ["LISTEN_FDS"] = str(len(passed))
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
"""A program that becomes the daemon, with the descriptors from 3 on and the number of its process,
as systemd does."""

RUNNERS = {
    "twistd": ["-n", "--pidfile=", "hixie"],
    "twist": ["--log-format=text", "hixie"],
    "txhixie": ["serve"],
}


class Manager:
    """What systemd would be: the socket that receives notifications."""

    def __init__(self, receiving: socket.socket) -> None:
        self._socket = receiving
        name = receiving.getsockname()
        self.address = f"@{name[1:].decode()}" if isinstance(name, bytes) else str(name)
        receiving.settimeout(PATIENCE)

    def told(self) -> dict[str, str]:
        """The next notification, without those of the watchdog."""
        while True:
            lines = self._socket.recv(65536).decode().split("\n")
            if lines != ["WATCHDOG=1"]:
                return dict(line.split("=", 1) for line in lines)

    @property
    def has_heard_nothing(self) -> bool:
        self._socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self._socket.recv(65536)
        return True

    def watched(self) -> None:
        """Wait for a sign of life."""
        while self._socket.recv(65536) != b"WATCHDOG=1":
            pass


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = f"{tmp_path}/notify" if request.param == "path" else f"\0{token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(address)
        yield Manager(receiving)


@contextmanager
def launched(
    directory: Path,
    *options: str,
    runner: str = "twistd",
    passed: Sequence[socket.socket] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Daemon]:
    """Start the daemon as systemd does."""
    numbers = [each.fileno() for each in passed]
    words = [sys.executable, "-c", LAUNCH, ",".join(map(str, numbers))]
    words += [program(runner), *RUNNERS[runner], *options]
    with (directory / "log").open("wb") as log, (directory / "errors").open("wb") as errors:
        process = subprocess.Popen(
            words,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=errors,
            pass_fds=numbers,
            env={**os.environ, **variables},
        )
    try:
        yield Daemon(0, process, directory)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("runner", RUNNERS)
def test_systemd_is_told_each_state(runner: str, manager: Manager, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "hixie.toml"
    right = f'port = "tcp:{port}:interface=127.0.0.1"\nstop-timeout = 20\n'
    file.write_text(right)
    words = ("--config", str(file))
    variables = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    with launched(tmp_path, *words, runner=runner, variables=variables) as daemon:
        assert manager.told() == {"READY": "1", "STATUS": "listening on 1 port"}
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
            peer.sendall(whole_request("rfc6455"))
            assert peer.recv(12) == b"HTTP/1.1 101"
            for _ in range(3):
                manager.watched()
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            daemon.terminate(signal.SIGHUP)
            told = manager.told()
            assert int(told.pop("MONOTONIC_USEC")) >= before
            assert told == {"RELOADING": "1", "STATUS": "reloading"}
            assert manager.told() == {"READY": "1", "STATUS": "reloaded, listening on 1 port"}
            file.write_text(right + "origins = 5\n")
            daemon.terminate(signal.SIGHUP)
            assert manager.told()["RELOADING"] == "1"
            told = manager.told()
            assert told["READY"] == "1"
            assert told["STATUS"].startswith(f"not reloaded: {file}: origins: 5: expected ")
            daemon.terminate()
            assert manager.told() == {
                "STOPPING": "1",
                "EXTEND_TIMEOUT_USEC": "25000000",
                "STATUS": "closing 1 connection, for at most 20 s",
            }
        daemon.ended()
        assert "Traceback" not in daemon.log
        assert daemon.errors == ""


def test_a_daemon_that_cannot_start_is_never_ready(manager: Manager, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        variables = {"NOTIFY_SOCKET": manager.address}
        with launched(tmp_path, "--port", port, variables=variables) as daemon:
            assert daemon.ended() == 1
    assert manager.has_heard_nothing


# Sockets that systemd has opened.


def answers(address: str | int) -> bool:
    """Whether the daemon answers a handshake at a port or at a UNIX socket."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(address if isinstance(address, str) else ("127.0.0.1", address))
        peer.sendall(whole_request("rfc6455"))
        return peer.recv(12) == b"HTTP/1.1 101"


def test_sockets_of_systemd_are_served_and_stay_over_a_reload(tmp_path: Path) -> None:
    """By index and by name, TCP and UNIX, with a client that came before the daemon."""
    file, path = tmp_path / "hixie.toml", str(tmp_path / "unix")
    ports = [
        "systemd:domain=INET:index=0",
        "systemd:domain=INET:name=second.socket",
        "systemd:domain=UNIX:name=local",
    ]
    file.write_text(f"port = {ports}\n")
    with ExitStack() as stack:
        tcp = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(path)
        unix.listen()
        Path(path).chmod(0o620)
        numbers = [each.getsockname()[1] for each in tcp]
        early = stack.enter_context(socket.create_connection(("127.0.0.1", numbers[0]), PATIENCE))
        early.sendall(whole_request("rfc6455"))
        variables = {"LISTEN_FDNAMES": "hixie.socket:second.socket:local"}
        daemon = stack.enter_context(
            launched(tmp_path, "--config", str(file), passed=[*tcp, unix], variables=variables)
        )
        assert early.recv(12) == b"HTTP/1.1 101"
        assert all(map(answers, [*numbers, path]))
        for times in (1, 2):
            daemon.reload(times)
            assert "kept=3 opened=0 closed=0" in daemon.logged_times("] reloaded ", times)
            assert all(map(answers, [*numbers, path]))
        daemon.terminate()
        daemon.ended()
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o620  # SocketMode= of the unit
        # The socket is systemd's: it still accepts, for the next start.
        with socket.create_connection(("127.0.0.1", numbers[1]), PATIENCE) as waiting:
            waiting.sendall(whole_request("rfc6455"))
            stack.enter_context(
                launched(tmp_path, "--config", str(file), passed=[*tcp, unix], variables=variables)
            )
            assert waiting.recv(12) == b"HTTP/1.1 101"
            assert answers(path)
        assert "Traceback" not in daemon.log


def test_clients_of_a_socket_of_systemd_wait_while_the_daemon_drains(tmp_path: Path) -> None:
    """With ``--health`` the other ports answer 503 meanwhile."""
    own, variables = free_port(), {"LISTEN_FDNAMES": "hixie.socket"}
    options = ("--port", "systemd:domain=INET:index=0", "--serve", "/=echo")
    draining = ("--health", "/health", "--drain", "60", "--stop-timeout", "60")
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        number = tcp.getsockname()[1]
        port = ("--port", f"tcp:{own}:interface=127.0.0.1")
        daemon = stack.enter_context(
            launched(tmp_path, *options, *port, *draining, passed=[tcp], variables=variables)
        )
        daemon.logged(f"starting on {own}")
        daemon.port = own
        first, second = (stack.enter_context(opened(daemon)) for _ in range(2))
        daemon.terminate()
        assert first.recv(1)
        assert ask(daemon, "/health").status == 503
        waiting = stack.enter_context(socket.create_connection(("127.0.0.1", number), PATIENCE))
        waiting.sendall(whole_request("rfc6455"))
        first.close()
        second.close()
        daemon.ended()
        stack.enter_context(launched(tmp_path, *options, passed=[tcp], variables=variables))
        assert waiting.recv(12) == b"HTTP/1.1 101"


def test_a_port_of_systemd_without_a_socket_is_one_line() -> None:
    """The service was started by hand, or its socket unit has another name."""
    for port in ("systemd:domain=INET:index=0", "systemd:domain=INET:name=hixie"):
        result = run_hixie("--port", port)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1] == (
            f"hixie: --port {port}: cannot listen: systemd did not pass this socket; start the "
            "socket unit, and compare its FileDescriptorName="
        )
        assert "Traceback" not in result.stderr
        # ExecStartPre= and ExecReload= get no sockets.
        assert run_hixie("--port", port, "--check").returncode == 0


@pytest.mark.parametrize(
    "port",
    [
        "systemd:domain=INTE:index=0",
        "systemd:domain=INET:index=first",
        "systemd:domain=INET",
        "systemd:domain=INET:index=0:name=hixie",
        "systemd:index=0",
    ],
)
def test_check_finds_a_wrong_port_of_systemd(port: str) -> None:
    result = run_hixie("--port", port, "--check")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"hixie: --port {port}: ")


def test_systemd_socket_activate_starts_the_daemon_at_the_first_client(tmp_path: Path) -> None:
    activate = third_party.program("systemd-socket-activate", get="Debian: systemd")
    port = free_port()
    words = [str(activate), "-l", f"127.0.0.1:{port}", "--fdname=hixie", program("twistd"), "-n"]
    words += ["--pidfile=", "hixie", "--port", "systemd:domain=INET:name=hixie"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while b"Listening on" not in (tmp_path / "log").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answers(port)
        process.terminate()
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
