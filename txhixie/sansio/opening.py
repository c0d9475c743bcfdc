"""From the first byte to an agreement: who reads, who answers, and what comes after.

An opening owns the bytes it has taken and gives back, as ``rest``, those that belong to whoever
comes next. It writes nothing itself: what to write it answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from .dialects import OLD_VERSION, Dialect, asks_in_old_version, recognise
from .errors import EarlyBytes, HandshakeRefused, InvalidHandshake, MalformedHead
from .extensions.extension import Transform
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
)
from .http.request_body import announced_body
from .http.trusted import TrustedNetworks
from .limits import Limits, exceeds

_PROCESSING: Final = 102
"""WebDAV's "I am at it" (RFC 2518 section 10.1), dropped by its successor. No server takes so long
over an upgrade, and for ``twisted.web.websocket``, whose place we take, it is a no."""


_ABSOLUTE: Final = re.compile(r"(?:http|ws)s?://([^/?#]+)((?:[/?].*)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """
    A request that is HTTP and not WebSocket.

    :ivar head: its head.
    :ivar rest: every byte received after that.
    :ivar host: the ``Host`` that was asked for, as a trusted proxy tells; ``None``: the head's own.
    :ivar fault: why a request that asks for WebSocket is taken for ordinary HTTP; empty for one
        that does not ask.
    """

    head: Head
    rest: bytes
    host: str | None = None
    fault: str = field(default="", compare=False)

    def body(self, most: int) -> int | None:
        """See :func:`txhixie.sansio.http.request_body.announced_body`."""
        request = read_request(self.head)
        return announced_body(request.fields, request.minor, most)

    def replay(self, last: bool, length: int | None = None) -> bytes:
        """
        Every byte of the request that was received so far, for whoever is to answer.

        :param length: bytes of the body of a last request: what comes behind it is not handed on.
            ``None``: not known.
        :param last: mark the request so that the connection ends with its answer. A WebSocket
            request that came after it on the same connection would find nobody. Otherwise its
            fields stay as they are: what a proxy tells of this client is not true of the next.
        """
        if not last:
            return self.head.raw + self.rest
        head = self.head if self.host is None else asked_of(self.head, self.host)
        return last_request(head).raw + self.rest[:length]


class ServerOpening:
    """
    A server's half: a head, the application's decision, and raw bytes that prove it.

    Feed it with :meth:`receive` until that answers an Offer; then either write what
    :meth:`agree` answers, feed on until :meth:`proof` has something to write, and take
    :attr:`rest`, or write a refusal.

    :ivar awaits_head: whether the head of the request has not come yet.
    :ivar dialect: known once there is an offer.
    :ivar transform: what the agreed extension will do to messages, kept here for whoever agreed.
    :ivar forwarded: what the request tells of the client, once there is one and if its sender is
        trusted; the offer says the same.
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
        "forwarded",
        "transform",
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
        :param spoken: the rows that may be recognised.
        :param secure: whether clients come by TLS, here or to whoever stands before us.
        :param trusted_proxies: for a peer that is believed what it forwards, all of its kind.
        """
        self._spoken = spoken
        self._limits = limits
        self._secure = secure
        self._trusted_proxies = trusted_proxies
        self.forwarded: Forwarded | None = None
        self._reader = RequestReader(limits.head_size)
        self.awaits_head = True
        self._head: Head | None = None
        self._offer: Offer | None = None
        self._agreed = False
        self._rest = bytearray()
        self.transform: Transform | None = None

    def receive(self, data: bytes) -> Offer | Elsewhere | None:
        """
        Take bytes; answer what they ask for, once they do.

        :raises HandshakeError: for what cannot be answered but by a refusal.
        """
        found = self._reader.read(data)
        if found is None:
            return None
        self.awaits_head = False
        head, rest = found
        self._head = head
        request = origin_form(read_request(head, self._limits.head_fields))
        if self._trusted_proxies is not None:
            self.forwarded = read_forwarded(request.fields, self._trusted_proxies)
        dialect = recognise(request, self._spoken)
        if dialect is None:
            host = None if self.forwarded is None else self.forwarded.host
            old = asks_in_old_version(request.method, request.minor, request.fields)
            return Elsewhere(request.head, rest, host, OLD_VERSION if old else "")
        offer = dialect.handshake.read_offer(request, self._secure)
        if self.forwarded is not None:
            believe(offer, self.forwarded)
        self.dialect = dialect
        self._offer = offer
        if rest:
            self.keep(rest)
        return offer

    def asked(self) -> Asked:
        """Read what the request asks for, as far as it has come; also of one that is refused."""
        asked = read_asked(self._reader.held if self._head is None else self._head)
        if self.forwarded is None or self.forwarded.host is None:
            return asked
        return asked._replace(host=self.forwarded.host)

    def keep(self, data: bytes) -> None:
        """
        Hold bytes that came before the answer went out.

        :raises EarlyBytes: when the dialect lets none come, or more than the limit.
        """
        self._rest += data
        handshake, most = self.dialect.handshake, self._limits.early_size
        early = len(self._rest) - handshake.offer_body()
        if early > 0 and not handshake.early_bytes():
            raise EarlyBytes("data received before the handshake completed")
        if early > most:
            raise EarlyBytes(
                exceeds("data received before the handshake completed", most, "early_size")
            )

    @property
    def rest(self) -> bytes:
        """Bytes that came and were not the handshake's."""
        return bytes(self._rest)

    def agree(self, agreement: Agreement) -> bytes:
        """The head that says yes."""
        assert self._offer is not None
        self._agreed = True
        return self.dialect.handshake.write_agreement(self._offer, agreement)

    @property
    def missing(self) -> int:
        """Raw bytes of the request that have not come since the head of the answer went out."""
        size = self.dialect.handshake.offer_body() if self._agreed else 0
        return max(0, size - len(self._rest))

    def proof(self) -> bytes | None:
        """What follows that head; ``None`` while the bytes it is made of have not all come."""
        assert self._offer is not None
        handshake = self.dialect.handshake
        size = handshake.offer_body()
        if len(self._rest) < size:
            return None
        body = bytes(self._rest[:size])
        del self._rest[:size]
        proof = handshake.write_proof(self._offer, body)
        self._offer.challenge = b""  # proved: an idle connection need not keep it
        return proof


