"""The server's factory, which accepts connections on any endpoint, and its options."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TypedDict, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from ..connection.acknowledged import lowest
from ..connection.applications import checkBuilder
from ..connection.counters import Counters
from ..connection.flight_recorder import FlightRecorder
from ..connection.held_bytes import HeldBytes
from ..connection.option_names import with_names
from ..connection.protocol import HixieProtocol
from ..connection.tracer import TracePatterns, Tracer
from ..interfaces import Decision, WebSocketServerFactory
from ..sansio.arguments import instance, scalars, strings
from ..sansio.dialects import DIALECTS, named
from ..sansio.extensions import DEFAULT_EXTENSIONS
from ..sansio.extensions.extension import Extension
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.http.head import Asked
from ..sansio.http.trusted import TrustedNetworks
from ..sansio.limits import Limits
from .access import Policy
from .admission import Admission
from .counted_socket import leaveWithSocket
from .deciding import DecidingFactory
from .flash_policy import FlashPolicy
from .protocol import HixieServerProtocol
from .refused_connections import RefusedConnections
from .stopping import StopTrigger
from .subprotocols import SubprotocolChoice, settled_choice

HTTP: Final = b"http/1.1"
"""HTTP/1.1 in IANA's registry of ALPN protocol IDs (RFC 7301)."""


class ServerOptions(TypedDict, total=False):
    """Options of :class:`HixieServerFactory`, for code that passes options on."""

    dialects: Iterable[str] | None
    origins: Iterable[str] | None
    hosts: Iterable[str] | None
    quirks: Iterable[str]
    subprotocols: SubprotocolChoice
    extensions: Iterable[Extension]
    limits: Limits
    secure: bool | None
    trustForwarded: Iterable[str]
    binary: str
    logConnections: bool
    admission: Admission | None
    heldBytes: HeldBytes | None
    trace: Iterable[str] | None
    flightRecorder: bool
    connectionPoller: bool
    clock: IReactorTime | None


