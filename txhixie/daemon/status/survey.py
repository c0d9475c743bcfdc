"""All connections of a daemon at one moment, counted in several turns of the reactor."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import Cooperator

from ...connection.counters import Counters
from ...connection.protocol import HixieProtocol
from ...connection.recent import Recent, address_of, shown_request, truncated
from ...display import shown, shown_address
from ...sansio.http.redaction import masked_subprotocol
from ..dispatch import RoutedServerFactory
from .address_tally import AddressTally, busiest
from .route_names import RouteNames

MOST_LISTED: Final = 100
"""Most open connections that a survey lists one by one."""

STATES: Final = ("open", "opening", "closing", "http")
"""States of a connection: a conversation, a handshake, a conversation that ends, or a request of
ordinary HTTP."""

HUB_NUMBERS: Final = ("topics", "members", "history_bytes")
"""Numbers of a hub: topics, members of all topics, and bytes of the earlier messages that are kept.
A topic that has members at several workers is counted at each of them."""

_MOST_KEPT: Final = 8
"""Surveys by address that are kept for further requests."""

_SLICE: Final = 100
"""Connections that are counted at once, in about a millisecond. 10,000 connections take a tenth of
a second; after each 10 ms, the time of a Cooperator, messages are delivered."""


@dataclass
class Survey:
    """
    The connections of a daemon, and its counters.

    :ivar counters: the counters when the survey began.
    :ivar states: numbers of connections by their state, see :data:`STATES`.
    :ivar open: numbers of open conversations by dialect and route.
    :ivar received: messages received in all conversations, ended and open.
    :ivar sent: messages sent in all conversations, ended and open.
    :ivar addresses: open conversations by address.
    :ivar newest: the open conversations that began last, the oldest of them first.
    :ivar held: bytes that all connections hold together, if there is a ceiling.
    :ivar hub: numbers of the hub, see :data:`HUB_NUMBERS`.
    :ivar bus: counters of the connection to the server of the bus, see :class:`Reach`.
    :ivar unreached: number of processes that do not reach the server of the bus.
    :ivar refusals: the last refusals as ``json`` can write them, the newest first.
    :ivar ends: the last ends of conversations, in the same way.
    :ivar others: conversations of other workers, as :meth:`listed` returns them.
    :ivar answered: numbers of the workers with counted connections; empty for a daemon of one
        process.
    :ivar silent: numbers of the workers that did not answer in time, and are not counted.
    """

    counters: Counters
    states: Counter[str] = field(default_factory=Counter)
    open: Counter[tuple[str, str]] = field(default_factory=Counter)
    received: int = 0
    sent: int = 0
    addresses: dict[str, AddressTally] = field(default_factory=dict)
    newest: deque[tuple[HixieProtocol, str]] = field(
        default_factory=lambda: deque(maxlen=MOST_LISTED)
    )
    held: int = 0
    hub: Counter[str] = field(default_factory=Counter)
    bus: Counter[str] = field(default_factory=Counter)
    unreached: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)
    ends: list[dict[str, Any]] = field(default_factory=list)
    others: list[dict[str, Any]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)

    def count(self, connection: HixieProtocol, names: RouteNames, address: str) -> None:
        """
        Count a connection.

        :param connection: the connection.
        :param names: names of the routes of its factory.
        :param address: lists only conversations of this address; of all, if empty.
        """
        tally = connection.tally
        self.received += tally.received
        self.sent += tally.sent
        self.states[_state(connection)] += 1
        if not connection.isOpen:
            return
        name = names.of(connection)
        self.open[connection.offer.dialect, name] += 1
        host = address_of(connection.getPeer())
        of = self.addresses.get(host)
        if of is None:
            of = self.addresses[host] = AddressTally(host)
        of.connections += 1
        of.received += tally.received
        of.sent += tally.sent
        if not address or address == host:
            self.newest.append((connection, name))

    def listed(self) -> list[dict[str, Any]]:
        """Return the newest conversations as ``json`` can write them, the newest first."""
        rows = [_shown(connection, route) for connection, route in reversed(self.newest)]
        if not self.others:
            return rows
        return sorted([*rows, *self.others], key=lambda row: row["seconds"] or 0)[:MOST_LISTED]

    # The survey of several workers.

    def toData(self) -> dict[str, Any]:
        """
        Return the survey for another worker, as ``json`` can write it.

        Of the addresses, it has the busiest.
        """
        found = busiest(self.addresses.values())
        return {
            "counters": self.counters.to_data(),
            "states": dict(self.states),
            "open": [[*key, number] for key, number in self.open.items()],
            "received": self.received,
            "sent": self.sent,
            "addresses": {row["address"]: row for rows in found.values() for row in rows},
            "newest": self.listed(),
            "held": self.held,
            "hub": dict(self.hub),
            "bus": dict(self.bus),
            "unreached": self.unreached,
            "refusals": self.refusals,
            "ends": self.ends,
        }

    def add(self, data: Mapping[str, Any], worker: int) -> None:
        """
        Add the survey of another worker.

        :param data: what :meth:`toData` of the other worker has returned.
        :param worker: number of the other worker, which its rows get.
        """
        self.addCounts(data)
        self.states.update(data["states"])
        self.open.update({(dialect, route): number for dialect, route, number in data["open"]})
        self.held += data["held"]
        self.hub.update(data["hub"])
        self.unreached += data["unreached"]
        for address, row in data["addresses"].items():
            tally = self.addresses.setdefault(address, AddressTally(address))
            tally.connections += row["connections"]
            tally.received += row["received"]
            tally.sent += row["sent"]
        self.others += _of(data["newest"], worker)
        self.refusals = _latest([*self.refusals, *_of(data["refusals"], worker)])
        self.ends = _latest([*self.ends, *_of(data["ends"], worker)])

    def addCounts(self, data: Mapping[str, Any]) -> None:
        """Add what a worker has counted since its start, also of a worker that has ended."""
        self.counters += Counters.from_data(data["counters"])
        self.bus.update(data["bus"])
        self.received += data["received"]
        self.sent += data["sent"]

    def copy(self) -> Survey:
        """Return a survey to which those of other workers can be added."""
        return replace(
            self,
            counters=self.counters + Counters(),
            states=Counter(self.states),
            open=Counter(self.open),
            hub=Counter(self.hub),
            bus=Counter(self.bus),
            addresses={name: replace(each) for name, each in self.addresses.items()},
            others=list(self.others),
            answered=list(self.answered),
            silent=list(self.silent),
        )


def _of(rows: list[dict[str, Any]], worker: int) -> list[dict[str, Any]]:
    return [{**row, "worker": worker} for row in rows]


def _latest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: -row["time"])[:MOST_LISTED]


def _state(connection: HixieProtocol) -> str:
    if connection.isOpen:
        return "open"
    if connection.isOpening:
        return "opening"
    return "http" if connection.agreement is None else "closing"


def _shown(connection: HixieProtocol, route: str) -> dict[str, Any]:
    agreement = connection.agreement
    agreed = None if agreement is None else agreement.subprotocol
    return {
        "connection": connection.number,
        "peer": shown_address(connection.getPeer()),
        "route": route,
        **shown_request(truncated(connection.asked)),
        "subprotocol": None if agreed is None else shown(masked_subprotocol(agreed)),
        **connection.tally.to_data(),
        "unsent": connection.unsent,
        "latency": None if connection.latency is None else round(connection.latency, 4),
    }


class Surveyor:
    """
    Makes surveys. Viewers at the same time, and within a second, get the same one.

    Surveys by address are made one after the other, so that requests with many addresses take no
    more of a turn of the reactor than one does.

    The survey takes as many turns of the reactor as it needs. No connection is counted twice, and
    none that was there at the beginning is left out: the number of messages never decreases.
    """

    def __init__(self, factory: RoutedServerFactory) -> None:
        """:param factory: the factory; its :attr:`RoutedServerFactory.family` is counted."""
        self._factory = factory
        self._made: dict[str, tuple[float, Survey]] = {}
        self._waiting: dict[str, list[Deferred[Survey]]] = {}
        self._byAddress = DeferredLock()

    def survey(self, address: str = "") -> Deferred[Survey]:
        """
        Count all connections.

        :param address: lists only the conversations of this address or network; of all, if empty.
        :return: fires with the survey.
        """
        now = self._factory.clock.seconds()
        found: Deferred[Survey] = Deferred()
        made = self._made.get(address)
        if made is not None and now - made[0] < 1:
            found.callback(made[1])
        elif address in self._waiting:
            self._waiting[address].append(found)
        else:
            self._waiting[address] = [found]
            making = self._byAddress.run(self._begin, address) if address else self._begin("")
            making.addBoth(self._finished, address)
        return found

    def _finished(self, survey: Any, address: str) -> None:
        waiting = self._waiting.pop(address)
        if isinstance(survey, Survey):
            self._made.pop(address, None)
            self._made[address] = self._factory.clock.seconds(), survey
            for other in [*filter(None, self._made)][:-_MOST_KEPT]:
                del self._made[other]
        for each in waiting:
            each.callback(survey)  # a failure calls the errbacks

    def _begin(self, address: str) -> Deferred[Survey]:
        clock = self._factory.clock
        survey = Survey(Counters() + self._factory.counters)
        survey.received, survey.sent = survey.counters.received, survey.counters.sent
        # All connections of this turn, with the counters of this turn: a conversation that ends
        # meanwhile is not in these counters, and keeps its numbers of messages.
        every = [(factory, tuple(factory.connections)) for factory in self._factory.family]
        cooperator = Cooperator(scheduler=lambda step: clock.callLater(0, step))
        counted = cooperator.coiterate(_steps(survey, every, address))
        return counted.addCallback(lambda _: self._complete(survey, address))

    def _complete(self, survey: Survey, address: str) -> Survey:
        """Add what the factory has at this moment."""
        factory = self._factory
        recent = factory.log.recent or Recent()
        survey.held = 0 if factory.heldBytes is None else factory.heldBytes.total
        if (hub := factory.hub) is not None:
            survey.hub = Counter(
                topics=len(hub), members=hub.members, history_bytes=hub.bus.historySize
            )
        if (reach := factory.reach) is not None:
            survey.bus, survey.unreached = Counter(reach.counts), int(not reach.up)
        survey.refusals = [
            each.to_data()
            for each in recent.refusals
            if not address or each.requester.address == address
        ]
        survey.ends = [
            each.to_data()
            for each in recent.ends
            if not address or each.requester.address == address
        ]
        return survey


def _steps(
    survey: Survey,
    every: list[tuple[RoutedServerFactory, tuple[HixieProtocol, ...]]],
    address: str,
) -> Iterator[None]:
    """Count some connections in each step; those of the latest factory last."""
    for factory, connections in reversed(every):
        names = RouteNames(factory)
        for start in range(0, len(connections), _SLICE):
            for connection in connections[start : start + _SLICE]:
                survey.count(connection, names, address)
            yield
