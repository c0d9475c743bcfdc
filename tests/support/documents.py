"""The pages of the guide as stories that can be run: their blocks, and what becomes of each.

The convention is told in ``tests/test_documents.py``.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from support import components
from support.daemon import PATIENCE, free_port

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = tuple(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted(ROOT.glob("docs/*.rst")))
    if path.exists()
)

VERBS: Final = (
    *("anew", "first", "with", "then", "stays", "fails", "continues", "needs"),
    *("saved as", "shown from", "taken by", "picture"),
)
TAKEN: Final = re.compile(r"(?P<path>\S+)(?: as (?P<name>\S+))?")
_OUTPUT: Final = doctest.OutputChecker()
_LOOSELY: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


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
        """What follows a verb, each time it is there."""
        return [rest for said, rest in self.notes if said == verb]


class NobodyRuns(AssertionError):
    """A block that nothing is done with, or a note that cannot be."""


@dataclass(frozen=True)
class Page:
    """A page's blocks in their order, and the ports it prints."""

    path: str
    blocks: tuple[Block, ...]
    ports: tuple[int, ...]


def block(path: str, name: str) -> str:
    """The text of the block that is ``taken by`` somebody ``as`` a name: for that test."""
    for found in read_page(path).blocks:
        for rest in found.said("taken by"):
            if (match := TAKEN.fullmatch(rest)) is not None and match["name"] == name:
                return found.text
    raise NobodyRuns(f"{path} has no block that is taken as {name}")


# Reading.


def read_page(path: str) -> Page:
    """Take a page of the checkout apart."""
    return read_text(path, (ROOT / path).read_text(encoding="utf-8"))


def read_text(path: str, text: str) -> Page:
    """Take a page apart."""
    lines = text.split("\n")
    blocks: list[Block] = []
    notes: list[tuple[str, str]] = []
    ports = [8080]
    index = 0
    while index < len(lines):
        line = lines[index]
        if match := re.fullmatch(r"\s*\.\. test: (.*)", line):
            index, words = _paragraph(lines, index + 1, [match[1]])
            verb, rest = _note(f"{path}:{index}", words)
            if verb == "ports":
                ports += map(int, rest.split())
            else:
                notes.append((verb, rest))
        elif match := re.fullmatch(r"(\s*)\.\. literalinclude:: (\S+)\s*", line):
            shown = os.path.normpath(Path(path).parent / match[2])
            index += 1
            blocks.append(Block(path, index, "literalinclude", "", (("shown from", shown),)))
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
    return Page(path, tuple(blocks), tuple(ports))


def _paragraph(lines: list[str], index: int, words: list[str]) -> tuple[int, str]:
    while index < len(lines) and re.match(r"\s+\S", lines[index]):
        words.append(lines[index].strip())
        index += 1
    return index, " ".join(words)


def _note(where: str, words: str) -> tuple[str, str]:
    for verb in ("ports", *VERBS):
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
    for component in block.said("needs"):
        if not hasattr(components, component):
            raise NobodyRuns(f"{block}: support/components.py knows no {component}")
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


def _check_shown(block: Block, path: str) -> None:
    whole = ROOT / path
    if not whole.exists():
        raise NobodyRuns(f"{block}: there is no {path}")
    if textwrap.dedent(block.text).strip() not in whole.read_text(encoding="utf-8"):
        if block.text.strip() not in textwrap.dedent(whole.read_text(encoding="utf-8")):
            raise NobodyRuns(f"{block}: this is not in {path}")
    tests = (ROOT / "tests" / "test_examples.py").read_text(encoding="utf-8")
    if path.startswith("examples/") and whole.name not in tests:
        raise NobodyRuns(f"{block}: tests/test_examples.py runs no {path}")


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


# Running.