@implementer(IProtocolNegotiationFactory)
class HixieServerFactory(DecidingFactory):
    """
    Server factory: accepts WebSocket connections in every dialect, on any endpoint.

    :ivar applications: builds an application for each offer.
    :ivar dialects: the dialects that are accepted.
    :ivar policy: the access rules: allowed origins and hosts.
    :ivar secure: whether clients use TLS that a reverse proxy terminates; ``None`` if the transport
        of the connection decides.
    :ivar trustedProxies: the trusted reverse proxies: their ``Forwarded`` and ``X-Forwarded-*``
        fields are used. ``None`` if there are none.
    :ivar elsewhere: the factory for requests of ordinary HTTP, if there is one.
    :ivar flashPolicy: the policy for pages with Flash, if there is one.
    :ivar counters: what happened at this server since it has started.
    :ivar stopTrigger: closes the connections when the reactor stops.
    :ivar admission: limits of all connections.
    """

    @with_names
    def __init__(
        self,
        applications: WebSocketServerFactory,
        *,
        dialects: Iterable[str] | None = None,
        origins: Iterable[str] | None = None,
        hosts: Iterable[str] | None = None,
        quirks: Iterable[str] = (),
        subprotocols: SubprotocolChoice = (),
        extensions: Iterable[Extension] = DEFAULT_EXTENSIONS,
        limits: Limits = Limits(),
        secure: bool | None = None,
        trustForwarded: Iterable[str] = (),
        binary: str = "refuse",
        elsewhere: IProtocolFactory | None = None,
        flashPolicy: Iterable[str] = (),
        logConnections: bool = False,
        admission: Admission | None = None,
        heldBytes: HeldBytes | None = None,
        trace: Iterable[str] | None = None,
        flightRecorder: bool = False,
        connectionPoller: bool = True,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        :param applications: an object with ``buildProtocol(offer)``, which returns the application
            of a connection. If the object also has ``doStart`` and ``doStop``, these are called
            when the first port listens and when the last port has stopped listening.
        :param dialects: names of the dialects to accept; by default all dialects.
        :param origins: origins of pages that may connect: such as ``http://example.com:8080``,
            ``https://*.example.com`` for all names below ``example.com``, ``null`` for local pages
            and sandboxed frames, ``*`` for all. By default a page may connect to the host from
            which it was loaded. A request without ``Origin`` is always allowed.
        :param hosts: allowed names of this server in ``Host``; by default any name.
        :param quirks: deviations of old devices to let in, by their words, such as ``["key"]``;
            none by default. The page "Devices that speak WebSocket wrongly" of the guide has all of
            them.
        :param subprotocols: the subprotocol to choose where the application chooses none (with
            :class:`txhixie.Accepted`). Either a sequence, of which the first that the client offers
            is chosen; or a callable, which takes the offer and returns one of its subprotocols or
            ``None``.
        :param extensions: extensions to agree to, if a client offers them. By default
            permessage-deflate (RFC 7692), which keeps up to 44 KiB for a peer that compresses; and
            for clients that do not offer it x-webkit-deflate-frame (Safari 6 and 7), which keeps
            no memory.
        :param limits: limits of each connection: sizes in bytes, times in seconds.
        :param secure: ``True`` if a reverse proxy terminates TLS.
        :param trustForwarded: addresses and networks of trusted reverse proxies, or ``unix``; their
            ``Forwarded``, ``X-Forwarded-For``, ``-Proto`` and ``-Host`` fields are used.
        :param binary: what to do with a binary message in hixie-75 and hixie-76, which browsers of
            these dialects lose: ``"refuse"`` raises
            :class:`txhixie.errors.UnsupportedByDialect`, ``"send"`` sends the message, for peers
            that are known to read it.
        :param elsewhere: a factory for requests of ordinary HTTP, such as a ``twisted.web``
            ``Site``, which is started and stopped with this one. Without this factory such requests
            get 404. Each of its connections ends after its first response, unless the root resource
            of the Site is a :class:`txhixie.web.HixieResource`.
        :param flashPolicy: hosts of pages with Flash that may connect, such as ``example.com`` or
            ``*.example.com``: Flash's request for a policy file is answered. By default it is
            refused.
        :param logConnections: write an ``info`` line when a conversation opens and when it ends.
            Refused requests and protocol errors always have a line.
        :param admission: limits of all connections; several factories may share one. By default
            the number of connections has no limit.
        :param heldBytes: ceiling for the bytes that all connections hold together; several
            factories may share one. By default only each connection has its limits.
        :param trace: write each head and each frame of matching connections to the log, with
            credentials masked: those of an address or a network, of a path and all paths below it,
            or of a dialect; ``()`` for all connections. By default there is no trace. The method
            ``trace`` turns a trace off and on.
        :param flightRecorder: keep the last 32 events of each connection, and write them to the log
            behind the line of an abnormal end.
        :param connectionPoller: receive the events of open connections over TCP without TLS by one
            epoll of the package, which costs less CPU time than the reactor for small messages;
            only on Linux. ``reactor.getReaders()`` has the poller then, not its connections. The
            responses of handshakes are sent at the end of a turn of the reactor.
            ``False`` leaves all connections in the reactor, and sends each response at once.
        :param clock: measures the timeouts; the reactor by default.
        :raises ValueError: for an unknown dialect, and for an invalid address or pattern.
        :raises TypeError: for a value of another type, such as one string instead of a list; and
            for applications without ``buildProtocol``, such as a coroutine function that was not
            passed to :func:`txhixie.serve`, which would refuse its first client with 500.
        """
        checkBuilder("applications", applications, "pass a coroutine function to serve(...)")
        if elsewhere is not None:
            checkBuilder("elsewhere", elsewhere, "pass a resource to Site(resource)")
        if secure is not None:
            scalars(bool, secure=secure)
        super().__init__(limits, clock, binary, logConnections, extensions, secrets.token_bytes)
        self.applications = applications
        self.dialects = (
            DIALECTS
            if dialects is None
            else tuple(map(named, strings("dialects", dialects, '["rfc6455"]')))
        )
        self.policy = Policy(origins, hosts, self.dialects, quirks)
        self.secure = secure
        trusted = strings("trustForwarded", trustForwarded, '["127.0.0.1"]')
        self.trustedProxies = TrustedNetworks(trusted) if trusted else None
        self.elsewhere = elsewhere
        self.flashPolicy = FlashPolicy(flashPolicy) if flashPolicy else None
        if heldBytes is not None:
            self.heldBytes = instance("heldBytes", heldBytes, HeldBytes)
        if trace is not None:
            patterns = strings("trace", trace, '["/chat"]')
            self.tracer = Tracer(TracePatterns(patterns), True, lambda: self.clock)
        scalars(bool, flightRecorder=flightRecorder, connectionPoller=connectionPoller)
        self.connectionPoller = connectionPoller
        if flightRecorder:
            self.recorder = FlightRecorder(lambda: self.clock)
        self.counters = self.log.counters = Counters()
        self.admission = (
            Admission() if admission is None else instance("admission", admission, Admission)
        )
        self._refused = RefusedConnections(lambda: self.log, lambda: self.clock)
        self._subprotocols = settled_choice(subprotocols)
        self._listens = False
        self.stopTrigger = StopTrigger(self.closeOthers, self.abortAll)

    def acceptableProtocols(self) -> list[bytes]:
        """
        Return the protocols for ALPN (RFC 7301) on TLS ports: HTTP/1.1.

        Twisted 26.10 refuses every client that offers ALPN, as all browsers and curl do, if the
        factory lacks this method. The protocols of ``elsewhere`` are not used: a ``Site`` would
        name ``h2``, but the first bytes are read here, as HTTP/1.1.
        """
        return [HTTP]

    def startFactory(self) -> None:
        """
        Start ``applications`` and ``elsewhere``: the first port is listening.

        From now on the connections are closed with 1001 when the reactor stops.
        """
        for start in self._methods("doStart"):
            start()
        self._listens = True
        self.stopTrigger.arm(self.clock)

    def stopFactory(self) -> None:
        """Stop ``applications`` and ``elsewhere``: no port is listening; connections stay open."""
        self._listens = False
        if not self.connections:
            self.stopTrigger.disarm()
        for stop in self._methods("doStop"):
            stop()
        super().stopFactory()

    def decide(
        self, offer: Offer, connection: HixieProtocol
    ) -> Decision | Deferred[Any] | Coroutine[Any, Any, Decision]:
        """
        Return the decision about an offer that the access rules allow.

        :param offer: the client's offer.
        :param connection: the connection of the offer, before its handshake is complete.
        """
        return self.applications.buildProtocol(offer)

    def masked(self, asked: Asked) -> Asked:
        """
        Return the host, target and origin of a request for the log.

        The values in the query are masked later. A subclass masks further secrets, such as in the
        path.
        """
        return asked

    def succeed(self, before: HixieServerFactory) -> None:
        """
        Continue the log and the counters of an earlier factory, which keeps its connections.

        The numbers of connections go on, and repeated log lines stay folded. Both factories have
        the limits of this factory's :attr:`admission` for all their connections.

        :param before: the earlier factory.
        """
        self._succeedHeldBytes(before)
        self.log = before.log
        if before.tracer is not None and self.tracer is not None:
            before.tracer.change(self.tracer)
            self.tracer = before.tracer
        self.counters = before.counters
        before.admission.change(self.admission)
        self.admission = before.admission

    def enterAll(self) -> None:
        """Count every connection in :attr:`admission`, after a change of the limits."""
        if self.admission.is_limited:
            for connection in self.connections:
                self._enter(connection)
                self.admission.take(lowest(connection.transport))

    def _enter(self, connection: HixieProtocol) -> None:
        client = getattr(connection.getPeer(), "host", None)
        transport = lowest(connection.transport)
        self.admission.enter(transport, self.limitedAddress(client))
        leaveWithSocket(self.admission, transport)

    def limitedAddress(self, client: str | None) -> str | None:
        """
        Return the address of a peer for the limits of an address.

        :param client: the address of the peer.
        :return: the address; ``None`` for a trusted reverse proxy, which has many clients.
        """
        return None if self.trustedProxies and self.trustedProxies.has(client) else client

    def _succeedHeldBytes(self, before: HixieServerFactory) -> None:
        """Have one ceiling for the connections of both factories, which is that of this one."""
        if before.heldBytes is not None:
            if self.heldBytes is None:
                before.heldBytes.forget(before)
            else:
                before.heldBytes.change(self.heldBytes.most)
                self.heldBytes = before.heldBytes
        before.heldBytes = self.heldBytes
        if self.heldBytes is not None and before.connections:
            self.heldBytes.watch(before)

    def joined(self, connection: Any) -> None:
        """Add a connection; if a Site has the port, use the reactor of the connection."""
        super().joined(connection)
        if self.admission.is_limited and connection.request is None:
            self._enter(connection)
        if not self.stopTrigger.isArmed:
            reactor = getattr(lowest(connection.transport), "reactor", None)
            if self._clock is None or self._clock is reactor:
                self.stopTrigger.arm(reactor)

    def emptied(self) -> None:
        """Stop the timers: the last connection has ended."""
        super().emptied()
        if not self._listens:
            self.stopTrigger.disarm()

    def _methods(self, name: str) -> list[Callable[[], None]]:
        found = (getattr(each, name, None) for each in (self.applications, self.elsewhere))
        return [method for method in found if method is not None]

    def buildProtocol(self, addr: IAddress | None) -> HixieServerProtocol:  # type: ignore[override]  # the protocol's factory has a narrower type than in Twisted
        """
        Return the protocol of a new connection.

        A connection beyond the limits of :attr:`admission` gets a protocol of another class, which
        refuses the connection.
        """
        self.counters.accepted += 1
        if self.admission.is_limited:
            client = self.limitedAddress(getattr(addr, "host", None))
            refusal = self.admission.arrives(client, self.clock.seconds())
            if refusal is not None:
                return cast(HixieServerProtocol, self.refusing(refusal))
        return HixieServerProtocol(self)

    def refusing(self, refusal: Refusal, belowTLS: bool = False) -> Protocol:
        """
        Return a protocol that refuses a new connection before its request is read.

        :param refusal: the response; a connection with TLS is closed without a response.
        :param belowTLS: whether TLS would follow on the transport of the protocol.
        """
        return self._refused.refuse(refusal, belowTLS)
