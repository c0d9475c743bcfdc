"""CONNECT through a proxy: writing the request and reading the response (RFC 9110 section 9.3.6).

A 2xx response has no body, regardless of its fields: the bytes after its head belong to the tunnel.
Every other response has a body, which is read to its end or to the limit, since the request can be
repeated on the same connection, after a ``407``, only once the body has been read.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from ..errors import HeadTooLarge, MalformedHead
from ..limits import Limits, exceeds
from ..types import Headers
from .head import Fields, checked_pairs, head_bytes
from .response_parser import LENIENT, next_event
from .url import ascii_host

if TYPE_CHECKING:
    import h11

_BEGINNING: Final = b"HTTP/1."
_NAME: Final = re.compile(r"[a-z0-9._~%!$&'()*+,;=-]+", re.IGNORECASE)


def authority(host: str, port: int) -> str:
    """
    Return ``host:port`` for a request: an IPv6 address in brackets, a name in ASCII.

    :param host: a host name or address; an IPv6 address may already have brackets.
    :raises ValueError: for an invalid host or port, which could inject a line into the request.
    """
    if not 0 < port < 65536:
        raise ValueError("port: expected a number from 1 to 65535")
    bare = bare_host(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def bare_host(host: str) -> str:
    """
    Return a host name in ASCII, or an address without brackets.

    :raises ValueError: for an invalid host.
    """
    if ":" in host:
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if _is_address(bare):
            return bare
        raise ValueError("host: missing or invalid host name")
    return host if _NAME.fullmatch(host) else ascii_host(host)


def _is_address(text: str) -> bool:
    """Whether text is an IPv6 address without a zone, which has a meaning only on one machine."""
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def write_connect(
    host: str, port: int, authorization: bytes | None = None, headers: Headers = ()
) -> bytes:
    """
    Return the bytes of a CONNECT request.

    :param authorization: the value of ``Proxy-Authorization``.
    :param headers: further fields for the proxy, name and value.
    :raises ValueError: for an invalid host, port or field.
    """
    where = authority(host, port).encode("ascii")
    fields = [(b"Host", where)]
    if authorization is not None:
        fields.append((b"Proxy-Authorization", authorization))
    own = [name.lower() for name, _ in fields]
    for name, _ in headers:
        if name.lower() in own:
            raise ValueError(
                f"headers: {name.decode('latin-1')} is already set by the CONNECT request"
            )
    pairs = checked_pairs((*fields, *headers))
    return head_bytes(b"CONNECT " + where + b" HTTP/1.1", pairs)


class TunnelAnswer(NamedTuple):
    """
    Response of a proxy to a CONNECT request.

    :ivar status: the HTTP status, 101 to 999.
    :ivar headers: fields of the response, name in lower case and value.
    :ivar body: the body, at most ``Limits.refusal_size`` bytes of it.
    :ivar rest: bytes after a 2xx response: the first bytes from the target host.
    :ivar reusable: whether another request can be sent on the same connection.
    """

    status: int
    headers: Headers
    body: bytes
    rest: bytes
    reusable: bool

    @property
    def open(self) -> bool:
        """Whether the connection is now a tunnel to the target host (RFC 9110: any 2xx)."""
        return 200 <= self.status < 300

    @property
    def challenges(self) -> list[str]:
        """The values of ``Proxy-Authenticate``."""
        name = b"proxy-authenticate"
        return [value.decode("latin-1") for found, value in self.headers if found == name]


class AnswerReader:
    """
    Reader of one response, which may be received in pieces of any size.

    Call :meth:`receive` until it returns a response, or :meth:`end` when no more bytes will come.

    h11 parses the response and refuses, for example, contradicting lengths and a transfer coding
    that was not offered (RFC 9112 sections 6.3 and 7.4). This class adds the checks that h11 does
    not have:

    - h11 accepts a bare LF as a line end, folded lines and control characters. Each can hide a
      field from one of two HTTP parsers: see :data:`LENIENT`.
    - h11 accepts HTTP/0.0 to HTTP/9.9, and reports other protocols only at a blank line. A server
      that sends the greeting of another protocol waits for an answer without sending a blank line.
    - h11 limits the size of an incomplete event, but not of a complete head, the number of fields,
      or a body.
    - h11 ignores ``Proxy-Connection``.
    - h11 raises an error for an invalid or incomplete body of a refusal, and for an unrequested
      101. Each of these is still a refusal, and its status tells more than the error of h11.
    """

    __slots__ = ("_body", "_connection", "_expected", "_head", "_limits", "_raw", "_seen")

    def __init__(self, limits: Limits) -> None:
        """
        Create a reader.

        :param limits: the limits for the head, and for the body of a refusal.
        """
        import h11  # here, since the import takes 7 ms and only proxies need it

        self._limits = limits
        most = max(limits.head_size, limits.refusal_size)
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=most)
        # h11 has to know the method of the request, which decides what follows the head of the
        # response. With "Upgrade", which is not sent, h11 accepts a 101. The other values do not
        # matter.
        fields = [(b"Host", b"host:1"), (b"Upgrade", b"any")]
        self._connection.send(h11.Request(method=b"CONNECT", target=b"host:1", headers=fields))
        self._connection.send(h11.EndOfMessage())
        self._expected = _BEGINNING
        self._raw = bytearray()  # the bytes of the heads
        self._head: _FinalHead | None = None
        self._body = bytearray()
        self._seen = 0

    def receive(self, data: bytes) -> TunnelAnswer | None:
        """
        Receive bytes; return the response once it is complete or its body exceeds the limit.

        :raises MalformedHead: for an invalid response, or for a head that exceeds the limits.
        """
        if self._head is None:
            self._expect(data)
            rest = self._receive_head(data)
            if rest is None:
                return None
            data = rest
        assert self._head is not None
        if self._head.status == 101:
            return self._answer(clean=False)
        if 200 <= self._head.status < 300:
            tail = self._connection.trailing_data[0] + data
            return TunnelAnswer(*self._head[:2], b"", tail, reusable=False)
        return self._receive_body(data)

    def end(self) -> TunnelAnswer | None:
        """
        Return the response after the end of the connection or after a timeout.

        The result is ``None`` if the head is incomplete. A refusal may have an incomplete body.
        """
        return None if self._head is None else self._answer(clean=False)

    def _expect(self, data: bytes) -> None:
        """Check the first bytes of the response, as soon as they are received."""
        expected = self._expected
        if data[: len(expected)] != expected[: len(data)]:
            raise MalformedHead("this is not HTTP")
        self._expected = expected[len(data) :]

    def _receive_head(self, data: bytes) -> bytes | None:
        """
        Read the heads of interim responses and of the final response.

        :return: the bytes that h11 has not received, once the final head is complete.
        """
        room = self._limits.head_size - len(self._raw)
        self._feed(data[:room])
        self._raw += data[:room]
        while (event := next_event(self._connection)) is not None:
            response = cast("h11.Response | h11.InformationalResponse", event)
            if response.status_code >= 200 or response.status_code == 101:
                self._judge(response)
                return data[room:]
            # Any other 1xx is an interim response: the final response follows.
        if len(data) > room:
            raise HeadTooLarge(exceeds("size of the head", self._limits.head_size, "head_size"))
        return None

    def _judge(self, response: h11.Response | h11.InformationalResponse) -> None:
        self._seen = len(self._connection.trailing_data[0])  # bytes of the body
        heads = self._raw[: len(self._raw) - self._seen]
        if LENIENT.search(heads):
            raise MalformedHead("bare CR or LF, folded line, or control character in the head")
        if response.http_version not in (b"1.0", b"1.1"):
            raise MalformedHead("unsupported HTTP version: expected HTTP/1.0 or HTTP/1.1")
        if len(response.headers) > self._limits.head_fields:
            raise HeadTooLarge(
                exceeds("number of fields in the head", self._limits.head_fields, "head_fields")
            )
        fields = Fields(list(response.headers))
        # For a response with both fields, client and proxy may disagree about its end (RFC 9112
        # section 6.3).
        twofold = b"transfer-encoding" in fields and b"content-length" in fields
        kept = not twofold and not fields.has_token(b"proxy-connection", b"close")
        self._head = _FinalHead(response.status_code, tuple(fields.pairs), kept)
        self._raw.clear()

    def _receive_body(self, data: bytes) -> TunnelAnswer | None:
        self._seen += len(data)
        self._feed(data)
        try:
            while (event := next_event(self._connection)) is not None:
                piece = getattr(event, "data", None)
                if piece is None:  # the end
                    return self._answer(clean=True)
                self._body += piece[: self._limits.refusal_size - len(self._body)]
        except MalformedHead:
            return self._answer(clean=False)
        return self._answer(clean=False) if self._seen > self._limits.refusal_size else None

    def _feed(self, data: bytes) -> None:
        if data:  # h11 treats empty data as the end of the connection
            self._connection.receive_data(data)

    def _answer(self, clean: bool) -> TunnelAnswer:
        """
        Build the response.

        :param clean: whether the body is complete.
        """
        import h11

        assert self._head is not None
        status, headers, kept = self._head
        # After HTTP/1.0 or "Connection: close" the state is MUST_CLOSE. Bytes after the end would
        # be a second response.
        goes_on = self._connection.their_state is h11.DONE
        reusable = kept and clean and goes_on and not self._connection.trailing_data[0]
        return TunnelAnswer(status, headers, bytes(self._body), b"", reusable)


class _FinalHead(NamedTuple):
    """Head of a final response, and whether its fields allow another request on the connection."""

    status: int
    headers: Headers
    kept: bool
