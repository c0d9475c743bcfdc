"""The commands of CONTRIBUTING.rst exist, and do what the page describes.

Commands that would run these tests again are only compared with the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.guide_pages import ROOT, block

PAGE = "CONTRIBUTING.rst"


def commands(name: str) -> list[str]:
    """Return the commands of the block with this name."""
    return re.findall(r"^\$ (.*)$", block(PAGE, name), re.MULTILINE)


def test_one_command_installs_and_tests() -> None:
    """The command installs the extras that setup.py defines."""
    (command,) = commands("tests")
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (extras,) = re.findall(r"'\.\[(.*)\]'", command)
    assert all(f'"{extra}": [' in setup for extra in extras.split(","))
    assert command.endswith(" && .venv/bin/pytest")


def test_one_command_is_all_that_ci_runs() -> None:
    assert commands("ci") == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_ci_begins_on_a_bare_machine() -> None:
    """The first step of CI is .ci/bare, before any installation."""
    assert os.access(ROOT / ".ci" / "bare", os.X_OK)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    first, second = re.findall(r"^step .*\n(.*)$", script, re.MULTILINE)[:2]
    assert first == ".ci/bare"
    assert second != first


@pytest.mark.parametrize("name", ["bare", "run"])
def test_the_scripts_of_ci_are_bash(name: str) -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci" / name], check=True)


def test_the_step_with_a_bare_machine_can_be_skipped() -> None:
    ran = subprocess.run(
        [ROOT / ".ci" / "bare"],
        env={**os.environ, "TXHIXIE_BARE": "skip"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == ".ci/bare: skipped, since TXHIXIE_BARE=skip\n"


def test_the_guide_is_built_as_ci_builds_it() -> None:
    (command,) = commands("guide")
    ours = {*shlex.split(command)}
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert any(ours <= {*step.split()} for step in steps)


@pytest.mark.parametrize(
    ("name", "at_least"), [("matrix", [300]), ("peers", [100, 50])], ids=["matrix", "peers"]
)
def test_the_name_of_a_dialect_selects_its_tests(name: str, at_least: list[int]) -> None:
    counts = []
    for command in commands(name):
        program, *arguments = shlex.split(command)
        assert Path(program) == Path(".venv/bin/pytest")
        counts.append(collected(*arguments))
    assert all(count >= least for count, least in zip(counts, at_least, strict=True)), counts


def collected(*arguments: str) -> int:
    """Count the tests that pytest collects."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return len(re.findall(r"::", ran.stdout))