def believe(offer: Offer, forwarded: Forwarded) -> None:
    """Have an offer say what its client asked of whoever stands before us."""
    if forwarded.secure is not None:
        offer.secure = forwarded.secure
    if forwarded.host is not None:
        offer.host = forwarded.host


class ClientOpening:
    """
    A client's half: an offer out, an answer in, every check of the dialect.

    :ivar offer: what is asked for.
    :ivar rest: bytes after the answer: the conversation's.
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
        """The bytes to write first."""
        return self._handshake.write_offer(self.offer, self._secret)

    def receive(self, data: bytes) -> Agreement | None:
        """
        Take bytes; answer what was agreed, once it is whole and every check has passed.

        :raises InvalidHandshake: at the first check that fails.
        :raises HandshakeRefused: for a well-formed answer that is no agreement, once its body is
            here as far as it will be kept.
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
        The connection is over.

        :raises InvalidHandshake: ``eof``, unless the answer was a refusal.
        :raises HandshakeRefused: with as much of the body as came.
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
                # "Wait" (RFC 9110 section 15.2): the answer is to come, within the same limit.
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
    The same request with a path as its target, where that was an absolute URL, as RFC 6455 section
    4.2.1 allows: its host is that of the URL then, and the ``Host`` field, which has to be there,
    does not count (RFC 9112 section 3.2.2).

    :raises MalformedHead: for such a request without a Host field, or with two, and for a URL with
        a user (RFC 9110 section 4.2.4) or a host that is none.
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
    head = asked_of(Head(line + head[len(head.start_line) :]), authority)
    return request._replace(head=head, target=target, fields=head.fields())


def asked_of(head: Head, host: str) -> Head:
    """Replace the ``Host`` of a request."""
    lines = head[:-4].split(b"\r\n")
    hosts = [at for at, line in enumerate(lines) if line.partition(b":")[0].lower() == b"host"]
    for at in reversed(hosts):
        del lines[at]
    # In its place, since the slides' dialect fixes the lines before it.
    lines.insert(hosts[0] if hosts else 1, b"Host: " + host.encode("ascii"))
    return Head(b"\r\n".join(lines) + b"\r\n\r\n")


def last_request(head: Head) -> Head:
    """The same request with ``Connection: close`` in place of what it said of the connection."""
    lines = [
        line
        for line in head[:-4].split(b"\r\n")
        if line.partition(b":")[0].lower() not in (b"connection", b"keep-alive")
    ]
    return Head(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n")
