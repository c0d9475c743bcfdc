"""The server's side of a connection up to its conversation, and the factory of such connections.

Three steps in a line, each a method that takes bytes: the head, the decision (whoever is served
waits), and the raw bytes that prove the answer in the dialects that have them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from inspect import iscoroutine
from typing import Any, TypeAlias, TypedDict, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from .addresses import standFor
from .dialects import DIALECTS, Dialect, named, refusal
from .errors import EarlyBytes, HandshakeError
from .extensions import DEFAULT_EXTENSIONS
from .extensions.extension import Extension, accept
from .factory import HixieFactory
from .handshake.offer import NOTHING_MORE, Agreement, Offer, Refusal
from .interfaces import Accepted, Decision, WebSocketServerFactory
from .limits import Limits
from .networks import Networks
from .opening import Elsewhere, ServerOpening
from .policy import Policy
from .protocol import HixieProtocol, ignore
from .wire.frame import Side

SubprotocolChoice: TypeAlias = "Sequence[str] | Callable[[Offer], str | None]"


class HixieServerProtocol(HixieProtocol):
    """One connection to a server."""

    side = Side.SERVER
    factory: HixieServerFactory

    _decision: Deferred[Any] | None = None

    def connectionMade(self) -> None:
        """Wait for a head."""
        factory = self.factory
        secure = self._cameByTLS() if factory.secure is None else factory.secure
        relays = factory.relays if factory.relays and factory.relays.has(self._client()) else None
        self._opening = ServerOpening(factory.dialects, factory.limits, secure, relays)
        self._receive = self._receiveHead
        super().connectionMade()

    def _cameByTLS(self) -> bool:
        return ISSLTransport.providedBy(self.transport)

    def _client(self) -> str | None:
        return getattr(self.transport.getPeer(), "host", None)

    def _receiveHead(self, data: bytes) -> None:
        try:
            found = self._opening.receive(data)
        except HandshakeError as error:
            self._refuse(refusal(error, self.factory.dialects))
            return
        forwarded = self._opening.forwarded
        if forwarded is not None and forwarded.client is not None:
            standFor(self.transport, (forwarded.client, forwarded.port))
        if isinstance(found, Offer):
            found.client = self._client()
            self.offer = found
            self.dialect = self._opening.dialect
            self._decide(found)
        elif isinstance(found, Elsewhere):
            self._goElsewhere(found)

    # The decision.

    def _decide(self, offer: Offer) -> None:
        refused = self.factory.policy.refuses(offer)
        if refused is not None:
            self._refuse(refused)
            return
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
        self._outflow.deadline(self.factory.limits.decide_timeout)
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
        self._outflow.deadline(self.factory.limits.open_timeout)
        self._answer(answer)

    def _undecided(self, failure: Failure) -> None:
        if self._decision is None:
            return
        self._decision = None
        self._failed(failure)

    def _failed(self, failure: Failure) -> None:
        """The application raised: ours to mend, so there is a traceback."""
        self._log.failure("the application could not answer an offer", failure=failure)
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
        except Exception:
            self._failed(Failure())

    def _agree(self, accepted: Accepted) -> None:
        """
        :raises ValueError: for a subprotocol the client did not offer, or a field that is none.
        """
        subprotocol = accepted.subprotocol
        if subprotocol is not None and subprotocol not in self.offer.subprotocols:
            raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
        extensions, transform = accept(self.factory.extensions, self.offer.extensions)
        self._opening.transform = transform
        self.agreement = NOTHING_MORE
        if subprotocol is not None or accepted.headers or extensions:
            self.agreement = Agreement(subprotocol, accepted.headers, extensions)
        head = self._opening.agree(self.agreement)
        start = accepted.application.negotiationStarted  # first: what has none is no application
        self._application = accepted.application
        start(self)
        if self._receive is ignore:
            return  # the application has thought better of it
        self._outflow.write(head)
        self._wrote(101)
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
            self._outflow.write(proof)
        del self._opening
        assert self.agreement is not None
        self._open(self.agreement, opening.rest, opening.transform)

    def _refuse(self, answer: Refusal) -> None:
        """Answer in plain HTTP, and let nothing more be asked on this connection."""
        data = answer.write()
        self.factory.journal.refused(self.getPeer(), answer, getattr(self, "offer", None))
        self._outflow.write(data)
        self._wrote(answer.status)
        self._leave()

    def _wrote(self, status: int) -> None:
        """The answer is on its way; whoever keeps a log of requests writes it down."""

    def _goElsewhere(self, found: Elsewhere) -> None:
        """Ordinary HTTP: the rest of the connection is another protocol's."""
        elsewhere = self.factory.elsewhere
        protocol = None if elsewhere is None else elsewhere.buildProtocol(self.getPeer())
        if protocol is None:
            # To HEAD the answer is the same, without its body (RFC 9110 section 9.3.2).
            why = "" if found.head.startswith(b"HEAD ") else "only WebSocket is spoken here\n"
            self._refuse(Refusal(404, why))
            return
        self._outflow.deadline(None)
        self._elsewhere = protocol
        self.transport.unregisterProducer()
        self._receive = protocol.dataReceived
        protocol.makeConnection(self.transport)
        protocol.dataReceived(found.replay(last=not self.factory.elsewhereUpgrades))

    def yielded(self) -> None:
        """It has become WebSocket elsewhere, and is counted there: it is not closed twice."""
        self.factory.left(self)

    # The end.

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Whoever is still deciding need not; whoever took over is told."""
        try:
            self._cancelDecision()
            if (elsewhere := getattr(self, "_elsewhere", None)) is not None:
                elsewhere.connectionLost(reason)
        finally:
            super().connectionLost(reason)

    def _leave(self) -> None:
        self._cancelDecision()
        super()._leave()

    def abortConnection(self) -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.abortConnection`."""
        self._cancelDecision()
        super().abortConnection()

    def _cancelDecision(self) -> None:
        decision, self._decision = self._decision, None
        if decision is not None:
            decision.cancel()

    def _lostOpening(self, reason: Failure) -> None:
        if self._application is not None:
            super()._lostOpening(reason)

    def _lateOpening(self) -> None:
        if self._receive == self._receiveHead:
            self._refuse(Refusal(408, "the request did not come in time\n"))
        elif self._decision is not None:
            self._refuse(Refusal(503, "the application did not answer in time\n"))
        else:
            self.abortConnection()


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
    binary: bool
    logConnections: bool
    clock: IReactorTime | None


