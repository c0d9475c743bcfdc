"""URLs as the WHATWG standard parses them for a script, and the exceptions of its ``WebSocket``."""

from __future__ import annotations

from typing import Final

from ..sansio.arguments import whole_text
from ..sansio.errors import UsageError
from ..sansio.http.url import WebSocketURL, parse_url
from ..sansio.wire.frame import MOST_CONTROL

MOST_REASON: Final = MOST_CONTROL - 2
"""Most bytes of a close reason: a close frame has two more for its close code."""


_SCHEMES: Final = {"http": "ws", "https": "wss"}
_BLANKS: Final = "".join(map(chr, range(0x21)))
_NO_BREAKS: Final = dict.fromkeys(map(ord, "\t\r\n"))


class DOMException(UsageError):
    """
    Exception that the standard's ``WebSocket`` throws.

    :cvar name: name of the exception in the standard.
    """

    name = "Error"


class InvalidSyntax(DOMException, ValueError):
    """The standard's ``SyntaxError``: a bad URL, subprotocol or close reason."""

    name = "SyntaxError"


class InvalidState(DOMException):
    """The standard's ``InvalidStateError``: ``send`` before the connection is open."""

    name = "InvalidStateError"


class InvalidAccess(DOMException):
    """The standard's ``InvalidAccessError``: a close code that a script may not send."""

    name = "InvalidAccessError"


def resolved(url: str) -> tuple[str, WebSocketURL]:
    """
    Parse the URL of a script, after ``http:`` is changed to ``ws:`` and ``https:`` to ``wss:``.

    :return: the URL with the scheme ``ws:`` or ``wss:``, and the parsed URL.
    :raises InvalidSyntax: for a bad URL, with the reason.
    """
    # The URL standard removes blanks and control characters at either end, and tabs and line breaks
    # anywhere; a backslash is a slash, and any number of slashes may precede the host.
    url = scalar_values(whole_text("url", url)).strip(_BLANKS).translate(_NO_BREAKS)
    scheme, colon, rest = url.partition(":")
    scheme = _SCHEMES.get(scheme.lower(), scheme)
    path, query, rest = rest.partition("?")
    path = path.replace("\\", "/").lstrip("/")
    url = f"{scheme}{colon}//{path}{query}{rest}"
    try:
        return url, parse_url(url)
    except ValueError as error:
        raise InvalidSyntax(str(error)) from None


def scalar_values(text: str) -> str:
    """Join each pair of surrogates, and replace each lone surrogate with U+FFFD, as in UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
