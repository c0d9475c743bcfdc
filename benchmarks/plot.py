"""Draws a run in SVG, by matplotlib: a panel for each workload, a bar for each server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from figures import figures, is_idle
from workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from figures import Figure

OURS: Final = "txhixie"
MOST_COLUMNS: Final = 3
STYLE: Final = {
    "font.size": 8,
    "svg.fonttype": "none",  # text stays text: a third of the size, and found by a search
    "svg.hashsalt": OURS,  # the same run gives the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot(results: Mapping[str, Any], file: Path) -> None:
    """
    Draw the capacity of each server relative to the reference, one panel for each workload.

    Servers with errors or without a figure are left out of a panel. Idle memory is not drawn.

    :param results: a run, as ``bench.py --json`` stores it.
    :param file: the SVG file to write.
    :raises ImportError: where matplotlib is not installed.
    """
    from matplotlib import pyplot as plt
    from matplotlib import rc_context

    by_workload = {
        letter: drawn
        for letter, rows in figures(results["samples"], results["reference"]).items()
        if not is_idle(letter)
        and (drawn := [row for row in rows if row.capacity and not row.errors])
    }
    columns = min(MOST_COLUMNS, len(by_workload))
    lines = -(-len(by_workload) // columns)
    with rc_context(STYLE):
        picture, panels = plt.subplots(
            lines,
            columns,
            figsize=(3.4 * columns, 2.3 * lines),
            squeeze=False,
            layout="constrained",
        )
        for panel in panels.flat[len(by_workload) :]:
            panel.set_visible(False)
        for panel, (letter, rows) in zip(panels.flat, by_workload.items(), strict=False):
            _panel(panel, WORKLOADS[letter].title, rows)
        picture.supxlabel(
            f"capacity: messages per CPU second, relative to {results['reference']} = 1"
        )
        picture.savefig(file, format="svg", metadata={"Date": None})
        plt.close(picture)


def _panel(panel: Any, title: str, rows: list[Figure]) -> None:
    """Draw one workload: the best server on top, txhixie in another colour."""
    rows = sorted(rows, key=lambda row: row.capacity or 0.0)
    values = [row.capacity or 0.0 for row in rows]
    colours = ["#1f77b4" if row.server.startswith(OURS) else "#b0b7bf" for row in rows]
    bars = panel.barh([row.server for row in rows], values, color=colours)
    panel.bar_label(bars, fmt="%.2f", padding=2)
    panel.set_title(title, loc="left")
    panel.set_xlim(0, max(values) * 1.18)
    panel.xaxis.set_visible(False)
    panel.spines["bottom"].set_visible(False)
