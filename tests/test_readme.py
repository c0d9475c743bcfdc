"""What the README says besides its blocks, which test_documents.py runs, is true as well."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from support.daemon import OPTIONS
from support.guide_pages import block, read_text

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.rst").read_text(encoding="utf-8")


def block_after(words: str) -> str:
    """The program that follows the first line with these words."""
    rest = README[README.index(words) :]
    match = re.search(r"code-block:: python\n\n((?:    .*\n|\n)+)", rest)
    assert match is not None
    return textwrap.dedent(match[1])


def test_the_program_is_the_example() -> None:
    """The README shows the example, apart from where it listens."""
    shown = {ast.dump(node) for node in ast.parse(block_after("In your own program")).body}
    example = ast.parse((ROOT / "examples" / "echo.py").read_text())
    kept = {ast.dump(node) for node in example.body if isinstance(node, ast.ClassDef)}
    assert kept
    assert kept <= shown


def test_each_of_the_four_ways_is_a_program_of_at_most_fifteen_lines() -> None:
    """Blank ones not counted; `test_documents` runs them."""
    section = README.partition("\nFour ways to write a client\n")[2]
    section = re.split(r"^-{3,}$", section, maxsplit=2, flags=re.MULTILINE)[1]
    blocks = read_text("README.rst", section).blocks
    programs = [block.text for block in blocks if block.language == "python"]
    clients = ("connectApplication(", "connect(", "StreamClientEndpoint(", "WebSocket(")
    servers = ("serve(", "StreamApplications(")
    assert [way for way in clients + servers if not any(way in text for text in programs)] == []
    assert len(programs) == len(clients + servers)
    for program in programs:
        assert len([line for line in program.splitlines() if line]) <= 15


def test_the_commands_are_the_ones_that_are_run() -> None:
    """CI takes the README's command for the tests from the README."""
    commands = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert [command.rsplit("&& ", 1)[1] for command in commands] == [
        ".venv/bin/twistd -n hixie --port 8080",
        ".venv/bin/pytest",
    ]


def test_the_guide_installs_it_in_the_same_way() -> None:
    """Which is what CI does."""
    shown = block("docs/start/index.rst", "install").removeprefix("$ ")
    assert "python3 -m venv .venv && .venv/bin/pip install . && " in README
    assert shown == "python3 -m venv .venv && .venv/bin/pip install . && . .venv/bin/activate\n"


def test_every_option_of_the_daemon_is_explained() -> None:
    options = set(re.findall(r"^``(--[a-z-]+)``$", README, re.MULTILINE))
    assert options == set(OPTIONS)


def test_what_the_readme_points_at_is_there() -> None:
    links = re.findall(r"`[^`]+ <(?!http)([^>\s]+)>`_", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
