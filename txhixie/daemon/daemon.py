"""The daemon, made from its options: endpoints to listen on, routes, services and limits.

Errors that need more than one option, or a file, are found here before the daemon listens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.web.resource import IResource

from ..bus.bus import MOST_HISTORY_BYTES, Bus
from ..bus.rows import LOCAL, make_bus
from ..connection.held_bytes import HeldBytes
from ..connection.line_rate import MOST_A_SECOND
from ..connection.tracer import TracePatterns, Tracer
from ..display import expectation
from ..freed_memory import keep_freed_memory
from ..gateway.service import CONNECT_TIMEOUT
from ..gateway.session import Sessions
from ..hub.hub import Hub
from ..interfaces import WebSocketServerFactory
from ..running import urlOf
from ..sansio.extensions import DEFAULT_EXTENSIONS
from ..sansio.http.trusted import TrustedNetworks
from ..sansio.limits import Limits
from ..server.access import EVERYBODY, Policy
from ..server.admission import ADMISSION_LIMITS, Admission
from ..server.both_families import BothFamiliesEndpoint
from ..server.factory import HixieServerFactory, ServerOptions
from ..server.listen_queue import serverEndpoint
from ..server.port_check import check_interface_here, check_port, parts_of
from ..server.proxy_protocol import ProxyProtocolReactor
from ..server.tls.errors import KeyMismatch
from .adaptations import Adaptation
from .certificate_expiry import now
from .certificate_watch import certificateFiles
from .conditions import ACCESS, CONDITIONS, NONE, policy_of
from .console import consoleRoot
from .dispatch import Guarded, PageSite, RoutedApplications, RoutedPages, RoutedServerFactory
from .draining import makeDraining
from .guards.guard import Guard
from .guards.shared_guards import SharedGuards
from .listener import CannotStart, HalfRenewed, ListeningService, Serving
from .options import OPTIONS, USERS, Said
from .route_option import Description
from .routes import Route, Routes
from .services import service_for
from .services.service import Context, localHub, makeServed, settingsOf
from .setting import Setting, as_written
from .sockets.inherited_endpoint import InheritedEndpoint, MissingEndpoint
from .sockets.listening_sockets import ListeningSockets
from .sockets.socket_change import SocketChange
from .status.own_pages import OWN_PAGES, OwnPages, makeViewers
from .status.viewers import Viewers
from .token_source import TokenSource

if TYPE_CHECKING:
    from ..server.tls.certificates import FiledCertificate
    from .workers.parent_sockets import ParentSockets
    from .workers.share import Share
    from .workers.worker_processes import WorkerProcesses

T = TypeVar("T")

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

_PASS_HEADERS: Final = "pass-headers"
"""Option of a service: names of header fields that reach its backend, even if they were used."""

_NONE_FOR_ZERO: Final = {
    *("messages_per_second", "bytes_per_second", "ping_interval", "idle_timeout", "lifetime"),
}
"""Limits that the value 0 of their option turns off."""

_TRUSTED_MODE: Final = "660"
"""Mode of a UNIX socket with trusted peers. Twisted's own default is 666."""

_OF_THE_START: Final = {"bus": "the bus", "workers": "the number of workers"}
"""Options that a reload does not change: the bus has the topics and their members."""

_SHARED_PORTS: Final = ("tcp", "tcp6", "ssl", "tls", "unix", "systemd")
"""Schemes of ports that several processes can have."""

