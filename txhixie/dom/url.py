"""What a page's script says of a socket, as the WHATWG's standard reads it, and what that has a
script told at once. It knows no socket.
"""

from __future__ import annotations

from typing import Final

from ..sansio.arguments import whole_text
from ..sansio.errors import UsageError
from ..sansio.http.url import WebSocketURL, parse_url
from ..sansio.wire.frame import MOST_CONTROL

MOST_REASON: Final = MOST_CONTROL - 2
"""Bytes of a reason that a closing frame has room for, beside its code."""


_MEANT: Final = {"http": "ws", "https": "wss"}
_UNSEEN: Final = "".join(map(chr, range(0x21)))
_NO_BREAKS: Final = dict.fromkeys(map(ord, "\t\r\n"))


class DOMException(UsageError):
    """
    What the standard has a script told at once.

    :cvar name: which, in its words.
    """

    name = "Error"


class InvalidSyntax(DOMException, ValueError):
    """A ``SyntaxError`` of the standard's: a bad URL, subprotocol or reason."""

    name = "SyntaxError"


class InvalidState(DOMException):
    """An ``InvalidStateError``: a send before the socket is open."""

    name = "InvalidStateError"


class InvalidAccess(DOMException):
    """An ``InvalidAccessError``: a closing code that is not a script's to send."""

    name = "InvalidAccessError"


def resolved(url: str) -> tuple[str, WebSocketURL]:
    """
    A script's URL, with the scheme that is meant, and what it consists of.

    :raises InvalidSyntax: saying what is wrong with it.
    """
    # As the URL standard has it: without what is not seen at either end, and lines' ends anywhere;
    # a backslash is a slash, and how many there are before the host does not matter.
    url = scalar_values(whole_text("url", url)).strip(_UNSEEN).translate(_NO_BREAKS)
    scheme, colon, rest = url.partition(":")
    meant = _MEANT.get(scheme.lower(), scheme)
    place, query, rest = rest.partition("?")
    place = place.replace("\\", "/").lstrip("/")
    url = f"{meant}{colon}//{place}{query}{rest}"
    try:
        return url, parse_url(url)
    except ValueError as error:
        raise InvalidSyntax(str(error)) from None


def scalar_values(text: str) -> str:
    """Text as UTF-8 can carry it: pairs of surrogates joined, each lone one U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
