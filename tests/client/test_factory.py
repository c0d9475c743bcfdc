"""The request of a client, from the options of its factory."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from support.applications import Applications, Recorder
from support.dialect_marks import each, hixie, modern
from support.handshake_bytes import ORIGIN_FIELDS
from support.log_recorder import Log
from support.memory_connection import ClientEnd
from txhixie import HixieClientFactory, UnsupportedByDialect
from txhixie.sansio.http.head import Head

SECRET_URL = "ws://us%40er:s%C3%A9cret@example.com/demo"


def waiting(dialect: str, **options: Any) -> ClientEnd:
    """A client that waits for the response."""
    return ClientEnd(Applications(Recorder), dialect=dialect, **options)


@each
def test_the_request_has_the_options_of_the_factory(dialect: str) -> None:
    end = waiting(
        dialect,
        url="wss://example.com:8443/a?b",
        origin="http://page.example",
        headers=((b"Cookie", b"c=d"),),
    )
    lines = end.request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    field = ORIGIN_FIELDS.get(dialect, "Origin").encode()
    assert lines[0] == b"GET /a?b HTTP/1.1"
    assert b"Host: example.com:8443" in lines
    assert field + b": http://page.example" in lines
    assert lines[-1] == b"Cookie: c=d"
    assert end.protocol.offer.location == "wss://example.com:8443/a?b"
    end.done()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://example.com/", {}),
        ("ws://example.com/#fragment", {}),
        ("ws:///", {}),
        ("ws://example.com/", {"dialect": "hixie-77"}),
        ("ws://example.com/", {"headers": ((b"A", b"b\r\nC: d"),)}),
        ("ws://example.com/", {"origin": "http://a\r\nB: c"}),
        ("ws://example.com/", {"origin": "http://\u00e4"}),
        ("ws://example.com/", {"subprotocols": ["a\r\nB: c"]}),
    ],
)
def test_a_factory_rejects_options_that_no_request_can_carry(url: str, options: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        HixieClientFactory(url, Applications(), **options)


@hixie
def test_a_factory_rejects_more_subprotocols_than_a_request_has_room_for(dialect: str) -> None:
    with pytest.raises(UnsupportedByDialect):
        HixieClientFactory(
            "ws://example.com/", Applications(), dialect=dialect, subprotocols=["a", "b"]
        )


@modern
def test_a_modern_client_sends_no_origin_by_default(dialect: str) -> None:
    end = waiting(dialect)
    assert b"Origin" not in end.request
    end.done()


@each
def test_the_user_of_a_url_is_sent_as_basic_authorization(dialect: str) -> None:
    end = waiting(dialect, url=SECRET_URL)
    said = b64encode("us@er:s\u00e9cret".encode())
    assert b"\r\nAuthorization: Basic " + said + b"\r\n" in end.request
    assert b"\r\nHost: example.com\r\n" in end.request
    end.done()


@each
def test_credentials_of_the_URL_are_not_shown(dialect: str, log: Log) -> None:
    """Neither the application's attributes, nor the log, nor a ``repr()`` has them."""
    applications = Applications(Recorder)
    end = ClientEnd(applications, dialect=dialect, url=SECRET_URL, logConnections=True)
    end.receive(end.answer())
    end.lose()
    shown = [*applications.asked, *log.lines(), repr(end.protocol.offer), repr(end.factory)]
    shown += [end.factory.url, end.protocol.offer.location]
    assert applications.asked == ["ws://example.com/demo"]
    for word in ("us%40er", "us@er", "s%C3%A9cret", "s\u00e9cret", "Basic"):
        assert word not in "\n".join(shown)
    end.done()


@each
@pytest.mark.parametrize("name", [b"Host", b"UPGRADE", b"Connection"])
def test_a_header_of_the_handshake_cannot_be_added_again(dialect: str, name: bytes) -> None:
    """Of two Host headers, a proxy might use the first and the server the second."""
    with pytest.raises(ValueError, match="(?i)^" + name.decode()):
        HixieClientFactory(
            "ws://example.com/", Applications(), dialect=dialect, headers=((name, b"x"),)
        )


@each
def test_an_additional_header_may_be_repeated(dialect: str) -> None:
    end = waiting(dialect, headers=((b"X-A", b"1"), (b"x-a", b"2")))
    fields = Head(end.request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").fields()
    assert fields.exact(b"x-a") == [b"1", b"2"]
    end.done()


def test_two_authorization_headers_are_an_error() -> None:
    headers = ((b"authorization", b"Bearer x"),)
    with pytest.raises(ValueError, match="Authorization") as caught:
        HixieClientFactory(SECRET_URL, Applications(), headers=headers)
    assert "cret" not in str(caught.value)