class HixieServerFactory(HixieFactory):
    """
    Serves applications, in every dialect, on whatever listens with it.

    :ivar applications: chooses an application for each offer.
    :ivar dialects: the rows that are spoken.
    :ivar policy: who may come in.
    :ivar secure: whether clients come by TLS that ends before us; ``None``: as the socket says.
    :ivar relays: who is believed what is forwarded.
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
        binary: bool = False,
        elsewhere: IProtocolFactory | None = None,
        logConnections: bool = False,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        :param applications: has ``buildProtocol(offer)``; if it has ``doStart`` and ``doStop`` as
            well, they are called when the first port listens and when the last has stopped.
        :param dialects: names of those to speak; all that there are by default.
        :param origins: pages that may connect, see :class:`txhixie.policy.Policy`; by default those
            of the same host, and whatever sends no Origin.
        :param hosts: names this server is known under; any by default.
        :param subprotocols: which one to answer where the application does not say (with
            :class:`txhixie.interfaces.Accepted`): a sequence, the first that the client offers; or
            a callable, which gets the offer and answers one of its subprotocols or ``None``.
        :param extensions: what to agree on besides, where a client offers it; by default
            permessage-deflate, which keeps up to 44 KiB for a peer that compresses.
        :param limits: sizes in bytes, times in seconds.
        :param secure: say ``True`` where TLS ends before us.
        :param trustForwarded: addresses and networks of the proxies before us, or ``unix``: what
            they forward (``Forwarded``, ``X-Forwarded-For``, ``-Proto``, ``-Host``) is believed.
        :param binary: send binary in hixie-75 and 76 although browsers of these lose it.
        :param elsewhere: a factory, such as a ``twisted.web`` ``Site``, for ordinary HTTP; it is
            started and stopped with this one. Without it: 404. Each of its connections ends with
            its first answer, unless the Site's root is a :class:`txhixie.web.HixieResource`.
        :param logConnections: write an ``info`` line when a conversation opens and when it ends.
            What is refused or breaks a rule always has its line.
        :param clock: measures the time limits; the reactor by default.
        :raises ValueError: for a dialect there is not, and for an address that is none.
        """
        super().__init__(limits, clock, binary, logConnections, extensions, secrets.token_bytes)
        self.applications = applications
        self.dialects: tuple[Dialect, ...] = (
            DIALECTS if dialects is None else tuple(named(name) for name in dialects)
        )
        self.policy = Policy(origins, hosts)
        self.secure = secure
        self.relays = Networks(trustForwarded)
        self.elsewhere = elsewhere
        self._subprotocols = subprotocols

    @property
    def elsewhereUpgrades(self) -> bool:
        """
        Whether whoever gets the other requests finds WebSocket requests among them, so that their
        connections need not end with the first answer: a Site, with such a resource at its root.
        """
        return bool(getattr(getattr(self.elsewhere, "resource", None), "upgrades", False))

    def startFactory(self) -> None:
        """A port listens; whatever here is a factory itself hears of it."""
        for start in self._tell("doStart"):
            start()

    def stopFactory(self) -> None:
        """The last port has stopped listening."""
        for stop in self._tell("doStop"):
            stop()

    def _tell(self, what: str) -> list[Callable[[], None]]:
        told = (getattr(each, what, None) for each in (self.applications, self.elsewhere))
        return [tell for tell in told if tell is not None]

    def buildProtocol(self, addr: IAddress | None) -> HixieServerProtocol:  # type: ignore[override]
        """A connection's protocol."""
        return HixieServerProtocol(self)

    def chooseSubprotocol(self, offer: Offer) -> str | None:
        """The subprotocol to answer, if the application leaves it to us."""
        return chosenSubprotocol(self._subprotocols, offer)


def chosenSubprotocol(choice: SubprotocolChoice, offer: Offer) -> str | None:
    """The subprotocol to answer to an offer, if there is one to choose."""
    if callable(choice):
        return choice(offer)
    if not offer.subprotocols:
        return None
    return next((name for name in choice if name in offer.subprotocols), None)
