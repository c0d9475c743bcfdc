"""The bus of one process: publishers and subscribers are in this process."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from twisted.internet.defer import Deferred, succeed

from .bus import BusMessage, Past, Receive
from .failures import subscriberFailed
from .history import History


class LocalBus:
    """
    Bus of one process. Each Deferred has fired when it is returned.

    A position is the time of the start of the bus in milliseconds and the number of the message, so
    that a position of an earlier process is unknown.

    :ivar history: the last messages of the topics that have a history.
    """

    up = True
    reach = None
    isShared = False

    def __init__(self, now: Callable[[], float], history: History | None = None) -> None:
        """
        :param now: returns seconds since 1970; called once.
        :param history: the attribute; by default with the bounds of ``bus/bus.py``.
        """
        self.history = History() if history is None else history
        self._start = int(now() * 1000)
        self._numbers = count(1)
        self._subscribers: dict[str, tuple[Receive, bool]] = {}

    @property
    def historySize(self) -> int:
        """Number of bytes of the earlier messages."""
        return self.history.size

    def start(self) -> None:
        """Do nothing: all subscribers are in this process."""

    def stop(self) -> Deferred[None]:
        """Do nothing, as at the start."""
        return succeed(None)

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """Subscribe to a topic, as :meth:`txhixie.bus.bus.Bus.subscribe` describes."""
        self._subscribers[topic] = (receive, history)
        return succeed(None)

    def unsubscribe(self, topic: str) -> None:
        """End the subscription to a topic, and forget its history."""
        self._subscribers.pop(topic, None)
        self.history.forget(topic)

    def publish(
        self, topic: str, payload: bytes, is_text: bool, publisher: object = None
    ) -> Deferred[str]:
        """Deliver a message to the subscriber of its topic before this method returns."""
        message = BusMessage(f"{self._start}-{next(self._numbers)}", is_text, payload)
        receive, keeps = self._subscribers.get(topic, (None, False))
        if keeps:
            self.history.add(topic, message)
        if receive is not None:
            try:
                receive(message, publisher)
            except Exception:
                subscriberFailed(topic)
        return succeed(message.position)

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """Return the kept messages of a topic after a position."""
        return succeed(self.history.since(topic, position))
