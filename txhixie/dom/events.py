"""Events and event targets: the part of the DOM standard that a ``WebSocket`` needs.

There is no tree, no bubbling, and no event that can be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from twisted.logger import Logger

from ..connection.log import writeFailure
from ..sansio.http.redaction import masked_url

_log = Logger()

Listener: TypeAlias = "Callable[[Any], object]"
"""A callable that takes an event, or an object with ``handleEvent(event)``."""


@dataclass(slots=True, kw_only=True)
class Event:
    """
    Event of a ``WebSocket``.

    :ivar type: name of the event: ``open``, ``message``, ``error`` or ``close``.
    :ivar target: the ``WebSocket`` that dispatches the event.
    :ivar currentTarget: the same ``WebSocket``.
    :ivar timeStamp: time of the event, in milliseconds of the reactor's clock.
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
    Event of a received message.

    :ivar data: ``str`` for a text message; for a binary message the type of ``binaryType``.
    :ivar origin: origin of the server, such as ``wss://example.com``.
    """

    data: str | bytes | bytearray
    origin: str
    lastEventId: str = ""
    source: None = None
    ports: tuple[()] = ()


@dataclass(slots=True, kw_only=True)
class CloseEvent(Event):
    """
    Event of the end of a connection.

    :ivar wasClean: whether the closing handshake was complete.
    :ivar code: close code; 1005 if the peer sent none, 1006 for each failure.
    :ivar reason: close reason; empty if the peer sent none.
    """

    wasClean: bool
    code: int
    reason: str


class EventTarget:
    """
    Base class of an object that dispatches events to listeners.

    When a listener raises, its traceback is logged and the other listeners are still called.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, list[tuple[Listener, bool]]] = {}
        self._attributes: dict[str, tuple[Listener, Listener]] = {}

    def addEventListener(self, type: str, listener: Listener, *, once: bool = False) -> None:  # noqa: A002 (the standard's name)
        """
        Call ``listener`` for each event of this type, after the listeners that were added before.

        A listener that was added already is not added again.

        :param type: name of the event.
        :param listener: a callable, or an object with ``handleEvent(event)``.
        :param once: whether to call the listener for the next event only.
        """
        listeners = self._listeners.setdefault(type, [])
        if all(known != listener for known, _ in listeners):
            listeners.append((listener, once))

    def removeEventListener(self, type: str, listener: Listener) -> None:  # noqa: A002 (the DOM's name)
        """Remove a listener, also from an event that is being dispatched."""
        listeners = self._listeners.get(type, [])
        listeners[:] = [entry for entry in listeners if entry[0] != listener]

    def dispatch(self, event: Event) -> None:
        """Call each listener of the event's type; log the traceback of a listener that raises."""
        event.target = event.currentTarget = self
        for entry in tuple(self._listeners.get(event.type, ())):
            if entry not in self._listeners[event.type]:
                continue  # an earlier listener has removed this one
            listener, once = entry
            if once:
                self.removeEventListener(event.type, listener)
            try:
                getattr(listener, "handleEvent", listener)(event)
            except Exception:
                url = getattr(self, "url", None)
                what = "a listener of a WebSocket raised"
                writeFailure(_log, what, url=None if url is None else masked_url(url))

    def attribute(self, type: str) -> Listener | None:  # noqa: A002 (the DOM's name)
        """Return the listener that was assigned to ``ontype``."""
        return self._attributes[type][0] if type in self._attributes else None

    def assign(self, type: str, listener: Listener | None) -> None:  # noqa: A002 (the DOM's name)
        """
        Assign a listener to ``ontype``.

        The listener keeps the place of the first assignment in the order of all listeners. A value
        that is not callable counts as ``None``, as in the standard.

        :param type: name of the event.
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


def eventAttribute(type: str) -> Any:  # noqa: A002 (the DOM's name)
    """Return a property ``ontype`` of an :class:`EventTarget`, which holds one listener."""

    def get(target: EventTarget) -> Listener | None:
        return target.attribute(type)

    def put(target: EventTarget, listener: Listener | None) -> None:
        target.assign(type, listener)

    return cast(Any, property(get, put, doc=f"Called for each ``{type}`` event."))
