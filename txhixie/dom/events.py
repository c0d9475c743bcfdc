"""Events, and what they are dispatched to, as the DOM standard has them where it matters to a
socket: no tree, no bubbling, nothing to cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from twisted.logger import Logger

_log = Logger()

Listener: TypeAlias = "Callable[[Any], object]"
"""A callable of an event, or an object with ``handleEvent(event)``."""


@dataclass(slots=True, kw_only=True)
class Event:
    """
    Something has happened.

    :ivar type: what, in a word.
    :ivar target: to whom.
    :ivar currentTarget: the same.
    :ivar timeStamp: when, in milliseconds of the reactor's clock.
    """

    type: str
    target: Any = field(default=None, repr=False)
    currentTarget: Any = field(default=None, repr=False)
    timeStamp: float = 0.0
    bubbles: bool = False
    cancelable: bool = False
    defaultPrevented: bool = False
    isTrusted: bool = True


@dataclass(slots=True, kw_only=True)
class MessageEvent(Event):
    """
    A message has come.

    :ivar data: ``str`` for text; for binary what ``binaryType`` says.
    :ivar origin: the server's, as ``wss://example.com``.
    """

    data: str | bytes | bytearray
    origin: str
    lastEventId: str = ""
    source: None = None
    ports: tuple[()] = ()


@dataclass(slots=True, kw_only=True)
class CloseEvent(Event):
    """
    The connection has ended.

    :ivar wasClean: whether both sides have closed.
    :ivar code: the closing code; 1005 where there was none, 1006 for everything that went wrong.
    :ivar reason: in words; empty where none were given.
    """

    wasClean: bool
    code: int
    reason: str


class EventTarget:
    """
    Whoever has events. A listener that raises has its traceback logged, and keeps no other from
    being called.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, list[tuple[Listener, bool]]] = {}
        self._attributes: dict[str, tuple[Listener, Listener]] = {}

    def addEventListener(self, type: str, listener: Listener, *, once: bool = False) -> None:  # noqa: A002 (the standard's name)
        """
        Call ``listener`` for each event of this type, after those that were added before it. One
        that is there already is not added again.

        :param once: only for the next.
        """
        listeners = self._listeners.setdefault(type, [])
        if all(known != listener for known, _ in listeners):
            listeners.append((listener, once))

    def removeEventListener(self, type: str, listener: Listener) -> None:  # noqa: A002
        """Do not call it any more, not even for an event that is being dispatched."""
        listeners = self._listeners.get(type, [])
        listeners[:] = [entry for entry in listeners if entry[0] != listener]

    def dispatch(self, event: Event) -> None:
        """Call the listeners of its type, each on its own."""
        event.target = event.currentTarget = self
        for entry in tuple(self._listeners.get(event.type, ())):
            if entry not in self._listeners[event.type]:
                continue  # an earlier one has removed it
            listener, once = entry
            if once:
                self.removeEventListener(event.type, listener)
            try:
                getattr(listener, "handleEvent", listener)(event)
            except Exception:
                _log.failure("a listener of a WebSocket raised")

    def attribute(self, type: str) -> Listener | None:  # noqa: A002
        """What was assigned to ``ontype``."""
        return self._attributes[type][0] if type in self._attributes else None

    def assign(self, type: str, listener: Listener | None) -> None:  # noqa: A002
        """
        Assign to ``ontype``: it is called where the first of these assignments stood among the
        listeners. What cannot be called is taken for ``None``, as the standard has it.
        """
        if not callable(listener):
            if type in self._attributes:
                self.removeEventListener(type, self._attributes.pop(type)[1])
            return
        if type in self._attributes:
            self._attributes[type] = (listener, self._attributes[type][1])
            return

        def calls(event: Event) -> None:
            self._attributes[type][0](event)

        self._attributes[type] = (listener, calls)
        self.addEventListener(type, calls)


def eventAttribute(type: str) -> Any:  # noqa: A002
    """A property ``ontype`` of an :class:`EventTarget`: the one listener that is assigned."""

    def get(target: EventTarget) -> Listener | None:
        return target.attribute(type)

    def put(target: EventTarget, listener: Listener | None) -> None:
        target.assign(type, listener)

    return cast(Any, property(get, put, doc=f"Called for each ``{type}`` event."))
