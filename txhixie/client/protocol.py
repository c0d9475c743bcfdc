"""Client protocol, which does the handshake and opens the conversation."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from ..connection.applications import checkApplication
from ..connection.awaiting import Awaited
from ..connection.protocol import HixieProtocol, ignore
from ..dialing.errors import ConnectTimeout, PeerLeft
from ..interfaces import WebSocketProtocol
from ..sansio.errors import HandshakeRefused, HixieError, InvalidHandshake, NotOpen
from ..sansio.extensions.extension import agree
from ..sansio.opening import ClientOpening
from ..sansio.wire.frame import Side
from .requesting import RequestingFactory


class HixieClientProtocol(HixieProtocol):
    """
    Client side of one connection to a server.

    :ivar application: the application of the connection.
    """

    __slots__ = ("_failure", "_opening", "_waiting", "application")

    side = Side.CLIENT
    factory: RequestingFactory
    application: WebSocketProtocol

    def connectionMade(self) -> None:
        """Prepare the handshake; :meth:`begin` it unless the factory's ``begins`` is false."""
        super().connectionMade()
        factory = self.factory
        self.dialect = factory.dialect
        self.offer = factory.offer
        self._failure: HixieError | None = None
        self._waiting: list[Deferred[WebSocketProtocol]] = []
        handshake = self.dialect.handshake
        if factory.lenient:
            handshake = handshake.leniently()
        secret = handshake.draw(factory.entropy)
        self._opening = ClientOpening(handshake, self.offer, secret, factory.limits)
        self._receive = self._receiveAnswer
        if factory.begins:
            self.begin()

    def begin(self) -> None:
        """Make the application and send the request, unless the connection was aborted before."""
        if self._isOver:
            return
        factory = self.factory
        try:
            application = factory.applications.buildProtocol(factory.url)
            checkApplication(application)
            self.application = self._application = application
            application.negotiationStarted(self)
        except Exception as error:
            self._failure = NotOpen(f"the application failed: {type(error).__name__}: {error}")
            self._failure.__cause__ = error
            self._applicationFailed()
        if self._isOver:
            return  # the application aborted the connection in negotiationStarted
        self._output.write(self._opening.request())

    @property
    def failure(self) -> HixieError | None:
        """Reason why the handshake failed; ``None`` while it has not failed."""
        return self._failure

    def whenOpen(self) -> Deferred[WebSocketProtocol]:
        """
        Wait until the conversation is open.

        :return: fires with the application once the conversation is open. Fails with
            :class:`txhixie.errors.HandshakeRefused`, :class:`txhixie.errors.InvalidHandshake`,
            :class:`txhixie.errors.ConnectTimeout`, or :class:`txhixie.errors.NotOpen` if this side
            ended the connection first. To cancel the Deferred aborts the connection.
        """
        deferred: Deferred[WebSocketProtocol] = Awaited(self._cancelled)
        if self._conversation is not None:
            deferred.callback(self.application)
        elif self._failure is not None or not self.connected:
            deferred.errback(self._failure or NotOpen("the connection has ended"))
        else:
            self._waiting.append(deferred)
        return deferred

    def _cancelled(self, deferred: Deferred[WebSocketProtocol]) -> None:
        if deferred in self._waiting:
            self._waiting.remove(deferred)
            self.abortConnection()

    def _receiveAnswer(self, data: bytes) -> None:
        try:
            agreement = self._opening.receive(data)
            if agreement is None:
                return
            transform = agree(self.factory.extensions, agreement.extensions)
        except HixieError as error:
            self._fail(error)
            return
        rest = self._opening.rest
        del self._opening
        self._open(agreement, rest, transform)
        while self._waiting:
            self._waiting.pop(0).callback(self.application)

    def _fail(self, error: HixieError) -> None:
        """Fail the handshake: abort the connection and ignore further data from the server."""
        if self._failure is None:
            self._failure = error
        self._left = True
        self._receive = ignore
        self._output.abort()

    def openingLate(self) -> None:
        """Fail the handshake, which timed out (:meth:`HixieProtocol.openingLate`)."""
        try:
            self._opening.end()
        except HandshakeRefused as refused:
            self._fail(refused)  # the status of a refusal counts, also if its body is incomplete
        except InvalidHandshake:
            self._fail(ConnectTimeout("handshake", self.factory.limits.open_timeout))

    def openingLost(self, reason: Failure) -> None:
        """Fail each Deferred of :meth:`whenOpen` (:meth:`HixieProtocol.openingLost`)."""
        if self._failure is None and not self._left:
            try:
                self._opening.end()
            except InvalidHandshake:
                self._failure = PeerLeft("handshake")
                if reason.check(ConnectionDone) is None:
                    self._failure.__cause__ = reason.value  # such as a TLS failure
            except HandshakeRefused as refused:
                self._failure = refused
        self._failure = self._failure or NotOpen(
            "this side ended the connection before the handshake completed"
        )
        super().openingLost(reason)
        while self._waiting:
            self._waiting.pop(0).errback(self._failure)
