"""What two sides say to each other before a conversation, free of any dialect's bytes.

An Offer is what a client wants, an Agreement what a server grants, a Refusal that it does not. They
can be built from a head of any dialect, from a request of ``twisted.web``, or by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote_plus

from ..arguments import scalars, whole_text
from ..http.head import Head, Request, checked_pairs, header_pairs, reason_phrase, text
from ..http.parameters import Named
from ..types import Headers, HeadersLike, RandomBytes

Secret: TypeAlias = tuple[bytes, ...]
"""What a client draws at random for one handshake, and must see answered: the drafts' keys."""


_MOST_PARTS: Final = 1000
"""Of a query or of cookies. A page of today sends 20; a head of 16 KiB has room for 8,000."""

_NO_HEAD: Final = Head.of(b"")


@dataclass(slots=True)
class Offer:
    """
    A client's request for a conversation.

    :ivar dialect: its name, as in :data:`txhixie.DIALECTS`.
    :ivar target: the resource: path and query, ASCII, beginning with ``/``.
    :ivar host: the ``Host`` field as sent: a name or address, and the port if it is not the usual.
    :ivar origin: the page that asks, as it was sent; ``None`` if nobody said. Only browsers are
        bound to tell the truth here.
    :ivar secure: whether the client came by TLS, to us or to whoever stands before us.
    :ivar subprotocols: what the client would speak, best first.
    :ivar extensions: what it would agree on besides, each with its parameters, best first.
    :ivar head: the request, whose other fields :meth:`headers` gives; for a client, the fields it
        wants sent besides.
    :ivar challenge: what the answer has to prove, in the dialect's own terms.
    :ivar client: to a server, the client's address, as far as whoever stands before us is believed
        what it tells; ``None`` where there is none.
    :ivar client_port: to a server, the client's port; ``None`` where there is none, and where a
        trusted reverse proxy does not tell it.
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
    request: Any = field(default=None, compare=False, repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        """
        The target's query as a form's fields, percent-decoded: each name with its values in their
        order. Bytes that are no UTF-8 become U+FFFD. Of more than 1,000 fields the first 1,000 are
        read. Made anew each time.
        """
        found: dict[str, list[str]] = {}
        for part in self.target.partition("?")[2].split("&", _MOST_PARTS)[:_MOST_PARTS]:
            if part:
                name, _, value = part.partition("=")
                found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
        return found

    @property
    def cookies(self) -> dict[str, str]:
        """
        The request's cookies (RFC 6265 section 5.4): names and values as they were sent, neither
        unquoted nor decoded. Of two with one name it is the first, which is the one with the longer
        path. Of more than 1,000 the first 1,000 are read. Made anew each time.
        """
        found: dict[str, str] = {}
        fields = b";".join(self.head.fields().stripped(b"cookie"))
        for part in text(fields).split(";", _MOST_PARTS)[:_MOST_PARTS]:
            name, equals, value = part.partition("=")
            if equals:
                found.setdefault(name.strip(" \t"), value.strip(" \t"))
        return found

    @property
    def authority(self) -> str:
        """The host in lower case, without the port that its scheme implies."""
        usual = ":443" if self.secure else ":80"
        return self.host.lower().removesuffix(usual)

    @property
    def location(self) -> str:
        """The resource's URL, as the drafts rebuild it (hixie-76 section 3.2)."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.target}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Every field of the request in its order: lower-case name and value (as ISO 8859-1)."""
        pairs = self.head.fields().pairs
        return tuple((name.decode("ascii"), text(value).strip(" \t")) for name, value in pairs)

    def header(self, name: str) -> str | None:
        """The value of a field, joined by commas if it came more than once; ``None`` if never."""
        values = self.head.fields().stripped(name.lower().encode("ascii", "replace"))
        return text(b", ".join(values)) if values else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """
    What the server granted.

    :ivar subprotocol: the one of the offer's that will be spoken, or ``None``.
    :ivar headers: further fields of the answer, name and value (``Set-Cookie``, say).
    :ivar extensions: those of the offer's that hold, each with the parameters that do.
    """

    subprotocol: str | None = None
    headers: Headers = ()
    extensions: tuple[Named, ...] = ()


