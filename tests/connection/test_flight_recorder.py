"""The flight recorder: the last events of a connection, behind its abnormal end."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock

from support.applications import Applications, echo
from support.dialect_names import CLOSING, MODERN, NAMES
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from txhixie.connection.flight_recorder import MOST_EVENTS, FlightRecorder


def recorded_end(dialect: str = "rfc6455") -> Any:
    """A connection with a recorder, whose conversation is open."""
    clock = Clock()
    end = ServerEnd(Applications(echo), clock=clock, logConnections=True)
    end.factory.recorder = FlightRecorder(lambda: clock)
    end = _Again(end.factory, clock)
    end.receive(whole_request(dialect))
    return end


class _Again(ServerEnd):
    """A further connection of a factory."""

    def __init__(self, factory: Any, clock: Clock) -> None:
        self.factory = factory
        super(ServerEnd, self).__init__(factory.buildProtocol(None), clock)


def recorded(log: Log) -> list[dict[str, Any]]:
    """The events of the recorder."""
    return [event for event in log.events if event.get("event") == "recorded"]


@pytest.mark.parametrize("dialect", NAMES)
def test_an_abnormal_end_has_the_last_events_behind_its_line(dialect: str, log: Log) -> None:
    end = recorded_end(dialect)
    end.clock.advance(1.5)
    end.receive(end.peer.text("hello"))
    end.receive(b"\xc3\x28\xfe")
    end.lose(ConnectionLost())
    events = [event for event in recorded(log) if event.get("frame") != "proof"]
    assert [(each["seconds"], each["direction"]) for each in events[:4]] == [
        (0.0, "received"),
        (0.0, "sent"),
        (1.5, "received"),
        (1.5, "sent"),
    ]
    assert events[0]["head"] == "GET /demo HTTP/1.1"
    assert events[2]["payload"] == "hello"
    names = [event["event"] for event in log.events if "event" in event]
    assert names.index("ended") < names.index("recorded")


@pytest.mark.parametrize("dialect", CLOSING)
@pytest.mark.parametrize("code", [1000, 1001])
def test_a_normal_end_has_none(dialect: str, code: int, log: Log) -> None:
    end = recorded_end(dialect)
    end.receive(end.peer.close(code) if dialect in MODERN else end.peer.close())
    end.lose()
    assert recorded(log) == []


def test_the_last_events_are_kept_and_no_more(log: Log) -> None:
    end = recorded_end()
    for number in range(100):
        end.receive(end.peer.text(f"{number}" * 100))
    end.lose()
    events = recorded(log)
    assert len(events) == MOST_EVENTS
    assert events[-1]["payload"] == "99" * 32 + "..."


def test_no_credential_is_recorded(log: Log) -> None:
    clock = Clock()
    end = ServerEnd(Applications(echo), clock=clock, logConnections=True)
    end.factory.recorder = FlightRecorder(lambda: clock)
    end = _Again(end.factory, clock)
    end.receive(whole_request("rfc6455", "Cookie: a=secret").replace(b"/demo", b"/?token=secret"))
    end.lose()
    assert recorded(log)
    assert "secret" not in str(recorded(log))


def test_the_lines_of_many_abnormal_ends_are_bounded(log: Log) -> None:
    end = recorded_end()
    for _ in range(400):
        again = _Again(end.factory, end.clock)
        again.receive(whole_request("rfc6455"))
        again.lose()
    end.lose()
    assert len(recorded(log)) == 20 * MOST_EVENTS
    end.clock.advance(1)
    assert "repeated" in recorded(log)[-1]
