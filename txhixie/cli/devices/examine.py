"""``txhixie doctor --listen``: examines devices one after another, until it is interrupted."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import DeferredQueue, QueueOverflow, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from ..status import CommandFailed, Status
from ..stdio import StandardOutput
from .examination import Examination, Result
from .listener import Examiner, openPort
from .recording import Recording
from .report import JSONReport, Report
from .route import route_for

_SECONDS: Final = 30.0
"""How long a device is examined, in seconds: time for a ping, its pong and a few messages."""

_MOST_WAITING: Final = 10_000
"""Most results that wait to be written."""

_CLOSE: Final = 1.0
"""Seconds for the closing handshakes when the command ends."""


async def examineDevices(reactor: Any, said: Namespace) -> None:
    """
    Listen, and report each device that connects.

    :param said: the options of the command.
    :raises CommandFailed: for an option that cannot be used, and at the end, if something was wrong
        with a device.
    """
    recording = _recording(said.record)
    output = StandardOutput(reactor)
    report = JSONReport(output) if said.json else Report(output)
    seconds = _SECONDS if said.timeout is None else said.timeout
    session = _Session(reactor, seconds, said.connections, report, recording)
    try:
        await session.run(said.listen)
    finally:
        await session.stop()
        await output.flush()
    status = Status.FAILED if session.wrong else Status.DONE
    await report.status(status)
    await output.flush()
    if status != Status.DONE:
        raise CommandFailed(status, "")


def _recording(path: str | None) -> Recording | None:
    if path is None:
        return None
    try:
        return Recording(path)
    except OSError as error:
        raise CommandFailed(Status.USAGE, f"{path}: {error.strerror}") from None


class _Session:
    """
    The examinations of one command.

    :ivar wrong: number of connections with something wrong.
    """

    def __init__(
        self,
        reactor: Any,
        seconds: float,
        most: int | None,
        report: Report,
        recording: Recording | None,
    ) -> None:
        self.wrong = 0
        self._right = 0
        self._dropped = 0
        self._reactor = reactor
        self._most = most
        self._report = report
        self._recording = recording
        self._examiner = Examiner(reactor, seconds, self._tell)
        self._ports: list[IListeningPort] = []
        self._events: DeferredQueue[tuple[Examination, Result | None]] = DeferredQueue(
            _MOST_WAITING
        )

    def _tell(self, examination: Examination, result: Result | None) -> None:
        try:
            self._events.put((examination, result))
        except QueueOverflow:
            self._dropped += 1

    async def run(self, descriptions: list[str]) -> None:
        """
        Listen, and report until enough connections were examined.

        :param descriptions: the ports.
        """
        for text in descriptions:
            port, url = await openPort(self._reactor, text, self._examiner)
            self._ports.append(port)
            await self._report.listening(url)
        while self._most is None or self._right + self.wrong < self._most:
            await self._take(*await self._events.get())

    async def stop(self) -> None:
        """Stop listening, end the connections, and report how many were examined."""
        ports, self._ports = self._ports, []
        await gatherResults([maybeDeferred(port.stopListening) for port in ports])
        await self._examiner.closeAll(timeout=_CLOSE)
        while self._events.pending:
            await self._take(*await self._events.get())
        if self._recording is not None:
            self._recording.close()
        if self._right or self.wrong:
            await self._report.ended(self._right, self.wrong, self._dropped)

    async def _take(self, examination: Examination, result: Result | None) -> None:
        if result is not None:
            await self._report.found(examination, result)
            return
        if not examination.size and not examination.deviations:
            return  # a check of the port
        if examination.is_right:
            self._right += 1
        else:
            self.wrong += 1
        if self._recording is not None:
            self._recording.add(examination, datetime.now(UTC))
        await self._tellRoute(examination)
        await self._report.examined(examination)

    async def _tellRoute(self, examination: Examination) -> None:
        """Write the route that lets a device in, if there is one."""
        allowed = [each.allow for each in examination.deviations]
        if examination.offer is not None and all(allowed):
            await self._report.route(examination, route_for(examination.offer, allowed))
