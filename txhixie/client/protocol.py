"""The client's side of a connection up to its conversation, and the factory of such connections."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import TypedDict

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.python.failure import Failure

from ..connection.applications import checkApplication, checkBuilder
from ..connection.awaiting import Awaited
from ..connection.protocol import HixieFactory, HixieProtocol, ignore
from ..dialing.errors import ConnectTimeout, PeerLeft
from ..interfaces import WebSocketClientFactory, WebSocketProtocol
from ..sansio.arguments import scalars, strings, whole_text
from ..sansio.dialects import Version, named
from ..sansio.errors import HandshakeRefused, HixieError, InvalidHandshake, NotOpen
from ..sansio.extensions import CLIENT_EXTENSIONS
from ..sansio.extensions.extension import Extension, agree
from ..sansio.handshake.offer import Offer
from ..sansio.http.head import END, Head, header_pairs
from ..sansio.http.url import Credentials, parse_url, without_credentials
from ..sansio.limits import Limits
from ..sansio.opening import ClientOpening
from ..sansio.types import Headers, HeadersLike, RandomBytes
from ..sansio.wire.frame import Side
from ..sansio.wire.mask_keys import random_bytes


class ClientOptions(TypedDict, total=False):
    """What may be asked of a client by keyword, everywhere: see :class:`HixieClientFactory`."""

    dialect: str
    origin: str | None
    subprotocols: Iterable[str]
    headers: HeadersLike
    extensions: Iterable[Extension]
    limits: Limits
    binary: str
    lenient: bool
    logConnections: bool
    clock: IReactorTime | None
    entropy: RandomBytes


class HixieClientProtocol(HixieProtocol):
    """
    One connection to somebody's server.

    :ivar application: what was made for it.
    """

    __slots__ = ("_failure", "_opening", "_waiting", "application")

    side = Side.CLIENT
    factory: HixieClientFactory
    application: WebSocketProtocol

    def connectionMade(self) -> None:
        """Prepare to ask, and unless somebody else will say so, :meth:`begin`."""
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
        """Make the application, and ask; unless this has been given up meanwhile."""
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
            return  # the application has thought better of it
        self._output.write(self._opening.request())

    @property
    def failure(self) -> HixieError | None:
        """Why there is no conversation; ``None`` while there may be one, or while there is."""
        return self._failure

    def whenOpen(self) -> Deferred[WebSocketProtocol]:
        """
        :return: fires with the application once the conversation is open. Fails with
            :class:`txhixie.errors.HandshakeRefused`, :class:`txhixie.errors.InvalidHandshake`,
            :class:`txhixie.errors.ConnectTimeout`, or :class:`txhixie.errors.NotOpen` when it was
            given up first. Cancelling it ends the connection.
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
        """There will be no conversation: nothing that comes is of use."""
        if self._failure is None:
            self._failure = error
        self._left = True
        self._receive = ignore
        self._output.abort()

    def openingLate(self) -> None:
        """See :meth:`HixieProtocol.openingLate`: the server did not answer in time."""
        try:
            self._opening.end()
        except HandshakeRefused as refused:
            self._fail(refused)  # a no is a no, also if the end of its body does not come
        except InvalidHandshake:
            self._fail(ConnectTimeout("handshake", self.factory.limits.open_timeout))

    def openingLost(self, reason: Failure) -> None:
        """See :meth:`HixieProtocol.openingLost`; whoever waits for :meth:`whenOpen` hears why."""
        if self._failure is None and not self._left:
            try:
                self._opening.end()
            except InvalidHandshake:
                self._failure = PeerLeft("handshake")
                if reason.check(ConnectionDone) is None:
                    self._failure.__cause__ = reason.value  # a certificate we do not trust, say
            except HandshakeRefused as refused:
                self._failure = refused
        self._failure = self._failure or NotOpen("it was given up before it was open")
        super().openingLost(reason)
        while self._waiting:
            self._waiting.pop(0).errback(self._failure)


