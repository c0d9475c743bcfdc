"""A handshake as one call: an offer or an answer in, its result out."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from support.chunks import Chunks
from support.vectors import Item, dialect_of
from txhixie.errors import HandshakeError, HandshakeRefused, InvalidHandshake
from txhixie.sansio.dialects import DIALECTS, Dialect, named
from txhixie.sansio.handshake.offer import Agreement, Offer, Secret
from txhixie.sansio.http.head import Head, Request, read_request
from txhixie.sansio.http.url import parse_url
from txhixie.sansio.limits import Limits
from txhixie.sansio.opening import ClientOpening, Elsewhere, ServerOpening

LIMITS: Final = Limits()


def server_opening(*spoken: str, secure: bool = False, limits: Limits = LIMITS) -> ServerOpening:
    """The opening of a server, for some dialects or for all."""
    rows = tuple(named(name) for name in spoken) or DIALECTS
    return ServerOpening(rows, limits, secure)


def client_opening(offer: Offer, secret: Secret, limits: Limits = LIMITS) -> ClientOpening:
    """The opening of a client, with a known secret."""
    return ClientOpening(named(offer.dialect).handshake, offer, secret, limits)


@dataclass
class Served:
    """
    The result of a delivery of bytes to a server.

    :ivar found: an offer, a request without WebSocket, or an error; ``None`` while the request is
        incomplete.
    :ivar answer: the handshake response, with the proof as far as its bytes have arrived.
    :ivar proved: whether the handshake is complete.
    :ivar rest: the bytes after the handshake.
    """

    found: Offer | Elsewhere | type[HandshakeError] | None = None
    answer: bytes = b""
    proved: bool = False
    rest: bytes = b""


def serve(
    chunks: Chunks,
    *spoken: str,
    secure: bool = False,
    agreement: Agreement | None = None,
    limits: Limits = LIMITS,
) -> Served:
    """Deliver a request to a server that accepts every offer at once."""
    opening = server_opening(*spoken, secure=secure, limits=limits)
    served = Served()
    for chunk in chunks:
        try:
            if served.proved:
                served.rest += chunk
            elif isinstance(served.found, Elsewhere):
                served.found = Elsewhere(served.found.head, served.found.rest + chunk)
            elif isinstance(served.found, Offer):
                opening.keep(chunk)
            else:
                served.found = opening.receive(chunk)
                if isinstance(served.found, Offer):
                    served.answer = opening.agree(agreement or Agreement())
            if served.answer and not served.proved and (proof := opening.proof()) is not None:
                served.answer += proof
                served.proved = True
                served.rest = opening.rest
        except HandshakeError as error:
            return Served(type(error))
    return served


def ask(offer: Offer, secret: Secret, chunks: Chunks, *, ends: bool = True) -> tuple[object, bytes]:
    """
    Deliver a response to a client.

    :return: an agreement, the check that failed, or the status of a refusal; ``None`` while the
        response is incomplete; and the bytes after the response.
    """
    opening = client_opening(offer, secret)
    try:
        for index, chunk in enumerate(chunks):
            if (agreement := opening.receive(chunk)) is not None:
                return agreement, opening.rest + b"".join(chunks[index + 1 :])
        if ends:
            opening.end()
    except InvalidHandshake as error:
        return error.check, b""
    except HandshakeRefused as refused:
        return refused.status, refused.body
    return None, b""


def offer_of(item: Item) -> Offer:
    """The request of the client in a vector."""
    url = parse_url(item["url"])
    protocol = item.get("protocol")
    subprotocols = [protocol] if isinstance(protocol, str) else protocol or []
    return Offer(
        dialect_of(item),
        url.resource,
        url.authority,
        item["origin"],
        url.secure,
        tuple(subprotocols),
    )


def secret_of(head: Head, body: bytes) -> Secret:
    """The secret of a request: its keys, and the bytes after its head."""
    fields = head.fields()
    names = (b"sec-websocket-key", b"sec-websocket-key1", b"sec-websocket-key2")
    keys = [value for name in names for value in fields.stripped(name)]
    return (*keys, body) if body else tuple(keys)


def cut(data: bytes) -> tuple[Head, bytes]:
    """Split bytes into a head and the bytes after the head."""
    raw, blank, body = data.partition(b"\r\n\r\n")
    return Head(raw + blank), body


def request_of(head: Head | bytes) -> Request:
    """Parse a request."""
    return read_request(head if isinstance(head, Head) else Head(head))


def offers(row: Dialect, *, origin: str | None = "http://example.com") -> Offer:
    """An offer in a dialect, without options."""
    return Offer(row.name, "/demo", "example.com", origin)


def drawn(row: Dialect) -> Secret:
    """A secret that is the same each time."""
    return row.handshake.draw(Random(76).randbytes)
