"""squid and tinyproxy as processes, each with a temporary directory."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

from support import third_party
from support.daemon import PATIENCE, free_port

NAME: Final = "me"
PASSWORD: Final = "p:w/\u00fc %"
"""Everything that a URL has to encode."""

_USERS: Final = """\
me:$apr1$hixie$wRGIL2XTBBgmRIMJRs9UZ.
user:$apr1$hixie$AEg.UsTzUTXz778Ieo/oU1
"""
"""The users of the proxies: NAME with PASSWORD, and ``user`` with ``pass``."""

_SQUID: Final = """\
pid_filename none
cache deny all
access_log none
cache_log {directory}/log
coredump_dir {directory}
shutdown_lifetime 0 seconds
max_filedescriptors 1024
pinger_enable off
visible_hostname proxy.example
"""

_BASIC: Final = """\
auth_param basic program {helpers}/basic_ncsa_auth {directory}/users
auth_param basic realm there
auth_param basic children 1
acl known proxy_auth REQUIRED
"""

_DIGEST: Final = """\
auth_param digest program {helpers}/digest_file_auth -c {directory}/digests
auth_param digest realm there
auth_param digest children 1
acl known proxy_auth REQUIRED
"""

_KNOWN: Final = "http_access allow known\nhttp_access deny all\n"

SQUIDS: Final = {
    "open": "http_access allow all\n",
    "refusing": "http_access deny all\n",
    "basic": _BASIC + _KNOWN,
    "digest": _DIGEST + _KNOWN,
    # Basic would be refused: the password in its file is another.
    "both": _BASIC.replace("users", "strangers") + _DIGEST + _KNOWN,
    # Each nonce once.
    "hasty": _DIGEST + "auth_param digest nonce_max_count 1\n" + _KNOWN,
}
"""Kinds of it: what each lets through, and what it asks before."""


@dataclass
class RealProxy:
    """
    One that is running.

    :ivar port: on 127.0.0.1.
    :ivar secure: whether TLS is spoken there.
    """

    port: int
    process: subprocess.Popen[bytes]
    directory: Path
    secure: bool = False

    @property
    def program(self) -> str:
        """Its name: in what they say they differ."""
        return Path(str(self.process.args[0])).name  # type: ignore[index]  # the arguments of the process are a list

    @property
    def url(self) -> str:
        """Without credentials."""
        return f"{'https' if self.secure else 'http'}://localhost:{self.port}"

    @property
    def url_with_credentials(self) -> str:
        """With those that it knows."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{NAME}:{quote(PASSWORD, safe='')}@{rest}"

    @property
    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextlib.contextmanager
def squid(
    kind: str = "open", certificate: bytes | None = None, *, rules: str | None = None
) -> Iterator[RealProxy]:
    """
    One of :data:`SQUIDS`.

    :param certificate: a key and a certificate, in PEM, for TLS to it.
    :param rules: instead of a kind's, these.
    """
    program = third_party.squid()
    helpers = third_party.squid_helpers()
    port = free_port()
    with _directory() as directory:
        (directory / "users").write_text(_USERS)
        (directory / "strangers").write_text(_USERS.replace("me:", "she:"))
        digest = md5(f"{NAME}:there:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
        (directory / "digests").write_text(f"{NAME}:there:{digest}\n")
        listens = f"http_port 127.0.0.1:{port}\n"
        if certificate is not None:
            (directory / "pem").write_bytes(certificate)
            pem = directory / "pem"
            listens = f"https_port 127.0.0.1:{port} tls-cert={pem} tls-key={pem}\n"
        text = listens + _SQUID + (rules or SQUIDS[kind])
        configuration = directory / "squid.conf"
        configuration.write_text(text.format(directory=directory, helpers=helpers))
        command = [os.fspath(program), "-N", "-f", os.fspath(configuration)]
        with _started(command, directory, port) as process:
            yield RealProxy(port, process, directory, certificate is not None)


@contextlib.contextmanager
def tinyproxy(*, asks: bool = True) -> Iterator[RealProxy]:
    """Run tinyproxy, which answers in HTTP/1.0 and closes the connection after a 407."""
    program = third_party.tinyproxy()
    port = free_port()
    with _directory() as directory:
        lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 100"]
        lines += [f'LogFile "{directory}/log"', "LogLevel Connect"]
        if asks:
            lines.append("BasicAuth user pass")
        configuration = directory / "tinyproxy.conf"
        configuration.write_text("\n".join([*lines, ""]))
        command = [os.fspath(program), "-d", "-c", os.fspath(configuration)]
        with _started(command, directory, port) as process:
            yield RealProxy(port, process, directory)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory that every user may write to: squid started by root changes its user."""
    with TemporaryDirectory(prefix="proxy") as name:
        os.chmod(name, 0o777)  # noqa: PTH101
        yield Path(name)


@contextlib.contextmanager
def _started(command: list[str], directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Until it is listened on; killed in the end."""
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _accepts(port):
            said = "".join(
                (directory / name).read_text(errors="replace")
                for name in ("output", "log")
                if (directory / name).exists()
            )
            assert process.poll() is None, f"{command[0]} ended: {said}"
            assert time.monotonic() < deadline, f"{command[0]} does not listen: {said}"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()  # when asked, squid takes two seconds; its children see that it is gone
        process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
