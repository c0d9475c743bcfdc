"""``txhixie doctor``: tests the connection to a server stage by stage, and gives advice."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from ..dialing.errors import ConnectTimeout
from .advice import advice_for
from .checks import Checks, Finding
from .presentation import JSONPresentation
from .status import CommandFailed, Status, status_of
from .stdio import StandardOutput, say
from .target import Target, addOptions, size, usageErrors

EXAMPLES: Final = (
    ("Test a server:", "txhixie doctor wss://example.com/chat"),
    (
        "Test through a proxy, with a private CA:",
        "txhixie doctor --proxy http://10.0.0.1:3128 --trust-root ca.pem wss://example.com/",
    ),
    ("Wait for a device, and say what it does wrong:", "txhixie doctor --listen 8080"),
)
"""The examples of the command: what each does, and its command line."""

_MARKS: Final = {True: "ok", False: "NO", None: "--"}
_RESULTS: Final = {True: "ok", False: "failed", None: "skipped"}
_TO_PROXY: Final = ("lookup", "tcp")
"""Stages of the connection to the proxy, where there is one."""

_TIMEOUT: Final = 5.0
"""Seconds for each of ten stages: the user waits for the report."""


_OF_DEVICES: Final = ("listen", "connections", "record")
_OF_BOTH: Final = ("json", "timeout", "start", "parser")
"""Names of the options with ``--listen``, and of those with and without it."""


def options(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="Write one JSON object a line for each"
        " stage, each advice, and the exit status.")  # fmt: skip
    addOptions(parser, needsURL=False)
    add = parser.add_argument_group("options for devices, instead of a URL").add_argument
    add("-l", "--listen", action="append", metavar="PORT", help="Listen on this port, wait for"
        " devices, and report what each does wrong. A port number, or a description as serve has"
        " it, such as ssl:8443:privateKey=key.pem:certKey=cert.pem. May be repeated. --timeout is"
        " then the time for which a device is examined, 30 seconds by default.")  # fmt: skip
    add("--connections", type=size, metavar="NUMBER", help="End after this number of connections."
        " Default: end when interrupted.")  # fmt: skip
    add("--record", metavar="FILE", help="Write all examinations to this file, as JSON without"
        " credentials and payloads.")  # fmt: skip


def command_for(said: Namespace) -> Callable[[Any, Namespace], Any]:
    """
    Return the function that runs the command, under the reactor.

    :param said: the options of :func:`options`.
    :raises SystemExit: with a usage error.
    """
    parser: ArgumentParser = said.parser
    if said.listen is None:
        if said.url is None:
            parser.error("expected a URL, or --listen PORT")
        _refuse_options(said, _OF_DEVICES, "expected --listen PORT as well")
        return examine
    _refuse_options(said, vars(said).keys() - {*_OF_DEVICES, *_OF_BOTH}, "not with --listen")
    from .devices.examine import examineDevices  # imports the server, which takes 0.1 seconds

    return examineDevices


def _refuse_options(said: Namespace, names: Iterable[str], why: str) -> None:
    """Exit with a usage error for an option that would do nothing."""
    for name in sorted(names):
        if getattr(said, name) != said.parser.get_default(name):
            shown = "URL" if name == "url" else f"--{name.replace('_', '-')}"
            said.parser.error(f"{shown}: {why}")


async def examine(reactor: Any, said: Namespace) -> None:
    """
    Test each stage, report it, and give advice.

    :param said: the options of :func:`options`.
    :raises CommandFailed: with the status that ``connect`` with these options would end with.
    """
    if said.timeout is None:
        said.timeout = _TIMEOUT
    with usageErrors():
        target = Target(said)
        if target.note:
            say(target.note)
        target.endpoint(target.dialer(reactor))
    output = StandardOutput(reactor)
    report = _JSONReport(output) if said.json else _Report(output)
    checks = Checks(reactor, target, datetime.now(UTC))
    findings: list[Finding] = []
    async for finding in checks.findings():
        findings.append(finding)
        await report.found(finding)
        await output.flush()
    status = _status(checks, findings)
    await report.ended(list(advice_for(checks, findings)), status)
    await output.flush()
    if status != Status.DONE:
        raise CommandFailed(status, "")


class _Report:
    """The report in lines, for a person."""

    def __init__(self, output: StandardOutput) -> None:
        self._output = output

    async def found(self, finding: Finding) -> None:
        """Write a stage."""
        first, *others = finding.lines
        await self._output.writeLine(f"{_MARKS[finding.works]}  {finding.stage:<11} {first}")
        for line in others:
            await self._output.writeLine(f"{'':16}{line}")

    async def ended(self, advice: list[str], status: int) -> None:
        """Write the advice."""
        for line in ("", *advice):
            await self._output.writeLine(line)


class _JSONReport(_Report):
    """The report as one JSON object a line, for a program."""

    def __init__(self, output: StandardOutput) -> None:
        super().__init__(output)
        self._event = JSONPresentation(output.writeLine, False, lambda: datetime.now(UTC)).event

    async def found(self, finding: Finding) -> None:
        """Write a stage."""
        result = _RESULTS[finding.works]
        await self._event("stage", data=finding.stage, result=result, lines=list(finding.lines))

    async def ended(self, advice: list[str], status: int) -> None:
        """Write the advice, and the exit status."""
        for line in advice:
            await self._event("advice", data=line)
        await self._event("status", data=int(status))


def _status(checks: Checks, findings: list[Finding]) -> int:
    """The status of the first stage at which ``connect`` would fail."""
    needed = ("lookup", "tcp", "proxy", "tls", checks.dialect)
    for finding in findings:
        if finding.stage in needed and not finding.works:
            isLate = isinstance(finding.error, ConnectTimeout)
            if finding.stage in _TO_PROXY and checks.target.proxy and not isLate:
                return Status.PROXY
            return status_of(finding.error) if finding.error is not None else Status.FAILED
    return Status.DONE
