"""Basic authentication of HTTP (RFC 7617): the credentials of a client, and the challenge."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Final, NamedTuple

DEFAULT_REALM: Final = "WebSocket"
"""Realm without the option ``realm``. A browser sends a password to every page of a host and port
with the same realm, so a page and its WebSocket have the same realm by default."""

_BASIC: Final = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_REALM: Final = re.compile(r"[ -~]+")


class BasicCredentials(NamedTuple):
    """
    User name and password of a request, both in UTF-8.

    :ivar name: the user name, without a colon.
    :ivar password: the password, which may have colons.
    """

    name: bytes
    password: bytes

    def __repr__(self) -> str:
        return "BasicCredentials(...)"  # a traceback may show it


def is_basic(field: str) -> bool:
    """Whether the value of ``Authorization`` begins with the scheme Basic."""
    return field[:5].lower() == "basic" and not field[5:6].strip(" \t,")


def read_basic(field: str) -> BasicCredentials | None:
    """
    Read the credentials of an ``Authorization`` field.

    Browsers and curl send UTF-8. Bytes that are not UTF-8 are read as ISO 8859-1, which browsers of
    before 2018 send (RFC 7617 section 2.1 lets a client choose).

    :param field: value of the field, decoded as ISO 8859-1.
    :return: ``None`` for another scheme, for base64 that cannot be decoded, and for credentials
        without a colon or with a control character (RFC 7617 section 2).
    """
    found = _BASIC.fullmatch(field.strip(" \t"))
    if found is None:
        return None
    try:
        pair = b64decode(found[1], validate=True)
    except ValueError:
        return None
    name, colon, password = _in_utf8(pair).partition(b":")
    if not colon or _CONTROL.search(pair):
        return None
    return BasicCredentials(name, password)


def _in_utf8(pair: bytes) -> bytes:
    try:
        pair.decode("utf-8")
    except UnicodeDecodeError:
        return pair.decode("latin-1").encode("utf-8")
    return pair


def read_realm(text: str) -> str:
    """
    Return the realm of a challenge, which a browser may show beside the question for a password.

    :raises ValueError: for text that is not printable ASCII, which browsers read in different ways.
    """
    if not _REALM.fullmatch(text):
        raise ValueError("expected a realm of printable ASCII")
    return text


def write_basic_challenge(realm: str) -> bytes:
    """Return the value of ``WWW-Authenticate`` that asks for a user name and a password."""
    quoted = re.sub(r'(["\\])', r"\\\1", realm)
    return f'Basic realm="{quoted}", charset="UTF-8"'.encode("ascii")
