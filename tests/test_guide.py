"""The guide as a whole: links to public names, options with an anchor each, words to search for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Final

import pytest

from support import public_api as public
from support.guide_pages import ROOT

DOCS: Final = ROOT / "docs"
PAGES: Final = tuple(
    str(path.relative_to(DOCS))
    for path in sorted(DOCS.glob("**/*.rst"))
    if "_build" not in path.parts
)
NOT_PROSE: Final = re.compile(
    r"^(?P<indent> *)\.\. (?:code-block|code|literalinclude|test):.*\n"
    r"(?:[ \t]*\n|(?P=indent)[ \t]+.*\n)*",
    re.MULTILINE,
)
LITERAL: Final = re.compile(r"(?<!`)``([^`\n]+)``(?!`)")


def prose(page: str) -> str:
    """The text of a page without its code blocks."""
    return NOT_PROSE.sub("", (DOCS / page).read_text("utf-8") + "\n")


def public_names() -> Iterator[str]:
    """Public classes, errors and constants, as a page names them; and public modules."""
    for module in public.MODULES:
        yield module
        for name in public.exports(import_module(module)):
            if name[0].isupper():
                yield name


PUBLIC: Final = frozenset(public_names()) - {"txhixie"}


def is_public(literal: str) -> bool:
    """Whether a literal is a public name, one of its attributes, or a call of it."""
    if "._" in literal:
        return False
    name, called, _ = literal.partition("(")
    if called and not re.fullmatch(r"[\w.]+\(.*\)", literal):
        return False
    return name in PUBLIC or name.partition(".")[0] in PUBLIC


@pytest.mark.parametrize("page", PAGES)
def test_a_public_name_in_the_text_is_a_link_to_its_reference(page: str) -> None:
    """`` `Limits` ``, not ``Limits`` between double backquotes: the build resolves the first."""
    if page == "reference/api.rst":
        return  # conf.py reads the modules' names there
    assert [each for each in LITERAL.findall(prose(page)) if is_public(each)] == []
