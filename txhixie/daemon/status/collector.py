"""The metrics of a survey, for prometheus-client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..dispatch import RoutedServerFactory
from .survey import STATES, Survey

_PREFIX: Final = "txhixie"

_HUB: Final = {
    "topics": "Topics of the hub; at several workers one topic is counted at each of them.",
    "members": "Members of all topics of the hub.",
    "history_bytes": "Bytes of the earlier messages that the hub keeps for new members.",
}
"""Meanings of :data:`txhixie.daemon.status.survey.HUB_NUMBERS`."""


_BUS: Final = (
    ("bus_downs", "downs", "Outages of the server of the bus."),
    ("bus_messages_lost", "lost", "Messages that did not reach other daemons."),
    ("bus_messages_strange", "strange", "Messages of the bus that cannot be read."),
    (
        "bus_gaps",
        "gaps",
        "How often messages of the bus were missed while its server was reachable.",
    ),
)
"""Counters of the bus, each with its name in the survey."""


class SurveyCollector(Collector):
    """
    Collector of the metrics of one survey.

    No label has a word of a client: the values are names of the package's own tables, close codes
    and statuses, and the routes of the configuration. So a client cannot make the number of time
    series grow.

    :ivar survey: the survey, which is set before each collection; ``None``: no metrics.
    """

    def __init__(self, factory: RoutedServerFactory) -> None:
        """:param factory: the factory of the daemon."""
        self._factory = factory
        # At the start: no file can be opened when there are no file descriptors left.
        self._packages = {name: version(name) for name in ("txhixie", "twisted")}
        self.survey: Survey | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the survey."""
        if self.survey is not None:
            yield from self._about_now(self.survey)
            yield from self._since_start(self.survey)

    def _about_now(self, survey: Survey) -> Iterator[Metric]:
        factory = self._factory
        yield InfoMetricFamily(f"{_PREFIX}_build", "Versions of packages.", value=self._packages)
        draining = float(factory.standIn is not None)
        yield _gauge("draining", "1 while the daemon stops, otherwise 0.", draining)
        connections = GaugeMetricFamily(
            f"{_PREFIX}_connections", "Connections now, by their state.", labels=["state"]
        )
        for state in STATES:
            connections.add_metric([state], survey.states[state])
        yield connections
        conversations = GaugeMetricFamily(
            f"{_PREFIX}_open_conversations",
            "Open conversations, by dialect and route.",
            labels=["dialect", "route"],
        )
        for (dialect, route), number in self._conversations(survey).items():
            conversations.add_metric([dialect, route], number)
        yield conversations
        if survey.answered:
            workers = GaugeMetricFamily(
                f"{_PREFIX}_workers",
                "Workers that are in these metrics (answered), and those that are not (silent).",
                labels=["state"],
            )
            workers.add_metric(["answered"], len(survey.answered))
            workers.add_metric(["silent"], len(survey.silent))
            yield workers
        if (held := factory.heldBytes) is not None:
            yield _gauge("held_bytes", "Bytes that all connections hold together.", survey.held)
            yield _gauge("held_limit_bytes", "Most bytes that connections may hold.", held.most)

        for name, meaning in _HUB.items():
            yield _gauge(f"hub_{name}", meaning, survey.hub[name])
        if factory.reach is not None:
            up = not survey.unreached
            yield _gauge("bus_up", "1 while the server of the bus is reached.", up)

    def _conversations(self, survey: Survey) -> Mapping[tuple[str, str], int]:
        """All dialects of all routes, also those without a conversation: their value is 0."""
        names = self._factory.applications.routes.names
        dialects = self._factory.dialects
        count = {(dialect.name, name): 0 for name in names for dialect in dialects}
        return count | survey.open

    def _since_start(self, survey: Survey) -> Iterator[Metric]:
        counters = survey.counters
        yield _counter(
            "connections_accepted",
            "Accepted connections, also those that were refused and those of pages.",
            counters.accepted,
        )
        opened = {dialect.name: 0 for dialect in self._factory.dialects} | counters.opened
        yield _labelled(
            "conversations_opened",
            "Conversations that have opened, by dialect.",
            ["dialect"],
            (((dialect,), number) for dialect, number in opened.items()),
        )
        yield _labelled(
            "conversations_ended",
            "Conversations that have ended, by close code.",
            ["code"],
            (((code,), number) for code, number in counters.ended.items()),
        )
        yield _labelled(
            "refusals",
            "Refused connections and requests, by HTTP status and cause.",
            ["status", "cause"],
            (
                (("none" if status is None else str(status), cause), number)
                for (status, cause), number in counters.refused.items()
            ),
        )
        yield _counter("messages_received", "Messages received from clients.", survey.received)
        yield _counter("messages_sent", "Messages sent to clients.", survey.sent)
        yield _labelled(
            "broadcast_messages_skipped",
            "Broadcast messages that a receiver was not sent, by cause.",
            ["cause"],
            (((cause,), number) for cause, number in sorted(counters.skipped.items())),
        )
        yield _counter("log_lines_folded", "Log lines that repeat another one.", counters.folded)
        if self._factory.reach is not None:
            for name, counted, meaning in _BUS:
                yield _counter(name, meaning, survey.bus[counted])


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"{_PREFIX}_{name}", meaning, value)


def _labelled(
    name: str, meaning: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], int]]
) -> Metric:
    family = CounterMetricFamily(f"{_PREFIX}_{name}", meaning, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family
