"""``txhixie doctor``: what works on the way to a server and what does not, and what to do."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from typing import Any, Final

from ..dialing.errors import ConnectTimeout
from .advice import advice_for
from .checks import Checks, Finding
from .status import CommandFailed, Status, status_of
from .stdio import StandardOutput, say
from .target import Target, addOptions, meant

EXAMPLES: Final = (
    ("Test a server:", "txhixie doctor wss://example.com/chat"),
    (
        "Test through a proxy, with a private CA:",
        "txhixie doctor --proxy http://10.0.0.1:3128 --trust-root ca.pem wss://example.com/",
    ),
)
"""The examples of the command: what each does, and its command line."""

_MARKS: Final = {True: "ok", False: "NO", None: "--"}
_TO_PROXY: Final = ("lookup", "tcp")
"""Stages on the way to the proxy, where there is one."""

_PATIENCE: Final = 5.0
"""Seconds for each stage, of which there are ten: somebody sits and waits."""


def options(parser: ArgumentParser) -> None:
    """Its options."""
    addOptions(parser)
    parser.set_defaults(timeout=_PATIENCE)


async def run(reactor: Any, said: Namespace) -> None:
    """
    Examine, report and advise.

    :param said: what the options of :func:`options` hold.
    :raises CommandFailed: with the status that ``connect`` with these options would end with.
    """
    with meant():
        target = Target(said)
        if target.note:
            say(target.note)
        target.endpoint(target.dialer(reactor))
    output = StandardOutput(reactor)
    checks = Checks(reactor, target, datetime.now(UTC))
    findings: list[Finding] = []
    async for finding in checks.findings():
        findings.append(finding)
        for line in _lines(finding):
            await output.writeLine(line)
        await output.flush()
    await output.writeLine("")
    for advice in advice_for(checks, findings):
        await output.writeLine(advice)
    await output.flush()
    if (status := _status(checks, findings)) != Status.DONE:
        raise CommandFailed(status, "")


def _lines(finding: Finding) -> list[str]:
    first, *others = finding.lines
    return [
        f"{_MARKS[finding.works]}  {finding.stage:<11} {first}",
        *(f"{'':16}{line}" for line in others),
    ]


def _status(checks: Checks, findings: list[Finding]) -> int:
    """Of the first stage that ``connect`` would not get over."""
    needed = ("lookup", "tcp", "proxy", "tls", checks.dialect)
    for finding in findings:
        if finding.stage in needed and not finding.works:
            isLate = isinstance(finding.error, ConnectTimeout)
            if finding.stage in _TO_PROXY and checks.target.proxy and not isLate:
                return Status.PROXY
            return status_of(finding.error) if finding.error is not None else Status.FAILED
    return Status.DONE
