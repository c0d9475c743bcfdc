"""Dispatch of requests by their routes: WebSocket requests to services, other requests to pages.

A service and a page may have the same route, since a request is either for WebSocket or not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from inspect import iscoroutine
from typing import Any, Final, Generic, TypeVar, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import MOVED_PERMANENTLY
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request, Site

from ..bus.reach import Reach
from ..connection.expiry import uptime
from ..connection.log import ConnectionLog, Logged, installedReactor
from ..connection.protocol import HixieProtocol
from ..connection.recent import Recent
from ..gateway.pages import BackendPages, PageRequest
from ..hub.hub import Hub
from ..interfaces import Accepted, Decision, WebSocketServerFactory
from ..sansio.dialects import DIALECTS
from ..sansio.handshake.mending import normal_target
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.http.head import Asked, Head
from ..sansio.http.query import without_parameters
from ..sansio.limits import MOST_SEGMENTS
from ..sansio.quirks import quirk_of
from ..sansio.types import Headers
from ..server.access import Policy
from ..server.factory import HixieServerFactory
from ..server.http_bounds import askedBy, holderOf, numberOf
from ..server.protocol import HixieServerProtocol
from ..server.refused_page import RefusedPage
from .adaptations import NOT_ADAPTED, Adaptation, changed
from .guards.backend_fields import BACKEND_FIELDS
from .guards.guard import Answer, Guard, ask
from .guards.held_permits import HeldPermits
from .guards.visitor import Visitor
from .page_answer import GET_AND_HEAD
from .routes import Route, Routes, segments_of

T = TypeVar("T")

_ONLY_GET: Final = Refusal(
    405, "method not allowed; this page accepts GET and HEAD\n", ((b"Allow", b"GET, HEAD"),)
)

_TWO_HOSTS: Final = Refusal(400, "more than one Host (RFC 9112 section 3.2)\n")
"""For a request for a page with different hosts: a reverse proxy in front of the daemon may have
checked another one."""


@dataclass(frozen=True, slots=True)
class Guarded(Generic[T]):
    """
    A service or a page with the conditions of its route.

    :ivar served: the service or the page.
    :ivar guards: guards of the route, which are all asked about each client.
    :ivar passed: names, in lower case, of used header fields that a backend gets all the same.
    :ivar policy: access rules of the route; ``None`` for those of the server.
    :ivar hasNoPathsBelow: whether the page is at the path of the route itself, so that this path is
        not redirected to the same path with a slash.
    :ivar adaptation: options of the route for old devices.
    """

    served: T
    guards: tuple[Guard, ...] = ()
    passed: frozenset[bytes] = frozenset()
    policy: Policy | None = None
    hasNoPathsBelow: bool = False
    adaptation: Adaptation = NOT_ADAPTED

    def stripped(self, offer: Offer) -> Offer:
        """
        Return an offer as a backend may see it: without credentials that were used here.

        The fields in which the daemon tells a backend about a client are removed as well. The offer
        itself is unchanged, since the handshake needs the whole target: hixie-76 repeats it in
        ``Sec-WebSocket-Location``, which browsers compare.
        """
        target, used = self._used(offer.target)
        head = offer.head.without(used)
        if head is offer.head and target is offer.target:
            return offer
        return replace(offer, head=head, target=target)

    def strippedPage(self, visitor: Visitor, added: Headers) -> PageRequest:
        """
        Return a request for a page as a backend may see it: without credentials that were used.

        :param added: header fields of the guards' permit about the client.
        """
        target, used = self._used(visitor.target)
        fields = tuple(pair for pair in visitor.fields.pairs if pair[0] not in used)
        return PageRequest(target, fields, visitor.host, visitor.client, visitor.secure, added)

    def _used(self, target: str) -> tuple[str, frozenset[bytes]]:
        """Return a target without used credentials, and the fields that no backend may see."""
        used = BACKEND_FIELDS
        for guard in self.guards:
            target = without_parameters(target, guard.usedParameters)
            used |= guard.usedHeaders - self.passed
        return target, used


class RoutedApplications:
    """
    Server factory that passes each offer on to the service of its route; without one, a 404.

    :ivar routes: the services by their routes.
    :ivar policies: access rules of the routes that have their own.
    """

    def __init__(self, routes: Routes[Guarded[WebSocketServerFactory]]) -> None:
        self.routes = routes
        self.policies = [each.policy for each in routes if each.policy is not None]
        self._masks = [mask for each in routes if (mask := getattr(each.served, "masked", None))]

    def masked(self, target: str) -> str:
        """Return the target of a request for the log, without the tokens that are in the path."""
        for mask in self._masks:
            target = mask(target)
        return target

    def policyFor(self, host: str, path: str, subprotocols: Sequence[str]) -> Policy | None:
        """Return the access rules of a route; ``None`` for those of the server."""
        found = self.routes.find(host, path, subprotocols)
        return None if found is None else found[1].policy

    def buildProtocol(
        self, offer: Offer, connection: HixieProtocol | None = None
    ) -> Decision | Deferred[Decision] | Coroutine[Any, Any, Decision]:
        """
        Ask the guards of the route about an offer, and then the service for its decision.

        The service of a route with a required subprotocol sees no other subprotocol in the offer,
        since the service could not select another one.

        :param offer: the client's offer.
        :param connection: the connection of the offer.
        :return: the service's decision, or the refusal of a guard; ``None`` (a 404) if no route
            matches.
        """
        found = self.routes.find(offer.host, offer.path, offer.subprotocols)
        if found is None:
            return self._notFound(offer)
        route, guarded = found
        asked = offer
        if route.subprotocol is not None:
            asked = replace(offer, subprotocols=(route.subprotocol,))
        asked = guarded.stripped(guarded.adaptation.offered(asked))
        decision = self._decide(guarded, asked, offer, connection)
        return cast(Decision, guarded.adaptation.adapted(decision, offer))

    def _decide(
        self,
        guarded: Guarded[WebSocketServerFactory],
        asked: Offer,
        offer: Offer,
        connection: HixieProtocol | None,
    ) -> Any:
        if not guarded.guards:
            return guarded.served.buildProtocol(asked)
        answer = ask(guarded.guards, Visitor.ofOffer(offer, connection))
        if isinstance(answer, Deferred):
            return answer.addCallback(self._decision, guarded.served, asked, connection)
        return self._decision(answer, guarded.served, asked, connection)

    def _notFound(self, offer: Offer) -> Refusal | None:
        """
        Return a refusal that says why a path has no route, although it may look as if it had one.

        :return: ``None`` for a path that has no route anyway.
        """
        if segments_of(offer.path) is None:
            what = "no WebSocket service for this request: its path has . or .., or is too deep"
            return Refusal(404, f"{what}\n")
        path = normal_target(offer.path, offer.host)
        if path == offer.path or self.routes.find(offer.host, path, offer.subprotocols) is None:
            return None
        what = "no WebSocket service for this request: its path has doubled slashes"
        return Refusal(404, f"{what}\n", why=f"{what}; {quirk_of('target').hint}")

    def _decision(
        self,
        answer: Answer,
        service: WebSocketServerFactory,
        offer: Offer,
        connection: HixieProtocol | None,
    ) -> Any:
        if isinstance(answer, Refusal):
            return answer
        if answer.holds and connection is not None:
            cast(RoutedServerFactory, connection.factory).hold(connection, answer.holds)
        if answer.fields:
            offer = replace(offer, head=offer.head.extended(Head.of(b"", answer.fields)))
        if answer.user is not None:
            offer = replace(offer, user=answer.user)
        decision = service.buildProtocol(offer)
        if answer.expiresIn is None:
            return ensureDeferred(decision) if iscoroutine(decision) else decision
        return _expiring(decision, answer.expiresIn)


def _expiring(decision: Any, seconds: float) -> Any:
    """
    Let a connection expire, if the decision of its service accepts it.

    :param decision: the decision, or a Deferred or a coroutine of it.
    :param seconds: seconds from now.
    """
    began = uptime()

    def limited(accepted: Accepted) -> Accepted:
        left = max(0.0, seconds - (uptime() - began))
        if accepted.expiresIn is not None:
            left = min(left, accepted.expiresIn)
        return replace(accepted, expiresIn=left)

    return changed(decision, limited)


class RoutedServerFactory(HixieServerFactory):
    """
    Server factory with access rules and guards for each route.

    :ivar standIn: gets each new connection instead, while the connections of this factory are
        closed; ``None`` before.
    :ivar reach: state of the connection to the server of the daemon's bus; ``None`` without one.
    :ivar hub: the topics of the daemon; ``None`` for a factory without a hub.
    """

    applications: RoutedApplications
    standIn: HixieServerFactory | None = None
    reach: Reach | None = None
    hub: Hub | None = None

    def __init__(
        self,
        applications: RoutedApplications,
        policy: Policy = Policy(),
        **options: Any,
    ) -> None:
        """
        :param applications: the routes.
        :param policy: access rules of all routes without rules of their own.
        :param options: options of :class:`HixieServerFactory`, without those of the policy.
        """
        spoken = {dialect for each in (policy, *applications.policies) for dialect in each.dialects}
        names = [dialect.name for dialect in DIALECTS if dialect in spoken]
        super().__init__(applications, dialects=names, **options)
        self.policy = policy
        self.log.recent = Recent()
        self._permits: HeldPermits[HixieProtocol] = HeldPermits(lambda: self.clock, _withdraw)
        self._earlier: list[RoutedServerFactory] = []

    def buildProtocol(self, addr: IAddress | None) -> HixieServerProtocol:  # type: ignore[override]  # the protocol's factory has a narrower type than in Twisted
        """Return the protocol of a new connection."""
        if self.standIn is not None:
            return self.standIn.buildProtocol(addr)
        return super().buildProtocol(addr)

    def hold(self, connection: HixieProtocol, holds: Sequence[Callable[[], bool]]) -> None:
        """
        End a connection when its permit no longer holds.

        :param holds: see :attr:`txhixie.daemon.guards.guard.Permit.holds`.
        """
        if connection in self.connections:
            self._permits.add(connection, holds)

    def left(self, connection: HixieProtocol) -> None:
        """Remove a connection that has ended."""
        self._permits.discard(connection)
        super().left(connection)

    def policyFor(self, host: str, target: str, subprotocols: Sequence[str] = ()) -> Policy:
        """Return the access rules of the route of a request."""
        if not self.applications.policies:
            return self.policy
        path = target.partition("?")[0]
        if "//" in path:
            normal = self._policyFor(host, normal_target(path, host), subprotocols)
            literal = self._policyFor(host, path, subprotocols)
            # With the quirk the path is normalised, so the rules have to be those of the route that
            # is chosen then: not those of /, for //admin.
            either = normal.quirks | literal.quirks
            return normal if "target" in either else literal
        return self._policyFor(host, path, subprotocols)

    def _policyFor(self, host: str, path: str, subprotocols: Sequence[str]) -> Policy:
        return self.applications.policyFor(host, path, subprotocols) or self.policy

    def routeOf(self, offer: Offer) -> Route | None:
        """Return the route of an offer that a service has accepted."""
        routes = self.applications.routes
        found = routes.find(offer.host, offer.path, offer.subprotocols)
        if found is None:  # with the quirk of the target, the normalised path has been used
            path = normal_target(offer.path, offer.host)
            found = routes.find(offer.host, path, offer.subprotocols)
        return None if found is None else found[0]

    def succeed(self, before: HixieServerFactory) -> None:
        """Continue an earlier factory; see :meth:`HixieServerFactory.succeed`."""
        super().succeed(before)
        if isinstance(before, RoutedServerFactory):
            self._earlier.append(before)

    @property
    def family(self) -> list[RoutedServerFactory]:
        """The factory itself, and the earlier ones that still have connections."""
        self._earlier = [each for each in self._earlier if each.connections]
        return [self, *self._earlier]

    def masked(self, asked: Asked) -> Asked:
        """Mask the tokens in the paths of the routes that have them there."""
        return asked._replace(target=self.applications.masked(asked.target or "") or None)

    def decide(self, offer: Offer, connection: HixieProtocol) -> Any:
        """Ask the guards and the service of the route."""
        return self.applications.buildProtocol(offer, connection)


def _withdraw(connection: HixieProtocol) -> None:
    connection.expired("credentials revoked")


class RoutedPages(Resource):
    """
    Root resource of a site, which passes each request on to the page resource of its route.

    A page resource sees the path after its route, as if the resource were the root. A request for
    the path of the route itself is redirected to the same path with a slash, unless the resource is
    the pages of a backend that gets the path as it is.
    """

    def __init__(self, routes: Routes[Guarded[IResource]], policy: Policy = Policy()) -> None:
        """
        :param routes: the pages by their routes.
        :param policy: access rules of all routes without rules of their own.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._routes = routes
        self._policy = policy

    def bodySizeOf(self, request: Request, method: bytes, target: bytes) -> int | Refusal:
        """
        Return the most bytes of the body of a request, after its head was read.

        :param request: the request, which has only its header fields yet.
        :param method: method of the request.
        :param target: path and query of the request.
        :return: bytes; or the refusal of the request.
        """
        visitor = Visitor.ofHead(request, target)
        found = self._routes.find(visitor.host, visitor.path)
        sizeOf = None if found is None else getattr(found[1].served, "bodySizeOf", None)
        if sizeOf is not None:
            return cast("int | Refusal", sizeOf(method, visitor))
        if found is not None and visitor.hasBody and method not in GET_AND_HEAD:
            return _ONLY_GET  # as the page refuses the method of a request without a body
        return 0

    def hasPage(self, host: str, path: str) -> bool:
        """
        Whether a request is answered here.

        It is answered by the page of a route, with 403 for its ``Host``, or with 414 for its path.

        :param host: value of the ``Host`` field; empty without one.
        :param path: path of the request, without the query.
        """
        if path.count("/") > MOST_SEGMENTS or self._policy.refuses_host(host) is not None:
            return True
        return self._routes.find(host, path) is not None

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        """
        Find the page resource of a request, and ask the guards of its route.

        A request with a foreign ``Host`` is refused, as a handshake is: a page of another site that
        uses DNS rebinding could otherwise read all pages that need no password, in a network that
        only its visitor can reach.

        :param path: first segment of the request's path.
        :param request: the request, with its ``prepath`` and ``postpath``.
        """
        if len({*request.requestHeaders.getRawHeaders(b"host", [])}) > 1:
            return RefusedPage(_TWO_HOSTS)
        # Not getRequestHostname(): without a Host field this function uses the socket's address,
        # which a UNIX socket does not have.
        host = (request.getHeader(b"host") or b"").decode("latin-1")
        found = self._routes.find(host, request.path.decode("latin-1"))
        policy = self._policy if found is None else found[1].policy or self._policy
        if (refused := policy.refuses_host(host)) is not None:
            return RefusedPage(refused)
        if found is None:
            return notFound()
        route, guarded = found
        segments = [*(request.prepath or ()), *(request.postpath or ())]
        depth = len(route.segments)
        request.prepath, request.postpath = segments[:depth], segments[depth:]
        page = guarded.served if request.postpath else _atRoute(guarded, route)
        if not (guarded.guards or isinstance(page, BackendPages)):
            return page
        visitor = Visitor.ofRequest(request)

        def permitted(answer: Answer) -> IResource:
            if isinstance(answer, Refusal):
                return RefusedPage(answer)
            if isinstance(page, BackendPages):
                return page.passing(guarded.strippedPage(visitor, answer.fields))
            return page

        answer = ask(guarded.guards, visitor)
        if isinstance(answer, Deferred):
            return _Checked(answer.addCallback(permitted))
        return permitted(answer)


