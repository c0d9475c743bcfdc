"""Draws a run in SVG: all servers in all workloads beside txhixie, and each workload as bars.

The text is 11 pixels high where a picture is shown in its own width, which fits a phone. The
colours follow the reader's choice of light or dark, and each picture has its own background, since
a page may be dark where the system is light.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from figures import compared, figures, is_idle
from workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from figures import Figure

LEVEL: Final = 0.05
"""Differences up to this are drawn as neither ahead nor behind: a repeated run has others."""

STYLE: Final = """\
text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2328}
.page{fill:#fff}.end{text-anchor:end}.middle{text-anchor:middle}.title{font-weight:600}
.quiet{fill:#59636e}.ahead{fill:#b6d7ff}.level{fill:#e6eaef}.behind{fill:#ffb77a}
.cell{font-size:10px}.lost{font-weight:700}.ours{fill:#0969da}.peer{fill:#9aa5b1}.limit{fill:#d3d9df}.none{fill:#bc4c00}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.page{fill:#0d1117}.quiet{fill:#9198a1}
.ahead{fill:#14406e}.level{fill:#2a313a}.behind{fill:#8a4208}
.ours{fill:#4493f8}.peer{fill:#6b7682}.limit{fill:#3d444d}.none{fill:#ffa657}}"""

LABELS: Final = 122  # width of the column of names
CELL: Final = 27  # width of a figure
ROW: Final = 18
BAR: Final = 14
WIDTH: Final = 380


def overview(results: Mapping[str, Any]) -> str:
    """
    Draw all servers in all workloads: the capacity of each divided by that of txhixie.

    A cell in which the server is ahead of txhixie is orange and bold, one in which txhixie is ahead
    is blue. A server that did not start, or had errors, keeps its place.

    :param results: a run, as ``bench.py --json`` stores it.
    """
    ratios = compared(results)
    names = in_groups(results)
    head = 8 + max(len(WORKLOADS[letter].short) for letter in ratios) * 7
    width, height = LABELS + CELL * len(ratios) + 4, head + ROW * len(names) + 42
    parts = [*column_heads(ratios, head)]
    for index, name in enumerate(names):
        top = head + ROW * index
        kind = ' class="quiet"' if results["servers"][name]["limit"] else ""
        parts.append(f'<text x="2" y="{top + 13}"{kind}>{escape(name)}</text>')
        for column, letter in enumerate(ratios):
            left, ratio = LABELS + CELL * column, ratios[letter].get(name)
            if fault := fault_of(results, name, letter, ratio):
                parts.append(text(fault, left + CELL // 2, top + 13, "middle cell none"))
            elif ratio is not None:
                parts += cell(ratio, left, top)
    parts += legend(head + ROW * len(names) + 8)
    return svg(width, height, parts, "Capacity of each server divided by that of txhixie")


def column_heads(letters: Iterable[str], head: int) -> Iterable[str]:
    """The titles of the workloads, upright."""
    for column, letter in enumerate(letters):
        across, down = LABELS + CELL * column + CELL // 2 + 4, head - 4
        title = escape(f"{letter}: {WORKLOADS[letter].short}")
        yield f'<text transform="translate({across},{down}) rotate(-90)">{title}</text>'


def cell(ratio: float, left: int, top: int) -> Iterable[str]:
    """One figure: how many times the capacity of txhixie."""
    kind = "ahead" if ratio < 1 - LEVEL else "behind" if ratio > 1 + LEVEL else "level"
    yield f'<rect class="{kind}" x="{left}" y="{top}" width="{CELL - 1}" height="{ROW - 1}"/>'
    lost = " lost" if kind == "behind" else ""
    yield text(short_number(ratio), left + CELL // 2, top + 13, f"middle cell{lost}")


def legend(top: int) -> Iterable[str]:
    """What the colours say."""
    rows = (("ahead", "txhixie is ahead"), ("level", "level"), ("behind", "the server is ahead"))
    left = 2
    for kind, words in rows:
        yield f'<rect class="{kind}" x="{left}" y="{top}" width="12" height="12"/>'
        yield text(words, left + 16, top + 10)
        left += 28 + 7 * len(words)
    words = "Capacity (or idle connections in the same memory) / that of txhixie"
    yield text(words, 2, top + 27, "quiet")


def bars(results: Mapping[str, Any]) -> dict[str, str]:
    """
    Draw each workload: the capacity of each server, from 0, the best on top.

    :return: the pictures by workload.
    """
    drawn = {}
    for letter, rows in figures(results["samples"], results["reference"]).items():
        unit = "bytes for each connection" if is_idle(letter) else "capacity"
        beside = "" if is_idle(letter) else f", {results['reference']} = 1"
        parts = [
            text(f"{letter}: {WORKLOADS[letter].title}", 2, 13, "title"),
            text(unit + beside, 2, 28, "quiet"),
        ]
        most = max((length(row, letter) for row in rows), default=0) or 1
        for index, row in enumerate(sorted(rows, key=lambda row: bool(row.errors))):
            parts += bar(row, letter, most, 34 + BAR * index, results)
        drawn[letter] = svg(WIDTH, 38 + BAR * len(rows), parts, WORKLOADS[letter].title)
    return drawn


def length(row: Figure, letter: str) -> float:
    """The figure that a bar shows; 0 for one that is not valid."""
    value = row.value if is_idle(letter) else row.capacity
    return 0.0 if row.errors or value is None else value


def bar(
    row: Figure, letter: str, most: float, top: int, results: Mapping[str, Any]
) -> Iterable[str]:
    """One server of a workload, or that it has no figure: errors, or no message in the time."""
    yield text(row.server, LABELS + 6, top + 10, "end")
    value = length(row, letter)
    if not value:
        yield text("no valid figure", LABELS + 10, top + 10, "none")
        return
    limit = results["servers"][row.server]["limit"]
    kind = "limit" if limit else "ours" if row.server.startswith("txhixie") else "peer"
    left, full = LABELS + 10, WIDTH - LABELS - 56
    wide = max(1.0, full * value / most)
    yield f'<rect class="{kind}" x="{left}" y="{top + 1}" width="{wide:.1f}" height="{BAR - 3}"/>'
    yield text(f"{value:.0f}" if is_idle(letter) else f"{value:.2f}", left + wide + 4, top + 10)


def in_groups(results: Mapping[str, Any]) -> list[str]:
    """The servers in the order of their table, those that show a limit last."""
    servers = results["servers"]
    return sorted(servers, key=lambda name: bool(servers[name]["limit"]))


def fault_of(results: Mapping[str, Any], name: str, letter: str, ratio: float | None) -> str:
    """
    Why a server has no figure in a workload; empty for one that has, or does not take the workload.

    :return: ``err`` for a server that had errors or did not start, ``n/a`` for one whose samples,
        or those of txhixie, have no message.
    """
    samples = [
        sample
        for sample in results["samples"]
        if sample["server"] == name and sample["workload"] == letter
    ]
    if name in results["missing"] or any(sample["errors"] for sample in samples):
        return "err"
    return "n/a" if samples and ratio is None else ""


def short_number(value: float) -> str:
    """A figure of at most four characters."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def text(words: str, left: float, top: float, kind: str = "") -> str:
    """A line of text."""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{left:g}" y="{top:g}"{named}>{escape(words)}</text>'


def svg(width: int, height: int, parts: Iterable[str], title: str) -> str:
    """A picture with its background."""
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {box}>',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
