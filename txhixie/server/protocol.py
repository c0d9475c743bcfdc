"""The server's side of the handshake: one connection of a server.

A handshake has three steps: the request head, the decision of the application, and the eight bytes
after the head in the dialects that have them (hixie-76). Each step has a method that takes received
bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from types import CoroutineType
from typing import Any, Final

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import (
    ISSLTransport,
)
from twisted.python.failure import Failure

from ..connection.acknowledged import lowest
from ..connection.addresses import peerOf, standFor
from ..connection.applications import Unusable, checkApplication
from ..connection.awaiting import explain
from ..connection.held_bytes import RETRY_SOON
from ..connection.log import loggedOf, writeFailure
from ..connection.protocol import HixieProtocol, ignore
from ..display import reasons_of, sent
from ..interfaces import Accepted, Decision, WebSocketProtocol
from ..sansio.closing import Ended
from ..sansio.dialects import adapted, lenient, refusal
from ..sansio.errors import EarlyBytes, HandshakeError, LengthRequired
from ..sansio.extensions.extension import accept
from ..sansio.handshake.mending import normal_target
from ..sansio.handshake.offer import NOTHING_MORE, Agreement, Offer, Refusal
from ..sansio.http.forwarded import Forwarded
from ..sansio.http.head import NOTHING_ASKED, Asked, FlashPolicyAsked
from ..sansio.http.parameters import Named
from ..sansio.opening import Elsewhere
from ..sansio.quirks import Fault, hint_of
from ..sansio.types import Headers
from ..sansio.wire.frame import CloseCode, Side
from .access import of_a_browser
from .counted_socket import leaveWithSocket
from .deciding import DecidingFactory
from .handshake import ServerHandshake
from .tls.errors import certificate_fault_of

_AWAITABLE: Final = (Deferred, CoroutineType)
"""Types of a decision that is not made yet."""


@lru_cache(maxsize=64)
def _isAwaited(kind: type) -> bool:
    """
    Whether a decision of this type is not made yet; checked once for each type.

    A ``Deferred`` is an abstract base class: ``isinstance`` calls a function of Python for each
    application that is none.
    """
    return issubclass(kind, _AWAITABLE)


class HixieServerProtocol(HixieProtocol):
    """
    One WebSocket connection of a server.

    :ivar request: the ``IRequest`` of the handshake, where another HTTP server such as a ``Site``
        has read the request; otherwise ``None``.
    """

    __slots__ = ("_opening",)

    side = Side.SERVER
    factory: DecidingFactory

    def connectionMade(self) -> None:
        """Wait for a request head; close at once if the reactor is stopping."""
        factory = self.factory
        secure = self.isSecure() if factory.secure is None else factory.secure
        trustedProxies = factory.trustedProxies
        if trustedProxies is not None and not trustedProxies.has(self._client()):
            trustedProxies = None
        self._opening = ServerHandshake(factory.dialects, factory.limits, secure, trustedProxies)
        self._receive = self._receiveHead
        super().connectionMade()
        if factory.stopTrigger.hasBegun:
            self._leave()
        elif factory.admission.ledger is not None and self.request is None:
            self._confirm(lambda: None)

    # Methods for a connection that was ordinary HTTP before its handshake; see web.py.

    request: Any = None

    def isSecure(self) -> bool:
        """Whether the client uses TLS; called if the factory's ``secure`` is ``None``."""
        return ISSLTransport.providedBy(self.transport)

    @property
    def isClientSecure(self) -> bool:
        """Whether the client of a request of ordinary HTTP uses TLS, as :attr:`Offer.secure`."""
        return self._opening.is_secure

    @property
    def hasForwardedClient(self) -> bool:
        """
        Whether a trusted reverse proxy has sent the address of the client.

        For a request of ordinary HTTP: the peer's address is then that of the client.
        """
        forwarded = self._opening.forwarded
        return forwarded is not None and forwarded.client is not None

    def answerHeaders(self) -> Headers:
        """Return further fields of the handshake response."""
        return ()

    def answered(self, status: int) -> None:
        """
        Called when the handshake response was written.

        :param status: the HTTP status of the response.
        """

    # The request head.

    def _client(self) -> str | None:
        return getattr(self.getPeer(), "host", None)

    @property
    def asked(self) -> Asked:
        """Host, target and origin of the request, even if the request is not an offer."""
        asked = super().asked
        opening = getattr(self, "_opening", None)
        if asked is NOTHING_ASKED and opening is not None:
            asked = opening.asked()
        return self.factory.masked(asked)

    def openingHeld(self) -> int:
        """Return the number of bytes of an incomplete head, and of bytes after the head."""
        opening = getattr(self, "_opening", None)
        return 0 if opening is None else opening.held

    def openingRelinquished(self, why: str) -> None:
        """Refuse with 503: all connections together hold as many bytes as allowed."""
        if self._opening.elsewhere is None:
            self._refuse(
                Refusal(503, "the server is busy\n", RETRY_SOON, why=why, cause="held-bytes")
            )

    def _receiveHead(self, data: bytes) -> None:
        heldBytes = self.factory.heldBytes
        if heldBytes is not None and heldBytes.isFull:
            self.openingRelinquished(heldBytes.excess)
            return
        opening = self._opening
        try:
            found = opening.receive(data, mends=True)
        except HandshakeError as error:
            if opening.forwarded is not None:
                self._standForClient(None, opening.forwarded)
            if isinstance(error, FlashPolicyAsked):
                self._answerFlash(error)
            else:
                self._refuseInvalid(error)
            return
        if opening.forwarded is not None:
            self._standForClient(found, opening.forwarded)
        if found is None:
            return
        if self.factory.admission.is_limited and self._showsClient:
            if self._isAdmitted(found):
                self._confirm(lambda: self._admitted(found))
        else:
            self._admitted(found)

    def _admitted(self, found: Offer | Elsewhere) -> None:
        """Decide about an offer, or pass a request of ordinary HTTP on."""
        if isinstance(found, Offer):
            found.client, port = peerOf(self.transport)
            found.client_port = port or None  # a proxy may send none
            found.request = self.request
            self.offer = found
            self.dialect = self._opening.dialect
            self._decide(found)
        else:
            self._goElsewhere(found)

    def _answerFlash(self, error: FlashPolicyAsked) -> None:
        """Write the policy file of Flash, or refuse its request."""
        policy = self.factory.flashPolicy
        response = None if policy is None else policy.response(self.getHost())
        if response is None:
            why = f"{error}; --flash-policy (flashPolicy) answers it"
            self._refuse(Refusal(error.status, f"{error.reply}\n", why=why))
            return
        self.factory.log.noticed(loggedOf(self), "Flash has asked for its policy file")
        self._output.write(response)
        self._leave()

    def _standForClient(self, found: Offer | Elsewhere | None, forwarded: Forwarded) -> None:
        """
        Replace the transport's peer address by the client's address from a trusted proxy.

        The address is not replaced if a Site keeps the connection, since the next requests on this
        connection may be those of other clients.
        """
        if forwarded.client is not None and not self._stays(found):
            standFor(self.transport, (forwarded.client, forwarded.port))

    def _stays(self, found: Offer | Elsewhere | None) -> bool:
        """Whether a Site keeps the connection after its first request."""
        return isinstance(found, Elsewhere) and self.factory.elsewhereUpgrades

    @property
    def _showsClient(self) -> bool:
        """Whether only the head shows the address: behind a trusted proxy, and for a Site."""
        return self._opening.forwarded is not None or self.request is not None

    def _isAdmitted(self, found: Offer | Elsewhere) -> bool:
        """
        Refuse a client beyond the limits of its address, which the head shows.

        :return: whether the client was not refused.
        """
        forwarded = self._opening.forwarded
        client = self._client() if forwarded is None else forwarded.client
        factory, transport = self.factory, lowest(self.transport)
        client = None if self._stays(found) else client
        refused = factory.admission.identify(transport, client, factory.clock.seconds())
        if refused is not None:
            self._refuse(refused)
            return False
        leaveWithSocket(factory.admission, transport)
        return True

    def _confirm(self, admitted: Callable[[], None]) -> None:
        """
        Ask the ledger of several processes about the connection, and read nothing until it answers.

        :param admitted: called when no limit of all processes is reached.
        """
        admission, below = self.factory.admission, lowest(self.transport)
        if admission.ledger is None or not admission.is_limited:
            admitted()
            return
        receive, held = self._receive, list[bytes]()

        def decided(refusal: Refusal | None) -> None:
            self.transport.resumeProducing()
            if self._isOver:
                return
            if refusal is not None:
                admission.leave(below)
                self._turnAway(refusal)
                return
            self._receive = receive
            admitted()
            if held:
                self._receive(b"".join(held))

        self._receive = held.append  # bytes that came with a PROXY protocol header, or by TLS
        self.transport.pauseProducing()
        admission.confirm(below, decided)

    def _turnAway(self, refusal: Refusal) -> None:
        """Refuse a connection beyond a limit; without a response before the end of TLS."""
        if self._isBelowTLS():
            log, why = self.factory.log, refusal.why or ""
            log.turnedAway(self.getPeer(), None, why, number=self.number, cause=refusal.cause)
            self.abortConnection()
        else:
            self._refuse(refusal)

    # The decision.

    def _decide(self, offer: Offer) -> None:
        policy = self.factory.policyFor(offer.host, offer.target, offer.subprotocols)
        asked = offer
        if policy.quirks or self._opening.faults:
            if refused := self._refusedFaults(policy.quirks):
                text = refused[0].text
                why = f"{text}; {hint_of(fault.word for fault in refused)}"
                self._refuse(Refusal(400, f"{text}\n", why=why))
                return
            asked = self._letIn(offer, policy.quirks)
        if not policy.allows(offer):
            if (denied := policy.refuses(offer)) is not None:
                self._refuse(denied)
                return
            what = "sent an Origin that no browser writes; it is ignored"
            self.factory.log.noticed(loggedOf(self), what)
        try:
            answer = self.factory.decide(asked, self)
        except Exception:
            self._failed(Failure())
            return
        kind: Any = type(answer)
        if _isAwaited(kind):
            self._awaitDecision(ensureDeferred(answer))  # type: ignore[arg-type]  # an awaitable, by _isAwaited
        else:  # every coroutine is a CoroutineType
            self._answer(answer)  # type: ignore[arg-type]  # not an awaitable, by the branch above

    def _refusedFaults(self, quirks: frozenset[str]) -> list[Fault]:
        """Return the deviations of the request that these quirks do not let in."""
        return [fault for fault in self._opening.faults if fault.word not in quirks]

    def _letIn(self, offer: Offer, quirks: frozenset[str]) -> Offer:
        """
        Let a client with some quirks in.

        :param offer: the offer, which the response repeats in the Hixie dialects.
        :param quirks: the quirks of the route, by their words.
        :return: the offer for the application.
        """
        words = [fault.word for fault in self._opening.faults]
        if offer.origin is not None and of_a_browser(offer.origin):
            # A mask keeps a page from writing chosen bytes through a broken proxy (RFC 6455
            # section 10.3).
            quirks -= {"masks"}
        self.dialect = lenient(self.dialect, quirks, self.deviates)
        if "target" in quirks and "//" in offer.path:
            words.append("target")
            offer = replace(offer, target=normal_target(offer.target, offer.host))
        if words:
            self.factory.log.letIn(loggedOf(self), ",".join(words))
        return offer

    def deviates(self, fault: Fault) -> None:
        """
        Log a deviation of messages or frames that a quirk has let in, once for an address and hour.

        :param fault: the deviation.
        """
        self.factory.log.letIn(loggedOf(self), fault.word)

    def _awaitDecision(self, decision: Deferred[Decision]) -> None:
        """
        Wait for a Deferred decision of the application, and keep reading.

        The end of the connection would not be noticed without reading, and the Deferred would not
        be cancelled when the client has disconnected.
        """
        self._output.timeout(self.factory.limits.decide_timeout)
        self._receive = self._receiveEarly
        self._opening.decision = decision
        decision.addCallbacks(self._decided, self._undecided)

    def _receiveEarly(self, data: bytes) -> None:
        """Keep bytes that are received before the decision: eight in hixie-76, otherwise none."""
        try:
            self._opening.keep(data)
        except EarlyBytes as error:
            self._refuseInvalid(error)

    def _decided(self, answer: Decision) -> None:
        if self._opening.decision is None:
            return  # the client has disconnected, and the Deferred has ignored its cancel()
        self._opening.decision = None
        self._output.timeout(self.factory.limits.open_timeout)
        self._answer(answer)

    def _undecided(self, failure: Failure) -> None:
        if self._opening.decision is None:
            return
        self._opening.decision = None
        self._failed(failure)

    def _misused(self, error: Unusable) -> None:
        """Refuse with 500 after a wrong result of ``buildProtocol``; log and tell the reason."""
        self.factory.log.misused(loggedOf(self), str(error))
        self._refuse(Refusal(500, "the application failed\n", logged=True))
        self._tellLost(Ended(CloseCode.ABNORMAL_CLOSURE, str(error), "us", False))

    def _failed(self, failure: Failure) -> None:
        """Log the error of ``buildProtocol`` with its traceback, and refuse with 500."""
        note = explain(failure.value)
        hint = "" if note is None else f": {note}"
        what = f"unhandled error in buildProtocol(offer){hint}"
        writeFailure(self._log, what, self, failure)
        self._refuse(Refusal(500, "the application failed\n"))

    # The response.

    def _answer(self, answer: Decision) -> None:
        try:
            if answer is None:
                self._refuse(Refusal(404, "no WebSocket service for this request\n"))
            elif isinstance(answer, Refusal):
                self._refuse(answer)
            elif isinstance(answer, Accepted):
                self._agree(answer)
            else:
                self._accept(answer)
        except Unusable as error:
            self._misused(error)
        except Exception:
            self._failed(Failure())

    def _accept(self, application: WebSocketProtocol) -> None:
        """
        Write the handshake response for an application that ``buildProtocol`` returned.

        :raises Unusable: as :meth:`_agree`.
        """
        offer, factory = self.offer, self.factory
        subprotocol = factory.chooseSubprotocol(offer)
        if subprotocol is not None or (offer.extensions and factory.extensions):
            self._agree(Accepted(application, subprotocol))
            return
        # The usual case of _agree(): 4 us of a handshake less.
        checkApplication(application)
        headers = self.answerHeaders()
        self._respond(application, Agreement(None, (*headers,)) if headers else NOTHING_MORE)

    def _agree(self, accepted: Accepted) -> None:
        """
        Write the handshake response of an accepted offer.

        :raises Unusable: for an object that is not an application, and for a subprotocol that the
            client did not offer.
        """
        checkApplication(accepted.application)
        if accepted.plainAnswer:
            accepted = replace(accepted, headers=())
        elif headers := self.answerHeaders():
            accepted = replace(accepted, headers=(*accepted.headers, *headers))
        subprotocol = accepted.subprotocol
        if subprotocol is not None and subprotocol not in self.offer.subprotocols:
            self._application = accepted.application
            accepted.application.negotiationStarted(self)  # so that connectionLost has the reason
            if self._isOver:
                return
            offered = ", ".join(map(repr, self.offer.subprotocols)) or "none"
            raise Unusable(
                f"subprotocol {subprotocol!r} was not offered; the client offered {offered}"
            )
        extensions: tuple[Named, ...] = ()
        if accepted.compression and self.offer.extensions:
            known = self.factory.extensions
            extensions, self._opening.transform = accept(known, self.offer.extensions)
        self._opening.delay = accepted.firstFrameDelay
        agreement = NOTHING_MORE
        if subprotocol is not None or accepted.headers or extensions:
            agreement = Agreement(subprotocol, accepted.headers, extensions)
        if not accepted.pings or accepted.maxSentFrame is not None:
            self.dialect = adapted(self.dialect, accepted.pings, accepted.maxSentFrame)
        self._respond(accepted.application, agreement, accepted.expiresIn)

    def _respond(
        self,
        application: WebSocketProtocol,
        agreement: Agreement,
        expiresIn: float | None = None,
    ) -> None:
        """
        Write the handshake response.

        :param expiresIn: as in :class:`txhixie.Accepted`.
        """
        self.agreement = agreement
        head = self._opening.agree(agreement)
        start = application.negotiationStarted  # raises before anything has changed
        self._application = application
        start(self)
        if self._isOver:
            return  # the application has closed the connection
        if expiresIn is not None:
            self.factory.expire(self, expiresIn)
        # One write for both where the eight bytes have come: some devices read once.
        proof = self._opening.proof()
        self._output.write(head if proof is None else head + proof)
        self.answered(101)
        self._proved(proof)

    def _receiveProof(self, data: bytes) -> None:
        """
        Receive the eight bytes of hixie-76, and write the proof.

        Some proxies pass these bytes on only after the head of the response.
        """
        try:
            self._opening.keep(data)
        except EarlyBytes:
            self._leave()
            return
        proof = self._opening.proof()
        if proof is not None:
            self._output.write(proof)
        self._proved(proof)

    def _proved(self, proof: bytes | None) -> None:
        """
        Open the conversation, after its delay if it has one.

        :param proof: the proof of hixie-76, which was written, or no bytes; ``None`` while bytes of
            the client are missing.
        """
        opening = self._opening
        if proof is None:
            self._receive = self._receiveProof
        elif opening.delay:
            # Reading is paused, so that a client that sends at once fills no buffer.
            self._output.timeout(None)
            self.transport.pauseProducing()
            self._receive = opening.append
            opening.delayed = self.factory.clock.callLater(opening.delay, self._delayed)
        else:
            self._begin()

    def _delayed(self) -> None:
        self._opening.delayed = None
        self.transport.resumeProducing()
        self._begin()

    def _begin(self) -> None:
        opening = self._opening
        assert self.agreement is not None
        self._open(self.agreement, opening.rest, opening.transform)
        del self._opening

    def _refuse(self, answer: Refusal) -> None:
        """Write a refusal as an HTTP response, and close the connection."""
        if headers := self.answerHeaders():
            answer = replace(answer, headers=(*answer.headers, *headers))
        data = answer.write()
        self.factory.log.refused(loggedOf(self), answer)
        self._output.write(data)
        self.answered(answer.status)
        self._leave()

    def _refuseInvalid(self, error: HandshakeError) -> None:
        """Refuse an invalid request, with the dialects that are accepted for its path."""
        asked = self._opening.asked()
        policy = self.factory.policyFor(asked.host or "", asked.target or "")
        self._refuse(refusal(error, policy.dialects))

    def _goElsewhere(self, found: Elsewhere) -> None:
        """Pass a request of ordinary HTTP on to the factory ``elsewhere``, or refuse it."""
        protocol = self._protocolOf(found)
        if protocol is None and found.fault:
            self._refuse(Refusal(400, f"{found.fault}\n"))
            return
        if protocol is None:
            # The response to HEAD is the same, without its body (RFC 9110 section 9.3.2).
            why = "" if found.head.startswith(b"HEAD ") else "only WebSocket is served here\n"
            self._refuse(Refusal(404, why))
            return
        if found.fault:
            self.factory.log.noticed(loggedOf(self), sent(found.fault))
        self._handOver(found, protocol)

    def _protocolOf(self, found: Elsewhere) -> Any:
        """
        Return the protocol for a request of ordinary HTTP; ``None`` without a page for it.

        A Site with a method ``hasPage``, such as the daemon's, gets only the requests for its
        pages. The refusal of any other request says what its client did wrong; a 404 of the Site
        would not.
        """
        elsewhere = self.factory.elsewhere
        hasPage = getattr(elsewhere, "hasPage", None)
        if elsewhere is None or not (hasPage is None or hasPage(*found.asked())):
            return None
        return elsewhere.buildProtocol(self.getPeer())

    def _handOver(self, found: Elsewhere, protocol: Any) -> None:
        """Pass the connection on to the protocol of a request, unless its body is too long."""
        from .http_bounds import boundChannel, channelOf, closeLater  # imports twisted.web

        limits, last = self.factory.limits, not self.factory.elsewhereUpgrades
        channel = channelOf(protocol)
        try:
            # A bounded channel compares the length with the limit of the page when it has the head:
            # to a client without a token it does not tell this limit.
            length = found.body() if channel is not None else found.body(limits.body_size)
            if length is None and channel is None:
                raise LengthRequired("Content-Length required")
        except HandshakeError as error:
            self._refuseInvalid(error)
            return
        if channel is not None:
            boundChannel(channel, limits, self.factory.log)
            if not last:
                closeLater(channel, lambda: self.factory.isClosing)
        self._output.timeout(None)
        self._opening.elsewhere = protocol
        self.transport.unregisterProducer()
        self._receive = protocol.dataReceived
        if last and length is not None:
            self._opening.bodyLeft = length - len(found.rest)
            self._receive = self._receiveBody if self._opening.bodyLeft > 0 else ignore
            if self._opening.bodyLeft > 0 and channel is None:
                self._output.timeout(limits.request_timeout)
        protocol.makeConnection(self.transport)
        protocol.dataReceived(found.replay(last, length))

    def _receiveBody(self, data: bytes) -> None:
        """Pass on bytes of the body of the last request; bytes after the body are discarded."""
        data = data[: self._opening.bodyLeft]
        self._opening.bodyLeft -= len(data)
        if self._opening.bodyLeft == 0:
            self._output.timeout(None)
            self._receive = ignore
        self._opening.elsewhere.dataReceived(data)

    def yielded(self) -> None:
        """Leave the factory: a resource has upgraded the connection, and closes it."""
        self.factory.left(self)

    def opened(self) -> None:
        """Count the conversation."""
        self.factory.counters.opened[self.dialect.name] += 1

    # The end of the connection.

    def ended(self, ended: Ended) -> None:
        """Count a conversation that has ended."""
        if (conversation := self._conversation) is not None:
            self.factory.counters.end(ended.code, conversation.received, conversation.sent)

    @property
    def isOpening(self) -> bool:
        """Whether the handshake is not complete; never for a request for a page."""
        return super().isOpening and self._opening.elsewhere is None

    def openingClosed(self) -> None:
        """
        Refuse with 503 while the application decides: the request is not answered yet.

        A response to a request for a page is completed, after which its connection ends: a client
        of HTTP/1.0 could not tell a truncated body from a complete one. ``closeAll`` aborts what is
        left after its timeout.
        """
        if self._opening.decision is not None:
            self._refuse(Refusal(503, "the server is stopping\n", cause="stopping"))
        elif not self._isAnswering:
            super().openingClosed()

    @property
    def _isAnswering(self) -> bool:
        """Whether a Site has begun to answer a request of this connection."""
        if self._opening.elsewhere is None:
            return False
        from .http_bounds import channelOf  # imports twisted.web

        channel = channelOf(self._opening.elsewhere)
        return channel is not None and bool(channel._handlingRequest)  # noqa: SLF001 (pinned by tests/test_private_names.py)

    def openingAbandoned(self) -> None:
        """Cancel the Deferred decision of the application, or the delay of the conversation."""
        delayed, self._opening.delayed = self._opening.delayed, None
        if delayed is not None:
            if delayed.active():
                delayed.cancel()
            if self.connected:
                self.transport.resumeProducing()  # to notice that the client disconnects
        decision, self._opening.decision = self._opening.decision, None
        if decision is None:
            return
        try:
            decision.cancel()
        except Exception:
            # The canceller of the Deferred raised; the client still gets its response.
            self._logFailure("unhandled error while cancelling the result of buildProtocol(offer)")

    def openingLost(self, reason: Failure) -> None:
        """
        Log why TLS failed, or that the last bytes of a handshake are missing.

        The protocol to which the connection was passed on gets the reason first, if there is one.
        """
        opening = self._opening
        if opening.elsewhere is not None:
            opening.elsewhere.connectionLost(reason)
        why = certificate_fault_of(self.transport) or reasons_of(reason.value)
        self.factory.log.unsecured(loggedOf(self), why)
        if missing := opening.missing:
            what = f"did not send the last {missing} bytes of its handshake; did a proxy keep them?"
            self.factory.log.noticed(loggedOf(self), what)
        if self._application is not None:
            super().openingLost(reason)

    def _isBelowTLS(self) -> bool:
        """Whether the TLS handshake is incomplete: no Finished was received from the client."""
        handle = self.transport.getHandle() if self.isSecure() else None
        finished = getattr(handle, "get_peer_finished", None)
        return finished is not None and finished() is None

    def openingLate(self) -> None:
        """Refuse with 408 after ``open_timeout``, or with 503 after ``decide_timeout``."""
        limits = self.factory.limits
        seconds = limits.open_timeout
        if self._opening.awaits_head and self._isBelowTLS():
            # No response could be sent, and OpenSSL keeps 45 KiB for each such connection.
            what = f"did not finish the TLS handshake within {seconds:g} s (Limits.open_timeout)"
            self.factory.log.noticed(loggedOf(self), what)
            self.abortConnection()
        elif self._opening.awaits_head:
            why = f"no request within {seconds:g} s (Limits.open_timeout)"
            self._refuse(Refusal(408, "request timeout\n", why=why))
        elif self._opening.decision is not None:
            seconds = limits.decide_timeout
            why = f"no decision of the application within {seconds:g} s (Limits.decide_timeout)"
            refused = "the application did not answer in time\n"
            self._refuse(Refusal(503, refused, why=why, cause="decision"))
        else:
            self.abortConnection()
