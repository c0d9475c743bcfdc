"""The closing handshake: every state takes every input, and one side waits until the other ends
the connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.private_state import name_of_state
from support.recording_port import Event, RecordingPort
from txhixie.sansio.closing import ENDINGS, ClosingCore, Ended, Ending

PATIENCE = 3.0
FRAME = b"\xff\x00"
SAY: list[Event] = [("write", FRAME), ("timeout", PATIENCE)]
WAIT: list[Event] = [("timeout", PATIENCE)]
DROP: list[Event] = [("drop", False)]
PART: list[Event] = [("drop", "at once")]
ABORT: list[Event] = [("drop", True)]
FORGET: list[Event] = [("timeout", None)]
NOTHING: list[Event] = []

INPUTS: dict[str, Callable[[Ending], None]] = {
    "close": lambda ending: ending.close(FRAME),
    "answered": lambda ending: ending.answered(FRAME),
    "end": lambda ending: ending.end(FRAME),
    "late": lambda ending: ending.late(),
    "lost": lambda ending: ending.lost(),
}
WAYS = {
    "Open": [],
    "Closing": ["close"],
    "Leaving": ["answered"],
    "Ending": ["end"],
    "Gone": ["lost"],
}
"""The inputs that reach each state; only the side that waits for the peer is ever in Leaving."""

TABLE: dict[str, dict[str, tuple[str, list[Event]]]] = {
    "Open": {
        "close": ("Closing", SAY),
        "answered": ("Leaving", SAY),
        "end": ("Ending", SAY + DROP),
        "late": ("Open", NOTHING),
        "lost": ("Gone", NOTHING),
    },
    "Closing": {
        "close": ("Closing", NOTHING),
        "answered": ("Leaving", WAIT),
        "end": ("Ending", SAY + DROP),
        "late": ("Ending", ABORT),
        "lost": ("Gone", FORGET),
    },
    "Leaving": {
        "close": ("Leaving", NOTHING),
        "answered": ("Leaving", NOTHING),
        "end": ("Ending", SAY + DROP),
        "late": ("Ending", ABORT),
        "lost": ("Gone", FORGET),
    },
    "Ending": {
        "close": ("Ending", NOTHING),
        "answered": ("Ending", NOTHING),
        "end": ("Ending", NOTHING),
        "late": ("Ending", ABORT),
        "lost": ("Gone", FORGET),
    },
    "Gone": dict.fromkeys(INPUTS, ("Gone", NOTHING)),
}


def expected(waits: bool, state: str, name: str) -> tuple[str, list[Event]]:
    """The row of the table; a side that ends the connection itself has no Leaving state."""
    after, events = TABLE[state][name]
    if not waits and after == "Leaving":
        return "Ending", events + PART
    return after, events


def begun(waits: bool) -> tuple[Ending, RecordingPort]:
    """A state machine, and the list of its calls to the Port."""
    effects = RecordingPort()
    return ENDINGS[waits](ClosingCore(effects, PATIENCE)), effects


def state_of(ending: Ending) -> str:
    """The state of a machine, for which Automat has no public name."""
    return name_of_state(ending)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("state", TABLE)
def test_every_state_takes_every_input(waits: bool, state: str, name: str) -> None:
    """The application, the peer and the clock may act at any time: no input is an error, and each
    has these effects."""
    if not waits and state == "Leaving":
        state = "Ending"
    ending, effects = begun(waits)
    for way in WAYS[state]:
        INPUTS[way](ending)
    assert state_of(ending) == state
    effects.taken()
    INPUTS[name](ending)
    assert (state_of(ending), effects.taken()) == expected(waits, state, name)


@given(st.sampled_from([True, False]), st.lists(st.sampled_from(sorted(INPUTS))))
def test_any_history_is_what_the_table_says(waits: bool, names: list[str]) -> None:
    """At most one close frame is sent by the application and one as the last frame, nothing is
    written once the connection is being ended, and no timeout runs for a connection that is
    closed."""
    ending, effects = begun(waits)
    state, events = "Open", NOTHING
    for name in names:
        INPUTS[name](ending)
        state, more = expected(waits, state, name)
        events = events + more
    assert (state_of(ending), effects.events) == (state, events)
    dropped = [index for index, event in enumerate(effects.events) if event in DROP + PART]
    if dropped:
        assert ("write", FRAME) not in effects.events[dropped[0] :]
    assert effects.events.count(("write", FRAME)) <= 2
    timeouts = [seconds for what, seconds in effects.events if what == "timeout"]
    if state == "Gone" and timeouts:
        assert timeouts[-1] is None


@pytest.mark.parametrize("waits", [True, False])
def test_nothing_is_written_where_there_is_nothing_to_say(waits: bool) -> None:
    """A dialect without a close ends the connection without an empty write."""
    ending, effects = begun(waits)
    ending.end(b"")
    assert effects.taken() == WAIT + DROP


def test_after_both_closes_one_side_ends_the_connection_and_the_other_waits() -> None:
    """The server ends the connection, so that it holds TIME_WAIT (RFC 6455 section 7.1.1).
    Neither side has to linger: no more data is sent."""
    for waits, last in ((False, PART), (True, NOTHING)):
        ending, effects = begun(waits)
        ending.close(FRAME)
        ending.answered(FRAME)
        assert effects.taken() == SAY + WAIT + last


def test_the_facts_of_an_end_are_a_tuple() -> None:
    """The close code, the reason, the side that began the close, and whether the close was
    clean."""
    assert Ended(1000, "bye", "us", True) == (1000, "bye", "us", True)
