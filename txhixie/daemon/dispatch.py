"""Dispatch of requests by their routes: WebSocket requests to services, other requests to pages.

A service and a page may have the same route, since a request is either for WebSocket or not.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http import MOVED_PERMANENTLY
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from ..connection.log import ConnectionLog, installedReactor
from ..interfaces import Decision, WebSocketServerFactory
from ..sansio.handshake.offer import Offer
from .routes import Routes


class RoutedApplications:
    """Server factory that passes each offer on to the service of its route; without one, a 404."""

    def __init__(self, routes: Routes[WebSocketServerFactory]) -> None:
        self._routes = routes

    def buildProtocol(
        self, offer: Offer
    ) -> Decision | Deferred[Decision] | Coroutine[Any, Any, Decision]:
        """
        Return the decision of the service about an offer.

        The service of a route with a required subprotocol sees no other subprotocol in the offer,
        since the service could not select another one.

        :param offer: the client's offer.
        :return: the service's decision; ``None`` (a 404) if no route matches.
        """
        found = self._routes.find(offer.host, offer.path, offer.subprotocols)
        if found is None:
            return None
        route, service = found
        if route.subprotocol is not None:
            offer = replace(offer, subprotocols=(route.subprotocol,))
        return service.buildProtocol(offer)


class RoutedPages(Resource):
    """
    Root resource of a site, which passes each request on to the page resource of its route.

    A page resource sees the path after its route, as if the resource were the root. A request for
    the path of the route itself is redirected to the same path with a slash.
    """

    def __init__(self, routes: Routes[IResource]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._routes = routes

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """
        Find the page resource of a request.

        :param path: first segment of the request's path.
        :param request: the request, whose ``prepath`` and ``postpath`` are set.
        """
        # Not getRequestHostname(): without a Host field this function uses the socket's address,
        # which a UNIX socket does not have.
        host = (request.getHeader(b"host") or b"").decode("latin-1")
        found = self._routes.find(host, request.path.decode("latin-1"))
        if found is None:
            return notFound()
        route, pages = found
        segments = [*(request.prepath or ()), *(request.postpath or ())]
        depth = len(route.segments)
        request.prepath, request.postpath = segments[:depth], segments[depth:]
        return pages if request.postpath else _Slash(route.path)


class _Slash(Resource):
    """Redirect to the same path with a slash at its end, where relative links are right."""

    isLeaf = True

    def __init__(self, path: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._path = path

    def render(self, request: Request) -> bytes:
        """
        Redirect to the path of the route, with the query of the request.

        The path of the request is not used, since it may begin with two slashes: a browser would
        take the first segment for a host.
        """
        _, mark, query = request.uri.partition(b"?")
        request.setResponseCode(MOVED_PERMANENTLY)
        request.setHeader(b"Location", self._path.encode("ascii") + b"/" + mark + query)
        return b""


class PageSite(Site):
    """Site without tracebacks in its error pages, and with a log line of txhixie for each page."""

    noisy = False
    displayTracebacks = False
    _log = Logger()

    def __init__(self, root: IResource) -> None:
        super().__init__(root)  # type: ignore[no-untyped-call]
        self._lines = ConnectionLog(self._log, True, installedReactor)

    def log(self, request: Any) -> None:
        """
        Write the log line of a request.

        The line has no values of the query and bounded fields, unlike Twisted's access log.
        """
        transport = request.channel.transport
        holder = getattr(transport, "wrappedProtocol", None) or transport.protocol
        self._lines.page(getattr(holder, "number", None), request)
