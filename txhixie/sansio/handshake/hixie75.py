"""Handshake without keys: hixie-54 (the slides of 2009) and hixie-75.

The response proves nothing: it repeats values of the request. The drafts define the first three
lines of the request and of the response byte for byte (draft-hixie-thewebsocketprotocol-75 sections
4.1 and 5.2). A client checks those lines of a response. A server of hixie-75 does not check them:
nginx, Apache, lighttpd and Caddy reorder the fields of a request, and a page cannot set ``Upgrade``
anyway. hixie-54, which no browser shipped, keeps the check that the slides define.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import HandshakeRefused, InvalidHandshake, MalformedHead, UnsupportedByDialect
from ..http.head import Fields, Head, Request, checked_pairs, head_bytes
from ..types import Headers, RandomBytes
from .fields import (
    answer_fields,
    count_once,
    match_exactly,
    read_host,
    read_target,
    read_visible,
    read_whole_subprotocol,
    whole_answer,
    whole_subprotocol,
)
from .offer import Agreement, Offer, Secret

_FIXED: Final[Headers] = ((b"Upgrade", b"WebSocket"), (b"Connection", b"Upgrade"))

FIXED_LINES: Final = b"Upgrade: WebSocket\r\nConnection: Upgrade\r\n"
"""Lines 2 and 3 of a response, and of a hixie-54 request."""

_STATUS_LINE: Final = b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
_STATUS: Final = re.compile(rb"[^ ]* ([^ ]*) .*")
_LENIENT_STATUS: Final = re.compile(rb"HTTP/1\.[01] 101(?: .*)?")


class Hixie75:
    """
    Handshake of hixie-54 or hixie-75, for the client and for the server.

    The dialects differ in the field that holds the origin of a request: ``WebSocket-Origin`` in
    hixie-54, ``Origin`` in hixie-75.
    """

    __slots__ = ("_dialect", "_fixed", "_lenient", "_origin_field")

    def __init__(
        self, dialect: str, origin_field: bytes, *, fixed: bool = False, lenient: bool = False
    ) -> None:
        """
        Create the handshake of one dialect.

        :param dialect: name of the dialect.
        :param origin_field: name of the field that holds the origin of a request.
        :param fixed: whether a server requires lines 2 and 3 of a request byte for byte.
        :param lenient: whether a client accepts a response with another reason phrase (some servers
            send the phrase of hixie-76), and with fields in any order and case (Netty's server,
            reverse proxies).
        """
        self._dialect = dialect
        self._origin_field = origin_field
        self._fixed = fixed
        self._lenient = lenient

    def leniently(self) -> Hixie75:
        """Return this handshake for a client that accepts responses with known deviations."""
        return Hixie75(self._dialect, self._origin_field, fixed=self._fixed, lenient=True)

    def draw(self, entropy: RandomBytes) -> Secret:
        """Return an empty secret: these dialects have no keys."""
        return ()

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """
        Return the bytes of the request, its fields in the order of hixie-75.

        :raises UnsupportedByDialect: for more than one subprotocol: these drafts have room for one
            string.
        :raises ValueError: for an origin or a subprotocol that contains a line end or another
            control character.
        """
        pairs: Headers = ((b"Host", offer.host.encode("ascii")),)
        if offer.origin is not None:
            pairs += ((self._origin_field, offer.origin.lower().encode("ascii")),)
        if offer.subprotocols:
            pairs += ((b"WebSocket-Protocol", one_subprotocol(offer)),)
        request_line = b"GET %b HTTP/1.1" % offer.target.encode("ascii")
        return Head.of(request_line, checked_pairs(_FIXED + pairs)).extended(offer.head).raw

    def read_offer(self, request: Request, secure: bool) -> Offer:
        """
        Read a request.

        :raises MalformedHead: when ``Upgrade`` and ``Connection`` have other values (hixie-54: when
            lines 2 and 3 differ), or when a field is ambiguous.
        """
        head, fields = request.head, request.fields
        origin = read_visible(fields, self._origin_field.lower())
        if self._fixed:
            _check_lines(head)
        else:
            _check_values(fields, origin)
        return Offer(
            self._dialect,
            read_target(request),
            read_host(fields),
            origin,
            secure,
            read_whole_subprotocol(fields, b"websocket-protocol"),
            head=head,
        )

    def offer_body(self) -> int:
        """Return 0: no bytes follow the head of a request."""
        return 0

    def early_bytes(self) -> bool:
        """Return ``False``: these clients wait, so bytes after the head are another request."""
        return False

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """Return the head of the response, in the order of hixie-75, further fields at the end."""
        pairs: Headers = ((b"WebSocket-Location", offer.location.encode("ascii")),)
        if offer.origin is not None:
            pairs = ((b"WebSocket-Origin", offer.origin.encode("ascii")), *pairs)
        if agreement.subprotocol is not None:
            answer = whole_answer(offer, agreement.subprotocol)
            pairs += ((b"WebSocket-Protocol", answer.encode("ascii")),)
        return head_bytes(_STATUS_LINE[:-2], _FIXED + pairs + checked_pairs(agreement.headers))

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """Return no bytes: these dialects have no proof."""
        return b""

    def agreement_body(self) -> int:
        """Return 0: no bytes follow the head of a response."""
        return 0

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """Accept every response: these dialects have no proof."""

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        Read a response, with the client's checks of hixie-75 section 4.1 in their order.

        :raises InvalidHandshake: ``status-line``, ``status``, ``prefix``, ``header-syntax``,
            ``empty-name``, ``count:...``, ``origin-mismatch``, ``location-mismatch`` or
            ``protocol-mismatch``.
        :raises HandshakeRefused: for a status that is not 101.
        """
        if self._lenient and _LENIENT_STATUS.fullmatch(head.start_line):
            fields = answer_fields(head)
            if not _asks_for_upgrade(fields):
                raise InvalidHandshake(
                    "prefix", "expected 'Upgrade: WebSocket' and 'Connection: Upgrade'"
                )
        else:
            if not head.startswith(_STATUS_LINE):
                self._judge_status(head)
            if not head.startswith(FIXED_LINES, len(_STATUS_LINE)):
                raise InvalidHandshake(
                    "prefix",
                    "expected 'Upgrade: WebSocket' and 'Connection: Upgrade' as the lines 2 and 3",
                )
            fields = answer_fields(head)
        origin, location = b"websocket-origin", b"websocket-location"
        # A server repeats the Origin of the request. Clients of the drafts always send an Origin.
        count_once(fields, *((origin,) if offer.origin is not None else ()), location)
        if offer.subprotocols:
            count_once(fields, b"websocket-protocol")
        if offer.origin is not None:
            match_exactly("origin-mismatch", fields, origin, offer.origin.lower())
        match_exactly("location-mismatch", fields, location, offer.location)
        if offer.subprotocols:
            asked = offer.subprotocols[0]
            match_exactly("protocol-mismatch", fields, b"websocket-protocol", asked)
            return Agreement(asked, tuple(fields.pairs))
        return Agreement(None, tuple(fields.pairs))

    def _judge_status(self, head: Head) -> None:
        match = _STATUS.fullmatch(head.start_line)
        if match is None:
            raise InvalidHandshake("status-line", "invalid status line")
        if match[1].isdigit() and len(match[1]) == 3 and match[1] != b"101":
            raise HandshakeRefused(int(match[1]), tuple(answer_fields(head).pairs))
        raise InvalidHandshake("status", "expected 'HTTP/1.1 101 Web Socket Protocol Handshake'")


