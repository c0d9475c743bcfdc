"""The tap of a connection: no credential is in its entries, in pieces of any size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from support.applications import Applications, echo
from support.dialect_names import MODERN, NAMES
from support.handshake_bytes import whole_request
from support.memory_connection import ServerEnd
from txhixie.connection.tap import Entry, Reader, Tap
from txhixie.connection.tracer import fieldsOfEntry

SECRET = "Zk3Jq9Xv7Bn2Lw8Rt5Yp1Md6Hc4Gs0Fa"
"""A credential: no other text of the tests has a part of it of six characters."""

FIELDS = [
    f"Authorization: Basic {SECRET}",
    f"authorization : Bearer {SECRET}",
    f"Proxy-Authorization: Basic {SECRET}",
    f"Cookie: a=b; session={SECRET}",
    f"Set-Cookie: sid={SECRET}",
    f"X-Api-Key: {SECRET}",
    f"X-Auth-Token: {SECRET}",
    f"Sec-WebSocket-Protocol: chat, {SECRET}",
    f"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.{SECRET}, chat",
    f"Referer: http://example.com/?token={SECRET}",
    f"Referer: http://ada:{SECRET}@example.com/",
    f"X-Anything: a\r\n {SECRET}",
    f"X-Anything: a\nAuthorization: Basic {SECRET}",
    f"X-Anything: a\rCookie: {SECRET}",
]
TARGETS = [
    f"/?token={SECRET}",
    f"/?{SECRET}",
    f"/a;jsessionid={SECRET}?b",
    f"http://ada:{SECRET}@example.com/",
    "/",
]


class Kept(Reader):
    """A reader that keeps the entries."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def tell(self, entry: Entry) -> None:
        self.entries.append(entry)

    @property
    def shown(self) -> str:
        return "\n".join(str(fields) for entry in self.entries for fields in fieldsOfEntry(entry))


class Silent:
    """A server's connection that does nothing."""

    side = "server"
    isOpen = isBetweenFrames = False


def tapped(connection: Any) -> tuple[Tap, Kept]:
    tap, kept = Tap(connection), Kept()
    tap.readers.append(kept)
    return tap, kept


def cut(data: st.DataObject, whole: bytes) -> list[bytes]:
    """Some pieces of bytes."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def has_a_part(shown: str) -> bool:
    """Whether a text has six characters of the credential in a row."""
    return any(SECRET[at : at + 6] in shown for at in range(len(SECRET) - 5))


@given(
    st.data(),
    st.sampled_from(TARGETS),
    st.lists(st.sampled_from(FIELDS), max_size=4),
    st.sampled_from(["\r\n", "\n"]),
    st.integers(0, 600),
    st.booleans(),
)
def test_no_credential_of_a_request_is_shown_in_whatever_pieces_it_comes(
    data: st.DataObject, target: str, fields: list[str], end: str, left_out: int, answers: bool
) -> None:
    """Also of a request whose end is missing, and of one behind another on the connection."""
    lines = [f"GET {target} HTTP/1.1", "Host: example.com", *fields, "", ""]
    request = end.join(lines).encode()
    request = request[: max(0, len(request) - left_out)] + (request if not left_out else b"")
    tap, kept = tapped(Silent())
    for piece in cut(data, request):
        tap.received(piece)
    if answers:
        for piece in cut(
            data, b"HTTP/1.1 404 Not Found\r\nSet-Cookie: a=%s\r\n\r\n" % SECRET.encode()
        ):
            tap.sent(piece)
        tap.received(request)
    tap.ended()
    assert not has_a_part(kept.shown)


@given(st.data(), st.sampled_from(NAMES))
def test_a_conversation_is_shown_the_same_in_whatever_pieces_it_comes(
    data: st.DataObject, dialect: str
) -> None:
    found = []
    for piece_up in (False, True):
        end = ServerEnd(Applications(echo), clock=Clock())
        tap, kept = tapped(end.protocol)
        end.protocol.tap = tap
        request = whole_request(dialect, f"Authorization: Basic {SECRET}")
        for piece in cut(data, request) if piece_up else [request]:
            end.receive(piece)
        sent = end.peer.text("hello") + end.peer.text("x" * 100)
        for piece in cut(data, sent) if piece_up else [sent]:
            end.receive(piece)
        end.lose()
        assert not has_a_part(kept.shown)
        found.append(
            {
                direction: [
                    (each.head, each.frame and each.frame.name, each.frame and each.frame.length)
                    for each in kept.entries
                    if each.direction == direction
                    and (each.frame is None or each.frame.name != "proof")
                ]
                for direction in ("received", "sent")
            }
        )
    assert found[0] == found[1]
    frames = [each for each in found[0]["received"] if each[1]]
    assert frames == [((), "text", 5), ((), "text", 100)]
    assert [each[1:] for each in found[0]["sent"] if each[1]] == [("text", 5), ("text", 100)]


def test_the_order_is_that_of_the_wire() -> None:
    end = ServerEnd(Applications(echo), clock=Clock())
    tap, kept = tapped(end.protocol)
    end.protocol.tap = tap
    end.receive(whole_request("rfc6455"))
    end.receive(end.peer.text("hello"))
    end.receive(end.peer.close(1000))
    assert [(each.direction, each.frame and each.frame.name) for each in kept.entries] == [
        ("received", None),
        ("sent", None),
        ("received", "text"),
        ("sent", "text"),
        ("received", "close"),
        ("sent", "close"),
    ]
    end.lose()


@pytest.mark.parametrize("dialect", NAMES)
def test_a_tap_in_the_middle_of_a_frame_begins_with_the_next_one(dialect: str) -> None:
    end = ServerEnd(Applications(echo), clock=Clock())
    end.receive(whole_request(dialect))
    message = end.peer.text("hello")
    end.receive(message[:-2])
    tap, kept = tapped(end.protocol)
    end.protocol.tap = tap
    end.receive(message[-2:])
    end.receive(end.peer.text("again"))
    frames = [(each.direction, each.frame.payload) for each in kept.entries if each.frame]
    assert frames == [("sent", b"hello"), ("received", b"again"), ("sent", b"again")]
    end.lose()


@pytest.mark.parametrize("dialect", MODERN)
def test_a_request_that_is_refused_is_shown_before_the_response(dialect: str) -> None:
    end = ServerEnd(Applications(echo), clock=Clock(), origins=["https://other.example"])
    tap, kept = tapped(end.protocol)
    end.protocol.tap = tap
    end.receive(whole_request(dialect))
    assert [each.head[0] for each in kept.entries if each.head] == [
        "GET /demo HTTP/1.1",
        "HTTP/1.1 403 Forbidden",
    ]
    assert kept.entries[-1].size
    end.lose()
