"""The table of quirks: its words, and its rows in the guide."""

from __future__ import annotations

import re

import pytest

from support.guide_pages import ROOT
from txhixie.sansio.quirks import QUIRKS, quirk_of, read_quirks

PAGE = ROOT / "docs" / "howto" / "quirks.rst"


def test_the_table_of_the_guide_is_the_table_of_the_code() -> None:
    rows = [
        tuple(" ".join(cell.split()) for cell in row)
        for row in re.findall(
            r"^   \* - ``(\w+)``\n     - (.*)\n     - (.*)\n     - (.*)$",
            PAGE.read_text("utf-8"),
            re.MULTILINE,
        )
    ]
    expected = [
        (
            quirk.word,
            f"{quirk.allows[0].upper()}{quirk.allows[1:]}.",
            quirk.danger or "None is known.",
            f"{', '.join(quirk.seen)}.",
        )
        for quirk in QUIRKS
    ]
    assert rows == expected


def test_words_are_read_as_a_set() -> None:
    assert read_quirks(["masks", "key", "masks"]) == {"masks", "key"}
    assert read_quirks([]) == frozenset()
    assert {quirk_of(quirk.word) for quirk in QUIRKS} == set(QUIRKS)


@pytest.mark.parametrize("word", ["", "mask", "Key", "all"])
def test_an_unknown_word_is_an_error_with_the_known_ones(word: str) -> None:
    with pytest.raises(
        ValueError, match=r"^unknown quirk '.*'; known are upgrade, key, .*, kinds$"
    ):
        read_quirks([word])


def test_one_string_is_an_error() -> None:
    with pytest.raises(TypeError, match=r'quirks: expected .*\["key"\]'):
        read_quirks("key")
