"""What is served where: routes that lead to sockets, and routes that lead to ordinary pages.

The two are apart: a route to pages and one to a socket may be the same, since no request is both.
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
    """Has each offer answered by the service of its route; what nobody serves is a 404."""

    def __init__(self, routes: Routes[WebSocketServerFactory]) -> None:
        self._routes = routes

    def buildProtocol(
        self, offer: Offer
    ) -> Decision | Deferred[Decision] | Coroutine[Any, Any, Decision]:
        """
        Ask the service. If its route wants a subprotocol, then that one is all it is offered: no
        other could be the answer.
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
    The root of a site whose parts are routes. Each part sees its own path only, as if it were the
    root, and is asked at a path that ends with ``/`` or goes on.
    """

    def __init__(self, routes: Routes[IResource]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._routes = routes

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """Find the part that a request is for; ``path`` is the first segment of its path."""
        # Not getRequestHostname(), which asks the socket where there is no Host: a UNIX socket has
        # none, and the client has named none.
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
    """Leads to the same path with a slash at its end, from where relative links are right."""

    isLeaf = True

    def __init__(self, path: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._path = path

    def render(self, request: Request) -> bytes:
        """
        Redirect. To the route's own path, not the one that was asked for: that may begin with two
        slashes, which would be another host's.
        """
        _, mark, query = request.uri.partition(b"?")
        request.setResponseCode(MOVED_PERMANENTLY)
        request.setHeader(b"Location", self._path.encode("ascii") + b"/" + mark + query)
        return b""


class PageSite(Site):
    """A site that says nothing of itself: no tracebacks to strangers, and our log's lines."""

    noisy = False
    displayTracebacks = False
    _log = Logger()

    def __init__(self, root: IResource) -> None:
        super().__init__(root)  # type: ignore[no-untyped-call]
        self._lines = ConnectionLog(self._log, True, installedReactor)

    def log(self, request: Any) -> None:
        """Twisted's own line of an access log has the whole query, and fields of any length."""
        transport = request.channel.transport
        holder = getattr(transport, "wrappedProtocol", None) or transport.protocol
        self._lines.page(getattr(holder, "number", None), request)
