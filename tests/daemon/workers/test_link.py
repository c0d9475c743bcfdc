"""The link between the parent and a worker: packets in order, and bounded buffers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.log_recorder import Log
from support.turns import be_busy, counting
from support.waiting import asynchronous, reactor, until
from txhixie.daemon.workers.link import MOST_LINK_BYTES, Kind, WorkerLink, adoptLink, linkPair

MEBIBYTE = 1024 * 1024


@pytest.fixture
def ends() -> Iterator[tuple[WorkerLink, WorkerLink]]:
    """Both ends of a link, in one process."""
    here, other = linkPair(reactor)
    there = adoptLink(reactor, other.detach())
    yield here, there
    here.transport.abortConnection()  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None
    there.transport.abortConnection()  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None


def transport(link: WorkerLink) -> Any:
    """The transport of an end."""
    return link.transport


@asynchronous
async def test_packets_of_each_kind_arrive_in_order(ends: tuple[WorkerLink, WorkerLink]) -> None:
    here, there = ends
    heard: list[tuple[Kind, bytes]] = []

    def hear(kind: Kind, payload: bytes) -> None:
        heard.append((kind, payload))

    for kind in Kind:
        there.handle(kind, partial(hear, kind))
    sent = [(kind, b"%d" % number) for number in range(100) for kind in Kind]
    sent += [(Kind.BUS, b""), (Kind.BUS, bytes(range(256)) * 12_000), (Kind.LEDGER, b"last")]
    for kind, payload in sent:
        assert here.send(kind, payload)
    await until(lambda: len(heard) == len(sent))
    assert heard == sent
    assert not here.dropped


@asynchronous
async def test_packets_that_take_long_leave_turns_and_none_is_lost_at_the_end(
    ends: tuple[WorkerLink, WorkerLink],
) -> None:
    here, there = ends
    heard: list[bytes] = []
    seen: list[int] = []
    with counting() as turns:

        def hear(payload: bytes) -> None:
            heard.append(payload)
            seen.append(turns.number)
            be_busy()

        there.handle(Kind.BUS, hear)
        sent = [b"%d" % number for number in range(10)]
        for payload in sent:
            here.send(Kind.BUS, payload)
        await until(lambda: len(heard) == 5)
        assert len({*seen}) == 5
        transport(there).abortConnection()
        await until(lambda: not there.connected)
    assert heard == sent


@asynchronous
async def test_both_ends_send(ends: tuple[WorkerLink, WorkerLink]) -> None:
    here, there = ends
    heard: list[bytes] = []
    there.handle(Kind.LEDGER, lambda payload: there.send(Kind.LEDGER, payload + b"!"))
    here.handle(Kind.LEDGER, heard.append)
    here.send(Kind.LEDGER, b"hello")
    await until(lambda: heard)
    assert heard == [b"hello!"]


@asynchronous
async def test_what_a_process_does_not_read_is_bounded_dropped_and_counted(
    ends: tuple[WorkerLink, WorkerLink],
) -> None:
    here, there = ends
    heard: list[bytes] = []
    there.handle(Kind.BUS, heard.append)
    transport(there).pauseProducing()
    sent = [here.send(Kind.BUS, b"%07d" % number * 10_000) for number in range(200)]
    kept = [number for number, each in enumerate(sent) if each]
    assert here.dropped[Kind.BUS] == sent.count(False) > 0
    assert 0 < here.waiting <= MOST_LINK_BYTES
    assert here.send(Kind.LEDGER, b"an answer"), "the ledger has room of its own"
    transport(there).resumeProducing()
    await until(lambda: len(heard) == len(kept))
    assert [int(each[:7]) for each in heard] == kept
    assert here.waiting == 0
    assert here.send(Kind.BUS, b"again")
    await until(lambda: heard[-1] == b"again")


@asynchronous
async def test_packets_of_every_kind_are_bounded(ends: tuple[WorkerLink, WorkerLink]) -> None:
    here, there = ends
    transport(there).pauseProducing()
    for _ in range(20):
        here.send(Kind.SURVEY, b"x" * MEBIBYTE)
    assert here.dropped[Kind.SURVEY] > 0
    assert here.waiting <= MOST_LINK_BYTES + MEBIBYTE


@asynchronous
async def test_a_packet_larger_than_the_buffer_is_sent_where_nothing_waits(
    ends: tuple[WorkerLink, WorkerLink],
) -> None:
    here, there = ends
    heard: list[bytes] = []
    there.handle(Kind.BUS, heard.append)
    assert here.send(Kind.BUS, b"x" * (MOST_LINK_BYTES + MEBIBYTE))
    assert here.send(Kind.BUS, b"y" * (MOST_LINK_BYTES + MEBIBYTE))
    assert not here.send(Kind.BUS, b"z")
    await until(lambda: len(heard) == 2)
    assert here.send(Kind.BUS, b"z")
    await until(lambda: len(heard) == 3)


@asynchronous
async def test_an_error_in_a_function_disturbs_no_other_packet(
    ends: tuple[WorkerLink, WorkerLink], log: Log
) -> None:
    here, there = ends
    heard: list[bytes] = []

    def fail(payload: bytes) -> None:
        raise ZeroDivisionError

    there.handle(Kind.LEDGER, fail)
    there.handle(Kind.BUS, heard.append)
    here.send(Kind.LEDGER, b"bad")
    here.send(Kind.STATE, b"without a function")
    here.send(Kind.BUS, b"good")
    await until(lambda: heard)
    log.hasStubs = True  # the failure is about no connection
    (error,) = log.tracebacks()
    assert isinstance(error, ZeroDivisionError)
    assert heard == [b"good"]


@asynchronous
async def test_a_lost_link_is_told_and_drops_what_is_sent(
    ends: tuple[WorkerLink, WorkerLink],
) -> None:
    here, there = ends
    told: list[str] = []
    here.whenLost(lambda: told.append("bus"))
    here.whenLost(lambda: told.append("ledger"))
    transport(here).pauseProducing()
    there.close()
    transport(here).resumeProducing()
    await until(lambda: told)
    assert told == ["bus", "ledger"]
    assert not here.send(Kind.LEDGER, b"late")
    assert here.dropped == {Kind.LEDGER: 1}


@asynchronous
async def test_a_link_is_closed_after_the_packets_that_wait(
    ends: tuple[WorkerLink, WorkerLink],
) -> None:
    here, there = ends
    heard: list[bytes] = []
    lost: list[None] = []
    there.handle(Kind.BUS, heard.append)
    there.whenLost(lambda: lost.append(None))
    transport(there).pauseProducing()
    for _ in range(30):
        here.send(Kind.BUS, b"x" * 100_000)
    assert here.waiting
    here.close()
    transport(there).resumeProducing()
    await until(lambda: lost)
    assert [len(each) for each in heard] == [100_000] * 30


@asynchronous
async def test_file_descriptors_arrive_before_their_packet(
    ends: tuple[WorkerLink, WorkerLink], tmp_path: Path
) -> None:
    here, there = ends
    texts: list[str] = []

    def read(payload: bytes) -> None:
        for descriptor in there.takeDescriptors(len(payload)):
            assert not os.get_inheritable(descriptor)
            with os.fdopen(descriptor) as file:
                texts.append(file.read())

    there.handle(Kind.STATE, read)
    for number in range(3):  # the second and the third packet wait behind a message
        names = [f"{number}{letter}" for letter in "abc"]
        with ExitStack() as stack:
            files = []
            for name in names:
                (tmp_path / name).write_text(name)
                files.append(stack.enter_context((tmp_path / name).open()))
            assert here.send(Kind.STATE, b"123", [each.fileno() for each in files])
            here.send(Kind.BUS, bytes(MEBIBYTE))
            await until(lambda: len(texts) == 3 * number + 3)  # noqa: B023
    assert texts == [f"{number}{letter}" for number in range(3) for letter in "abc"]


@asynchronous
async def test_file_descriptors_that_were_not_taken_are_closed_with_the_link(
    ends: tuple[WorkerLink, WorkerLink],
) -> None:
    here, there = ends
    heard: list[bytes] = []
    there.handle(Kind.STATE, heard.append)
    reading, writing = os.pipe()
    here.send(Kind.STATE, b"one", [writing])
    await until(lambda: heard)
    os.close(writing)
    here.close()
    await until(lambda: not there.connected)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b""  # no process has the other end
