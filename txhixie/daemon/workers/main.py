"""Program of a worker process, which the daemon starts."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any, Final

from twisted.logger import globalLogBeginner

from .link import LINK, adoptLink
from .log_pipe import pipeObserver
from .worker import Worker

_IGNORED: Final = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
"""Signals that a terminal and systemd send to all processes: a worker does what its parent says."""


def main(reactorName: str, number: str, workers: str, node: str) -> int:
    """
    Run a worker until the parent ends the worker, or the parent itself has ended.

    :param reactorName: module of the reactor.
    :param number: number of the worker, from 1.
    :param workers: number of all workers.
    :param node: name of the process for the numbers of members.
    :return: the exit status.
    """
    for each in _IGNORED:
        signal.signal(each, signal.SIG_IGN)
    import_module(reactorName).install()
    from twisted.internet import reactor

    installed: Any = reactor
    globalLogBeginner.beginLoggingTo([pipeObserver(sys.stdout)])
    link = adoptLink(installed, LINK)
    worker = Worker(installed, link, int(number), int(workers), node)
    installed.run(installSignalHandlers=False)
    return worker.status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
