"""The way out of one connection, by itself."""

from __future__ import annotations

import pytest
from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from support import connection
from support.connection import Applications, Recorder, ServerEnd, Source, Wire, opened
from txhixie.outflow import Outflow

log = connection.log


def outflow() -> tuple[Outflow, Wire]:
    """One of a server's, and its transport."""
    end = ServerEnd(Applications(Recorder))
    flow: Outflow = end.wire.producer
    return flow, end.wire


def test_it_is_the_transports_producer() -> None:
    flow, _ = outflow()
    assert isinstance(flow, Outflow)
    verifyObject(IPushProducer, flow)


def test_what_is_held_leaves_joined() -> None:
    flow, wire = outflow()
    assert flow.hold()
    assert not flow.hold()
    flow.write(b"a")
    flow.write(b"b")
    assert wire.writes == []
    flow.release()
    flow.write(b"c")
    assert wire.writes == [b"ab", b"c"]


def test_nothing_held_is_nothing_written() -> None:
    flow, wire = outflow()
    flow.hold()
    flow.release()
    assert wire.writes == []


def test_what_is_held_does_not_grow_for_ever() -> None:
    flow, wire = outflow()
    flow.hold()
    for _ in range(200):
        flow.write(b"x" * 1024)
    flow.release()
    assert len(wire.written) == 200 * 1024
    assert max(map(len, wire.writes)) <= 66 * 1024


def test_the_producer_hears_each_thing_once() -> None:
    flow, _ = outflow()
    source = Source()
    flow.resumeProducing()
    flow.attach(source)
    assert source.told == []
    for _ in range(3):
        flow.pauseProducing()
    for _ in range(3):
        flow.resumeProducing()
    assert source.told == ["pause", "resume"]


def test_who_is_attached_while_it_is_full_is_paused_at_once() -> None:
    flow, _ = outflow()
    flow.pauseProducing()
    source = Source()
    flow.attach(source)
    flow.resumeProducing()
    assert source.told == ["pause", "resume"]


def test_there_is_one_producer() -> None:
    flow, _ = outflow()
    first = Source()
    second = Source()
    flow.attach(first)
    with pytest.raises(RuntimeError):
        flow.attach(second)
    flow.detach()
    flow.attach(second)
    flow.pauseProducing()
    assert (first.told, second.told) == ([], ["pause"])


def test_who_was_detached_hears_nothing_more() -> None:
    flow, _ = outflow()
    source = Source()
    flow.attach(source)
    flow.pauseProducing()
    flow.detach()
    flow.resumeProducing()
    flow.stopProducing()
    assert source.told == ["pause"]


def test_at_the_end_the_producer_is_stopped_once() -> None:
    end, application = opened("hixie-75")
    source = Source()
    application.transport.attachProducer(source)
    flow = end.wire.producer
    flow.stopProducing()  # as TCP's FileDescriptor does, before its protocol hears of it
    end.lose()
    assert source.told == ["stop"]
    end.done()


def test_who_is_attached_when_it_is_over_is_stopped_at_once() -> None:
    """As every transport of Twisted's does; otherwise it would produce for ever."""
    end, application = opened("hixie-75")
    end.lose()
    source = Source()
    application.transport.attachProducer(source)
    assert source.told == ["stop"]
    end.done()


def test_a_producer_that_writes_when_it_is_resumed_is_heard_in_order() -> None:
    end, application = opened("hixie-75")

    class Eager(Source):
        def resumeProducing(self) -> None:
            super().resumeProducing()
            application.transport.sendTextMessage("more")
            if len(self.told) < 4:
                end.wire.producer.pauseProducing()
                end.wire.producer.resumeProducing()

    eager = Eager()
    application.transport.attachProducer(eager)
    end.wire.producer.pauseProducing()
    end.wire.producer.resumeProducing()
    assert eager.told == ["pause", "resume", "pause", "resume"]
    assert end.wire.written == connection.text("more") * 2
    end.done()
