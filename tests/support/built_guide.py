"""The guide, built by Sphinx, and the words that people search it for."""

from __future__ import annotations

from pathlib import Path
from subprocess import PIPE, STDOUT, run
from sys import executable
from typing import Final

from support.guide_pages import ROOT
from support.third_party import python_with


def build(directory: Path) -> Path:
    """Build the guide, warnings as errors; the directory of its HTML pages."""
    for library in ("sphinx", "furo", "sphinx_copybutton", "pydoctor"):
        python_with(library, get="pip install '.[docs]'")
    built = run(
        [
            *(executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(directory / "trees"), "docs", str(directory / "html")),
        ],
        cwd=ROOT,
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stdout) == (0, "")
    return directory / "html"


WORDS: Final = {
    "1006": "reference/close-codes reference/log-lines",
    "1008": "reference/close-codes howto/tokens",
    "1009": "reference/close-codes",
    "1012": "reference/close-codes",
    "1013": "reference/close-codes",
    "400": "reference/log-lines",
    "401": "howto/cookies-and-tokens howto/passwords",
    "403": "howto/origins reference/log-lines",
    "404": "reference/log-lines",
    "408": "reference/log-lines",
    "426": "reference/log-lines",
    "502": "reference/log-lines",
    "access": "howto/access",
    "apache": "howto/apache",
    "asyncio": "howto/asyncio",
    "autobahn": "howto/migrating-autobahn",
    "broadcast": "howto/rooms",
    "basic auth": "howto/passwords",
    "bearer": "howto/tokens",
    "binary": "reference/options",
    "caddy": "howto/caddy",
    "certificate": "howto/tls",
    "chat": "howto/rooms",
    "client certificate": "howto/tls",
    "close code": "reference/close-codes",
    "compression": "howto/compression",
    "cookie": "howto/cookies-and-tokens",
    "DNS rebinding": "howto/origins",
    "deploy hook": "howto/systemd",
    "dashboard": "howto/bus howto/hub",
    "docker": "howto/docker",
    "drain": "howto/stopping",
    "expired certificate": "howto/reload",
    "Flash": "howto/old-devices",
    "gateway": "howto/gateway",
    "graceful restart": "howto/stopping",
    "haproxy": "howto/haproxy",
    "hardening": "howto/systemd",
    "history": "howto/hub howto/rooms",
    "htpasswd": "howto/passwords",
    "hixie-76": "explanation/dialects",
    "JSON": "howto/logging",
    "JSON Web Token": "howto/tokens",
    "JWT": "howto/tokens",
    "limits": "reference/limits",
    "log": "reference/log-lines",
    "log file": "howto/logging",
    "logging": "howto/logging",
    "login": "howto/cookies-and-tokens",
    "mTLS": "howto/tls",
    "mypy": "howto/typing",
    "nginx": "howto/nginx",
    "noVNC": "howto/gateway",
    "origin": "howto/origins",
    "password": "howto/cookies-and-tokens howto/passwords",
    "PhantomJS": "howto/old-devices",
    "ping": "reference/limits",
    "proxy": "howto/proxies",
    "reload": "howto/reload",
    "renew certificate": "howto/reload",
    "SIGHUP": "howto/reload",
    "realm": "howto/passwords",
    "reconnect": "howto/reconnecting",
    "rolling restart": "howto/stopping",
    "publish": "howto/rooms",
    "room": "howto/rooms",
    "sd_notify": "howto/systemd",
    "security": "explanation/security",
    "SIGTERM": "howto/stopping",
    "SNI": "howto/tls",
    "socket activation": "howto/systemd",
    "speed": "explanation/benchmarks",
    "subprotocol": "howto/subprotocols",
    "systemd": "howto/systemd",
    "television": "howto/old-devices",
    "test": "howto/testing",
    "thread": "howto/threads",
    "timeout": "reference/limits",
    "TLS": "howto/tls",
    "TLS 1.0": "howto/old-devices",
    "token": "howto/cookies-and-tokens howto/tokens",
    "TV": "howto/old-devices",
    "txWS": "howto/migrating-txws",
    "watchdog": "howto/systemd",
    "websockify": "howto/migrating-websockify",
}
"""Words that people type into the search box, each with the pages that have the answer."""
