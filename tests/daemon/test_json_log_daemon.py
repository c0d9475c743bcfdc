"""``--log-json`` of real daemons: standard output, a file that is rotated, a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.daemon import PATIENCE, Daemon, configured, free_port, program, run_hixie, running
from support.handshake_bytes import whole_request

RUNNERS = ["twistd", "twist", "txhixie"]


def objects(text: str) -> list[dict[str, Any]]:
    """The complete lines of a log, each of which has to be an object."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def logged(log: Callable[[], str], is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait for an object of a log, and return the first one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for each in objects(log()):
            if is_wanted(each):
                return each
        time.sleep(0.02)
    raise AssertionError(log())


def visit(daemon: Daemon) -> None:
    """Open a conversation and end it; have a request refused."""
    for data in (whole_request("rfc6455"), b"GET /?token=secret HTTP/1.1\r\nHost: a\r\n\r\n"):
        with daemon.connect() as peer:
            peer.sendall(data)
            assert peer.recv(65536)


@pytest.mark.parametrize("runner", RUNNERS)
def test_each_line_of_standard_output_is_an_object(tmp_path: Path, runner: str) -> None:
    with running(tmp_path, "--log-json", "--serve", "/=echo", runner=runner) as daemon:
        visit(daemon)
        opened = logged(lambda: daemon.log, lambda line: line.get("event") == "opened")
        refused = logged(lambda: daemon.log, lambda line: line.get("event") == "refused")
        logged(lambda: daemon.log, lambda line: line.get("event") == "ended")
        daemon.terminate()
        daemon.ended()
        lines = objects(daemon.log)
    assert (opened["connection"], opened["dialect"]) == (1, "rfc6455")
    assert (refused["connection"], refused["status"]) == (2, 404)
    assert all(line["time"].endswith("Z") and line["level"] for line in lines)
    assert any("starting on" in line.get("text", "") for line in lines)
    assert "secret" not in daemon.log


def test_the_key_of_the_file_does_the_same(tmp_path: Path) -> None:
    with configured(tmp_path, 'port = "{port}"\nlog-json = true\n') as daemon:
        daemon.terminate(signal.SIGHUP)
        line = logged(lambda: daemon.log, lambda line: line.get("event") == "reloaded")
    assert (line["kept"], line["opened"], line["closed"]) == (1, 0, 0)


def test_a_file_that_SIGUSR1_rotates_goes_on_as_JSON(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "hixie.log"
    own = ["--nodaemon", f"--pidfile={tmp_path}/pid", f"--logfile={file}", "hixie", "--log-json"]
    process = subprocess.Popen(
        [program("twistd"), *own, "--port", f"tcp:{port}:interface=127.0.0.1"], cwd=tmp_path
    )
    try:
        logged(
            lambda: file.read_text() if file.exists() else "",
            lambda line: line.get("text", "").endswith(f"starting on {port}"),
        )
        process.send_signal(signal.SIGUSR1)
        rotated = tmp_path / "hixie.log.1"
        logged(lambda: rotated.read_text() if rotated.exists() else "", lambda line: True)
        process.terminate()
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert any(line.get("text") == "Server Shut Down." for line in objects(file.read_text()))


def test_a_daemon_in_the_background_writes_JSON(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "hixie.log"
    own = [f"--pidfile={tmp_path}/pid", f"--logfile={file}", "hixie", "--log-json"]
    subprocess.run(
        [program("twistd"), *own, "--port", f"tcp:{port}:interface=127.0.0.1"],
        cwd=tmp_path,
        timeout=PATIENCE,
        check=True,
    )
    pid = int((tmp_path / "pid").read_text())
    try:
        logged(file.read_text, lambda line: "starting on" in line.get("text", ""))
    finally:
        os.kill(pid, signal.SIGTERM)
    logged(file.read_text, lambda line: line.get("text") == "Server Shut Down.")


def test_an_observer_of_the_operator_and_this_one_are_a_mistake(tmp_path: Path) -> None:
    found = subprocess.run(
        [program("twistd"), "-n", "--pidfile=", "--logger=a.b", "hixie", "--log-json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == (
        "hixie: log-json: expected twistd without --logger, which chooses another log\n"
    )


def test_the_check_of_the_configuration_stays_text() -> None:
    found = run_hixie("--log-json", "--check")
    assert (found.returncode, found.stderr) == (0, "")
    assert "log-json          true" in found.stdout.splitlines()
