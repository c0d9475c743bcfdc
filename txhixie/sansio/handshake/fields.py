"""The fields of a head, as the handshakes read them: each check once, and what it raises."""

from __future__ import annotations

from ..errors import InvalidHandshake, MalformedHead
from ..http.head import Fields, Head, Request, read_authority, text, visible
from .offer import Offer


def read_target(request: Request) -> str:
    """
    The resource that a request asks for.

    :raises MalformedHead: when it is no path: ``*``, or a name. An absolute URL has been taken
        apart before (:func:`txhixie.sansio.opening.origin_form`).
    """
    target = request.target
    if not target.startswith("/"):
        raise MalformedHead("the target of a handshake is a path, or an http or ws URL")
    return target


def read_host(fields: Fields) -> str:
    """
    The ``Host`` field, which is repeated in answers and compared with origins.

    :raises MalformedHead: when it is missing, doubled or no host.
    """
    host = fields.only(b"host")
    if host is None:
        raise MalformedHead("no Host field")
    return read_authority(host)


def read_visible(fields: Fields, name: bytes) -> str | None:
    """
    A field that is repeated in the answer: visible ASCII and blanks, or it splits responses.

    :raises MalformedHead: for anything else, and when it came twice.
    """
    value = fields.only(name)
    if value is None:
        return None
    return visible(name, value)


def read_whole_subprotocol(fields: Fields, name: bytes) -> tuple[str, ...]:
    """
    The Hixie drafts' subprotocol: one string, which may hold a comma or a blank. It is compared
    whole first, and only then as the list into which web-socket-js joins several.
    """
    value = read_visible(fields, name)
    return () if not value else whole_subprotocol(value)


def whole_subprotocol(value: str) -> tuple[str, ...]:
    """One string of the drafts as the choices it offers."""
    return (value, *members(value)) if "," in value else (value,)


def members(value: str) -> tuple[str, ...]:
    """The members of a list of subprotocols that is one string."""
    return tuple(member for part in value.split(",") if (member := part.strip()))


def whole_answer(offer: Offer, agreed: str) -> str:
    """
    The subprotocol as the answer to a Hixie client has it: the whole string that the client sent,
    where a member of it was agreed on.

    WebKit of that time compares the two to the letter (PhantomJS 1.9.8: ``protocol mismatch: a,b
    != a``). A client that wants the member, web-socket-js, has no whole string in its offer.
    """
    whole = offer.subprotocols[0] if agreed in offer.subprotocols else agreed
    return whole if "," in whole else agreed


def count_once(fields: Fields, *names: bytes) -> None:
    """
    The drafts' clients count fields: each of these exactly once.

    :raises InvalidHandshake: ``count:NAME`` for the first that is not.
    """
    for name in names:
        if (count := len(fields.exact(name))) != 1:
            shown = name.decode("ascii")
            raise InvalidHandshake(f"count:{shown}", f"{shown} came {count} times")


def match_exactly(check: str, fields: Fields, name: bytes, expected: str) -> None:
    """
    :raises InvalidHandshake: ``check`` when the field's value is another, to the byte.
    """
    received = text(fields.exact(name)[0])
    if received != expected:
        raise InvalidHandshake(check, f"expected {expected!r}, received {received!r}")


def answer_fields(head: Head) -> Fields:
    """
    The fields of an answer.

    :raises InvalidHandshake: ``header-syntax`` or ``empty-name``.
    """
    try:
        fields = head.fields()
    except MalformedHead as error:
        raise InvalidHandshake("header-syntax", str(error)) from error
    if fields.exact(b""):
        raise InvalidHandshake("empty-name", "a field without a name")
    return fields
