"""Header fields of handshakes: reading and checking."""

from __future__ import annotations

from ..errors import InvalidHandshake, MalformedHead
from ..http.head import Fields, Head, Request, read_authority, text, visible
from .offer import Offer


def read_target(request: Request) -> str:
    """
    Read the request target, which has to be a path.

    :raises MalformedHead: when the target is ``*`` or a name. A target that is an absolute URL was
        replaced by its path before (:func:`txhixie.sansio.opening.origin_form`).
    """
    target = request.target
    if not target.startswith("/"):
        raise MalformedHead(
            "invalid request target: expected a path or an http, https, ws or wss URL"
        )
    return target


def read_host(fields: Fields) -> str:
    """
    Read the ``Host`` field, which responses repeat and which is compared with origins.

    :raises MalformedHead: when the field is missing, duplicate or invalid.
    """
    host = fields.only(b"host")
    if host is None:
        raise MalformedHead("missing Host")
    return read_authority(host)


def read_visible(fields: Fields, name: bytes) -> str | None:
    """
    Read a field that the response repeats: only visible ASCII and spaces are allowed.

    Other characters would allow a client to split the response.

    :raises MalformedHead: for another character, and for a duplicate field.
    """
    value = fields.only(name)
    if value is None:
        return None
    return visible(name, value)


def read_whole_subprotocol(fields: Fields, name: bytes) -> tuple[str, ...]:
    """
    Read the subprotocol of a Hixie request: one string, which may contain commas and spaces.

    The whole string is the first choice; its comma-separated members follow, since web-socket-js
    joins several subprotocols to one string.
    """
    value = read_visible(fields, name)
    return () if not value else whole_subprotocol(value)


def whole_subprotocol(value: str) -> tuple[str, ...]:
    """Return the choices that a subprotocol string of a Hixie request offers."""
    return (value, *members(value)) if "," in value else (value,)


def members(value: str) -> tuple[str, ...]:
    """Return the members of a comma-separated list of subprotocols."""
    return tuple(member for part in value.split(",") if (member := part.strip()))


def whole_answer(offer: Offer, agreed: str) -> str:
    """
    Return the subprotocol for the response to a Hixie client.

    This is the whole string that the client sent, where a member of it was agreed on: WebKit of
    that time compares the strings exactly (PhantomJS 1.9.8: ``protocol mismatch: a,b != a``).
    web-socket-js expects the member; an offer of web-socket-js has no whole string.
    """
    whole = offer.subprotocols[0] if agreed in offer.subprotocols else agreed
    return whole if "," in whole else agreed


def count_once(fields: Fields, *names: bytes) -> None:
    """
    Check that each of these fields is in the response exactly once, as the Hixie drafts require.

    :raises InvalidHandshake: ``count:NAME`` for the first field that fails the check.
    """
    for name in names:
        if (count := len(fields.exact(name))) != 1:
            shown = name.decode("ascii")
            raise InvalidHandshake(f"count:{shown}", f"expected one {shown}, received {count}")


def match_exactly(check: str, fields: Fields, name: bytes, expected: str) -> None:
    """
    Check that the value of a field is exactly the expected one, byte for byte.

    :param check: name of the check, for the error.
    :raises InvalidHandshake: when the value is different.
    """
    received = text(fields.exact(name)[0])
    if received != expected:
        raise InvalidHandshake(check, f"expected {expected!r}, received {received!r}")


def answer_fields(head: Head) -> Fields:
    """
    Read the fields of a response.

    :raises InvalidHandshake: ``header-syntax`` or ``empty-name``.
    """
    try:
        fields = head.fields()
    except MalformedHead as error:
        raise InvalidHandshake("header-syntax", str(error)) from error
    if fields.exact(b""):
        raise InvalidHandshake("empty-name", "header field without a name")
    return fields
