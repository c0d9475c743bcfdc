"""The facts of the README outside its code blocks, which test_documents.py runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support.guide_pages import block, read_page

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.rst").read_text(encoding="utf-8")


def programs_of(page: str) -> list[str]:
    """The Python programs of a page of the guide."""
    return [found.text for found in read_page(page).blocks if found.language == "python"]


def test_the_first_application_of_the_guide_is_the_example() -> None:
    """The page and the example may listen on different endpoints."""
    (program,) = programs_of("docs/start/application.rst")
    shown = {ast.dump(node) for node in ast.parse(program).body}
    example = ast.parse((ROOT / "examples" / "echo.py").read_text())
    kept = {ast.dump(node) for node in example.body if isinstance(node, ast.ClassDef)}
    assert kept
    assert kept <= shown


def test_each_of_the_four_clients_is_a_program_of_at_most_fifteen_lines() -> None:
    """Blank lines are not counted. `test_documents` runs the programs."""
    programs = programs_of("docs/start/clients.rst")
    clients = ("connectApplication(", "connect(", "StreamClientEndpoint(", "WebSocket(")
    servers = ("serve(", "StreamApplications(")
    assert [name for name in clients + servers if not any(name in text for text in programs)] == []
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


def test_the_guide_has_the_same_command_for_the_installation() -> None:
    """CI uses the same command."""
    shown = block("docs/start/install.rst", "install").removeprefix("$ ")
    assert "python3 -m venv .venv && .venv/bin/pip install . && " in README
    assert shown == "python3 -m venv .venv && .venv/bin/pip install . && . .venv/bin/activate\n"


def test_the_readme_has_at_most_250_lines() -> None:
    assert len(README.splitlines()) <= 250


def test_the_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"`[^`]+ <(?!http)([^>\s]+)>`_", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
