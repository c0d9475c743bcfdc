"""The handshake without keys: the slides of 2009, hixie-54 and hixie-75.

The answer proves nothing: it repeats what the request said. The drafts fix the first three lines of
either side to the byte (draft-hixie-thewebsocketprotocol-75 sections 4.1 and 5.2). A client holds
an answer to that. A server of hixie-75 does not hold a request to it: nginx, Apache, lighttpd and
Caddy reorder the fields, and a page cannot set ``Upgrade`` anyway. The slides' own dialect, which
shipped nowhere, stays as the slides have it.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import HandshakeRefused, InvalidHandshake, MalformedHead, UnsupportedByDialect
from ..http.head import Fields, Head, Request, checked_pairs
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
"""The second and third line of an answer, and of a request of the slides' dialect."""

_STATUS_LINE: Final = b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
_STATUS: Final = re.compile(rb"[^ ]* ([^ ]*) .*")
_LENIENT_STATUS: Final = re.compile(rb"HTTP/1\.[01] 101(?: .*)?")


class Hixie75:
    """
    Both halves, for a dialect whose request names its origin in ``origin_field``.

    The one difference between the slides (``WebSocket-Origin``) and the drafts (``Origin``).
    """

    __slots__ = ("_dialect", "_fixed", "_lenient", "_origin_field")

    def __init__(
        self, dialect: str, origin_field: bytes, *, fixed: bool = False, lenient: bool = False
    ) -> None:
        """
        :param fixed: as a server, hold the second and third line of a request to the letter.
        :param lenient: as a client, take an answer whose status line has another phrase (servers
            that write hixie-76's) and whose fields stand in any order and case (Netty's server,
            reverse proxies).
        """
        self._dialect = dialect
        self._origin_field = origin_field
        self._fixed = fixed
        self._lenient = lenient

    def leniently(self) -> Hixie75:
        """The same, for a client of servers that are nearly right."""
        return Hixie75(self._dialect, self._origin_field, fixed=self._fixed, lenient=True)

    def draw(self, entropy: RandomBytes) -> Secret:
        """No key, so nothing to draw."""
        return ()

    def write_offer(self, offer: Offer, secret: Secret) -> bytes:
        """
        The request, in the order hixie-75 gives it.

        :raises UnsupportedByDialect: for more than one subprotocol: these drafts have room for one
            string.
        :raises ValueError: for an origin or a subprotocol that would end its line.
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
        :raises MalformedHead: when the values of ``Upgrade`` and ``Connection`` are others (the
            slides' dialect: their lines), or a field says two things.
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
        """Nothing follows the head."""
        return 0

    def early_bytes(self) -> bool:
        """These clients wait: bytes that follow the head are somebody else's request."""
        return False

    def write_agreement(self, offer: Offer, agreement: Agreement) -> bytes:
        """The answer: its fields in the one order hixie-75 allows, further ones at the end."""
        pairs: Headers = ((b"WebSocket-Location", offer.location.encode("ascii")),)
        if offer.origin is not None:
            pairs = ((b"WebSocket-Origin", offer.origin.encode("ascii")), *pairs)
        if agreement.subprotocol is not None:
            answer = whole_answer(offer, agreement.subprotocol)
            pairs += ((b"WebSocket-Protocol", answer.encode("ascii")),)
        return Head.of(_STATUS_LINE[:-2], _FIXED + pairs + checked_pairs(agreement.headers)).raw

    def write_proof(self, offer: Offer, body: bytes) -> bytes:
        """There is none."""
        return b""

    def agreement_body(self) -> int:
        """Nothing follows the head."""
        return 0

    def check_proof(self, secret: Secret, body: bytes) -> None:
        """Nothing is proved."""

    def read_agreement(self, offer: Offer, secret: Secret, head: Head) -> Agreement:
        """
        The client's checks of hixie-75 section 4.1, in its order.

        :raises InvalidHandshake: ``status-line``, ``status``, ``prefix``, ``header-syntax``,
            ``empty-name``, ``count:...``, ``origin-mismatch``, ``location-mismatch`` or
            ``protocol-mismatch``.
        :raises HandshakeRefused: for a status that is not 101.
        """
        if self._lenient and _LENIENT_STATUS.fullmatch(head.start_line):
            fields = answer_fields(head)
            if not _asks_for_upgrade(fields):
                raise InvalidHandshake(
                    "prefix", "Upgrade is not 'WebSocket' or Connection not 'Upgrade'"
                )
        else:
            if not head.startswith(_STATUS_LINE):
                self._judge_status(head)
            if not head.startswith(FIXED_LINES, len(_STATUS_LINE)):
                raise InvalidHandshake("prefix", "the second and third line are not the draft's")
            fields = answer_fields(head)
        origin, location = b"websocket-origin", b"websocket-location"
        # A server that saw no Origin has none to repeat; the drafts' own clients always send one.
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
            raise InvalidHandshake("status-line", "the first line is no status line")
        if match[1].isdigit() and len(match[1]) == 3 and match[1] != b"101":
            raise HandshakeRefused(int(match[1]), tuple(answer_fields(head).pairs))
        raise InvalidHandshake("status", "the first line is not the draft's, which is fixed")


def _check_lines(head: Head) -> None:
    if not head.startswith(FIXED_LINES, len(head.start_line) + 2):
        raise MalformedHead(
            "a request of the slides' dialect has 'Upgrade: WebSocket' and 'Connection: Upgrade' "
            "as its second and third line, to the letter"
        )


def _check_values(fields: Fields, origin: str | None) -> None:
    """
    Caddy 2.6 writes the value of ``Upgrade`` in lower case, so that its case tells nothing, except
    where there is no Origin either: clients of hixie-75 write ``WebSocket``, all later ones
    ``websocket``, and a request that was written by hand often lacks the key.
    """
    if not _asks_for_upgrade(fields):
        raise MalformedHead("a request without keys has 'Upgrade: WebSocket' alone")
    if origin is None and fields.stripped(b"upgrade") != [b"WebSocket"]:
        raise MalformedHead("no Sec-WebSocket-Key; hixie-75, without one, has 'Upgrade: WebSocket'")


def _asks_for_upgrade(fields: Fields) -> bool:
    upgrades = [value.lower() for value in fields.stripped(b"upgrade")]
    return upgrades == [b"websocket"] and fields.has_token(b"connection", b"upgrade")


def one_subprotocol(offer: Offer) -> bytes:
    """
    The string that asks for an offer's subprotocols: the only one, or a list in one string, with or
    without its members after it.

    :raises UnsupportedByDialect: when an offer has several subprotocols, for which there is no
        room.
    """
    value = offer.subprotocols[0]
    if offer.subprotocols not in ((value,), whole_subprotocol(value)):
        raise UnsupportedByDialect(f"{offer.dialect} asks for one subprotocol at most")
    return value.encode("ascii")
