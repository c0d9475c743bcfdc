"""Values of a peer and errors of a library as text for one line of a log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL, crypto

from txhixie.display import complaint


def _place(host: str, port: str, *, backlog: int = 50) -> None:
    pass


place: Any = _place
"""Such as Twisted calls with the parts of a description: mypy need not know it."""


def raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is, it is looked at
        call()
    assert isinstance(caught.value, Exception)
    return caught.value


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: place("a"), "a place: without port"),
        (lambda: place(), "a place: without host and port"),
        (lambda: place("a", "1", timeout=1), "a place: it has no timeout="),
        (lambda: place("a", "1", "b"), "a place: it takes fewer parts"),
        (lambda: int("x"), "a place: invalid literal for int() with base 10: 'x'"),
        (
            lambda: Path("/none").read_bytes(),
            "a file that can be read: No such file or directory: /none",
        ),
        (
            lambda: crypto.load_certificate(crypto.FILETYPE_PEM, b"x"),
            "a certificate and its key, in PEM: no start line",
        ),
    ],
)
def test_a_call_that_fails_is_told_in_an_operators_words(
    call: Callable[[], object], words: str
) -> None:
    assert complaint(raised(call), "a place") == f"expected {words}"


def test_an_error_without_words_has_its_name() -> None:
    assert complaint(KeyError(), "a place") == "expected a place: KeyError"
    assert complaint(SSL.Error([]), "a place").endswith("in PEM: nothing of the kind")
