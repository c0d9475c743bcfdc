"""Values of a peer and errors of a library as text for one line of a log."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL, crypto
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectError

from txhixie.display import (
    MOST_SHOWN,
    expectation,
    nearest,
    shown,
    shown_address,
    shown_host,
    shown_url,
    system_words,
)


def _place(host: str, port: str, *, backlog: int = 50) -> None:
    pass


place: Any = _place
"""Such as Twisted calls with the parts of a description: mypy need not know it."""


def raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller asserts the text of each error
        call()
    assert isinstance(caught.value, Exception)
    return caught.value


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: place("a"), "a place: missing port"),
        (lambda: place(), "a place: missing host and port"),
        (lambda: place("a", "1", timeout=1), "a place: unknown option timeout="),
        (lambda: place("a", "1", "b"), "a place: too many parts"),
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
def test_an_error_of_a_library_is_reported_in_an_operators_words(
    call: Callable[[], object], words: str
) -> None:
    assert expectation(raised(call), "a place") == f"expected {words}"


def test_an_error_without_text_is_shown_by_its_class_name() -> None:
    assert expectation(KeyError(), "a place") == "expected a place: KeyError"
    assert expectation(SSL.Error([]), "a place").endswith("in PEM: no reason given")


def test_text_of_a_peer_is_one_line_of_ASCII() -> None:
    assert shown("a\r\nb\x1b[2J\u202e") == r"a\r\nb\x1b[2J\u202e"
    assert shown("x" * MOST_SHOWN) == "x" * MOST_SHOWN
    assert shown("x" * (MOST_SHOWN + 1)) == "x" * MOST_SHOWN + "..."


def test_a_URL_is_shown_without_its_credentials() -> None:
    line = shown_url("ws://user:secret@example.com/a?token=hidden")
    assert line.startswith("ws://")
    assert "example.com/a" in line
    assert not re.search("user|secret|hidden", line)


@pytest.mark.parametrize(
    ("address", "host", "whole"),
    [
        (IPv4Address("TCP", "192.0.2.1", 80), "192.0.2.1", "192.0.2.1:80"),
        (IPv4Address("TCP", "192.0.2.1", 0), "192.0.2.1", "192.0.2.1"),
        (IPv6Address("TCP", "2001:db8::1", 80), "[2001:db8::1]", "[2001:db8::1]:80"),
        (IPv6Address("TCP", "::ffff:192.0.2.1", 80), "192.0.2.1", "192.0.2.1:80"),
        (UNIXAddress(b"/run/a\nb"), r"unix:/run/a\nb", r"unix:/run/a\nb"),
        (UNIXAddress(None), "unix", "unix"),
        (None, "unix", "unix"),
    ],
)
def test_an_address_is_shown_with_its_port(address: object, host: str, whole: str) -> None:
    assert (shown_host(address), shown_address(address)) == (host, whole)


def test_an_OSError_is_shown_with_the_text_of_the_operating_system() -> None:
    assert system_words(ConnectError(errno.ECONNREFUSED)) == "Connection refused"
    assert system_words(ValueError("no number")) == ""


def test_for_a_misspelled_name_the_closest_known_name_is_suggested() -> None:
    assert nearest("prot", ["port", "host"], "--") == "; did you mean --port?"
    assert nearest("xyz", ["port", "host"]) == ""
