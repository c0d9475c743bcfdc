"""An application that a service follows from its beginning to its end, and what Twisted's own
``ClientService``, which knows protocols only, is given in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from ..interfaces import (
    AbruptClose,
    CleanClose,
    CloseListener,
    PingListener,
    WebSocketProtocol,
    WebSocketTransport,
)
from ..sansio.closing import Ended


class ServiceProtocol(Protocol):
    """The protocol of a connection as Twisted's ``ClientService`` knows it."""

    application: WebSocketProtocol

    def track(self, application: WebSocketProtocol) -> None:
        """Pass the end of the connection on to this application."""
        self.application = application

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the application, before the service."""
        self.application.connectionLost(reason)


class Tracked:
    """
    An application that tells the service of its beginning and its end.

    :ivar isTracked: the service underneath knows of the connection; if it was stopped while we
        told that it is open, it never will.
    """

    isTracked = False

    def __init__(
        self,
        application: WebSocketProtocol,
        serviceProtocol: Any,
        opened: Callable[[], None],
        ended: Callable[[CleanClose | AbruptClose], None],
    ) -> None:
        """
        :param serviceProtocol: its :class:`ServiceProtocol`.
        :param opened: called when its conversation is open.
        :param ended: called with its end, if it was open.
        """
        self._application = application
        self._serviceProtocol = serviceProtocol
        self._opened = opened
        self._ended = ended
        self._isOpen = False
        if hasattr(application, "pingReceived"):  # else pings are answered without it
            self.pingReceived = self._pingReceived
        if hasattr(application, "closeStarted"):
            self.closeStarted = self._closeStarted

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Pass the transport on to the application."""
        self._transport = transport
        self._application.negotiationStarted(transport)

    def negotiationFinished(self) -> None:
        """Tell the service that the conversation is open, then the application."""
        self._isOpen = True
        self._opened()
        self._serviceProtocol.makeConnection(self._transport)
        self._application.negotiationFinished()

    # Looked up for each message, since an application may assign to its own methods.

    def textMessageReceived(self, message: str) -> None:
        """For the application."""
        self._application.textMessageReceived(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """For the application."""
        self._application.bytesMessageReceived(data)

    def pongReceived(self, payload: bytes) -> None:
        """For the application."""
        self._application.pongReceived(payload)

    def _pingReceived(self, payload: bytes) -> None:
        cast(PingListener, self._application).pingReceived(payload)

    def _closeStarted(self, ended: Ended) -> None:
        cast(CloseListener, self._application).closeStarted(ended)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the service first, then the application, once."""
        if self._isOpen:
            self._ended(cast(Any, reason.value))
        if self.isTracked:
            self._serviceProtocol.connectionLost(reason)
        else:
            self._application.connectionLost(reason)
