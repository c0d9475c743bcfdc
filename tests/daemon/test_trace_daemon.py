"""The trace and the flight recorder of a real daemon: SIGUSR2, a reload, JSON, real clients."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from support.daemon import Daemon, configured, run_hixie, running
from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from txhixie.sansio.wire.frame import TEXT

HELLO = modern_frame(TEXT, b"hello", key=MASK)
ECHO = modern_frame(TEXT, b"hello")


def opened(daemon: Daemon, *fields: str, dialect: str = "rfc6455") -> socket.socket:
    """A connection whose handshake is complete."""
    peer = daemon.connect()
    peer.sendall(whole_request(dialect, *fields))
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.recv(1)
    assert b" 101 " in data
    return peer


def says_hello(peer: socket.socket) -> None:
    """Send a message and read its echo."""
    peer.sendall(HELLO)
    data = b""
    while len(data) < len(ECHO):
        data += peer.recv(len(ECHO) - len(data))
    assert data == ECHO


@pytest.mark.parametrize("runner", ["twistd", "twist", "txhixie"])
def test_SIGUSR2_turns_a_trace_of_all_on_and_off(tmp_path: Path, runner: str) -> None:
    """Twisted handles SIGUSR2 nowhere, and Python would end the process."""
    with running(tmp_path, "--serve", "/=echo", runner=runner) as daemon:
        with contextlib.closing(opened(daemon)) as peer:
            says_hello(peer)
            daemon.terminate(signal.SIGUSR2)
            daemon.logged('trace reason="turned on by SIGUSR2"')
            says_hello(peer)
            line = daemon.logged("direction=received frame=text")
            assert "connection=1 peer=127.0.0.1:" in line
            assert line.endswith("length=5 final=1 masked=1 compressed=0 payload=hello")
            daemon.logged("direction=sent frame=text")
            daemon.terminate(signal.SIGUSR2)
            daemon.logged('trace reason="turned off by SIGUSR2"')
            count = daemon.log.count("trace connection=")
            says_hello(peer)
        daemon.logged("ended connection=1")
        assert daemon.log.count("trace connection=") == count == 2


def test_a_trace_of_a_path_has_no_other_connection_and_no_credential(tmp_path: Path) -> None:
    with running(tmp_path, "--serve", "/=echo", "--trace", "/demo") as daemon:
        peer = daemon.connect()
        peer.sendall(whole_request("rfc6455").replace(b"/demo", b"/other"))
        peer.close()
        daemon.logged("ended connection=1")
        with contextlib.closing(opened(daemon, "Authorization: Bearer c2VjcmV0")) as peer:
            says_hello(peer)
        daemon.logged("ended connection=2")
        daemon.logged('head="Authorization: ..."')
        assert "c2VjcmV0" not in daemon.log
        assert "trace connection=1" not in daemon.log


def test_a_reload_changes_the_patterns(tmp_path: Path) -> None:
    text = 'port = "{port}"\nserve = "/=echo"\n'
    with configured(tmp_path, text) as daemon:
        file = tmp_path / "hixie.toml"
        file.write_text(file.read_text() + 'trace = ["hixie-75", "192.0.2.0/24"]\n')
        daemon.reload()
        opened(daemon).close()
        daemon.logged("ended connection=1")
        opened(daemon, dialect="hixie-75").close()
        daemon.logged("trace connection=2")
        daemon.logged("ended connection=2")
        assert "trace connection=1" not in daemon.log


def test_an_abnormal_end_has_its_last_events_in_the_log(tmp_path: Path) -> None:
    with running(tmp_path, "--serve", "/=echo", "--flight-recorder", "--log-json") as daemon:
        with contextlib.closing(opened(daemon)) as peer:
            says_hello(peer)
        flags = '"length": 5, "final": 1, "masked": 0, "compressed": 0'
        words = f'"direction": "sent", "frame": "text", {flags}, "payload": "hello"}}'
        last = daemon.logged(words)
        assert '"event": "recorded", "connection": 1' in last


def test_a_pattern_that_is_none_is_a_mistake() -> None:
    found = run_hixie("--trace", "chat")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("hixie: --trace chat: expected an address, a network")
