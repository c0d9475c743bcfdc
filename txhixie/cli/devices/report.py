"""Reports of ``txhixie doctor --listen``: lines for a person, or JSON lines for a program."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from ..presentation import JSONPresentation
from ..stdio import StandardOutput
from .deviation import Deviation
from .examination import Examination, Result

_MARKS: Final = {True: "ok", False: "NO", None: "--"}
_RESULTS: Final = {True: "ok", False: "failed", None: "skipped"}

_MOST_TOLD: Final = 4096
"""Most results that are kept to find repeats."""


class Report:
    """
    The report in lines, for a person.

    A device that connects again and deviates as before has one line, and then none.
    """

    def __init__(self, output: StandardOutput) -> None:
        self._output = output
        self._told: set[tuple[str, ...]] = set()

    async def listening(self, url: str) -> None:
        """Write where a device can connect."""
        await self._line("", "listening", f"{url}  (Control-C ends)")

    async def found(self, examination: Examination, result: Result) -> None:
        """Write a result, with what lets the device in or has to change."""
        host = examination.host
        key = (host, result.stage, *result.lines, *(each.text for each in result.deviations))
        if self._is_known(key):
            if not self._is_known((host,)):
                await self._line("--", "repeated", f"{host}: as before; repeats are not shown")
            return
        rows = [("", line) for line in result.lines]
        for deviation in result.deviations:
            rows += _rows(deviation)
        (_, first), *others = rows
        await self._line(_MARKS[result.works], result.stage, f"{host}: {first}")
        for label, text in others:
            await self._line("", label, text)

    def _is_known(self, key: tuple[str, ...]) -> bool:
        if key in self._told:
            return True
        if len(self._told) == _MOST_TOLD:
            self._told.clear()
        self._told.add(key)
        return False

    async def route(self, examination: Examination, route: str) -> None:
        """Write the route that lets a device in."""
        if not self._is_known((examination.host, "route", route)):
            await self._output.writeLine(f"route to use    --serve '{route}'")

    async def examined(self, examination: Examination) -> None:
        """Do nothing: a person sees the results."""

    async def ended(self, right: int, wrong: int, dropped: int) -> None:
        """
        Write how many connections were examined.

        :param right: those with nothing wrong.
        :param wrong: the others.
        :param dropped: results that were not written: too many came at once.
        """
        lost = f", {dropped} results not shown" if dropped else ""
        text = f"{right + wrong}; nothing wrong with {right}, something wrong with {wrong}{lost}"
        await self._line("", "connections", text)

    async def status(self, status: int) -> None:
        """Do nothing: the shell shows the exit status."""

    async def _line(self, mark: str, label: str, text: str) -> None:
        await self._output.writeLine(f"{mark:<4}{label:<12}{text}")


class JSONReport(Report):
    """The report as one JSON object a line, for a program; repeats are written too."""

    def __init__(self, output: StandardOutput) -> None:
        super().__init__(output)
        self._event = JSONPresentation(output.writeLine, False, lambda: datetime.now(UTC)).event

    async def listening(self, url: str) -> None:
        """Write where a device can connect."""
        await self._event("listening", data=url)

    async def found(self, examination: Examination, result: Result) -> None:
        """Write a result, with its deviations."""
        await self._event(
            "stage",
            data=result.stage,
            result=_RESULTS[result.works],
            peer=examination.peer,
            lines=list(result.lines),
            deviations=[
                {
                    "text": each.text,
                    "allow": each.allow or None,
                    "why_off": each.why_off or None,
                    "seen": list(each.seen),
                    "remedy": each.remedy or None,
                }
                for each in result.deviations
            ],
        )

    async def route(self, examination: Examination, route: str) -> None:
        """Write the route that lets a device in."""
        await self._event("route", data=route, peer=examination.peer)

    async def examined(self, examination: Examination) -> None:
        """Write that an examination has ended."""
        result = _RESULTS[examination.is_right]
        await self._event("examined", data=examination.peer, result=result)

    async def ended(self, right: int, wrong: int, dropped: int) -> None:
        """Write how many connections were examined."""
        await self._event(
            "connections", data=right + wrong, right=right, wrong=wrong, dropped=dropped
        )

    async def status(self, status: int) -> None:
        """Write the exit status."""
        await self._event("status", data=status)


def _rows(found: Deviation) -> list[tuple[str, str]]:
    """Return the labels and texts of a deviation."""
    rows = [("", found.text)]
    if not found.allow:
        end = "" if "quirks=" in found.remedy else "; no quirk lets it in"
        return [*rows, ("remedy", f"{found.remedy}{end}")]
    rows.append(("allow with", f"{found.allow}; {_why_off(found)}"))
    return [*rows, ("seen from", ", ".join(found.seen))] if found.seen else rows


def _why_off(found: Deviation) -> str:
    if not found.why_off:
        return "off by default, though no danger is known"
    return f"off by default: {found.why_off}"
