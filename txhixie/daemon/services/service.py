"""What a row of the table of services is, and what its builder gets and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from twisted.web.resource import IResource

from ...gateway.service import CONNECT_TIMEOUT
from ...interfaces import WebSocketServerFactory
from ...sansio.limits import Limits
from ..routes import Route
from ..setting import Setting

Served: TypeAlias = "WebSocketServerFactory | IResource"
"""What serves a route: something that answers offers, or ordinary pages of ``twisted.web``. If it
makes connections of its own for its clients, it has ``sessions``."""


_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Context:
    """
    What a service may want to know of the daemon it is in.

    :ivar route: where it is served.
    :ivar limits: sizes in bytes, times in seconds.
    :ivar connectTimeout: seconds until a connection that a service makes is given up.
    """

    route: Route
    limits: Limits = _LIMITS
    connectTimeout: float = CONNECT_TIMEOUT


Build: TypeAlias = Callable[[Any, str, Mapping[str, Any], Context], Served]
"""
``build(reactor, description, options, context)``: the reactor; the description as the operator
wrote it, scheme and all (``static:/srv/www``); the values of the options he gave, by their names;
the daemon around it. Raises ``ValueError`` with "expected ..." for a description that cannot be
meant. It connects to nothing and asks for no name: that waits for the first client.
"""


@dataclass(frozen=True, slots=True)
class Service:
    """
    A row.

    :ivar name: of the service.
    :ivar schemes: the words before the colon of a description by which it is meant; a bare word is
        a scheme as well. None of them: every scheme that no other row has.
    :ivar options: what may be said besides, as ``key=value`` or as keys of TOML.
    :ivar build: makes one.
    """

    name: str
    schemes: tuple[str, ...]
    options: tuple[Setting, ...]
    build: Build
