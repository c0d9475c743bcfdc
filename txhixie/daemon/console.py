"""The console page as ``twisted.web`` resources: the response to ``GET /`` of a browser.

The two pages are files, which are read once at import. All responses are made before the first
request; this module has no WebSocket.
"""

from __future__ import annotations

from typing import Final

from twisted.web.http import NOT_FOUND
from twisted.web.resource import Resource
from twisted.web.server import Request

from .page_answer import GET_AND_HEAD, PageAnswer, readPage, wrongMethod

_ANY_SERVER: Final = "ws: wss:"
"""WebSocket connections to any server: a console has to reach any server."""

_CONSOLE: Final = readPage("console.html", _ANY_SERVER)
# Browsers of 2012 to 2015 have level 1 of Content-Security-Policy, which has no hashes: without
# 'unsafe-inline' they would run no script. Browsers with hashes ignore 'unsafe-inline' beside one.
_CONSOLE_2009: Final = readPage("console2009.html", _ANY_SERVER, "'unsafe-inline' ")
_MISSING: Final = PageAnswer(NOT_FOUND, b"Not found. The console page is at /.\n")
_WRONG_METHOD: Final = wrongMethod("The console page")


class _Fixed(Resource):
    """
    Resource with one response to GET and HEAD; each path below is a 404.

    Any other method gets a 405, also a method that ``twisted.web`` does not know and would refuse
    with 501.
    """

    def __init__(self, answer: PageAnswer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._answer = answer

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return a resource with a 404 for each path below, at any depth."""
        return _Fixed(_MISSING)

    def render(self, request: Request) -> bytes:
        """Respond at once; of the request only the method is used."""
        answer = self._answer if request.method in GET_AND_HEAD else _WRONG_METHOD
        return answer.writeTo(request)


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
