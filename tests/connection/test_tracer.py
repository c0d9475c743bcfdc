"""The trace: which connections it has, its lines, and its bounded rate."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from support.applications import Applications, echo
from support.dialect_names import MODERN, NAMES
from support.frames import modern_frame
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import End
from txhixie import HixieServerFactory
from txhixie.connection.tracer import TracePatterns, Tracer


class Traced:
    """A server with a trace, and its connections in memory."""

    def __init__(self, *patterns: str, isOn: bool = True, most: int = 200, **options: Any) -> None:
        self.clock = Clock()
        self.factory = HixieServerFactory(Applications(echo), clock=self.clock, **options)
        self.tracer = Tracer(TracePatterns(patterns), isOn, lambda: self.clock, most)
        self.factory.tracer = self.tracer

    def opened(self, dialect: str = "rfc6455", *fields: str) -> Any:
        """A connection whose conversation is open."""
        end = self.connection()
        end.receive(whole_request(dialect, *fields))
        return end

    def connection(self) -> Any:
        return End(self.factory.buildProtocol(None), self.clock)


def traced(log: Log) -> list[dict[str, Any]]:
    """The events of the trace."""
    return [event for event in log.events if event.get("event") == "trace"]


@pytest.mark.parametrize("dialect", NAMES)
def test_the_frames_of_each_dialect_have_their_lines(dialect: str, log: Log) -> None:
    end = Traced().opened(dialect)
    end.receive(end.peer.text("hello"))
    end.lose()
    lines = [line for line in log.lines() if " frame=" in line and "proof" not in line]
    flags = {"received": "final=1 masked=1 compressed=0 ", "sent": "final=1 masked=0 compressed=0 "}
    whose = "trace connection=1 peer=192.0.2.1:54321 host=example.com target=/demo"
    assert lines == [
        f"{whose} direction={way} frame=text length=5 "
        f"{flags[way] if dialect in MODERN else ''}payload=hello"
        for way in ("received", "sent")
    ]
    heads = [event["head"] for event in traced(log) if "head" in event]
    assert heads[0] == "GET /demo HTTP/1.1"
    assert any(head.startswith("HTTP/1.1 101") for head in heads)


def test_a_payload_is_cut_and_a_close_has_its_code(log: Log) -> None:
    end = Traced().opened()
    end.receive(end.peer.text("x" * 65))
    end.receive(end.peer.close(4000, "enough"))
    end.lose()
    frames = [event for event in traced(log) if "frame" in event]
    assert frames[0]["payload"] == "x" * 64 + "..."
    assert (frames[2]["code"], frames[2]["reason"]) == (4000, "enough")


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"\xff\xfe", "ff fe"),
        (b"a\xc3", "61 c3"),
        (b"x" * 63 + "\u00e9".encode(), "x" * 63 + "..."),
        (b"\xff" + b"x" * 70, "ff" + " 78" * 63 + "..."),
    ],
)
def test_a_text_that_is_not_UTF_8_is_shown_as_hexadecimal_digits(
    payload: bytes, shown: str, log: Log
) -> None:
    end = Traced().opened()
    end.receive(modern_frame(1, payload, key=b"mask"))
    end.lose()
    frames = [event for event in traced(log) if "frame" in event]
    assert (frames[0]["frame"], frames[0]["payload"]) == ("text", shown)


def test_the_reason_of_a_close_that_is_not_UTF_8_is_shown_as_hexadecimal_digits(log: Log) -> None:
    end = Traced().opened()
    end.receive(modern_frame(8, b"\x0f\xa0\xff\xfe", key=b"mask"))
    end.lose()
    frames = [event for event in traced(log) if "frame" in event]
    assert (frames[0]["code"], frames[0]["reason"]) == (4000, "ff fe")


def test_a_compressed_message_is_shown_as_sent(log: Log) -> None:
    end = Traced().opened("rfc6455", "Sec-WebSocket-Extensions: permessage-deflate")
    end.protocol.sendTextMessage("hello" * 500)
    frame = traced(log)[-1]
    assert (frame["compressed"], frame["length"] < 100) == (1, True)
    assert "hello" not in frame["payload"]
    end.lose()


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("192.0.2.1", True),
        ("192.0.2.0/24", True),
        ("192.0.2.2", False),
        ("unix", False),
        ("/demo", True),
        ("/", True),
        ("/dem", False),
        ("/demo/x", False),
        ("rfc6455", True),
        ("hixie-76", False),
    ],
)
def test_a_pattern_is_an_address_a_network_a_path_or_a_dialect(
    pattern: str, matches: bool, log: Log
) -> None:
    end = Traced(pattern).opened()
    end.receive(end.peer.text("hello"))
    assert bool(traced(log)) is matches
    assert (end.protocol.tap is not None) is matches
    end.lose()


def test_one_pattern_of_several_is_enough(log: Log) -> None:
    Traced("192.0.2.2", "/demo", "hixie-76").opened().lose()
    assert traced(log)


@pytest.mark.parametrize("pattern", ["", "chat", "192.0.2.300", "rfc", "10.0.0.1/8"])
def test_another_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an address, a network, a path"):
        TracePatterns([pattern])


def test_a_client_that_is_refused_is_traced_by_its_path(log: Log) -> None:
    end = Traced("/demo", origins=["https://other.example"]).opened()
    assert "HTTP/1.1 403 Forbidden" in [each.get("head") for each in traced(log)]
    end.lose()


def test_a_client_without_a_complete_request_has_its_lines_at_the_end(log: Log) -> None:
    server = Traced()
    end = server.connection()
    end.receive(b"GET /?token=secret HTTP/1.1\r\nAuthorization: Basic c2Vj")
    assert traced(log) == []
    end.lose()
    assert [(each.get("head"), each.get("bytes")) for each in traced(log)] == [
        ("GET /?token=... HTTP/1.1", None),
        (None, 25),
    ]


def test_the_trace_is_turned_on_and_off_for_open_conversations_too(log: Log) -> None:
    server = Traced(isOn=False)
    end = server.opened()
    assert end.protocol.tap is None
    server.factory.trace(True)
    end.receive(end.peer.text("one"))
    server.opened().lose()
    count = len(traced(log))
    assert {event["connection"] for event in traced(log)} == {1, 2}
    server.factory.trace(False)
    assert end.protocol.tap is None
    end.receive(end.peer.text("two"))
    server.opened().lose()
    assert len(traced(log)) == count
    end.lose()


def test_lines_beyond_the_rate_are_left_out_and_counted(log: Log) -> None:
    server = Traced(most=20)
    end = server.opened()
    end.receive(end.peer.text("hello") * 50)
    server.clock.advance(1)
    lines = traced(log)
    assert len(lines) == 21
    assert lines[-1]["reason"] == "more than 20 lines of the trace within a second"
    end.receive(end.peer.text("hello"))
    assert len(traced(log)) == 23
    end.lose()
    assert lines[-1]["repeated"] > 80


def test_left_out_lines_are_counted_when_the_trace_ends(log: Log) -> None:
    server = Traced(most=5)
    end = server.opened()
    server.factory.trace(False)
    assert "repeated" in traced(log)[-1]
    assert not server.clock.getDelayedCalls() or end.protocol.connected
    end.lose()


def test_a_factory_without_a_tracer_is_not_traced() -> None:
    factory = HixieServerFactory(Applications(echo), clock=(clock := Clock()))
    end = End(factory.buildProtocol(None), clock)
    factory.trace(True)
    assert end.protocol.tap is None
    end.lose()


def test_a_later_factory_continues_the_trace_with_its_own_patterns(log: Log) -> None:
    before, after = Traced("/demo"), Traced("hixie-76")
    after.factory.succeed(before.factory)
    assert after.factory.tracer is before.tracer
    after.opened().lose()
    assert traced(log) == []
    after.opened("hixie-76").lose()
    assert traced(log)
