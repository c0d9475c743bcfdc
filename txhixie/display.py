"""Words of a peer, of a program or of the operating system, made safe for a line of a log."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from .sansio.http.redaction import masked_url
from .sansio.http.trusted import unmapped

_escape = codecs.lookup("unicode_escape").encode
"""Looked up now: Python reads a codec from a file at its first use, which may come when no file can
be opened (``EMFILE``)."""

MOST_SHOWN: Final = 200
"""Characters of one field of a peer's that a line shows."""


def shown(value: str) -> str:
    """A peer's words, safe to print: one line, ASCII, not for ever."""
    escaped = _escape(value[:MOST_SHOWN])[0].decode("ascii")
    return escaped + ("..." if len(value) > MOST_SHOWN else "")


def shown_url(url: str) -> str:
    """A URL for a log: without its user, and without the values of its query."""
    return shown(masked_url(url))


def shown_address(address: object) -> str:
    """``host:port``, or the path of a UNIX socket, or what else the transport says. A client that a
    proxy tells of has no port, or 0."""
    host, port = shown_host(address), getattr(address, "port", None)
    return f"{host}:{port}" if port else host


def shown_host(address: object) -> str:
    """
    An address without its port. ``::ffff:192.0.2.1`` is 192.0.2.1, which a socket for both families
    shows so.
    """
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{shown(name.decode('utf-8', 'replace'))}" if name else "unix"
    host = unmapped(host)
    return f"[{host}]" if ":" in host else host


def system_words(error: Exception) -> str:
    """What the operating system has said; empty if it was not asked. Twisted's errors say it with a
    number and a name around it."""
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else ""


_UNKNOWN: Final = re.compile(r"unexpected keyword argument '(\w+)'")


_MISSING: Final = re.compile(r"missing \d+ required [\w-]+ arguments?: (.+)")


def expectation(error: Exception, expected: str) -> str:
    """
    One sentence, "expected ...".

    :param expected: what should have been there, unless it is a file that is to blame.
    """
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return f"expected a file that can be read: {error.strerror or error}{name}"
    if (reasons := reasons_of(error)) is not None:
        return f"expected a certificate and its key, in PEM: {reasons}"
    return f"expected {expected}: {_words(error)}"


def _words(error: Exception) -> str:
    text = str(error)
    if not isinstance(error, TypeError):
        return text or type(error).__name__
    if (unknown := _UNKNOWN.search(text)) is not None:
        return f"it has no {unknown[1]}="
    if (missing := _MISSING.search(text)) is not None:
        return f"without {missing[1].replace(chr(39), '')}"
    return "it takes fewer parts" if "positional" in text else text


def reasons_of(error: BaseException | None) -> str | None:
    """
    OpenSSL's own words: its errors hold a list of library, function and reason each.

    :return: ``None`` if it is not one of these.
    """
    held = error.args[0] if error is not None and error.args else None
    if not isinstance(held, list):
        return None
    return ", ".join(str(entry[-1]) for entry in held) or "nothing of the kind"


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """
    Suggest the known name that is most like a given one.

    :param prefix: is written before the name, such as the dashes of an option.
    :return: the suggestion as the end of a sentence; empty if no name is similar enough.
    """
    found = get_close_matches(name, list(known), 1)
    return f"; did you mean {prefix}{found[0]}?" if found else ""
