"""The pictures, tables and pages that ``benchmarks/`` makes of a run. Nothing is measured here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
SVG: Final = "{http://www.w3.org/2000/svg}"

COSTS: Final[Mapping[str, Mapping[str, float]]] = {
    "a": {"txhixie": 10, "txhixie-poller-off": 20, "tx-raw": 8, "picows": 5, "failing": 7},
    "c": {"txhixie": 2, "txhixie-poller-off": 4, "tx-raw": 3, "picows": 8, "failing": 7},
    "k4": {"txhixie": 6, "txhixie-poller-off": 9, "tx-raw": 7, "picows": 8},
    "g": {"txhixie": 2000, "tx-raw": 1000, "picows": 30000},
}
"""CPU times of a message, and bytes of an idle connection, by workload and server."""


def made_run() -> dict[str, Any]:
    """A run as ``bench.py --json`` stores it: one server has errors, one echoed no message in the
    time of a sample, and one did not start."""
    samples = [
        {
            "server": server,
            "workload": letter,
            "round": number,
            "memory_per_conn" if letter == "g" else "srv_cpu_us_per_msg": cost + number,
            "rate": 1.0,
            "errors": int(server == "failing"),
            "first_error": "reset" if server == "failing" else "",
        }
        for letter, costs in COSTS.items()
        for server, cost in costs.items()
        for number in range(2)
    ]
    quiet: dict[str, Any] = {"server": "silent", "workload": "c", "round": 0, "rate": 0.0}
    samples.append({**quiet, "errors": 0, "first_error": ""})
    servers = {
        name: {"dialect": "rfc6455", "beside": "txhixie", "limit": name == "tx-raw"}
        for name in (*COSTS["a"], "silent", "absent")
    }
    return {
        "date": "2026-11-29 12:00",
        "machine": "a processor",
        "reference": "tx-raw",
        "rounds": 2,
        "seconds": 0.5,
        "load": [1.0, 2.0],
        "commit": "abcdef0",
        "versions": {"picows": "2.3.1"},
        "servers": servers,
        "missing": ["absent"],
        "samples": samples,
    }


def bench(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / program, *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that ``bench.py --render`` makes of the run."""
    made = tmp_path_factory.mktemp("rendered")
    (made / "run.json").write_text(json.dumps(made_run()))
    done = bench(
        "bench.py",
        *("--render", made / "run.json", "--json", made / "again.json"),
        *("--plot", made / "overview.svg", "--bars", made, "--rst", made / "run.rst"),
    )
    assert done.returncode == 1, done.stderr  # since a server had errors
    return made


