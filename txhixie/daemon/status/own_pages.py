"""The daemon's pages about itself, and the routes to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twisted.web.resource import IResource

from ...server.access import Policy
from ..dispatch import Guarded
from ..routes import Route, Routes
from .health import HealthPage

OWN_PAGES: Final = ("health",)
"""The options that ask for such a page."""


class OwnPages:
    """
    The pages about the daemon that an operator has asked for.

    :ivar paths: their paths, by the names of their options.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        """:param paths: the attribute."""
        self.paths = paths

    def add(
        self,
        name: str,
        pages: Routes[Guarded[IResource]],
        path: str,
        isDraining: bool = False,
    ) -> None:
        """
        Add the route of a page.

        :param name: the name of the option.
        :param pages: gets the route.
        :param path: the path of the page.
        :param isDraining: whether the daemon is stopping.
        :raises ValueError: "expected ..." if there is another page at the path.
        """
        # For everybody: a load balancer sends an address in Host, which --hosts may not allow.
        pages.add(
            Route(None, path),
            Guarded(HealthPage(isDraining), policy=Policy(), hasNoPathsBelow=True),
        )
