"""The daemon, made from its options: endpoints to listen on, routes, services and limits.

Errors that need more than one option, or a file, are found while it is made, before it listens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.web.resource import IResource

from ..bus.bus import MOST_HISTORY_BYTES, Bus
from ..bus.rows import LOCAL, make_bus
from ..connection.held_bytes import HeldBytes
from ..connection.line_rate import MOST_A_SECOND
from ..connection.tracer import TracePatterns, Tracer
from ..freed_memory import keep_freed_memory
from ..gateway.service import CONNECT_TIMEOUT
from ..hub.hub import Hub
from ..running import urlOf
from ..sansio.extensions import DEFAULT_EXTENSIONS
from ..sansio.limits import Limits
from ..server.admission import ADMISSION_LIMITS, Admission
from ..server.factory import HixieServerFactory, ServerOptions
from .certificate_expiry import now
from .dispatch import Guarded, PageSite, RoutedApplications, RoutedPages, RoutedServerFactory
from .draining import makeDraining
from .errors import CannotStart
from .given_options import GivenOptions, made_of
from .guards.guard import Guard
from .listener import ListeningService, Serving
from .option_notes import notes_of
from .options import USERS, Said
from .port_endpoints import PortEndpoints
from .routes import Route, Routes
from .served_routes import ServedRoutes
from .services.service import Context, localHub
from .sockets.listening_sockets import ListeningSockets
from .status.own_pages import OWN_PAGES, OwnPages, makeViewers
from .status.viewers import Viewers
from .working_directory import in_directory, working_directory

if TYPE_CHECKING:
    from .workers.parent_sockets import ParentSockets
    from .workers.share import Share
    from .workers.worker_processes import WorkerProcesses

_LIMITS: Final = {
    "max-head-size": "head_size",
    "max-message-size": "message_size",
    "max-frame-size": "frame_size",
    "max-fragments": "fragments",
    "max-messages-per-second": "messages_per_second",
    "max-bytes-per-second": "bytes_per_second",
    "ping-interval": "ping_interval",
    "ping-timeout": "ping_timeout",
    "stall-timeout": "stall_timeout",
    "idle-timeout": "idle_timeout",
    "max-lifetime": "lifetime",
    "stop-timeout": "stop_timeout",
    "drain": "stop_spread",
}
"""Options that set a limit, each with its field of :class:`txhixie.Limits`."""

_NONE_FOR_ZERO: Final = {
    *("messages_per_second", "bytes_per_second", "ping_interval", "idle_timeout", "lifetime"),
}
"""Limits that the value 0 of their option turns off."""

_OF_THE_START: Final = {"bus": "the bus", "workers": "the number of workers"}
"""Options that a reload does not change: the bus has the topics and their members."""


class Daemon:
    """Daemon of ``twistd hixie``: its server factory, endpoints and sessions."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        said: Mapping[str, Sequence[Said]],
        sockets: ListeningSockets | None = None,
        hub: Hub | None = None,
        share: Share | None = None,
    ) -> None:
        """
        Make the endpoints, the routes and the server factory, without listening.

        :param reactor: the reactor that the daemon runs on.
        :param said: values of the options, by the names of
            :data:`txhixie.daemon.options.OPTIONS`.
        :param sockets: listening sockets of an earlier daemon of the process; none by default.
        :param hub: hub of an earlier daemon of the process, if its topics have members.
        :param share: in a worker, what the worker has together with the others.
        :raises CannotStart: with an error line for the operator.
        """
        self._reactor = reactor
        self._directory = working_directory()
        self._share = share
        self._given = GivenOptions(said)
        self._workers = self._given.one("workers", 1)
        self._sockets = self._makeSockets() if sockets is None else sockets
        self._connectTimeout = self._given.one("connect-timeout", CONNECT_TIMEOUT)
        self._limits = self._readLimits()
        self._hub = self._makeHub() if hub is None else hub
        self._ports = self._makePorts()
        self._routes = ServedRoutes(reactor, self._given, self._context)
        self.factory = self._makeFactory()

    @property
    def _isParent(self) -> bool:
        """Whether other processes accept the connections."""
        return self._workers > 1 and self._share is None

    def _makeSockets(self) -> ListeningSockets:
        if not self._isParent:
            return ListeningSockets(self._reactor)
        from .workers.parent_sockets import ParentSockets

        return ParentSockets(self._reactor)

    def _makeHub(self) -> Hub:
        if self._share is None:
            return self._hubOfBus()
        share = self._share
        if self._given.one("bus", LOCAL) == LOCAL:
            hub = Hub(share.bus, self._reactor, share.node)
        else:
            hub = self._hubOfBus(share.node)
            share.tell_ends(hub.bus)
        hub.ledger = share.topics
        return hub

    def _hubOfBus(self, node: str | None = None) -> Hub:
        if "bus" not in self._given:
            return localHub(self._reactor)
        most, kept = self._limits.message_size, self._partOf(MOST_HISTORY_BYTES)
        make = partial(make_bus, self._reactor, most=most, kept=kept)
        bus: Bus = made_of(self._given.of("bus")[-1], make)
        return Hub(bus, self._reactor, node, most)

    def _makePorts(self) -> PortEndpoints:
        return PortEndpoints(self._given, self._sockets, self._limits.open_timeout)

    def _context(self, route: Route, quirks: frozenset[str]) -> Context:
        """Return the context of a service."""
        return Context(
            route,
            self._limits.of_backends(),
            self._connectTimeout,
            quirks,
            lambda _: self._hub,
            self._given.one("connection-poller", True),
            self._partOf,
        )

    @property
    def serving(self) -> Serving:
        """The factory and its endpoints, for the service."""
        ports, sessions, said = self._ports, self._routes.sessions, self._given.said
        serving = Serving(ports.endpoints, self.factory, sessions, ports.change, said)
        drain = self._drain if "health" in self._given and not self._isParent else None
        if self._share is not None:
            return replace(serving, drain=drain)
        return replace(
            serving,
            drain=drain,
            files=ports.files,
            certificates=ports.certificates,
            renewed=self._renewed,
        )

    def _drain(self) -> HixieServerFactory:
        """Give new connections to a factory that only has the daemon's own pages."""
        pages: Routes[Guarded[IResource]] = Routes()
        self._addOwnPages(pages, isDraining=True)
        draining = makeDraining(pages, **self._options())
        draining.succeed(self.factory)
        self.factory.standIn = draining
        return draining

    def _renewed(self) -> Serving:
        """
        Make the endpoints again, which reads their certificates.

        :raises CannotStart: for a file with a mistake.
        """
        with in_directory(self._directory):
            self._ports = self._makePorts()
            return self.serving

    def service(
        self,
        read: Callable[[], Mapping[str, Sequence[Said]]],
        listens: Callable[[IListeningPort, str], object] | None = None,
    ) -> ListeningService:
        """
        Make the service that listens.

        :param read: reads the options again for a reload; raises :class:`CannotStart` for a
            mistake in them.
        :param listens: called at the start for each endpoint once it listens, with the listening
            port and the option that gave the endpoint (``--port 8080``).
        """

        def readAnew() -> Serving:
            # twistd --rundir changes the working directory after the start: a relative path in the
            # options is still relative to the directory of the start.
            with in_directory(self._directory):
                said = read()
                for name, what in _OF_THE_START.items():
                    self._given.check_same(name, what, said)
                return Daemon(self._reactor, said, self._sockets, self._hub, self._share).serving

        for note in self.notes if self._share is None else ():
            self._log.warn("{note}", note=note)
        if self._given.one("keep-freed-memory", True):
            keep_freed_memory()
        hub = None if self._isParent else self._hub
        return ListeningService(
            *(self._reactor, self._sockets, self.serving, readAnew, listens, hub),
            self._makeWorkers(),
        )

    def _makeWorkers(self) -> WorkerProcesses | None:
        if not self._isParent:
            return None
        from .workers.worker_processes import WorkerProcesses

        directory = os.fspath(self._directory or os.curdir)
        sockets = cast("ParentSockets", self._sockets)
        return WorkerProcesses(self._reactor, self._workers, sockets, directory)

    def urls(self, port: IListeningPort, where: str) -> list[tuple[str, str]]:
        """
        Return the URLs to open at a listening port.

        :param port: the listening port.
        :param where: the option that gave the port (``--port 8080``).
        :return: pairs of a description (``console page`` or ``WebSocket``) and its URL; empty for a
            port without a host and port number, such as a UNIX socket.
        """
        text = next(str(one.value) for one in self._given.of("port") if one.where == where)
        pages = [one.value for one in self._given.of("console")]
        found = [("console page", urlOf(port, text, "http"), path) for path in pages]
        found += [("WebSocket", urlOf(port, text, "ws"), path) for path in self._routes.paths[:1]]
        return [(what, url.removesuffix("/") + path) for what, url, path in found if url]

    @property
    def notes(self) -> list[str]:
        """Lines about options that do not fit each other; usually none."""
        return list(notes_of(self._given, self._routes.policy, self._routes.policies))

    def certificateWarnings(self) -> list[str]:
        """A line for each certificate that is not valid now, or ends soon."""
        if not self._ports.certificates:
            return []
        from ..server.tls.validity import warnings_of  # imports cryptography

        return [str(each) for each in warnings_of(self._ports.certificates, now())]

    def report(self) -> str:
        """
        Return the configuration as text: a line for each value, given or by default.

        After these there is a line for each route, with all conditions that a client has to meet.
        """
        lines = [*self._given.lines(), *(("conditions", text) for text in self._routes.shown)]
        return "\n".join(f"{name:17} {text}" for name, text in lines)

    def _readLimits(self) -> Limits:
        given: dict[str, Any] = {
            field: self._given.one(name, None)
            for name, field in _LIMITS.items()
            if name in self._given
        }
        for field in _NONE_FOR_ZERO & given.keys():
            given[field] = given[field] or None
        longest = given.get("stop_timeout", Limits().stop_timeout)
        if given.get("stop_spread", 0) > longest:
            where = self._given.of("drain")[-1].where
            most = f"at most --stop-timeout, which is {longest:g} seconds"
            raise CannotStart(f"hixie: {where}: expected {most}")
        # No page of the daemon reads a request body.
        limits = Limits(**given, body_size=0)
        # The connect timeout of a gateway has to pass before the decide timeout, since only the
        # gateway's refusal says that the backend timed out.
        timeout = self._connectTimeout + limits.open_timeout
        return replace(limits, decide_timeout=max(limits.decide_timeout, timeout))

    def _makeFactory(self) -> RoutedServerFactory:
        routes = self._routes
        pages, policy = routes.pages, routes.policy
        hasPages = bool(pages) or any(name in self._given for name in OWN_PAGES)
        factory = RoutedServerFactory(
            RoutedApplications(routes.applications),
            policy,
            extensions=DEFAULT_EXTENSIONS if routes.compresses else (),
            elsewhere=PageSite(RoutedPages(pages, policy)) if hasPages else None,
            flashPolicy=self._given.joined("flash-policy") or (),
            **self._options(),
        )
        factory.reach = self._hub.bus.reach
        factory.hub = self._hub
        surveyor = None if self._share is None else self._share.surveyor(factory)
        self._ownPages = OwnPages(factory, self._viewers(), surveyor)
        self._addOwnPages(pages)
        patterns = TracePatterns(self._given.all("trace") or ())
        most = self._partOf(MOST_A_SECOND)
        factory.tracer = Tracer(patterns, not patterns.areAll, lambda: factory.clock, most)
        return factory

    def _addOwnPages(self, pages: Routes[Guarded[IResource]], isDraining: bool = False) -> None:
        for name in OWN_PAGES:
            for one in self._given.of(name)[-1:]:
                add = partial(self._ownPages.addTo, pages, name, isDraining=isDraining)
                made_of(one, add)

    def _viewers(self) -> Viewers:
        """
        Make the guard of the status and the metrics.

        :raises CannotStart: for a mistake in the password file, and without such a page.
        """
        allowed = self._given.of("status-allow")
        if allowed and not any(name in self._given for name in ("status", "metrics")):
            expected = "expected the option status or metrics as well"
            raise CannotStart(f"hixie: {allowed[0].where}: {expected}")
        networks = [one.value for one in allowed if not one.value.startswith(USERS)]
        users: list[Guard] = []
        for one in allowed:
            if one.value.startswith(USERS):
                users += made_of(one, self._usersOf)
        return makeViewers(networks, self._routes.policy, users[-1] if users else None)

    def _usersOf(self, value: str) -> tuple[Guard, ...]:
        """Make the guard of a password file, ``users=FILE``."""
        conditions = self._routes.conditions
        realm = {name: conditions[name] for name in ("realm",) if name in conditions}
        return self._routes.guards.of({"users": value.removeprefix(USERS), **realm})

    def _options(self) -> ServerOptions:
        """Options of every factory of this daemon."""
        return {
            "limits": self._limits,
            "secure": self._given.one("secure", None),
            "trustForwarded": self._given.trusted,
            "logConnections": True,
            "flightRecorder": self._given.one("flight-recorder", False),
            "connectionPoller": self._given.one("connection-poller", True),
            "admission": self._admission(),
            "heldBytes": self._heldBytes(),
        }

    def _heldBytes(self) -> HeldBytes | None:
        most: int = self._given.one("max-held-bytes", 0)
        if not most:
            return None
        return HeldBytes(self._partOf(most))

    def _partOf(self, most: int) -> int:
        """Return the part of a limit that this process has."""
        return most if self._share is None else self._share.part(most)

    def _admission(self) -> Admission:
        limits = {
            field: self._given.one(name, 0) or None for name, field in ADMISSION_LIMITS.items()
        }
        admission = Admission(**limits, exempt=self._given.peers)
        if self._share is not None:
            self._share.limit(admission)
        return admission

    def check(self) -> None:
        """
        Check that this machine has each address that the daemon listens on.

        :raises CannotStart: for an address that this machine does not have.
        """
        self._ports.check()
