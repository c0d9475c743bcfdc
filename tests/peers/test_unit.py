"""The units of docs/howto/systemd.rst: verified by systemd-analyze, and a daemon that runs under
their restrictions."""

from __future__ import annotations

import os
import platform
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import third_party
from support.blocking_peer import answer
from support.certificates import Authority
from support.confinement import NUMBERS, Unit
from support.daemon import PATIENCE, Daemon, free_port, program
from support.guide_pages import block
from support.handshake_bytes import whole_request

GUIDE = "docs/howto/systemd.rst"
TESTS = Path(__file__).parents[1]
CONFINEMENT = TESTS / "support" / "confinement.py"
GROUP = 54_321
MOST_EXPOSURE = 3.0


def analyze() -> Path:
    return third_party.program("systemd-analyze", get="Debian: systemd")


def written(directory: Path, name: str) -> Path:
    """A unit of the guide, with the programs of this installation."""
    path = directory / name
    path.write_text(block(GUIDE, name).replace("/opt/hixie/bin/twistd", program("twistd")))
    return path


def exposure(unit: Path) -> float:
    words = [str(analyze()), "security", "--offline=true", "--no-pager", str(unit)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: ([\d.]+)", result.stdout)
    assert found is not None, result.stderr
    return float(found[1])


def test_the_unit_s_exposure_is_low(tmp_path: Path) -> None:
    unit = written(tmp_path, "hixie.service")
    assert exposure(unit) <= MOST_EXPOSURE
    text = unit.read_text()
    begin, end = text.index("CapabilityBoundingSet="), text.index("[Install]")
    unit.write_text(text[:begin] + text[end:])
    assert exposure(unit) > 2 * MOST_EXPOSURE


@pytest.mark.parametrize("activated", [False, True])
def test_systemd_finds_no_mistake_in_the_units(activated: bool, tmp_path: Path) -> None:
    units = [written(tmp_path, "hixie.service")]
    if activated:
        units.append(written(tmp_path, "hixie.socket"))
        text = units[0].read_text()
        units[0].write_text(text.replace("[Unit]\n", "[Unit]\nRequires=hixie.socket\n"))
    result = subprocess.run(
        [analyze(), "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert "hixie" not in result.stderr


def confined(unit: Path, command: list[str]) -> list[str]:
    """The command under the restrictions of the unit, as a member of the key's group."""
    inner = [sys.executable, str(CONFINEMENT), str(unit), *command]
    member = ["setpriv", "--groups", str(GROUP), "--inh-caps", "-all", *inner]
    readonly = f"mount -o remount,bind,ro / && exec {shlex.join(member)}"
    return ["unshare", "--mount", "sh", "-c", readonly]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a read-only file system")


@pytest.fixture
def confine(tmp_path: Path) -> Callable[[str], list[str]]:
    """Returns the commands of a line of the unit under its restrictions."""
    if platform.machine() != "x86_64":
        pytest.skip("the numbers of system calls in this test are those of x86_64")
    if not any(path.exists() for path in NUMBERS):
        third_party.missing("unistd_64.h", "Debian: linux-libc-dev")
    analyze()
    unit = written(tmp_path, "hixie.service")
    works = subprocess.run(confined(unit, ["/bin/true"]), capture_output=True, check=False)
    if works.returncode:
        pytest.skip(f"this machine allows no such restrictions: {works.stderr.decode()}")

    def line(key: str) -> list[str]:
        words = shlex.split(Unit(unit.read_text())["Service"][key])
        configuration = str(tmp_path / "hixie.toml")
        return confined(unit, [{"/etc/hixie.toml": configuration}.get(w, w) for w in words])

    return line


@needs_root
def test_the_restrictions_of_these_tests_are_those_of_the_unit(
    confine: Callable[[str], list[str]], tmp_path: Path
) -> None:
    unit = tmp_path / "hixie.service"
    tries = {
        f"open({str(tmp_path / 'new')!r}, 'w')": b"Read-only file system",
        "import os; os.chroot('/')": b"",
        "import os; os.setpriority(os.PRIO_PROCESS, 0, 1)": b"",
    }
    for code, expected in tries.items():
        words = confined(unit, [sys.executable, "-c", code])
        result = subprocess.run(words, capture_output=True, check=False)
        assert expected in result.stderr
        if not expected:
            assert result.returncode == -signal.SIGSYS


@needs_root
def test_a_port_of_tls_needs_memory_that_is_writable_and_executable(
    confine: Callable[[str], list[str]], tmp_path: Path
) -> None:
    """Callbacks of cffi 2.1, which pyOpenSSL uses. Without TLS the daemon needs no such memory."""
    unit, pem = tmp_path / "hixie.service", tmp_path / "pem"
    unit.write_text(
        unit.read_text().replace("[Service]\n", "[Service]\nMemoryDenyWriteExecute=yes\n")
    )
    pem.write_bytes(Authority("test").pem_for("localhost"))
    for port, works in (("tcp:0", True), (f"ssl:0:privateKey={pem}:certKey={pem}", False)):
        (tmp_path / "hixie.toml").write_text(f'port = "{port}"\n')
        result = subprocess.run(
            confine("ExecStartPre"), capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert (result.returncode == 0) == works
        assert works or "write+execute memory" in result.stderr


def talk(port: int, authority: Authority) -> bytes:
    """Echo a message over TLS; return the server's certificate."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as wire,
        context.wrap_socket(wire, server_hostname="localhost") as peer,
    ):
        peer.sendall(whole_request("hixie-75", target="/echo", origin="https://localhost"))
        response = answer(peer)
        assert response.startswith(b"HTTP/1.1 101 "), response
        message = b"\x00" + b"x" * 200_000 + b"\xff"
        peer.sendall(message)
        echo = response.partition(b"\r\n\r\n")[2]
        while len(echo) < len(message):
            echo += peer.recv(65536)
        assert echo == message
        return peer.getpeercert(binary_form=True) or b""


@needs_root
def test_the_daemon_runs_under_the_restrictions_and_reads_a_renewed_key(
    confine: Callable[[str], list[str]], tmp_path: Path
) -> None:
    """A system call that is not allowed ends it; a key that it cannot read keeps the old one."""
    port, plain = free_port(), free_port()
    key, certificate = tmp_path / "private" / "key.pem", tmp_path / "cert.pem"
    key.parent.mkdir()
    os.chown(key.parent, 65534, GROUP)
    key.parent.chmod(0o710)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("<p>a page\n")
    lineage = tmp_path / "lineage"
    lineage.mkdir()
    hook = block(GUIDE, "deploy-hook")
    places = {
        "/etc/ssl/private/example.com.pem": str(key),
        "/etc/ssl/certs/example.com.pem": str(certificate),
        "-g ssl-cert": f"-o 65534 -g {GROUP}",
    }
    for old, new in places.items():
        assert old in hook
        hook = hook.replace(old, new)

    def renew() -> Authority:
        made = Authority("a renewed authority")
        both = made.pem_for("localhost")  # the key, and then the certificate
        for name in ("privkey.pem", "fullchain.pem"):
            (lineage / name).write_bytes(both)
            (lineage / name).chmod(0o600)
        environment = {**os.environ, "RENEWED_LINEAGE": str(lineage)}
        subprocess.run(["sh", "-c", hook], env=environment, check=True)
        return made

    (tmp_path / "hixie.toml").write_text(
        f"""port = [
            "ssl:{port}:interface=127.0.0.1:privateKey={key}:certKey={certificate}",
            "tcp:{plain}:interface=127.0.0.1",
        ]
        origins = "*"
        serve = [
            "/echo=echo", "/=static:{tmp_path}/www", "/far=ws://localhost:{plain}/echo",
        ]
        """
    )
    first = renew()
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
        }
        checked = subprocess.run(
            confine("ExecStartPre"),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert checked.returncode == 0, checked.stderr
        with (tmp_path / "log").open("wb") as log, (tmp_path / "errors").open("wb") as errors:
            process = subprocess.Popen(
                confine("ExecStart"), cwd=tmp_path, env=environment, stdout=log, stderr=errors
            )
        stack.callback(process.wait)
        stack.callback(process.kill)
        daemon = Daemon(plain, process, tmp_path)
        daemon.logged(f"starting on {plain}")
        assert listening.recv(4096).startswith(b"READY=1\n")
        before = talk(port, first)
        with daemon.connect() as peer:
            peer.sendall(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert peer.recv(4096).startswith(b"HTTP/1.1 200 ")
        with daemon.connect() as peer:
            peer.sendall(whole_request("rfc6455", target="/far"))
            assert peer.recv(4096).startswith(b"HTTP/1.1 101 ")
        second = renew()
        daemon.logged("] reloaded ")  # without a signal
        assert talk(port, second) != before
        daemon.terminate(signal.SIGHUP)
        daemon.logged_times("] reloaded ", 2)
        talk(port, second)
        daemon.terminate()
        assert daemon.ended() in (-signal.SIGTERM, 0)
        assert "Traceback" not in daemon.log
        assert daemon.errors == ""
