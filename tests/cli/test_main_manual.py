"""The manual pages: the same tables as ``--help``, and pages that man can show."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import third_party
from support.guide_pages import ROOT
from support.manual_pages import DIRECTORY, pages, parsers
from test_setup import told

PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_each_manual_page_is_generated_from_the_tables(path: Path) -> None:
    anew = "PYTHONPATH=tests python -m support.manual_pages"
    assert (ROOT / path).read_text("utf-8") == PAGES[path], f"an option has changed; run {anew}"


def test_there_are_no_other_manual_pages() -> None:
    assert sorted((ROOT / DIRECTORY).iterdir()) == sorted(ROOT / path for path in PAGES)


def test_the_manual_pages_are_installed() -> None:
    assert dict(told("data_files"))[str(DIRECTORY)] == sorted(map(str, PAGES))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_man_shows_a_page_without_a_warning(path: Path) -> None:
    groff = third_party.program("groff", get="Debian: groff-base")
    command = [
        os.fspath(groff),
        "-man",
        "-Tutf8",
        "-ww",
        "-Wbreak",
        "-rHY=0",
        "-P-cbou",
        os.fspath(ROOT / path),
    ]
    ran = subprocess.run(command, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    name = path.stem.removeprefix("txhixie-")
    if name in parsers():
        for action in parsers()[name]._actions:
            for option in action.option_strings:
                assert option in ran.stdout.decode()