def texts(picture: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def of_kind(picture: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [each for each in picture.iter() if kind in (each.get("class") or "").split()]


def test_the_overview_has_every_server_and_every_workload(rendered: Path) -> None:
    """Also servers without a figure."""
    words = texts(ElementTree.parse(rendered / "overview.svg").getroot())
    assert {*COSTS["a"], "silent", "absent"} <= set(words)
    assert [word.split(":")[0] for word in words if ":" in word] == ["a", "c", "k4", "g"]
    assert words.count("err") == 6  # "failing" in two workloads, "absent" in all four
    assert words.count("n/a") == 1  # "silent" in the only workload of which it has a sample


def test_a_server_that_is_ahead_of_txhixie_is_shown_as_ahead(rendered: Path) -> None:
    """Ahead: picows and tx-raw in ``a``, tx-raw in ``g``. Each has its own colour, and is bold."""
    picture = ElementTree.parse(rendered / "overview.svg").getroot()
    lost = [each.text for each in of_kind(picture, "lost")]
    # With the second round it would be 11 / 6: the lowest CPU time of all rounds counts.
    assert sorted(map(str, lost)) == ["1.25", "2.00", "2.00"]
    cells = [each for each in of_kind(picture, "behind") if each.get("width") != "12"]
    assert len(cells) == len(lost)


def test_bars_begin_at_zero_and_are_as_long_as_their_figures(rendered: Path) -> None:
    picture = ElementTree.parse(rendered / "a.svg").getroot()
    bars = [*of_kind(picture, "peer"), *of_kind(picture, "ours"), *of_kind(picture, "limit")]
    widths = sorted(float(each.get("width", 0)) for each in bars)
    capacities = sorted(1 / COSTS["a"][name] for name in COSTS["a"] if name != "failing")
    assert len({each.get("x") for each in bars}) == 1
    for width, capacity in zip(widths, capacities, strict=True):
        assert width / widths[-1] == pytest.approx(capacity / capacities[-1], abs=0.01)


def test_a_server_with_errors_has_no_bar_but_a_remark(rendered: Path) -> None:
    words = texts(ElementTree.parse(rendered / "a.svg").getroot())
    assert words[words.index("failing") + 1] == "no valid figure"


def test_a_picture_has_the_colours_of_light_and_dark_pages(rendered: Path) -> None:
    """And a background of its own, since a page may be dark where the system is light."""
    for file in rendered.glob("*.svg"):
        picture = ElementTree.parse(file).getroot()
        (page,) = of_kind(picture, "page")
        assert page.get("width") == picture.get("width")
        assert "prefers-color-scheme:dark" in file.read_text()


def test_no_text_of_a_picture_is_wider_than_a_phone(rendered: Path) -> None:
    """A phone has about 360 pixels: the text of 11 pixels is then at least 8 high."""
    for file in rendered.glob("*.svg"):
        assert float(ElementTree.parse(file).getroot().get("width", 0)) <= 360 * 11 / 8


def test_a_run_is_stored_again_as_it_was(rendered: Path) -> None:
    assert json.loads((rendered / "again.json").read_text()) == made_run()


# The pages.


def checkout(directory: Path) -> Path:
    """A copy of what ``pages.py`` reads and writes."""
    for name in ("benchmarks", "docs/explanation", "docs/howto", "docs/pictures"):
        shutil.copytree(ROOT / name, directory / name)
    shutil.copy(ROOT / "README.rst", directory)
    return directory


def pages(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, directory / "benchmarks" / "pages.py", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_figures_of_the_pages_and_the_pictures_are_those_of_the_runs() -> None:
    """After a new run ``benchmarks/pages.py`` writes them anew."""
    done = pages(ROOT, "--check")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def _another_figure(top: Path) -> None:
    page = top / "benchmarks" / "README.rst"
    head, start, rest = page.read_text().partition(".. figures: ahead of servers\n\n")
    page.write_text(f"{head}{start}* ``a``: none\n{rest}")


def _no_picture(top: Path) -> None:
    (top / "docs" / "pictures" / "servers.svg").unlink()


@pytest.mark.parametrize(
    ("change", "file"),
    [
        (_another_figure, "benchmarks/README.rst"),
        (_no_picture, "docs/pictures/servers.svg"),
    ],
    ids=["figure", "picture"],
)
def test_a_page_that_differs_from_the_runs_is_named_and_written_anew(
    tmp_path: Path, change: Callable[[Path], None], file: str
) -> None:
    top = checkout(tmp_path)
    before = (top / file).read_text()
    change(top)
    done = pages(top, "--check")
    assert (done.stdout, done.returncode) == (f"{file}\n", 1)
    assert pages(top).returncode == 0
    assert (top / file).read_text() == before


def test_the_figures_of_a_new_run_are_in_the_readme_and_in_the_guide(tmp_path: Path) -> None:
    top = checkout(tmp_path)
    for name in ("servers", "tls", "gateways"):
        run = top / "benchmarks" / "results" / f"{name}.json"
        run.write_text(json.dumps(made_run()))
    assert pages(top).returncode == 0
    assert "32 B, single: picows 2.00." in (top / "README.rst").read_text()
    guide = (top / "docs" / "explanation" / "comparison.rst").read_text()
    assert "* ``a``, 64 connections, window 1, 32 B text: ``picows`` 2.00\n" in guide
    assert "* ``c``, 16 connections, window 16, 128 B text: none\n" in guide
    howto = (top / "docs" / "howto" / "performance.rst").read_text()
    assert "took 10.0 microseconds of CPU time, and 20.0 without the" in howto