@dataclass
class Story:
    """
    A page that is being run: in a directory of its own, every port it prints replaced by a free
    one, what stays kept until the end.
    """

    page: Page
    directory: Path
    outputs: list[Path] = field(default_factory=list)
    staying: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _transcript: str = ""

    def __post_init__(self) -> None:
        self._ports = {port: free_port() for port in self.page.ports}
        (self.directory / "examples").symlink_to(ROOT / "examples")

    def run(self) -> None:
        """Every block, one after the other."""
        try:
            for block in self.page.blocks:
                self._run_block(block)
            self._still_stay()
        finally:
            self.stop()
        for output in self.outputs:
            said = output.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in said, f"{self.page.path}: {said}"

    def _still_stay(self) -> None:
        """None has ended by itself, other than well."""
        assert not any(process.poll() for process in self.staying), f"{self.page.path}: one fell"

    def stop(self) -> None:
        """End everything that stays."""
        while self.staying:
            _end(self.staying.pop())

    def _run_block(self, block: Block) -> None:
        for component in block.said("needs"):
            getattr(components, component)()
        if block.said("anew"):
            self._still_stay()
            self.stop()
        for command in block.said("first"):
            self._command(block, self._here(command))
        for command in block.said("with"):
            self._stay(block, self._here(command))
        what, text = kind(block, self.page), self._here(block.text)
        if what == "saved":
            (self.directory / block.said("saved as")[0]).write_text(text, encoding="utf-8")
        elif what == "transcript":
            self._type(block, text)
        elif what == "program":
            self._program(block, text)
        elif what == "commands":
            self._commands(block, text)
        elif what == "output":
            self._await(block, text)
        for command in block.said("then"):
            self._command(block, self._here(command))

    def _here(self, text: str) -> str:
        """With our ports in the place of the printed ones."""
        return re.sub(
            r"\b\d{2,5}\b", lambda match: str(self._ports.get(int(match[0]), match[0])), text
        )

    def _type(self, block: Block, text: str) -> None:
        """What is typed into Python and what it says."""
        self._transcript = self._transcript + text if block.said("continues") else text
        name = f"transcript{block.line}.txt"
        (self.directory / name).write_text(self._transcript, encoding="utf-8")
        options = "-o ELLIPSIS -o NORMALIZE_WHITESPACE"
        self._command(block, f"python -m doctest {options} {name}")

    def _program(self, block: Block, text: str) -> None:
        name = f"program{block.line}.py"
        (self.directory / name).write_text(text, encoding="utf-8")
        if block.said("stays"):
            self._stay(block, f"python {name}", mentions=text)
        else:
            self._command(block, f"python {name}")

    def _commands(self, block: Block, text: str) -> None:
        """Each command, and what it printed where the page says so."""
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        for index, part in enumerate(parts):
            command, shown = _command_and_output(part)
            if command in ("python", "python3") and shown.startswith(">>> "):
                self._type(block, shown)
            elif block.said("stays") and index == len(parts) - 1:
                self._stay(block, command)
            else:
                fails = bool(block.said("fails")) and index == len(parts) - 1
                said = self._command(block, command, fails=fails)
                if shown.strip() and not _OUTPUT.check_output(shown, said, _LOOSELY):
                    raise AssertionError(f"{block}: {command}\nshown:\n{shown}\nprinted:\n{said}")

    def _command(self, block: Block, command: str, *, fails: bool = False) -> str:
        """Run it to its end, which must be a good one, or not; what it printed."""
        output, process = self._start(command)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
        said = output.read_text(encoding="utf-8", errors="replace")
        right = status not in (0, None) if fails else status == 0
        assert right, f"{block}: {command}\nended with {status} and said:\n{said}"
        return said

    def _stay(self, block: Block, command: str, mentions: str = "") -> None:
        """Start it, and go on when whatever ports it names are listened on."""
        output, process = self._start(command)
        self.staying.append(process)
        named = [port for port in self._ports.values() if str(port) in command + mentions]
        for _ in _patiently():
            said = output.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None, f"{block}: {command}\ndid not stay, and said:\n{said}"
            if all(map(_is_listened_on, named)):
                return
        raise AssertionError(f"{block}: {command}\nnobody listens on {named}; it said:\n{said}")

    def _await(self, block: Block, shown: str) -> None:
        """Wait until one of the page's programs has printed these lines, in this order."""
        wanted = re.compile(".*".join(map(_loose, shown.strip().splitlines())), re.DOTALL)
        said: list[str] = []
        for _ in _patiently():
            said = [path.read_text(encoding="utf-8", errors="replace") for path in self.outputs]
            if any(map(wanted.search, said)):
                return
        raise AssertionError(f"{block}: nothing printed\n{shown}\nbut:\n" + "\n---\n".join(said))

    def _start(self, command: str) -> tuple[Path, subprocess.Popen[bytes]]:
        output = self.directory / f"output{len(self.outputs)}"
        self.outputs.append(output)
        programs = [Path(sys.executable).parent, components.COMPONENTS / "bin"]
        path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
        with output.open("wb") as stdout:
            return output, subprocess.Popen(
                ["bash", "-euc", command],
                cwd=self.directory,
                env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def _command_and_output(part: str) -> tuple[str, str]:
    """A command, which goes on over lines that end in a backslash, and what follows it."""
    lines = part.split("\n")
    count = 1
    while lines[count - 1].endswith("\\"):
        count += 1
    return "\n".join(lines[:count]), "\n".join(lines[count:])


def _loose(line: str) -> str:
    """A shown line as a pattern: ``...`` for anything, other clients' ports, other durations."""
    pattern = re.escape(" ".join(line.split()))
    pattern = pattern.replace(re.escape("..."), ".*").replace(r"\ ", r"\s+")
    pattern = re.sub(r"(127\\\.0\\\.0\\\.1):\d{5}\b", r"\1:\\d+", pattern)
    return re.sub(r"\d+\\\.\d(\\s\+s\b)", r"[\\d.]+\1", pattern)


def _patiently() -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)


def _is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """The way an operator ends it, and everything it started; then the hard way."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
