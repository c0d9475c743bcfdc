"""Pages of an HTTP backend: GET and HEAD are passed on, the response is streamed to the client.

There is a connection to the backend for each request, which ends with the response, as nginx has it
by default: no byte of one client's exchange can become a part of another's, and no request is sent
to a connection that the backend is about to close, after which it would have to be repeated.

The client is not ``twisted.web.client.Agent``, which (in Twisted 26.10) reads a head of any size
(160 MB were tried), accepts bare line feeds, folded lines and NUL in a head, and takes a 101 for an
interim response.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from ..connection.log import Logged, fieldsOf, writeLine
from ..dialing.dialer import Dialer
from ..dialing.errors import ConnectTimeout
from ..dialing.stage import Abandoned
from ..sansio.errors import MalformedHead
from ..sansio.handshake.offer import Refusal
from ..sansio.http.forwarded import write_forwarded
from ..sansio.http.head import read_authority
from ..sansio.http.page_exchange import PageExchange
from ..sansio.http.redaction import masked_url
from ..sansio.limits import Limits
from ..sansio.types import Headers
from ..server.http_bounds import askedBy, holderOf
from ..server.refused_page import refusePage
from .backend_url import BackendURL, withoutPrefix
from .headers import passed_of_page
from .outage import UNREACHED, Outages
from .page_errors import ResponseFailed
from .page_transfer import PageTransfer, TransferFactory

RESPONSE_TIMEOUT: Final = 60.0
"""Default response timeout in seconds, that of nginx."""

CONNECTIONS: Final = 1000
"""Default of the most connections to a backend at a time: each needs a socket here and there."""

_METHODS: Final = ("GET", "HEAD")
_VERSION: Final = re.compile(rb"HTTP/([0-9.]+)")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """
    A request for a page, without the credentials that the daemon has checked.

    :ivar target: path and query.
    :ivar fields: header fields, names in lower case.
    :ivar host: the ``Host`` of the client's request; empty without one.
    :ivar client: the client's address; ``None`` without an address.
    :ivar secure: whether the client uses TLS.
    :ivar added: header fields about the client, such as the subject of its certificate.
    """

    target: str
    fields: Headers
    host: str
    client: str | None
    secure: bool
    added: Headers = ()


class BackendPages(Resource):
    """
    Page resource of a route that passes its requests on to a backend.

    :ivar answersRoute: whether the path of the route itself is passed on, and not redirected to the
        same path with a slash.
    """

    isLeaf = True

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        backend: BackendURL,
        dialer: Dialer,
        *,
        headers: Headers = (),
        backendHost: str | None = None,
        stripPrefix: str = "",
        connectTimeout: float,
        responseTimeout: float = RESPONSE_TIMEOUT,
        connections: int = CONNECTIONS,
        limits: Limits = Limits(),
        route: str | None = None,
    ) -> None:
        """
        :param reactor: the clock of the timeouts.
        :param backend: URL of the backend, without a path.
        :param dialer: connects to the backend.
        :param headers: header fields to add to each request, in place of those of the client.
        :param backendHost: the ``Host`` for the backend: a host, or ``"keep"``; by default that of
            the URL.
        :param stripPrefix: path of the route, which is removed from the path of a request.
        :param connectTimeout: timeout of the connect to the backend, in seconds; the wait for a
            free connection counts.
        :param responseTimeout: seconds for the head of the response, and between two reads of its
            body.
        :param connections: most connections to the backend at a time.
        :param limits: limits of the head of a response.
        :param route: route that leads to the pages, for the log.
        :raises ValueError: for a URL with a path, and for an ``Authorization`` field beside a
            password in the URL.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        if backend.resource:
            raise ValueError(
                "expected a URL without a path, not even /: a request keeps its own path; "
                "strip-prefix removes the path of the route"
            )
        self._fixed = (*headers, *_authorization(backend, headers))
        self._clock = reactor
        self._backend = backend
        self._endpoint: IStreamClientEndpoint = backend.endpoint(reactor, dialer)
        self._backendHost = backendHost
        self._stripPrefix = stripPrefix
        self._connectTimeout = connectTimeout
        self._responseTimeout = responseTimeout
        self._slots = DeferredSemaphore(connections)
        self._limits = limits
        self._route = route
        self._outages = Outages(backend.shown, reactor)
        self.answersRoute = not stripPrefix

    def passing(self, asked: PageRequest) -> IResource:
        """Return the resource of one request, which passes the request on."""
        return PassedPage(self, asked)

    def exchange(self, method: str, version: bytes, asked: PageRequest) -> PageExchange:
        """
        Write the request to the backend.

        :param version: version of the client's request, such as ``HTTP/1.1``.
        :raises MalformedHead: for a request that cannot be written, or with an invalid ``Host``.
        """
        host = read_authority(asked.host.encode("latin-1")) if asked.host else ""
        prefix = self._stripPrefix.removesuffix("/")
        own = (
            (b"Host", self._backend.host(self._backendHost, host).encode("ascii")),
            *write_forwarded(asked.client, asked.secure, host, prefix),
            (b"Via", b"%b txhixie" % _VERSION.sub(rb"\1", version)),
            *asked.added,
            *self._fixed,
        )
        passed = passed_of_page(asked.fields, {name.lower() for name, _ in self._fixed})
        target = withoutPrefix(asked.target, self._stripPrefix)
        return PageExchange(method, target, (*passed, *own), self._limits)

    async def connect(self, transfer: PageTransfer) -> None:
        """
        Connect to the backend once a connection is free.

        :raises txhixie.errors.ConnectTimeout: after the connect timeout, with the stage.
        :raises ResponseFailed: if no connection has become free by then.
        """
        stage = ""

        async def reach() -> None:
            nonlocal stage
            await self._slots.acquire()
            stage = "tcp"
            try:
                await self._endpoint.connect(TransferFactory(transfer))
            except BaseException as error:
                stage = getattr(error, "stage", stage)
                transfer.abandon()
                self._slots.release()
                if isinstance(error, Abandoned):
                    raise CancelledError from error
                raise

        reaching = Deferred.fromCoroutine(reach())
        try:
            await reaching.addTimeout(self._connectTimeout, self._clock)
        except Late:
            if stage:
                raise ConnectTimeout(stage, self._connectTimeout) from None
            most = f"all {self._slots.limit} connections to the backend are in use (connections)"
            raise ResponseFailed(most, 503) from None
        self._outages.served()

    def release(self) -> None:
        """Let another request use a connection, since one has ended."""
        self._slots.release()

    def unreached(self, error: Exception) -> Refusal:
        """Log that the connect to the backend failed, and return the refusal for the client."""
        return self._outages.failed(error)

    def transfer(self, exchange: PageExchange, request: Request) -> PageTransfer:
        """Make the transfer of a request."""
        closeTimeout = self._limits.close_timeout
        return PageTransfer(exchange, request, self._clock, self._responseTimeout, closeTimeout)

    def truncated(self, request: Request, reason: str) -> None:
        """Write the log line of a response that ended after the client has received a part."""
        number = getattr(holderOf(request.channel.transport), "number", None)
        logged = Logged(number, request.getClientAddress(), askedBy(request, request.uri))
        writeLine(
            self._log,
            "gateway",
            LogLevel.warn,
            **fieldsOf(logged),
            route=self._route,
            backend=masked_url(self._backend.shown),
            reason=reason,
        )


