"""Services of a route with several backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..gateway.failover import Failover
from ..gateway.relay_service import RelayService
from .services.service import Context, Served, Service
from .setting import as_written


def make_service(
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
