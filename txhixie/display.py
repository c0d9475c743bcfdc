"""Text of peers, programs and the operating system, made safe for a log line."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable
from typing import Final

from .sansio.http.redaction import masked_url
from .sansio.http.trusted import unmapped

_escape = codecs.lookup("unicode_escape").encode
"""The codec, looked up at import: Python loads a codec from a file at its first use, when it may be
impossible to open a file (``EMFILE``)."""

MOST_SHOWN: Final = 200
"""Most characters of one text of a peer in a log line."""


def shown(value: str, most: int = MOST_SHOWN) -> str:
    """
    Return the text of a peer as one line of ASCII, escaped and truncated.

    :param most: characters that are left.
    """
    escaped = _escape(value[:most])[0].decode("ascii")
    return escaped + ("..." if len(value) > most else "")


def shown_url(url: str) -> str:
    """Return a URL for a log line: without its user, and without the values of its query."""
    return shown(masked_url(url))


def shown_address(address: object) -> str:
    """
    Return an address as ``host:port`` or as the path of a UNIX socket.

    The port is left out if it is 0 or missing, as for a client that a reverse proxy forwards.
    """
    host, port = shown_host(address), getattr(address, "port", None)
    return f"{host}:{port}" if port else host


def shown_host(address: object) -> str:
    """
    Return the host of an address, without its port.

    The host of ``::ffff:192.0.2.1`` is 192.0.2.1: a socket for both families shows IPv4 clients so.
    """
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{shown(name.decode('utf-8', 'replace'))}" if name else "unix"
    host = unmapped(host)
    return f"[{host}]" if ":" in host else host


def system_words(error: Exception) -> str:
    """
    Return the operating system's text for an error; empty for an error without ``osError``.

    The texts of Twisted's errors also have a number and a name.
    """
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else ""


_UNKNOWN: Final = re.compile(r"unexpected keyword argument '([\w-]+)'")


_MISSING: Final = re.compile(r"missing \d+ required [\w-]+ arguments?: (.+)")


def expectation(error: Exception, expected: str) -> str:
    """
    Return the text of an error in a configuration, which has the word "expected".

    :param error: the error that was raised for a value; a text that says what is expected stays.
    :param expected: description of a valid value; not used for errors of files.
    """
    if isinstance(error, OSError):
        name = f": {error.filename}" if error.filename else ""
        return f"expected a file that can be read: {error.strerror or error}{name}"
    if (reasons := reasons_of(error)) is not None:
        return f"expected a certificate and its key, in PEM: {reasons}"
    words = _words(error)
    is_complete = isinstance(error, ValueError) and "expected " in words
    return words if is_complete else f"expected {expected}: {words}"


def _words(error: Exception) -> str:
    text = str(error)
    if not isinstance(error, TypeError):
        return text or type(error).__name__
    if (unknown := _UNKNOWN.search(text)) is not None:
        return f"unknown option {unknown[1]}="
    if (missing := _MISSING.search(text)) is not None:
        return f"missing {missing[1].replace(chr(39), '')}"
    return "too many parts" if "positional" in text else text


def reasons_of(error: BaseException | None) -> str | None:
    """
    Return the reasons of an OpenSSL error with a list of (library, function, reason).

    :return: the reasons as text; ``None`` for another error.
    """
    held = error.args[0] if error is not None and error.args else None
    if not isinstance(held, list):
        return None
    return ", ".join(str(entry[-1]) for entry in held) or "no reason given"


def sent(what: str) -> str:
    """Return the reason of a log line about something that a peer has sent: with its article."""
    return f"sent {'an' if what[0] in 'aeiouAEIOU' else 'a'} {what}"


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """
    Suggest the known name that is most like a given one.

    :param prefix: is written before the name, such as the dashes of an option.
    :return: the suggestion as the end of a sentence; empty if no name is similar enough.
    """
    from difflib import get_close_matches  # imported for a mistake only

    found = get_close_matches(name, list(known), 1)
    return f"; did you mean {prefix}{found[0]}?" if found else ""
