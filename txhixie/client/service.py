"""A client that stays connected: Twisted's ``ClientService``, with what WebSocket adds to the
question of whether and when to try again.

The service underneath does the connecting, the waiting and the stopping. Here are the closing codes
that ask for another delay than that of ``client/backoff.py``, and headers that are fresh each time.
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
from ..connection.log import writeLine
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
from .backoff import Backoff
from .endpoint import EndpointOptions, WebSocketClientEndpoint
from .tracked import ServiceProtocol, Tracked

FreshHeaders: TypeAlias = "Callable[[], HeadersLike | Awaitable[HeadersLike]]"
"""Answers the headers of one attempt, now or later."""

RetryPolicy: TypeAlias = "Callable[[Exception], bool | float]"
"""
Says, after an attempt or a conversation has ended with this error, whether to try again: ``True``
as usual, ``False`` never, or in how many seconds. One that raises is logged, and asks for what is
usual. What it looks at is the error's ``code`` if it is
a :class:`txhixie.CleanClose` or a :class:`txhixie.AbruptClose`, and the
``status`` of a :class:`txhixie.errors.HandshakeRefused`.
"""

_ASKED: Final = {1012: (5.0, 30.0), 1013: (30.0, 60.0)}
"""Seconds that a closing code asks for. 1012 was registered with these; of 1013 it is only said
that it means overload, which who comes back in five seconds makes worse."""


class WebSocketClientService(ClientService):
    """
    Keeps one conversation with a server open while it runs, each with an application of its own.

    :ivar url: where to, without credentials.
    :ivar gaveUp: the error after which the policy wanted no other attempt; ``None`` while there are
        any.
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
        :param connector: makes, of the fresh headers of an attempt, what opens its conversation.
        :param clock: measures the delays; and the rest as for :meth:`new`.
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
        The usual stack, that of :meth:`txhixie.WebSocketClientEndpoint.new`.

        :param reactor: whose resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:``.
        :param applications: its ``buildProtocol(url)`` makes an application for each conversation.
        :param freshHeaders: is called before each attempt, and answers further headers of its
            request, or an awaitable of them: a token that does not last, say. If it fails, so does
            the attempt.
        :param policy: is called with the error of each attempt or conversation that has ended, and
            says whether to try again: ``True`` or ``False``, or the delay in seconds; by default
            there is always another attempt.
        :param backoff: the delays where neither the policy nor a closing code asks for one.
        :param options: those of the endpoint.
        :raises ValueError: for what no request can say.
        :raises TypeError: for a value of another type, as the endpoint does.
        """
        options = without_iterators(options)
        own = header_pairs(options.get("headers", ()))

        def connector(headers: Headers) -> Connector:
            options["headers"] = (*own, *headers)
            return WebSocketClientEndpoint.new(reactor, url, **options)

        connector(())  # whoever makes the service is to hear of what no attempt can say
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
        :param failAfterFailures: how many attempts may fail first; ``None``: any number.
        :return: fires with the application of the conversation that is open, or of the next. Fails
            with what the last attempt failed with when so many have; with :attr:`gaveUp` when there
            will be no other; and with ``CancelledError`` when the service is stopped.
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
        On a turn of its own: inside the transition that tells of it, the service underneath cannot
        be stopped, and a coroutine that has waited may well want to.
        """
        return deferLater(self._clock, 0, lambda: result)

    def _explain(self, failure: Failure) -> Failure:
        if failure.check(CancelledError) and self.gaveUp is not None:
            return Failure(self.gaveUp)
        return failure

    def startService(self) -> None:
        """Begin, or begin again after it was stopped."""
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
        """Decide about the next attempt, for which the service will ask in a moment."""
        if not self.running:
            return
        verdict = self._ask(error)
        self._wait = None
        if verdict is False:
            self.gaveUp = error
            self._clock.callLater(0, self._giveUp)
        elif verdict is not True:
            self._wait = verdict
        elif isinstance(error, CleanClose | AbruptClose) and error.code in _ASKED:
            self._wait = self._backoff.between(*_ASKED[error.code])

    def _ask(self, error: Exception) -> bool | float:
        """The policy. What it raises must not keep the service from hearing of an end."""
        if self._policy is None:
            return True
        try:
            verdict = self._policy(error)
            return verdict if isinstance(verdict, bool) else max(0.0, float(verdict))
        except Exception:
            self._own.failure(
                "the policy for {url} raised: as usual, then", url=shown_url(self.url)
            )
            return True

    def _giveUp(self) -> None:
        if self.gaveUp is None:
            return  # it was started again
        writeLine(self._own, "given-up", url=masked_url(self.url))
        self.stopService()

    def _delay(self, failed: int) -> float:
        """The service's question. It counts anew after each connection; we do not, see steady."""
        self._attempt += 1
        return self._backoff.delay(self._attempt) if self._wait is None else self._wait


@implementer(IStreamClientEndpoint)
class _Attempts:
    """The endpoint that the service underneath connects to, again and again."""

    def __init__(self, url: str, attempt: Callable[[IProtocolFactory], Any]) -> None:
        self._url = url
        self._attempt = attempt

    def __repr__(self) -> str:
        return f"<{shown_url(self._url)}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._attempt(protocolFactory))
