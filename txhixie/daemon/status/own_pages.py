"""The daemon's pages about itself, and the routes to them."""

from __future__ import annotations

from typing import Final

from twisted.web.resource import IResource

from ...sansio.http.trusted import TrustedNetworks
from ...server.access import Policy
from ..dispatch import Guarded, RoutedServerFactory
from ..guards.guard import Guard
from ..routes import Route, Routes
from .health import HealthPage
from .status_page import StatusPage
from .survey import Surveyor
from .viewers import LOOPBACK, Viewers

OWN_PAGES: Final = ("health", "status", "metrics")
"""The options that ask for such a page."""


def makeViewers(networks: list[str], policy: Policy, users: Guard | None) -> Viewers:
    """
    Make the guard of the status and the metrics.

    :param networks: networks from which a viewer needs no password.
    :param policy: the access rules of all routes.
    :param users: asks for a password; ``None`` without ``--status-allow users=FILE``.
    """
    isDefault = not networks and users is None
    return Viewers(LOOPBACK if isDefault else TrustedNetworks(networks), policy, users)


class OwnPages:
    """The pages about the daemon that an operator may ask for, of one factory."""

    def __init__(
        self, factory: RoutedServerFactory, viewers: Guard, surveyor: Surveyor | None = None
    ) -> None:
        """
        :param factory: the factory of the daemon.
        :param viewers: guard of the other pages than that of the health.
        :param surveyor: counts the connections; by default those of the factory.
        """
        self._factory = factory
        self._viewers = viewers
        self._surveyor = Surveyor(factory) if surveyor is None else surveyor

    def addTo(
        self, pages: Routes[Guarded[IResource]], name: str, path: str, isDraining: bool = False
    ) -> None:
        """
        Add the route of a page.

        :param pages: gets the route.
        :param name: the name of the option.
        :param path: the path of the page.
        :param isDraining: whether the daemon is stopping.
        :raises ValueError: "expected ..." if there is another page at the path, and without a
            package that the page needs.
        """
        # A load balancer sends an address in Host, which --hosts may not allow.
        everybody = Policy()
        guards = () if name == "health" else (self._viewers,)
        page = self._page(name, isDraining)
        pages.add(Route(None, path), Guarded(page, guards, policy=everybody, hasNoPathsBelow=True))

    def _page(self, name: str, isDraining: bool) -> IResource:
        if name == "health":
            return HealthPage(isDraining)
        if name == "status":
            return StatusPage(self._factory, self._surveyor)
        try:
            from .metrics_page import MetricsPage  # imports prometheus_client
        except ImportError:
            package = "prometheus-client; pip install 'txhixie[metrics]'"
            raise ValueError(f"expected the package {package}") from None
        return MetricsPage(self._factory, self._surveyor)
