"""The handshake of one key and its hash: hybi-07, version 8 and RFC 6455 (sections 4.1 and 4.2).

The hash proves that the server has read this request and knows what it asks for; what the request
asks for besides are lists, of subprotocols and of extensions.
"""

from __future__ import annotations

import binascii
import re
from hashlib import sha1
from typing import Final

from ..errors import HandshakeRefused, InvalidHandshake, MalformedHead
from ..http.head import TOKEN, Fields, Head, Request, checked_pairs, text
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
"""The lines that every agreement begins with."""


class Hybi:
    """
    Both halves. The secret is ``(key,)``: sixteen random bytes as base64.

    The versions differ in where the origin stands (``Sec-WebSocket-Origin`` up to draft 10, then
    ``Origin``, although the number stayed 8) and in how strict they are about the key.
    """

    __slots__ = ("_dialect", "_number", "_origin_fields", "_origin_names", "_strict")

    def __init__(
        self, dialect: str, number: int, origin_fields: tuple[bytes, ...], *, strict: bool
    ) -> None:
        """
        :param number: the ``Sec-WebSocket-Version``.
        :param origin_fields: where an origin may stand; a client writes the first, and of a request
            with several the first counts.
        :param strict: the key has 16 bytes. ws 0.4 and 1.x send 15 as version 8.
        """
        self._dialect = dialect
        self._number = number
        self._origin_fields = origin_fields
        self._origin_names = tuple(name.lower() for name in origin_fields)
        self._strict = strict

    def leniently(self) -> Hybi:
        """The same: whoever gets the hash right gets the rest right."""
        return self

    def draw(self, entropy: RandomBytes) -> Secret:
        """A nonce of 16 bytes, in base64."""
        return (binascii.b2a_base64(entropy(16), newline=False),)

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """
        The request, in the order browsers send it.

        :raises ValueError: for an origin, subprotocol or field that would end its line.
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
                    raise ValueError(f"a subprotocol is a token, not {name!r}")
            pairs += ((b"Sec-WebSocket-Protocol", ", ".join(offer.subprotocols).encode("ascii")),)
        if offer.extensions:
            pairs += ((b"Sec-WebSocket-Extensions", write_list(offer.extensions).encode("ascii")),)
        head = Head.of(b"GET %b HTTP/1.1" % offer.target.encode("ascii"), checked_pairs(pairs))
        return head.extended(offer.head).raw

    def read_offer(self, request: Request, secure: bool) -> Offer:
        """
        :raises MalformedHead: without a key that is one, or for a field that says two things.
        """
        fields = request.fields
        key = fields.only(b"sec-websocket-key")
        if key is None:
            raise MalformedHead("missing Sec-WebSocket-Key")
        if not self._is_key(key):
            raise MalformedHead("Sec-WebSocket-Key is not 16 bytes in base64")
        return Offer(
            self._dialect,
            read_target(request),
            read_host(fields),
            self._read_origin(fields),
            secure,
            self._read_subprotocols(fields) if b"sec-websocket-protocol" in fields else (),
            read_extensions(fields) if b"sec-websocket-extensions" in fields else (),
            request.head,
            key,
        )

    def offer_body(self) -> int:
        """Nothing follows the head."""
        return 0

    def early_bytes(self) -> bool:
        """A client may not send before it is answered, but some do, and nothing is ambiguous."""
        return True

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """The answer (section 4.2.2)."""
        pairs: Headers = ()
        if agreement.subprotocol is not None:
            pairs += ((b"Sec-WebSocket-Protocol", agreement.subprotocol.encode("ascii")),)
        if agreement.extensions:
            agreed = write_list(agreement.extensions).encode("ascii")
            pairs += ((b"Sec-WebSocket-Extensions", agreed),)
        if agreement.headers:
            pairs += checked_pairs(agreement.headers)
        return Head.of(_AGREED + accept(offer.challenge), pairs).raw

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """The proof is in the head."""
        return b""

    def agreement_body(self) -> int:
        """Nothing follows the head."""
        return 0

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        The client's checks of section 4.1.

        :raises InvalidHandshake: ``status-line``, ``header-syntax``, ``empty-name``, ``upgrade``,
            ``connection``, ``accept``, ``extension`` or ``protocol-mismatch``.
        :raises HandshakeRefused: for a status that is not 101.
        """
        match = _STATUS.match(head)
        if match is None:
            raise InvalidHandshake("status-line", "the first line is no status line of HTTP/1")
        fields = answer_fields(head)
        if match[1] != b"101":
            raise HandshakeRefused(int(match[1]), tuple(fields.pairs))
        if [value.lower() for value in fields.stripped(b"upgrade")] != [b"websocket"]:
            raise InvalidHandshake("upgrade", "the Upgrade field is not 'websocket'")
        if not fields.has_token(b"connection", b"upgrade"):
            raise InvalidHandshake("connection", "the Connection field has no 'Upgrade'")
        if fields.stripped(b"sec-websocket-accept") != [accept(secret[0])]:
            raise InvalidHandshake("accept", "Sec-WebSocket-Accept is not the answer to our key")
        subprotocol = _agreed_subprotocol(offer, fields)
        extensions = _agreed_extensions(offer, fields)
        return Agreement(subprotocol, tuple(fields.pairs), extensions)

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """The proof was in the head."""

    def _is_key(self, key: bytes) -> bool:
        try:
            size = len(binascii.a2b_base64(key, strict_mode=True))
        except binascii.Error:
            return False
        return size == 16 if self._strict else size > 0

    def _read_origin(self, fields: Fields) -> str | None:
        """
        The first of the fields that is there. In versions 7 and 8 that is ``Sec-WebSocket-Origin``:
        ws 0.4 sends an ``Origin`` besides, which is its own host and not the page's.
        """
        for name in self._origin_names:
            if (origin := read_visible(fields, name)) is not None:
                return origin
        return None

    def _read_subprotocols(self, fields: Fields) -> tuple[str, ...]:
        members = b",".join(fields.exact(b"sec-websocket-protocol")).split(b",")
        names = [name for member in members if (name := member.strip(b" \t"))]
        if any(name.translate(None, TOKEN) for name in names):
            raise MalformedHead("a subprotocol that is no token")
        return tuple(dict.fromkeys(name.decode("ascii") for name in names))


def accept(key: bytes) -> bytes:
    """The hash of a key, taken as the text it came as (section 4.2.2 item 5.4)."""
    digest = sha1(key + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False)


def read_extensions(fields: Fields) -> tuple[Named, ...]:
    """
    :raises MalformedHead: for a list of extensions that is none.
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
        raise InvalidHandshake("protocol-mismatch", f"{subprotocol!r} was not asked for")
    return subprotocol


def _agreed_extensions(offer: Offer, fields: Fields) -> tuple[Named, ...]:
    try:
        agreed = read_extensions(fields)
    except MalformedHead as error:
        raise InvalidHandshake("extension", str(error)) from error
    asked = {name for name, _ in offer.extensions}
    for name, _ in agreed:
        if name not in asked:
            raise InvalidHandshake("extension", f"{name!r} was not asked for")
    return agreed
