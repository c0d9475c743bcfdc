"""Bytes towards a transport; over real sockets, those of a gateway's backend."""

from __future__ import annotations

from txhixie.sender import Sender
from txhixie.testing import Wire
from txhixie.turn import TURN


def test_outside_a_read_each_write_leaves_at_once() -> None:
    wire = Wire()
    sender = Sender(wire)
    sender.write(b"a")
    sender.write(b"b", b"c", b"d")
    assert wire.writes == [b"a", b"bcd"]


def test_within_a_read_writes_are_joined() -> None:
    wire = Wire()
    sender = Sender(wire)
    TURN.begin()
    assert not sender.holds
    sender.write(b"a")
    sender.write(b"b")
    assert sender.holds
    assert (wire.writes, sender.joined) == ([], 2)
    TURN.end()
    assert not sender.holds
    assert (wire.writes, sender.joined) == ([b"ab"], 0)


def test_a_long_payload_is_not_joined_and_keeps_its_place() -> None:
    wire = Wire()
    sender = Sender(wire)
    TURN.begin()
    sender.write(b"a")
    sender.write(b"b", b"long")
    assert wire.writes == [b"a", b"blong"]
    sender.write(b"c")
    TURN.end()
    assert wire.writes == [b"a", b"blong", b"c"]


def test_what_is_forgotten_is_not_sent() -> None:
    wire = Wire()
    sender = Sender(wire)
    TURN.begin()
    sender.write(b"a")
    sender.forget()
    sender.write(b"b")
    TURN.end()
    assert wire.writes == [b"b"]


def test_how_much_waits_in_a_transport_of_another_kind_is_not_known() -> None:
    assert Sender(Wire()).waiting is None
