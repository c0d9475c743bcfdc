"""A client that reconnects: Twisted's ``ClientService`` with the close codes of WebSocket.

``ClientService`` connects, waits and stops. This module adds a retry policy, the close codes that
ask for a longer delay than ``client/backoff.py`` has, and new header fields for each attempt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, TypeAlias, Unpack, cast

from twisted.application.internet import ClientService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ..connection.awaiting import awaited, explain
from ..connection.log import writeFailure, writeLine
from ..dialing.stage import CANCELLED
from ..display import shown_url
from ..interfaces import (
    AbruptClose,
    CleanClose,
    Connector,
    WebSocketClientFactory,
    WebSocketProtocol,
)
from ..sansio.arguments import scalars, without_iterators
from ..sansio.http.head import header_pairs
from ..sansio.http.redaction import masked_url
from ..sansio.http.url import without_credentials
from ..sansio.types import Headers, HeadersLike
from ..sansio.wire.frame import CloseCode
from .backoff import Backoff
from .endpoint import EndpointOptions, WebSocketClientEndpoint
from .tracked import ServiceProtocol, Tracked

FreshHeaders: TypeAlias = "Callable[[], HeadersLike | Awaitable[HeadersLike]]"
"""Callable that returns the further headers of one attempt, or an awaitable of the headers."""

RetryPolicy: TypeAlias = "Callable[[Exception], bool | float]"
"""
Callable that decides, after an attempt or a conversation has ended with an error, whether to retry.

