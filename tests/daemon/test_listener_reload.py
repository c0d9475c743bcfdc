"""SIGHUP to a daemon with clients: what is read anew, what stays, and what a mistake changes."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from support import log_recorder, third_party
from support.blocking_peer import HixieClient, answer
from support.certificates import authority, unverified_context
from support.daemon import (
    PATIENCE,
    Daemon,
    configured,
    free_port,
    program,
    run_hixie,
    running,
    started,
)
from support.frame_writer import text
from support.handshake_bytes import head_of, request, status_of
from txhixie import HixieServerFactory, testing
from txhixie.daemon.certificate_watch import INTERVAL
from txhixie.daemon.errors import CannotStart, HalfRenewed
from txhixie.daemon.listener import ListeningService, Serving
from txhixie.daemon.sockets.listening_sockets import ListeningSockets
from txhixie.daemon.sockets.socket_change import SocketChange

ROUTE: Final = 'port = "{port}"\nserve = "%s=echo"\n'
OLD: Final = "hixie-75"


class Peer(HixieClient):
    """A client of hixie-75, and the answer to its request."""

    def __init__(self, port: int | str, target: str = "/a", before: bytes = b"") -> None:
        """:param before: bytes of a PROXY protocol header."""
        family = socket.AF_UNIX if isinstance(port, str) else socket.AF_INET
        super().__init__(socket.socket(family))
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(port if isinstance(port, str) else ("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.socket.sendall(before + request(OLD, target=target))
        self.answer = answer(self.socket)
        self.status = status_of(head_of(self.answer))


def status(port: int | str, target: str = "/a") -> int:
    with Peer(port, target) as peer:
        return peer.status


def write(daemon: Daemon, directory: Path, text: str) -> None:
    """
    Write the daemon's file anew, and at once: half a file would be other options.

    :param text: of the file; ``{port}`` is the daemon's port.
    """
    new = directory / "new.toml"
    new.write_text(text.replace("{port}", f"tcp:{daemon.port}:interface=127.0.0.1"))
    new.replace(directory / "hixie.toml")


def refused(daemon: Daemon, times: int = 1) -> str:
    """Send SIGHUP, and wait for the line of that refused reload: its reason."""
    daemon.terminate(signal.SIGHUP)
    line = daemon.logged_times("] not-reloaded ", times)
    return re.sub(r'.*not-reloaded reason="(.*)"', r"\1", line).replace('\\"', '"')


def listening_inode(port: int) -> str:
    """The number of the socket that listens on a port of 127.0.0.1, from Linux."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("needs Linux: /proc/net/tcp names the sockets that listen")
    wanted = f"0100007F:{port:04X}"
    rows = [line.split() for line in table.read_text().splitlines()]
    (found,) = [row[9] for row in rows if row[1] == wanted and row[3] == "0A"]
    return found


@pytest.mark.parametrize("runner", ["twistd", "twist", "txhixie"])
def test_routes_are_read_anew_and_a_connection_lives_on(tmp_path: Path, runner: str) -> None:
    with configured(tmp_path, ROUTE % "/a", runner=runner) as daemon, Peer(daemon.port) as peer:
        assert peer.echoes("before")
        write(daemon, tmp_path, ROUTE % "/b")
        daemon.reload()
        assert status(daemon.port, "/a") == 404
        with Peer(daemon.port, "/b") as other:
            assert other.echoes("of the new route")
        assert peer.echoes("of a route that is gone")
        assert daemon.process.poll() is None


def test_a_ceiling_is_removed_for_the_connections_of_all_reloads_before(tmp_path: Path) -> None:
    """Connections from before the last reload but one kept a ceiling that was removed."""
    config = ROUTE % "/a"
    with (
        configured(tmp_path, config + "max-held-bytes = 100000\n") as daemon,
        Peer(daemon.port) as first,
    ):
        daemon.reload()
        with Peer(daemon.port) as second:
            write(daemon, tmp_path, config)
            daemon.reload(2)
            assert first.echoes("x" * 300_000)
            assert second.echoes("x" * 300_000)


