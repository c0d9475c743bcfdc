"""The types of the installed package with ``py.typed``, as a user's type checker sees them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.guide_pages import block
from support.third_party import python_with

HERE = Path(__file__).parent
PROGRAM = (HERE / "program.py").read_text(encoding="utf-8")
WAYS = (HERE / "ways.py").read_text(encoding="utf-8")

GUIDE = "docs/howto/typing.rst"
CONFIGURATION = block(GUIDE, "mypy.ini")
"""The settings that Twisted needs: Zope's interfaces, and functions without annotations."""


def check(program: str, directory: Path) -> str:
    """Run mypy on a user's program outside the checkout. Return the output."""
    for library in ("mypy", "mypy_zope"):
        python_with(library, get="PyPI: mypy, mypy-zope")
    (directory / "mypy.ini").write_text(CONFIGURATION)
    (directory / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "program.py"]
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "program", [PROGRAM, WAYS, block(GUIDE, "typed.py")], ids=["program", "ways", "guide"]
)
def test_a_users_program_is_clean_under_strict(program: str, tmp_path: Path) -> None:
    assert check(program, tmp_path) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("sendTextMessage(message)", "sendTextMessage(b'x')", "arg-type"),
        ("offer.path", "offer.paths", "attr-defined"),
        ("def pongReceived(", "def pongsReceived(", "pongReceived"),
        ("Accepted | Refusal:", "int:", "HixieServerFactory"),
    ],
)
def test_mypy_finds_a_mistake_in_a_users_program(
    right: str, wrong: str, said: str, tmp_path: Path
) -> None:
    """In a package without types all names are ``Any``, and every program would pass."""
    assert PROGRAM.count(right) == 1
    assert said in check(PROGRAM.replace(right, wrong), tmp_path)
