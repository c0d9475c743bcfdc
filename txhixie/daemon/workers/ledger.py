"""The ledger: the connections of all workers, in all and of each address, counted by the parent.

A worker asks before it reads from a connection, so that pages, unfinished handshakes and
conversations are counted alike. The question has the limits of the worker, so that a reload needs
nothing in the parent.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Hashable
from functools import partial
from itertools import count
from typing import Any, Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall

from ...server.admission import BY_ADDRESS, IN_ALL, part_of
from .link import Kind, WorkerLink

LEDGER_TIMEOUT: Final = 0.005
"""Seconds for an answer of the parent. After that a worker decides by its own share."""

TOPIC_TIMEOUT: Final = 1.0
"""Seconds for an answer about a new topic: at its own share a worker would refuse a topic that has
members at other workers."""

MOST_ASKED: Final = 1000
"""Most questions without an answer; beyond that a worker does not ask."""

_RETRY: Final = 1.0
"""Seconds until a change is sent again that the buffer of the link had no room for."""

SendLedger: TypeAlias = Callable[[bytes], bool]
"""Function that sends a packet to the other process; returns whether there was room."""

LedgerVerdict: TypeAlias = "str | None"
"""``IN_ALL`` or ``BY_ADDRESS`` where that limit is reached; ``None`` below both limits."""


class _Asked:
    """
    A question of a worker.

    :ivar decide: called with the verdict; ``None`` after the call.
    :ivar stays: whether the connection was accepted, and has not ended.
    """

    __slots__ = (
        "address",
        "connection",
        "decide",
        "endsAt",
        "most",
        "number",
        "ofAddress",
        "stays",
    )

    def __init__(
        self,
        number: int,
        endsAt: float,
        connection: Hashable,
        address: str,
        limits: tuple[int | None, int | None],
        decide: Callable[[LedgerVerdict], object],
    ) -> None:
        self.number = number
        self.endsAt = endsAt
        self.connection = connection
        self.address = address
        self.most, self.ofAddress = limits
        self.decide: Callable[[LedgerVerdict], object] | None = decide
        self.stays = False


class SharedLedger:
    """A worker's side of the ledger: an attribute of :class:`txhixie.Admission`."""

    def __init__(
        self, send: SendLedger, clock: Any, workers: int, timeout: float = LEDGER_TIMEOUT
    ) -> None:
        """
        :param send: sends a packet to the parent.
        :param clock: the reactor.
        :param workers: number of workers, for this worker's share of a limit.
        :param timeout: seconds for an answer of the parent.
        """
        self._timeout = timeout
        self._send = send
        self._clock = clock
        self._workers = workers
        self._isAlone = False
        self._numbers = count(1)
        self._asked: deque[_Asked] = deque()  # in the order of their answers
        self._open: dict[Hashable, _Asked] = {}  # questions by their connections
        self._taken: dict[Hashable, str] = {}  # accepted connections, each with its address
        self._counts: Counter[str] = Counter()  # of these
        self._owed: Counter[str] = Counter()  # changes that the parent does not know yet
        self._timer: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None

    def __len__(self) -> int:
        """Return the number of accepted connections of this worker."""
        return len(self._taken)

    def ask(
        self,
        connection: Hashable,
        address: str,
        most: int | None,
        ofAddress: int | None,
        decide: Callable[[LedgerVerdict], object],
    ) -> None:
        """
        Ask whether a connection may be accepted.

        :param connection: a connection, which leaves by :meth:`leave`.
        :param address: address of the client; empty for a client without a limit of its address.
        :param most: most connections of all workers.
        :param ofAddress: most connections of the address at all workers.
        :param decide: called once with the verdict, within the timeout.
        """
        known = self._taken.get(connection)
        if known == address or connection in self._open:
            decide(None)
            return
        if known is not None:  # its request has shown the address
            self._give(connection)
        number, endsAt = next(self._numbers), self._clock.seconds() + self._timeout
        asked = _Asked(number, endsAt, connection, address, (most, ofAddress), decide)
        self._open[connection] = asked
        packet = _encode("ask", number, address, most, ofAddress)
        canAsk = not self._isAlone and len(self._asked) < MOST_ASKED
        if canAsk and self._flush() and self._send(packet):
            self._asked.append(asked)
            if self._timer is None:
                self._timer = self._clock.callLater(self._timeout, self._look)
        else:
            self._settle(asked, False)

    def take(self, connection: Hashable, address: str) -> None:
        """Count a connection that was accepted without a question, before there was a limit."""
        known = self._taken.get(connection)
        if known == address or connection in self._open:
            return
        if known is not None:
            self._give(connection)
        self._keep(connection, address)
        self._owe(address, 1)

    def leave(self, connection: Hashable) -> None:
        """Count a connection no more; do nothing for a connection that is not counted."""
        asked = self._open.pop(connection, None)
        if asked is not None:  # what the parent has counted is set right by its answer
            asked.stays = False
            asked.decide = None
            self._forget(connection)
        elif connection in self._taken:
            self._give(connection)

    def clear(self) -> None:
        """Count no connection any more: there is no limit."""
        for connection in (*self._taken, *self._open):
            self.leave(connection)

    # The link.

    def received(self, data: bytes) -> None:
        """Handle an answer. Earlier questions without an answer were not counted by the parent."""
        number, verdict = json.loads(data)
        while self._asked and self._asked[0].number < number:
            self._settle(self._asked.popleft(), False)
        if self._asked and self._asked[0].number == number:
            asked = self._asked.popleft()
            self._decide(asked, verdict)
            self._settle(asked, verdict is None)

    def lost(self) -> None:
        """Decide by the share of this worker from now on: the parent has ended."""
        self._isAlone = True
        self._owed.clear()
        while self._asked:
            self._settle(self._asked.popleft(), False)
        self.stop()

    def stop(self) -> None:
        """Stop the timers."""
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry = None

    def _look(self) -> None:
        """
        Decide where the parent is late, after one more turn of the reactor.

        Twisted calls timers before it reads: in a worker that was busy for longer than the timeout,
        the answer may have arrived.
        """
        now = self._clock.seconds()
        late = [asked for asked in self._asked if asked.endsAt <= now]
        self._timer = self._clock.callLater(0, self._decideLate, late)

    def _decideLate(self, late: list[_Asked]) -> None:
        """Decide, by the share of this worker, where there is no answer still."""
        self._timer = None
        for asked in late:
            self._decide(asked, self._byShare(asked))
        for asked in self._asked:
            if asked.decide is not None:
                delay = max(0, asked.endsAt - self._clock.seconds())
                self._timer = self._clock.callLater(delay, self._look)
                return

    def _byShare(self, asked: _Asked) -> LedgerVerdict:
        ofAddress = asked.ofAddress if asked.address else None
        counted, workers = self._counts[asked.address], self._workers
        if ofAddress is not None and counted >= part_of(ofAddress, workers):
            return BY_ADDRESS
        if asked.most is not None and len(self._taken) >= part_of(asked.most, workers):
            return IN_ALL
        return None

    def _decide(self, asked: _Asked, verdict: LedgerVerdict) -> None:
        decide, asked.decide = asked.decide, None
        if decide is None:
            return
        if verdict is None:
            asked.stays = True
            self._keep(asked.connection, asked.address)
        decide(verdict)

    def _settle(self, asked: _Asked, isCounted: bool) -> None:
        """End a question: bring the parent's count to what was decided."""
        if asked.decide is not None:
            self._decide(asked, self._byShare(asked))
        if self._open.get(asked.connection) is asked:
            del self._open[asked.connection]
        if asked.stays != isCounted:
            self._owe(asked.address, 1 if asked.stays else -1)

    # Counts.

    def _keep(self, connection: Hashable, address: str) -> None:
        self._taken[connection] = address
        self._counts[address] += 1

    def _forget(self, connection: Hashable) -> None:
        address = self._taken.pop(connection, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def _give(self, connection: Hashable) -> None:
        address = self._taken[connection]
        self._forget(connection)
        self._owe(address, -1)

    def _owe(self, address: str, change: int) -> None:
        if self._isAlone:
            return
        self._owed[address] += change
        if not self._owed[address]:
            del self._owed[address]
        self._flush()

    def _flush(self) -> bool:
        """Send the changes that the parent does not know; return whether it knows all."""
        if not self._owed:
            return True
        if self._send(_encode("change", list(self._owed.items()))):
            self._owed.clear()
            return True
        if self._retry is None:
            self._retry = self._clock.callLater(_RETRY, self._again)
        return False

    def _again(self) -> None:
        self._retry = None
        self._flush()


class Ledger:
    """
    The parent's side of the ledger.

    :ivar total: connections of all workers.
    """

    def __init__(self) -> None:
        self.total = 0
        self._counts: Counter[str] = Counter()

    def of(self, address: str) -> int:
        """Return the number of connections of an address."""
        return self._counts[address]

    def join(self, send: SendLedger) -> LedgerWorker:
        """
        Add a worker.

        :param send: sends a packet to the worker; returns whether there was room.
        """
        return LedgerWorker(self, send)

    def verdict(self, address: str, most: int | None, ofAddress: int | None) -> LedgerVerdict:
        """Return which of two limits is reached."""
        if address and ofAddress is not None and self._counts[address] >= ofAddress:
            return BY_ADDRESS
        return IN_ALL if most is not None and self.total >= most else None

    def change(self, address: str, change: int) -> None:
        """Change the count of an address."""
        self.total += change
        self._counts[address] += change
        if not self._counts[address]:
            del self._counts[address]


class TopicLedger(Ledger):
    """
    The topics of all workers: the name of a topic takes the place of an address.

    Workers with members of the same topic have one topic together.
    """

    def verdict(self, address: str, most: int | None, ofAddress: int | None) -> LedgerVerdict:
        """Return whether there are so many other topics that a topic may not begin."""
        if self._counts[address] or most is None or len(self._counts) < most:
            return None
        return IN_ALL


class LedgerWorker:
    """The connections of one worker in the ledger of the parent."""

    def __init__(self, ledger: Ledger, send: SendLedger) -> None:
        self._ledger = ledger
        self._send = send
        self._counts: Counter[str] = Counter()

    def received(self, data: bytes) -> None:
        """Answer a question, or take a change."""
        verb, *values = json.loads(data)
        if verb == "ask":
            self._answer(*values)
        else:
            for address, change in values[0]:
                self._change(address, change)

    def _answer(self, number: int, address: str, most: int | None, ofAddress: int | None) -> None:
        verdict = self._ledger.verdict(address, most, ofAddress)
        # A connection counts from the answer on, if there was room for the answer.
        if self._send(_encode(number, verdict)) and verdict is None:
            self._change(address, 1)

    def _change(self, address: str, change: int) -> None:
        self._counts[address] += change
        self._ledger.change(address, change)

    def left(self) -> None:
        """Give back the connections of the worker, which has ended."""
        for address, number in self._counts.items():
            self._ledger.change(address, -number)
        self._counts.clear()


def _encode(*values: object) -> bytes:
    return json.dumps(values).encode()


def countWorker(link: WorkerLink, ledger: Ledger, kind: Kind = Kind.LEDGER) -> None:
    """Add a worker to a ledger of the parent process."""
    worker = ledger.join(partial(link.send, kind))
    link.handle(kind, worker.received)
    link.whenLost(worker.left)


def shareLedger(
    link: WorkerLink, reactor: Any, workers: int, timeout: float = LEDGER_TIMEOUT
) -> SharedLedger:
    """Return the ledger of a worker process, for :class:`txhixie.Admission`."""
    return _share(link, Kind.LEDGER, reactor, workers, timeout)


def shareTopics(link: WorkerLink, reactor: Any, workers: int) -> SharedLedger:
    """Return the ledger of the topics of a worker process, for its hub."""
    return _share(link, Kind.TOPICS, reactor, workers, TOPIC_TIMEOUT)


def _share(link: WorkerLink, kind: Kind, *arguments: Any) -> SharedLedger:
    ledger = SharedLedger(partial(link.send, kind), *arguments)
    link.handle(kind, ledger.received)
    link.whenLost(ledger.lost)
    return ledger
