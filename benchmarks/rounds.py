"""Rounds of samples: in each round every server gets the load once.

The order of the servers is A B C in one round and C B A in the next. A machine that becomes slower
so affects all servers alike, and each figure can be divided by the reference's of the same round.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from server import NotStarted, Place, Sample, Server
from workloads import SMOKE, WORKLOADS, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from peers import Peer

Thing = TypeVar("Thing")
Turns: TypeAlias = "Iterator[tuple[str, int, Sample]]"

NOISY: Final = 0.10
"""Share of a sample that its two processes may spend waiting for a core. Above this share another
process used the core: the sample is repeated, and the one with less waiting is kept."""

IDLE_ROUNDS: Final = 2
"""Rounds of the memory workloads: memory hardly varies, and each sample needs a new process."""

IDLE_SECONDS: Final = 1.5
"""Seconds before the memory of idle connections is read, in which allocators return memory."""

WARM_SECONDS: Final = 0.3
COMPILE_SECONDS: Final = 1.5
"""Seconds of load before the first sample of a server with a just-in-time compiler."""


@dataclass(slots=True)
class Rounds:
    """
    The servers, the workloads and the rounds of one run.

    :ivar seconds: length of one sample, after ``warmup`` seconds that do not count.
    :ivar missing: names of servers that did not start.
    """

    peers: dict[str, Peer]
    workloads: Sequence[str]
    place: Place
    count: int = 5
    seconds: float = 1.0
    warmup: float = 0.25
    missing: list[str] = field(default_factory=list)

    def smoke(self) -> int:
        """Compare every echo of every server under short loads. Prints and counts the faults."""
        faults = 0
        for name in self.peers:
            found = list(self._faults(name))
            faults += len(found)
            print(f"{name:<20} {' '.join(found) or 'ok'}", flush=True)
        return faults

    def measure(self, tell: Callable[[Sample], None]) -> list[Sample]:
        """
        Take all samples, workload by workload.

        :param tell: called with each sample as it is taken.
        """
        samples: list[Sample] = []
        for letter in self.workloads:
            load = WORKLOADS[letter].load
            names = [name for name, peer in self.peers.items() if peer.takes(load)]
            turns = self._idle_turns if load.mode == "idle" else self._loaded_turns
            for name, number, sample in turns(names, load):
                sample.update(server=name, workload=letter, round=number)
                samples.append(sample)
                tell(sample)
        return samples

    def _faults(self, name: str) -> Iterator[str]:
        """The faults of one server's echoes."""
        peer = self.peers[name]
        try:
            with Server(name, peer, self.place) as server:
                for load in filter(peer.takes, SMOKE):
                    sample = server.sample(load, WARM_SECONDS, check=True)
                    if sample["errors"] or not sample["msgs"]:
                        words = " ".join(load.arguments())
                        yield f"[{words}: {sample['first_error'] or 'no messages'}]"
        except NotStarted as error:
            yield f"[{error}]"

    def _loaded_turns(self, names: list[str], load: Load) -> Turns:
        """Yield name, round and sample under load; the servers run through all rounds."""
        with ExitStack() as running:
            started = (self._started(running, name) for name in names)
            servers = [server for server in started if server]
            for server in servers:
                compiles = server.peer.command[0] in {"node", "java"}
                server.sample(load, COMPILE_SECONDS if compiles else WARM_SECONDS)
            for number in range(self.count):
                for server in in_turn(servers, number):
                    yield server.name, number, self._quiet_sample(server, load)

    def _idle_turns(self, names: list[str], load: Load) -> Turns:
        """Yield name, round and sample of idle connections, each with a new process."""
        for number in range(min(self.count, IDLE_ROUNDS)):
            for name in in_turn(names, number):
                with ExitStack() as running:
                    if server := self._started(running, name):
                        # Memory that a server allocates for its first connection is not counted.
                        server.sample(Load(1), WARM_SECONDS)
                        yield name, number, server.sample(load, IDLE_SECONDS)

    def _started(self, running: ExitStack, name: str) -> Server | None:
        """Start a server until the stack ends; print a line and return ``None`` if it fails."""
        if name in self.missing:
            return None
        try:
            return running.enter_context(Server(name, self.peers[name], self.place))
        except NotStarted as error:
            self.missing.append(name)
            print(f"left out: {error}", file=sys.stderr, flush=True)
            return None

    def _quiet_sample(self, server: Server, load: Load) -> Sample:
        """Take a sample; take a second one when another process used the core in the first."""
        first = server.sample(load, self.seconds, self.warmup)
        if server.peer.backend:
            return first  # wsload waits for the backend, and websockify's processes for each other
        if first["errors"] or noise(first) <= NOISY:
            return first
        second = server.sample(load, self.seconds, self.warmup)
        return first if noise(first) < noise(second) and not second["errors"] else second


def in_turn(things: list[Thing], number: int) -> list[Thing]:
    """The list, reversed in odd rounds."""
    return things if number % 2 == 0 else things[::-1]


def noise(sample: Sample) -> float:
    """The share of the time in which server or client waited for a core."""
    share: float = sample.get("srv_wait", 0.0) + sample.get("cli_wait", 0.0)
    return share
