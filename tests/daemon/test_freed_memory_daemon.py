"""Freed memory that a daemon keeps or returns to the kernel, by the page faults of its process."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

import pytest

from support.blocking_peer import HixieClient, status
from support.counted_twistd import LIBRARY
from support.daemon import Daemon, configured, run_hixie, running
from support.handshake_bytes import whole_request

pytestmark = pytest.mark.skipif(
    not hasattr(LIBRARY, "gnu_get_libc_version"), reason="needs glibc, which has the setting"
)

MESSAGE: Final = "a" * 1_000_000
TIMES: Final = 30
ALL_PAGES: Final = TIMES * len(MESSAGE) // resource.getpagesize()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without thresholds, which the daemon would leave as they are."""
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)


def faults(daemon: Daemon) -> int:
    """Page faults of the daemon, minflt in proc(5)."""
    stat = Path(f"/proc/{daemon.process.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[7])


def faults_of_echoes(daemon: Daemon) -> int:
    """Page faults of the daemon while it echoes large messages."""
    peer = daemon.connect()
    with HixieClient(peer) as client:
        peer.sendall(whole_request("hixie-75"))
        assert status(peer) == 101
        for _ in range(5):
            assert client.echoes(MESSAGE)
        before = faults(daemon)
        for _ in range(TIMES):
            assert client.echoes(MESSAGE)
        return faults(daemon) - before


def test_a_daemon_keeps_freed_memory_by_default(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert faults_of_echoes(daemon) < ALL_PAGES // 20


def test_a_daemon_with_no_keep_freed_memory_returns_it(tmp_path: Path) -> None:
    with running(tmp_path, "--no-keep-freed-memory") as daemon:
        assert faults_of_echoes(daemon) > ALL_PAGES // 4


def test_the_key_of_the_file_turns_the_setting_off(tmp_path: Path) -> None:
    text = 'port = "{port}"\nserve = "/=echo"\nkeep-freed-memory = false\n'
    with configured(tmp_path, text, runner="txhixie") as daemon:
        assert faults_of_echoes(daemon) > ALL_PAGES // 4


def test_the_report_of_a_check_has_the_setting() -> None:
    for words, value in (((), "true"), (("--no-keep-freed-memory",), "false")):
        lines = run_hixie("--check", *words).stdout.splitlines()
        assert f"keep-freed-memory {value}" in lines