def test_a_connection_to_a_backend_lives_on(tmp_path: Path) -> None:
    """Its route is gone after the first reload; the second looks for connections that are left."""
    for name in ("backend", "gateway"):
        (tmp_path / name).mkdir()
    with running(tmp_path / "backend", "--origins", "*") as backend:
        config = f'port = "{{port}}"\nserve = "/a=ws://127.0.0.1:{backend.port}"\n'
        with (
            configured(tmp_path / "gateway", config) as daemon,
            Peer(daemon.port) as peer,
        ):
            assert peer.echoes("before")
            write(daemon, tmp_path / "gateway", ROUTE % "/b")
            daemon.reload(1)
            daemon.reload(2)
            assert peer.echoes("of a route that is gone")
            daemon.terminate()
            assert daemon.ended() == -signal.SIGTERM
            assert "Traceback" not in daemon.log


def test_limits_are_those_of_the_reading_that_a_connection_began_with(tmp_path: Path) -> None:
    with configured(tmp_path, ROUTE % "/a") as daemon, Peer(daemon.port) as peer:
        write(daemon, tmp_path, ROUTE % "/a" + "max-message-size = 5\n")
        daemon.reload()
        assert peer.echoes("more than five")
        with Peer(daemon.port) as other:
            assert other.echoes("five.")
            assert not other.echoes("more than five")


def test_the_command_line_stays_as_at_the_start(tmp_path: Path) -> None:
    """What it says replaces the file's, after a reload as well."""
    options = ("--serve", "/a=echo")
    with configured(tmp_path, 'port = "{port}"\n', *options) as daemon:
        write(daemon, tmp_path, ROUTE % "/b" + "max-message-size = 5\n")
        daemon.reload()
        assert status(daemon.port, "/b") == 404
        with Peer(daemon.port) as peer:
            assert not peer.echoes("more than five")


@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        (ROUTE % "/b" + "origins = 5\n", r"{file}: origins: 5: expected .*"),
        (ROUTE % "/b" + "orgins = '*'\n", r"{file}: orgins: expected an option; did you mean .*"),
        (ROUTE % "/b" + "port\n", r"{file}: expected TOML: .*"),
        ('port = "{port}"\nserve = "/b=ecko"\n', r"{file}: serve: /b=ecko: expected a service: .*"),
        (
            'serve = "/b=echo"\nport = ["{port}", "ssl:0:privateKey=/none"]\n',
            r"{file}: port, number 2: ssl:0:privateKey=/none: expected .*/none.*",
        ),
    ],
)
def test_a_mistake_is_one_line_and_all_stays(tmp_path: Path, mistake: str, reason: str) -> None:
    with configured(tmp_path, ROUTE % "/a") as daemon, Peer(daemon.port) as peer:
        before = len(daemon.log.splitlines())
        write(daemon, tmp_path, mistake)
        told = refused(daemon)
        assert re.fullmatch(reason.format(file=re.escape(f"{tmp_path}/hixie.toml")), told), told
        assert len(daemon.log.splitlines()) == before + 1
        assert peer.echoes("still here")
        assert (status(daemon.port, "/a"), status(daemon.port, "/b")) == (101, 404)


def test_a_file_that_is_gone_is_one_line_too(tmp_path: Path) -> None:
    with configured(tmp_path, ROUTE % "/a") as daemon:
        (tmp_path / "hixie.toml").unlink()
        assert "No such file" in refused(daemon)
        assert status(daemon.port) == 101


def test_a_reason_is_not_cut(tmp_path: Path) -> None:
    """The expectation comes last, and a path can be long."""
    name = "x" * 230
    with configured(tmp_path, ROUTE % "/a") as daemon:
        write(daemon, tmp_path, f'port = "{{port}}"\nserve = "/=static:/{name}"\n')
        assert "existing directory" in refused(daemon)


def test_a_port_keeps_its_socket(tmp_path: Path) -> None:
    with configured(tmp_path, ROUTE % "/a") as daemon:
        before = listening_inode(daemon.port)
        for times in range(1, 4):
            write(daemon, tmp_path, ROUTE % f"/{times}")
            daemon.reload(times)
            assert status(daemon.port, f"/{times}") == 101
        assert "reloaded kept=1 opened=0 closed=0" in daemon.log
        assert listening_inode(daemon.port) == before


