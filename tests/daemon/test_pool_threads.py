"""Threads of the reactor's pool do not delay the stop of a daemon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from twisted.internet.task import Clock

from txhixie.daemon.pool_threads import PoolThreads

PROGRAM = """
import sys, time
from twisted.internet import reactor
from twisted.application.service import IService
from txhixie.daemon.tap import Options, makeService

options = Options()
options.parseOptions(["--port", "tcp:0:interface=127.0.0.1", "--stop-timeout", "1"])
service = makeService(options)

def looksUp():
    print("in a thread", flush=True)
    time.sleep(60)  # as getaddrinfo with a name server that does not answer

service.startService()
reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
reactor.callWhenRunning(reactor.callInThread, looksUp)
reactor.run()
"""


def test_a_lookup_without_an_answer_does_not_delay_a_stop() -> None:
    """Without the mend the process ends only with the thread, after 60 seconds."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "in a thread\n"
        began = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(40) == 0
        assert time.monotonic() - began < 30


def test_a_reactor_without_threads_has_none_to_give_up() -> None:
    threads = PoolThreads(Clock())
    threads.begin()
    threads.giveUp()
