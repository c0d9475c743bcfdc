"""A page of the daemon at exactly one path, with a response that may not be complete at once."""

from __future__ import annotations

from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import NOT_FOUND
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..page_answer import GET_AND_HEAD, PageAnswer, wrongMethod

Response: TypeAlias = "PageAnswer | Deferred[PageAnswer]"

_MISSING = PageAnswer(NOT_FOUND, b"Not found.\n")


class LeafPage(Resource):
    """
    Page at the path of its route; each path below is a 404, and other methods are a 405.

    :ivar name: name of the page, at the beginning of a sentence.
    """

    isLeaf = True
    name = "The page"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def answer(self, request: Request) -> Response:
        """Return the response to a GET or a HEAD request."""
        raise NotImplementedError

    def isRoutine(self, request: Request) -> bool:
        """
        Whether programs send such a request again and again, so that it has no line of the log.

        A load balancer that asks ten times a second would otherwise write 864,000 lines a day.
        """
        return False

    def render(self, request: Request) -> bytes | int:
        """Respond at once, or when the answer is complete."""
        if request.postpath not in ([], [b""]):
            return _MISSING.writeTo(request)
        if request.method not in GET_AND_HEAD:
            return wrongMethod(self.name).writeTo(request)
        request.isRoutine = self.isRoutine(request)  # type: ignore[attr-defined]  # an attribute that the package adds to Twisted's request
        answer = self.answer(request)
        if isinstance(answer, PageAnswer):
            return answer.writeTo(request)
        _finishWith(answer, request)
        return NOT_DONE_YET


def _finishWith(answer: Deferred[PageAnswer], request: Request) -> None:
    """Write a response when it is complete, unless the client has disconnected."""
    ended: list[object] = []

    def write(complete: PageAnswer) -> None:
        if not ended:
            request.write(complete.writeTo(request))
            request.finish()

    def fail(failure: Failure) -> None:
        if not ended:
            request.processingFailed(failure)

    request.notifyFinish().addErrback(ended.append)
    answer.addCallback(write).addErrback(fail)
