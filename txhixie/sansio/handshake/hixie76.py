"""The handshake of two keys and eight bytes: hixie-76, which is hybi-00.

The eight bytes follow the request without a Content-Length, the sixteen that prove the server
understood follow its head (draft-hixie-thewebsocketprotocol-76 sections 4.1 and 5.2). Proxies hold
the eight back until they have seen the head of an answer; so it proves nothing and goes first.
"""

from __future__ import annotations

import re
import struct
from hashlib import md5
from typing import Final

from ..errors import HandshakeRefused, InvalidHandshake, MalformedHead
from ..http.head import Fields, Head, Request, checked_pairs
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
"""A key whose digits run on is refused before ``int()``, whose cost is their square."""

_STATUS: Final = re.compile(rb"[!-~]* ([0-9]{3}) [^\r\n]*")
"""Two blanks and a code of three digits between them is all that the draft asks for."""

_FLASH: Final = (
    *(b"upgrade", b"connection", b"host", b"origin", b"cookie"),
    *(b"sec-websocket-key1", b"sec-websocket-key2", b"sec-websocket-protocol"),
)
"""The fields of web-socket-js's request, in its order (``WebSocket.as`` of 2010 and 2011)."""

_NOISE: Final = bytes([*range(0x21, 0x30), *range(0x3A, 0x7F)])
_NOT_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))


class Hixie76:
    """Both halves. The secret is ``(key1, key2, key3)``: two keys as text, and the eight bytes."""

    __slots__ = ("_dialect", "_lenient")

    def __init__(self, dialect: str, lenient: bool = False) -> None:
        """
        :param lenient: as a client, take ``Upgrade`` in any case. The draft compares it to the
            letter, and Netty's server answers ``websocket``.
        """
        self._dialect = dialect
        self._lenient = lenient

    def leniently(self) -> Hixie76:
        """The same, for servers that are nearly right."""
        return Hixie76(self._dialect, lenient=True)

    def draw(self, entropy: RandomBytes) -> Secret:
        """Two keys and eight bytes (hixie-76 section 4.1, steps 16 to 26)."""
        return draw_key(entropy), draw_key(entropy), entropy(8)

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """
        The request and its eight bytes.

        The draft wants the fields in random order, so that no server relies on one; this is the
        order WebKit sent, on which some came to rely.

        :raises UnsupportedByDialect: for more than one subprotocol.
        :raises ValueError: for an origin or a subprotocol that would end its line.
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
        :raises MalformedHead: for keys that are no keys, or a field that says two things.
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
        """The eight bytes of key3."""
        return 8

    def early_bytes(self) -> bool:
        """A client waits for the sixteen bytes: whatever follows the eight is not its own."""
        return False

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """The head of the answer: ``WebSocket`` and a lone ``Upgrade`` to the letter."""
        pairs: Headers = ((b"Upgrade", b"WebSocket"), (b"Connection", b"Upgrade"))
        if offer.origin is not None:
            pairs += ((b"Sec-WebSocket-Origin", offer.origin.encode("ascii")),)
        pairs += ((b"Sec-WebSocket-Location", offer.location.encode("ascii")),)
        if agreement.subprotocol is not None:
            answer = whole_answer(offer, agreement.subprotocol)
            pairs += ((b"Sec-WebSocket-Protocol", answer.encode("ascii")),)
        line = b"HTTP/1.1 101 WebSocket Protocol Handshake"
        return Head.of(line, pairs + checked_pairs(agreement.headers)).raw

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """The sixteen bytes (section 5.2 steps 7 to 11)."""
        return md5(offer.challenge + body, usedforsecurity=False).digest()

    def agreement_body(self) -> int:
        """The sixteen bytes."""
        return 16

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        The client's checks of section 4.1, steps 28 to 45, in their order.

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
            raise InvalidHandshake("upgrade", "the Upgrade field is not 'WebSocket' to the letter")
        if fields.exact(b"connection")[0].lower() != b"upgrade":
            raise InvalidHandshake("connection", "the Connection field is not 'Upgrade' alone")
        if offer.origin is not None:
            match_exactly("origin-mismatch", fields, b"sec-websocket-origin", offer.origin.lower())
        match_exactly("location-mismatch", fields, b"sec-websocket-location", offer.location)
        asked = offer.subprotocols[0] if offer.subprotocols else None
        if asked is not None:
            match_exactly("protocol-mismatch", fields, b"sec-websocket-protocol", asked)
        return Agreement(asked, tuple(fields.pairs))

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """Step 46: the sixteen bytes."""
        if body != expected_proof(secret):
            raise InvalidHandshake("challenge", "the sixteen bytes are not the answer to our keys")

    def _status(self, head: Head) -> int:
        match = _STATUS.fullmatch(head.start_line)
        if match is None:
            raise InvalidHandshake("status-line", "the first line is no status line")
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
    The whole string first, as the draft has it; of web-socket-js (Flash) its members alone: it
    wants one of them as the answer, and not the list that it sent.

    Ruby's websocket and the first web-socket-js of June 2010 write the name of hixie-75 in the
    request, and look for that of hixie-76 in the answer.
    """
    name = b"sec-websocket-protocol"
    offered = read_whole_subprotocol(fields, name if name in fields else b"websocket-protocol")
    return members(offered[0]) if len(offered) > 1 and _is_flash(fields) else offered


def _is_flash(fields: Fields) -> bool:
    """
    Whether a request is web-socket-js's: its fields stand in one order, ``Cookie`` among them even
    when it is empty, and what its page adds stands behind them.

    All of it is looked at: Chromium 6 to 13 and Firefox 4 shuffle their fields, so that the place
    of one field proves nothing.
    """
    return tuple(name for name, _ in fields.pairs[: len(_FLASH)]) == _FLASH


def key_number(key: bytes) -> int:
    """
    The number in a key: its digits, divided by its blanks (section 5.2 steps 4 to 6).

    Neither noise nor positions are looked at: the draft's own examples hold more noise than its
    algorithm lets a client make.

    :raises MalformedHead: without a blank or a digit, when the blanks do not divide the digits, or
        when the result needs more than 32 bits.
    """
    digits = key.translate(None, _NOT_DIGITS)
    blanks = key.count(b" ")
    if not blanks or not digits:
        raise MalformedHead("a key without blanks or digits")
    if len(digits) > _MOST_DIGITS:
        raise MalformedHead("a key with too many digits")
    number, left = divmod(int(digits), blanks)
    if left or number > _MOST_NUMBER:
        raise MalformedHead("a key whose blanks do not divide its digits into 32 bits")
    return number


def expected_proof(secret: Secret) -> bytes:
    """The sixteen bytes that answer a secret."""
    key1, key2, key3 = secret
    numbers = struct.pack(">II", key_number(key1), key_number(key2))
    return md5(numbers + key3, usedforsecurity=False).digest()


def draw_key(entropy: RandomBytes) -> bytes:
    """
    One key (section 4.1 steps 16 to 24): a product in decimal, noise anywhere, blanks anywhere but
    first and last.

    :param entropy: takes a number of bytes, answers them.
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
    """A number from 0 to ``bound`` - 1; 64 bits make the bias of the remainder immaterial."""
    return int.from_bytes(entropy(8), "big") % bound
