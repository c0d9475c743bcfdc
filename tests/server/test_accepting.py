"""Log lines for connections that cannot be accepted."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from support.daemon import running
from support.log_recorder import Log
from txhixie import Counters
from txhixie.server.accepting import AcceptLines

FILES = 64


def test_connections_beyond_the_limit_of_open_files_have_one_line_a_minute(tmp_path: Path) -> None:
    """A real daemon with a low limit of open files: Twisted writes three lines for each
    connection."""
    with running(tmp_path) as daemon, contextlib.ExitStack() as stack:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        for _ in range(3 * FILES):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 10))
            peer.setblocking(False)
        line = daemon.logged("EMFILE")
        assert ' refused reason="too many open files (EMFILE): raise LimitNOFILE= of' in line
        for _ in range(FILES):
            stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 10))
        daemon.terminate()
        daemon.ended()
    assert len([line for line in daemon.log.splitlines() if "EMFILE" in line]) == 1
    assert "Traceback" not in daemon.log


def test_counted_failures_are_logged_after_a_minute(log: Log) -> None:
    clock = Clock()
    others: list[Any] = []
    counters = Counters()
    lines = AcceptLines(clock, others.append, counters)  # type: ignore[arg-type]  # the test passes a function in place of the log's method
    for _ in range(5):
        lines({"log_format": "EMFILE encountered; releasing reserved file descriptor."})
        lines({"log_format": "EMFILE recovery: Closed socket from {address}", "address": 1})
        lines({"log_format": "Re-reserving EMFILE recovery file descriptor."})
        lines(
            {
                "log_format": "Could not accept new connection ({acceptError})",
                "acceptError": "ENFILE",
            }
        )
    lines({"log_format": "something else"})
    assert others == [{"log_format": "something else"}]
    assert len(log.lines()) == 2
    assert counters.refused == {(None, "files"): 5}
    clock.advance(60)
    first, second = log.lines()[2:]
    assert first.startswith('refused reason="too many open files (EMFILE): raise LimitNOFILE= of')
    assert first.endswith(" repeated=4")
    assert second == 'refused reason="cannot accept a connection: ENFILE" repeated=4'
    assert not clock.getDelayedCalls()
