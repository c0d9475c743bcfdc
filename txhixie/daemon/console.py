"""The console page as ``twisted.web`` resources: what a browser finds at ``GET /``.

Nothing here knows a WebSocket: the two pages are files, read once at import, and every answer is
settled before the first request comes.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from twisted.web.http import NOT_ALLOWED, NOT_FOUND, OK
from twisted.web.resource import Resource
from twisted.web.server import Request

_NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of a text, and the first half of a page's."""


@dataclass(frozen=True, slots=True)
class _PageAnswer:
    """All of an answer but the fields that every answer has."""

    status: int
    body: bytes
    contentType: str = "text/plain; charset=utf-8"
    policy: str = _NOTHING

    def writeTo(self, request: Request) -> bytes:
        """
        Set status and fields; answer what ``render`` has to answer.

        :return: the body; to a HEAD none, but the Content-Length that a GET would see.
        """
        request.setResponseCode(self.status)
        for name, value in (
            ("Content-Type", self.contentType),
            ("Content-Security-Policy", self.policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-cache"),
        ):
            request.responseHeaders.setRawHeaders(name, [value])
        if request.method != b"HEAD":
            return self.body
        request.responseHeaders.setRawHeaders("Content-Length", [str(len(self.body))])
        return b""


def _hashes(page: bytes, element: bytes) -> str:
    """Name all inline elements of a kind as a Content-Security-Policy does: by their SHA-256."""
    pattern = rb"<%b\b[^>]*>(.*?)</%b>" % (element, element)
    digests = (sha256(inline).digest() for inline in re.findall(pattern, page, re.DOTALL))
    return " ".join(f"'sha256-{b64encode(digest).decode('ascii')}'" for digest in digests)


def _page(name: str, alsoInline: str = "") -> _PageAnswer:
    """
    Read a page of the package and write its policy.

    Allowed are its own script and style, its icon, and WebSockets to anywhere, since a console
    that reaches one server only would be none. Line ends become what an HTML parser makes of
    them: a checkout with CRLF would otherwise be hashed to something that no browser computes.

    :param alsoInline: what the policy says before the hashes.
    """
    page = (files("txhixie.daemon") / "pages" / name).read_bytes().replace(b"\r\n", b"\n")
    policy = (
        f"{_NOTHING}; script-src {alsoInline}{_hashes(page, b'script')}; "
        f"style-src {alsoInline}{_hashes(page, b'style')}; img-src data:; connect-src ws: wss:"
    )
    return _PageAnswer(OK, page, "text/html; charset=utf-8", policy)


_CONSOLE: Final = _page("console.html")
# Browsers of 2012 to 2015 have level 1 of Content-Security-Policy, which knows no hashes: they
# would run nothing. Those that know hashes ignore 'unsafe-inline' beside one.
_CONSOLE_2009: Final = _page("console2009.html", "'unsafe-inline' ")
_MISSING: Final = _PageAnswer(NOT_FOUND, b"Nothing is here.\n")
_WRONG_METHOD: Final = _PageAnswer(
    NOT_ALLOWED, b"The console answers GET and HEAD, nothing else.\n"
)


class _Fixed(Resource):
    """
    One answer to GET and HEAD; whatever lies below is missing.

    Any other method gets a 405, also those that ``twisted.web`` does not know and would itself
    answer with 501.
    """

    def __init__(self, answer: _PageAnswer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        self._answer = answer

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Stand for everything that nothing was put at, at any depth."""
        return _Fixed(_MISSING)

    def render(self, request: Request) -> bytes:
        """Answer at once, reading nothing of the request but its method."""
        if request.method in (b"GET", b"HEAD"):
            return self._answer.writeTo(request)
        request.responseHeaders.setRawHeaders("Allow", ["GET, HEAD"])
        return _WRONG_METHOD.writeTo(request)


def consoleRoot() -> Resource:
    """
    Make the console's tree; ``Site(consoleRoot())`` serves it.

    ``/`` is the console, ``/2009`` its twin for a browser of 2009 to 2012, all else a 404. The
    tree can stand below another one, where its address then ends with a slash: the pages link to
    each other relatively.
    """
    root = _Fixed(_MISSING)
    root.putChild(b"", _Fixed(_CONSOLE))
    root.putChild(b"2009", _Fixed(_CONSOLE_2009))
    return root
