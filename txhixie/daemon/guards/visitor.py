"""A request as guards read it: a WebSocket handshake or a request for a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twisted.web.server import Request

from ...connection.protocol import HixieProtocol
from ...sansio.handshake.offer import Offer
from ...sansio.http.head import Fields, text
from ...sansio.http.query import read_query
from ...server.http_bounds import holderOf
from ...server.protocol import HixieServerProtocol


@dataclass(frozen=True, slots=True)
class Visitor:
    """
    A client that asks for a WebSocket conversation or for a page.

    :ivar isPage: whether the request is for a page.
    :ivar target: path and query of the request.
    :ivar host: the ``Host`` of the request, or the one that a trusted reverse proxy forwards.
    :ivar origin: the origin of the page that sends the request; ``None`` without an origin.
    :ivar client: the client's address: the one that a trusted reverse proxy forwards, otherwise
        the peer's address; ``None`` where there is no address, as on a UNIX socket.
    :ivar secure: whether the client uses TLS, to the server or to a reverse proxy in front of it.
    :ivar fields: header fields of the request.
    :ivar certificate: the certificate that the client presented in the TLS handshake, a pyOpenSSL
        ``X509``; ``None`` without TLS and without a certificate. Behind a reverse proxy that has
        TLS itself, this is the certificate of the reverse proxy.
    :ivar isForwarded: whether a trusted reverse proxy has sent ``client`` in the head of a request
        for a page.
    """

    isPage: bool
    target: str
    host: str
    origin: str | None
    client: str | None
    secure: bool
    fields: Fields = field(repr=False)
    certificate: Any = field(default=None, repr=False)
    isForwarded: bool = False

    @classmethod
    def ofOffer(cls, offer: Offer, connection: HixieProtocol | None = None) -> Visitor:
        """
        Return the visitor of a WebSocket handshake.

        :param offer: the client's offer.
        :param connection: the connection of the offer, which has the certificate of the peer.
        """
        return cls(
            False,
            offer.target,
            offer.host,
            offer.origin,
            offer.client,
            offer.secure,
            offer.head.fields(),
            None if connection is None else connection.peerCertificate,
        )

    @classmethod
    def ofRequest(cls, request: Request) -> Visitor:
        """
        Return the visitor of a request for a page.

        The protocol that has read the head of the request has replaced the peer's address and the
        ``Host`` by those that a trusted reverse proxy forwards.

        :param request: the request, on a connection that a
            :class:`txhixie.server.protocol.HixieServerProtocol` has passed on to a Site.
        """
        fields = _fieldsOf(request)
        holder = holderOf(request.channel.transport)
        reader = holder if isinstance(holder, HixieServerProtocol) else None
        return cls(
            True,
            text(request.uri),
            text(fields.get(b"host", b"")).strip(),
            None if (origin := fields.get(b"origin")) is None else text(origin).strip(),
            getattr(request.getClientAddress(), "host", None),
            request.isSecure() if reader is None else reader.isClientSecure,
            fields,
            None if reader is None else reader.peerCertificate,
            reader is not None and reader.hasForwardedClient,
        )

    @classmethod
    def ofHead(cls, request: Request, target: bytes) -> Visitor:
        """
        Return the visitor of a request for a page, after its head and before its body was read.

        Its address is unknown yet.

        :param request: the request, which has only its header fields yet.
        :param target: path and query of the request.
        """
        fields = _fieldsOf(request)
        host = text(fields.get(b"host", b"")).strip()
        return cls(True, text(target), host, None, None, False, fields)

    @property
    def hasBody(self) -> bool:
        """Whether the head announces a body (RFC 9112 section 6)."""
        length = self.header("content-length")
        return self.header("transfer-encoding") is not None or length not in (None, "0")

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return the value of a field, several values joined by commas; ``None`` if missing."""
        values = self.fields.stripped(name.lower().encode("ascii"))
        return text(b", ".join(values)) if values else None

    def parameter(self, name: str) -> list[str]:
        """Return all values of a parameter of the query, percent-decoded, in their order."""
        return read_query(self.target).get(name, [])


def _fieldsOf(request: Request) -> Fields:
    raw = request.requestHeaders.getAllRawHeaders()
    return Fields([(name.lower(), value) for name, values in raw for value in values])
