"""Messages on a server: with the envelope of a process of txhixie, and from other programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.bus.bus import BusMessage
from txhixie.bus.envelope import enclosed, opened


@given(
    st.one_of(
        st.text().map(lambda text: (True, text.encode())), st.tuples(st.just(False), st.binary())
    )
)
def test_a_message_comes_out_of_its_envelope_as_it_was(
    kind_and_payload: tuple[bool, bytes],
) -> None:
    message = BusMessage("node-7", *kind_and_payload)
    assert opened(enclosed(b"node", message), lambda: "9", 1000) == (b"node", message)


def test_an_envelope_is_one_line_that_no_text_can_begin() -> None:
    message = BusMessage("n-1", True, "Grüße\n".encode())
    assert enclosed(b"n", message) == "n t n-1\nGrüße\n".encode().join((b"\xff", b""))


@pytest.mark.parametrize(
    ("data", "is_text"), [(b"hello", True), (b"", True), (b"12", True), (b"\xfe\xff", False)]
)
def test_without_an_envelope_it_is_a_text_or_else_binary(data: bytes, is_text: bool) -> None:
    assert opened(data, lambda: "5-0", 1000) == (None, BusMessage("5-0", is_text, data))


def test_a_text_in_an_envelope_that_is_not_utf8_is_binary() -> None:
    found = opened(b"\xffn t n-1\n\xc3", lambda: "5-0", 1000)
    assert found == (b"n", BusMessage("n-1", False, b"\xc3"))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\xff\n",
        b"\xffn t\nx",
        b"\xffn x n-1\nx",
        b"\xffn t n-1 more\nx",
        b"\xff\xc3 t n-1\nx",
        b"\xffn t " + b"9" * 200 + b"\nx",
    ],
)
def test_a_wrong_envelope_is_no_message(data: bytes) -> None:
    assert opened(data, lambda: "5-0", 1000) is None


@pytest.mark.parametrize("node", [None, b"node"])
def test_a_longer_payload_than_allowed_is_no_message(node: bytes | None) -> None:
    for size in (10, 11):
        payload = b"x" * size
        message = BusMessage("5-0", True, payload)
        data = payload if node is None else enclosed(node, message)
        expected = (node, message) if size == 10 else None
        assert opened(data, lambda: "5-0", 10) == expected
