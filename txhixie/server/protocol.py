"""The server's side of a connection, up to its conversation.

Three steps in a line, each a method that takes bytes: the head, the decision (whoever is served
waits), and the raw bytes that prove the answer in the dialects that have them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, Final, TypeAlias, TypedDict, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ..connection.acknowledged import lowest
from ..connection.addresses import standFor
from ..connection.applications import Unusable, checkApplication, checkBuilder
from ..connection.awaiting import explain
from ..connection.log import loggedOf
from ..connection.protocol import HixieFactory, HixieProtocol, ignore
from ..interfaces import Accepted, Decision, WebSocketServerFactory
from ..sansio.arguments import scalars, strings
from ..sansio.closing import Ended
from ..sansio.dialects import DIALECTS, Dialect, named, refusal
from ..sansio.errors import EarlyBytes, HandshakeError, LengthRequired
from ..sansio.extensions import DEFAULT_EXTENSIONS
from ..sansio.extensions.extension import Extension, accept
from ..sansio.handshake.offer import NOTHING_MORE, Agreement, Offer, Refusal
from ..sansio.http.forwarded import Forwarded
from ..sansio.http.head import NOTHING_ASKED, Asked
from ..sansio.http.trusted import TrustedNetworks
from ..sansio.limits import Limits
from ..sansio.opening import Elsewhere, ServerOpening
from ..sansio.types import Headers
from ..sansio.wire.frame import CloseCode, Side
from .access import Policy
from .stopping import StopTrigger


class HixieServerProtocol(HixieProtocol):
    """
    One connection to a server.

    :ivar request: the ``IRequest`` that the handshake was for another HTTP server, such as a
        ``Site``; ``None`` where there was none.
    """

    __slots__ = ("_bodyLeft", "_decision", "_elsewhere", "_opening")

    side = Side.SERVER
    factory: HixieServerFactory

    def __init__(self, factory: HixieServerFactory) -> None:
        super().__init__(factory)
        self._decision: Deferred[Any] | None = None

    def connectionMade(self) -> None:
        """Wait for a head."""
        factory = self.factory
        secure = self.isSecure() if factory.secure is None else factory.secure
        trustedProxies = (
            factory.trustedProxies
            if factory.trustedProxies and factory.trustedProxies.has(self._client())
            else None
        )
        self._opening = ServerOpening(factory.dialects, factory.limits, secure, trustedProxies)
        self._receive = self._receiveHead
        super().connectionMade()
        if factory.isStopping:
            self._leave()

    # What a connection adds that was ordinary HTTP before its handshake.

    request: Any = None

    def isSecure(self) -> bool:
        """Whether the client came by TLS; asked unless the factory says so."""
        return ISSLTransport.providedBy(self.transport)

    def answerHeaders(self) -> Headers:
        """Further fields of the answer to the handshake."""
        return ()

    def answered(self, status: int) -> None:
        """
        The answer to the handshake was written.

        :param status: of the answer in HTTP.
        """

    # The head.

    def _client(self) -> str | None:
        return getattr(self.getPeer(), "host", None)

    @property
    def asked(self) -> Asked:
        """See :class:`txhixie.HixieProtocol`; also of a request that is no offer."""
        asked = super().asked
        opening = getattr(self, "_opening", None)
        return opening.asked() if asked is NOTHING_ASKED and opening is not None else asked

    def _receiveHead(self, data: bytes) -> None:
        opening = self._opening
        try:
            found = opening.receive(data)
        except HandshakeError as error:
            if opening.forwarded is not None:
                self._standForClient(None, opening.forwarded)
            self._refuse(refusal(error, self.factory.dialects))
            return
        if opening.forwarded is not None:
            self._standForClient(found, opening.forwarded)
        if isinstance(found, Offer):
            peer = self.transport.getPeer()
            found.client = getattr(peer, "host", None)
            found.client_port = getattr(peer, "port", None) or None  # a proxy may tell none
            found.request = self.request
            self.offer = found
            self.dialect = self._opening.dialect
            self._decide(found)
        elif isinstance(found, Elsewhere):
            self._goElsewhere(found)

    def _standForClient(self, found: Offer | Elsewhere | None, told: Forwarded) -> None:
        """
        Have the transport answer with the address of the client that a proxy tells of; not where a
        Site keeps the connection, since the requests that follow may be of others.
        """
        stays = isinstance(found, Elsewhere) and self.factory.elsewhereUpgrades
        if told.client is not None and not stays:
            standFor(self.transport, (told.client, told.port))

    # The decision.

    def _decide(self, offer: Offer) -> None:
        policy = self.factory.policy
        if (refused := policy.refuses(offer)) is not None:
            self._refuse(refused)
            return
        if policy.disregards(offer):
            what = "sent an Origin that no browser writes, which counts as none"
            self.factory.log.noticed(loggedOf(self), what)
        try:
            answer = self.factory.applications.buildProtocol(offer)
        except Exception:
            self._failed(Failure())
            return
        if isinstance(answer, Deferred) or iscoroutine(answer):
            self._awaitDecision(ensureDeferred(answer))
        else:
            self._answer(cast(Decision, answer))

    def _awaitDecision(self, decision: Deferred[Decision]) -> None:
        """
        Go on reading while it is open, as far as bytes may come early: how else would we hear that
        the client has left, and cancel what nobody waits for any more?
        """
        self._output.timeout(self.factory.limits.decide_timeout)
        self._receive = self._receiveEarly
        self._decision = decision
        decision.addCallbacks(self._decided, self._undecided)

    def _receiveEarly(self, data: bytes) -> None:
        """Bytes while the application decides: hixie-76's eight, or such as must not come yet."""
        try:
            self._opening.keep(data)
        except EarlyBytes as error:
            self._refuse(refusal(error, self.factory.dialects))

    def _decided(self, answer: Decision) -> None:
        if self._decision is None:
            return  # the client has left; what was cancelled was decided all the same
        self._decision = None
        self._output.timeout(self.factory.limits.open_timeout)
        self._answer(answer)

    def _undecided(self, failure: Failure) -> None:
        if self._decision is None:
            return
        self._decision = None
        self._failed(failure)

    def _misused(self, error: Unusable) -> None:
        """What the application answered cannot be done: it hears why, and so does the log."""
        self.factory.log.misused(loggedOf(self), str(error))
        self._refuse(Refusal(500, "the application failed\n", logged=True))
        self._tellLost(Ended(CloseCode.ABNORMAL_CLOSURE, str(error), "us", False))

    def _failed(self, failure: Failure) -> None:
        """The application raised: ours to mend, so there is a traceback."""
        note = explain(failure.value)
        hint = "" if note is None else f": {note}"
        self._log.failure("the application could not answer an offer{hint}", failure, hint=hint)
        self._refuse(Refusal(500, "the application failed\n"))

    # The answer.

    def _answer(self, answer: Decision) -> None:
        try:
            if answer is None:
                self._refuse(Refusal(404, "nothing is served here\n"))
            elif isinstance(answer, Refusal):
                self._refuse(answer)
            elif isinstance(answer, Accepted):
                self._agree(answer)
            else:
                self._agree(Accepted(answer, self.factory.chooseSubprotocol(self.offer)))
        except Unusable as error:
            self._misused(error)
        except Exception:
            self._failed(Failure())

    def _agree(self, accepted: Accepted) -> None:
        """
        :raises Unusable: for what is no application, and for a subprotocol the
            client did not offer.
        """
        checkApplication(accepted.application)
        if headers := self.answerHeaders():
            accepted = replace(accepted, headers=(*accepted.headers, *headers))
        subprotocol = accepted.subprotocol
        if subprotocol is not None and subprotocol not in self.offer.subprotocols:
            self._application = accepted.application
            accepted.application.negotiationStarted(self)  # so that it hears of the end, and why
            if self._isOver:
                return
            offered = ", ".join(map(repr, self.offer.subprotocols)) or "none"
            raise Unusable(
                f"the subprotocol {subprotocol!r} was chosen, and the client offered {offered}"
            )
        extensions, transform = accept(self.factory.extensions, self.offer.extensions)
        self._opening.transform = transform
        self.agreement = NOTHING_MORE
        if subprotocol is not None or accepted.headers or extensions:
            self.agreement = Agreement(subprotocol, accepted.headers, extensions)
        head = self._opening.agree(self.agreement)
        start = accepted.application.negotiationStarted  # first: what has none is no application
        self._application = accepted.application
        start(self)
        if self._isOver:
            return  # the application has thought better of it
        self._output.write(head)
        self.answered(101)
        self._prove()

    def _receiveProof(self, data: bytes) -> None:
        try:
            self._opening.keep(data)
        except EarlyBytes:
            self._leave()
        else:
            self._prove()

    def _prove(self) -> None:
        """The head has gone out; what proves it needs bytes which proxies let through only now."""
        opening = self._opening
        proof = opening.proof()
        if proof is None:
            self._receive = self._receiveProof
            return
        if proof:
            self._output.write(proof)
        del self._opening
        assert self.agreement is not None
        self._open(self.agreement, opening.rest, opening.transform)

    def _refuse(self, answer: Refusal) -> None:
        """Answer in plain HTTP, and let nothing more be asked on this connection."""
        if headers := self.answerHeaders():
            answer = replace(answer, headers=(*answer.headers, *headers))
        data = answer.write()
        self.factory.log.refused(loggedOf(self), answer)
        self._output.write(data)
        self.answered(answer.status)
        self._leave()

    def _goElsewhere(self, found: Elsewhere) -> None:
        """Ordinary HTTP: the rest of the connection is another protocol's."""
        elsewhere = self.factory.elsewhere
        protocol = None if elsewhere is None else elsewhere.buildProtocol(self.getPeer())
        if protocol is None and found.fault:
            self._refuse(Refusal(400, f"{found.fault}\n"))
            return
        if protocol is None:
            # To HEAD the answer is the same, without its body (RFC 9110 section 9.3.2).
            why = "" if found.head.startswith(b"HEAD ") else "only WebSocket is spoken here\n"
            self._refuse(Refusal(404, why))
            return
        if found.fault:
            self.factory.log.noticed(loggedOf(self), f"sent an {found.fault}")
        self._handOver(found, protocol)

    def _handOver(self, found: Elsewhere, protocol: Any) -> None:
        """Give the request to the protocol that answers it, unless its body is too long."""
        from .http_bounds import boundChannel, channelOf  # twisted.web, for whoever has pages

        limits, last = self.factory.limits, not self.factory.elsewhereUpgrades
        channel = channelOf(protocol)
        try:
            length = found.body(limits.body_size)
            if length is None and channel is None:
                raise LengthRequired("a Content-Length is required here")
        except HandshakeError as error:
            self._refuse(refusal(error, self.factory.dialects))
            return
        if channel is not None:
            boundChannel(channel, limits)
        self._output.timeout(None)
        self._elsewhere = protocol
        self.transport.unregisterProducer()
        self._receive = protocol.dataReceived
        if last and length is not None:
            self._bodyLeft = length - len(found.rest)
            self._receive = self._receiveBody if self._bodyLeft > 0 else ignore
            if self._bodyLeft > 0 and channel is None:
                self._output.timeout(limits.request_timeout)
        protocol.makeConnection(self.transport)
        protocol.dataReceived(found.replay(last, length))

    def _receiveBody(self, data: bytes) -> None:
        """Bytes of the body of the connection's last request. Nothing is read behind it."""
        data = data[: self._bodyLeft]
        self._bodyLeft -= len(data)
        if self._bodyLeft == 0:
            self._output.timeout(None)
            self._receive = ignore
        self._elsewhere.dataReceived(data)

    def yielded(self) -> None:
        """It has become WebSocket elsewhere, and is counted there: it is not closed twice."""
        self.factory.left(self)

    # The end.

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol that took the connection over, if one did."""
        try:
            if (elsewhere := getattr(self, "_elsewhere", None)) is not None:
                elsewhere.connectionLost(reason)
        finally:
            super().connectionLost(reason)

    def openingAbandoned(self) -> None:
        """See :meth:`HixieProtocol.openingAbandoned`: nobody waits for a decision any more."""
        decision, self._decision = self._decision, None
        if decision is None:
            return
        try:
            decision.cancel()
        except Exception:
            # Out of its canceller: the client is to be answered all the same.
            self._log.failure("the application could not cancel what nobody waits for any more")

    def openingLost(self, reason: Failure) -> None:
        """See :meth:`HixieProtocol.openingLost`: the log has why TLS failed, or what is missing."""
        self.factory.log.unsecured(loggedOf(self), reason.value)
        opening = getattr(self, "_opening", None)
        if opening is not None and (missing := opening.missing):
            what = f"did not send the last {missing} bytes of its handshake; did a proxy keep them?"
            self.factory.log.noticed(loggedOf(self), what)
        if self._application is not None:
            super().openingLost(reason)

    def _isBelowTLS(self) -> bool:
        """Whether the TLS handshake is not through: the client's Finished has not come."""
        handle = self.transport.getHandle() if self.isSecure() else None
        finished = getattr(handle, "get_peer_finished", None)
        return finished is not None and finished() is None

    def openingLate(self) -> None:
        """See :meth:`HixieProtocol.openingLate`: 408, or 503 where the application is late."""
        limits = self.factory.limits
        seconds = limits.open_timeout
        if self._opening.awaits_head and self._isBelowTLS():
            # No answer would get through, and each such connection keeps 45 KiB of OpenSSL's.
            what = f"did not finish the TLS handshake within {seconds:g} s (Limits.open_timeout)"
            self.factory.log.noticed(loggedOf(self), what)
            self.abortConnection()
        elif self._opening.awaits_head:
            why = f"no request within {seconds:g} s (Limits.open_timeout)"
            self._refuse(Refusal(408, "the request did not come in time\n", why=why))
        elif self._decision is not None:
            seconds = limits.decide_timeout
            why = f"no decision of the application within {seconds:g} s (Limits.decide_timeout)"
            self._refuse(Refusal(503, "the application did not answer in time\n", why=why))
        else:
            self.abortConnection()


