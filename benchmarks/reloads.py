"""Reloads of a daemon with many connections that talk: is one dropped, and how long does one wait?

The daemon is ``twistd hixie`` with a plain port and a TLS port; half of the connections use each.
Each sends a message once a second, or all of them 2,000 a second, and waits for its echo. Parts
without and with reloads follow one another, so that other work on the machine falls on both. During
a part with reloads the daemon gets SIGHUPs at even intervals, and new files of its certificate.

    python benchmarks/reloads.py
    python benchmarks/reloads.py --connections 10000

The exit status is 1 when a connection was dropped, when a certificate was not served, or when the
longest wait of the parts with reloads is more than three times that of the parts without.
"""

from __future__ import annotations

import argparse
import datetime as dt
import heapq
import os
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

RATE: Final = 2000
"""Most messages a second of all connections: each sends one a second, or less often if there are
more of them."""

MOST_RATIO: Final = 3.0
"""Most that the longest wait with reloads may be, relative to that without."""

PATIENCE: Final = 120.0
"""Seconds for the daemon to start, to reload and to end."""

HEAD: Final = (
    b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MESSAGE: Final = b"\x81\xa0" + b"\0\0\0\0" + b"x" * 32
TEXT, CLOSE = 0x81, 0x88


@dataclass
class Connection:
    """One connection: when its next message is due, and when the last one was sent; 0 after its
    echo."""

    peer: socket.socket
    due: float
    sent: float = 0.0
    received: bytes = b""

    def frames(self, data: bytes) -> Iterator[int]:
        """The first byte of each frame that is complete; all of them are shorter than 126 bytes."""
        self.received += data
        while len(self.received) > 1 and len(self.received) >= (end := 2 + self.received[1]):
            yield self.received[0]
            self.received = self.received[end:]


@dataclass
class Waits:
    """The seconds that each echo took in all parts of one kind, and the connections dropped."""

    seconds: list[float] = field(default_factory=list)
    dropped: int = 0

    def of(self, share: float) -> float:
        """The wait that this share of the echoes did not exceed, in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000


class Talkers:
    """All connections, with one epoll."""

    def __init__(self, ports: tuple[int, int], count: int) -> None:
        self._poll = select.epoll()
        self._all: dict[int, Connection] = {}
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for number in range(count):
            peer = socket.create_connection(("127.0.0.1", ports[number % 2]), PATIENCE)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if number % 2:
                peer = context.wrap_socket(peer)
            peer.sendall(HEAD)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += peer.recv(4096)
            if not answer.startswith(b"HTTP/1.1 101 "):
                sys.exit(f"handshake {number} was refused: {answer!r}")
            peer.setblocking(False)
            self._all[peer.fileno()] = Connection(peer, 0.0)
            self._poll.register(peer, select.EPOLLIN)

    def talk(self, seconds: float, waits: Waits, steps: Iterator[float]) -> None:
        """
        Have all connections talk, and make the steps at their times.

        :param steps: makes the next step when it is asked, and gives the time of the one after.
        """
        period = max(len(self._all) / RATE, 1.0)
        began = time.monotonic()
        ends, step = began + seconds, next(steps, None)
        for number, connection in enumerate(self._all.values()):
            connection.due = began + period * number / len(self._all)
        waiting = [(each.due, fileno) for fileno, each in self._all.items()]
        heapq.heapify(waiting)
        pending = 0
        while (now := time.monotonic()) < ends or pending:
            if now > ends + PATIENCE:
                waits.dropped += pending
                return
            while step is not None and began + step <= now:
                step = next(steps, None)
            while waiting and waiting[0][0] <= now < ends:
                pending += self._send(heapq.heappop(waiting)[1], waits)
            events = [waiting[0][0]] if waiting and now < ends else [now + 0.05]
            events += [] if step is None else [began + step]
            for fileno, _ in self._poll.poll(max(min(events) - now, 0), 512):
                if (connection := self._all.get(fileno)) is not None:
                    ended = self._receive(connection, waits)
                    pending -= ended
                    if ended and fileno in self._all:
                        connection.due = max(connection.due, connection.sent) + period
                        heapq.heappush(waiting, (connection.due, fileno))

    def _send(self, fileno: int, waits: Waits) -> int:
        connection = self._all.get(fileno)
        if connection is None:
            return 0
        connection.sent = time.monotonic()
        try:
            connection.peer.send(MESSAGE)
        except OSError:
            self._drop(fileno, waits)
            return 0
        return 1

    def _receive(self, connection: Connection, waits: Waits) -> int:
        """Whether the connection waits no longer: its echo is complete, or it was dropped."""
        fileno, isWaiting = connection.peer.fileno(), connection.sent > 0
        try:
            data = connection.peer.recv(4096)
        except (ssl.SSLWantReadError, BlockingIOError):
            return 0  # a session ticket of TLS 1.3
        except OSError:
            data = b""
        kinds = list(connection.frames(data))  # a ping is answered by the next message
        if not data or CLOSE in kinds:
            self._drop(fileno, waits)
            return int(isWaiting)
        if TEXT not in kinds:
            return 0
        waits.seconds.append(time.monotonic() - connection.sent)
        connection.sent = 0.0
        return 1

    def _drop(self, fileno: int, waits: Waits) -> None:
        waits.dropped += 1
        connection = self._all.pop(fileno)
        self._poll.unregister(fileno)
        connection.peer.close()


class Certificate:
    """The files of the daemon's certificate, written anew again and again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.key, self.file = directory / "key.pem", directory / "cert.pem"
        self.serial = 0

    def renew(self) -> None:
        """Write a new key and a new certificate, each in one step."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        today = dt.datetime.now(dt.UTC)
        self.serial = x509.random_serial_number()
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(self.serial)
            .not_valid_before(today - dt.timedelta(days=1))
            .not_valid_after(today + dt.timedelta(days=90))
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for file, data in ((self.key, private), (self.file, made.public_bytes(Encoding.PEM))):
            new = file.with_suffix(".new")
            new.write_bytes(data)
            new.rename(file)

    def is_served(self, port: int) -> bool:
        """Whether a new client gets the last certificate."""
        data = ssl.get_server_certificate(("127.0.0.1", port))
        return x509.load_pem_x509_certificate(data.encode()).serial_number == self.serial


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """The daemon, its ports and its log."""

    def __init__(self, directory: Path, certificate: Certificate) -> None:
        self.ports = free_port(), free_port()
        self._log = directory / "log"
        file = directory / "hixie.toml"
        tls = f"privateKey={certificate.key}:certKey={certificate.file}"
        file.write_text(
            f'port = ["tcp:{self.ports[0]}:interface=127.0.0.1",'
            f' "ssl:{self.ports[1]}:interface=127.0.0.1:{tls}"]\nserve = "/echo=echo"\n'
        )
        twistd = Path(os.environ.get("BENCH_PYTHON", sys.executable)).with_name("twistd")
        words = [str(twistd), "-n", "--pidfile=", "hixie", "--config", str(file)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=directory, stdout=log, stderr=log)
        self.wait(lambda: self.times("starting on") == len(self.ports))

    def times(self, words: str) -> int:
        """How many lines of the log have these words."""
        return self._log.read_text().count(words)

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until something is done."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"the daemon did not come so far:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until no reload is to come."""
        while True:
            before = self.times("reloaded")
            time.sleep(0.5)
            if self.times("reloaded") == before:
                return


@contextmanager
def started(directory: Path, certificate: Certificate) -> Iterator[Daemon]:
    """Start the daemon, and end it after the block."""
    daemon = Daemon(directory, certificate)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait()


def reloads(
    daemon: Daemon, certificate: Certificate, count: int, renewals: int, seconds: float
) -> Iterator[float]:
    """The steps of a part with reloads; each gives the time of the next one."""
    every = max(count // renewals, 1) if renewals else count + 1
    for number in range(count):
        yield seconds * number / count
        if number % every == 0 and number // every < renewals:
            certificate.renew()
        daemon.process.send_signal(signal.SIGHUP)


def report(kinds: dict[str, Waits]) -> None:
    """Print the table of the waits."""
    print(f"{'':18}{'echoes':>9}{'dropped':>9}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}")
    for name, waits in kinds.items():
        figures = "".join(f"{waits.of(share):9.1f}" for share in (0.5, 0.99))
        print(f"{name:18}{len(waits.seconds):9}{waits.dropped:9}{figures}{waits.of(1):10.1f}")


def main() -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--certificates", type=int, default=10)
    parser.add_argument(
        "--parts", type=int, default=5, help="parts with reloads, and as many without"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part")
    told = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    without, during = Waits(), Waits()
    with TemporaryDirectory() as name:
        certificate = Certificate(Path(name))
        certificate.renew()
        with started(Path(name), certificate) as daemon:
            talkers = Talkers(daemon.ports, told.connections)
            talkers.talk(10.0, Waits(), iter(()))  # the first echoes of all
            for _ in range(told.parts):
                talkers.talk(told.seconds, without, iter(()))
                count, renewals = told.reloads // told.parts, told.certificates // told.parts
                steps = reloads(daemon, certificate, count, renewals, told.seconds)
                talkers.talk(told.seconds, during, steps)
                daemon.settle()
            served = certificate.is_served(daemon.ports[1])
            done, refused = daemon.times("] reloaded "), daemon.times("not-reloaded")
    report({"without reloads": without, "with reloads": during})
    ratio = during.of(1) / without.of(1)
    print(f"worst with / without: {ratio:.2f}; of p99: {during.of(0.99) / without.of(0.99):.2f}")
    print(f"{done} reloads, {refused} not reloaded; the last certificate is served: {served}")
    dropped = without.dropped + during.dropped
    return int(bool(dropped) or not served or bool(refused) or ratio > MOST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
