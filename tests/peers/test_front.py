"""nginx and HAProxy in front of the daemon, configured as in docs/howto/nginx.rst,
docs/howto/haproxy.rst and docs/howto/old-devices.rst, in every dialect.

The client's address is 127.0.0.2 here, so that it can be told from the proxy's.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from peers.reverse_proxies import NGINX, daemon, running, written
from support import third_party
from support.certificates import authority, certificate
from support.daemon import PATIENCE, configured, free_port, program
from support.dialect_marks import each
from support.dialect_names import NAMES
from support.frame_writer import FrameWriter
from support.guide_pages import block
from support.handshake_bytes import request, status_of, whole_request

CLIENT = "127.0.0.2"
KEY3 = b"^n:ds[4U"
PAGE = b"<p>a page\n"


@dataclass
class Front:
    """
    A reverse proxy with the daemon behind it.

    :ivar plain: the proxy's port.
    :ivar secure: its other port, for TLS.
    :ivar behind: the daemon's own.
    """

    plain: int
    secure: int
    behind: int
    directory: Path

    def connect(self, secure: bool = False) -> socket.socket:
        """Connect a client, which trusts the certificate of the test."""
        port = self.secure if secure else self.plain
        peer = socket.create_connection(("127.0.0.1", port), PATIENCE, (CLIENT, 0))
        if not secure:
            return peer
        context = ssl.create_default_context(cafile=str(self.directory / "cert.pem"))
        return context.wrap_socket(peer, server_hostname="localhost")

    @property
    def log(self) -> str:
        return (self.directory / "output").read_text("utf-8")

    def logged(self, words: str) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in self.log.splitlines():
                if words in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"{words} did not come: {self.log}")


def write_certificate(directory: Path) -> dict[str, Path]:
    """Write the certificate and the key under the file names of the guide."""
    made = certificate()
    key = made.privateKey.original.to_cryptography_key()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(private)
    public = made.original.to_cryptography().public_bytes(Encoding.PEM)
    (directory / "cert.pem").write_bytes(public)
    return {
        "/etc/ssl/certs/example.com.pem": directory / "cert.pem",
        "/etc/ssl/private/example.com.pem": directory / "key.pem",
    }


@contextlib.contextmanager
def behind_nginx(directory: Path, *options: str, trusted: str = "127.0.0.1") -> Iterator[Front]:
    front = Front(free_port(), free_port(), free_port(), directory)
    pages = directory / "www"
    pages.mkdir()
    (pages / "index.html").write_bytes(PAGE)
    configuration = written(
        directory,
        "hixie.toml",
        {
            "8080": front.behind,
            'trust-forwarded = "127.0.0.1"': f'trust-forwarded = "{trusted}"',
            "/srv/www": pages,
        },
    )
    written(
        directory,
        "hixie.conf",
        {
            "8080": front.behind,
            "listen 80;": f"listen 127.0.0.1:{front.plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{front.secure} ssl;",
            **write_certificate(directory),
        },
    )
    (directory / "nginx.conf").write_text(NGINX.format(directory=directory), "utf-8")
    nginx: list[str | Path] = [third_party.nginx(), "-p", directory, "-e", directory / "errors"]
    with (
        running(daemon(configuration, *options), [front.behind], directory),
        running([*nginx, "-c", directory / "nginx.conf"], [front.plain, front.secure], directory),
    ):
        yield front


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with behind_nginx(tmp_path_factory.mktemp("nginx")) as front:
        yield front


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp("haproxy")
    front, inner = Front(free_port(), free_port(), free_port(), directory), free_port()
    pems = write_certificate(directory)
    configuration = written(
        directory,
        "hixie-behind-haproxy.toml",
        {"tcp:8080": f"tcp:{front.behind}", "ssl:8443": f"ssl:{inner}", **pems},
    )
    rules = written(
        directory,
        "haproxy.cfg",
        {
            "bind :80\n": f"bind 127.0.0.1:{front.plain}\n",
            "bind :443\n": f"bind 127.0.0.1:{front.secure}\n",
            "127.0.0.1:8080": f"127.0.0.1:{front.behind}",
            "127.0.0.1:8443": f"127.0.0.1:{inner}",
        },
    )
    with (
        running(daemon(configuration), [front.behind, inner], directory),
        running(
            [third_party.haproxy(), "-db", "-f", rules], [front.plain, front.secure], directory
        ),
    ):
        yield front


FRONTS = ["nginx", "haproxy"]


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> Front:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Front)
    return made


def read_until(peer: socket.socket, end: bytes, size: int = 1) -> bytes:
    data = b""
    while not data.endswith(end):
        more = peer.recv(size)
        assert more, f"it ended after {data!r}"
        data += more
    return data


def read_exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        assert more, f"it ended after {data!r}"
        data += more
    return data


def read_all(peer: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while more := peer.recv(65536):
            data += more
    return data


def shake_hands(
    peer: socket.socket,
    dialect: str,
    target: str,
    apart: bool = False,
    origin: str = "https://localhost",
) -> bytes:
    """Complete a handshake and return the answer's head. ``apart`` sends key 3 after that head, as
    some clients did."""
    which = {"target": target, "host": "localhost", "origin": origin}
    peer.sendall(request(dialect, **which) if apart else whole_request(dialect, **which))
    head = read_until(peer, b"\r\n\r\n")
    assert status_of(head) == 101, head
    if dialect == "hixie-76":
        if apart:
            peer.sendall(KEY3)
        assert len(read_exactly(peer, 16)) == 16
    return head


def talk(peer: socket.socket, dialect: str) -> None:
    """Send two messages and read their echoes; one is larger than the buffers of a proxy."""
    long = "x" * 100_000
    theirs, ours = FrameWriter(dialect, b"mask"), FrameWriter(dialect, None)
    for message in ("hello", long):
        peer.sendall(theirs.text(message))
        assert read_exactly(peer, len(ours.text(message))) == ours.text(message)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@each
def test_every_dialect_works_through_the_proxy(front: Front, dialect: str, secure: bool) -> None:
    """The bytes are unchanged, the log has the client's address, and the Location has its
    scheme."""
    target = f"/echo/{dialect}-{secure}"
    with front.connect(secure) as peer:
        head = shake_hands(peer, dialect, target)
        scheme = b"wss" if secure else b"ws"
        if dialect.startswith("hixie"):
            assert b"Location: %b://localhost%b\r\n" % (scheme, target.encode()) in head
        talk(peer, dialect)
    assert f" peer={CLIENT}" in front.logged(f"target={target} dialect={dialect}")


def test_key_3_may_be_sent_after_the_head_of_the_answer(front: Front) -> None:
    with front.connect() as peer:
        shake_hands(peer, "hixie-76", "/echo", apart=True)
        talk(peer, "hixie-76")


@pytest.mark.parametrize("dialect", ["hixie-54", "hixie-75"])
def test_only_haproxy_keeps_the_order_of_the_fields_that_the_oldest_clients_require(
    nginx: Front, haproxy: Front, dialect: str
) -> None:
    """nginx writes its own fields before the daemon's, as docs/howto/nginx.rst describes."""
    begun = (
        b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade"
    )
    with nginx.connect() as there, haproxy.connect() as here:
        assert b"\r\nServer: nginx" in shake_hands(there, dialect, "/echo")[: len(begun)]
        assert shake_hands(here, dialect, "/echo").startswith(begun)


