"""The WHATWG interface: events and exceptions of :class:`txhixie.WebSocket`."""

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
