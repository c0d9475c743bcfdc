"""The client's factory: connections with one request, to one URL."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import TypedDict

from twisted.internet.interfaces import IAddress, IReactorTime

from ..connection.applications import checkBuilder
from ..connection.option_names import with_names
from ..interfaces import WebSocketClientFactory, WebSocketProtocol
from ..sansio.arguments import scalars, strings, whole_text
from ..sansio.dialects import Version, named
from ..sansio.extensions import CLIENT_EXTENSIONS
from ..sansio.extensions.extension import Extension
from ..sansio.handshake.offer import Offer
from ..sansio.http.head import END, Head, header_pairs
from ..sansio.http.url import Credentials, WebSocketURL, parse_url, without_credentials
from ..sansio.limits import Limits
from ..sansio.types import Headers, HeadersLike, RandomBytes
from ..sansio.wire.mask_keys import random_bytes
from .protocol import HixieClientProtocol
from .requesting import RequestingFactory


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of every client; :class:`HixieClientFactory` describes them."""

    dialect: str
    origin: str | None
    subprotocols: Iterable[str]
    headers: HeadersLike
    extensions: Iterable[Extension]
    limits: Limits
    binary: str
    lenient: bool
    logConnections: bool
    connectionPoller: bool
    clock: IReactorTime | None
    entropy: RandomBytes


class HixieClientFactory(RequestingFactory):
    """
    Factory of connections to one URL, in one dialect. An endpoint connects to the host.

    :ivar url: the URL as it was given, without its user name and password.
    :ivar applications: builds the application of each connection.
    :ivar dialect: the dialect of every connection.
    :ivar lenient: whether responses with known faults are accepted.
    :ivar offer: the offer of every connection.
    :ivar begins: whether a connection sends its request as soon as the transport is connected;
        ``False``: only when :meth:`HixieClientProtocol.begin` is called.
    """

    @with_names
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
        connectionPoller: bool = True,
        clock: IReactorTime | None = None,
        entropy: RandomBytes = random_bytes,
    ) -> None:
        """
        :param url: ``ws:`` or ``wss:`` URL. ``wss:`` changes what the handshake says; the endpoint
            does TLS. A user name and a password in the URL are sent as Basic authorization
            (RFC 7617); they are never logged or shown.
        :param applications: factory with ``buildProtocol(url)``, which returns an application.
        :param dialect: name of the dialect. There is no fallback to another dialect: an attacker on
            the network could force a fallback to a dialect without masking.
        :param origin: origin of the page that the client connects for; by default the URL's own
            origin in the Hixie dialects, which require one, and no origin in the others.
        :param subprotocols: subprotocols to offer, preferred ones first; the Hixie drafts have room
            for one. A server that selects none of them is accepted (RFC 6455 section 4.1 allows
            this, and a server without subprotocols sends no field): read
            ``agreement.subprotocol``. A subprotocol that was not offered is a
            :class:`txhixie.errors.InvalidHandshake`.
        :param headers: further header fields of the request, pairs of a name and a value or a
            mapping; none that the handshake writes itself, such as ``Host``. ``str`` has to be
            ASCII.
        :param extensions: extensions to offer, in the dialects that have extensions.
        :param limits: limits of each connection; sizes in bytes, times in seconds.
        :param binary: how to send a binary message in hixie-75 and hixie-76: their browsers lose
            binary messages: ``"refuse"`` raises :class:`txhixie.errors.UnsupportedByDialect`,
            ``"send"`` sends the message, for peers that are known to read binary messages.
        :param lenient: accept responses with known faults (of Netty, in hixie-76).
        :param logConnections: write a line of level ``info`` when a conversation opens and when it
            ends. A refusal or a protocol error is always logged.
        :param connectionPoller: receive the events of open connections over TCP without TLS by one
            epoll of the package, which costs less CPU time than the reactor for small messages;
            only on Linux. ``reactor.getReaders()`` has the poller then, not its connections. The
            responses of handshakes are sent at the end of a turn of the reactor.
            ``False`` leaves all connections in the reactor, and sends each response at once.
        :param clock: measures the timeouts; the reactor by default.
        :param entropy: takes a number and returns that many random bytes.
        :raises ValueError: for a bad URL, origin, subprotocol, header field or dialect, or for a
            user name and a password in the URL together with an ``Authorization`` field.
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
        scalars(bool, lenient=lenient, connectionPoller=connectionPoller)
        self.lenient = lenient
        self.connectionPoller = connectionPoller
        parsed = parse_url(url)
        fields = _authorized(header_pairs(headers), parsed.credentials)
        offered = strings("subprotocols", subprotocols, '["chat"]')
        self.offer = self._offer(parsed, origin, offered, fields)
        # Check the request here, so that the constructor raises the error, not each connection.
        handshake = self.dialect.handshake
        _checkFields(handshake.write_offer(self.offer, handshake.draw(random_bytes)), fields)

    def _offer(
        self, url: WebSocketURL, origin: str | None, subprotocols: tuple[str, ...], fields: Headers
    ) -> Offer:
        """
        Return the offer of every connection.

        :raises ValueError: for an origin or a subprotocol that cannot be written in a request.
        """
        modern = isinstance(self.dialect.marker, Version)
        if origin is not None:
            whole_text("origin", origin)
        elif not modern:
            origin = f"{'https' if url.secure else 'http'}://{url.authority}"
        texts = [("subprotocols", each) for each in subprotocols]
        for name, value in (("origin", origin or ""), *texts):
            if not value.isascii() or not value.isprintable():
                raise ValueError(
                    f"{name}: {value!r} cannot be written in a request; use printable ASCII"
                )
        return Offer(
            self.dialect.name,
            url.resource,
            url.authority,
            origin,
            url.secure,
            subprotocols,
            tuple((each.name, each.offers()) for each in self.extensions if modern),
            Head.of(b"", fields),
        )

    def buildProtocol(self, addr: IAddress | None) -> HixieClientProtocol:  # type: ignore[override]  # the protocol's factory has a narrower type than in Twisted
        """
        Return the protocol of a connection.

        :meth:`HixieClientProtocol.whenOpen` of the protocol waits for the conversation.
        """
        return HixieClientProtocol(self)


def _checkFields(request: bytes, headers: Headers) -> None:
    """
    Check that no header field of the caller is one that the handshake writes itself.

    Of two fields with the same name, a proxy may read the first and a server the second.

    :raises ValueError: for such a field.
    """
    if not headers:
        return
    written = Head(request.partition(END)[0] + END).fields()
    given = [name.lower() for name, _ in headers]
    for name in given:
        if len(written.exact(name)) > given.count(name):
            raise ValueError(
                f"{name.decode('ascii')}: the handshake writes this field itself; "
                "leave it out of headers"
            )


def _authorized(headers: Headers, credentials: Credentials | None) -> Headers:
    """Return the header fields of a request, with an ``Authorization`` field for credentials."""
    if credentials is None:
        return headers
    if any(name.lower() == b"authorization" for name, _ in headers):
        raise ValueError(
            "credentials are in the URL and in an Authorization field; leave one of the two out"
        )
    pair = f"{credentials.name}:{credentials.password}".encode()
    return (*headers, (b"Authorization", b"Basic " + b64encode(pair)))