def test_a_new_port_is_opened_and_one_that_is_gone_is_closed(tmp_path: Path) -> None:
    port = free_port()
    with configured(tmp_path, ROUTE % "/a") as daemon, Peer(daemon.port) as peer:
        new = (ROUTE % "/a").replace("{port}", f"tcp:{port}:interface=127.0.0.1")
        write(daemon, tmp_path, new)
        daemon.reload()
        assert "reloaded kept=0 opened=1 closed=1" in daemon.log
        assert status(port) == 101
        daemon.logged(f"Port {daemon.port} Closed")
        with pytest.raises(ConnectionRefusedError):
            status(daemon.port)
        assert peer.echoes("of a port that is gone")
        write(daemon, tmp_path, ROUTE % "/a")
        daemon.reload(2)
        assert status(daemon.port) == 101


def test_a_port_that_cannot_be_bound_leaves_all_as_it_was(tmp_path: Path) -> None:
    """The port before it in the file, which could be bound, is closed again."""
    free = free_port()
    with configured(tmp_path, ROUTE % "/a") as daemon, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = [f'"tcp:{port}:interface=127.0.0.1"' for port in (free, taken)]
        write(daemon, tmp_path, f'port = [{", ".join(ports)}]\nserve = "/b=echo"\n')
        told = refused(daemon)
        assert told.endswith("cannot listen: Address already in use")
        assert "port, number 2" in told
        assert (status(daemon.port, "/a"), status(daemon.port, "/b")) == (101, 404)
        daemon.logged(f"Port {free} Closed")
        with pytest.raises(ConnectionRefusedError):
            status(free)


def test_a_number_keeps_the_sockets_of_both_families(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port, "--port", str(port)) as daemon:
        daemon.reload()
        assert re.search(r"reloaded kept=[12] opened=0 closed=0", daemon.log)
        assert status(port) == 101


