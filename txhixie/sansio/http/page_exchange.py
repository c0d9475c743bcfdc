"""Exchange of one request for a page and its response with a backend, over HTTP/1.1.

The request is GET or HEAD, has no body, and is the only one on its connection: bytes of one
exchange can never become a part of another one (request smuggling, response queue poisoning).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import HeadTooLarge, MalformedHead
from ..limits import Limits, exceeds
from ..types import Headers
from .head import Fields, checked_pairs
from .response_parser import LENIENT, next_event

if TYPE_CHECKING:
    import h11

_CLOSES: Final = (b"Connection", b"close")
_WITHOUT_LENGTH: Final = 204
"""A response with this status must not have Content-Length (RFC 9110 section 8.6)."""


class PageHead(NamedTuple):
    """
    Head of a response.

    :ivar status: the HTTP status, 200 to 599.
    :ivar headers: fields of the response, name in lower case and value.
    :ivar length: the ``Content-Length`` for the client; ``None`` without one.
    """

    status: int
    headers: Headers
    length: bytes | None


class PageExchange:
    """
    Writer of one request, and reader of its response, which may be received in pieces of any size.

    h11 parses the response. It refuses contradicting lengths, transfer codings other than chunked,
    and a 101, which no request asks for; and it notices a body that ends early. As for the response
    of a proxy (:class:`txhixie.sansio.http.tunnel_answer.AnswerReader`), the size of all heads
    together and the number of fields are checked here, and heads that h11 reads leniently.

    :ivar request: the bytes of the request.
    :ivar head: the head of the final response, once it is complete.
    :ivar over: whether the response is complete.
    """

    def __init__(self, method: str, target: str, headers: Headers, limits: Limits) -> None:
        """
        Write the request.

        :param method: ``GET`` or ``HEAD``.
        :param target: path and query, in visible ASCII.
        :param headers: fields of the request, ``Host`` included, without those of a body and of the
            connection.
        :param limits: of which ``head_size`` and ``head_fields`` are used, for the response.
        :raises MalformedHead: for a target or a field that cannot be written.
        """
        import h11  # here, since the import takes 7 ms and only this service needs it

        self._limits = limits
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.head_size)
        try:
            fields = [*checked_pairs(headers), _CLOSES]
            asked = h11.Request(method=method, target=target, headers=fields)
            self.request = self._connection.send(asked)
        except (h11.LocalProtocolError, ValueError):
            # The error of h11 has the value of the field in it, which may be a credential.
            raise MalformedHead("the target or a field is not valid in HTTP/1.1") from None
        if "#" in target:
            raise MalformedHead("invalid request target: a fragment (#) is never sent")
        self._connection.send(h11.EndOfMessage())
        self._raw = bytearray()  # the bytes of the heads
        self.head: PageHead | None = None
        self.over = False

    def receive(self, data: bytes) -> bytes:
        """
        Receive bytes of the backend.

        :return: bytes of the response's body; empty for bytes of a head, of a chunk size or of a
            trailer, which the client does not get.
        :raises MalformedHead: for an invalid response, or for a head that exceeds the limits.
        """
        if self.over:
            return b""
        if self.head is None:
            rest = self._receive_head(data) if data else None
            if rest is None:
                return b""
            data = rest
        if data:  # h11 treats empty data as the end of the connection
            self._connection.receive_data(data)
        return self._body()

    def end(self) -> None:
        """
        Receive the end of the connection.

        :raises MalformedHead: if the response is incomplete. A response without a length ends with
            its connection.
        """
        if self.over:
            return
        if self.head is None:
            raise MalformedHead("the connection was closed before the response")
        self._connection.receive_data(b"")
        self._body()

    def _receive_head(self, data: bytes) -> bytes | None:
        """
        Read the heads of interim responses and of the final response.

        :return: the bytes that h11 has not received, once the final head is complete.
        """
        import h11

        room = self._limits.head_size - len(self._raw)
        if data[:room]:
            self._connection.receive_data(data[:room])
        self._raw += data[:room]
        while (event := next_event(self._connection)) is not None:
            # An interim response (1xx) is not passed on: the final response follows.
            if isinstance(event, h11.Response):
                self._judge(event)
                return data[room:]
        if len(data) > room:
            raise HeadTooLarge(exceeds("size of the head", self._limits.head_size, "head_size"))
        return None

    def _judge(self, response: h11.Response) -> None:
        body = len(self._connection.trailing_data[0])
        if LENIENT.search(self._raw[: len(self._raw) - body]):
            raise MalformedHead("bare CR or LF, folded line, or control character in the head")
        if response.http_version not in (b"1.0", b"1.1"):
            raise MalformedHead("unsupported HTTP version: expected HTTP/1.0 or HTTP/1.1")
        if response.status_code > 599:
            raise MalformedHead(f"invalid status {response.status_code}")
        if len(response.headers) > self._limits.head_fields:
            raise HeadTooLarge(
                exceeds("number of fields in the head", self._limits.head_fields, "head_fields")
            )
        self._raw.clear()
        fields = Fields(list(response.headers))
        length = fields.get(b"content-length")
        if b"transfer-encoding" in fields or response.status_code == _WITHOUT_LENGTH:
            length = None  # chunks are decoded; a Content-Length beside them is wrong
        self.head = PageHead(response.status_code, tuple(fields.pairs), length)

    def _body(self) -> bytes:
        import h11

        pieces = []
        while (event := next_event(self._connection)) is not None:
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self.over = True
                break
        return b"".join(pieces)