HTTP: Final = b"http/1.1"
"""The name of HTTP/1.1 in IANA's registry of ALPN protocol IDs."""

SubprotocolChoice: TypeAlias = "Iterable[str] | Callable[[Offer], str | None]"


class ServerOptions(TypedDict, total=False):
    """What :class:`HixieServerFactory` may be told besides, for whoever passes it on."""

    dialects: Iterable[str] | None
    origins: Iterable[str] | None
    hosts: Iterable[str] | None
    subprotocols: SubprotocolChoice
    extensions: Iterable[Extension]
    limits: Limits
    secure: bool | None
    trustForwarded: Iterable[str]
    binary: str
    logConnections: bool
    clock: IReactorTime | None


@implementer(IProtocolNegotiationFactory)
class HixieServerFactory(HixieFactory):
    """
    Serves applications, in every dialect, on whatever listens with it.

    :ivar applications: chooses an application for each offer.
    :ivar dialects: the rows that are spoken.
    :ivar policy: who may come in.
    :ivar secure: whether clients come by TLS that ends before us; ``None``: as the socket says.
    :ivar trustedProxies: who is believed what is forwarded.
    :ivar elsewhere: who gets a request that is HTTP and not WebSocket.
    """

    def __init__(
        self,
        applications: WebSocketServerFactory,
        *,
        dialects: Iterable[str] | None = None,
        origins: Iterable[str] | None = None,
        hosts: Iterable[str] | None = None,
        subprotocols: SubprotocolChoice = (),
        extensions: Iterable[Extension] = DEFAULT_EXTENSIONS,
        limits: Limits = Limits(),
        secure: bool | None = None,
        trustForwarded: Iterable[str] = (),
        binary: str = "refuse",
        elsewhere: IProtocolFactory | None = None,
        logConnections: bool = False,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        :param applications: has ``buildProtocol(offer)``; if it has ``doStart`` and ``doStop`` as
            well, they are called when the first port listens and when the last has stopped.
        :param dialects: names of those to speak; all that there are by default.
        :param origins: pages that may connect: origins such as ``http://example.com:8080``,
            ``https://*.example.com`` for all names below that one, ``null`` for local pages and
            sandboxed frames, ``*`` for all; by default those of the same host, and whatever sends
            no Origin.
        :param hosts: names this server is known under; any by default.
        :param subprotocols: which one to answer where the application does not say (with
            :class:`txhixie.Accepted`): a sequence, the first that the client offers; or
            a callable, which gets the offer and answers one of its subprotocols or ``None``.
        :param extensions: what to agree on besides, where a client offers it; by default
            permessage-deflate, which keeps up to 44 KiB for a peer that compresses, and for clients
            that offer no such thing x-webkit-deflate-frame (Safari 6 and 7), which keeps nothing.
        :param limits: sizes in bytes, times in seconds.
        :param secure: say ``True`` where TLS ends before us.
        :param trustForwarded: addresses and networks of the proxies before us, or ``unix``: what
            they forward (``Forwarded``, ``X-Forwarded-For``, ``-Proto``, ``-Host``) is believed.
        :param binary: what becomes of a binary message in hixie-75 and hixie-76, whose browsers
            lose it: ``"refuse"`` raises :class:`txhixie.errors.UnsupportedByDialect`, ``"send"``
            sends it, for peers that are known to read it.
        :param elsewhere: a factory, such as a ``twisted.web`` ``Site``, for ordinary HTTP; it is
            started and stopped with this one. Without it: 404. Each of its connections ends with
            its first answer, unless the Site's root is a :class:`txhixie.web.HixieResource`.
        :param logConnections: write an ``info`` line when a conversation opens and when it ends.
            What is refused or breaks a rule always has its line.
        :param clock: measures the time limits; the reactor by default.
        :raises ValueError: for a dialect there is not, and for an address that is none.
        :raises TypeError: for a value of another type, such as one string where a list belongs; and
            for applications without ``buildProtocol``: a coroutine function that was
            not given to :func:`txhixie.serve` would refuse its first client with 500.
        """
        checkBuilder("applications", applications, "pass a coroutine function to serve(...)")
        if elsewhere is not None:
            checkBuilder("elsewhere", elsewhere, "pass a resource to Site(resource)")
        if secure is not None:
            scalars(bool, secure=secure)
        super().__init__(limits, clock, binary, logConnections, extensions, secrets.token_bytes)
        self.applications = applications
        self.dialects: tuple[Dialect, ...] = (
            DIALECTS
            if dialects is None
            else tuple(map(named, strings("dialects", dialects, '["rfc6455"]')))
        )
        self.policy = Policy(origins, hosts)
        self.secure = secure
        self.trustedProxies = TrustedNetworks(
            strings("trustForwarded", trustForwarded, '["127.0.0.1"]')
        )
        self.elsewhere = elsewhere
        self._subprotocols = settledChoice(subprotocols)
        self._listens = False
        self._shutdown = StopTrigger(self.closeAll, self.abortAll)

    @property
    def elsewhereUpgrades(self) -> bool:
        """
        Whether whoever gets the other requests finds WebSocket requests among them, so that their
        connections need not end with the first answer: a Site, with such a resource at its root.
        """
        return bool(getattr(getattr(self.elsewhere, "resource", None), "upgrades", False))

    def acceptableProtocols(self) -> list[bytes]:
        """
        Name the protocols to agree on by ALPN (RFC 7301), for TLS ports: HTTP/1.1, which both an
        upgrade request and an ordinary one begin with.

        Twisted 26.10 refuses every client that offers ALPN, as all browsers and curl do, to a
        factory without this method. It is not the answer of ``elsewhere``: a ``Site`` would name
        ``h2``, and the first bytes are read here, as HTTP/1.1.
        """
        return [HTTP]

    def startFactory(self) -> None:
        """
        A port listens; whatever here is a factory itself hears of it. When the reactor stops, the
        connections are closed with 1001 first.
        """
        for start in self._tell("doStart"):
            start()
        self._listens = True
        self._shutdown.arm(self.clock)

    def stopFactory(self) -> None:
        """The last port has stopped listening; connections may stand still."""
        self._listens = False
        self._disarmIfOver()
        for stop in self._tell("doStop"):
            stop()
        super().stopFactory()

    def joined(self, connection: HixieProtocol) -> None:
        """See :meth:`txhixie.HixieFactory.joined`; a Site has the port."""
        super().joined(connection)
        if not self._shutdown.isArmed:
            reactor = getattr(lowest(connection.transport), "reactor", None)
            if self._clock is None or self._clock is reactor:
                self._shutdown.arm(reactor)

    def left(self, connection: HixieProtocol) -> None:
        """See :meth:`txhixie.HixieFactory.left`."""
        super().left(connection)
        self._disarmIfOver()

    def _disarmIfOver(self) -> None:
        if not self._listens and not self.connections:
            self._shutdown.disarm()

    @property
    def isStopping(self) -> bool:
        """Whether the reactor is stopping: there are no new connections."""
        return self._shutdown.hasBegun

    def _tell(self, what: str) -> list[Callable[[], None]]:
        told = (getattr(each, what, None) for each in (self.applications, self.elsewhere))
        return [tell for tell in told if tell is not None]

    def buildProtocol(self, addr: IAddress | None) -> HixieServerProtocol:  # type: ignore[override]
        """A connection's protocol."""
        return HixieServerProtocol(self)

    def chooseSubprotocol(self, offer: Offer) -> str | None:
        """The subprotocol to answer, if the application leaves it to us."""
        return chosenSubprotocol(self._subprotocols, offer)


def settledChoice(choice: SubprotocolChoice) -> SubprotocolChoice:
    """
    A choice of subprotocols that can be asked for each offer.

    :raises TypeError: for one string, for names that are not ``str``, and for a coroutine function:
        a choice is made at once.
    """
    if not callable(choice):
        return strings("subprotocols", choice, '["chat"]')
    if iscoroutinefunction(choice):
        raise TypeError(
            "subprotocols: expected a function that answers at once, not a coroutine function; "
            "answer Accepted(application, subprotocol) from an async buildProtocol"
        )
    return choice


def chosenSubprotocol(choice: SubprotocolChoice, offer: Offer) -> str | None:
    """The subprotocol to answer to an offer, if there is one to choose."""
    if callable(choice):
        return choice(offer)
    if not offer.subprotocols:
        return None
    return next((name for name in choice if name in offer.subprotocols), None)