def _check_lines(head: Head) -> None:
    if not head.startswith(FIXED_LINES, len(head.start_line) + 2):
        raise MalformedHead(
            "expected 'Upgrade: WebSocket' and 'Connection: Upgrade' as the lines 2 and 3 of a "
            "hixie-54 request"
        )


def _check_values(fields: Fields, origin: str | None) -> None:
    """
    Check the values of ``Upgrade`` and ``Connection`` in a hixie-75 request.

    ``Upgrade`` may have any case, since Caddy 2.6 writes its value in lower case. Without an Origin
    the case matters: clients of hixie-75 send ``WebSocket``, later clients send ``websocket``, and
    in a request that was written by hand the key is often missing.
    """
    if not _asks_for_upgrade(fields):
        raise MalformedHead(
            "expected 'Upgrade: WebSocket' as the only Upgrade of a request without keys"
        )
    if origin is None and fields.stripped(b"upgrade") != [b"WebSocket"]:
        raise MalformedHead(
            "missing Sec-WebSocket-Key (and no 'Upgrade: WebSocket', as in hixie-75)"
        )


def _asks_for_upgrade(fields: Fields) -> bool:
    upgrades = [value.lower() for value in fields.stripped(b"upgrade")]
    return upgrades == [b"websocket"] and fields.has_token(b"connection", b"upgrade")


def one_subprotocol(offer: Offer) -> bytes:
    """
    Return the subprotocol string of a request: the first subprotocol of the offer.

    The offer may have further subprotocols only where they are the members of the first, which is
    then a comma-separated list.

    :raises UnsupportedByDialect: when the offer has several subprotocols: a Hixie request has room
        for one string.
    """
    value = offer.subprotocols[0]
    if offer.subprotocols not in ((value,), whole_subprotocol(value)):
        raise UnsupportedByDialect(f"{offer.dialect} has room for one subprotocol; pass one")
    return value.encode("ascii")
