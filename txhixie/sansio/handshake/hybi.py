"""Handshake of hybi-07, hybi-08 and RFC 6455 (sections 4.1 and 4.2): one key and its hash.

The hash proves that the server has read the request as a WebSocket handshake. A request also has
lists of subprotocols and of extensions.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection
from hashlib import sha1
from typing import Final

from ..errors import HandshakeRefused, InvalidHandshake, MalformedHead
from ..http.head import TOKEN, Fields, Head, Request, checked_pairs, head_bytes, text
from ..http.parameters import Named, read_list, write_list
from ..types import Headers, RandomBytes
from .fields import answer_fields, read_host, read_target, read_visible
from .offer import Agreement, Offer, Secret

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_AGREED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
"""First lines of every response that accepts a handshake."""


class Hybi:
    """
    Handshake of hybi-07, hybi-08 or RFC 6455, for the client and for the server.

    The secret is ``(key,)``: sixteen random bytes in base64. The versions differ in the field of
    the origin (``Sec-WebSocket-Origin`` up to draft 10, then ``Origin``, although the version
    stayed 8), and in the check of the key.
    """

    __slots__ = ("_dialect", "_number", "_origin_fields", "_origin_names", "_strict")

    def __init__(
        self, dialect: str, number: int, origin_fields: tuple[bytes, ...], *, strict: bool
    ) -> None:
        """
        Create the handshake of one dialect.

        :param dialect: name of the dialect.
        :param number: the ``Sec-WebSocket-Version``.
        :param origin_fields: names of the fields that may hold the origin; a client sends the first
            of them, and a server uses the first that a request has.
        :param strict: whether the key must have 16 bytes. ws 0.4 and 1.x send 15 bytes with version
            8.
        """
        self._dialect = dialect
        self._number = number
        self._origin_fields = origin_fields
        self._origin_names = tuple(name.lower() for name in origin_fields)
        self._strict = strict

    def leniently(self) -> Hybi:
        """Return this handshake itself: no deviations of servers are known in these versions."""
        return self

    def draw(self, entropy: RandomBytes) -> Secret:
        """Draw a random key: 16 bytes in base64."""
        return (binascii.b2a_base64(entropy(16), newline=False),)

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """
        Return the bytes of the request, its fields in the order of browsers.

        :raises ValueError: for an origin, a subprotocol or a field that contains a line end or
            another control character.
        """
        pairs: Headers = (
            (b"Host", offer.host.encode("ascii")),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", secret[0]),
            (b"Sec-WebSocket-Version", str(self._number).encode("ascii")),
        )
        if offer.origin is not None:
            pairs += ((self._origin_fields[0], offer.origin.encode("ascii")),)
        if offer.subprotocols:
            for name in offer.subprotocols:
                if not name or name.encode("ascii", "replace").translate(None, TOKEN):
                    raise ValueError(
                        f"subprotocols: expected a token (RFC 9110 section 5.6.2), not {name!r}"
                    )
            pairs += ((b"Sec-WebSocket-Protocol", ", ".join(offer.subprotocols).encode("ascii")),)
        if offer.extensions:
            pairs += ((b"Sec-WebSocket-Extensions", write_list(offer.extensions).encode("ascii")),)
        head = Head.of(b"GET %b HTTP/1.1" % offer.target.encode("ascii"), checked_pairs(pairs))
        return head.extended(offer.head).raw

    def read_offer(self, request: Request, secure: bool) -> Offer:
        """
        Read a request.

        :raises MalformedHead: for a missing or invalid key, or for an ambiguous field.
        """
        fields = request.fields
        key = fields.only(b"sec-websocket-key")
        if key is None:
            raise MalformedHead("missing Sec-WebSocket-Key")
        if not is_key(key, self._strict):
            raise MalformedHead("Sec-WebSocket-Key is not 16 bytes in base64")
        return Offer(
            self._dialect,
            read_target(request),
            read_host(fields),
            self._read_origin(fields),
            secure,
            read_subprotocols(fields.exact(b"sec-websocket-protocol")),
            read_extensions(fields) if b"sec-websocket-extensions" in fields else (),
            request.head,
            key,
        )

    def offer_body(self) -> int:
        """Return 0: no bytes follow the head of a request."""
        return 0

    def early_bytes(self) -> bool:
        """Return ``True``: some clients send before the response, and the data is unambiguous."""
        return True

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """Return the head of the response (section 4.2.2)."""
        pairs: Headers = ()
        if agreement.subprotocol is not None:
            pairs += ((b"Sec-WebSocket-Protocol", agreement.subprotocol.encode("ascii")),)
        if agreement.extensions:
            agreed = write_list(agreement.extensions).encode("ascii")
            pairs += ((b"Sec-WebSocket-Extensions", agreed),)
        if agreement.headers:
            pairs += checked_pairs(agreement.headers)
        return head_bytes(_AGREED + accept_key(offer.challenge), pairs)

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """Return no bytes: the proof is in the head of the response."""
        return b""

    def agreement_body(self) -> int:
        """Return 0: no bytes follow the head of a response."""
        return 0

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        Read a response, with the client's checks of section 4.1.

        :raises InvalidHandshake: ``status-line``, ``header-syntax``, ``empty-name``, ``upgrade``,
            ``connection``, ``accept``, ``extension`` or ``protocol-mismatch``.
        :raises HandshakeRefused: for a status that is not 101.
        """
        match = _STATUS.match(head)
        if match is None:
            raise InvalidHandshake("status-line", "invalid HTTP/1 status line")
        fields = answer_fields(head)
        if match[1] != b"101":
            raise HandshakeRefused(int(match[1]), tuple(fields.pairs))
        if [value.lower() for value in fields.stripped(b"upgrade")] != [b"websocket"]:
            raise InvalidHandshake("upgrade", "expected 'Upgrade: websocket'")
        if not fields.has_token(b"connection", b"upgrade"):
            raise InvalidHandshake("connection", "expected 'Connection: Upgrade'")
        if fields.stripped(b"sec-websocket-accept") != [accept_key(secret[0])]:
            raise InvalidHandshake(
                "accept", "Sec-WebSocket-Accept does not match the Sec-WebSocket-Key of the request"
            )
        subprotocol = _agreed_subprotocol(offer, fields)
        extensions = _agreed_extensions(offer, fields)
        return Agreement(subprotocol, tuple(fields.pairs), extensions)

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """Do nothing: :meth:`read_agreement` checks the proof, which is in the head."""

    def _read_origin(self, fields: Fields) -> str | None:
        """
        Read the origin: the first of the origin fields that the request has.

        In versions 7 and 8 ``Sec-WebSocket-Origin`` comes first: ws 0.4 also sends an ``Origin``,
        which holds the host of the server and not the origin of a page.
        """
        for name in self._origin_names:
            if (origin := read_visible(fields, name)) is not None:
                return origin
        return None


