"""Length of the body of a request (RFC 9112 section 6)."""

from __future__ import annotations

import re
from typing import Final

from ..errors import BodyTooLarge, MalformedHead, UnknownTransferCoding
from .head import Fields

_LENGTH: Final = re.compile(rb"[0-9]+")

_MOST_DIGITS: Final = 18
"""Most digits of a plausible length. Python raises for a number of more than 4300 digits."""

MOST_LENGTH: Final = 10**_MOST_DIGITS - 1
"""Largest plausible length in bytes."""


def announced_body(fields: Fields, minor: int, most: int = MOST_LENGTH) -> int | None:
    """
    Return the length of the body of a request, and refuse a body that is too long.

    :param minor: the minor version of HTTP/1.
    :param most: most bytes of a body. With 0, a body of unknown length is refused too.
    :return: bytes; 0 for a request without a body, ``None`` for a chunked body.
    :raises BodyTooLarge: for more than ``most`` bytes.
    :raises MalformedHead: for an invalid or duplicate length, and for both a length and a transfer
        coding: two servers that disagree about the end of a request allow request smuggling (RFC
        9112 section 11.2).
    :raises UnknownTransferCoding: for another coding than ``chunked``.
    """
    codings = fields.stripped(b"transfer-encoding")
    lengths = fields.stripped(b"content-length")
    if codings and (lengths or minor == 0):
        raise MalformedHead("unexpected Transfer-Encoding")
    if codings:
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise UnknownTransferCoding("unsupported transfer coding: expected chunked")
        if most == 0:
            raise BodyTooLarge("unexpected request body")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise MalformedHead("invalid Content-Length")
    digits = lengths[0].lstrip(b"0") or b"0"
    if len(digits) > _MOST_DIGITS or int(digits) > most:
        if most == 0:
            raise BodyTooLarge("unexpected request body")
        raise BodyTooLarge(f"request body exceeds the limit of {most} bytes")
    return int(digits)
