"""The server's side of a connection, up to its conversation.

Three steps in a line, each a method that takes bytes: the head, the decision (whoever is served
waits), and the raw bytes that prove the answer in the dialects that have them.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from .addresses import standFor
from .applications import Unusable, checkApplication
from .awaiting import explain
from .dialects import refusal
from .extensions.extension import accept
from .forwarded import Forwarded
from .handshake.offer import NOTHING_MORE, Agreement, Offer, Refusal
from .interfaces import Accepted, Decision
from .lifecycle import Ended
from .messagetransport import ignore
from .opening import Elsewhere, ServerOpening
from .protocol import HixieProtocol
from .pure_errors import EarlyBytes, HandshakeError, LengthRequired
from .wire.frame import CloseCode, Side

if TYPE_CHECKING:
    from .serverfactory import HixieServerFactory


class HixieServerProtocol(HixieProtocol):
    """One connection to a server."""

    __slots__ = ("_bodyLeft", "_decision", "_elsewhere", "_opening")

    side = Side.SERVER
    factory: HixieServerFactory

    def __init__(self, factory: HixieServerFactory) -> None:
        super().__init__(factory)
        self._decision: Deferred[Any] | None = None

    def connectionMade(self) -> None:
        """Wait for a head."""
        factory = self.factory
        secure = self._cameByTLS() if factory.secure is None else factory.secure
        relays = factory.relays if factory.relays and factory.relays.has(self._client()) else None
        self._opening = ServerOpening(factory.dialects, factory.limits, secure, relays)
        self._receive = self._receiveHead
        super().connectionMade()
        if factory.isStopping:
            self._leave()

    def _cameByTLS(self) -> bool:
        return ISSLTransport.providedBy(self.transport)

    def _client(self) -> str | None:
        return getattr(self.getPeer(), "host", None)

    def _receiveHead(self, data: bytes) -> None:
        try:
            found = self._opening.receive(data)
        except HandshakeError as error:
            self._refuse(refusal(error, self.factory.dialects))
            return
        if self._opening.forwarded is not None:
            self._standForClient(found, self._opening.forwarded)
        if isinstance(found, Offer):
            peer = self.transport.getPeer()
            found.client = getattr(peer, "host", None)
            found.client_port = getattr(peer, "port", None) or None  # a proxy may tell none
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
            self.factory.journal.noticed(self.getPeer(), what, self)
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

    def _misused(self, error: Unusable) -> None:
        """What the application answered cannot be done: it hears why, and so does the log."""
        self.factory.journal.misused(self, str(error))
        self._refuse(Refusal(500, "the application failed\n", logged=True))
        self._tellLost(Ended(CloseCode.ABNORMAL, str(error), "us", False))

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
        subprotocol = accepted.subprotocol
        if subprotocol is not None and subprotocol not in self.offer.subprotocols:
            self._application = accepted.application
            accepted.application.negotiationStarted(self)  # so that it hears of the end, and why
            if self._receive is ignore:
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
        self.factory.journal.refused(self, answer)
        self._outflow.write(data)
        self._wrote(answer.status)
        self._leave()

    def _wrote(self, status: int) -> None:
        """The answer is on its way; whoever keeps a log of requests writes it down."""

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
            self.factory.journal.noticed(self.getPeer(), f"sent an {found.fault}", self)
        self._handOver(found, protocol)

    def _handOver(self, found: Elsewhere, protocol: Any) -> None:
        """Give the request to the protocol that answers it, unless its body is too long."""
        from .pagebounds import boundChannel, channelOf  # twisted.web, for whoever has pages

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
        self._outflow.deadline(None)
        self._elsewhere = protocol
        self.transport.unregisterProducer()
        self._receive = protocol.dataReceived
        if last and length is not None:
            self._bodyLeft = length - len(found.rest)
            self._receive = self._receiveBody if self._bodyLeft > 0 else ignore
            if self._bodyLeft > 0 and channel is None:
                self._outflow.deadline(limits.request_timeout)
        protocol.makeConnection(self.transport)
        protocol.dataReceived(found.replay(last, length))

    def _receiveBody(self, data: bytes) -> None:
        """Bytes of the body of the connection's last request. Nothing is read behind it."""
        data = data[: self._bodyLeft]
        self._bodyLeft -= len(data)
        if self._bodyLeft == 0:
            self._outflow.deadline(None)
            self._receive = ignore
        self._elsewhere.dataReceived(data)

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

    def abortConnection(self, reason: str = "aborted") -> None:
        """See :meth:`txhixie.interfaces.WebSocketTransport.abortConnection`."""
        self._cancelDecision()
        super().abortConnection(reason)

    def _cancelDecision(self) -> None:
        decision, self._decision = self._decision, None
        if decision is None:
            return
        try:
            decision.cancel()
        except Exception:
            # Out of its canceller: the client is to be answered all the same.
            self._log.failure("the application could not cancel what nobody waits for any more")

    def _lostOpening(self, reason: Failure) -> None:
        self.factory.journal.unsecured(self, reason.value)
        opening = getattr(self, "_opening", None)
        if opening is not None and (missing := opening.missing):
            what = f"did not send the last {missing} bytes of its handshake; did a proxy keep them?"
            self.factory.journal.noticed(self.getPeer(), what, self)
        if self._application is not None:
            super()._lostOpening(reason)

    def _isBelowTLS(self) -> bool:
        """Whether the TLS handshake is not through: the client's Finished has not come."""
        handle = self.transport.getHandle() if self._cameByTLS() else None
        finished = getattr(handle, "get_peer_finished", None)
        return finished is not None and finished() is None

    def _lateOpening(self) -> None:
        limits = self.factory.limits
        seconds = limits.open_timeout
        if self._receive == self._receiveHead and self._isBelowTLS():
            # No answer would get through, and each such connection keeps 45 KiB of OpenSSL's.
            what = f"did not finish the TLS handshake within {seconds:g} s (Limits.open_timeout)"
            self.factory.journal.noticed(self.getPeer(), what, self)
            self.abortConnection()
        elif self._receive == self._receiveHead:
            why = f"no request within {seconds:g} s (Limits.open_timeout)"
            self._refuse(Refusal(408, "the request did not come in time\n", why=why))
        elif self._decision is not None:
            seconds = limits.decide_timeout
            why = f"no decision of the application within {seconds:g} s (Limits.decide_timeout)"
            self._refuse(Refusal(503, "the application did not answer in time\n", why=why))
        else:
            self.abortConnection()