def test_the_end_of_a_connection_is_relayed(front: Front) -> None:
    with front.connect() as peer:
        shake_hands(peer, "hixie-76", "/echo")
        peer.sendall(b"\xff\x00")
        assert read_all(peer) == b"\xff\x00"


def test_a_refusal_is_relayed(front: Front) -> None:
    with front.connect() as peer:
        peer.sendall(whole_request("hixie-76", target="/echo", origin="http://elsewhere.example"))
        assert status_of(read_until(peer, b"\r\n\r\n")) == 403


def test_nginx_reuses_connections_without_mixing_responses(nginx: Front) -> None:
    """Pages and handshakes alternate, on connections that the client keeps open too."""
    with nginx.connect() as pages:
        for round_ in range(5):
            pages.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert status_of(read_until(pages, b"\r\n\r\n")) == 200
            assert read_exactly(pages, len(PAGE)) == PAGE
            with nginx.connect() as peer:
                dialect = NAMES[round_ % len(NAMES)]
                shake_hands(peer, dialect, "/echo")
                talk(peer, dialect)
            with nginx.connect() as peer:  # refused, and key 3 is not parsed as the next request
                peer.sendall(whole_request("hixie-76", target="/none"))
                assert status_of(read_until(peer, b"\r\n\r\n")) in (403, 404)


