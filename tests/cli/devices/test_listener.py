"""Bounds of the server that examines devices: connections, time, and what is kept of each."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from support.handshake_bytes import whole_request
from txhixie import testing
from txhixie.cli.devices.examination import Examination, Result
from txhixie.cli.devices.listener import MOST_CONNECTIONS, Examiner

PEER = IPv4Address("TCP", "192.0.2.7", 40000)
REQUEST = whole_request("rfc6455")


class Told:
    """
    An examiner, and what it has told.

    :ivar results: the results, and ``None`` for the end of an examination.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.results: list[Result | None] = []
        self.last: Examination | None = None
        self.examiner = Examiner(self.clock, 30.0, self._tell)

    def _tell(self, examination: Examination, result: Result | None) -> None:
        self.last = examination
        self.results.append(result)

    def connect(self) -> testing.End[Any]:
        return testing.End(self.examiner.buildProtocol(PEER), self.clock)


def test_too_many_connections_are_closed_at_once() -> None:
    told = Told()
    ends = [told.connect() for _ in range(MOST_CONNECTIONS)]
    assert told.examiner.buildProtocol(PEER) is None
    ends[0].lose()
    assert told.examiner.buildProtocol(PEER) is not None


def test_a_device_that_sends_no_request_is_examined_for_ten_seconds() -> None:
    told = Told()
    end = told.connect()
    end.receive(REQUEST[:-2])
    told.clock.advance(10)
    assert end.wire.written.startswith(b"HTTP/1.1 408 ")
    end.lose()
    assert told.results[-1] is None
    assert told.last is not None
    (found,) = told.last.deviations
    assert found.text.startswith("the head of the request has no end")


def test_an_examination_ends_after_its_time() -> None:
    told = Told()
    end = told.connect()
    end.receive(REQUEST)
    for _ in range(31):
        told.clock.advance(1)
        end.receive(b"\x8a\x80" + bytes(4))  # a pong: the device is alive
    assert end.wire.written.endswith(b"\x88\x12\x03\xe9maximum lifetime")
    end.lose()
    assert told.last is not None
    assert (told.last.deviations, told.last.ending) == ([], "the examination is over")


def test_what_is_kept_of_a_device_does_not_grow() -> None:
    told = Told()
    end = told.connect()
    end.receive(REQUEST)
    for _ in range(20):
        end.receive(1000 * (b"\x81\x81" + bytes(4) + b"a"))
    assert told.last is not None
    assert len(told.last.headers) == 200
    assert told.last.size == len(REQUEST) + 20 * 7000
    end.lose()
    told.clock.pump([0.0] * 20)  # a turn of the reactor delivers a part of the messages
    assert told.results[-2:] == [
        Result(
            "frames",
            True,
            ("20,000 messages; disconnected without a close frame, which is always accepted",),
        ),
        None,
    ]


def test_nothing_is_sent_but_what_the_protocol_needs() -> None:
    told = Told()
    end = told.connect()
    end.receive(REQUEST + b"\x81\x82" + bytes(4) + b"hi" + b"\x89\x82" + bytes(4) + b"hi")
    head, _, frames = bytes(end.wire.written).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frames == b"\x8a\x02hi"  # the pong


def test_a_request_for_a_page_is_refused() -> None:
    told = Told()
    end = told.connect()
    end.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert end.wire.written.startswith(b"HTTP/1.1 404 ")
