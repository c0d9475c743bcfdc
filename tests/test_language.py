"""The language of the repository: plain technical English, as figures with bounds.

A figure is an alarm. The aim is that an operator and a maintainer whose first language is not
English understand each sentence without the file beside it; a sentence that is made longer, or
fuller of nouns, to please a figure, is a defect.

``PYTHONPATH=tests python tests/test_language.py`` prints all figures; with the paths of files after
it, each line of theirs that wants another look.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from support.prose import BANNED, RIDDLES, TERMS, Prose, has_vague_start, prose_of, rate

TOP: Final = Path(__file__).parents[1]


class Bounds(NamedTuple):
    """
    The most that a package may have.

    :ivar docstrings: riddles in a thousand words of its docstrings.
    :ivar comments: riddles in a thousand words of its comments.
    :ivar strings: riddles in a thousand words of its strings.
    :ivar banned: docstrings, comments and strings with a phrase that is not used.
    :ivar starts: docstrings whose first line cannot be read alone.
    """

    docstrings: float = 2.0
    comments: float = 2.0
    strings: float = 2.0
    banned: int = 0
    starts: int = 0


FINAL: Final = Bounds()
"""The bounds of every package. ``websockets`` has 0.1 riddles in a thousand words of docstrings,
``twisted.web`` 0.6, ``h11`` 1.9."""

GUIDE: Final = 1.0
"""Riddles in a thousand words of the guide, the README and the examples."""

BANNED_IN_GUIDE: Final = 0
"""Paragraphs of the guide with a phrase that is not used."""

TEST_NAMES: Final = 2.0
"""Riddles in a thousand words of the names of tests."""

TEST_DOCSTRINGS: Final = 7.0
"""Riddles in a thousand words of the docstrings of tests."""

LEAST_TERMS: Final = 70.0
"""The field's nouns in a thousand words of the package's docstrings: ``twisted.web`` has 79."""

PACKAGES: Final = sorted(
    {
        "." if len(path.parts) == 1 else path.parts[0]
        for path in (
            found.relative_to(TOP / "txhixie") for found in (TOP / "txhixie").rglob("*.py")
        )
    }
)


@cache
def package(name: str) -> tuple[Prose, ...]:
    """All prose of a package; of the modules beside the packages, where its name is a dot."""
    top = TOP / "txhixie"
    paths = top.glob("*.py") if name == "." else (top / name).rglob("*")
    return tuple(
        piece for path in sorted(paths) if path.suffix in (".py", ".c") for piece in prose_of(path)
    )


@cache
def guide() -> tuple[Prose, ...]:
    """All prose of the guide, the README and the examples."""
    paths = [*TOP.glob("*.rst"), *(TOP / "docs").rglob("*.rst"), *(TOP / "examples").glob("*.py")]
    return tuple(piece for path in sorted(paths) for piece in prose_of(path))


@cache
def tests() -> tuple[Prose, ...]:
    """All prose of the tests."""
    here = Path(__file__)
    paths = (path for path in sorted((TOP / "tests").rglob("*.py")) if path != here)
    return tuple(piece for path in paths for piece in prose_of(path))


def of_kind(pieces: tuple[Prose, ...], *kinds: str) -> Iterator[Prose]:
    """The pieces of some kinds."""
    return (piece for piece in pieces if piece.kind in kinds)


def figures(pieces: tuple[Prose, ...]) -> Bounds:
    """Compute the figures of some prose."""
    rates = {
        kind: round(rate(of_kind(pieces, kind), RIDDLES), 1)
        for kind in ("docstring", "comment", "string")
    }
    return Bounds(
        rates["docstring"],
        rates["comment"],
        rates["string"],
        banned=sum(bool(piece.found(BANNED)) for piece in pieces),
        starts=sum(has_vague_start(piece) for piece in pieces),
    )


def shown(piece: Prose) -> str:
    """A piece as a line of a report."""
    where = f"{piece.path.relative_to(TOP)}:{piece.line}: {piece.kind}"
    found = ", ".join([*piece.found(RIDDLES), *piece.found(BANNED)]) or "first line"
    return f"{where}: {found}: {' '.join(piece.text.split())[:110]}"


def over(pieces: tuple[Prose, ...], bounds: Bounds) -> list[str]:
    """The figures that are over their bounds, and the lines to look at."""
    found = figures(pieces)
    worse = [
        f"{name}: {figure:g}, at most {bound:g}"
        for name, figure, bound in zip(Bounds._fields, found, bounds, strict=True)
        if figure > bound
    ]
    suspects = [
        shown(piece)
        for piece in pieces
        if piece.found(RIDDLES) or piece.found(BANNED) or has_vague_start(piece)
    ]
    return worse and [*worse, *suspects]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_written_in_plain_words(name: str) -> None:
    assert over(package(name), FINAL) == []


def test_the_docstrings_name_the_nouns_of_the_field() -> None:
    pieces = tuple(piece for name in PACKAGES for piece in package(name))
    assert rate(of_kind(pieces, "docstring"), TERMS) >= LEAST_TERMS


def test_the_guide_is_written_in_plain_words() -> None:
    banned = [shown(piece) for piece in guide() if piece.found(BANNED)]
    assert rate(guide(), RIDDLES) <= GUIDE
    assert len(banned) <= BANNED_IN_GUIDE, banned


def test_the_names_of_tests_are_plain_sentences() -> None:
    assert rate(of_kind(tests(), "name"), RIDDLES) <= TEST_NAMES
    assert rate(of_kind(tests(), "docstring"), RIDDLES) <= TEST_DOCSTRINGS


def close_reasons() -> Iterator[str]:
    """The texts of errors that are sent to the peer as close reasons, as they are in the source."""
    kinds = {"FrameError", "InvalidUTF8", "BadCompression", "UnsupportedData"}
    for path in sorted((TOP / "txhixie").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in kinds and node.args:
                yield ast.unparse(node.args[0])


def test_a_close_reason_is_short_and_names_no_option() -> None:
    """RFC 6455 section 5.5: 125 bytes, of which the close code takes two. The peer has no use for
    the names of options."""
    reasons = list(close_reasons())
    assert len(reasons) > 15
    assert [each for each in reasons if len(each.encode()) > 123 or "--" in each] == []
    assert [each for each in reasons if "Limits" in each or "our" in each.split()] == []


# That these tests would see it.


def test_a_riddle_is_found_in_each_kind_of_prose(tmp_path: Path) -> None:
    path = tmp_path / "riddles.py"
    path.write_text(
        '"""Whoever stands before us."""\n'
        "# it has gone,\n"
        "# betimes\n"
        'x = f"the way out of {1} raised"\n'
        "def test_who_asks() -> None: ...\n"
    )
    pieces = tuple(prose_of(path))
    found = {piece.kind: piece.found(RIDDLES) for piece in pieces}
    assert found["docstring"] == ["Whoever", "stands before"]
    assert found["comment"] == ["has gone", "betimes"]
    assert found["string"] == ["the way out"]
    assert found["name"] == ["who"]
    assert figures(pieces).banned == 3
    assert len(pieces) == 4


def test_code_in_the_guide_is_not_prose(tmp_path: Path) -> None:
    path = tmp_path / "page.rst"
    path.write_text(
        "A title\n=======\n\nText::\n\n    whoever\n\n.. code-block:: python\n\n    whose\n\n"
        ".. note::\n\n   Nobody reads it.\n\n- a list\n  of whom\n"
    )
    found = [word for piece in prose_of(path) for word in piece.found(RIDDLES)]
    assert found == ["Nobody", "whom"]


def test_a_first_line_that_needs_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "vague.py"
    path.write_text(
        '"""It has been said."""\ndef f() -> None:\n    """\n    Item of a list.\n    """\n'
    )
    assert [has_vague_start(piece) for piece in prose_of(path)] == [True, False]


def report(paths: list[str]) -> Iterator[str]:
    """All figures as a table; or, for some files, the lines that want another look."""
    for path in paths:
        for piece in prose_of(Path(path).resolve()):
            if piece.found(RIDDLES) or piece.found(BANNED) or has_vague_start(piece):
                yield shown(piece)
    if not paths:
        yield f"{'':16}" + "".join(f"{name:>12}" for name in Bounds._fields)
        for name in PACKAGES:
            yield f"{name:16}" + "".join(f"{figure:12g}" for figure in figures(package(name)))
        pieces = tuple(piece for name in PACKAGES for piece in package(name))
        yield f"{'all':16}" + "".join(f"{figure:12g}" for figure in figures(pieces))
        yield f"terms in docstrings: {rate(of_kind(pieces, 'docstring'), TERMS):.1f}"
        banned = sum(bool(piece.found(BANNED)) for piece in guide())
        yield f"guide: {rate(guide(), RIDDLES):.1f}, banned: {banned}"
        for kind in ("name", "docstring"):
            yield f"tests, {kind}s: {rate(of_kind(tests(), kind), RIDDLES):.1f}"


if __name__ == "__main__":
    print("\n".join(report(sys.argv[1:])))