def is_key(key: bytes, strict: bool) -> bool:
    """
    Whether a key is valid base64.

    :param strict: whether the key must have 16 bytes.
    """
    try:
        size = len(binascii.a2b_base64(key, strict_mode=True))
    except binascii.Error:
        return False
    return size == 16 if strict else size > 0


def read_subprotocols(values: Collection[bytes]) -> tuple[str, ...]:
    """
    Read the ``Sec-WebSocket-Protocol`` fields of a request.

    :param values: their values.
    :return: the names in their order, each of them once.
    :raises MalformedHead: for a name that is no token.
    """
    if not values:
        return ()
    names = [name for member in b",".join(values).split(b",") if (name := member.strip(b" \t"))]
    if any(name.translate(None, TOKEN) for name in names):
        raise MalformedHead("invalid Sec-WebSocket-Protocol: expected a list of tokens")
    return tuple(dict.fromkeys(name.decode("ascii") for name in names))


def accept_key(key: bytes) -> bytes:
    """Return the hash of a key as its text was received (section 4.2.2 item 5.4)."""
    digest = sha1(key + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False)


def read_extensions(fields: Fields) -> tuple[Named, ...]:
    """
    Read the ``Sec-WebSocket-Extensions`` fields.

    :raises MalformedHead: for an invalid list of extensions.
    """
    if b"sec-websocket-extensions" not in fields:
        return ()
    return read_list(text(value) for value in fields.exact(b"sec-websocket-extensions"))


def _agreed_subprotocol(offer: Offer, fields: Fields) -> str | None:
    values = fields.stripped(b"sec-websocket-protocol")
    if not values:
        return None
    subprotocol = text(values[0])
    if len(values) > 1 or subprotocol not in offer.subprotocols:
        raise InvalidHandshake("protocol-mismatch", f"{subprotocol!r} was not offered")
    return subprotocol


def _agreed_extensions(offer: Offer, fields: Fields) -> tuple[Named, ...]:
    try:
        agreed = read_extensions(fields)
    except MalformedHead as error:
        raise InvalidHandshake("extension", str(error)) from error
    asked = {name for name, _ in offer.extensions}
    for name, _ in agreed:
        if name not in asked:
            raise InvalidHandshake("extension", f"{name!r} was not offered")
    return agreed
