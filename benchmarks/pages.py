#!/usr/bin/env python3
"""
Write the figures of runs into the pages: the tables, the sentences and the pictures.

  ./pages.py            write what has changed
  ./pages.py --check    write nothing; exit with 1 if a page or a picture is not that of the runs

The runs are in results/, as bench.py --json stores them. In a page, the lines between
``.. figures: NAME`` and ``.. figures: end`` are written anew, by the row of that name in BLOCKS.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from figures import compared, figures, is_idle
from plot import bars, overview
from tables import Table, number
from workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Run: TypeAlias = "Mapping[str, Any]"

HERE: Final = Path(__file__).resolve().parent
TOP: Final = HERE.parent
RESULTS: Final = HERE / "results"
PICTURES: Final = TOP / "docs" / "pictures"
PAGES: Final = (
    TOP / "README.rst",
    HERE / "README.rst",
    TOP / "docs/explanation/comparison.rst",
    TOP / "docs/howto/performance.rst",
)
BLOCK: Final = re.compile(
    r"^\.\. figures: (?!end$)(?P<name>.+)\n(?P<body>(?:.*\n)*?)\.\. figures: end$", re.MULTILINE
)

OURS: Final = "txhixie"
KEEPING: Final = f"{OURS}-keep-memory"
PEER: Final = "picows"
AIMS: Final = {
    "a": (2.2, 1.05),
    "c": (1.25, 5.0),
    "k1": (1.6, 2.5),
    "k4": (1.3, 1.9),
    "e": (1.6, 0.95),
    "d": (1.8, 0.9),
    "f": (0.58, 1.0),
}
"""The aims by workload: the capacity divided by that of tx-raw, and by that of picows."""

EQUAL: Final = 1.005
"""A ratio that is printed as 1.00 is not called ahead."""


def main() -> int:
    """Run the command. Return the exit status."""
    checks = "--check" in sys.argv[1:]
    runs = {name: load(RESULTS / f"{name}.json") for name in ("servers", "tls", "gateways")}
    made = dict(files(runs))
    old = {file for name in runs for file in PICTURES.glob(f"{name}*.svg")} - made.keys()
    changed = [*(file for file, text in made.items() if differs(file, text)), *sorted(old)]
    for file in changed:
        print(file.relative_to(TOP))
        if not checks:
            if file in old:
                file.unlink()
            else:
                file.write_text(made[file], encoding="utf-8")
    return int(checks and bool(changed))


def load(file: Path) -> Run:
    """Read a run."""
    run: Run = json.loads(file.read_text(encoding="utf-8"))
    return run


def differs(file: Path, text: str) -> bool:
    """Whether a file is not there, or has another text."""
    return not file.exists() or file.read_text(encoding="utf-8") != text


def files(runs: Mapping[str, Run]) -> Iterator[tuple[Path, str]]:
    """The pages and the pictures, each with its text."""
    for page in PAGES:
        yield page, with_figures(page.read_text(encoding="utf-8"), runs)
    for name, run in runs.items():
        yield PICTURES / f"{name}.svg", overview(run)
        for letter, picture in bars(run).items():
            yield PICTURES / f"{name}-{letter}.svg", picture


def with_figures(page: str, runs: Mapping[str, Run]) -> str:
    """A page with all its blocks written anew."""

    def written(block: re.Match[str]) -> str:
        what, _, name = block["name"].rpartition(" of ")
        body = BLOCKS[what](name, runs[name])
        return f".. figures: {block['name']}\n\n{body.strip()}\n\n.. figures: end"

    return BLOCK.sub(written, page)


# What stands in the blocks.


def conditions(name: str, run: Run) -> str:
    """When, where and of what the figures are."""
    least, most = run["load"]
    versions = ", ".join(f"{package} {version}" for package, version in run["versions"].items())
    missing = f" Did not start: {names_of(run['missing'])}." if run["missing"] else ""
    return paragraph(
        f"Of {run['date']}, commit {run['commit']}, {run['machine']}, load {least:.1f} to "
        f"{most:.1f}; {run['rounds']} rounds of {run['seconds']:g} s; {versions}.{missing}"
    )


def capacities(name: str, run: Run) -> str:
    """The capacity of each server relative to the reference."""
    by_workload = figures(run["samples"], run["reference"])
    cells = {
        letter: {
            row.server: mark(
                number(row.value, 0) if is_idle(letter) else number(row.capacity, 2), row
            )
            for row in rows
        }
        for letter, rows in by_workload.items()
    }
    return table(run, cells)


def cpu_times(name: str, run: Run) -> str:
    """The lowest CPU time of a message of each server, in microseconds."""
    by_workload = figures(run["samples"], run["reference"])
    cells = {
        letter: {
            row.server: mark(number(row.value, 0) if is_idle(letter) else short(row.cpu), row)
            for row in rows
        }
        for letter, rows in by_workload.items()
    }
    return table(run, cells)


def beside(name: str, run: Run) -> str:
    """The capacity of each server divided by that of txhixie."""
    cells = {
        letter: {server: number(ratio, 2) for server, ratio in ratios.items()}
        for letter, ratios in compared(run).items()
    }
    return table(run, cells)


def ahead(name: str, run: Run) -> str:
    """The servers that are ahead of txhixie, for each workload."""
    lines = []
    for letter, found in those_ahead(name, run).items():
        named = ", ".join(f"``{server}`` {ratio:.2f}" for server, ratio in found)
        line = f"* ``{letter}``, {WORKLOADS[letter].title}: {named or 'none'}"
        lines.append(paragraph(line, "  "))
    return "\n".join(lines)


def ahead_in_short(name: str, run: Run) -> str:
    """The servers that are ahead of txhixie, in a paragraph."""
    found = those_ahead(name, run)
    none = [letter for letter, those in found.items() if not those]
    some = "; ".join(
        f"{WORKLOADS[letter].short}: "
        + ", ".join(f"{server} {ratio:.2f}" for server, ratio in those)
        for letter, those in found.items()
        if those
    )
    return paragraph(
        f"Ahead of txhixie, with their capacity divided by that of txhixie: {some or 'none'}."
        + (f" No other server is ahead in {names_of(none)}." if none and some else "")
    )


def idle(name: str, run: Run) -> str:
    """The memory of an idle connection, in a paragraph."""
    rows = figures(run["samples"], run["reference"])["g"]
    sizes = {row.server: row.value for row in rows if row.value and not row.errors}
    own = sizes.pop(OURS)
    others = ", ".join(
        f"with {server} {size / 1000:.1f} kB"
        for server, size in sorted(sizes.items(), key=lambda each: each[1])
        if is_peer(run, server)
    )
    return paragraph(f"An idle connection takes {own / 1000:.1f} kB of memory, {others}.")


def distance(name: str, run: Run) -> str:
    """The capacities of nginx, divided by those of the gateways of txhixie."""
    by_workload = figures(run["samples"], run["reference"])
    cells: dict[str, dict[str, str]] = {}
    for letter, rows in by_workload.items():
        costs = {row.server: row.value if is_idle(letter) else row.cpu for row in rows}
        nginx = costs.get("nginx")
        for server in ("txhixie-ws", "txhixie-ws-hixie76", "txhixie-tcp"):
            own = costs.get(server)
            ratio = own / nginx if own and nginx else None
            cells.setdefault(letter, {})[f"nginx / {server}"] = number(ratio, 2)
    servers = list(next(iter(cells.values())))
    return simple_table(
        ["capacity", *cells],
        [[server, *(column[server] for column in cells.values())] for server in servers],
    )


def poller(name: str, run: Run) -> str:
    """What the connection poller saves, in a paragraph."""
    by_workload = figures(run["samples"], run["reference"])
    times = {
        letter: {row.server: short(row.cpu) for row in by_workload[letter]}
        for letter in ("a", "c", "k4")
    }
    single, many, long = (
        f"{own[OURS]} microseconds of CPU time, and {own[f'{OURS}-poller-off']} without the poller"
        for own in times.values()
    )
    return paragraph(
        f"In one run an echo of 32 bytes on each of 64 connections took {single}. Of many "
        f"messages on few connections (16 in flight on each of 16), one read has several: these "
        f"took {many}. Texts of 4 KiB took {long}."
    )


def aims(name: str, run: Run) -> str:
    """The aims of txhixie and what it has reached, of tx-raw / of picows."""
    by_workload = figures(run["samples"], run["reference"])
    rows = []
    for letter, aim in AIMS.items():
        found = {row.server: row for row in by_workload.get(letter, ())}
        cells = [letter, pair(*aim)]
        for server in (OURS, KEEPING):
            own, peer = found.get(server), found.get(PEER)
            cells += [
                beside_peer(own and own.capacity, peer and peer.capacity),
                beside_peer(own and own.capacity_by_round, peer and peer.capacity_by_round),
            ]
        rows.append(cells)
    columns = ["workload", "aim", OURS, "by round", KEEPING, "by round"]
    return simple_table(columns, rows)


def pictures(name: str, run: Run) -> str:
    """The pictures of a run, for a page in docs/explanation."""
    letters = list(figures(run["samples"], run["reference"]))
    return "\n".join(
        f".. image:: ../pictures/{name}-{letter}.svg\n"
        f"   :alt: Bars of the capacity of each server: {WORKLOADS[letter].title}\n"
        for letter in letters
    )


BLOCKS: Final[Mapping[str, Callable[[str, Run], str]]] = {
    "conditions": conditions,
    "capacities": capacities,
    "CPU times": cpu_times,
    "beside": beside,
    "ahead": ahead,
    "aims": aims,
    "ahead in short": ahead_in_short,
    "idle memory": idle,
    "nginx": distance,
    "pictures": pictures,
    "poller": poller,
}
"""What can stand in a page: ``.. figures: ahead of servers``."""


# The parts of the blocks.


def is_peer(run: Run, server: str) -> bool:
    """Whether a server is one that a program could use in place of txhixie."""
    return not (server.startswith(OURS) or run["servers"][server]["limit"])


def those_ahead(name: str, run: Run) -> dict[str, list[tuple[str, float]]]:
    """The servers that are ahead of txhixie by workload, the fastest first."""
    # A gateway is compared with the forwarder, too: it does the same work without frames.
    has_limits = name == "gateways"
    return {
        letter: sorted(
            (
                (server, ratio)
                for server, ratio in ratios.items()
                if ratio >= EQUAL
                and (is_peer(run, server) or (has_limits and run["servers"][server]["limit"]))
            ),
            key=lambda each: -each[1],
        )
        for letter, ratios in compared(run).items()
    }


def table(run: Run, cells: Mapping[str, Mapping[str, str]]) -> str:
    """A table with a row for each server, in the order of the table of servers."""
    servers = [server for server in run["servers"] if any(server in own for own in cells.values())]
    return simple_table(
        ["server", *cells],
        [[server, *(own.get(server, "") or "-" for own in cells.values())] for server in servers],
    )


def simple_table(columns: list[str], rows: list[list[str]]) -> str:
    """A table of reStructuredText."""
    return Table("", "", columns, rows).body()


def mark(figure: str, row: Any) -> str:
    """A figure, with ``!`` beside errors."""
    return figure + "!" * bool(row.errors)


def short(value: float | None) -> str:
    """A time with three digits or more."""
    if value is None:
        return number(value, 0)
    return number(value, 2 if value < 10 else 1 if value < 100 else 0)


def pair(first: float, second: float) -> str:
    """Two ratios."""
    return f"{number(first, 2)} / {number(second, 2)}"


def beside_peer(own: float | None, peer: float | None) -> str:
    """A capacity relative to the reference, and divided by that of the peer; ``-`` without both."""
    return pair(own, own / peer) if own and peer else "-"


def names_of(words: list[str]) -> str:
    """Words as literals, with commas."""
    return ", ".join(f"``{word}``" for word in words)


def paragraph(text: str, indent: str = "") -> str:
    """Text in lines; those after the first are indented."""
    return fill(text, 115, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(main())