The callable returns ``True`` to retry after the usual delay, ``False`` to give up, or the delay in
seconds. When the callable raises, the error is logged and the service retries after the usual
delay. Useful attributes of the error are ``code``, of a :class:`txhixie.CleanClose` or a
:class:`txhixie.AbruptClose`, and ``status``, of a :class:`txhixie.errors.HandshakeRefused`.
"""

_CODE_DELAYS: Final = {
    CloseCode.SERVICE_RESTART: (5.0, 30.0),
    CloseCode.TRY_AGAIN_LATER: (30.0, 60.0),
}
"""Bounds of the random delay after a close code, in seconds. The registration of 1012 (service
restart) has these seconds. 1013 means an overloaded server (try again later), which clients that
reconnect within five seconds would overload further."""


class WebSocketClientService(ClientService):
    """
    Service that keeps one conversation with a server open while the service runs.

    Each conversation has a new application.

    :ivar url: the URL, without its user name and password.
    :ivar gaveUp: the error after which the policy asked to give up; ``None`` while the service
        continues to connect.
    """

    _own = Logger()

    gaveUp: Exception | None = None

    def __init__(
        self,
        connector: Callable[[Headers], Connector],
        url: str,
        applications: WebSocketClientFactory[Any],
        *,
        clock: IReactorTime,
        freshHeaders: FreshHeaders | None = None,
        policy: RetryPolicy | None = None,
        backoff: Backoff = Backoff(),
    ) -> None:
        """
        :param connector: takes the further headers of an attempt and returns the endpoint that
            opens its conversation.
        :param url: ``ws:`` or ``wss:`` URL, for ``applications`` and the log.
        :param applications: as for :meth:`new`.
        :param clock: measures the delays.
        :param freshHeaders: as for :meth:`new`.
        :param policy: as for :meth:`new`.
        :param backoff: as for :meth:`new`.
        """
        self.url = without_credentials(url)
        self._connector = connector
        self._applications = applications
        self._freshHeaders = freshHeaders
        self._policy = policy
        self._backoff = backoff
        self._clock = clock
        self._attempt = 0
        self._began = 0.0
        self._wait: float | None = None
        attempts = cast(IStreamClientEndpoint, _Attempts(self.url, self._open))
        factory = cast(IProtocolFactory, Factory.forProtocol(ServiceProtocol))
        cast(Any, factory).noisy = False
        super().__init__(attempts, factory, self._delay, clock)

    @classmethod
    def new(
        cls,
        reactor: Any,
        url: str,
        applications: WebSocketClientFactory[Any],
        *,
        freshHeaders: FreshHeaders | None = None,
        policy: RetryPolicy | None = None,
        backoff: Backoff = Backoff(),
        **options: Unpack[EndpointOptions],
    ) -> WebSocketClientService:
        """
        Make a service that connects with :meth:`txhixie.WebSocketClientEndpoint.new`.

        :param reactor: its resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:`` URL.
        :param applications: its ``buildProtocol(url)`` makes an application for each conversation.
        :param freshHeaders: called before each attempt; returns further headers of the request, or
            an awaitable of these headers: for a token that expires. When the callable or the
            awaitable fails, the attempt fails.
        :param policy: called with the error of each failed attempt and of each conversation that
            has ended; returns ``True`` to retry, ``False`` to give up, or the delay in seconds. By
            default the service always retries.
        :param backoff: the delays that neither the policy nor the close code decides.
        :param options: the options of the endpoint.
        :raises ValueError: for a value that cannot be written in a request.
        :raises TypeError: for a value of another type, as the endpoint does.
        """
        options = without_iterators(options)
        own = header_pairs(options.get("headers", ()))

        def connector(headers: Headers) -> Connector:
            options["headers"] = (*own, *headers)
            return WebSocketClientEndpoint.new(reactor, url, **options)

        connector(())  # raise errors of the options here, not in each attempt
        return cls(
            connector,
            url,
            applications,
            clock=reactor,
            freshHeaders=freshHeaders,
            policy=policy,
            backoff=backoff,
        )

    def whenConnected(self, failAfterFailures: int | None = None) -> Deferred[Any]:
        """
        Wait for an open conversation.

        :param failAfterFailures: number of failed attempts after which the Deferred fails;
            ``None``: never because of their number.
        :return: fires with the application of the open conversation, or of the next one. Fails with
            the error of the last attempt after ``failAfterFailures`` failed attempts, with
            :attr:`gaveUp` when the policy gives up, and with ``CancelledError`` when the service is
            stopped.
        """
        if failAfterFailures is not None:
            scalars(int, failAfterFailures=failAfterFailures)
        connected: Deferred[Any] = cast(Any, super().whenConnected(failAfterFailures))
        return awaited(
            connected.addCallbacks(self._application, self._explain).addBoth(self._later)
        )

    def _application(self, serviceProtocol: Any) -> WebSocketProtocol:
        return cast(WebSocketProtocol, serviceProtocol.application)

    def _later(self, result: object) -> Deferred[Any]:
        """
        Fire a Deferred of :meth:`whenConnected` in the next reactor turn.

        ``ClientService`` cannot be stopped from within the state transition that fires its own
        Deferred, and a coroutine that waited for the conversation may stop the service at once.
        """
        return deferLater(self._clock, 0, lambda: result)

    def _explain(self, failure: Failure) -> Failure:
        if failure.check(CancelledError) and self.gaveUp is not None:
            return Failure(self.gaveUp)
        return failure

    def startService(self) -> None:
        """Start the service, or start the service again after it was stopped."""
        if not self.running:
            self.gaveUp = None
            self._attempt = 0
        super().startService()

    # One attempt.

    async def _open(self, protocolFactory: IProtocolFactory) -> IProtocol:
        try:
            fresh = self._freshHeaders() if self._freshHeaders is not None else ()
            headers = header_pairs(await fresh if isawaitable(fresh) else fresh)
            application = self._applications.buildProtocol(self.url)
            serviceProtocol = cast(Any, protocolFactory).buildProtocol(None)
            serviceProtocol.track(application)
            tracked = Tracked(application, serviceProtocol, self._opened, self._ended)
            await self._connector(headers).connectApplication(tracked)
        except CANCELLED:
            raise  # the service is stopped
        except Exception as error:
            self._failed(error)
            raise
        tracked.isTracked = True
        return cast(IProtocol, serviceProtocol)

    def _failed(self, error: Exception) -> None:
        explain(error)
        writeLine(self._own, "failed", url=masked_url(self.url), reason=str(error))
        self._judge(error)

    def _opened(self) -> None:
        self._began = self._clock.seconds()

    def _ended(self, close: CleanClose | AbruptClose) -> None:
        if self._clock.seconds() - self._began >= self._backoff.steady:
            self._attempt = 0
        self._judge(close)

    def _judge(self, error: Exception) -> None:
        """Decide whether and when to retry, before ``ClientService`` asks for the delay."""
        if not self.running:
            return
        verdict = self._ask(error)
        self._wait = None
        if verdict is False:
            self.gaveUp = error
            self._clock.callLater(0, self._giveUp)
        elif verdict is not True:
            self._wait = verdict
        elif isinstance(error, CleanClose | AbruptClose) and error.code in _CODE_DELAYS:
            self._wait = self._backoff.between(*_CODE_DELAYS[error.code])

    def _ask(self, error: Exception) -> bool | float:
        """
        Call the policy, and return its decision; ``True`` if the policy raises.

        An error of the policy must not stop the service from reconnecting.
        """
        if self._policy is None:
            return True
        try:
            verdict = self._policy(error)
            return verdict if isinstance(verdict, bool) else max(0.0, float(verdict))
        except Exception:
            what = "the retry policy raised; retrying after the usual delay"
            writeFailure(self._own, what, url=masked_url(self.url))
            return True

    def _giveUp(self) -> None:
        if self.gaveUp is None:
            return  # the service was started again
        writeLine(self._own, "given-up", url=masked_url(self.url))
        self.stopService()

    def _delay(self, failed: int) -> float:
        """
        Return the delay before the next attempt, in seconds, for ``ClientService``.

        :param failed: number of failures since the last connection; not used, since
            :attr:`Backoff.steady` decides when to count from 1 again.
        """
        self._attempt += 1
        return self._backoff.delay(self._attempt) if self._wait is None else self._wait


@implementer(IStreamClientEndpoint)
class _Attempts:
    """Endpoint for ``ClientService``: each connect is one attempt to open a conversation."""

    def __init__(self, url: str, attempt: Callable[[IProtocolFactory], Any]) -> None:
        self._url = url
        self._attempt = attempt

    def __repr__(self) -> str:
        return f"<{shown_url(self._url)}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._attempt(protocolFactory))
