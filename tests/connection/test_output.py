"""The write buffer of one connection: joining of writes, back-pressure, and the limit of unsent
bytes; in memory and over real sockets."""

from __future__ import annotations

import re

import pytest
from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from support import frame_writer, handshake_bytes, memory_connection
from support.applications import Applications, Broken, Recorder, Source
from support.dialect_marks import each
from support.frames import modern_frame
from support.log_recorder import Log
from support.memory_connection import ServerEnd, opened
from support.network import Network
from support.waiting import asynchronous, until
from txhixie import AbruptClose, Limits
from txhixie.connection.output import Output
from txhixie.sansio.wire.frame import BINARY, Side
from txhixie.testing import Wire


def outflow() -> tuple[Output, Wire]:
    """The output of a server's connection, and its transport."""
    end = ServerEnd(Applications(Recorder))
    flow: Output = end.wire.producer
    return flow, end.wire


def test_an_output_is_the_transports_producer() -> None:
    flow, _ = outflow()
    assert isinstance(flow, Output)
    verifyObject(IPushProducer, flow)


def test_held_writes_leave_joined() -> None:
    flow, wire = outflow()
    assert flow.cork()
    assert not flow.cork()
    flow.write(b"a")
    flow.write(b"b")
    assert wire.writes == []
    flow.uncork()
    flow.write(b"c")
    assert wire.writes == [b"ab", b"c"]


def test_without_held_writes_nothing_is_written() -> None:
    flow, wire = outflow()
    flow.cork()
    flow.uncork()
    assert wire.writes == []


def test_held_writes_have_a_bound() -> None:
    flow, wire = outflow()
    flow.cork()
    for _ in range(200):
        flow.write(b"x" * 1024)
    flow.uncork()
    assert len(wire.written) == 200 * 1024
    assert max(map(len, wire.writes)) <= 66 * 1024


def test_parts_leave_at_once_after_the_held_writes() -> None:
    flow, wire = outflow()
    flow.cork()
    flow.write(b"a")
    flow.write(b"b")
    flow.write(b"header", b"payload")
    flow.write(b"c")
    assert wire.writes == [b"ab", b"headerpayload"]
    flow.uncork()
    assert wire.writes == [b"ab", b"headerpayload", b"c"]


def test_data_written_while_the_producer_is_paused_follows_the_parts() -> None:
    """The transport may be full already after the header of the parts."""
    wire = Wire(limit=3)
    flow = Output(ServerEnd(Applications(Recorder)).protocol, wire)

    class Talkative(Source):
        def pauseProducing(self) -> None:
            super().pauseProducing()
            flow.write(b"full")

    source = Talkative()
    flow.attach(source)
    flow.write(b"header", b"payload")
    assert source.told == ["pause"]
    assert wire.written == b"headerpayloadfull"


def test_the_producer_is_paused_and_resumed_once_each() -> None:
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


def test_a_producer_attached_to_a_full_output_is_paused_at_once() -> None:
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


def test_a_detached_producer_is_not_called_again() -> None:
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


def test_a_producer_attached_after_the_end_is_stopped_at_once() -> None:
    """Twisted's transports do the same; otherwise the producer would go on for ever."""
    end, application = opened("hixie-75")
    end.lose()
    source = Source()
    application.transport.attachProducer(source)
    assert source.told == ["stop"]
    end.done()


def test_a_producer_that_writes_when_it_is_resumed_keeps_the_order() -> None:
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
    assert end.wire.written == frame_writer.text("more") * 2
    end.done()


# Data that waits for a peer that does not read.

both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
LITTLE = Limits(unsent_size=10_000)


@both
@each
def test_a_peer_that_does_not_read_is_aborted_at_the_limit_of_unsent_bytes(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side, limits=LITTLE)
    end.wire.producer.pauseProducing()
    for _ in range(9):
        application.transport.sendTextMessage("x" * 1000)
    assert end.wire.endings == []
    application.transport.sendTextMessage("x" * 1000)
    assert end.wire.endings == ["abort"]
    sent = end.wire.taken()
    application.transport.sendTextMessage("x")
    assert end.wire.written == b""
    assert len(sent) <= LITTLE.unsent_size
    end.receive(end.peer.text("not heard"))
    end.lose()
    assert isinstance(application.lost, AbruptClose)
    code, reason, who, clean = application.lost.ended
    assert (code, who, clean) == (1006, "us", False)
    assert re.fullmatch(
        r"send queue of 10,[\d]{3} bytes exceeds our limit of 10,000 \(Limits\.unsent_size\):"
        r" the peer does not read",
        reason,
    )
    assert application.messages == []
    end.done()


def test_a_message_of_any_size_may_be_sent_while_the_buffer_is_not_full() -> None:
    end, application = opened("rfc6455", limits=LITTLE)
    for _ in range(100):
        application.transport.sendTextMessage("x" * 1000)
    application.transport.sendTextMessage("x" * 100_000)
    assert end.wire.endings == []
    end.done()


def test_a_peer_that_reads_again_has_the_whole_limit_again() -> None:
    end, application = opened("rfc6455", limits=LITTLE)
    for _ in range(5):
        end.wire.producer.pauseProducing()
        for _ in range(9):
            application.transport.sendTextMessage("x" * 1000)
        end.wire.producer.resumeProducing()
    assert end.wire.endings == []
    end.done()


def test_the_replies_of_one_read_count_to_the_limit_too() -> None:
    """The case of an echo server, with a peer that sends much and reads nothing."""
    answers = Recorder(text=lambda a: a.transport.sendTextMessage("x" * 1000))
    end, application = opened("rfc6455", answers, limits=Limits(unsent_size=200_000))
    end.wire.producer.pauseProducing()
    for _ in range(10):
        end.receive(end.peer.text("?") * 100)
    assert end.wire.endings == ["abort"]
    assert len(end.wire.written) <= 200_000
    assert len(application.messages) <= 300
    end.lose()
    assert isinstance(application.lost, AbruptClose)
    end.done()


def test_a_peer_that_does_not_read_does_not_affect_the_others() -> None:
    applications = Applications(Recorder)
    end = ServerEnd(applications, limits=LITTLE)
    other = memory_connection.End(end.factory.buildProtocol(None), end.clock)
    for one in (end, other):
        one.receive(handshake_bytes.request("rfc6455"))
    end.wire.producer.pauseProducing()
    applications.made[0].transport.sendTextMessage("x" * 20_000)
    assert end.wire.endings == ["abort"]
    assert other.wire.endings == []
    applications.made[1].transport.sendTextMessage("hello")
    assert other.wire.written.endswith(other.own.text("hello"))
    end.lose()
    other.done()


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_an_error_of_a_producer_that_is_paused_stops_no_message(
    over: str, net: Network, log: Log
) -> None:
    class Raising(Source):
        def pauseProducing(self) -> None:
            super().pauseProducing()
            raise Broken("cannot pause")

    served = Applications(Recorder)
    place = await net.serve(served, over, origins=["*"])
    client = await net.raw(place)
    await client.opens("rfc6455")
    await until(lambda: served.made and served.made[0].told == ["started", "finished"])
    source = Raising()
    served.made[0].transport.attachProducer(source)
    message = bytes(10_000_000)
    served.made[0].transport.sendBytesMessage(message)
    frame = modern_frame(BINARY, message)
    await until(lambda: client.data.endswith(frame))
    assert source.told[0] == "pause"
    assert {type(error) for error in log.tracebacks()} == {Broken}
    assert served.made[0].transport.isOpen
