"""The factory that the ports of a stopping daemon have while its connections are closed.

With ``--health`` the ports stay open until the last connection has ended. A load balancer learns
that the daemon is draining, and the status page still shows the connections that are left.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import IResource, Resource

from ..sansio.handshake.offer import Offer, Refusal
from ..server.access import EVERYBODY
from ..server.factory import HixieServerFactory
from .dispatch import Guarded, PageSite, RoutedPages
from .guards.guard import Answer, Guard
from .guards.visitor import Visitor
from .routes import Route, Routes

_STOPPING = Refusal(503, "the server is stopping\n", cause="stopping")


class _NoService:
    """Server factory that refuses each offer: clients have to connect to another server."""

    def buildProtocol(self, offer: Offer) -> Refusal:
        return _STOPPING


class _NoPage(Guard):
    """Guard that refuses each request for a page."""

    def check(self, visitor: Visitor) -> Answer:
        """Refuse with 503."""
        return _STOPPING


def makeDraining(pages: Routes[Guarded[IResource]], **options: Any) -> HixieServerFactory:
    """
    Make the factory: each handshake and each other page is refused with 503.

    :param pages: pages that stay.
    :param options: options of :class:`HixieServerFactory`.
    """
    everything = Route(None, "/")
    if not pages.has(everything):
        pages.add(everything, Guarded(Resource(), (_NoPage(),)))
    site = PageSite(RoutedPages(pages))
    return HixieServerFactory(_NoService(), origins=[EVERYBODY], elsewhere=site, **options)