def _atRoute(guarded: Guarded[IResource], route: Route) -> IResource:
    """Return the resource for the path of a route itself: the page, or a redirect."""
    page = guarded.served
    if guarded.hasNoPathsBelow or (isinstance(page, BackendPages) and page.answersRoute):
        return page
    return _Slash(route.path)


class _Checked(Resource):
    """A page that waits for the answer of its guards."""

    isLeaf = True

    def __init__(self, permitted: Deferred[IResource]) -> None:
        """:param permitted: fires with the page, or with the response that refuses the client."""
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._permitted = permitted

    def render(self, request: Request) -> int:
        """Wait for the guards, until the client disconnects; then render the page."""
        ended: list[object] = []

        def leave(reason: object) -> None:
            ended.append(reason)
            self._permitted.cancel()

        def answered(page: IResource) -> None:
            if not ended:
                request.render(getChildForRequest(page, request))

        def failed(failure: Failure) -> None:
            if not ended:
                request.processingFailed(failure)

        request.notifyFinish().addErrback(leave)
        self._permitted.addCallback(answered).addErrback(failed)
        return NOT_DONE_YET


class _Slash(Resource):
    """Redirect to the same path with a slash at its end, where relative links are right."""

    isLeaf = True

    def __init__(self, path: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._path = path

    def render(self, request: Request) -> bytes:
        """
        Redirect to the path of the route, with the query of the request.

        The path of the request is not used, since it may begin with two slashes: a browser would
        take the first segment for a host.
        """
        _, mark, query = request.uri.partition(b"?")
        request.setResponseCode(MOVED_PERMANENTLY)
        request.setHeader(b"Location", self._path.encode("ascii") + b"/" + mark + query)
        return b""


class PageSite(Site):
    """Site without tracebacks in its error pages, and with a log line of txhixie for each page."""

    noisy = False
    displayTracebacks = False
    _log = Logger()

    def __init__(self, root: RoutedPages) -> None:
        """:param root: the pages."""
        super().__init__(root)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.hasPage = root.hasPage
        self.bodySizeOf = root.bodySizeOf
        self._lines = ConnectionLog(self._log, True, installedReactor)

    def log(self, request: Any) -> None:
        """
        Write the log line of a request: a page that was sent, or the refusal of a guard.

        The line has no values of the query and bounded fields, unlike Twisted's access log. A
        refusal is counted with those of handshakes, and repeats of a client are folded with them. A
        page has no line if its attribute ``isRoutine`` of the request is true: a program asks for
        the page again and again.
        """
        holder = holderOf(request.channel.transport)
        number = numberOf(request.channel, self._lines)
        refusal: Refusal | None = getattr(request, "refusal", None)
        asked, log = askedBy(request, request.uri), self._lines
        if isinstance(holder, HixieServerProtocol):
            asked, log = holder.factory.masked(asked), holder.factory.log
        if refusal is None:
            if not getattr(request, "isRoutine", False):
                self._lines.page(number, request, asked.target or "")
            return
        log.refused(Logged(number, request.getClientAddress(), asked), refusal)
