"""Event listeners, as the DOM standard defines them."""

from __future__ import annotations

from typing import Any

from support.applications import Broken
from support.log_recorder import Log
from txhixie.dom.events import CloseEvent, Event, EventTarget, MessageEvent, eventAttribute


class Bell(EventTarget):
    onring = eventAttribute("ring")

    def ring(self) -> None:
        self.dispatch(Event(type="ring"))


class Heard:
    """Listeners that record their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> Any:
        return lambda event: self.names.append(name)


def test_listeners_are_called_in_order_and_once_each() -> None:
    bell, heard = Bell(), Heard()
    first, second = heard("first"), heard("second")
    for listener in (first, second, first):
        bell.addEventListener("ring", listener)
    bell.addEventListener("other", heard("other"))
    bell.ring()
    assert heard.names == ["first", "second"]
    bell.removeEventListener("ring", first)
    bell.removeEventListener("ring", heard("unknown"))
    bell.removeEventListener("never", first)
    bell.ring()
    assert heard.names == ["first", "second", "second"]


def test_an_attribute_keeps_the_place_of_its_first_assignment() -> None:
    bell, heard = Bell(), Heard()
    assert bell.onring is None
    bell.addEventListener("ring", heard("before"))
    bell.onring = heard("old")
    bell.addEventListener("ring", heard("after"))
    bell.onring = new = heard("new")
    assert bell.onring is new
    bell.ring()
    assert heard.names == ["before", "new", "after"]
    bell.onring = None
    bell.onring = None
    bell.ring()
    assert heard.names == ["before", "new", "after", "before", "after"]
    bell.onring = heard("again")
    bell.ring()
    assert heard.names[-3:] == ["before", "after", "again"]
    bell.onring = "no function"
    assert bell.onring is None


def test_a_listener_may_be_called_once_only() -> None:
    bell, heard = Bell(), Heard()
    bell.addEventListener("ring", heard("once"), once=True)
    bell.ring()
    bell.ring()
    assert heard.names == ["once"]


def test_a_listener_that_is_removed_during_the_dispatch_is_not_called() -> None:
    bell, heard = Bell(), Heard()
    second = heard("second")
    bell.addEventListener("ring", lambda event: bell.removeEventListener("ring", second))
    bell.addEventListener("ring", lambda event: bell.addEventListener("ring", heard("late")))
    bell.addEventListener("ring", second)
    bell.ring()
    assert heard.names == []


def test_an_object_with_handleEvent_may_be_a_listener() -> None:
    class Listening:
        def handleEvent(self, event: Event) -> None:
            self.event = event

    bell, listening = Bell(), Listening()
    bell.addEventListener("ring", listening)  # type: ignore[arg-type]  # an object of options in place of the flag, as the standard allows
    bell.ring()
    assert listening.event.type == "ring"
    assert listening.event.target is listening.event.currentTarget is bell


def test_a_listener_that_raises_does_not_stop_the_others(log: Log) -> None:
    log.hasStubs = True

    def raises(event: Event) -> None:
        raise Broken

    bell, heard = Bell(), Heard()
    bell.addEventListener("ring", raises)
    bell.addEventListener("ring", heard("second"))
    bell.ring()
    assert heard.names == ["second"]
    assert [type(error) for error in log.tracebacks()] == [Broken]


def test_events_have_the_fields_of_the_standard() -> None:
    message = MessageEvent(type="message", data="x", origin="ws://a")
    assert (message.lastEventId, message.source, message.ports) == ("", None, ())
    assert (message.bubbles, message.cancelable, message.defaultPrevented) == (False,) * 3
    assert message.isTrusted
    close = CloseEvent(type="close", wasClean=True, code=1000, reason="bye")
    assert (close.wasClean, close.code, close.reason) == (True, 1000, "bye")
