"""The console page as ``twisted.web`` resources: the response to ``GET /`` of a browser.

The two pages are files, which are read once at import. All responses are made before the first
request; this module has no WebSocket.
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
"""Content-Security-Policy of a plain text, and the first half of the policy of a page."""


@dataclass(frozen=True, slots=True)
class _PageAnswer:
    """Response: its status, body, content type and Content-Security-Policy."""

    status: int
    body: bytes
    contentType: str = "text/plain; charset=utf-8"
    policy: str = _NOTHING

    def writeTo(self, request: Request) -> bytes:
        """
        Set the status and the header fields of a response.

        :return: the body, for ``render``; empty for a HEAD request, which gets the Content-Length
            of a GET request.
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
    """
    Return the sources of a Content-Security-Policy for all inline elements of a kind.

    :param page: the HTML page.
    :param element: name of the element, ``script`` or ``style``.
    :return: the SHA-256 of each element.
    """
    pattern = rb"<%b\b[^>]*>(.*?)</%b>" % (element, element)
    digests = (sha256(inline).digest() for inline in re.findall(pattern, page, re.DOTALL))
    return " ".join(f"'sha256-{b64encode(digest).decode('ascii')}'" for digest in digests)


def _page(name: str, alsoInline: str = "") -> _PageAnswer:
    """
    Read a page of the package and make its Content-Security-Policy.

    The policy allows the page's own script and style, its icon, and WebSocket connections to any
    server, since a console has to reach any server. Line ends become LF, as in an HTML parser: of a
    checkout with CRLF, a browser would compute another hash.

    :param name: name of the file.
    :param alsoInline: further sources for scripts and styles, before the hashes.
    """
    page = (files("txhixie.daemon") / "pages" / name).read_bytes().replace(b"\r\n", b"\n")
    policy = (
        f"{_NOTHING}; script-src {alsoInline}{_hashes(page, b'script')}; "
        f"style-src {alsoInline}{_hashes(page, b'style')}; img-src data:; connect-src ws: wss:"
    )
    return _PageAnswer(OK, page, "text/html; charset=utf-8", policy)


_CONSOLE: Final = _page("console.html")
# Browsers of 2012 to 2015 have level 1 of Content-Security-Policy, which has no hashes: without
# 'unsafe-inline' they would run no script. Browsers with hashes ignore 'unsafe-inline' beside one.
_CONSOLE_2009: Final = _page("console2009.html", "'unsafe-inline' ")
_MISSING: Final = _PageAnswer(NOT_FOUND, b"Not found. The console page is at /.\n")
_WRONG_METHOD: Final = _PageAnswer(
    NOT_ALLOWED, b"Method not allowed. The console page accepts GET and HEAD.\n"
)


class _Fixed(Resource):
    """
    Resource with one response to GET and HEAD; each path below is a 404.

    Any other method gets a 405, also a method that ``twisted.web`` does not know and would refuse
    with 501.
    """

    def __init__(self, answer: _PageAnswer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        self._answer = answer

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return a resource with a 404 for each path below, at any depth."""
        return _Fixed(_MISSING)

    def render(self, request: Request) -> bytes:
        """Respond at once; of the request only the method is used."""
        if request.method in (b"GET", b"HEAD"):
            return self._answer.writeTo(request)
        request.responseHeaders.setRawHeaders("Allow", ["GET, HEAD"])
        return _WRONG_METHOD.writeTo(request)


def consoleRoot() -> Resource:
    """
    Make the root resource of the console page; ``Site(consoleRoot())`` serves the page.

    ``/`` is the console page, ``/2009`` the page for browsers of 2009 to 2012; any other path is a
    404. The root can be a child of another resource. Its path then has to end with a slash, since
    the links between the pages are relative.
    """
    root = _Fixed(_MISSING)
    root.putChild(b"", _Fixed(_CONSOLE))
    root.putChild(b"2009", _Fixed(_CONSOLE_2009))
    return root
