"""Closing of a server's connections when its reactor stops.

Without this, the connections of a program that only called ``listen`` would be cut when the program
stops. The clients would see close code 1006, as after a failure of the network, instead of 1001
(RFC 6455 section 7.4.1).
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
    Shutdown trigger of the reactor, set while a factory has ports or connections.

    :ivar hasBegun: whether the reactor is stopping, so that new connections are closed at once.
    :ivar isArmed: whether the trigger is set or has fired.
    """

    def __init__(
        self, closeOthers: Callable[[], Deferred[None]], abortAll: Callable[[], None]
    ) -> None:
        """
        :param closeOthers: closes the connections that nothing else is closing, and returns a
            Deferred, which fires when the last connection has ended.
        :param abortAll: aborts all connections, after a second signal.
        """
        self._closeOthers = closeOthers
        self._abortAll = abortAll
        self._reactor: Any = None
        self._trigger: Any = None
        self.hasBegun = False
        self.isArmed = False

    def arm(self, reactor: Any) -> None:
        """
        Set the trigger, unless it is set or has fired.

        :param reactor: the reactor; nothing is done for any other clock, such as a test's.
        """
        if not self.isArmed and IReactorCore.providedBy(reactor):
            self._reactor = reactor
            self._trigger = reactor.addSystemEventTrigger("before", "shutdown", self._close)
            self.isArmed = True

    def disarm(self) -> None:
        """Remove the trigger, if it is set."""
        trigger, self._trigger = self._trigger, None
        if trigger is not None:
            self._reactor.removeSystemEventTrigger(trigger)
            self.isArmed = False

    def _close(self) -> Deferred[None]:
        """
        Close the connections, two turns of the reactor later.

        Before that, a service or another trigger may close them with another code and a reason. A
        service that stops listening first does so in the next turn.
        """
        self._trigger = None  # a trigger that has fired must not be removed
        self.hasBegun = True
        leave = SECOND_SIGNAL.listen(self._reactor, self._abortAll)
        closing: Deferred[Any] = deferLater(self._reactor, 0)
        closing.addCallback(lambda _: deferLater(self._reactor, 0, self._closeOthers))

        def closed(_: object) -> None:
            leave()

        return closing.addBoth(closed)
