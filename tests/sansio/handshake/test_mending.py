"""Mending of requests with deviations: only what is known, and never beyond the strict rules.

``tests/server/test_protocol_quirks.py`` has the requests of real devices.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.dialect_marks import each
from support.handshake_bytes import whole_request
from txhixie.errors import HandshakeError
from txhixie.sansio.handshake.mending import mend, normal_target
from txhixie.sansio.http.head import Head, read_request

LINES = [
    b"Host: example.com",
    b"Host: example.org",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Connection: keep-alive",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Key: AAAA",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Protocol: a;b",
    b"Sec-WebSocket-Extensions: x-webkit-   -frame",
    b"Origin: http://example.com",
    b" folded",
    b"no colon",
    b": no name",
    b"X: \x00",
]
heads = st.builds(
    lambda start, lines: Head(b"\r\n".join([start, *lines, b"", b""])),
    st.sampled_from([b"GET /a HTTP/1.1", b"GET  HTTP/1.1", b"GET a HTTP/1.1", b"POST / HTTP/1.1"]),
    st.lists(st.sampled_from(LINES), max_size=12),
)


@given(heads, st.booleans())
def test_a_mended_head_has_nothing_left_to_mend(head: Head, direct: bool) -> None:
    mended = mend(head, direct=direct)
    if mended is not None:
        assert mended.faults
        assert mend(mended.head, direct=direct) is None


@given(heads)
def test_fields_that_no_quirk_is_about_stay_as_they_are(head: Head) -> None:
    mended = mend(head, direct=True)
    kept = {b"no colon", b" folded", b": no name", b"X: \x00", b"Origin: http://example.com"}
    if mended is not None:
        before, after = (set(each.split(b"\r\n")) for each in (head, mended.head))
        assert before & kept == after & kept


@given(heads)
def test_an_invalid_field_is_not_mended(head: Head) -> None:
    mended = mend(head, direct=True)
    if mended is not None and any(bad in bytes(head) for bad in (b"no colon", b" folded", b"\x00")):
        with pytest.raises(HandshakeError):
            read_request(mended.head)


@each
def test_a_valid_request_has_nothing_to_mend(dialect: str) -> None:
    head = Head(whole_request(dialect).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert mend(head, direct=True) is None


@pytest.mark.parametrize(
    ("target", "normal"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/a//b///c", "/a/b/c"),
        ("/a?b=//c", "/a?b=//c"),
        ("//?a", "/?a"),
        ("//example.com/a", "/a"),
        ("//EXAMPLE.com", "/"),
        ("//example.com:80/a", "/example.com:80/a"),
        ("//example.community/a", "/example.community/a"),
        ("/a//../b", "/a/../b"),
    ],
)
def test_a_normal_target_has_single_slashes_in_its_path(target: str, normal: str) -> None:
    assert normal_target(target, "example.com") == normal
