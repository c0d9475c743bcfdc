"""The selection of the quick suite, and the summary of the tests that did not run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from support.dialect_marks import each
from support.guide_pages import ROOT
from support.quick_suite import LONG, lines_of, reason_of

TESTS = ROOT / "tests"


@cache
def collected(*arguments: str) -> tuple[str, ...]:
    """The names of the tests that pytest would run, without the memory addresses in some names."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = re.sub(r" at 0x[0-9a-f]+", "", ran.stdout)
    return tuple(line for line in said.splitlines() if "::" in line)


def test_the_quick_suite_is_thousands_of_tests() -> None:
    assert len(collected()) >= 4000


def test_all_runs_the_quick_suite_and_more() -> None:
    assert set(collected()) < set(collected("--all"))


def test_every_prefix_in_the_table_matches_a_test() -> None:
    everything = collected("--all")
    unused = [
        beginning
        for beginnings in LONG.values()
        for beginning in beginnings
        if not any(name.startswith(beginning) for name in everything)
    ]
    assert unused == []


def test_a_file_on_the_command_line_is_run_whole() -> None:
    named = next(name for names in LONG.values() for name in names).partition("::")[0]
    assert any(reason_of(name) for name in collected(named))


def readers(path: Path) -> list[str]:
    """The tests of a file that get samples out of ``tests/data/vectors.json``."""
    source = path.read_text(encoding="utf-8")
    if "support.vectors" not in source:
        return []
    module = ast.parse(source)
    samples = {"vectors", "VECTORS"}
    for node in module.body:
        if isinstance(node, ast.Assign) and samples & words(node.value):
            samples |= words(*node.targets)
    return [
        f"{path.relative_to(ROOT)}::{node.name}"
        for node in module.body
        if isinstance(node, ast.FunctionDef) and samples & words(*node.decorator_list)
    ]


def words(*nodes: ast.AST) -> set[str]:
    """The names in some pieces of code."""
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def test_the_quick_suite_has_every_sample_of_the_wire() -> None:
    names = [name for path in TESTS.rglob("test_*.py") for name in readers(path)]
    assert len(names) >= 20
    assert [name for name in names if reason_of(name)] == []


@pytest.mark.parametrize("over", ["tcp", "tls"])
@each
def test_the_quick_suite_has_both_sides_of_every_dialect(dialect: str, over: str) -> None:
    loopback = [name for name in collected() if name.startswith("tests/test_loopback")]
    assert any(dialect in name and re.search(rf"[\[-]{over}[\]-]", name) for name in loopback)


def test_no_coroutine_fixture_looks_for_a_component() -> None:
    """
    A coroutine fixture that skips after pytest-twisted has begun it makes the next test with this
    fixture fail under pytest 9 (``assert not self._finalizers``). A plain fixture looks for the
    component first.
    """
    wrong = []
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AsyncFunctionDef) and any(
                "ixture" in ast.unparse(decorator) for decorator in node.decorator_list
            ):
                said = ast.unparse(node)
                if re.search(r"\bcomponents\.|\bmissing\(|pytest\.skip|importorskip", said):
                    wrong.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert wrong == []


# The summary at the end of a run.


def skipped(reason: str) -> pytest.TestReport:
    place = ("tests/test_x.py", 1, f"Skipped: {reason}")
    return pytest.TestReport("x", ("x", 1, "x"), {}, "skipped", place, "call")


def test_the_summary_counts_skipped_tests_by_their_reasons() -> None:
    node, squid = "node is not here; get it: Debian: nodejs", "squid is not here; get it: somewhere"
    reports = [skipped(node), skipped(squid), skipped(node)]
    assert lines_of(reports, Counter(), Counter()) == [f"2 skipped: {node}", f"1 skipped: {squid}"]


def test_the_summary_counts_deselected_tests_and_names_the_option_that_runs_them() -> None:
    assert lines_of([], Counter({"slow": 3, "slower": 40}), Counter({"slow": 2})) == [
        "40 left out: slower",
        "3 left out: slow",
        "2 files or folders: slow",
        "--all runs what is left out as well",
    ]


def test_a_complete_run_has_no_summary() -> None:
    assert lines_of([], Counter(), Counter()) == []
