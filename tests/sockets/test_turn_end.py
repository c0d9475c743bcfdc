"""Calls at the end of a turn of the reactor, by themselves and for real connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import pytest
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.python.log import msg

from support.applications import Applications, Recorder
from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, until
from txhixie.sansio.wire.frame import CLOSE, TEXT
from txhixie.sockets.turn_end import turnEndOf

CLOSED: Final = modern_frame(CLOSE, b"\x03\xe8")
"""The frame that answers a close with the code 1000."""


class Transport:
    """A transport of a reactor that is a clock; it keeps its calls."""

    def __init__(self, clock: Clock, name: str, calls: list[str]) -> None:
        self.reactor = clock
        self.name = name
        self.calls = calls

    def logPrefix(self) -> str:
        """Return the name."""
        return self.name

    def send(self) -> None:
        """Keep the call."""
        self.calls.append(f"{self.name} sends")

    def connectionLost(self, reason: Failure) -> None:
        """Keep the call."""
        assert reason is connectionDone
        self.calls.append(f"{self.name} ends")


def test_all_send_before_any_ends_by_one_call_of_the_reactor() -> None:
    clock, calls = Clock(), list[str]()
    one, two, three = [Transport(clock, name, calls) for name in ("one", "two", "three")]
    turnEndOf(one).ends.append(one)
    turnEndOf(two).sends.append((two, two.send))
    turnEndOf(three).sends.append((three, three.send))
    turnEndOf(three).ends.append(three)
    assert (len(clock.getDelayedCalls()), calls) == (1, [])
    clock.advance(0)
    assert calls == ["two sends", "three sends", "one ends", "three ends"]
    assert clock.getDelayedCalls() == []


def test_a_transport_that_sends_its_last_bytes_ends_in_the_same_turn() -> None:
    clock, calls = Clock(), list[str]()
    one = Transport(clock, "one", calls)

    def send() -> None:
        one.send()
        turnEndOf(one).ends.append(one)

    turnEndOf(one).sends.append((one, send))
    clock.advance(0)
    assert calls == ["one sends", "one ends"]


def test_bytes_that_a_call_adds_are_sent_too() -> None:
    clock, calls = Clock(), list[str]()
    one = Transport(clock, "one", calls)
    turnEndOf(one).sends.append((one, lambda: turnEndOf(one).sends.append((one, one.send))))
    clock.advance(0)
    assert calls == ["one sends"]


def test_an_error_is_logged_with_its_connection_and_stops_no_other_call(log: Log) -> None:
    clock, calls = Clock(), list[str]()

    class Broken(Transport):
        def send(self) -> None:
            raise RuntimeError("cannot send")

        def connectionLost(self, reason: Failure) -> None:
            raise RuntimeError("cannot end")

    one, two = Broken(clock, "one", calls), Transport(clock, "two", calls)
    for each in (one, two):
        turnEndOf(each).sends.append((each, each.send))
        turnEndOf(each).ends.append(each)
    clock.advance(0)
    assert calls == ["two sends", "two ends"]
    assert [event["system"] for event in log.everything if event.get("isError")] == ["one", "one"]
    assert [str(error) for error in log.tracebacks()] == ["cannot send", "cannot end"]


def test_calls_are_made_though_the_call_of_the_reactor_was_cancelled() -> None:
    """``trial`` does that with the calls that are pending after a test."""
    clock, calls = Clock(), list[str]()
    one, two = [Transport(clock, name, calls) for name in ("one", "two")]
    turnEndOf(one).ends.append(one)
    (pending,) = clock.getDelayedCalls()
    pending.cancel()
    turnEndOf(two).ends.append(two)
    clock.advance(0)
    assert calls == ["one ends", "two ends"]


def test_each_reactor_has_its_own_turn() -> None:
    calls = list[str]()
    one, two = [Transport(Clock(), name, calls) for name in ("one", "two")]
    for each in (one, two):
        turnEndOf(each).ends.append(each)
    two.reactor.advance(0)
    assert calls == ["two ends"]
    one.reactor.advance(0)
    assert calls == ["two ends", "one ends"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_makes_no_call_of_its_parent() -> None:
    clock, calls = Clock(), list[str]()
    one = Transport(clock, "one", calls)
    turnEndOf(one).sends.append((one, one.send))
    turnEndOf(one).ends.append(one)
    if (child := os.fork()) == 0:
        clock.advance(0)
        os._exit(len(calls))
    assert os.waitpid(child, 0) == (child, 0)
    clock.advance(0)
    assert calls == ["one sends", "one ends"]


# Connections of a server. Its reactor receives their requests in one turn.

COUNT: Final = 10


async def asked(
    net: Network, make: Callable[[list[Any]], Any], isMoved: bool = True
) -> tuple[list[Any], list[Raw], Place]:
    """
    Send the requests of several clients in one turn of the reactor.

    :param make: makes an application; its argument has those that were made before.
    :return: the applications, the clients and the server.
    """
    made: list[Any] = []

    def application() -> Any:
        made.append(make(made[:]))
        return made[-1]

    place = await net.serve(Applications(application), origins=["*"], connectionPoller=isMoved)
    raws = [await net.raw(place) for _ in range(COUNT)]
    await until(lambda: len(place.factory.connections) == COUNT)
    for raw in raws:
        raw.send(whole_request("rfc6455"))
    return made, raws, place


async def opened(
    net: Network, make: Callable[[list[Any]], Any], isMoved: bool = True
) -> tuple[list[Any], list[Raw]]:
    """Do the same, and wait until each client has its response."""
    made, raws, _ = await asked(net, make, isMoved)
    for raw in raws:
        await raw.reads(b"\r\n\r\n")
    return made, raws


def frames_of(raw: Raw) -> bytes:
    """Return what a client has received behind its response."""
    head, _, rest = bytes(raw.data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return rest


@pytest.mark.parametrize("isMoved", [True, False], ids=["poller", "reactor"])
@asynchronous
async def test_a_response_waits_for_the_end_of_the_turn_unless_the_option_is_off(
    net: Network, isMoved: bool
) -> None:
    unsent: list[int] = []

    class Looking(Recorder):
        def __init__(self, before: list[Any]) -> None:
            super().__init__()
            self.before = before

        def negotiationFinished(self) -> None:
            super().negotiationFinished()
            unsent.extend(each.transport.unsent for each in self.before)

    await opened(net, Looking, isMoved)
    assert any(unsent) == isMoved


@asynchronous
async def test_messages_of_other_connections_come_behind_the_response(net: Network) -> None:
    class Greeting(Recorder):
        def __init__(self, before: list[Any]) -> None:
            super().__init__()
            self.before = before

        def negotiationFinished(self) -> None:
            super().negotiationFinished()
            self.transport.sendTextMessage("welcome")
            for each in self.before:
                each.transport.sendTextMessage("another one")

    _, raws = await opened(net, Greeting)
    for number, raw in enumerate(raws):
        others = COUNT - 1 - number
        wanted = modern_frame(TEXT, b"welcome") + others * modern_frame(TEXT, b"another one")
        await raw.reads(wanted)
        assert frames_of(raw) == wanted


@asynchronous
async def test_connections_that_another_one_closes_have_their_response_and_the_close(
    net: Network,
) -> None:
    class Closing(Recorder):
        def __init__(self, before: list[Any]) -> None:
            super().__init__()
            self.before = before

        def negotiationFinished(self) -> None:
            super().negotiationFinished()
            if len(self.before) == COUNT - 1:
                for each in (*self.before, self):
                    each.transport.loseConnection(1000)

    made, raws = await opened(net, Closing)
    for raw in raws:
        await raw.reads(CLOSED)
        assert frames_of(raw) == CLOSED
        raw.send(modern_frame(CLOSE, b"\x03\xe8", key=MASK))
    for raw in raws:
        await raw.ends()
    await until(lambda: all(each.lost for each in made))
    assert all([name for name, *_ in each.events].count("lost") == 1 for each in made)


@asynchronous
async def test_a_connection_that_another_one_aborts_ends_once(net: Network) -> None:
    class Aborting(Recorder):
        def __init__(self, before: list[Any]) -> None:
            super().__init__()
            self.before = before

        def negotiationFinished(self) -> None:
            super().negotiationFinished()
            if len(self.before) == COUNT - 1:
                for each in self.before[1:]:
                    each.transport.abortConnection()

    made, raws, place = await asked(net, Aborting)
    await until(lambda: len([each for each in made if each.lost]) == COUNT - 2)
    await until(lambda: len(place.factory.connections) == 2)
    await until(lambda: len([raw for raw in raws if raw.reason is None]) == 2)
    for each in made:
        names = [name for name, *_ in each.events]
        assert names.count("lost") == (0 if each in (made[0], made[-1]) else 1)


@asynchronous
async def test_a_line_of_an_ended_connection_has_its_prefix(net: Network, log: Log) -> None:
    class Telling(Recorder):
        def connectionLost(self, reason: Failure) -> None:
            msg("has ended", expected=self.transport.transport.logPrefix())
            super().connectionLost(reason)

    applications = Applications(Telling)
    place = await net.serve(applications, origins=["*"])
    raws = [await net.raw(place) for _ in range(2)]
    for raw in raws:
        await raw.opens("rfc6455")
    for raw in raws:
        raw.send(modern_frame(CLOSE, b"\x03\xe8", key=MASK))
    for raw in raws:
        await raw.reads(CLOSED)
        await raw.ends()
    await until(lambda: all(each.lost for each in applications.made))
    told = [event for event in log.everything if "expected" in event]
    assert [event["system"] for event in told] == [event["expected"] for event in told]
    assert len({event["system"] for event in told}) == 2