class HixieClientFactory(HixieFactory):
    """
    Makes connections to one URL, in one dialect. Reaching the host is an endpoint's work.

    :ivar url: where to, as given but for its credentials.
    :ivar offer: what every connection asks for.
    :ivar begins: whether a connection asks as soon as it stands, or when it is told to
        :meth:`HixieClientProtocol.begin`.
    """

    begins = True

    def __init__(
        self,
        url: str,
        applications: WebSocketClientFactory[WebSocketProtocol],
        *,
        dialect: str = "rfc6455",
        origin: str | None = None,
        subprotocols: Iterable[str] = (),
        headers: HeadersLike = (),
        extensions: Iterable[Extension] = CLIENT_EXTENSIONS,
        limits: Limits = Limits(),
        binary: str = "refuse",
        lenient: bool = False,
        logConnections: bool = False,
        clock: IReactorTime | None = None,
        entropy: RandomBytes = random_bytes,
    ) -> None:
        """
        :param url: ``ws:`` or ``wss:``; the latter says so in the handshake, TLS is the endpoint's.
            Its user and password are sent as Basic authorization (RFC 7617), and kept from
            everybody else.
        :param applications: has ``buildProtocol(url)``.
        :param dialect: the name of one. None is tried after another: whoever stands between could
            make us fall back to one without masks.
        :param origin: of the page on whose behalf we connect; by default the URL's own in the
            Hixie dialects, which require one, and none in the others.
        :param subprotocols: what to ask for, best first; the Hixie drafts have room for one. A
            server that grants none of them is taken (RFC 6455 section 4.1 lets it stand, and a
            server that knows no subprotocols says nothing): look at ``agreement.subprotocol``. One
            that nobody asked for is a :class:`txhixie.errors.InvalidHandshake`.
        :param headers: further fields of the request, pairs of a name and a value or a mapping;
            none that the handshake has itself, such as ``Host``. ``str`` has to be ASCII.
        :param extensions: what to ask for besides, in the dialects that have extensions.
        :param limits: sizes in bytes, times in seconds.
        :param binary: what becomes of a binary message in hixie-75 and hixie-76, whose browsers
            lose it: ``"refuse"`` raises :class:`txhixie.errors.UnsupportedByDialect`, ``"send"``
            sends it, for peers that are known to read it.
        :param lenient: take answers that are known to be nearly right (Netty's, in hixie-76).
        :param logConnections: write an ``info`` line when a conversation opens and when it ends.
            What is refused or breaks a rule always has its line.
        :param clock: measures the time limits; the reactor by default.
        :param entropy: takes a number, answers that many random bytes.
        :raises ValueError: for a bad URL, origin, subprotocol, field or dialect, or credentials
            in the URL and in a field too.
        :raises TypeError: for a value of another type, such as one string where a list belongs.
        :raises txhixie.errors.UnsupportedByDialect: for more subprotocols than the dialect has room
            for.
        """
        super().__init__(limits, clock, binary, logConnections, extensions, entropy)
        self.url = without_credentials(url)
        checkBuilder(
            "applications",
            applications,
            "write a class with buildProtocol(self, url)",
            "url",
        )
        self.applications = applications
        self.dialect = named(dialect)
        scalars(bool, lenient=lenient)
        self.lenient = lenient
        parsed = parse_url(url)
        fields = _authorized(header_pairs(headers), parsed.credentials)
        if origin is not None:
            whole_text("origin", origin)
        modern = isinstance(self.dialect.marker, Version)
        if origin is None and not modern:
            origin = f"{'https' if parsed.secure else 'http'}://{parsed.authority}"
        self.offer = Offer(
            self.dialect.name,
            parsed.resource,
            parsed.authority,
            origin,
            parsed.secure,
            strings("subprotocols", subprotocols, '["chat"]'),
            tuple((each.name, each.offers()) for each in self.extensions if modern),
            Head.of(b"", fields),
        )
        for value in (origin or "", *self.offer.subprotocols):
            if not value.isascii() or not value.isprintable():
                raise ValueError(f"not to be said in a request: {value!r}")
        # Whoever makes a factory is to hear of what no request can say, not each connection.
        handshake = self.dialect.handshake
        _checkFields(handshake.write_offer(self.offer, handshake.draw(random_bytes)), fields)

    def buildProtocol(self, addr: IAddress | None) -> HixieClientProtocol:  # type: ignore[override]
        """A connection's protocol; its ``whenOpen()`` says when it can be used."""
        return HixieClientProtocol(self)


def _checkFields(request: bytes, headers: Headers) -> None:
    """
    Of what the handshake says itself there may be no other field: proxies and servers differ in
    which of two they read.
    """
    if not headers:
        return
    written = Head(request.partition(END)[0] + END).fields()
    given = [name.lower() for name, _ in headers]
    for name in given:
        if len(written.exact(name)) > given.count(name):
            raise ValueError(f"{name.decode('ascii')}: a field that the handshake has itself")


def _authorized(headers: Headers, credentials: Credentials | None) -> Headers:
    """The fields of a request, with what authorizes it."""
    if credentials is None:
        return headers
    if any(name.lower() == b"authorization" for name, _ in headers):
        raise ValueError("credentials in the URL, and an Authorization field as well")
    said = f"{credentials.name}:{credentials.password}".encode()
    return (*headers, (b"Authorization", b"Basic " + b64encode(said)))
