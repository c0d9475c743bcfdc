"""Figures as tables, in Markdown for a terminal and in reStructuredText for the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from figures import figures, is_idle
from workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from figures import Figure

MISSING = "n/a"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text: the first column is aligned left, the others right."""

    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """The table in Markdown."""
        rule = "|---|" + "--:|" * (len(self.columns) - 1)
        lines = ["| " + " | ".join(row) + " |" for row in (self.columns, *self.rows)]
        return "\n".join([f"### {self.title}", "", self.note, "", lines[0], rule, *lines[1:], ""])

    def rst(self) -> str:
        """The table in reStructuredText, with its title and its note."""
        return "\n".join([self.title, "." * len(self.title), "", self.note, "", self.body(), ""])

    def body(self) -> str:
        """The rows as a simple table of reStructuredText."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        rule = "  ".join("=" * width for width in widths)
        lines = [aligned(row, widths) for row in (self.columns, *self.rows)]
        return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def aligned(row: list[str], widths: list[int]) -> str:
    """One line of a simple table."""
    first, *others = zip(row, widths, strict=True)
    cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return "  ".join(cells).rstrip()


def markdown(results: Mapping[str, Any]) -> str:
    """All tables of a run, for a terminal."""
    return document(results, Table.markdown)


def rst(results: Mapping[str, Any]) -> str:
    """All tables of a run, for the documentation."""
    return document(results, Table.rst)


def document(results: Mapping[str, Any], write: Callable[[Table], str]) -> str:
    """The document of a run: date and machine, the overview, a table for each workload."""
    reference = results["reference"]
    by_workload = figures(results["samples"], reference)
    heading = (
        f"{results['date']}; {results['machine']}; {results['rounds']} rounds of "
        f"{results['seconds']:g} s, interleaved; reference {reference}."
    )
    if results["missing"]:
        heading += f" Left out, since they did not start: {', '.join(results['missing'])}."
    tables = [overview(by_workload, reference)]
    tables += [detail(letter, rows) for letter, rows in by_workload.items()]
    return "\n".join([heading, "", *map(write, tables)])


def overview(by_workload: Mapping[str, list[Figure]], reference: str) -> Table:
    """The main figure of every server in every workload; ``!`` marks errors."""
    cells: dict[str, dict[str, str]] = {}
    for letter, rows in by_workload.items():
        for row in rows:
            text = number(row.value, 0) if is_idle(letter) else number(row.capacity, 2)
            cells.setdefault(row.server, {})[letter] = text + "!" * bool(row.errors)
    return Table(
        "Overview",
        f"Capacity relative to {reference}; where connections idle, bytes per connection.",
        ["server", *by_workload],
        [
            [server, *(own.get(letter, MISSING) for letter in by_workload)]
            for server, own in cells.items()
        ],
    )


def detail(letter: str, rows: list[Figure]) -> Table:
    """The table of one workload."""
    workload = WORKLOADS[letter]
    columns = memory_columns() if is_idle(letter) else speed_columns(workload.unit)
    return Table(
        f"({letter}) {workload.title}",
        f"wsload {' '.join(workload.load.arguments())}",
        ["server", *columns],
        [[row.server, *(cell(row) for cell in columns.values())] for row in rows],
    )


def speed_columns(unit: str) -> dict[str, Callable[[Figure], str]]:
    """Columns of a workload that takes CPU time."""
    return {
        "capacity / ref": lambda row: number(row.capacity, 3),
        "by round": lambda row: number(row.capacity_by_round, 3),
        "CPU us": lambda row: number(row.cpu, 2),
        unit: lambda row: number(row.value, 0),
        "rate / ref": lambda row: number(row.ratio, 3),
        "min-max": lambda row: f"{number(row.lowest, 2)}-{number(row.highest, 2)}",
        "MB/s": lambda row: number(row.megabytes, 1),
        "p50 us": lambda row: number(row.p50, 0),
        "p99 us": lambda row: number(row.p99, 0),
        "errors": trouble,
    }


def memory_columns() -> dict[str, Callable[[Figure], str]]:
    """Columns of a workload that takes memory."""
    return {
        "B per connection": lambda row: number(row.value, 0),
        "/ ref": lambda row: number(row.ratio, 2),
        "errors": trouble,
    }


def number(value: float | None, places: int) -> str:
    """A figure with so many decimal places."""
    return MISSING if value is None else f"{value:.{places}f}"


def trouble(row: Figure) -> str:
    """The number of errors, and the first error. A figure beside an error is not valid."""
    return f"{row.errors}: {row.first_error}" if row.errors else "0"
