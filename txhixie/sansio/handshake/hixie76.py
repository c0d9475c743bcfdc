"""Handshake of hixie-76, which is also hybi-00: two keys in fields, and eight bytes after the head.

The eight bytes (key3) follow the head of the request without a Content-Length. The server's proof,
sixteen bytes, follows the head of the response (draft-hixie-thewebsocketprotocol-76 sections 4.1
and 5.2). Proxies hold key3 back until they have received the head of a response. So a server sends
the head of its response first, without the proof.
"""

from __future__ import annotations

import re
import struct
from hashlib import md5
from typing import Final

from ..errors import HandshakeRefused, InvalidHandshake, MalformedHead
from ..http.head import Fields, Head, Request, checked_pairs, head_bytes
from ..types import Headers, RandomBytes
from .fields import (
    answer_fields,
    count_once,
    match_exactly,
    members,
    read_host,
    read_target,
    read_visible,
    read_whole_subprotocol,
    whole_answer,
)
from .hixie75 import one_subprotocol
from .offer import Agreement, Offer, Secret

_MOST_NUMBER: Final = 0xFFFFFFFF
_MOST_DIGITS: Final = len(str(_MOST_NUMBER * 999))
"""Most digits of a key. More are refused before ``int()``, which has a cost quadratic in digits."""

_STATUS: Final = re.compile(rb"[!-~]* ([0-9]{3}) [^\r\n]*")
"""Status line of a response: the draft requires two spaces with three digits between them."""

_AGREED: Final = (
    "HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
)
"""First lines of every response that accepts a handshake."""

_FLASH: Final = (
    *(b"upgrade", b"connection", b"host", b"origin", b"cookie"),
    *(b"sec-websocket-key1", b"sec-websocket-key2", b"sec-websocket-protocol"),
)
"""Fields of a web-socket-js request, in their order (``WebSocket.as`` of 2010 and 2011)."""

_NOISE: Final = bytes([*range(0x21, 0x30), *range(0x3A, 0x7F)])
_NOT_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))