class PassedPage(Resource):
    """Page resource of one request that is passed on to a backend."""

    isLeaf = True

    def __init__(self, pages: BackendPages, asked: PageRequest) -> None:
        """
        :param pages: the pages of the backend.
        :param asked: the request as the backend may see it.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._pages = pages
        self._asked = asked

    def render(self, request: Request) -> int:
        """Pass the request on, until the client disconnects."""
        refusal = self._begin(request)
        if refusal is not None:
            refusePage(request, refusal)
        return NOT_DONE_YET

    def _begin(self, request: Request) -> Refusal | None:
        method = request.method.decode("latin-1")
        if method not in _METHODS:
            allowed = ", ".join(_METHODS)
            headers = [("Allow", allowed)]
            return Refusal(405, f"only {allowed} are passed on to this backend\n", headers)
        if request.content is not None and request.content.read(1):
            return Refusal(413, "a request with a body is not passed on to this backend\n")
        try:
            exchange = self._pages.exchange(method, request.clientproto, self._asked)
        except MalformedHead as error:
            return Refusal(400, f"the request cannot be passed on: {error}\n")
        running = Deferred.fromCoroutine(self._run(exchange, request))
        left: list[Failure] = []

        def leave(reason: Failure) -> None:
            left.append(reason)
            running.cancel()

        def failed(failure: Failure) -> None:
            if not (left and failure.check(CancelledError)):
                request.processingFailed(failure)  # type: ignore[attr-defined]  # only twisted.web.server.Request has this method

        request.notifyFinish().addErrback(leave)
        running.addErrback(failed)
        return None

    async def _run(self, exchange: PageExchange, request: Request) -> None:
        transfer = self._pages.transfer(exchange, request)
        try:
            await self._pages.connect(transfer)
        except ResponseFailed as error:
            refusePage(request, _refusal(error))
            return
        except UNREACHED as error:
            refusePage(request, self._pages.unreached(error))
            return
        try:
            await transfer.whenOver
        except ResponseFailed as error:
            if transfer.hasBegun:
                self._pages.truncated(request, str(error))
                truncate(request)
            else:
                refusePage(request, _refusal(error))
        finally:
            self._pages.release()


def truncate(request: Request) -> None:
    """
    End the connection of a client in the middle of a response, so that the client sees this.

    A response with a length or in chunks is truncated by a normal end of the connection, before
    which the client gets everything that was sent. Without both, the client would take a normal end
    for the end of the response: such a connection is reset.
    """
    channel: Any = request.channel
    request.unregisterProducer()
    headers = request.responseHeaders
    if not hasattr(channel, "forceAbortClient"):
        channel.abortConnection()  # a stream of HTTP/2
    elif request.chunked or headers.hasHeader(b"Content-Length"):
        channel.loseConnection()
    else:
        channel.transport.abortConnection()


def _refusal(error: ResponseFailed) -> Refusal:
    body = _BODIES[error.status]
    return Refusal(error.status, body, why=str(error), cause="backend")


_BODIES: Final = {
    502: "the backend's response is invalid\n",
    503: "the backend is busy\n",
    504: "the backend did not answer in time\n",
}


def _authorization(backend: BackendURL, headers: Headers) -> Headers:
    credentials = backend.parsed.credentials
    if credentials is None:
        return ()
    if any(name.lower() == b"authorization" for name, _ in headers):
        raise ValueError(
            "credentials are in the URL and in an Authorization field; leave one of the two out"
        )
    pair = f"{credentials.name}:{credentials.password}".encode()
    return ((b"Authorization", b"Basic " + b64encode(pair)),)
