"""A coding that takes messages of either kind: the quirk ``kinds``."""

from __future__ import annotations

import pytest

from txhixie.byte_streams.coding import CODINGS, Binary, Text
from txhixie.byte_streams.either_kind import EitherKind
from txhixie.errors import FrameError, InvalidUTF8


def test_a_text_message_is_its_bytes_where_binary_is_expected() -> None:
    assert EitherKind(Binary()).decode("h\xe9") == b"h\xc3\xa9"
    assert EitherKind(Binary()).decode(b"\xff") == b"\xff"


@pytest.mark.parametrize(
    ("name", "end"), [("text", b""), ("lines", b"\n"), ("crlf-lines", b"\r\n")]
)
def test_a_binary_message_of_utf_8_is_text_where_text_is_expected(name: str, end: bytes) -> None:
    coding = EitherKind(CODINGS[name]())
    assert coding.decode(b"h\xc3\xa9") == b"h\xc3\xa9" + end
    with pytest.raises(InvalidUTF8, match="binary message that is not UTF-8"):
        coding.decode(b"\xff")


def test_a_message_that_is_wrong_in_either_kind_is_an_error() -> None:
    for message in ("line\nend", b"line\nend"):
        with pytest.raises(FrameError, match="line end inside a message"):
            EitherKind(CODINGS["lines"]()).decode(message)


def test_what_is_sent_is_that_of_the_coding() -> None:
    coding = EitherKind(Text())
    assert coding.name == "text"
    assert coding.encode(b"h\xc3") + coding.encode(b"\xa9") + coding.finish() == ["h", "\xe9"]
    assert not coding.replaced
    assert coding.encode(b"\xff") == ["\ufffd"]
    assert coding.replaced
