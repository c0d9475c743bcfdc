"""A server's refusal as a response of ``twisted.web``, for programs that read it as any other."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IClientRequest, IResponse
from zope.interface import implementer

from .handshake.offer import reason_phrase
from .pure_errors import Refused


@implementer(IResponse)
class RefusedResponse:
    """
    What :class:`txhixie.errors.Refused` holds, as an ``IResponse``: its body is here already.

    :ivar version: of HTTP.
    :ivar code: the status.
    :ivar phrase: its usual words.
    :ivar headers: as received.
    :ivar length: bytes of the body, as far as it was kept.
    """

    version = (b"HTTP", 1, 1)
    request: IClientRequest | None = None
    previousResponse: IResponse | None = None

    def __init__(self, refused: Refused) -> None:
        self._body = refused.body
        self.code = refused.status
        self.phrase = reason_phrase(refused.status).encode("ascii")
        self.headers = Headers()
        for name, value in refused.headers:
            self.headers.addRawHeader(name, value)
        self.length = len(refused.body)

    def deliverBody(self, protocol: IProtocol) -> None:
        """Give a protocol all of it, and the end: a ``ResponseDone``."""
        protocol.makeConnection(cast(ITransport, _Delivered()))
        if self._body:
            protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: Any) -> None:
        """There is none: no redirect was followed."""
        self.previousResponse = response


@implementer(IPushProducer)
class _Delivered:
    """The transport of a body that has come: nothing is left to be paused."""

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass

    def loseConnection(self) -> None:
        pass

    abortConnection = loseConnection
