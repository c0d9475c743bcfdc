"""Publishing from outside: messages that a program sends to a topic of a hub by ``POST``."""

from __future__ import annotations

import json
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from ..hub.service import HubService
from ..sansio.handshake.offer import Refusal
from ..server.refused_page import refusePage
from .guards.guard import Guard
from .guards.visitor import Visitor

_BINARY: Final = "application/octet-stream"
_METHOD: Final = Refusal(405, "expected POST or a WebSocket\n", ((b"Allow", b"POST"),))
_NOT_UTF8: Final = Refusal(
    400, f"expected text in UTF-8; send binary data with Content-Type: {_BINARY}\n"
)
_FAILED: Final = Refusal(503, "the message was not published\n", cause="bus")


class PublishingPage(Resource):
    """
    Page resource of a hub: the body of a ``POST`` becomes a message of the topic of its path.

    The token is checked when the head of the request was read, so that no body is read from a
    client without a token. A body of the type ``application/octet-stream`` is a binary message,
    every other body a text message. The response is a JSON object with the position of the message.
    """

    isLeaf = True

    def __init__(self, service: HubService, guard: Guard, most: int) -> None:
        """
        :param service: the service of the hub's route.
        :param guard: checks the token of a request, at once.
        :param most: most bytes of a message.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._service = service
        self._guard = guard
        self._most = most

    def bodySizeOf(self, method: bytes, visitor: Visitor) -> int | Refusal:
        """
        Return the most bytes of the body of a request, after its head was read.

        :param method: the method of the request.
        :param visitor: the request.
        :return: bytes; or the refusal of a request without a right token, and of a method other
            than POST, unless it is a GET or HEAD without a body: :meth:`render` refuses these, and
            their connection stays open.
        """
        if method in (b"GET", b"HEAD") and not visitor.hasBody:
            return 0
        if method != b"POST":
            return _METHOD
        answer = self._guard.check(visitor)
        return answer if isinstance(answer, Refusal) else self._most

    def render(self, request: Request) -> int:
        """Publish the body of a request, and respond when the bus has the message."""
        published = self._publish(request)
        if isinstance(published, Refusal):
            refusePage(request, published)
            return NOT_DONE_YET
        ended: list[object] = []
        request.notifyFinish().addErrback(ended.append)

        def answer(position: Any) -> None:
            if ended:
                return
            if position is None or isinstance(position, Refusal):
                refusePage(request, position or _FAILED)
                return
            body = json.dumps({"position": position}).encode("ascii") + b"\n"
            request.setHeader(b"Content-Type", b"application/json")
            request.setHeader(b"Content-Length", b"%d" % len(body))
            request.write(body)
            request.finish()

        published.addCallback(answer)
        return NOT_DONE_YET

    def _publish(self, request: Request) -> Deferred[Any] | Refusal:
        if request.method != b"POST":
            return _METHOD
        visitor = Visitor.ofRequest(request)
        size = self.bodySizeOf(request.method, visitor)
        if isinstance(size, Refusal):
            return size
        assert request.content is not None
        payload = request.content.read()
        kind = (visitor.header("content-type") or "").partition(";")[0].strip().lower()
        if (isText := kind != _BINARY) and not _isUtf8(payload):
            return _NOT_UTF8
        return self._service.publish(visitor.path, payload, isText)


def _isUtf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