def test_a_client_cannot_forge_its_address_through_nginx(nginx: Front) -> None:
    lies = ["X-Forwarded-For: 203.0.113.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.b"]
    with nginx.connect() as peer:
        asked = request("hixie-75", *lies, "Forwarded: for=203.0.113.2", target="/echo/lies")
        peer.sendall(asked)
        head = read_until(peer, b"\r\n\r\n")
    assert b"WebSocket-Location: ws://example.com/echo/lies\r\n" in head
    assert CLIENT in nginx.logged("target=/echo/lies dialect=")
    assert "203.0.113" not in nginx.log


def test_the_option_secure_works_with_a_proxy_that_is_not_trusted(tmp_path: Path) -> None:
    """nginx terminates TLS, and the daemon ignores its X-Forwarded-* fields."""
    with (
        behind_nginx(tmp_path, "--secure", trusted="192.0.2.1") as front,
        front.connect(secure=True) as peer,
    ):
        for dialect in ("hixie-76",):
            head = shake_hands(peer, dialect, "/echo/x")
            assert b"Sec-WebSocket-Location: wss://localhost/echo/x\r\n" in head
            talk(peer, dialect)
        assert f"{CLIENT}" not in front.logged("target=/echo/x dialect=")


def test_health_checks_of_haproxy_succeed_without_errors_in_the_log(haproxy: Front) -> None:
    """A health check is a connection whose PROXY protocol header is LOCAL, or that has none."""
    with haproxy.connect() as peer:
        shake_hands(peer, "rfc6455", "/echo/health")
    time.sleep(2.5)  # a check is made every two seconds
    assert "DOWN" not in haproxy.log
    assert "refused: expected a header" not in haproxy.log
    assert "Traceback" not in haproxy.log


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_device_with_TLS_1_0_works_through_haproxy(tmp_path: Path) -> None:
    front, behind = free_port(), free_port()
    pems = write_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in pems.values()))
    configuration = written(tmp_path, "hixie-old.toml", {"8082": behind})
    rules = written(
        tmp_path,
        "haproxy-old.cfg",
        {":8444": f"127.0.0.1:{front}", ":8082": f":{behind}", "/etc/ssl/private/both.pem": both},
    )
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with (
        running(daemon(configuration), [behind], tmp_path),
        running([third_party.haproxy(), "-db", "-f", rules], [front], tmp_path),
        socket.create_connection(("127.0.0.1", front), PATIENCE) as wire,
        context.wrap_socket(wire, server_hostname="localhost") as peer,
    ):
        assert peer.version() == "TLSv1"
        head = shake_hands(peer, "hixie-76", "/television")
        assert b"Sec-WebSocket-Location: wss://localhost/television\r\n" in head
        talk(peer, "hixie-76")


def test_a_client_that_bypasses_haproxy_is_refused(haproxy: Front) -> None:
    with socket.create_connection(("127.0.0.1", haproxy.behind), PATIENCE) as peer:
        peer.sendall(whole_request("hixie-76"))
        assert read_all(peer) == b""
    assert haproxy.logged('reason="expected a PROXY protocol header"')


# The systemd unit.