_DEFAULTS: Final = {"port": "8080", "serve": "/=echo", "console": "/"}
"""Options of a daemon without options. With an option ``serve``, only ``port`` has a default."""


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
        self._directory = _workingDirectory()
        self._share = share
        self._said = _completed(said)
        self._workers = self._one("workers", 1)
        self._sockets = self._makeSockets() if sockets is None else sockets
        self._connectTimeout = self._one("connect-timeout", CONNECT_TIMEOUT)
        self._limits = self._readLimits()
        self._hub = self._makeHub() if hub is None else hub
        self._makeEndpoints()
        self._sessions: list[Sessions] = []
        self._guards = SharedGuards(reactor)
        self._policies: list[Policy] = []  # access rules of the routes to WebSocket services
        self._shown: list[str] = []  # conditions of each route, for the report
        self._paths: list[str] = []  # paths of the routes to WebSocket services
        self._compresses = False  # whether any of them has compression
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
        if self._one("bus", LOCAL) == LOCAL:
            hub = Hub(share.bus, self._reactor, share.node)
        else:
            hub = self._hubOfBus(share.node)
            share.tell_ends(hub.bus)
        hub.ledger = share.topics
        return hub

    def _hubOfBus(self, node: str | None = None) -> Hub:
        if "bus" not in self._said:
            return localHub(self._reactor)
        most, kept = self._limits.message_size, self._partOf(MOST_HISTORY_BYTES)
        make = partial(make_bus, self._reactor, most=most, kept=kept)
        bus: Bus = madeOf(self._said["bus"][-1], make)
        return Hub(bus, self._reactor, node, most)

    def _makeEndpoints(self) -> None:
        self._change = SocketChange(self._sockets)
        senders = TrustedNetworks(self._all("proxy-protocol") or ())
        self._listening = (
            ProxyProtocolReactor(self._change, senders, self._limits.open_timeout)
            if senders
            else self._change
        )
        self._certificates: list[FiledCertificate] = []
        self._endpoints = [(one.where, madeOf(one, self._endpoint)) for one in self._said["port"]]

    @property
    def serving(self) -> Serving:
        """The factory and its endpoints, for the service."""
        serving = Serving(self._endpoints, self.factory, self._sessions, self._change, self._said)
        drain = self._drain if "health" in self._said and not self._isParent else None
        if self._share is not None:
            return replace(serving, drain=drain)
        files = [file for one in self._said["port"] for file in certificateFiles(str(one.value))]
        return replace(
            serving,
            drain=drain,
            files=files,
            certificates=self._certificates,
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
        with _inDirectory(self._directory):
            self._makeEndpoints()
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
            with _inDirectory(self._directory):
                said = read()
                for name, what in _OF_THE_START.items():
                    self._checkSame(name, what, said)
                return Daemon(self._reactor, said, self._sockets, self._hub, self._share).serving

        for note in self.notes if self._share is None else ():
            self._log.warn("{note}", note=note)
        if self._one("keep-freed-memory", True):
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

    def _checkSame(self, name: str, what: str, said: Mapping[str, Sequence[Said]]) -> None:
        """
        Check that an option has the value of the start.

        :param name: the option.
        :param what: the option in words.
        :param said: the options now.
        :raises CannotStart: for another value.
        """
        before, now = (each.get(name, ())[-1:] for each in (self._said, said))
        if [one.value for one in before] != [one.value for one in now]:
            where = now[0].where if now else name
            expected = f"expected {what} of the start; restart the daemon to change it"
            raise CannotStart(f"hixie: {where}: {expected}")

    def urls(self, port: IListeningPort, where: str) -> list[tuple[str, str]]:
        """
        Return the URLs to open at a listening port.

        :param port: the listening port.
        :param where: the option that gave the port (``--port 8080``).
        :return: pairs of a description (``console page`` or ``WebSocket``) and its URL; empty for a
            port without a host and port number, such as a UNIX socket.
        """
        text = next(str(one.value) for one in self._said["port"] if one.where == where)
        pages = [one.value for one in self._said.get("console", ())]
        found = [("console page", urlOf(port, text, "http"), path) for path in pages]
        found += [("WebSocket", urlOf(port, text, "ws"), path) for path in self._paths[:1]]
        return [(what, url.removesuffix("/") + path) for what, url, path in found if url]

    @property
    def notes(self) -> list[str]:
        """Lines about options that do not fit each other; usually none."""
        notes = (self._consoleNote(), self._quirksNote(), self._viewersNote())
        return [note for note in notes if note]

    def _viewersNote(self) -> str:
        """A line about a reverse proxy that may make all clients viewers; usually empty."""
        isShown = "status" in self._said or "metrics" in self._said
        isBehindProxy = self._one("secure", False) and not self._trusted()
        if not isShown or "status-allow" in self._said or not isBehindProxy:
            return ""
        return (
            "--secure without --trust-forwarded: if the reverse proxy is on this machine and sends"
            " no X-Forwarded-For, all its clients may read the status; use --status-allow"
        )

    def _quirksNote(self) -> str:
        """A line about a quirk that a reverse proxy makes dangerous; usually empty."""
        if not self._trusted() or not any("upgrade" in each.quirks for each in self._policies):
            return ""
        return (
            "quirks=upgrade beside --trust-forwarded: a reverse proxy may take a request without"
            " Connection: Upgrade for an ordinary one, and mix up its clients' responses; let"
            " devices with this quirk connect directly"
        )

    def _consoleNote(self) -> str:
        """A line about origins that leave out the console page of the daemon; usually empty."""
        isBehindProxy = self._one("secure", False) or self._trusted()
        if not self._policies or "console" not in self._said or isBehindProxy:
            return ""
        numbers = [_numberOf(str(one.value)) for one in self._said["port"]]
        if {"", "0", "80", "443"} & {*numbers}:
            return ""
        if any(_allowsPort(policy, numbers) for policy in self._policies):
            return ""
        areOwn = any(policy is not self.factory.policy for policy in self._policies)
        where = "no route has" if areOwn else "--origins has not"
        return (
            f"the console page at port {numbers[0]} cannot connect: {where} its own origin; add it,"
            f" such as http://127.0.0.1:{numbers[0]}"
        )

    def certificateWarnings(self) -> list[str]:
        """A line for each certificate that is not valid now, or ends soon."""
        if not self._certificates:
            return []
        from ..server.tls.validity import warnings_of  # imports cryptography

        return [str(each) for each in warnings_of(self._certificates, now())]

    def report(self) -> str:
        """
        Return the configuration as text: a line for each value, given or by default.

        After these there is a line for each route, with all conditions that a client has to meet.
        """
        lines: list[tuple[str, str]] = []
        for option in OPTIONS:
            default = "" if option.name in _DEFAULTS else option.default
            texts = [one.text for one in self._said.get(option.name, ())] or [default]
            lines += [(option.name, text) for text in texts if text]
        lines += [("conditions", text) for text in self._shown]
        return "\n".join(f"{name:17} {text}" for name, text in lines)

    def _show(
        self, route: Route, isPage: bool, values: Mapping[str, Any], own: Mapping[str, Any]
    ) -> None:
        """
        Add the line of a route's conditions to the report.

        :param isPage: whether the route is of pages, which every origin may link to.
        :param values: the values of the route and those for all routes.
        :param own: the values of the route as the operator wrote them.
        """
        access = ("hosts",) if isPage else tuple(each.name for each in ACCESS)
        used = {*access, *self._guards.used(values)}
        texts = [
            f"{each.name}={as_written(own[each.name]) if each.name in own else self._texts(each)}"
            for each in CONDITIONS
            if each.name in used
        ]
        self._shown.append(f"{route}: {'; '.join(texts)}")

    def _texts(self, setting: Setting) -> str:
        said = self._said.get(setting.name, ())
        texts = [one.text for one in (said if setting.repeated else said[-1:])]
        return ",".join(texts) or setting.default or "none"

    def _one(self, name: str, default: T) -> T:
        """Return the value of an option that is not repeated; the last value counts."""
        said = self._said.get(name)
        return said[-1].value if said else default

    def _all(self, name: str) -> list[Any] | None:
        """Return the values of an option that may be repeated; ``None`` without the option."""
        said = self._said.get(name)
        return [one.value for one in said] if said else None

    def _joined(self, name: str) -> list[str] | None:
        """Return the lists that were given for an option as one list; ``None`` without it."""
        said = self._all(name)
        return None if said is None else [value for values in said for value in values]

    def _readLimits(self) -> Limits:
        given: dict[str, Any] = {
            field: self._one(name, None) for name, field in _LIMITS.items() if name in self._said
        }
        for field in _NONE_FOR_ZERO & given.keys():
            given[field] = given[field] or None
        longest = given.get("stop_timeout", Limits().stop_timeout)
        if given.get("stop_spread", 0) > longest:
            where = self._said["drain"][-1].where
            most = f"at most --stop-timeout, which is {longest:g} seconds"
            raise CannotStart(f"hixie: {where}: expected {most}")
        # No page of the daemon reads a request body.
        limits = Limits(**given, body_size=0)
        # The connect timeout of a gateway has to pass before the decide timeout, since only the
        # gateway's refusal says that the backend timed out.
        timeout = self._connectTimeout + limits.open_timeout
        return replace(limits, decide_timeout=max(limits.decide_timeout, timeout))

    def _makeFactory(self) -> RoutedServerFactory:
        self._conditions = self._readConditions()
        self._policy = policy = policy_of(self._conditions)
        applications, pages = self._route()
        hasPages = bool(pages) or not self._said.keys().isdisjoint(OWN_PAGES)
        factory = RoutedServerFactory(
            RoutedApplications(applications),
            policy,
            extensions=DEFAULT_EXTENSIONS if self._compresses else (),
            elsewhere=PageSite(RoutedPages(pages, policy)) if hasPages else None,
            flashPolicy=self._joined("flash-policy") or (),
            **self._options(),
        )
        factory.reach = self._hub.bus.reach
        factory.hub = self._hub
        surveyor = None if self._share is None else self._share.surveyor(factory)
        self._ownPages = OwnPages(factory, self._viewers(), surveyor)
        self._addOwnPages(pages)
        patterns = TracePatterns(self._all("trace") or ())
        most = self._partOf(MOST_A_SECOND)
        factory.tracer = Tracer(patterns, not patterns.areAll, lambda: factory.clock, most)
        return factory

    def _addOwnPages(self, pages: Routes[Guarded[IResource]], isDraining: bool = False) -> None:
        for name in OWN_PAGES:
            for one in self._said.get(name, ())[-1:]:
                add = partial(self._ownPages.addTo, pages, name, isDraining=isDraining)
                madeOf(one, add)

    def _viewers(self) -> Viewers:
        """
        Make the guard of the status and the metrics.

        :raises CannotStart: for a mistake in the password file, and without such a page.
        """
        allowed = self._said.get("status-allow", ())
        if allowed and self._said.keys().isdisjoint(("status", "metrics")):
            expected = "expected the option status or metrics as well"
            raise CannotStart(f"hixie: {allowed[0].where}: {expected}")
        networks = [one.value for one in allowed if not one.value.startswith(USERS)]
        users: list[Guard] = []
        for one in allowed:
            if one.value.startswith(USERS):
                users += madeOf(one, self._usersOf)
        return makeViewers(networks, self._policy, users[-1] if users else None)

    def _usersOf(self, value: str) -> tuple[Guard, ...]:
        """Make the guard of a password file, ``users=FILE``."""
        realm = {name: self._conditions[name] for name in ("realm",) if name in self._conditions}
        return self._guards.of({"users": value.removeprefix(USERS), **realm})

    def _options(self) -> ServerOptions:
        """Options of every factory of this daemon."""
        return {
            "limits": self._limits,
            "secure": self._one("secure", None),
            "trustForwarded": self._trusted(),
            "logConnections": True,
            "flightRecorder": self._one("flight-recorder", False),
            "connectionPoller": self._one("connection-poller", True),
            "admission": self._admission(),
            "heldBytes": self._heldBytes(),
        }

    def _heldBytes(self) -> HeldBytes | None:
        most: int = self._one("max-held-bytes", 0)
        if not most:
            return None
        return HeldBytes(self._partOf(most))

    def _partOf(self, most: int) -> int:
        """Return the part of a limit that this process has."""
        return most if self._share is None else self._share.part(most)

    def _admission(self) -> Admission:
        limits = {field: self._one(name, 0) or None for name, field in ADMISSION_LIMITS.items()}
        proxies = [*(self._all("proxy-protocol") or ()), *self._trusted()]
        admission = Admission(**limits, exempt=proxies)
        if self._share is not None:
            self._share.limit(admission)
        return admission

    def _route(self) -> tuple[Routes[Guarded[WebSocketServerFactory]], Routes[Guarded[IResource]]]:
        applications: Routes[Guarded[WebSocketServerFactory]] = Routes()
        pages: Routes[Guarded[IResource]] = Routes()

        def add(description: Description) -> None:
            guarded = self._build(description)
            if IResource.providedBy(guarded.served):
                pages.add(description.route, guarded)
            else:
                applications.add(_assuming(description.route, guarded.adaptation), guarded)
                self._compresses |= guarded.adaptation.attributes.get("compression", True)
                self._paths.append(description.route.path)
                self._policies.append(guarded.policy or self._policy)
            if (page := getattr(guarded.served, "page", None)) is not None:
                # Its token is the only condition: a program has no password and no certificate.
                page = Guarded(page, policy=guarded.policy, hasNoPathsBelow=True)
                pages.add(description.route, page)

        def addConsole(path: str) -> None:
            route, conditions = Route(None, path), self._conditions
            pages.add(route, Guarded(consoleRoot(), self._guards.of(conditions)))
            self._show(route, True, conditions, {})

        for one in self._said["serve"]:
            madeOf(one, add)
        for one in self._said.get("console", ()):
            madeOf(one, addConsole)
        return applications, pages

    def _build(self, description: Description) -> Guarded[Any]:
        rows = [service_for(each) for each in description.services]
        own = description.read_conditions()
        conditions = self._conditions | own
        quirks = policy_of(conditions).quirks
        context = Context(
            description.route,
            self._limits.of_backends(),
            self._connectTimeout,
            quirks,
            lambda _: self._hub,
            self._one("connection-poller", True),
            self._partOf,
        )
        options = description.options(settingsOf(rows))
        served = makeServed(rows, self._reactor, description.services, options, context)
        if (sessions := getattr(served, "sessions", None)) is not None:
            self._sessions.append(sessions)
        self._guards.check(own, conditions)
        self._checkCertificates(own)
        passed = frozenset(name.lower().encode("ascii") for name in options.get(_PASS_HEADERS, ()))
        guards = self._guards.of(conditions)
        _checkParameters(guards, getattr(served, "source", None))
        if getattr(served, "needsUsers", False):
            _checkUsers(guards)
        policy = policy_of(conditions) if own.keys() & {each.name for each in ACCESS} else None
        self._show(
            description.route, IResource.providedBy(served), conditions, description.conditions
        )
        adaptation = Adaptation.of(options, self._one("compression", True))
        return Guarded(served, guards, passed, policy, adaptation=adaptation)

    def _checkCertificates(self, conditions: Mapping[str, Any]) -> None:
        """
        Check that a client can meet the condition ``client-certificate``.

        :raises ValueError: if no port asks for certificates of clients.
        """
        ports = (parts_of(str(one.value)) for one in self._said["port"])
        asks = any("client-ca" in port.named for port in ports)
        if conditions.get("client-certificate") is not None and not asks:
            raise ValueError(
                "client-certificate: expected a port that asks for certificates, such as"
                " ssl:8443:privateKey=FILE:certKey=FILE:client-ca=FILE"
            )

    def _readConditions(self) -> dict[str, Any]:
        """
        Return the conditions of all routes.

        :raises CannotStart: for a mistake in a file that such a condition names, and for a
            condition that no client can meet.
        """
        values = {
            setting.name: self._joined(setting.name)
            if setting.repeated
            else self._said[setting.name][-1].value
            for setting in CONDITIONS
            if setting.name in self._said
        }
        values = {
            name: None if value in (NONE, [NONE]) else value for name, value in values.items()
        }
        try:
            self._guards.of(values)
            self._checkCertificates(values)
        except ValueError as error:
            name = str(error).partition(" ")[0].rstrip(":")
            place = next((one.where for one in self._said.get(name, ())), name)
            raise CannotStart(f"hixie: {place.partition(name)[0]}{error}") from None
        return values

    def _endpoint(self, port: str) -> IStreamServerEndpoint:
        if port.isdecimal():
            return BothFamiliesEndpoint(self._listening, int(port), self._change.bound)
        check_port(port)
        scheme = parts_of(port).scheme
        if self._workers > 1 and scheme not in _SHARED_PORTS:
            several = ", ".join(f"{each}:" for each in _SHARED_PORTS)
            raise ValueError(f"expected a port number or one of {several} with several workers")
        try:
            endpoint = serverEndpoint(self._listening, self._withMode(port))
        except KeyMismatch:
            raise
        except Exception as error:
            if scheme == "systemd" and isinstance(error, LookupError):
                passed = self._sockets.systemd.get(port)
                return self._inherited(*passed) if passed else MissingEndpoint()
            expected = "a port number or an endpoint description"
            raise ValueError(expectation(error, expected)) from None
        self._certificates += getattr(endpoint, "certificates", ())
        if isinstance(endpoint, AdoptedStreamServerEndpoint):
            passed = self._sockets.systemd[port] = endpoint.fileno, endpoint.addressFamily
            return self._inherited(*passed)
        return endpoint

    def _inherited(self, fileno: int, family: int) -> InheritedEndpoint:
        return InheritedEndpoint(self._listening, fileno, family, self._change.announce)

    def _withMode(self, port: str) -> str:
        """
        Return the endpoint description, with mode 660 for a UNIX socket with trusted peers.

        With Twisted's mode 666, any local user could forge the address of a client.
        """
        scheme, values, named = parts_of(port)
        trusted = "unix" in [*(self._all("proxy-protocol") or ()), *self._trusted()]
        if trusted and scheme == "unix" and len(values) == 1 and "mode" not in named:
            return f"{port}:mode={_TRUSTED_MODE}"
        return port

    def _trusted(self) -> list[str]:
        return self._all("trust-forwarded") or []

    def check(self) -> None:
        """
        Check that this machine has each address that the daemon listens on.

        :raises CannotStart: for an address that this machine does not have.
        """
        for one in self._said["port"]:
            madeOf(one, check_interface_here)


def _checkParameters(guards: Sequence[Guard], source: TokenSource | None) -> None:
    """
    Check that the token of a target and that of a condition are different parameters of the query.

    :param guards: guards of the route.
    :param source: where the token of a target is; ``None`` for another service.
    :raises ValueError: if both are one parameter: the condition removes its token, and no client
        could have a target.
    """
    used = frozenset[str]().union(*(guard.usedParameters for guard in guards))
    for name in sorted(used & source.parameters if source else ()):
        raise ValueError(
            f"target-parameter {name}: expected another name than that of the token of the "
            "condition; write token-parameter=NAME or target-parameter=NAME"
        )


def _checkUsers(guards: Sequence[Guard]) -> None:
    """
    Check that a condition of the route identifies users, for a hub that publishes their messages.

    :raises ValueError: if no client of the route can have the name of a user.
    """
    if not any(guard.namesUsers for guard in guards):
        raise ValueError(
            "publish: expected networks, or a condition of the route that names users: users=FILE, "
            "jwt-key=FILE or client-certificate=required"
        )


def _workingDirectory() -> Path | None:
    """The working directory; ``None`` for one that was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


@contextmanager
def _inDirectory(directory: Path | None) -> Iterator[None]:
    """
    Have a working directory for a while.

    :raises CannotStart: when the process may not enter the directory any more.
    """
    now = _workingDirectory()
    if directory is None or now == directory:
        yield
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise CannotStart(
            f"hixie: {directory}: expected the directory of the start: {error.strerror}"
        ) from None
    try:
        yield
    finally:
        if now is not None:
            os.chdir(now)


def _completed(said: Mapping[str, Sequence[Said]]) -> dict[str, Sequence[Said]]:
    """
    Return the given options, with the defaults of options that were not given.

    With an option ``serve`` there is no console page by default.
    """
    defaults = {"port": _DEFAULTS["port"]} if "serve" in said else _DEFAULTS
    return {**{name: [_default(name, text)] for name, text in defaults.items()}, **said}


def _assuming(route: Route, adaptation: Adaptation) -> Route:
    """
    Return the route of a service with its adaptations.

    :raises ValueError: for an assumed subprotocol that is not the required one.
    """
    assumed = adaptation.assumed
    if assumed is None or route.subprotocol is None:
        return route
    if assumed != route.subprotocol:
        raise ValueError(f"assume {assumed}: expected the required-subprotocol of the route")
    return replace(route, assumes=True)


def _numberOf(port: str) -> str:
    """The number of a TCP port; empty for another endpoint, or one with TLS."""
    scheme, values, named = parts_of(port)
    if scheme in ("tcp", "tcp6"):
        return named.get("port") or (values[0] if values else "")
    return port if port.isdecimal() else ""


def _allowsPort(policy: Policy, numbers: Sequence[str]) -> bool:
    """Whether an allowed origin has one of these ports, as the pages of a daemon have."""
    allowed = policy.origins
    if allowed is None or EVERYBODY in allowed:
        return True
    return any(each.endswith(tuple(f":{number}" for number in numbers)) for each in allowed)


def _default(name: str, text: str) -> Said:
    kind = next(option.kind for option in OPTIONS if option.name == name)
    return Said(f"--{name} {text}", text, kind.read_text(text))


def madeOf(said: Said, make: Callable[[Any], T]) -> T:
    """
    Make an object of an option's value.

    :param said: the option and its value.
    :param make: takes the value and returns the object; raises ``ValueError`` for a bad value.
    :raises HalfRenewed: for a certificate that does not belong to its key.
    :raises CannotStart: for another bad value, with the option that gave the value.
    """
    try:
        return make(said.value)
    except KeyMismatch as error:
        raise HalfRenewed(f"hixie: {said.where}: {error}") from None
    except ValueError as error:
        raise CannotStart(f"hixie: {said.where}: {error}") from None
