"""The glossary: each term is defined once, and the code has no second word for the same thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from support.guide_pages import ROOT
from test_floors import MODULES, tree

PAGE: Final = (ROOT / "docs/reference/glossary.rst").read_text("utf-8")
TERMS: Final = dict(re.findall(r"^   (\S.*)\n((?:      .*\n|\n)+)", PAGE, re.MULTILINE))
"""The definition of each term."""

SECOND_WORDS: Final = {
    "carrier": "transport",
    "crossing": "session",
    "journal": "log",
    "deadline": "timeout",
    "patience": "timeout",
    "mailbox": "queue",
    "lookout": "watch",
    "story": "test",
    "talk": "conversation",
    "way": "dialer, or direction",
    "whoever": "peer, client, server, application or operator",
}
"""Words that a name in the package does not have, and the term in their place."""


def test_the_terms_are_in_the_order_of_the_alphabet_and_each_is_there_once() -> None:
    terms = re.findall(r"^   ([a-z].*)$", PAGE, re.MULTILINE)
    assert len(terms) > 30
    assert terms == sorted({*terms})
    assert {*terms} == {*TERMS} - {":sorted:"}


@pytest.mark.parametrize("term", [term for term in TERMS if not term.startswith(":")])
def test_a_term_names_its_origin(term: str) -> None:
    """The origin is a section of an RFC, an interface of Twisted, a public name, or another
    term."""
    assert re.search(r"RFC \d+|`I[A-Z]\w+`|(?<!`)`[A-Z]\w+`|:doc:|:term:|``--", TERMS[term])


def words(name: str) -> set[str]:
    """The words of a name, in lower case and without a plural."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {part.lower().removesuffix("s") for part in parts}


def names(module: str) -> Iterator[str]:
    """The names that a module gives: to classes, functions, parameters, variables, attributes."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@pytest.mark.parametrize("module", MODULES)
def test_a_name_has_no_second_word_for_a_term(module: str) -> None:
    found = {
        f"{name}: {SECOND_WORDS[word]}"
        for name in names(module)
        for word in words(name) & {*SECOND_WORDS}
    }
    assert found == set()
