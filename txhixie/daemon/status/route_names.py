"""Names of the routes of open connections."""

from __future__ import annotations

from typing import Final

from ...connection.protocol import HixieProtocol
from ..dispatch import RoutedServerFactory

_MOST: Final = 100
"""Most names that are kept: clients choose the paths, and a survey looks at 100 connections at a
time."""

_NO_ROUTE: Final = "none"
"""Name for a connection without a known route."""


class RouteNames:
    """Finds the name of each connection's route once for the same host and path."""

    def __init__(self, factory: RoutedServerFactory) -> None:
        """:param factory: the factory of the connections."""
        self._factory = factory
        self._names: dict[tuple[object, ...], str] = {}

    def of(self, connection: HixieProtocol) -> str:
        """Return the name of the route of a connection that has opened."""
        offer = connection.offer
        key = offer.host, offer.path, offer.subprotocols
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= _MOST:
                self._names.clear()
            route = self._factory.routeOf(offer)
            name = self._names[key] = _NO_ROUTE if route is None else str(route)
        return name
