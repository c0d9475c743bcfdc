"""The end of a server's connections when its reactor stops.

Without it, whoever stops a program that only called ``listen`` would have its clients cut off: they
would see 1006, as if the network had failed, instead of 1001 (RFC 6455 section 7.4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import deferLater

from .second_signal import SECOND_SIGNAL


class StopTrigger:
    """
    A trigger of the reactor's, set while a factory has ports or connections.

    :ivar hasBegun: whether the reactor is stopping.
    """

    def __init__(
        self, closeAll: Callable[[], Deferred[None]], abortAll: Callable[[], None]
    ) -> None:
        """
        :param closeAll: closes all connections; its Deferred fires when the last has ended.
        :param abortAll: ends them at once, at a second signal.
        """
        self._closeAll = closeAll
        self._abortAll = abortAll
        self._reactor: Any = None
        self._trigger: Any = None
        self.hasBegun = False

    @property
    def isArmed(self) -> bool:
        """Whether the trigger is set, or has been fired."""
        return self._trigger is not None or self.hasBegun

    def arm(self, reactor: Any) -> None:
        """Set the trigger, unless it is set; nothing for what is no reactor (a test's clock)."""
        if not self.isArmed and IReactorCore.providedBy(reactor):
            self._reactor = reactor
            self._trigger = reactor.addSystemEventTrigger("before", "shutdown", self._close)

    def disarm(self) -> None:
        """Remove the trigger, if it is set."""
        trigger, self._trigger = self._trigger, None
        if trigger is not None:
            self._reactor.removeSystemEventTrigger(trigger)

    def _close(self) -> Deferred[None]:
        """In the next turn: a service or another trigger may close with a code and a reason."""
        self._trigger = None  # one that was fired must not be removed
        self.hasBegun = True
        leave = SECOND_SIGNAL.listen(self._reactor, self._abortAll)
        closing = deferLater(self._reactor, 0).addCallback(lambda _: self._closeAll())

        def closed(_: object) -> None:
            leave()

        return closing.addBoth(closed)
