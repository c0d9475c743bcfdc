"""The daemon's services: rows of the table, and how a route gets its service or its backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any, Final, TypeAlias

from twisted.web.resource import IResource

from ...bus.local import LocalBus
from ...gateway.failover import Failover
from ...gateway.relay_service import RelayService
from ...gateway.service import CONNECT_TIMEOUT
from ...hub.hub import Hub
from ...interfaces import WebSocketServerFactory
from ...sansio.limits import Limits
from ...sansio.quirks import NO_QUIRKS
from ..adaptations import ADAPTATIONS
from ..routes import Route
from ..setting import Setting, as_written

Served: TypeAlias = "WebSocketServerFactory | IResource"
"""A service that was made for a route: a server factory, or a page resource of ``twisted.web``. A
service that connects to backends has an attribute ``sessions``."""


_LIMITS: Final = Limits()


def localHub(reactor: Any) -> Hub:
    """Return a hub on a bus of its own, of this process."""
    return Hub(LocalBus(time), reactor)


@dataclass(frozen=True, slots=True)
class Context:
    """
    Configuration of the daemon for its services.

    :ivar route: route of the service.
    :ivar limits: limits of connections; sizes in bytes, times in seconds.
    :ivar connectTimeout: timeout of the connect to a backend, in seconds.
    :ivar quirks: quirks of the route, by their words.
    :ivar hubOf: returns the hub of the daemon, for the reactor that the daemon runs on. All routes
        of the daemon have the same hub, also after a reload.
    :ivar connectionPoller: whether open connections are in one epoll of the package.
    :ivar partOf: returns the part of a limit that this process has: all of it without workers.
    """

    route: Route
    limits: Limits = _LIMITS
    connectTimeout: float = CONNECT_TIMEOUT
    quirks: frozenset[str] = NO_QUIRKS
    hubOf: Callable[[Any], Hub] = localHub
    connectionPoller: bool = True
    partOf: Callable[[int], int] = int


Build: TypeAlias = Callable[[Any, str, Mapping[str, Any], Context], Served]
"""
Function that makes a service: ``build(reactor, description, options, context)``.

The description is as the operator wrote it, with its scheme (``static:/srv/www``). The options are
the values that the operator gave, by their names. The function raises ``ValueError`` with
"expected ..." for a bad description. The function connects to no backend and looks no name up,
since this is done for each client.
"""


@dataclass(frozen=True, slots=True)
class Service:
    """
    Row of the table of services.

    :ivar name: name of the service.
    :ivar schemes: schemes of the service's descriptions (the word before the colon, or a bare
        word). The service with an empty tuple has every scheme that no other row has.
    :ivar options: options of the service, as ``key=value`` or as keys of TOML.
    :ivar build: makes the service.
    :ivar isPage: whether the service is a page resource, which has no conversations with clients.
    :ivar misplaced: words of the service's descriptions that may be taken for options, each with
        the text of an error that says where the word belongs.
    """

    name: str
    schemes: tuple[str, ...]
    options: tuple[Setting, ...]
    build: Build
    isPage: bool = False
    misplaced: Mapping[str, str] = field(default_factory=dict, hash=False)


def settingsOf(services: Sequence[Service]) -> tuple[Setting, ...]:
    """Return the options of a route with these services: their own, and the adaptations."""
    own = {each.name: each for service in services for each in service.options}
    if any(service.isPage for service in services):
        return tuple(own.values())
    return (*own.values(), *(each for each in ADAPTATIONS if each.name not in own))


def makeServed(
    rows: Sequence[Service],
    reactor: Any,
    descriptions: Sequence[str],
    options: Mapping[str, Any],
    context: Context,
) -> Served:
    """
    Make the service of a route, or its several backends.

    :param rows: the row of the table of services for each description.
    :param reactor: the reactor that the services use.
    :param descriptions: the service, or the backends in the order in which they are tried.
    :param options: options of the route, which are the same for all backends.
    :param context: configuration of the daemon.
    :raises ValueError: "expected ..." for a bad description, and for a service among several that
        has no backend, such as ``static:``.
    """
    if len(descriptions) == 1:
        return rows[0].build(reactor, descriptions[0], options, context)
    made = []
    for row, description in zip(rows, descriptions, strict=True):
        try:
            made.append(row.build(reactor, description, options, context))
        except ValueError as error:
            written = as_written(description)
            where = "" if written in str(error) else f"{written}: "
            raise ValueError(f"{where}{error}") from None
    relays = [each for each in made if isinstance(each, RelayService)]
    if len(relays) < len(made):
        names = " and ".join(dict.fromkeys(row.name for row in rows))
        raise ValueError(
            f"expected one service, or several backends of ws:, wss:, tcp: and other "
            f"endpoints, not {names}"
        )
    return Failover(relays, reactor, context.connectTimeout)
