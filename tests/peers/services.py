"""Services of Debian's that speak no WebSocket, each started for a test, on a port of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.reverse_proxies import running
from support import third_party
from support.daemon import free_port


@contextmanager
def redis(directory: Path) -> Iterator[int]:
    """A Redis that keeps nothing: its port; ``redis.sock`` in the directory leads to it too."""
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "unixsocket": directory / "redis.sock"}
    options |= {"save": "", "appendonly": "no", "dir": directory}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with running([third_party.redis_server(), *words], [port], directory):
        yield port


@contextmanager
def openssh(directory: Path) -> Iterator[int]:
    """Run an OpenSSH server that admits no user; its port."""
    port = free_port()
    sshd = third_party.sshd()
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    configuration = directory / "sshd_config"
    lines = [f"ListenAddress 127.0.0.1:{port}", f"HostKey {key}", "PidFile none", "UsePAM no"]
    configuration.write_text("\n".join([*lines, ""]), "ascii")
    if os.getuid() == 0:
        # Debian's own script makes it when the service starts, and /run is empty after each boot.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with running([sshd, "-D", "-e", "-f", configuration], [port], directory):
        yield port