def test_a_UNIX_socket_stays_and_its_mode_follows_the_trusted_proxies(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    # The daemon opens the ports in this order, and the test waits for the last one.
    config = f'port = ["unix:{path}", "{{port}}"]\nserve = "/a=echo"\n'
    with configured(tmp_path, config) as daemon, Peer(str(path)) as peer:
        before = path.stat()
        write(daemon, tmp_path, config + 'trust-forwarded = "unix"\n')
        daemon.reload()
        assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (before.st_ino, 0o660)
        assert status(str(path)) == 101
        assert peer.echoes("still here")


def test_a_PROXY_protocol_header_is_read_on_the_same_socket(tmp_path: Path) -> None:
    header = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n"
    with configured(tmp_path, ROUTE % "/a") as daemon:
        before = listening_inode(daemon.port)
        write(daemon, tmp_path, ROUTE % "/a" + 'proxy-protocol = "127.0.0.1"\n')
        daemon.reload()
        with Peer(daemon.port, before=header) as peer:
            assert peer.status == 101
            daemon.logged("peer=192.0.2.7:1234")
        assert listening_inode(daemon.port) == before


def test_a_socket_of_systemd_stays(tmp_path: Path) -> None:
    """Its descriptor keeps its number: closed, it would be another file's by the next reload."""
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='web'); "
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:
        port = listening.getsockname()[1]
        command = [sys.executable, "-c", script, str(listening.fileno()), program("twistd")]
        command += ["-n", "--pidfile=", "hixie", "--port", "systemd:domain=INET:index=0"]
        log = stack.enter_context((tmp_path / "log").open("wb"))
        process = subprocess.Popen(
            command, cwd=tmp_path, pass_fds=[listening.fileno()], stdout=log, stderr=log
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        daemon = Daemon(port, process, tmp_path)
        daemon.logged(f"starting on {port}")
        peers = []
        for times in range(1, 4):
            peers.append(stack.enter_context(Peer(port)))
            daemon.reload(times)
        assert "reloaded kept=1 opened=0 closed=0" in daemon.log
        for peer in peers:
            assert peer.echoes("still here")


def certificate_of(port: int, name: str = "localhost") -> bytes:
    """The certificate that a new connection gets, in DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as below,
        context.wrap_socket(below, server_hostname=name) as peer,
    ):
        return peer.getpeercert(binary_form=True) or b""


def der_of(pem: bytes) -> bytes:
    return load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


@pytest.mark.parametrize("runner", ["twistd", "twist", "txhixie"])
@pytest.mark.parametrize("scheme", ["ssl", "tls"])
def test_certificates_are_read_anew_on_the_same_socket(
    tmp_path: Path, scheme: str, runner: str
) -> None:
    """Without a file of options as well."""
    port, old, new = free_port(), *(authority().pem_for("localhost") for _ in range(2))
    (tmp_path / "pem").mkdir()
    pem = tmp_path / "pem" / "localhost.pem"
    pem.write_bytes(old)
    where = f"ssl:{port}:privateKey={pem}" if scheme == "ssl" else f"tls:{pem.parent}:port={port}"
    where += ":interface=127.0.0.1"
    with started(tmp_path, port, "--port", where, runner=runner) as daemon:
        assert certificate_of(port) == der_of(old)
        before = listening_inode(port)
        context = ssl.create_default_context(cadata=authority().pem.decode())
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as below,
            context.wrap_socket(below, server_hostname="localhost") as peer,
        ):
            peer.sendall(request(OLD, origin="https://example.com"))
            assert peer.recv(12) == b"HTTP/1.1 101"
            pem.write_bytes(new)
            daemon.reload()
            assert certificate_of(port) == der_of(new)
            assert listening_inode(port) == before
            while not peer.recv(65536).endswith(b"\r\n\r\n"):
                pass
            peer.sendall(text("still here"))
            assert peer.recv(65536) == text("still here")


def test_changed_files_are_read_without_a_signal(tmp_path: Path) -> None:
    """Also when the certificate is written before its key."""
    port, pem, key = free_port(), tmp_path / "cert.pem", tmp_path / "key.pem"
    old, new = (authority().pem_for("localhost") for _ in range(2))
    pem.write_bytes(old)
    key.write_bytes(old)
    where = f"ssl:{port}:privateKey={key}:certKey={pem}:interface=127.0.0.1"
    with started(tmp_path, port, "--port", where) as daemon:
        before = listening_inode(port)
        pem.write_bytes(new[new.index(b"-----BEGIN CERT") :])
        assert certificate_of(port) == der_of(old)
        key.write_bytes(new)
        daemon.logged("] reloaded kept=1 opened=0 closed=0")
        assert certificate_of(port) == der_of(new)
        assert listening_inode(port) == before
        assert "not-reloaded" not in daemon.log


def halves(pem: bytes) -> tuple[bytes, bytes]:
    """The key and the certificate."""
    at = pem.index(b"-----BEGIN CERT")
    return pem[:at], pem[at:]


@pytest.mark.parametrize("files", [1, 2])
def test_a_changed_directory_is_read_without_a_signal(tmp_path: Path, files: int) -> None:
    """With the key in the file of its certificate, or in a file that is written later."""
    port, directory = free_port(), tmp_path / "pem"
    directory.mkdir()
    old, new = (authority().pem_for("localhost") for _ in range(2))
    names = ["a.pem", "a.pem"] if files == 1 else ["a-key.pem", "a.pem"]
    for name, part in zip(names, [old, old] if files == 1 else halves(old), strict=True):
        (directory / name).write_bytes(part)
    where = f"tls:{directory}:port={port}:interface=127.0.0.1"
    with started(tmp_path, port, "--port", where) as daemon:
        before = listening_inode(port)
        assert certificate_of(port) == der_of(old)
        if files == 1:
            (directory / "a.pem").write_bytes(new)
        else:
            (directory / "a.pem").write_bytes(halves(new)[1])
            assert certificate_of(port) == der_of(old)
            (directory / "a-key.pem").write_bytes(halves(new)[0])
        daemon.logged("] reloaded kept=1 opened=0 closed=0")
        assert certificate_of(port) == der_of(new)
        assert listening_inode(port) == before
        assert "not-reloaded" not in daemon.log


@pytest.mark.parametrize("scheme", ["ssl", "tls"])
def test_SIGHUP_between_a_certificate_and_its_key_waits_for_the_key(
    tmp_path: Path, scheme: str
) -> None:
    """A renewal's program may send the signal early; what it asks for waits with the key."""
    port, pem, key = free_port(), tmp_path / "cert.pem", tmp_path / "key.pem"
    old, new = (authority().pem_for("localhost") for _ in range(2))
    pem.write_bytes(halves(old)[1])
    key.write_bytes(halves(old)[0])
    where = f"ssl:{port}:privateKey={key}:certKey={pem}" if scheme == "ssl" else f"tls:{tmp_path}"
    where += ":interface=127.0.0.1" + (f":port={port}" if scheme == "tls" else "")
    config = tmp_path / "hixie.toml"
    config.write_text(f'port = "{where}"\nserve = "/a=echo"\n')
    with started(tmp_path, port, "--config", str(config)) as daemon:
        pem.write_bytes(halves(new)[1])
        config.write_text(f'port = "{where}"\nserve = "/b=echo"\n')
        daemon.terminate(signal.SIGHUP)
        daemon.terminate(signal.SIGHUP)
        assert certificate_of(port) == der_of(old)
        key.write_bytes(halves(new)[0])
        daemon.logged("] reloaded kept=1 opened=0 closed=0")
        assert certificate_of(port) == der_of(new)
        assert "not-reloaded" not in daemon.log
        with unverified_context().wrap_socket(daemon.connect()) as peer:
            peer.sendall(request(OLD, target="/b", origin="https://example.com"))
            assert peer.recv(12) == b"HTTP/1.1 101"


def test_another_mistake_of_a_renewal_leaves_the_old_certificate(tmp_path: Path) -> None:
    """At SIGHUP it has its line at once."""
    port, pem = free_port(), tmp_path / "cert.pem"
    old = authority().pem_for("localhost")
    pem.write_bytes(old)
    where = f"ssl:{port}:privateKey={pem}:interface=127.0.0.1"
    with started(tmp_path, port, "--port", where) as daemon:
        for times, wrong in enumerate((old[:-200], b"", halves(old)[0], halves(old)[1]), 1):
            pem.write_bytes(wrong)
            assert f"{pem}" in refused(daemon, times)
            assert certificate_of(port) == der_of(old)


def test_an_expired_certificate_is_served_with_a_warning(tmp_path: Path) -> None:
    """At the start, and after a renewal that came too late; --check says the same."""
    port, pem = free_port(), tmp_path / "cert.pem"
    expired, ending = (authority().pem_for("localhost", since=-9, until=day) for day in (-1, 4))
    pem.write_bytes(expired)
    where = f"ssl:{port}:privateKey={pem}:interface=127.0.0.1"
    with started(tmp_path, port, "--port", where) as daemon:
        line = daemon.logged("certificate-warning")
        assert f'file={pem} subject="CN=localhost" names=localhost ends=' in line
        assert line.endswith('reason="the certificate has expired"')
        assert certificate_of(port) == der_of(expired)
        pem.write_bytes(ending)
        daemon.reload()
        assert certificate_of(port) == der_of(ending)
        line = daemon.logged_times("certificate-warning", 2)
        assert line.endswith('reason="the certificate expires within 21 days"')
        checked = run_hixie("--check", "--port", where)
        assert checked.returncode == 0
        assert re.fullmatch(
            rf"{re.escape(str(pem))}: the certificate CN=localhost for localhost expires within "
            r"21 days: [0-9-]+T[0-9:]+Z\n",
            checked.stderr,
        )


def test_a_client_without_SNI_gets_the_default_certificate(tmp_path: Path) -> None:
    """The first of a directory by the names of the files; so does one with an unknown name."""
    openssl = str(third_party.openssl())
    port, directory = free_port(), tmp_path / "pem"
    directory.mkdir()
    for name in ("other", "default", "wrong"):
        (directory / f"{name}.pem").write_bytes(authority().pem_for(f"{name}.example"))
    where = f"tls:{directory}:port={port}:interface=127.0.0.1"
    with started(tmp_path, port, "--port", where) as daemon:
        for words, host in (
            (["-noservername"], "default"),
            (["-servername", "unknown.example"], "default"),
            (["-servername", "other.example"], "other"),
        ):
            shown = subprocess.run(
                [openssl, "s_client", "-connect", f"127.0.0.1:{port}", *words],
                input="",
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert re.search(rf"subject=CN ?= ?{host}\.example", shown.stdout), shown
        with unverified_context().wrap_socket(daemon.connect()) as peer:
            default = peer.getpeercert(binary_form=True)
            assert default == der_of((directory / "default.pem").read_bytes())
        assert "unknown.example" not in daemon.log


@pytest.mark.parametrize("runner", ["twistd", "twist", "txhixie"])
def test_without_a_file_SIGHUP_ends_nothing(tmp_path: Path, runner: str) -> None:
    with running(tmp_path, runner=runner) as daemon, Peer(daemon.port) as peer:
        daemon.reload()
        assert peer.echoes("still here")
        assert status(daemon.port) == 101


def test_a_crowd_of_signals_ends_in_the_last_reading(tmp_path: Path) -> None:
    with configured(tmp_path, ROUTE % "/a") as daemon, Peer(daemon.port) as peer:
        for number in range(50):
            write(daemon, tmp_path, ROUTE % f"/{number}")
            daemon.terminate(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while status(daemon.port, "/49") != 101:
            assert time.monotonic() < deadline
        assert peer.echoes("still here")
        assert "Traceback" not in daemon.log


def test_the_numbers_of_connections_go_on(tmp_path: Path) -> None:
    """Two connections of one log with one number could not be distinguished."""
    with configured(tmp_path, ROUTE % "/a") as daemon, Peer(daemon.port):
        daemon.reload()
        with Peer(daemon.port):
            daemon.logged("opened connection=1 ")
            daemon.logged("opened connection=2 ")


def test_a_stop_closes_connections_of_every_reading(tmp_path: Path) -> None:
    """In hixie-76 by its close frame, whichever reading a connection began with."""
    with configured(tmp_path, ROUTE % "/a") as daemon:
        ended = []
        for times in range(1, 4):
            peer = socket.create_connection(("127.0.0.1", daemon.port), PATIENCE)
            peer.sendall(request("hixie-76", target="/a") + b"^n:ds[4U")
            received = b""
            while received[-16:] != b"8jKS'y:G*Co,Wxa-":
                received += peer.recv(1)
            ended.append(peer)
            daemon.reload(times)
        daemon.terminate()
        for peer in ended:
            with peer:
                assert peer.recv(2) == b"\xff\x00"
                peer.sendall(b"\xff\x00")
        assert daemon.ended() == -signal.SIGTERM
        assert "Traceback" not in daemon.log


def test_a_relative_path_means_what_it_did_at_the_start(tmp_path: Path) -> None:
    """``twistd --rundir`` changes the directory after the options were read."""
    port, elsewhere = free_port(), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "hixie.toml").write_text(
        f'port = "tcp:{port}:interface=127.0.0.1"\nserve = "/=static:pages"\n'
    )
    (tmp_path / "pages").mkdir()
    command = [program("twistd"), "-n", "--pidfile=", f"--rundir={elsewhere}", "hixie"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--config", "hixie.toml"], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        daemon = Daemon(port, process, tmp_path)
        daemon.logged(f"starting on {port}")
        daemon.reload()
    finally:
        process.kill()
        process.wait()


def test_a_terminal_that_is_closed_ends_a_daemon_in_its_foreground(tmp_path: Path) -> None:
    """It also sends SIGHUP, and the daemon that has the port could not be found again."""
    port = free_port()
    ours, theirs = os.openpty()
    with (tmp_path / "log").open("wb") as log:
        command = [program("twistd"), "-n", "--pidfile=", "hixie"]
        process = subprocess.Popen(
            [*command, "--port", f"tcp:{port}:interface=127.0.0.1"],
            cwd=tmp_path,
            stdin=theirs,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(theirs)
    daemon = Daemon(port, process, tmp_path)
    try:
        daemon.logged(f"starting on {port}")
        daemon.reload()  # by kill, on a terminal that is there
        os.close(ours)
        daemon.terminate(signal.SIGHUP)
        assert daemon.ended() == 0
    finally:
        process.kill()
        process.wait()


# In the program, where an endpoint takes its time.


class Slow:
    """An endpoint that listens when the test fires its Deferred."""

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []

    def listen(self, factory: object) -> Deferred[Any]:
        self.asked.append(Deferred())
        return self.asked[-1]


class Port:
    stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class Readings:
    """A service with one slow endpoint, and how often its options were read anew."""

    def __init__(self) -> None:
        self.endpoint = Slow()
        self.sockets = ListeningSockets(object())
        self.clock = Clock()
        self.count = 0
        self.mistake: Exception | None = None
        self.service = ListeningService(self.clock, self.sockets, self._serving(), self._read)

    def _serving(self) -> Serving:
        factory = HixieServerFactory(testing.Applications())
        endpoints: Any = [("--port slow:", self.endpoint)]
        return Serving(endpoints, factory, [], SocketChange(self.sockets))

    def _read(self) -> Serving:
        self.count += 1
        if self.mistake is not None:
            raise self.mistake
        return self._serving()


def test_signals_during_a_reload_are_one_more_reload() -> None:
    readings = Readings()
    readings.service.startService()
    readings.endpoint.asked[0].callback(Port())
    for _ in range(5):
        readings.service.reload()
    assert readings.count == 1
    readings.endpoint.asked[1].callback(Port())
    assert readings.count == 2
    readings.endpoint.asked[2].callback(Port())
    assert readings.count == 2
    readings.service.stopService()


def test_a_signal_during_the_start_is_a_reload_after_it() -> None:
    readings = Readings()
    readings.service.startService()
    readings.service.reload()
    assert readings.count == 0
    first, second = Port(), Port()
    readings.endpoint.asked[0].callback(first)
    assert readings.count == 1
    assert not first.stopped
    readings.endpoint.asked[1].callback(second)
    assert first.stopped
    assert not second.stopped
    readings.service.stopService()
    assert second.stopped


def test_a_stop_during_a_reload_leaves_nothing_that_listens(log: log_recorder.Log) -> None:
    readings = Readings()
    readings.service.startService()
    first, late = Port(), Port()
    readings.endpoint.asked[0].callback(first)
    readings.service.reload()
    readings.service.stopService()
    readings.endpoint.asked[1].callback(late)
    assert first.stopped
    assert late.stopped
    assert log.lines() == []


WAITS: Final = 'reload-waits reason="--port ssl:...: expected a certificate and its key" seconds=60'


def waiting_for_a_key() -> Readings:
    """A service that was asked for a reload between the writes of a certificate and its key."""
    readings = Readings()
    readings.service.startService()
    readings.endpoint.asked[0].callback(Port())
    readings.mistake = HalfRenewed("hixie: --port ssl:...: expected a certificate and its key")
    readings.service.reload()
    return readings


def test_a_key_that_comes_within_a_minute_of_SIGHUP_completes_the_reload(
    log: log_recorder.Log,
) -> None:
    readings = waiting_for_a_key()
    readings.clock.pump([INTERVAL] * 3)
    readings.service.reload()
    assert (readings.count, log.lines()) == (5, [WAITS])
    readings.mistake = None
    readings.clock.pump([INTERVAL] * 1)
    readings.endpoint.asked[1].callback(Port())
    readings.clock.pump([INTERVAL] * 20)
    assert readings.count == 6
    assert log.lines() == [WAITS, "reloaded kept=0 opened=1 closed=1"]
    readings.service.stopService()
    assert not readings.clock.getDelayedCalls()


def test_a_key_that_does_not_come_within_a_minute_of_SIGHUP_is_one_line(
    log: log_recorder.Log,
) -> None:
    """Also with one more SIGHUP, which does not begin the minute anew."""
    readings = waiting_for_a_key()
    readings.clock.pump([INTERVAL] * 9)
    readings.service.reload()
    readings.clock.pump([INTERVAL] * 2)
    assert log.lines() == [WAITS]
    readings.clock.pump([INTERVAL] * 20)
    assert log.lines() == [
        WAITS,
        'not-reloaded reason="--port ssl:...: expected a certificate and its key"',
    ]
    readings.service.stopService()
    assert not readings.clock.getDelayedCalls()


def test_another_mistake_of_SIGHUP_is_a_line_at_once(log: log_recorder.Log) -> None:
    readings = Readings()
    readings.service.startService()
    readings.endpoint.asked[0].callback(Port())
    readings.mistake = CannotStart("hixie: --port ssl:...: expected a file")
    readings.service.reload()
    assert log.lines() == ['not-reloaded reason="--port ssl:...: expected a file"']
    readings.service.stopService()
    assert not readings.clock.getDelayedCalls()
