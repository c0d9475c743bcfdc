"""Replies of Redis that come late, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

txredisapi: Any = pytest.importorskip("txredisapi")
pytest.importorskip("hiredis")

from txhixie.bus.paced_work import TURN_SECONDS  # noqa: E402  (imported with the others)
from txhixie.bus.redis_address import RedisAddress  # noqa: E402  (import txredisapi)
from txhixie.bus.redis_connection import (  # noqa: E402
    REPLY_SECONDS,
    RedisCommands,
    RedisConnection,
    RedisSubscriber,
)


class Connected:
    """
    A connection for commands, without a server.

    :ivar clock: the clock of its timeouts.
    :ivar transport: what was sent.
    """

    def __init__(self, make: Any = RedisCommands) -> None:
        self.clock = Clock()
        address = RedisAddress.of("redis://localhost")
        factory = RedisConnection(self.clock, address, make, list, list)
        self.protocol = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def ask(self) -> list[Any]:
        """Send a command; the list gets its reply, or the failure."""
        found: list[Any] = []
        self.protocol.execute_command("TIME").addBoth(found.append)
        return found


def test_a_reply_that_a_busy_process_reads_late_is_no_timeout() -> None:
    connected = Connected()
    found = connected.ask()
    connected.clock.advance(3 * REPLY_SECONDS)
    assert not connected.transport.disconnecting
    connected.protocol.dataReceived(b"+OK\r\n")
    assert found == [b"OK"]


def test_replies_that_are_read_before_the_one_are_no_silence() -> None:
    connected = Connected()
    first, second = connected.ask(), connected.ask()
    connected.clock.pump([REPLY_SECONDS / 4] * 3)
    connected.protocol.dataReceived(b"+first\r\n")
    connected.clock.pump([REPLY_SECONDS / 4] * 3)
    connected.protocol.dataReceived(b"+second\r\n")
    assert (first, second) == ([b"first"], [b"second"])


def test_a_server_that_is_silent_is_given_up() -> None:
    connected = Connected()
    found = connected.ask()
    connected.clock.pump([REPLY_SECONDS / 4] * 3)
    assert found == []
    connected.clock.pump([REPLY_SECONDS / 4])
    (failure,) = found
    assert failure.check(txredisapi.TimeoutError)
    assert connected.transport.disconnected


def test_messages_that_take_long_leave_turns_and_none_is_lost_at_the_end() -> None:
    connected = Connected(RedisSubscriber)
    heard: list[bytes] = []

    def hear(channel: bytes, data: bytes) -> None:
        heard.append(data)
        connected.clock.rightNow += TURN_SECONDS

    connected.protocol.heard = hear
    messages = [b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n%d\r\n" % number for number in range(4)]
    connected.protocol.dataReceived(b"".join(messages[:3]) + messages[3][:9])
    assert (heard, connected.transport.producerState) == ([b"0"], "paused")
    connected.clock.advance(0)
    assert (heard, connected.transport.producerState) == ([b"0", b"1", b"2"], "producing")
    connected.protocol.dataReceived(messages[3][9:] + messages[0] + messages[1])
    assert heard[3:] == [b"3"]
    connected.protocol.connectionLost()
    assert heard[3:] == [b"3", b"0", b"1"]
