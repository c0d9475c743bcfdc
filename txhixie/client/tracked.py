"""Adapters between an application and Twisted's ``ClientService``, which handles protocols only."""

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
    """Protocol of a connection for Twisted's ``ClientService``."""

    application: WebSocketProtocol

    def track(self, application: WebSocketProtocol) -> None:
        """Set the application, which gets ``connectionLost`` when the connection ends."""
        self.application = application

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Call ``connectionLost`` of the application."""
        self.application.connectionLost(reason)


class Tracked:
    """
    Wrapper of an application that tells the service when the conversation opens and ends.

    :ivar isTracked: whether ``ClientService`` knows of the connection. When the service is stopped
        while the conversation opens, ``ClientService`` never knows of the connection.
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
        :param application: the application, which gets all events.
        :param serviceProtocol: the :class:`ServiceProtocol` of the connection.
        :param opened: called when the conversation is open.
        :param ended: called with the close when a conversation that was open has ended.
        """
        self._application = application
        self._serviceProtocol = serviceProtocol
        self._opened = opened
        self._ended = ended
        self._isOpen = False
        if hasattr(application, "pingReceived"):  # otherwise the connection answers pings itself
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

    # The application's method is looked up for each message, since an application may replace its
    # own methods.

    def textMessageReceived(self, message: str) -> None:
        """Pass a text message on to the application."""
        self._application.textMessageReceived(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Pass a binary message on to the application."""
        self._application.bytesMessageReceived(data)

    def pongReceived(self, payload: bytes) -> None:
        """Pass the payload of a pong frame on to the application."""
        self._application.pongReceived(payload)

    def _pingReceived(self, payload: bytes) -> None:
        cast(PingListener, self._application).pingReceived(payload)

    def _closeStarted(self, ended: Ended) -> None:
        cast(CloseListener, self._application).closeStarted(ended)

    def connectionLost(self, reason: Failure) -> None:
        """Tell the service, and then the application, that the connection has ended."""
        if self._isOpen:
            self._ended(cast(Any, reason.value))
        if self.isTracked:
            self._serviceProtocol.connectionLost(reason)
        else:
            self._application.connectionLost(reason)
