"""Computes the figures of a run from its samples. Starts no process, and prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Rounds: TypeAlias = "Mapping[int, Mapping[str, Any]]"
"""One server's samples of one workload, by round."""


@dataclass(frozen=True, slots=True)
class Figure:
    """
    The figures of one server in one workload; ``None`` where there is no sample.

    :ivar value: median over the rounds: messages or handshakes a second, or bytes a connection.
    :ivar capacity: messages per second of the server's CPU time, divided by the reference's. A
        process beside the server can only add to the CPU time of a message (cold caches), so the
        lowest CPU time of any round is used for both.
    :ivar capacity_by_round: the same, as the median of the ratios within each round.
    :ivar ratio: median of ``value`` divided by the reference's of the same round, with the
        ``lowest`` and the ``highest`` of these ratios.
    :ivar cpu: the lowest CPU time of a message, in microseconds.
    :ivar p50: median over the rounds of the median latency in microseconds, ``p99`` likewise.
    """

    server: str
    value: float | None
    capacity: float | None
    capacity_by_round: float | None
    ratio: float | None
    lowest: float | None
    highest: float | None
    cpu: float | None
    megabytes: float | None
    p50: float | None
    p99: float | None
    errors: int
    first_error: str

    @property
    def sort_key(self) -> float:
        """The key that sorts the best first: CPU time, or memory in the idle workloads."""
        return self.cpu or self.value or float("inf")


def figures(samples: Iterable[Mapping[str, Any]], reference: str) -> dict[str, list[Figure]]:
    """The figures of each workload, best first."""
    by_workload: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {}
    for sample in samples:
        servers = by_workload.setdefault(sample["workload"], {})
        servers.setdefault(sample["server"], {})[sample["round"]] = sample
    return {
        letter: sorted(
            (
                figure(name, rounds, servers.get(reference, {}), idle=is_idle(letter))
                for name, rounds in servers.items()
            ),
            key=lambda found: found.sort_key,
        )
        for letter, servers in by_workload.items()
    }


def compared(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """
    The capacity of each server, divided by that of the server of txhixie beside it.

    Above 1 the server is ahead of txhixie. Where connections idle, the capacity is the number of
    connections in the same memory. Figures beside an error are left out.

    :param results: a run, as ``bench.py --json`` stores it.
    :return: the ratios by workload and server.
    """
    found: dict[str, dict[str, float]] = {}
    for letter, rows in figures(results["samples"], results["reference"]).items():
        costs = {
            row.server: row.value if is_idle(letter) else row.cpu for row in rows if not row.errors
        }
        ratios = {
            name: quotient(costs.get(results["servers"][name]["beside"]), cost)
            for name, cost in costs.items()
        }
        found[letter] = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    return found


def figure(name: str, rounds: Rounds, reference: Rounds, *, idle: bool) -> Figure:
    """Compute the figures of one server, relative to the reference."""
    field = "memory_per_conn" if idle else "rate"
    ratios = quotients(rounds, reference, field)
    return Figure(
        server=name,
        value=middle(each(rounds, field)),
        capacity=None if idle else quotient(cpu(reference), cpu(rounds)),
        capacity_by_round=None if idle else middle(quotients(reference, rounds, _CPU)),
        ratio=middle(ratios),
        lowest=min(ratios, default=None),
        highest=max(ratios, default=None),
        cpu=None if idle else cpu(rounds),
        megabytes=middle(each(rounds, "mbps")),
        p50=middle(each(rounds, "p50_us")),
        p99=middle(each(rounds, "p99_us")),
        errors=sum(sample["errors"] for sample in rounds.values()),
        first_error=next(filter(None, (s["first_error"] for s in rounds.values())), ""),
    )


_CPU = "srv_cpu_us_per_msg"


def is_idle(letter: str) -> bool:
    """Whether a workload's figure is memory."""
    return WORKLOADS[letter].load.mode == "idle"


def each(rounds: Rounds, field: str) -> list[float]:
    """The values of a field in all samples that have it; a failed sample has zero."""
    return [sample[field] for sample in rounds.values() if sample.get(field)]


def cpu(rounds: Rounds) -> float | None:
    """The lowest CPU time of a message in microseconds."""
    return min(each(rounds, _CPU), default=None)


def middle(values: list[float]) -> float | None:
    """The median; ``None`` without values."""
    return median(values) if values else None


def quotient(above: float | None, below: float | None) -> float | None:
    """The quotient of two figures; ``None`` if one is missing or zero."""
    return above / below if above and below else None


def quotients(above: Rounds, below: Rounds, field: str) -> list[float]:
    """The ratios of a field within each round that has it on both sides."""
    found = (
        quotient(above[number].get(field), below[number].get(field))
        for number in above.keys() & below.keys()
    )
    return [value for value in found if value is not None]
