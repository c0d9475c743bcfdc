"""Writing to a transport; over real sockets, that of a gateway's backend."""

from __future__ import annotations

from txhixie.connection.writer import Writer
from txhixie.testing import Wire


def test_outside_a_read_each_write_leaves_at_once() -> None:
    wire = Wire()
    writer = Writer(wire)
    writer.write(b"a")
    writer.write(b"b", b"c", b"d")
    assert wire.writes == [b"a", b"bcd"]


def test_within_a_read_writes_are_joined() -> None:
    wire = Wire()
    writer = Writer(wire)
    reading = Writer(Wire())
    reading.cork()
    assert not writer.isCorked
    writer.write(b"a")
    writer.write(b"b")
    assert writer.isCorked
    assert (wire.writes, writer.joined) == ([], 2)
    reading.uncork()
    assert not writer.isCorked
    assert (wire.writes, writer.joined) == ([b"ab"], 0)


def test_a_long_payload_is_not_joined_and_keeps_its_place() -> None:
    wire = Wire()
    writer = Writer(wire)
    reading = Writer(Wire())
    reading.cork()
    writer.write(b"a")
    writer.write(b"b", b"long")
    assert wire.writes == [b"a", b"blong"]
    writer.write(b"c")
    reading.uncork()
    assert wire.writes == [b"a", b"blong", b"c"]


def test_discarded_data_is_not_sent() -> None:
    wire = Wire()
    writer = Writer(wire)
    reading = Writer(Wire())
    reading.cork()
    writer.write(b"a")
    writer.forget()
    writer.write(b"b")
    reading.uncork()
    assert wire.writes == [b"b"]


def test_the_unsent_bytes_of_an_unknown_kind_of_transport_are_unknown() -> None:
    assert Writer(Wire()).waiting is None
