"""Reverse proxies before the daemon: nginx and HAProxy, started with configurations of the guide.

Only the ports and paths of a configuration are replaced.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.daemon import PATIENCE, program
from support.guide_pages import block
from support.third_party import haproxy

PAGES = {
    "hixie.toml": "docs/howto/systemd.rst",
    "hixie.service": "docs/howto/systemd.rst",
    "hixie.conf": "docs/howto/nginx.rst",
    "haproxy.cfg": "docs/howto/haproxy.rst",
    "hixie-behind-haproxy.toml": "docs/howto/haproxy.rst",
    "haproxy-old.cfg": "docs/howto/old-devices.rst",
    "hixie-old.toml": "docs/howto/old-devices.rst",
    "haproxy-players.cfg": "docs/howto/recipes.rst",
    "hixie-players.toml": "docs/howto/recipes.rst",
    "apache.conf": "docs/howto/apache.rst",
    "lighttpd.conf": "docs/howto/lighttpd.rst",
    "Caddyfile": "docs/howto/caddy.rst",
}
"""The configuration files of the guide, each with its page."""

NGINX = """\
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/hixie.conf;
}}
"""
"""The parts of Debian's nginx.conf around our configuration, with paths in a directory of the
test."""


HAPROXY = """\
defaults
    mode tcp
    timeout connect 30s
    timeout client 60s
    timeout server 60s
listen tls
    bind 127.0.0.1:{front}
    server daemon 127.0.0.1:{behind} send-proxy-v2
"""


def written(directory: Path, name: str, replaced: Mapping[str, object]) -> Path:
    """Write a file of the guide with other ports and paths; each replaced one has to be in the
    file."""
    text = block(PAGES[name], name)
    for old, new in replaced.items():
        assert old in text, f"{old} is not in {name}"
        text = text.replace(old, str(new))
    path = directory / name
    path.write_text(text, "utf-8")
    return path


@contextmanager
def running(command: Sequence[str | Path], ports: Sequence[int], directory: Path) -> Iterator[None]:
    """Start a program, wait until it listens on all ports, and end it after the block."""
    with (directory / "output").open("ab") as output:
        process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            for port in ports:
                _await(port, process, directory)
            yield
        finally:
            process.kill()
            process.wait()


def _await(port: int, process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    said = (directory / "output").read_text("utf-8", "replace")
    raise AssertionError(f"nobody listens on {port}: {said}")


@contextmanager
def below_tls(front: int, behind: int, directory: Path) -> Iterator[None]:
    """Run HAProxy that passes the bytes of TLS on, after a header of the PROXY protocol."""
    configuration = directory / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(front=front, behind=behind), "utf-8")
    with running([haproxy(), "-f", configuration], [front], directory):
        yield


def daemon(configuration: Path, *options: str) -> list[str]:
    """The command that starts the daemon."""
    return [
        program("twistd"),
        "-n",
        "--pidfile=",
        "hixie",
        "--config",
        str(configuration),
        *options,
    ]
