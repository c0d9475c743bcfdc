"""URLs: what is read is what the drafts compare, and nothing in one can end a header line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vectors import Item, vectors
from txhixie.wire.url import WebSocketURL, parse_url


@vectors("urls")
def test_urls_are_read_as_in_the_vectors(item: Item) -> None:
    """Every part of it, or an error which says what is wrong."""
    if "error" in item:
        with pytest.raises(ValueError, match=f"^{item['error']}: "):
            parse_url(item["url"])
        return
    url = parse_url(item["url"])
    assert tuple(url) == (item["secure"], item["host"], item["port"], item["resource"])
    assert (url.authority, url.location) == (item["hostport"], item["location"])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("example.com", "scheme"),
        ("wsx://example.com/", "scheme"),
        ("ws:example.com", "host"),
        ("ws://", "host"),
        ("ws://:80/", "host"),
        ("ws://exa mple.com/", "host"),
        ("ws://ex<>ample.com/", "host"),
        ("ws://ü..de/", "host"),
        ("ws://example.com/#", "fragment"),
        ("ws://example.com/a#b", "fragment"),
        ("ws://me@example.com/", "userinfo"),
        ("ws://me:secret@example.com/", "userinfo"),
        ("ws://example.com:0/", "port"),
        ("ws://example.com:65536/", "port"),
        ("ws://example.com:x/", "port"),
        ("ws://example.com:-1/", "port"),
        ("ws://example.com:８０/", "port"),
        ("ws://[::1/", "Invalid IPv6"),
    ],
)
def test_what_cannot_be_connected_to_is_refused_in_words(text: str, wrong: str) -> None:
    """Before a connection is made, and without a word of the password."""
    with pytest.raises(ValueError, match=wrong) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        (" ws://Example.com:80/A?b ", "ws://example.com/A?b"),
        ("wss://example.com:443", "wss://example.com/"),
        ("ws://example.com:443/", "ws://example.com:443/"),
        ("ws://example.com:/x", "ws://example.com/x"),
        ("ws://bücher.example/ä?ö=ü", "ws://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("ws://example.com/%7Ea b", "ws://example.com/%7Ea%20b"),
        ("ws://example.com/[1]|{2}", "ws://example.com/[1]|{2}"),
        ("ws://[::1]/", "ws://[::1]/"),
    ],
)
def test_there_is_one_form_of_each_url(text: str, location: str) -> None:
    """The one that both sides rebuild and compare; reading it again changes nothing."""
    assert parse_url(text).location == location
    assert parse_url(location).location == location


@pytest.mark.parametrize("bad", ["\r", "\n", "\t", "\0", "\x0b", "\x1c", "\x7f", " ", "\x85"])
@pytest.mark.parametrize("place", ["ws://exa{}mple.com/", "ws://example.com/a{}b", "ws://x/?a{}b"])
def test_nothing_in_a_url_ends_a_header_line(place: str, bad: str) -> None:
    """A page's URL with a line end in it does not write headers of its own."""
    try:
        url = parse_url(place.format(bad))
    except ValueError:
        return
    assert_is_sendable(url)


def assert_is_sendable(url: WebSocketURL) -> None:
    """It is visible ASCII without blanks, and a path."""
    text = url.authority + url.resource
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert url.resource.startswith("/")
    assert "#" not in url.resource
    assert 0 < url.port < 65536


@given(st.sampled_from(["ws", "WSS", ""]), st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_a_url_or_a_value_error(scheme: str, host: str, rest: str) -> None:
    """Whatever is typed: something that can be sent, the same when read again, or a reason."""
    try:
        url = parse_url(f"{scheme}://{host}/{rest}")
    except ValueError:
        return
    assert_is_sendable(url)
    assert parse_url(url.location) == url
