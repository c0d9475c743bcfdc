"""A message for many connections: what it takes, and what it encodes once."""

from __future__ import annotations

import pytest

from txhixie import PreparedMessage
from txhixie.sansio.wire.frame import BINARY, TEXT


def test_text_and_bytes_have_the_opcodes_of_their_kinds() -> None:
    text, data = PreparedMessage("grüße"), PreparedMessage(b"\xff")
    assert (text.opcode, text.payload, text.size) == (TEXT, "grüße".encode(), 7)
    assert (data.opcode, data.payload, data.size) == (BINARY, b"\xff", 1)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_bytes_like_object_is_copied(kind: type[bytearray | memoryview]) -> None:
    below = bytearray(b"one")
    message = PreparedMessage(kind(below))
    below[:] = b"two"
    assert message.payload == b"one"


def test_another_type_is_an_error() -> None:
    with pytest.raises(TypeError, match="a message: expected str or bytes, not list"):
        PreparedMessage([1])  # type: ignore[arg-type]  # the test passes a wrong type
    with pytest.raises(UnicodeEncodeError):
        PreparedMessage("\ud800")


def test_a_payload_is_encoded_once_for_each_encoding() -> None:
    calls = []

    def encode(payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        calls.append((payload, compress))
        return payload[::-1], 0x40

    message = PreparedMessage(b"abc", compress=True)
    for encoding in ("small", "small", "large", "small"):
        assert message.encoded(encoding, encode) == (b"cba", 0x40)
    assert calls == [(b"abc", True)] * 2
