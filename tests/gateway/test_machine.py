"""The state machine of a client and its backend: every state with every input, in any order."""

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
    """Both sides and the clock; each records the calls of the machine."""

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
"""The inputs that lead to each state."""

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
"""The new state and the effects of each input; an input that a row lacks changes nothing."""


def expected(state: str, name: str) -> tuple[str, list[Event]]:
    return TABLE[state].get(name, (state, []))


def begun() -> tuple[SessionMachine, Sides]:
    """A machine, and the two sides that it calls."""
    sides = Sides()
    return SESSION(SessionCore(sides.client, sides.backend, sides.timeout, CONNECT, DRAIN)), sides


def state_of(machine: SessionMachine) -> str:
    """The name of the state that a machine is in."""
    return name_of_state(machine)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("state", TABLE)
def test_every_state_takes_every_input(state: str, name: str) -> None:
    """No input of the client, the backend or the clock raises an error in any state."""
    machine, sides = begun()
    for way in WAYS[state]:
        INPUTS[way](machine)
    assert state_of(machine) == state
    sides.taken()
    INPUTS[name](machine)
    assert (state_of(machine), sides.taken()) == expected(state, name)


@given(st.lists(st.sampled_from(sorted(INPUTS)), max_size=12))
def test_any_sequence_of_inputs_has_the_effects_of_the_table(names: list[str]) -> None:
    """In every sequence the client is answered at most once, no side is closed twice, the backend
    is read from only after its client has connected, and no timeout stays after the end."""
    machine, sides = begun()
    sides.timeout(CONNECT)
    state = "Reaching"
    events: list[Event] = [("timeout", CONNECT)]
    clock: float | None = CONNECT
    for name in names:
        if name == "late" and clock is None:
            continue  # no timeout is set
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


def test_the_client_gets_the_close_code_of_the_backend_s_first_end() -> None:
    """The backend ends before its client's handshake is complete, and is then lost."""
    machine, sides = begun()
    machine.reached()
    machine.backend_ended(LAST)
    machine.backend_lost(CLOSE)
    sides.taken()
    machine.opened()
    assert sides.taken() == [RESUME, ("client", "close", LAST)]


def test_an_end_that_another_end_causes_is_processed_after_it() -> None:
    """The client's ``close`` calls back into the machine."""
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


def test_the_timeout_error_names_the_stage_of_connecting() -> None:
    """The backend's side has reached the TLS handshake."""
    refused: list[Exception] = []

    class Client(Side):
        def refuse(self, error: Exception) -> None:
            refused.append(error)

    _, sides = begun()
    client = Client("client", sides.events)
    SESSION(SessionCore(client, sides.backend, sides.timeout, CONNECT, DRAIN)).late()
    assert str(refused[0]) == "no answer to the TLS handshake within 10 seconds"
