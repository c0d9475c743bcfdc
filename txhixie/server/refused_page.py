"""Refusal of a request for a page: the response, and the log line of the request."""

from __future__ import annotations

from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from ..sansio.handshake.offer import Refusal


class RefusedPage(Resource):
    """Page resource that refuses a request."""

    isLeaf = True

    def __init__(self, refusal: Refusal) -> None:
        """:param refusal: the response, which the log line of the request shows."""
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._refusal = refusal

    def render(self, request: Request) -> int:
        """Respond with the refusal."""
        refusePage(request, self._refusal)
        return NOT_DONE_YET


def refusePage(request: Request, refusal: Refusal) -> None:
    """
    Respond to a request with a refusal, and finish the request.

    :param request: the request, before its response has begun; its ``refusal`` is set for the log.
    """
    request.refusal = refusal  # type: ignore[attr-defined]  # an attribute that the package adds to Twisted's request
    request.setResponseCode(refusal.status)
    body = refusal.body if isinstance(refusal.body, bytes) else refusal.body.encode("utf-8")
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    for name, value in refusal.headers:
        request.responseHeaders.addRawHeader(name, value)
    request.write(body)
    request.finish()
