"""The code blocks of the guide, and what a test does with each; ``page_runner.py`` runs them.

The convention is in ``tests/test_documents.py``.
"""

from __future__ import annotations

import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support import third_party

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = tuple(
    str(path.relative_to(ROOT))
    for path in (
        ROOT / "README.rst",
        ROOT / "CONTRIBUTING.rst",
        *sorted(ROOT.glob("docs/**/*.rst")),
    )
    if path.exists()
)

VERBS: Final = (
    *("anew", "first", "with", "then", "stays", "fails", "continues", "needs"),
    *("saved as", "shown from", "taken by", "picture"),
)
TAKEN: Final = re.compile(r"(?P<path>\S+)(?: as (?P<name>\S+))?")


@dataclass(frozen=True)
class Block:
    """
    A block of a page.

    :ivar page: the page's path in the checkout.
    :ivar line: where it begins.
    :ivar language: what it says it is; empty for a literal block without a language.
    :ivar notes: what the comments before it say, verb and the rest.
    """

    page: str
    line: int
    language: str
    text: str
    notes: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def said(self, verb: str) -> list[str]:
        """The arguments of every line with this verb."""
        return [rest for said, rest in self.notes if said == verb]


class NobodyRuns(AssertionError):
    """A block that nothing is done with, or a note that cannot be."""


@dataclass(frozen=True)
class Page:
    """A page's blocks in their order, the ports it prints, and the components it all needs."""

    path: str
    blocks: tuple[Block, ...]
    ports: tuple[int, ...]
    needs: tuple[str, ...] = ()


def block(path: str, name: str) -> str:
    """The text of the block that is ``saved as`` a name, or ``taken by`` a test ``as`` it."""
    for found in read_page(path).blocks:
        if name in found.said("saved as"):
            return found.text
        for rest in found.said("taken by"):
            if (match := TAKEN.fullmatch(rest)) is not None and match["name"] == name:
                return found.text
    raise NobodyRuns(f"{path} has no block that is taken or saved as {name}")


# Reading.


def read_page(path: str) -> Page:
    """Take a page of the checkout apart."""
    return read_text(path, (ROOT / path).read_text(encoding="utf-8"))


def read_text(path: str, text: str) -> Page:
    """Take a page apart."""
    lines = text.split("\n")
    blocks: list[Block] = []
    notes: list[tuple[str, str]] = []
    ports, needs = [8080], []
    index = 0
    while index < len(lines):
        line = lines[index]
        if match := re.fullmatch(r"\s*\.\. test: (.*)", line):
            index, words = _paragraph(lines, index + 1, [match[1]])
            verb, rest = _note(f"{path}:{index}", words)
            if verb == "ports":
                ports += map(int, rest.split())
            elif verb == "page needs":
                needs += rest.split()
            else:
                notes.append((verb, rest))
        elif match := re.fullmatch(r"(\s*)\.\. literalinclude:: (\S+)\s*", line):
            shown = os.path.normpath(Path(path).parent / match[2])
            index += 1
            blocks.append(Block(path, index, "literalinclude", "\n", (("shown from", shown),)))
        elif (language := _opens_block(line)) is not None:
            index, body = _body(lines, index + 1, len(line) - len(line.lstrip()))
            blocks.append(Block(path, index, language, body, tuple(notes)))
            notes = []
        elif line.lstrip().startswith(">>> "):
            raise NobodyRuns(f"{path}:{index + 1}: a transcript stands in a code-block")
        else:
            index += 1
    if notes:
        raise NobodyRuns(f"{path}: no block follows {notes}")
    return Page(path, tuple(blocks), tuple(ports), tuple(needs))


def _paragraph(lines: list[str], index: int, words: list[str]) -> tuple[int, str]:
    while index < len(lines) and re.match(r"\s+\S", lines[index]):
        words.append(lines[index].strip())
        index += 1
    return index, " ".join(words)


def _note(where: str, words: str) -> tuple[str, str]:
    for verb in ("ports", "page needs", *VERBS):
        if words == verb or words.startswith(verb + " "):
            return verb, words[len(verb) + 1 :]
    raise NobodyRuns(f"{where}: no such note: {words}")


def _opens_block(line: str) -> str | None:
    if match := re.fullmatch(r"\s*\.\. (?:code-block|code|sourcecode)::\s*(\S*)\s*", line):
        return match[1]
    return "" if line.endswith("::") and not line.lstrip().startswith(".. ") else None


def _body(lines: list[str], index: int, indent: int) -> tuple[int, str]:
    while index < len(lines) and re.match(r"\s+:[\w-]+:", lines[index]):
        index += 1
    start = index
    while index < len(lines):
        line = lines[index]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        index += 1
    return index, textwrap.dedent("\n".join(lines[start:index])).strip("\n") + "\n"


# What becomes of a block.


def kind(block: Block, page: Page) -> str:
    """
    What is done with a block: ``shown``, ``taken``, ``saved``, ``picture``, ``transcript``,
    ``program``, ``commands`` or ``output``.

    :raises NobodyRuns: for nothing.
    """
    for component in (*page.needs, *block.said("needs")):
        if not hasattr(third_party, component):
            raise NobodyRuns(f"{block}: support/third_party.py knows no {component}")
    if shown := block.said("shown from"):
        _check_shown(block, shown[0])
        return "shown"
    if taken := block.said("taken by"):
        _check_taken(block, taken[0])
        return "taken"
    if saved := block.said("saved as"):
        _check_saved(block, page, saved[0])
        return "saved"
    return _kind_by_language(block)


def _kind_by_language(block: Block) -> str:
    if block.said("picture"):
        if block.language not in ("", "text"):
            raise NobodyRuns(f"{block}: {block.language} is no picture")
        return "picture"
    if block.language in ("python", "pycon"):
        return "transcript" if block.text.startswith(">>> ") else "program"
    if block.language == "console":
        if not block.text.startswith("$ "):
            raise NobodyRuns(f"{block}: a command begins with '$ '")
        return "commands"
    if block.language == "text":
        return "output"
    raise NobodyRuns(f"{block}: nobody runs this {block.language or 'literal block'}")


def example_tests() -> str:
    """The text of the tests of the examples."""
    files = ("test_examples.py", "browser/test_hub_pages.py")
    return "\n".join((ROOT / "tests" / file).read_text(encoding="utf-8") for file in files)


def _check_shown(block: Block, path: str) -> None:
    whole = ROOT / path
    if not whole.exists():
        raise NobodyRuns(f"{block}: there is no {path}")
    text = whole.read_text(encoding="utf-8")
    if not any(textwrap.indent(block.text, " " * depth) in text for depth in range(0, 16, 4)):
        raise NobodyRuns(f"{block}: this is not in {path}")
    if path.startswith("examples/") and whole.name not in example_tests():
        raise NobodyRuns(f"{block}: no test of the examples runs {path}")


def _check_taken(block: Block, words: str) -> None:
    match = TAKEN.fullmatch(words)
    if match is None:
        raise NobodyRuns(f"{block}: taken by what? {words}")
    path = ROOT / match["path"]
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if block.page not in text or (match["name"] or "") not in text:
        raise NobodyRuns(f"{block}: {match['path']} does not take it")


def _check_saved(block: Block, page: Page, name: str) -> None:
    later = page.blocks[page.blocks.index(block) :]
    named = [other.text for other in later if other is not block]
    named += [rest for other in later for verb, rest in other.notes if verb != "saved as"]
    if not any(name.removesuffix(".py") in text for text in named):  # it may be imported
        raise NobodyRuns(f"{block}: nothing after it uses {name}")
