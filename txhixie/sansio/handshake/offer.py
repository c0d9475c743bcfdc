"""Offer, agreement and refusal: the content of a handshake, independent of the dialect.

An Offer holds the request of a client, an Agreement the values that a server accepts, a Refusal an
HTTP response without a conversation. Each can be built from a head of any dialect, from a request
of ``twisted.web``, or by a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from ..arguments import scalars, whole_text
from ..http.head import Head, Request, checked_pairs, head_bytes, header_pairs, reason_phrase, text
from ..http.parameters import Named
from ..http.query import MOST_PARTS, read_query
from ..types import Headers, HeadersLike, RandomBytes

Secret: TypeAlias = tuple[bytes, ...]
"""Random values of a client for one handshake, which the server's proof has to answer: keys."""


_NO_HEAD: Final = Head.of(b"")


@dataclass(slots=True)
class Offer:
    """
    A client's request for a conversation.

    :ivar dialect: name of the dialect, as in :data:`txhixie.DIALECTS`.
    :ivar target: the request target: path and query, ASCII, beginning with ``/``.
    :ivar host: the ``Host`` field as sent: a host name or address, and the port, except for the
        default port of the scheme. Empty for a device without ``Host`` that a quirk lets in.
    :ivar origin: the origin of the page that sends the request, as sent; ``None`` without an
        origin. Only browsers are bound to send the true origin.
    :ivar secure: whether the client uses TLS, to the server or to a reverse proxy in front of it.
    :ivar subprotocols: subprotocols that the client supports, the preferred one first.
    :ivar extensions: extensions that the client offers, each with its parameters, the preferred one
        first.
    :ivar head: the head of the request, with the fields of :meth:`headers`; for a client, the
        further fields that it sends.
    :ivar challenge: the value that the server's proof has to answer, in the form of the dialect.
    :ivar client: on a server, the client's address: the one that a trusted reverse proxy forwards,
        otherwise the peer's address; ``None`` where there is no address.
    :ivar client_port: on a server, the client's port; ``None`` without one, and where a
        trusted reverse proxy does not forward it.
    :ivar user: on a route of ``twistd hixie``, the name under which a condition of the route has
        identified the client, such as the user name of its password; elsewhere ``None``.
    :ivar request: under a :class:`txhixie.web.HixieResource`, the request of ``twisted.web`` (an
        ``IRequest``); elsewhere ``None``.
    """

    dialect: str
    target: str
    host: str
    origin: str | None = None
    secure: bool = False
    subprotocols: tuple[str, ...] = ()
    extensions: tuple[Named, ...] = ()
    head: Head = field(default=_NO_HEAD, compare=False, repr=False)
    challenge: bytes = field(default=b"", compare=False, repr=False)
    client: str | None = field(default=None, compare=False, repr=False)
    client_port: int | None = field(default=None, compare=False, repr=False)
    user: str | None = field(default=None, compare=False, repr=False)
    request: Any = field(default=None, compare=False, repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """
        The query of the target as form fields, percent-decoded: each name with all its values.

        Values keep their order. Bytes that are not UTF-8 become U+FFFD. Of more than 1,000 fields
        only the first 1,000 are read. Each access parses the query again.
        """
        return read_query(self.target)

    @property
    def cookies(self) -> dict[str, str]:
        """
        The cookies of the request, by name, as sent (RFC 6265 section 5.4).

        Names and values are neither unquoted nor decoded. Of two cookies with the same name the
        first counts, which has the longer path. Of more than 1,000 cookies only the first 1,000 are
        read. Each access parses the cookies again.
        """
        found: dict[str, str] = {}
        fields = b";".join(self.head.fields().stripped(b"cookie"))
        for part in text(fields).split(";", MOST_PARTS)[:MOST_PARTS]:
            name, equals, value = part.partition("=")
            if equals:
                found.setdefault(name.strip(" \t"), value.strip(" \t"))
        return found

    @property
    def authority(self) -> str:
        """The host in lower case, without the default port of the scheme."""
        usual = ":443" if self.secure else ":80"
        return self.host.lower().removesuffix(usual)

    @property
    def location(self) -> str:
        """The URL of the request, as the Hixie drafts construct it (hixie-76 section 3.2)."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.target}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return all fields in their order: name in lower case, and value (as ISO 8859-1)."""
        pairs = self.head.fields().pairs
        return tuple((name.decode("ascii"), text(value).strip(" \t")) for name, value in pairs)

    def header(self, name: str) -> str | None:
        """Return the value of a field, several values joined by commas; ``None`` if missing."""
        values = self.head.fields().stripped(name.lower().encode("ascii", "replace"))
        return text(b", ".join(values)) if values else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    The values that a server accepts from an offer.

    :ivar subprotocol: the chosen subprotocol, one of the offer's, or ``None``.
    :ivar headers: further fields of the response, name and value (for example ``Set-Cookie``).
    :ivar extensions: the chosen extensions, each with the agreed parameters.
    """

    subprotocol: str | None = None
    headers: Headers = ()
    extensions: tuple[Named, ...] = ()


NOTHING_MORE: Final = Agreement()
"""Agreement without a subprotocol, further fields or extensions: one object for all of these."""


@dataclass(slots=True)
class Refusal:
    """
    An HTTP response that refuses a handshake.

    :ivar status: the HTTP status, 200 to 599; never 101, which would accept the handshake.
    :ivar body: text for the reader of the response; or ``bytes``, such as the body of a backend's
        response.
    :ivar headers: further fields, name and value; a ``Content-Type`` replaces the default one.
    :ivar logged: whether the refusal is already in the log, so that it gets no second line.
    :ivar why: the reason for the log; ``None`` to log the body.
    :ivar cause: the cause by which :class:`txhixie.Counters` counts the refusal: a name in
        ``txhixie.connection.counters.CAUSES``; empty for the usual cause of the status.
    """

    status: int
    body: str | bytes = ""
    headers: Headers = ()
    logged: bool = False
    why: str | None = None
    cause: str = field(default="", compare=False, repr=False)

    def __init__(
        self,
        status: int,
        body: str | bytes = "",
        headers: HeadersLike = (),
        logged: bool = False,
        why: str | None = None,
        cause: str = "",
    ) -> None:
        """
        Create a refusal.

        :raises ValueError: for a status outside 200 to 599, and for an invalid field.
        :raises TypeError: for a status, a body or fields of another type.
        """
        scalars(int, status=status)
        scalars(bool, logged=logged)
        if why is not None:
            whole_text("why", why)
        self.cause = whole_text("cause", cause)
        if not 200 <= status <= 599:
            raise ValueError(f"status: expected 200 to 599, not {status}")
        self.status = status
        self.body = body if isinstance(body, bytes) else whole_text("body", body)
        self.headers = header_pairs(headers)
        self._check_length()
        self.logged = logged
        self.why = why

    def _check_length(self) -> None:
        """
        Refuse a Content-Length that is not the length of the body, and a Transfer-Encoding.

        A wrong length would truncate the body, or keep the client waiting for more of it.
        """
        for name, value in self.headers:
            if name.lower() == b"transfer-encoding":
                raise ValueError("headers: a refusal cannot have Transfer-Encoding; leave it out")
            if name.lower() == b"content-length" and value != b"%d" % len(self._encoded()):
                raise ValueError("headers: Content-Length does not match the body; leave it out")

    def _encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body.encode("utf-8")

    def write(self) -> bytes:
        """
        Return the bytes of the response, which has ``Connection: close``.

        The connection has to end with the response: a reverse proxy may already treat the
        connection as a tunnel, so nothing more may be read from it as HTTP (RFC 9112 section 9.6).
        """
        body = self._encoded()
        own: dict[bytes, bytes] = {
            b"Content-Type": b"text/plain; charset=utf-8",
            b"Connection": b"close",
            b"Content-Length": str(len(body)).encode("ascii"),
        }
        for name, _ in self.headers:
            own.pop(next((key for key in own if key.lower() == name.lower()), b""), None)
        line = f"HTTP/1.1 {self.status} {reason_phrase(self.status)}".encode("ascii")
        return head_bytes(line, (*checked_pairs(self.headers), *own.items())) + body


class Handshake(Protocol):
    """
    Handshake of one family of dialects, for client and server; it has no state of a connection.

    A request or a response that cannot be read raises a :class:`txhixie.errors.HandshakeError`.
    """

    def leniently(self) -> Handshake:
        """Return this handshake for a client that accepts responses with known deviations."""
        ...

    def draw(self, entropy: RandomBytes) -> Secret:
        """Draw a client's random secret for one handshake."""
        ...

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """Return the bytes of the request, with the bytes that follow its head."""
        ...

    def read_offer(self, request: Request, secure: bool) -> Offer:
        """Read and check a request, including the arithmetic of its keys."""
        ...

    def offer_body(self) -> int:
        """Return the number of bytes of the handshake that follow the head of a request."""
        ...

    def early_bytes(self) -> bool:
        """Whether a server accepts frames that a client sends before the response."""
        ...

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """Return the head of the response."""
        ...

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """
        Return the bytes that follow the head of the response.

        :param body: the bytes that followed the head of the request.
        """
        ...

    def agreement_body(self) -> int:
        """Return the number of bytes of the handshake that follow the head of a response."""
        ...

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        Read the head of a response, with all checks of the dialect in their order.

        :raises InvalidHandshake: at the first check that fails.
        :raises HandshakeRefused: for a well-formed response that refuses the handshake.
        """
        ...

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """
        Check the bytes that follow the head of the response.

        :raises InvalidHandshake: ``challenge`` when the bytes do not answer the client's secret.
        """