def test_the_commands_of_the_unit_run(tmp_path: Path) -> None:
    """The commands run with paths of the test: the first checks, the second runs until SIGTERM."""
    port = free_port()
    pages = tmp_path / "www"
    pages.mkdir()
    configuration = written(tmp_path, "hixie.toml", {"8080": port, "/srv/www": pages})
    replaced = {
        "/opt/hixie/bin/twistd": program("twistd"),
        "/etc/hixie.toml": configuration,
    }
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # configparser documents that this method may be replaced by str
    unit.read(written(tmp_path, "hixie.service", replaced))
    look, start = (shlex.split(unit["Service"][key]) for key in ("ExecStartPre", "ExecStart"))
    looked = subprocess.run(look, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert "serve             /echo=echo" in looked.stdout.splitlines()
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(start, cwd=tmp_path, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while f"starting on {port}" not in (tmp_path / "output").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.terminate()
        assert process.wait(PATIENCE) == -15  # success to systemd
    finally:
        process.kill()
        process.wait()


def test_the_unit_checks_before_it_reloads(tmp_path: Path) -> None:
    """Its ``ExecReload`` lines, one after the other, as systemd runs them."""
    text = block("docs/howto/systemd.rst", "hixie.service")
    check, kill = re.findall(r"(?m)^ExecReload=(.*)$", text)
    with configured(tmp_path, 'port = "{port}"\n') as hixie:
        file = tmp_path / "hixie.toml"
        right = file.read_text()
        words = {"/opt/hixie/bin/twistd": program("twistd"), "/etc/hixie.toml": str(file)}
        checking = [words.get(word, word) for word in shlex.split(check)]
        file.write_text(right + "origins = 5\n")
        checked = subprocess.run(
            checking, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert checked.returncode == 1
        assert "origins: 5: expected" in checked.stderr
        file.write_text(right)
        subprocess.run(checking, capture_output=True, check=True, timeout=PATIENCE)
        killing = kill.replace("$MAINPID", str(hixie.process.pid))
        subprocess.run(shlex.split(killing), check=True, timeout=PATIENCE)
        hixie.logged("] reloaded ")


AS_THAT_USER = """
import importlib, os, pkgutil, sys
from twisted.internet import reactor, ssl
from txhixie.daemon.daemon import Daemon
from txhixie.daemon.errors import CannotStart
from txhixie.daemon.tap import Options
import txhixie.dialing.identity, txhixie.server.tls
for found in pkgutil.iter_modules(txhixie.server.tls.__path__):
    importlib.import_module(f"txhixie.server.tls.{found.name}")
options = Options()
options.parseOptions(["--port", sys.argv[1]])
Daemon(reactor, {})  # the modules that are imported late, while this user may read it
os.setgroups([int(group) for group in sys.argv[2].split(",") if group])
os.setgid(65534)
os.setuid(65534)
try:
    Daemon(reactor, options.said)
except CannotStart as error:
    raise SystemExit(str(error))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user and another group")
def test_only_a_member_of_the_key_s_group_can_read_the_key(tmp_path: Path) -> None:
    """Debian keeps keys readable for root and the group ``ssl-cert``, in a directory with the same
    mode."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read_string(block("docs/howto/systemd.rst", "hixie.service"))
    assert unit["Service"]["User"] == "hixie"
    assert unit["Service"]["SupplementaryGroups"] == "ssl-cert"
    assert "DynamicUser" not in unit["Service"]
    group = 54_321
    with TemporaryDirectory() as name:  # a directory that other users may enter
        place = Path(name)
        place.chmod(0o711)
        private = place / "private"
        private.mkdir()
        key = private / "key.pem"
        key.write_bytes(authority().pem_for("localhost"))
        os.chown(private, 0, group)
        os.chown(key, 0, group)
        private.chmod(0o710)
        key.chmod(0o640)
        for groups, works in (str(group), True), ("", False):
            result = subprocess.run(
                [sys.executable, "-c", AS_THAT_USER, f"ssl:0:privateKey={key}", groups],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            assert (result.returncode == 0) == works, result.stderr
            assert works or f"Permission denied: {key}" in result.stderr


def test_the_container_s_command_starts_again_after_SIGKILL(tmp_path: Path) -> None:
    """``twistd`` would leave a pid file with the number that the next process has, too."""
    text = block("docs/howto/docker.rst", "Dockerfile")
    found = re.search(r"(?m)^CMD (\[.*\])$", text)
    assert found is not None
    name, *words = json.loads(found[1])
    port = free_port()
    file = tmp_path / "hixie.toml"
    file.write_text(f'port = "tcp:{port}:interface=127.0.0.1"\n')
    command = [program(name), *(str(file) if word == "/etc/hixie.toml" else word for word in words)]
    for _ in range(2):
        with running(command, [port], tmp_path):
            pass  # and is killed
        assert not [*tmp_path.glob("*.pid")]


def test_systemd_knows_every_setting_of_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        third_party.missing("systemd-analyze", "Debian: systemd")
    unit = written(tmp_path, "hixie.service", {"/opt/hixie/bin/twistd": program("twistd")})
    result = subprocess.run(
        [verify, "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert "hixie.service" not in result.stderr
