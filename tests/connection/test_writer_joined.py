"""Writes that one read causes on connections other than its own."""

from __future__ import annotations

import asyncio

import pytest

from connection.test_output import outflow
from support.applications import Recorder, Source
from support.log_recorder import Log
from support.memory_connection import opened


class Raising(Source):
    """A producer that raises when it is paused inside a write."""

    def pauseProducing(self) -> None:
        raise RuntimeError("no")


def test_the_writes_of_a_read_to_another_connection_leave_in_one_write() -> None:
    read, own = outflow()
    other, wire = outflow()
    read.cork()
    for data in (b"a", b"b", b"c"):
        other.write(data)
    read.write(b"d")
    assert wire.writes == []
    read.uncork()
    assert (own.writes, wire.writes) == ([b"d"], [b"abc"])


def test_after_the_read_each_write_leaves_at_once() -> None:
    read, _ = outflow()
    other, wire = outflow()
    read.cork()
    other.write(b"a")
    read.uncork()
    other.write(b"b")
    other.write(b"c")
    assert wire.writes == [b"a", b"b", b"c"]


def test_the_joined_writes_to_another_connection_have_a_bound_too() -> None:
    read, _ = outflow()
    other, wire = outflow()
    read.cork()
    for _ in range(200):
        other.write(b"x" * 1024)
    assert len(wire.written) > 100 * 1024
    read.uncork()
    assert len(wire.written) == 200 * 1024


def test_a_read_inside_a_read_writes_the_joined_data_of_the_outer_one() -> None:
    outer, _ = outflow()
    inner, own = outflow()
    other, wire = outflow()
    outer.cork()
    inner.cork()
    inner.write(b"a")
    other.write(b"b")
    inner.uncork()
    assert (own.writes, wire.writes) == ([b"a"], [])
    outer.uncork()
    assert wire.writes == [b"b"]


def test_a_connection_that_ends_during_the_read_has_sent_its_joined_data() -> None:
    read, _ = outflow()
    other, wire = outflow()
    read.cork()
    other.write(b"a")
    other.write(b"b")
    other.drop()
    assert [call for call in wire.calls if call[0] != "no delay"] == [
        ("write", b"ab"),
        ("lose write",),
    ]
    read.uncork()
    assert wire.writes == [b"ab"]


def test_an_aborted_connection_sends_nothing_more() -> None:
    read, _ = outflow()
    other, wire = outflow()
    read.cork()
    other.write(b"a")
    other.abort()
    read.uncork()
    assert (wire.writes, wire.endings) == ([], ["abort"])


def test_an_error_of_one_producer_does_not_delay_other_connections(log: Log) -> None:
    read, _ = outflow()
    failing, full = outflow()
    other, wire = outflow()
    failing.attach(Raising())
    full._limit = 1  # private: Output has one limit, of 64 KiB, which no option sets
    read.cork()
    failing.write(b"aa")
    other.write(b"b")
    read.uncork()
    other.write(b"c")
    assert wire.writes == [b"b", b"c"]
    assert [str(error) for error in log.tracebacks()] == ["no"]
    failing.write(b"d")
    assert full.writes == [b"aa", b"d"]


@pytest.mark.parametrize("how", ["read", "resumed"])
def test_even_a_BaseException_of_a_producer_does_not_delay_other_connections(how: str) -> None:
    """An asyncio.CancelledError is not an Exception, nor is the SystemExit of sys.exit()."""

    def leave(app: Recorder) -> None:
        raise asyncio.CancelledError

    end, application = opened("rfc6455", Recorder(text=leave))
    other, talking = opened("rfc6455")
    data = end.peer.text("hi")
    if how == "resumed":
        application.transport.pauseProducing()
        end.receive(data)
    with pytest.raises(asyncio.CancelledError):
        application.transport.resumeProducing() if how == "resumed" else end.receive(data)
    talking.transport.sendTextMessage("are you there?")
    assert other.wire.writes[-1:] == [other.own.text("are you there?")]
    end.done()
    other.done()


class Leaving(Source):
    """A producer that ends the program when it is paused inside a write."""

    def pauseProducing(self) -> None:
        raise SystemExit


def test_after_a_BaseException_of_a_producer_the_other_connections_send_with_the_next_read() -> (
    None
):
    read, _ = outflow()
    leaving, full = outflow()
    first, second = outflow(), outflow()
    leaving.attach(Leaving())
    full._limit = 1  # private: Output has one limit, of 64 KiB, which no option sets
    read.cork()
    for each in (leaving, first[0], second[0]):
        each.write(b"aa")
    with pytest.raises(SystemExit):
        read.uncork()
    for other, _ in (first, second):
        other.write(b"b")
    read.cork()
    read.uncork()
    assert [wire.written for _, wire in (first, second)] == [b"aab", b"aab"]
    for other, wire in (first, second):
        other.write(b"c")
        assert wire.writes[-1] == b"c"
