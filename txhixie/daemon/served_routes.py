"""The services and pages of the daemon, made from the options ``serve`` and ``console``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from twisted.web.resource import IResource

from ..gateway.session import Sessions
from ..interfaces import WebSocketServerFactory
from ..server.access import Policy
from ..server.port_check import parts_of
from .adaptations import Adaptation
from .conditions import ACCESS, CONDITIONS, NONE, policy_of
from .console import consoleRoot
from .dispatch import Guarded
from .errors import CannotStart
from .given_options import GivenOptions, made_of
from .guards.guard import Guard
from .guards.shared_guards import SharedGuards
from .route_option import Description
from .routes import Route, Routes
from .services import service_for
from .services.service import Context, makeServed, settingsOf
from .setting import as_written
from .token_source import TokenSource

_PASS_HEADERS: Final = "pass-headers"
"""Option of a service: names of header fields that reach its backend, even if they were used."""

MakeContext = Callable[[Route, frozenset[str]], Context]
"""Function that makes the context of a service, from its route and the quirks of the route."""


class ServedRoutes:
    """
    Routes of one reading of the options, with their services, pages and conditions.

    :ivar applications: the WebSocket services.
    :ivar pages: the pages.
    :ivar conditions: the conditions of all routes.
    :ivar guards: the guards of all routes.
    :ivar policy: the access rules of all routes.
    :ivar policies: the access rules of each route to a WebSocket service.
    :ivar paths: the paths of these routes.
    :ivar compresses: whether any of these routes has compression.
    :ivar sessions: the sessions of the gateways.
    :ivar shown: the conditions of each route, for the report.
    """

    def __init__(self, reactor: Any, given: GivenOptions, makeContext: MakeContext) -> None:
        """
        Make the services and the pages.

        :param reactor: the reactor that the daemon runs on.
        :param given: the options.
        :param makeContext: makes the context of a service.
        :raises CannotStart: with an error line for the operator.
        """
        self._reactor = reactor
        self._given = given
        self._makeContext = makeContext
        self.guards = SharedGuards(reactor)
        self.conditions = self._readConditions()
        self.policy = policy_of(self.conditions)
        self.applications: Routes[Guarded[WebSocketServerFactory]] = Routes()
        self.pages: Routes[Guarded[IResource]] = Routes()
        self.policies: list[Policy] = []
        self.paths: list[str] = []
        self.compresses = False
        self.sessions: list[Sessions] = []
        self.shown: list[str] = []
        for one in given.of("serve"):
            made_of(one, self._add)
        for one in given.of("console"):
            made_of(one, self._addConsole)

    def _add(self, description: Description) -> None:
        guarded = self._build(description)
        if IResource.providedBy(guarded.served):
            self.pages.add(description.route, guarded)
        else:
            self.applications.add(_assuming(description.route, guarded.adaptation), guarded)
            self.compresses |= guarded.adaptation.attributes.get("compression", True)
            self.paths.append(description.route.path)
            self.policies.append(guarded.policy or self.policy)
        if (page := getattr(guarded.served, "page", None)) is not None:
            # Its token is the only condition: a program has no password and no certificate.
            page = Guarded(page, policy=guarded.policy, hasNoPathsBelow=True)
            self.pages.add(description.route, page)

    def _addConsole(self, path: str) -> None:
        route, conditions = Route(None, path), self.conditions
        self.pages.add(route, Guarded(consoleRoot(), self.guards.of(conditions)))
        self._show(f"{route} (console page)", True, conditions, {})

    def _build(self, description: Description) -> Guarded[Any]:
        rows = [service_for(each) for each in description.services]
        own = description.read_conditions()
        conditions = self.conditions | own
        context = self._makeContext(description.route, policy_of(conditions).quirks)
        misplaced = {word: text for row in rows for word, text in row.misplaced.items()}
        options = description.options(settingsOf(rows), misplaced)
        served = makeServed(rows, self._reactor, description.services, options, context)
        if (sessions := getattr(served, "sessions", None)) is not None:
            self.sessions.append(sessions)
        self.guards.check(own, conditions)
        self._checkCertificates(own)
        passed = frozenset(name.lower().encode("ascii") for name in options.get(_PASS_HEADERS, ()))
        guards = self.guards.of(conditions)
        _checkParameters(guards, getattr(served, "source", None))
        if getattr(served, "needsUsers", False):
            _checkUsers(guards)
        policy = policy_of(conditions) if own.keys() & {each.name for each in ACCESS} else None
        self._show(
            description.route, IResource.providedBy(served), conditions, description.conditions
        )
        adaptation = Adaptation.of(options, self._given.one("compression", True))
        return Guarded(served, guards, passed, policy, adaptation=adaptation)

    def _checkCertificates(self, conditions: Mapping[str, Any]) -> None:
        """
        Check that a client can meet the condition ``client-certificate``.

        :raises ValueError: if no port asks for certificates of clients.
        """
        ports = (parts_of(str(one.value)) for one in self._given.of("port"))
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
            setting.name: self._given.joined(setting.name)
            if setting.repeated
            else self._given.one(setting.name, None)
            for setting in CONDITIONS
            if setting.name in self._given
        }
        values = {
            name: None if value in (NONE, [NONE]) else value for name, value in values.items()
        }
        try:
            self.guards.of(values)
            self._checkCertificates(values)
        except ValueError as error:
            name = str(error).partition(" ")[0].rstrip(":")
            place = next((one.where for one in self._given.of(name)), name)
            raise CannotStart(f"hixie: {place.partition(name)[0]}{error}") from None
        return values

    def _show(
        self, route: object, isPage: bool, values: Mapping[str, Any], own: Mapping[str, Any]
    ) -> None:
        """
        Add the line of a route's conditions to the report.

        :param route: the route, as the report writes it.
        :param isPage: whether the route is of pages, which every origin may link to.
        :param values: the values of the route and those for all routes.
        :param own: the values of the route as the operator wrote them.
        """
        access = ("hosts",) if isPage else tuple(each.name for each in ACCESS)
        used = {*access, *self.guards.used(values)}
        texts = {
            each.name: as_written(own[each.name]) if each.name in own else self._given.text(each)
            for each in CONDITIONS
            if each.name in used
        }
        shown = "; ".join(f"{name}={text}" for name, text in texts.items())
        self.shown.append(f"{route}: {shown}")


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
