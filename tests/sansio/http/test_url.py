"""URLs: what is read is what the drafts compare, and nothing in one can end a header line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vectors import Item, vectors
from txhixie.sansio.http.url import BAD_PORTS, WebSocketURL, parse_url, without_credentials


@vectors("urls")
def test_urls_are_read_as_in_the_vectors(item: Item) -> None:
    """Every part of it, or an error which says what is wrong."""
    if "error" in item:
        with pytest.raises(ValueError, match=f"^{item['error']}: "):
            parse_url(item["url"])
        return
    url = parse_url(item["url"])
    assert tuple(url) == (item["secure"], item["host"], item["port"], item["resource"], None)
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
        ("ws://me%3a:secret@example.com/", "userinfo"),
        ("ws://me:secret%0d%0aX:y@example.com/", "userinfo"),
        ("ws://me:secret@/", "host"),
        ("ws://me:secret@example.com:secret/", "port"),
        ("ws://me:secret@\u2603.example/", "host"),
        ("ws://example.com:0/", "port"),
        ("ws://example.com:65536/", "port"),
        ("ws://example.com:x/", "port"),
        ("ws://example.com:-1/", "port"),
        ("ws://example.com:８０/", "port"),
        ("ws://[::1/", "host"),
        (r"ws://example.com\@elsewhere.example/", "host"),
        (r"ws://example.com\x", "host"),
        ("ws://me:secret@exam\u2100ple.com/", "host"),
        ("ws://me:[secret]@example.com/", "host"),
        ("ws://me:%E9secret@example.com/", "userinfo"),
        ("w\ns://me:secret@example.com/", "control"),
        ("\x01ws://me:secret@example.com/", "control"),
        ("ws:/\t/me:secret@example.com/", "control"),
    ],
)
def test_a_url_that_cannot_be_connected_to_is_an_error(text: str, wrong: str) -> None:
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
        ("ws://me:secret@example.com:80/", "ws://example.com/"),
        ("ws://fa\u00df.example/", "ws://xn--fa-hia.example/"),
        ("ws://\u65e5\u672c\u8a9e\u3002jp/", "ws://xn--wgv71a119e.jp/"),
        ("ws://\ufb01n.example/", "ws://fin.example/"),
        ("ws://some_container:8080/", "ws://some_container:8080/"),
    ],
)
def test_there_is_one_form_of_each_url(text: str, location: str) -> None:
    """The one that both sides rebuild and compare; reading it again changes nothing."""
    assert parse_url(text).location == location
    assert parse_url(location).location == location


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("ws://example.com/@", None),
        ("ws://@example.com/", None),
        ("ws://:@example.com/", None),
        ("ws://me@example.com/", ("me", "")),
        ("ws://:key@example.com/", ("", "key")),
        ("ws://me:p%40ss%3Aw%2Frd@example.com/", ("me", "p@ss:w/rd")),
        ("ws://a@b:c:d@example.com/", ("a@b", "c:d")),
        ("ws://%C3%BC:%F0%9F%94%91@example.com/", ("\u00fc", "\U0001f511")),
    ],
)
def test_credentials_are_taken_out_of_a_url(text: str, credentials: tuple[str, str] | None) -> None:
    """Percent-decoded; and nothing that is likely to be printed shows them."""
    url = parse_url(text)
    assert url.credentials == credentials
    shown = without_credentials(text)
    assert parse_url(shown) == url._replace(credentials=None)
    if credentials is not None:
        assert "Credentials" in repr(url)
        for secret in filter(None, credentials):
            assert secret not in repr(url) + str(url.credentials) + f"{url.credentials}" + shown


def test_a_url_without_its_credentials_is_otherwise_as_it_was() -> None:
    """Otherwise the URL is unchanged in errors and logs."""
    assert without_credentials(" WS://me:x@y@H\u00f6st/a@b?c@d") == " WS://H\u00f6st/a@b?c@d"
    assert without_credentials("ws://host/a@b") == "ws://host/a@b"


def test_web_ports_are_not_bad_ones() -> None:
    """And those of the Fetch standard are: 83 of them in November 2026."""
    assert not BAD_PORTS & {80, 443, 8080}
    assert {0, 22, 25, 6000, 6667, 10080} < BAD_PORTS
    assert len(BAD_PORTS) == 83


@pytest.mark.parametrize(("text", "name"), [("ws://[::1]:80/", "::1"), ("ws://H.de/", "h.de")])
def test_a_host_is_known_to_resolvers_without_brackets(text: str, name: str) -> None:
    """And to certificates."""
    assert parse_url(text).name == name


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
    """Assert that the authority and the resource are visible ASCII without blanks, and have a
    path."""
    text = url.authority + url.resource
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert url.resource.startswith("/")
    assert "#" not in url.resource
    assert 0 < url.port < 65536


@given(st.sampled_from(["ws", "WSS", ""]), st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_a_url_or_a_value_error(scheme: str, host: str, rest: str) -> None:
    """Any text is a URL that can be sent and is equal when read again, or an error with a
    reason."""
    try:
        url = parse_url(f"{scheme}://{host}/{rest}")
    except ValueError:
        return
    assert_is_sendable(url)
    assert parse_url(url.location) == url._replace(credentials=None)
