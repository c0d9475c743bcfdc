"""An endpoint that connects to a UNIX socket, with a timeout and typed errors."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as AttemptTimedOut
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from ..sansio.limits import Limits
from .errors import ConnectTimeout
from .stage import abandonable, notConnected


@implementer(IStreamClientEndpoint)
class UNIXSocketEndpoint:
    """Twisted's ``UNIXClientEndpoint``, with the errors of :mod:`txhixie.errors`."""

    def __init__(self, reactor: Any, path: str, *, limits: Limits = Limits()) -> None:
        """
        :param reactor: connects, and is the clock of the timeout.
        :param path: path of the socket.
        :param limits: of which ``tcp_timeout`` is used: a connect waits while the queue of the
            listening socket is full.
        """
        self._reactor = reactor
        self._path = path
        self._timeout = limits.tcp_timeout

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect to the socket.

        :return: fires with the connected protocol. Fails with
            :class:`txhixie.errors.ConnectFailed`, or with :class:`txhixie.errors.ConnectTimeout` at
            the stage ``tcp``. Cancelling the Deferred ends the attempt.
        """
        from twisted.internet.endpoints import UNIXClientEndpoint  # imports twisted.internet.ssl

        endpoint = UNIXClientEndpoint(self._reactor, self._path, self._timeout)
        connecting: Deferred[IProtocol] = endpoint.connect(protocolFactory)
        return abandonable(connecting, UNIXAddress(self._path)).addErrback(self._typed)

    def _typed(self, failure: Failure) -> Failure:
        """Convert Twisted's errors to ours, which are subclasses of Twisted's."""
        error = failure.value
        if isinstance(error, AttemptTimedOut):
            late = ConnectTimeout("tcp", self._timeout)
            late.__cause__ = error
            return Failure(late)
        if isinstance(error, ConnectError):
            return Failure(notConnected(f"UNIX socket {self._path}", error))
        return failure
