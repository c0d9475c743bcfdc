"""One worker process, as its parent sees it."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from .link import LINK, Kind, linkPair
from .log_pipe import LogLines
from .orders import Told, WorkerState, decode_told, encode_told


class WorkerProcess(ProcessProtocol):
    """
    A worker process.

    :ivar number: number of the worker, from 1.
    :ivar node: name of the process for the numbers of members (``hub/presence.py``). One that is
        started again has another name: a report about the end of the one before may come late.
    :ivar link: the parent's end of the link.
    :ivar isServing: whether the worker has listened.
    :ivar hasClosed: whether the worker has closed its ports.
    """

    def __init__(
        self,
        reactor: Any,
        number: int,
        workers: int,
        told: Callable[[WorkerProcess, Told], object],
        ended: Callable[[WorkerProcess, str], object],
    ) -> None:
        """
        Start the process.

        :param reactor: the reactor; the worker gets one of the same kind.
        :param number: the attribute.
        :param workers: number of all workers.
        :param told: gets what the worker tells.
        :param ended: called with a reason when the process has ended.
        :raises OSError: when the process cannot be started.
        """
        self.number = number
        self.node = secrets.token_hex(6)
        self.isServing = False
        self.hasClosed = False
        self._told = told
        self._ended = ended
        self._reason = ""
        self._lines = LogLines(number)
        self._errors = LogLines(number)
        self.link, other = linkPair(reactor)
        self.link.handle(Kind.STATE, self._received)
        with other:
            self._process = reactor.spawnProcess(
                self,
                sys.executable,
                [
                    *(sys.executable, "-P", "-m", "txhixie.daemon.workers.main"),
                    *(type(reactor).__module__, str(number), str(workers), self.node),
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
                childFDs={0: "w", 1: "r", 2: "r", LINK: other.fileno()},
            )

    @property
    def pid(self) -> int:
        """Process ID."""
        return int(self._process.pid)

    def tell(self, told: Told, descriptors: Iterable[int] = ()) -> None:
        """Tell the worker something."""
        self.link.send(Kind.STATE, encode_told(told), descriptors)

    def kill(self, reason: str = "") -> None:
        """
        Kill the process.

        :param reason: why, for the log; by default the number of the signal.
        """
        self._reason = reason
        with suppress(ProcessExitedAlready):
            self._process.signalProcess("KILL")

    def _received(self, packet: bytes) -> None:
        told = decode_told(packet)
        self.isServing |= told is WorkerState.SERVING
        self.hasClosed |= told is WorkerState.CLOSED
        self._told(self, told)

    # Called by Twisted.

    def outReceived(self, data: bytes) -> None:
        """Write log events of the worker to the log of the daemon."""
        self._lines.received(data)

    def errReceived(self, data: bytes) -> None:
        """Write other lines of the worker, such as those of Python, to the log of the daemon."""
        self._errors.received(data)

    def processEnded(self, reason: Failure) -> None:
        """Handle the end of the process, after its last log line."""
        self._lines.ended()
        self._errors.ended()
        self.link.close()
        error: Any = reason.value
        number = error.signal
        ended = f"status {error.exitCode}" if number is None else f"signal {number}"
        self._ended(self, self._reason or ended)
