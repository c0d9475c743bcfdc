"""The names that pages use: the events of a :class:`txhixie.WebSocket`, and what it raises."""

from .events import CloseEvent, Event, EventTarget, MessageEvent
from .url import DOMException, InvalidAccess, InvalidState, InvalidSyntax

__all__ = [
    "CloseEvent",
    "DOMException",
    "Event",
    "EventTarget",
    "InvalidAccess",
    "InvalidState",
    "InvalidSyntax",
    "MessageEvent",
]
