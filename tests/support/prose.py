"""The prose of the repository: docstrings, comments, strings, guide pages and names of tests."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

RIDDLES: Final = re.compile(
    r"\b(?:who|whom|whose|whoever|whomever|whichever|whatever|nobody|somebody|everybody"
    r"|thereby|therein|betimes|of its own accord|of ours|for us|is meant|there is none"
    r"|stands? (?:before|behind|for)|(?:is|was|been|be) told|what (?:is|was) said|says? so"
    r"|the way (?:out|there|to)|has gone|has left|as for text)\b",
    re.IGNORECASE,
)
"""Words in the place of a noun of the field. A few are natural English: only a rate is bounded."""

BANNED: Final = re.compile(
    r"\b(?:whoever|whomever|whosoever|betimes|thereby|therein|of its own accord|as for text"
    r"|who stands|stands? (?:before|behind) (?:us|it|them)|who (?:we|they) are|who is who"
    r"|the way (?:out|there)|it has (?:gone|left)|(?:peer|client|server) has gone"
    r"|does not stand|cannot stand|what (?:is|was) said|a defect of ours|rests on nobody"
    r"|keeps silent|past its day|looked after|continuation of nothing|no such body)\b",
    re.IGNORECASE,
)
"""Phrases that are not used at all. Each was found in an error, a log line or a docstring that
could not be understood without the code beside it."""

VAGUE_STARTS: Final = re.compile(
    r"(?:It|They|He|She|This|That|These|Those|As|What|Who|Whom|Whose|The same|One's|Nobody)\b"
)
"""First words of a docstring that needs the file around it."""

TERMS: Final = re.compile(
    r"\b(?:handshake|frame|fragment|payload|header|buffer|timeout|callback|request|response"
    r"|connection|message|proxy|proxies|certificate|socket|stream|upgrade|origin|subprotocol"
    r"|extension|compress|close code|dialect|endpoint|server|client|peer|byte|limit)",
    re.IGNORECASE,
)
"""Nouns of the field."""


class Prose(NamedTuple):
    """
    One piece of text for people, and where it is.

    :ivar kind: ``docstring``, ``comment``, ``string``, ``guide`` or ``name``.
    """

    path: Path
    line: int
    kind: str
    text: str

    @property
    def words(self) -> int:
        """The number of words."""
        return len(self.text.split())

    def found(self, pattern: re.Pattern[str]) -> list[str]:
        """Each match of a pattern in the text, across line breaks."""
        return pattern.findall(" ".join(self.text.split()))


def rate(pieces: Iterable[Prose], pattern: re.Pattern[str]) -> float:
    """The matches of a pattern in a thousand words."""
    pieces = list(pieces)
    words = sum(piece.words for piece in pieces)
    return sum(len(piece.found(pattern)) for piece in pieces) * 1000 / max(words, 1)


def first_line(text: str) -> str:
    """The first line of a docstring that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def has_vague_start(piece: Prose) -> bool:
    """Whether a docstring begins with a word that needs the file around it."""
    return piece.kind == "docstring" and bool(VAGUE_STARTS.match(first_line(piece.text)))


def prose_of(path: Path) -> Iterator[Prose]:
    """All prose of a file of Python, C, or reStructuredText."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from _python(path, text)
    elif path.suffix == ".c":
        for match in re.finditer(r"/\*(.*?)\*/|//([^\n]*)", text, re.DOTALL):
            start = text.count("\n", 0, match.start()) + 1
            yield Prose(path, start, "comment", match[1] or match[2])
    else:
        for number, line in _paragraphs(text):
            yield Prose(path, number, "guide", line)


def _python(path: Path, source: str) -> Iterator[Prose]:
    tree = ast.parse(source, str(path))
    seen: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(value := node.value, ast.Constant):
            seen.add(value)
            if isinstance(value.value, str):
                yield Prose(path, node.lineno, "docstring", value.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test_"):
                yield Prose(path, node.lineno, "name", node.name.replace("_", " "))
        elif isinstance(node, ast.JoinedStr):
            # One text: its halves around a replacement field are no sentences.
            seen.update(node.values)
            text = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
            yield from _string(path, node.lineno, text)
        elif isinstance(node, ast.Constant) and node not in seen and isinstance(node.value, str):
            yield from _string(path, node.lineno, node.value)
    yield from _comments(path, source)


def _string(path: Path, line: int, text: str) -> Iterator[Prose]:
    """A string, if it looks like one for people: several words."""
    if " " in text and len(text) > 12:
        yield Prose(path, line, "string", text)


def _comments(path: Path, source: str) -> Iterator[Prose]:
    """Comments; those on lines of their own that follow each other are one."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or token.string.startswith("#!"):
            continue
        line = token.start[0]
        alone = not token.line[: token.start[1]].strip()
        if block and not (alone and line == last + 1):
            yield Prose(path, first, "comment", "\n".join(block))
            block = []
        if not block:
            first = line
        block.append(token.string.lstrip("# "))
        last = line
    if block:
        yield Prose(path, first, "comment", "\n".join(block))


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs of reStructuredText or Markdown, without code blocks, comments and options."""
    hidden: int | None = None  # the indentation of the line that begins a hidden block
    paragraph: list[str] = []
    number = start = 0
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if stripped.startswith("```"):
            fenced = not fenced
            continue
        if fenced or (hidden is not None and (not stripped or indent > hidden)):
            continue
        hidden = None
        if not stripped or stripped.startswith(".. "):
            if paragraph:
                yield start, "\n".join(paragraph)
            paragraph = []
            if re.match(r"\.\. (?:code-block::|literalinclude::|raw::|test:|[^:]*$)", stripped):
                hidden = indent
            continue
        if not paragraph:
            start = number
        paragraph.append(stripped)
        if stripped.endswith("::"):
            hidden = indent
    if paragraph:
        yield start, "\n".join(paragraph)
