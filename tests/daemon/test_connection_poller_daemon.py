"""The connection poller of a daemon, by the epolls that its process has open."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from support.blocking_peer import HixieClient, status
from support.daemon import Daemon, configured, run_hixie, running
from support.handshake_bytes import whole_request

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll of Linux")


def epolls(daemon: Daemon) -> int:
    """The number of epolls of the daemon while it has a connection that has sent a message."""
    peer = daemon.connect()
    with HixieClient(peer) as client:
        peer.sendall(whole_request("hixie-75"))
        assert status(peer) == 101
        assert client.echoes("hello")
        descriptors = Path(f"/proc/{daemon.process.pid}/fd")
        return sum("[eventpoll]" in str(each.readlink()) for each in descriptors.iterdir())


def test_a_daemon_has_a_poller_besides_its_reactor(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert epolls(daemon) == 2


def test_a_daemon_with_no_connection_poller_has_none(tmp_path: Path) -> None:
    with running(tmp_path, "--no-connection-poller") as daemon:
        assert epolls(daemon) == 1


def test_the_key_of_the_file_turns_the_poller_off(tmp_path: Path) -> None:
    text = 'port = "{port}"\nserve = "/=echo"\nconnection-poller = false\n'
    with configured(tmp_path, text, runner="txhixie") as daemon:
        assert epolls(daemon) == 1


def test_the_report_of_a_check_has_the_option() -> None:
    for words, value in (((), "true"), (("--no-connection-poller",), "false")):
        lines = run_hixie("--check", *words).stdout.splitlines()
        assert f"connection-poller {value}" in lines
