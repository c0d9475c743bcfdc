"""A trace: the bytes of a connection as lines of text, in memory and byte by byte."""

from __future__ import annotations

import pytest

from support.chunks import byte_by_byte
from support.dialect_marks import each
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter
from support.frames import MASK, modern_frame
from support.handshake_bytes import KEY3, request, whole_request
from txhixie.sansio.dialects import named
from txhixie.sansio.handshake.mending import NO_CONNECTION
from txhixie.testing import Applications, Pair, Recorder, Trace, echo


@each
def test_a_pair_has_a_trace(dialect: str) -> None:
    client = Recorder()
    pair = Pair.new(Applications(echo), client, dialect=dialect)
    client.transport.sendTextMessage("h\u00e9llo")
    pair.pump()
    client.transport.loseConnection(1000, "bye")
    pair.pump()
    lines = pair.trace.lines
    assert lines[0] == "client  GET / HTTP/1.1"
    assert any(line.startswith("server  HTTP/1.1 101 ") for line in lines)
    said = "'bye'" if dialect in MODERN else "without a code"
    close = f"close 1000 {said}" if dialect in MODERN else f"close {said}"
    told = ["text 'h\\xe9llo'", *([close] if named(dialect).has_close else [])]
    assert [line for line in lines if line.startswith("client  ")][-len(told) :] == [
        f"client  {line}" for line in told
    ]
    assert [line for line in lines if line.startswith("server  ")][-len(told) :] == [
        f"server  {line}" for line in told
    ]
    pair.done()


@each
def test_a_trace_does_not_depend_on_the_cuts_of_the_reads(dialect: str) -> None:
    voice = FrameWriter(dialect, MASK if dialect in MODERN else None)
    data = whole_request(dialect) + voice.text("a", "b") + voice.binary(b"\x00\xff")
    whole, slow = Trace(), Trace()
    whole.passed("client", data)
    for piece in byte_by_byte(data):
        slow.passed("client", piece)
    assert whole.lines == slow.lines
    assert whole.lines[-3:] == [
        "client  text 'a'",
        "client  text 'b'",
        "client  binary 2 bytes 00 ff",
    ]


def test_the_raw_bytes_of_hixie_76_are_shown() -> None:
    trace = Trace()
    trace.passed("client", request("hixie-76"))
    assert trace.passed("client", KEY3[:3]) == []
    assert trace.passed("client", KEY3[3:]) == ["client  8 bytes 5e 6e 3a 64 73 5b 34 55"]


def test_secrets_are_not_shown() -> None:
    """Users paste traces into bug reports."""
    trace = Trace()
    trace.passed("client", request("rfc6455", "Cookie: a=secret", "Authorization: Basic secret"))
    assert "client  Cookie: ..." in trace.lines
    assert "client  Authorization: ..." in trace.lines
    assert "secret" not in "".join(trace.lines)


def test_frames_of_every_kind_are_distinguished() -> None:
    trace = Trace()
    trace.passed("client", request("rfc6455"))
    frames = [
        (modern_frame(1, b"a", final=False, key=MASK), "text 'a', more to come"),
        (modern_frame(0, b"b", key=MASK), "continuation 1 bytes 62"),
        (modern_frame(1, b"abc", reserved=0x40, key=MASK), "text, reserved bits 100, 3 bytes"),
        (modern_frame(9, b"?", key=MASK), "ping 1 bytes 3f"),
        (modern_frame(10, b"", key=MASK), "pong 0 bytes"),
        (modern_frame(1, b"x" * 99, key=MASK), "text '" + "x" * 63 + "..."),
        (modern_frame(1, b"\xff", key=MASK), "text 1 bytes ff"),
        (modern_frame(8, b"", key=MASK), "close without a code"),
        (modern_frame(8, b"\x03", key=MASK), "close broken: close frame payload of 1 byte"),
    ]
    for frame, line in frames:
        assert trace.passed("client", frame) == [f"client  {line}"]


def test_a_protocol_error_is_shown_and_the_rest_is_bytes() -> None:
    trace = Trace()
    trace.passed("client", request("rfc6455"))
    (line,) = trace.passed("client", modern_frame(3, b"a", key=MASK))
    assert line.startswith("client  broken: ")
    assert trace.passed("client", b"\x01\x02") == ["client  2 bytes 01 02"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", "client  4 bytes 72 65 73 74"),
        (b"\xff", "client  broken: this is not HTTP"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
            f"client  broken: {NO_CONNECTION}",
        ),
    ],
)
def test_data_that_is_not_a_handshake_is_shown_as_far_as_it_goes(data: bytes, line: str) -> None:
    trace = Trace()
    trace.passed("client", data)
    assert trace.lines[-1] == line


def test_a_refusal_is_a_head_and_bytes() -> None:
    trace = Trace()
    trace.passed("client", request("rfc6455"))
    trace.passed("server", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    assert trace.lines[-1] == "server  2 bytes 6e 6f"
