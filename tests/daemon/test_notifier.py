"""Notifications to systemd, over a real datagram socket and with a clock of the test."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from twisted.internet.task import Clock

from support import log_recorder
from txhixie.daemon.notifier import RETRY, Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A socket at which systemd would receive."""
    address = f"{tmp_path}/notify" if request.param == "path" else f"\0{token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(address)
        receiving.setblocking(False)
        yield receiving


def address_of(receiving: socket.socket) -> str:
    name = receiving.getsockname()
    return f"@{name[1:].decode()}" if isinstance(name, bytes) else str(name)


def told(receiving: socket.socket) -> list[list[str]]:
    """The lines of each notification that has come."""
    found = []
    while True:
        try:
            found.append(receiving.recv(65536).decode().split("\n"))
        except BlockingIOError:
            return found


def begun(receiving: socket.socket, **more: str) -> tuple[Clock, Notifier, dict[str, str]]:
    environment = {"NOTIFY_SOCKET": address_of(receiving), "PATH": "/bin", **more}
    clock = Clock()
    notifier = Notifier(clock, environment, lambda: 12_345)
    notifier.begin()
    return clock, notifier, environment


def test_the_states_of_a_daemon(systemd: socket.socket) -> None:
    clock, notifier, _ = begun(systemd)
    notifier.ready("listening on 1 port")
    notifier.reloading()
    notifier.ready("not reloaded: hixie.toml: origins: 5:\nexpected ...")
    notifier.stopping(8.0, "closing 3 connections")
    assert told(systemd) == [
        ["READY=1", "STATUS=listening on 1 port"],
        ["RELOADING=1", "MONOTONIC_USEC=12345", "STATUS=reloading"],
        ["READY=1", "STATUS=not reloaded: hixie.toml: origins: 5: expected ..."],
        ["STOPPING=1", "EXTEND_TIMEOUT_USEC=13000000", "STATUS=closing 3 connections"],
    ]
    notifier.close()
    notifier.close()
    assert not clock.getDelayedCalls()


def test_the_variables_are_taken_out_of_the_environment(systemd: socket.socket) -> None:
    _, notifier, environment = begun(systemd, WATCHDOG_USEC="1", WATCHDOG_PID="1")
    assert environment == {"PATH": "/bin"}
    notifier.close()


@pytest.mark.parametrize("process", [{}, {"WATCHDOG_PID": str(os.getpid())}])
def test_the_watchdog_hears_twice_in_its_time_from_the_first_ready_on(
    process: dict[str, str], systemd: socket.socket
) -> None:
    clock, notifier, _ = begun(systemd, WATCHDOG_USEC="2000000", **process)
    clock.advance(10)
    assert told(systemd) == []
    notifier.ready("")
    assert told(systemd)[1:] == [["WATCHDOG=1"]]
    for _ in range(3):
        clock.advance(1.0)
        assert told(systemd) == [["WATCHDOG=1"]]
    notifier.ready("")  # after a reload
    assert told(systemd) == [["READY=1", "STATUS="]]
    clock.advance(1.0)
    assert told(systemd) == [["WATCHDOG=1"]]
    notifier.close()
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid() + 1)},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
    ],
)
def test_there_is_no_watchdog_without_its_variables_or_for_another_process(
    variables: dict[str, str], systemd: socket.socket
) -> None:
    clock, notifier, _ = begun(systemd, **variables)
    notifier.ready("")
    assert len(told(systemd)) == 1
    assert not clock.getDelayedCalls()
    notifier.close()


def test_a_full_queue_blocks_nothing_and_loses_no_state(systemd: socket.socket) -> None:
    clock, notifier, _ = begun(systemd, WATCHDOG_USEC="2000000")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(systemd.getsockname())
        with pytest.raises(BlockingIOError):
            while True:
                other.send(b"X=1")
    notifier.ready("listening")
    clock.advance(1.0)  # the watchdog is not told twice later
    notifier.reloading()
    told(systemd)
    clock.advance(RETRY)
    assert [each[0] for each in told(systemd)] == ["READY=1", "RELOADING=1"]
    clock.advance(1.0)
    assert told(systemd) == [["WATCHDOG=1"]]
    notifier.close()
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody", "vsock:2:1234", "/" + "x" * 200])
def test_an_address_where_nobody_receives_is_a_line_of_the_log(
    address: str, log: log_recorder.Log
) -> None:
    clock = Clock()
    notifier = Notifier(clock, {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"})
    notifier.begin()
    notifier.ready("listening")
    notifier.stopping(8.0, "")
    clock.advance(10.0)
    (line,) = log.lines()
    assert line.startswith(f"NOTIFY_SOCKET {address}: ")
    notifier.close()
    assert not clock.getDelayedCalls()


def test_without_a_socket_nothing_is_sent(log: log_recorder.Log) -> None:
    notifier = Notifier(Clock(), {"WATCHDOG_USEC": "2000000"})
    notifier.begin()
    notifier.ready("")
    notifier.reloading()
    notifier.stopping(1.0, "")
    notifier.close()
    assert log.lines() == []