NOTHING_MORE: Final = Agreement()
"""The agreement that grants the conversation and nothing else: one object for all of them."""


@dataclass(slots=True)
class Refusal:
    """
    A plain HTTP answer instead of an agreement.

    :ivar status: the HTTP status, 200 to 599; never 101, which would be an agreement.
    :ivar body: text for whoever reads the answer, or somebody else's body as it came.
    :ivar headers: further fields, name and value; a ``Content-Type`` among them replaces ours.
    :ivar logged: the log has been told, in a line that says more than the one it would get.
    :ivar why: for the log, if that is not the body.
    """

    status: int
    body: str | bytes = ""
    headers: Headers = ()
    logged: bool = False
    why: str | None = None

    def __init__(
        self,
        status: int,
        body: str | bytes = "",
        headers: HeadersLike = (),
        logged: bool = False,
        why: str | None = None,
    ) -> None:
        """
        :raises ValueError: for another status, and for a field that no answer can have.
        :raises TypeError: for a status, a body or fields of another type.
        """
        scalars(int, status=status)
        scalars(bool, logged=logged)
        if why is not None:
            whole_text("why", why)
        if not 200 <= status <= 599:
            raise ValueError(f"a refusal has a status from 200 to 599, not {status}")
        self.status = status
        self.body = body if isinstance(body, bytes) else whole_text("body", body)
        self.headers = header_pairs(headers)
        self._check_length()
        self.logged = logged
        self.why = why

    def _check_length(self) -> None:
        """A length of the caller's that is not the body's would cut it, or have the client wait."""
        for name, value in self.headers:
            if name.lower() == b"transfer-encoding":
                raise ValueError("headers: a refusal has no Transfer-Encoding, but a whole body")
            if name.lower() == b"content-length" and value != b"%d" % len(self._encoded()):
                raise ValueError(
                    "headers: the Content-Length is not that of the body; leave it out"
                )

    def _encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body.encode("utf-8")

    def write(self) -> bytes:
        """
        The answer's bytes. The connection ends with it: what stood before us may already hold it
        for a tunnel, so that nothing else must ever be read from it as HTTP (RFC 9112 section 9.6).
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
        return Head.of(line, (*checked_pairs(self.headers), *own.items())).raw + body


class Handshake(Protocol):
    """
    One family's handshake, both halves, as pure verbs. It holds nothing of any connection.

    What cannot be read raises a :class:`txhixie.errors.HandshakeError`.
    """

    def leniently(self) -> Handshake:
        """The same for a client that takes answers which are known to be nearly right."""
        ...

    def draw(self, entropy: RandomBytes) -> Secret:
        """A client's secret for one handshake."""
        ...

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """The request, with whatever raw bytes follow its head."""
        ...

    def read_offer(self, request: Request, secure: bool) -> Offer:
        """All that a request proves, the arithmetic of its keys included."""
        ...

    def offer_body(self) -> int:
        """How many raw bytes follow the head of a request."""
        ...

    def early_bytes(self) -> bool:
        """Whether a client may send frames before it is answered."""
        ...

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """The head of the answer."""
        ...

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """What follows that head, once the request's raw bytes have come."""
        ...

    def agreement_body(self) -> int:
        """How many raw bytes follow the head of an agreement."""
        ...

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        What the server granted, after every check the dialect asks of a client, in its order.

        :raises InvalidHandshake: at the first check that fails.
        :raises HandshakeRefused: for a well-formed answer that is no agreement.
        """
        ...

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """
        The raw bytes after that head.

        :raises InvalidHandshake: ``challenge`` when they are not the answer to the secret.
        """
