"""Load balancers of the guide's page on monitoring, in front of a daemon that drains."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support import third_party
from support.daemon import PATIENCE, free_port, program, running
from support.guide_pages import block
from support.handshake_bytes import whole_request
from support.page_requests import ask, opened

GUIDE = "docs/howto/monitoring.rst"
DRAINING = ("--serve", "/=echo", "--health", "/health", "--drain", "60", "--stop-timeout", "60")


@contextmanager
def in_front(name: str, directory: Path, ports: tuple[int, int]) -> Iterator[int]:
    """Run a load balancer by its file of the guide, in front of two daemons."""
    port = free_port()
    text = block(GUIDE, name)
    for number, upstream in enumerate(ports, 1):
        text = text.replace(f"10.0.0.{number}:8080", f"127.0.0.1:{upstream}")
    file = directory / name
    if name == "haproxy.cfg":
        file.write_text(text.replace("bind :80", f"bind 127.0.0.1:{port}"))
        command = [str(third_party.haproxy()), "-db", "-f", str(file)]
    else:
        text = text.replace("listen 80", f"listen 127.0.0.1:{port}")
        folders = " ".join(
            f"{kind}_temp_path {directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        own = f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors;"
        file.write_text(f"{own} events {{}} http {{ access_log off; {folders} {text} }}")
        command = [str(third_party.nginx()), "-c", str(file), "-e", str(directory / "errors")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            awaited(lambda: can_connect(port), "the load balancer listens")
            yield port
        finally:
            process.kill()


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def awaited(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"expected: {what}"
        time.sleep(0.05)


def handshake(port: int) -> bytes:
    """The status of a handshake through the load balancer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.sendall(whole_request("rfc6455"))
        return peer.recv(1024).split()[1]


@pytest.mark.parametrize("name", ["haproxy.cfg", "upstream.conf"])
def test_clients_of_a_load_balancer_do_not_notice_that_one_daemon_drains(
    name: str, tmp_path: Path
) -> None:
    folders = [tmp_path / word for word in ("one", "two", "front")]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        daemons = [stack.enter_context(running(folder, *DRAINING)) for folder in folders[:2]]
        ports = (daemons[0].port, daemons[1].port)
        port = stack.enter_context(in_front(name, folders[2], ports))
        awaited(lambda: handshake(port) == b"101", "a client gets through")
        first = stack.enter_context(opened(daemons[0]))
        stack.enter_context(opened(daemons[0]))
        daemons[0].terminate()
        first.recv(1)
        assert ask(daemons[0], "/health").status == 503
        assert {handshake(port) for _ in range(10)} == {b"101"}


def test_the_arguments_of_the_pod_are_valid() -> None:
    found = re.search(r"args: \[(.*)\]", block(GUIDE, "pod.yaml"))
    assert found is not None
    words = [word.strip('" ') for word in found[1].split(",")]
    command = [program("twistd"), "-n", "hixie", *words, "--check"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
