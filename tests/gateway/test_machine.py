"""A client and its backend: all states times all inputs, in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.private_state import name_of_state
from txhixie.errors import ConnectFailed, ConnectTimeout
from txhixie.gateway.machine import SESSION, SessionCore, SessionMachine
from txhixie.sansio.wire.frame import Close

CLOSE = Close(1000, "bye")
LAST = Close(1001, "the first of two")
ERROR = ConnectFailed("down")
CONNECT, DRAIN = 10.0, 63.0

Event = tuple[Any, ...]


class Sides:
    """Both sides and the clock, which note what they are asked."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.client, self.backend = Side("client", self.events), Side("backend", self.events)

    def timeout(self, seconds: float | None) -> None:
        self.events.append(("timeout", seconds))

    def taken(self) -> list[Event]:
        events, self.events[:] = [*self.events], []
        return events


class Side:
    stage = "tls"

    def __init__(self, name: str, events: list[Event]) -> None:
        self._name = name
        self._events = events

    def _note(self, *what: object) -> None:
        self._events.append((self._name, *what))

    def admit(self) -> None:
        self._note("admit")

    def refuse(self, error: Exception) -> None:
        self._note("refuse", type(error))

    def cancel(self) -> None:
        self._note("cancel")

    def resume(self) -> None:
        self._note("resume")

    def close(self, close: Close) -> None:
        self._note("close", close)

    def abort(self) -> None:
        self._note("abort")


INPUTS: dict[str, Callable[[SessionMachine], None]] = {
    "reached": lambda machine: machine.reached(),
    "unreached": lambda machine: machine.unreached(ERROR),
    "opened": lambda machine: machine.opened(),
    "client_left": lambda machine: machine.client_left(CLOSE),
    "backend_ended": lambda machine: machine.backend_ended(CLOSE),
    "backend_lost": lambda machine: machine.backend_lost(CLOSE),
    "late": lambda machine: machine.late(),
}
WAYS = {
    "Reaching": [],
    "Admitted": ["reached"],
    "Parted": ["reached", "backend_lost"],
    "Open": ["reached", "opened"],
    "Draining": ["reached", "opened", "client_left"],
    "Gone": ["unreached"],
}
"""How each state is reached."""

END_CLIENT, END_BACKEND = ("client", "close", CLOSE), ("backend", "close", CLOSE)
TIMED, FORGET = ("timeout", DRAIN), ("timeout", None)
ABORT, RESUME, CANCEL = ("backend", "abort"), ("backend", "resume"), ("backend", "cancel")

TABLE: dict[str, dict[str, tuple[str, list[Event]]]] = {
    "Reaching": {
        "reached": ("Admitted", [FORGET, ("client", "admit")]),
        "unreached": ("Gone", [FORGET, ("client", "refuse", ConnectFailed)]),
        "client_left": ("Gone", [FORGET, CANCEL]),
        "late": ("Gone", [CANCEL, ("client", "refuse", ConnectTimeout)]),
    },
    "Admitted": {
        "opened": ("Open", [RESUME]),
        "client_left": ("Draining", [TIMED, END_BACKEND]),
        "backend_ended": ("Parted", [END_BACKEND]),
        "backend_lost": ("Parted", []),
    },
    "Parted": {
        "opened": ("Gone", [RESUME, END_CLIENT]),
        "client_left": ("Gone", []),
    },
    "Open": {
        "client_left": ("Draining", [TIMED, END_BACKEND]),
        "backend_ended": ("Draining", [END_CLIENT, TIMED, END_BACKEND]),
        "backend_lost": ("Gone", [END_CLIENT]),
    },
    "Draining": {
        "backend_lost": ("Gone", [FORGET]),
        "late": ("Gone", [ABORT]),
    },
    "Gone": {"reached": ("Gone", [ABORT])},
}
"""What is not in a row changes nothing."""


def expected(state: str, name: str) -> tuple[str, list[Event]]:
    return TABLE[state].get(name, (state, []))


def begun() -> tuple[SessionMachine, Sides]:
    """A machine, and whom it asks."""
    sides = Sides()
    return SESSION(SessionCore(sides.client, sides.backend, sides.timeout, CONNECT, DRAIN)), sides


def state_of(machine: SessionMachine) -> str:
    """The state that a machine is in, which Automat tells nobody."""
    return name_of_state(machine)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("state", TABLE)
def test_every_state_takes_every_input(state: str, name: str) -> None:
    """Client, backend and clock may do anything at any time: no error, and these effects."""
    machine, sides = begun()
    for way in WAYS[state]:
        INPUTS[way](machine)
    assert state_of(machine) == state
    sides.taken()
    INPUTS[name](machine)
    assert (state_of(machine), sides.taken()) == expected(state, name)


@given(st.lists(st.sampled_from(sorted(INPUTS)), max_size=12))
def test_any_history_is_what_the_table_says(names: list[str]) -> None:
    """And whatever it was: the client is answered once at most, nobody is closed twice, a backend
    is read from only once its client is there, and no clock runs for a machine that is gone."""
    machine, sides = begun()
    sides.timeout(CONNECT)
    state = "Reaching"
    events: list[Event] = [("timeout", CONNECT)]
    clock: float | None = CONNECT
    for name in names:
        if name == "late" and clock is None:
            continue  # nobody set it
        INPUTS[name](machine)
        state, more = expected(state, name)
        events = [*events, *more]
        clock = None if name == "late" else clock
        clock = next((event[1] for event in reversed(more) if event[0] == "timeout"), clock)
    assert (state_of(machine), sides.events) == (state, events)
    done = [event[:2] for event in events]
    answers = [event for event in done if event in (("client", "admit"), ("client", "refuse"))]
    assert len(answers) <= 1
    assert all(done.count(event) <= 1 for event in (END_CLIENT[:2], END_BACKEND[:2], RESUME))
    if RESUME in events:
        assert events.index(("client", "admit")) < events.index(RESUME)
        assert "opened" in names
    if state == "Gone":
        assert clock is None


def test_the_first_end_is_the_one_that_is_told() -> None:
    """A backend that has ended before its client was there is not asked again how."""
    machine, sides = begun()
    machine.reached()
    machine.backend_ended(LAST)
    machine.backend_lost(CLOSE)
    sides.taken()
    machine.opened()
    assert sides.taken() == [RESUME, ("client", "close", LAST)]


def test_an_end_that_is_caused_by_another_waits_its_turn() -> None:
    """A side may end while it is being closed, from inside of that."""
    machine, sides = begun()

    class Client(Side):
        def close(self, close: Close) -> None:
            super().close(close)
            machine.client_left(LAST)

    machine = SESSION(
        SessionCore(Client("client", sides.events), sides.backend, sides.timeout, CONNECT, DRAIN)
    )
    machine.reached()
    machine.opened()
    sides.taken()
    machine.backend_ended(CLOSE)
    assert sides.taken() == [END_CLIENT, TIMED, END_BACKEND]
    machine.backend_lost(CLOSE)
    assert sides.taken() == [FORGET]


def test_who_was_late_is_said() -> None:
    """By the stage that the backend's side had come to."""
    refused: list[Exception] = []

    class Client(Side):
        def refuse(self, error: Exception) -> None:
            refused.append(error)

    _, sides = begun()
    client = Client("client", sides.events)
    SESSION(SessionCore(client, sides.backend, sides.timeout, CONNECT, DRAIN)).late()
    assert str(refused[0]) == "no answer to the TLS handshake within 10 seconds"
