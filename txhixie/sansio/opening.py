"""Opening of a connection, from its first byte to an agreement, for server and client.

An opening buffers the bytes that it receives. Bytes after the handshake are in ``rest``, for the
conversation or another protocol. An opening writes nothing; it returns the bytes to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .dialects import Dialect, fault_of, recognise
from .errors import EarlyBytes, HandshakeError, HandshakeRefused, InvalidHandshake, MalformedHead
from .extensions.extension import Transform
from .handshake.mending import ABSENT_HOST, mend
from .handshake.offer import Agreement, Handshake, Offer, Secret
from .http.body import BodyReader
from .http.forwarded import Forwarded, read_forwarded
from .http.head import (
    Asked,
    Head,
    HeadReader,
    Request,
    RequestReader,
    read_asked,
    read_authority,
    read_request,
    whole_request,
)
from .http.request_body import MOST_LENGTH, announced_body
from .http.trusted import TrustedNetworks
from .limits import Limits, exceeds
from .plain_request import read_plain
from .quirks import Fault

_PROCESSING: Final = 102
"""Status 102 of WebDAV, "Processing" (RFC 2518 section 10.1), which RFC 4918 has removed. A
response with this status refuses the handshake, as in ``twisted.web.websocket``: no server needs so
long for an upgrade."""


_ABSOLUTE: Final = re.compile(r"(?:http|ws)s?://([^/?#]+)((?:[/?].*)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """
    An ordinary HTTP request, which does not ask for WebSocket.

    :ivar head: the head of the request.
    :ivar rest: all bytes received after the head.
    :ivar host: the ``Host`` that a trusted reverse proxy forwards; ``None``: that of the head.
    :ivar fault: why a request that asks for WebSocket is treated as ordinary HTTP; empty for a
        request that does not ask for WebSocket.
    """

    head: Head
    rest: bytes
    host: str | None = None
    fault: str = field(default="", compare=False)

    def body(self, most: int = MOST_LENGTH) -> int | None:
        """
        Return the length of the request body in bytes; ``None`` for a chunked one.

        :param most: most bytes of a body.
        :raises HandshakeError: for a longer body, and for a length that cannot be read.
        """
        request = read_request(self.head)
        return announced_body(request.fields, request.minor, most)

    def asked(self) -> tuple[str, str]:
        """Return the host of the request, empty without one, and its path without the query."""
        request = read_request(self.head)
        host = self.host
        if host is None:
            host = request.fields.get(b"host", b"").decode("latin-1")
        return host, request.target.partition("?")[0]

    def replay(self, last: bool, length: int | None = None) -> bytes:
        """
        Return all bytes of the request received so far, for the protocol that answers it.

        :param last: whether to add ``Connection: close``, so that the connection ends with the
            response: a WebSocket request after it on the same connection could not be answered.
            Otherwise the fields are unchanged: what a reverse proxy forwards about this client is
            not true of the next client on the same connection.
        :param length: length of the request body, so that bytes after the body of a last request
            are left out. ``None``: not known.
        """
        if not last:
            return self.head.raw + self.rest
        head = self.head if self.host is None else with_host(self.head, self.host)
        return last_request(head).raw + self.rest[:length]


class ServerOpening:
    """
    Server side of an opening: the request, the application's decision, and the proof.

    Call :meth:`receive` until it returns an Offer. To accept the offer, write the bytes that
    :meth:`agree` returns, call :meth:`keep` with further data until :meth:`proof` returns bytes to
    write, and use :attr:`rest`. Otherwise write a refusal.

    :ivar awaits_head: whether the head of the request is incomplete.
    :ivar dialect: the dialect of the request; set once it is known.
    :ivar transform: the transform of the agreed extension, stored here for the conversation.
    :ivar faults: deviations of the request that a quirk may let in; usually empty. The offer is
        that of the mended request: refuse it, unless all of the faults are let in.
    :ivar unmended: the error of a request that is invalid even without these deviations; otherwise
        empty.
    :ivar forwarded: what a trusted reverse proxy forwards about the client, the same as in the
        offer; ``None`` before the request and without a trusted reverse proxy.
    """

    __slots__ = (
        "_agreed",
        "_head",
        "_limits",
        "_offer",
        "_reader",
        "_rest",
        "_secure",
        "_spoken",
        "_trusted_proxies",
        "awaits_head",
        "dialect",
        "faults",
        "forwarded",
        "transform",
        "unmended",
    )

    dialect: Dialect

    def __init__(
        self,
        spoken: Sequence[Dialect],
        limits: Limits,
        secure: bool,
        trusted_proxies: TrustedNetworks | None = None,
    ) -> None:
        """
        Begin an opening.

        :param spoken: the dialects that the server accepts.
        :param limits: the limits of the connection.
        :param secure: whether clients use TLS, to the server or to a reverse proxy in front of it.
        :param trusted_proxies: the trusted reverse proxies, if the peer is one of them; otherwise
            ``None``.
        """
        self._spoken = spoken
        self._limits = limits
        self._secure = secure
        self._trusted_proxies = trusted_proxies
        self.faults: tuple[Fault, ...] = ()
        self.unmended = ""
        self.forwarded: Forwarded | None = None
        self._reader: RequestReader | None = None  # of a head in several reads
        self.awaits_head = True
        self._head: Head | None = None
        self._offer: Offer | None = None
        self._agreed = False
        self._rest: bytes | bytearray = b""  # a bytearray if they come in several reads
        self.transform: Transform | None = None

    def receive(self, data: bytes, *, mends: bool = False) -> Offer | Elsewhere | None:
        """
        Receive bytes; return the offer or the other request once its head is complete.

        :param mends: whether to return the offer of a request with deviations that a quirk may let
            in, with the deviations in :attr:`faults`, instead of raising the error.
        :raises HandshakeError: for a request that has to be refused.
        """
        if self._reader is None and self._trusted_proxies is None:
            plain = read_plain(data, self._limits, self._spoken, self._secure)
            if plain is not None:
                self.awaits_head = False
                self.dialect, self._offer, rest = plain
                self._head = self._offer.head
                if rest:
                    self.keep(rest)
                return self._offer
        most = self._limits.head_size
        found = whole_request(data, most) if self._reader is None else None
        if found is None:
            self._reader = self._reader or RequestReader(most)
            found = self._reader.read(data)
        if found is None:
            return None
        self.awaits_head = False
        head, rest = found
        self._head = head
        try:
            return self._read(head, rest)
        except MalformedHead as error:
            offer = self._mended(head, rest, str(error)) if mends else None
            if offer is None:
                raise
            return offer

    def _mended(self, head: Head, rest: bytes, first: str) -> Offer | None:
        """Return the offer of a request after its mending, if it then has no other error."""
        mended = mend(head, direct=self._trusted_proxies is None)
        if mended is None:
            return None
        try:
            offer = self._read(mended.head, rest)
        except HandshakeError as error:
            if str(error) != first:  # otherwise nothing is known about the fields
                self.faults, self.unmended = mended.faults, str(error)
            return None
        if not isinstance(offer, Offer):
            return None
        self.faults = mended.faults
        if mended.key is not None:
            offer.challenge = mended.key
        if offer.host == ABSENT_HOST:
            offer.host = ""
            offer.head = offer.head.without({b"host"})
        return offer

    def _read(self, head: Head, rest: bytes) -> Offer | Elsewhere:
        """
        Read a request strictly.

        :raises HandshakeError: for a request that has to be refused.
        """
        request = read_request(head, self._limits.head_fields)
        if not request.target.startswith("/"):
            request = origin_form(request)
        if self._trusted_proxies is not None:
            self.forwarded = read_forwarded(request.fields, self._trusted_proxies)
        dialect = recognise(request, self._spoken)
        if dialect is None:
            host = None if self.forwarded is None else self.forwarded.host
            fault = fault_of(request.method, request.target, request.minor, request.fields)
            return Elsewhere(request.head, rest, host, fault)
        self.dialect = dialect
        offer = dialect.handshake.read_offer(request, self._secure)
        if self.forwarded is not None:
            apply_forwarded(offer, self.forwarded)
        self._offer = offer
        if rest:
            self.keep(rest)
        return offer

    @property
    def is_secure(self) -> bool:
        """Whether the client uses TLS, to the server or to a trusted reverse proxy."""
        if self.forwarded is None or self.forwarded.secure is None:
            return self._secure
        return self.forwarded.secure

    def asked(self) -> Asked:
        """Read what the log says of the request, even if it is incomplete or refused."""
        head: bytes | None = self._head
        if head is None:
            head = b"" if self._reader is None else self._reader.held
        asked = read_asked(head)
        dialect: Dialect | None = getattr(self, "dialect", None)
        if dialect is not None:
            asked = asked._replace(dialect=dialect.name)
        if self.forwarded is None or self.forwarded.host is None:
            return asked
        return asked._replace(host=self.forwarded.host)

    @property
    def held(self) -> int:
        """The number of bytes of an incomplete head, and of bytes after the head."""
        waiting = 0 if self._reader is None else self._reader.size
        return waiting + len(self._rest)

    def keep(self, data: bytes) -> None:
        """
        Buffer bytes that are received before the response has been written.

        :raises EarlyBytes: when the dialect does not allow such data, or when there is more than
            ``Limits.early_size``.
        """
        if not self._rest:
            self._rest = data
        elif isinstance(self._rest, bytes):
            self._rest = bytearray(self._rest + data)
        else:
            self._rest += data
        handshake, most = self.dialect.handshake, self._limits.early_size
        early = len(self._rest) - handshake.offer_body()
        if early > 0 and not handshake.early_bytes():
            raise EarlyBytes("data received before the handshake completed")
        if early > most:
            raise EarlyBytes(
                exceeds("data received before the handshake completed", most, "early_size")
            )

    def append(self, data: bytes) -> None:
        """Buffer bytes that are received after the response, before the conversation begins."""
        self._rest = bytes(self._rest) + data

    @property
    def rest(self) -> bytes:
        """The bytes received after the handshake."""
        return bytes(self._rest)

    def agree(self, agreement: Agreement) -> bytes:
        """Accept the offer; return the head of the response."""
        assert self._offer is not None
        self._agreed = True
        return self.dialect.handshake.write_agreement(self._offer, agreement)

    @property
    def missing(self) -> int:
        """Number of bytes of the request that are missing after the head of the response was
        sent."""
        size = self.dialect.handshake.offer_body() if self._agreed else 0
        return max(0, size - len(self._rest))

    def proof(self) -> bytes | None:
        """Return the proof that follows the head; ``None`` while bytes of the request are
        missing."""
        assert self._offer is not None
        handshake = self.dialect.handshake
        proof, size = b"", handshake.offer_body()
        if size:  # otherwise the proof is in the head of the response, or the dialect has none
            if len(self._rest) < size:
                return None
            body, self._rest = bytes(self._rest[:size]), self._rest[size:]
            proof = handshake.write_proof(self._offer, body)
        self._offer.challenge = b""  # frees memory: an idle connection does not need it
        return proof


def apply_forwarded(offer: Offer, forwarded: Forwarded) -> None:
    """Set the scheme and the host of an offer to those that a trusted reverse proxy forwards."""
    if forwarded.secure is not None:
        offer.secure = forwarded.secure
    if forwarded.host is not None:
        offer.host = forwarded.host


class ClientOpening:
    """
    Client side of an opening: the request, the response, and all checks of the dialect.

    :ivar offer: the offer of the client.
    :ivar rest: the bytes received after the response, for the conversation.
    """

    __slots__ = (
        "_agreement",
        "_body",
        "_handshake",
        "_left",
        "_limits",
        "_reader",
        "_refused",
        "_secret",
        "offer",
        "rest",
    )

    def __init__(self, handshake: Handshake, offer: Offer, secret: Secret, limits: Limits) -> None:
        self._handshake = handshake
        self._secret = secret
        self._limits = limits
        self._left = limits.head_size
        self._reader: HeadReader | None = HeadReader(self._left)
        self._agreement = Agreement()
        self._refused: HandshakeRefused | None = None
        self._body: BodyReader | None = None
        self.offer = offer
        self.rest = b""

    def request(self) -> bytes:
        """Return the bytes of the request."""
        return self._handshake.write_offer(self.offer, self._secret)

    def receive(self, data: bytes) -> Agreement | None:
        """
        Receive bytes; return the agreement once the response is complete and has passed all checks.

        :raises InvalidHandshake: at the first check that fails.
        :raises HandshakeRefused: for a well-formed response that refuses the handshake, once its
            body is complete or has reached ``Limits.refusal_size``.
        """
        while self._reader is not None:
            try:
                found = self._reader.read(data)
            except MalformedHead as error:
                raise InvalidHandshake("header-syntax", str(error)) from error
            if found is None:
                return None
            self._reader = None
            head, data = found
            self._judge(head)
        if self._body is not None:
            if self._body.read(data):
                self.end()
            return None
        self.rest += data
        return self._prove()

    def end(self) -> None:
        """
        End the opening: the connection was closed, or no more of a refusal's body is kept.

        :raises InvalidHandshake: ``eof``, unless the response refuses the handshake.
        :raises HandshakeRefused: with the part of the body that was received.
        """
        refused = self._refused
        if refused is None or self._body is None:
            raise InvalidHandshake(
                "eof", "the server closed the connection before the end of its handshake response"
            )
        body = self._body
        raise HandshakeRefused(refused.status, refused.headers, body.body, whole=body.whole)

    def _judge(self, head: Head) -> None:
        try:
            self._agreement = self._handshake.read_agreement(self.offer, self._secret, head)
        except HandshakeRefused as refused:
            if 100 <= refused.status < 200 and refused.status != _PROCESSING:
                # An interim response (RFC 9110 section 15.2): the final response follows, and both
                # count towards the same limit.
                self._left -= len(head)
                self._reader = HeadReader(self._left)
                return
            self._refused = refused
            most = self._limits.refusal_size
            self._body = BodyReader(refused.status, refused.headers, most)

    def _prove(self) -> Agreement | None:
        size = self._handshake.agreement_body()
        if len(self.rest) < size:
            return None
        body, self.rest = self.rest[:size], self.rest[size:]
        self._handshake.check_proof(self._secret, body)
        return self._agreement


def origin_form(request: Request) -> Request:
    """
    Return the request with a path as its target, where the target is an absolute URL.

    RFC 6455 section 4.2.1 allows an absolute URL. The host is then that of the URL, and the value
    of the ``Host`` field, which is still required, is ignored (RFC 9112 section 3.2.2).

    :raises MalformedHead: for such a request without a Host field or with two, and for a URL with
        a user (RFC 9110 section 4.2.4) or an invalid host.
    """
    match = _ABSOLUTE.fullmatch(request.target)
    if match is None:
        return request
    if request.fields.only(b"host") is None:
        raise MalformedHead("missing Host")
    authority, resource = match.groups()
    read_authority(authority.encode("ascii"))
    target = resource if resource.startswith("/") else "/" + resource
    head = request.head
    line = b" ".join((request.method, target.encode("ascii"), b"HTTP/1.%d" % request.minor))
    head = with_host(Head(line + head[len(head.start_line) :]), authority)
    return request._replace(head=head, target=target, fields=head.fields())


def with_host(head: Head, host: str) -> Head:
    """Return the head of a request with another ``Host``."""
    lines = head[:-4].split(b"\r\n")
    hosts = [at for at, line in enumerate(lines) if line.partition(b":")[0].lower() == b"host"]
    for at in reversed(hosts):
        del lines[at]
    # In the place of the old field, since hixie-54 defines the lines before it.
    lines.insert(hosts[0] if hosts else 1, b"Host: " + host.encode("ascii"))
    return Head(b"\r\n".join(lines) + b"\r\n\r\n")


def last_request(head: Head) -> Head:
    """
    Return the head of a request with ``Connection: close`` instead of its own Connection.

    Names of other fields stay in a second Connection: a gateway must not pass these fields on
    (RFC 9110 section 7.6.1). ``close`` has the first one, the only one that ``twisted.web`` reads.
    """
    lines, named = [], []
    for line in head[:-4].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"connection":
            tokens = (token.strip(b" \t") for token in value.split(b","))
            named += [token for token in tokens if token.lower() not in _OPTIONS_OF_CONNECTION]
        elif name.lower() != b"keep-alive":
            lines.append(line)
    lines.append(b"Connection: close")
    if named:
        lines.append(b"Connection: " + b", ".join(named))
    return Head(b"\r\n".join(lines) + b"\r\n\r\n")


_OPTIONS_OF_CONNECTION: Final = frozenset({b"", b"close", b"keep-alive", b"upgrade"})
"""Members of Connection that are no names of fields which a request still has."""