class Hixie76:
    """
    Handshake of hixie-76, for the client and for the server.

    The secret is ``(key1, key2, key3)``: two keys as text, and eight bytes.
    """

    __slots__ = ("_dialect", "_lenient")

    def __init__(self, dialect: str, lenient: bool = False) -> None:
        """
        Create the handshake of one dialect.

        :param dialect: name of the dialect.
        :param lenient: whether a client accepts ``Upgrade`` in any case. The draft compares it
            case-sensitively, but Netty's server sends ``websocket``.
        """
        self._dialect = dialect
        self._lenient = lenient

    def leniently(self) -> Hixie76:
        """Return this handshake for a client that accepts responses with known deviations."""
        return Hixie76(self._dialect, lenient=True)

    def draw(self, entropy: RandomBytes) -> Secret:
        """Draw two random keys and eight random bytes (hixie-76 section 4.1, steps 16 to 26)."""
        return draw_key(entropy), draw_key(entropy), entropy(8)

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """
        Return the bytes of the request: its head and the eight bytes of key3.

        The draft requires the fields in random order, so that no server relies on an order. This is
        the order of WebKit, since some servers rely on it.

        :raises UnsupportedByDialect: for more than one subprotocol.
        :raises ValueError: for an origin or a subprotocol that contains a line end or another
            control character.
        """
        key1, key2, key3 = secret
        pairs: Headers = (
            (b"Upgrade", b"WebSocket"),
            (b"Connection", b"Upgrade"),
            (b"Host", offer.host.encode("ascii")),
        )
        if offer.origin is not None:
            pairs += ((b"Origin", offer.origin.lower().encode("ascii")),)
        if offer.subprotocols:
            pairs += ((b"Sec-WebSocket-Protocol", one_subprotocol(offer)),)
        pairs += ((b"Sec-WebSocket-Key1", key1), (b"Sec-WebSocket-Key2", key2))
        head = Head.of(b"GET %b HTTP/1.1" % offer.target.encode("ascii"), checked_pairs(pairs))
        return head.extended(offer.head).raw + key3

    def read_offer(self, request: Request, secure: bool) -> Offer:
        """
        Read a request.

        :raises MalformedHead: for invalid keys, or for an ambiguous field.
        """
        fields = request.fields
        key1, key2 = fields.only(b"sec-websocket-key1"), fields.only(b"sec-websocket-key2")
        if key1 is None or key2 is None:
            raise MalformedHead("missing Sec-WebSocket-Key1 or Sec-WebSocket-Key2")
        return Offer(
            self._dialect,
            read_target(request),
            read_host(fields),
            read_visible(fields, b"origin"),
            secure,
            _read_subprotocols(fields),
            head=request.head,
            challenge=struct.pack(">II", key_number(key1), key_number(key2)),
        )

    def offer_body(self) -> int:
        """Return 8: the size of key3, which follows the head of a request."""
        return 8

    def early_bytes(self) -> bool:
        """Return ``False``: a client waits for the proof, so bytes after key3 are an error."""
        return False

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """Return the head of the response; clients compare Upgrade and Connection exactly."""
        origin = "" if offer.origin is None else f"Sec-WebSocket-Origin: {offer.origin}\r\n"
        lines = f"{_AGREED}{origin}Sec-WebSocket-Location: {offer.location}"
        if agreement.subprotocol is not None:
            lines += f"\r\nSec-WebSocket-Protocol: {whole_answer(offer, agreement.subprotocol)}"
        return head_bytes(lines.encode("ascii"), checked_pairs(agreement.headers))

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """Return the sixteen bytes of the proof (section 5.2 steps 7 to 11)."""
        return md5(offer.challenge + body, usedforsecurity=False).digest()

    def agreement_body(self) -> int:
        """Return 16: the size of the proof, which follows the head of a response."""
        return 16

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        Read a response, with the client's checks of section 4.1, steps 28 to 45, in their order.

        :raises InvalidHandshake: ``status-line``, ``header-syntax``, ``empty-name``, ``count:...``,
            ``upgrade``, ``connection``, ``origin-mismatch``, ``location-mismatch`` or
            ``protocol-mismatch``.
        :raises HandshakeRefused: for a status that is not 101.
        """
        if (status := self._status(head)) != 101:
            raise HandshakeRefused(status, tuple(answer_fields(head).pairs))
        fields = answer_fields(head)
        self._check_counts(offer, fields)
        upgrade = fields.exact(b"upgrade")[0]
        if upgrade != b"WebSocket" and not (self._lenient and upgrade.lower() == b"websocket"):
            raise InvalidHandshake("upgrade", "expected 'Upgrade: WebSocket' (case-sensitive)")
        if fields.exact(b"connection")[0].lower() != b"upgrade":
            raise InvalidHandshake(
                "connection", "expected 'Connection: Upgrade' and no other value"
            )
        if offer.origin is not None:
            match_exactly("origin-mismatch", fields, b"sec-websocket-origin", offer.origin.lower())
        match_exactly("location-mismatch", fields, b"sec-websocket-location", offer.location)
        asked = offer.subprotocols[0] if offer.subprotocols else None
        if asked is not None:
            match_exactly("protocol-mismatch", fields, b"sec-websocket-protocol", asked)
        return Agreement(asked, tuple(fields.pairs))

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """
        Check the sixteen bytes of the proof (step 46).

        :raises InvalidHandshake: ``challenge`` when the proof is wrong.
        """
        if body != expected_proof(secret):
            raise InvalidHandshake(
                "challenge", "the 16 bytes after the head do not answer the keys of the request"
            )

    def _status(self, head: Head) -> int:
        match = _STATUS.fullmatch(head.start_line)
        if match is None:
            raise InvalidHandshake("status-line", "invalid status line")
        return int(match[1])

    def _check_counts(self, offer: Offer, fields: Fields) -> None:
        count_once(fields, b"upgrade", b"connection")
        if offer.origin is not None:
            count_once(fields, b"sec-websocket-origin")
        count_once(fields, b"sec-websocket-location")
        if offer.subprotocols:
            count_once(fields, b"sec-websocket-protocol")


def _read_subprotocols(fields: Fields) -> tuple[str, ...]:
    """
    Read the subprotocols of a request: the whole string first, as the draft defines.

    For web-socket-js (Flash) only the members of the string count: it expects one of the members in
    the response, and not the list that it sent. Ruby's websocket and the first web-socket-js of
    June 2010 send the field of hixie-75, and expect the field of hixie-76 in the response.
    """
    name = b"sec-websocket-protocol"
    offered = read_whole_subprotocol(fields, name if name in fields else b"websocket-protocol")
    return members(offered[0]) if len(offered) > 1 and _is_flash(fields) else offered


def _is_flash(fields: Fields) -> bool:
    """
    Whether web-socket-js sent a request, judged by the order of its fields.

    The order is fixed and includes ``Cookie`` even when it is empty; fields that a page adds come
    after these. The whole order is compared: Chromium 6 to 13 and Firefox 4 send their fields in
    random order, so the position of one field proves nothing.
    """
    return tuple(name for name, _ in fields.pairs[: len(_FLASH)]) == _FLASH


def key_number(key: bytes) -> int:
    """
    Return the number of a key: its digits, divided by its number of spaces (section 5.2 steps 4-6).

    Other characters and positions are not checked: the examples of the draft contain more random
    characters than its algorithm allows a client to insert.

    :raises MalformedHead: for a key without a space or a digit, when the division has a remainder,
        or when the result has more than 32 bits.
    """
    digits = key.translate(None, _NOT_DIGITS)
    blanks = key.count(b" ")
    if not blanks or not digits:
        raise MalformedHead("Sec-WebSocket-Key1 or Sec-WebSocket-Key2 without spaces or digits")
    if len(digits) > _MOST_DIGITS:
        raise MalformedHead("Sec-WebSocket-Key1 or Sec-WebSocket-Key2 with too many digits")
    number, left = divmod(int(digits), blanks)
    if left or number > _MOST_NUMBER:
        raise MalformedHead(
            "invalid Sec-WebSocket-Key1 or Sec-WebSocket-Key2: digits / spaces is no 32-bit integer"
        )
    return number


def expected_proof(secret: Secret) -> bytes:
    """Return the sixteen bytes of the proof for a client's secret."""
    key1, key2, key3 = secret
    numbers = struct.pack(">II", key_number(key1), key_number(key2))
    return md5(numbers + key3, usedforsecurity=False).digest()


def draw_key(entropy: RandomBytes) -> bytes:
    """
    Draw one random key (section 4.1 steps 16 to 24).

    The key is a product in decimal digits, with random characters at any position, and spaces at
    any position except the first and the last.

    :param entropy: takes a number and returns that many random bytes.
    """
    blanks = 1 + _below(12, entropy)
    number = _below(_MOST_NUMBER // blanks + 1, entropy)
    key = bytearray(str(number * blanks).encode("ascii"))
    for _ in range(1 + _below(12, entropy)):
        key.insert(_below(len(key) + 1, entropy), _NOISE[_below(len(_NOISE), entropy)])
    for _ in range(blanks):
        key.insert(1 + _below(len(key) - 1, entropy), 0x20)
    return bytes(key)


def _below(bound: int, entropy: RandomBytes) -> int:
    """Return a random number from 0 to ``bound`` - 1; with 64 bits its bias is negligible."""
    return int.from_bytes(entropy(8), "big") % bound
