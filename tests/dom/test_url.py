"""URLs as a page's script writes them, and their parts."""

from __future__ import annotations

import pytest

from txhixie.dom.url import DOMException, InvalidSyntax, resolved, scalar_values


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a\ud800b", "a�b"),
        ("\udc00\ud800", "��"),
        ("\ud83d\ude00", "😀"),
        ("\ufeffx", "\ufeffx"),
        ("", ""),
    ],
)
def test_lone_surrogates_are_replaced(text: str, sent: str) -> None:
    assert scalar_values(text) == sent


def test_a_URL_is_split_into_its_parts() -> None:
    url, parts = resolved("http://user:secret@Example.com/x")
    assert url == "ws://user:secret@Example.com/x"
    assert (parts.location, parts.port) == ("ws://example.com/x", 80)


def test_an_invalid_URL_is_an_error_of_both_kinds() -> None:
    """The error is a script's SyntaxError and Python's ValueError."""
    with pytest.raises(InvalidSyntax, match="scheme") as caught:
        resolved("gopher://a/")
    assert isinstance(caught.value, DOMException)
    assert isinstance(caught.value, ValueError)
