"""The way through a proxy: ``CONNECT host:port`` written, and the proxy's answer read.

Nothing here is WebSocket (RFC 9110 section 9.3.6). A 2xx has no body, whatever its fields say: what
follows its head is the tunnel's. Every other answer has one, read to its end as far as the limit
goes, since a ``407`` may be answered on the same connection only after it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from ..errors import HeadTooLarge, MalformedHead
from ..limits import Limits
from ..types import Headers
from .head import Fields, Head, checked_pairs
from .url import ascii_host

if TYPE_CHECKING:
    import h11

_LENIENT: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""What HTTP/1.1 lets no head have, and h11 does."""

_BEGINNING: Final = b"HTTP/1."
_NAME: Final = re.compile(r"[a-z0-9._~%!$&'()*+,;=-]+", re.IGNORECASE)


def authority(host: str, port: int) -> str:
    """
    ``host:port`` as a request says it: an IPv6 address in brackets, a name in ASCII.

    :param host: brackets around an address may be there already.
    :raises ValueError: for what is no host and no port: it would be the request's next line.
    """
    if not 0 < port < 65536:
        raise ValueError("port: expected a number from 1 to 65535")
    bare = bare_host(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def bare_host(host: str) -> str:
    """
    A host in ASCII, and an address without brackets.

    :raises ValueError: for what is no host.
    """
    if ":" in host:
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if _is_address(bare):
            return bare
        raise ValueError("host: missing or invalid host name")
    return host if _NAME.fullmatch(host) else ascii_host(host)


def _is_address(text: str) -> bool:
    """An IPv6 address, and without a zone: that of another machine would be another."""
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def write_connect(
    host: str, port: int, authorization: bytes | None = None, headers: Headers = ()
) -> bytes:
    """
    The request.

    :param authorization: the value of ``Proxy-Authorization``.
    :param headers: further fields for the proxy, name and value.
    :raises ValueError: for what no request can say.
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
    return Head.of(b"CONNECT " + where + b" HTTP/1.1", pairs).raw


class TunnelAnswer(NamedTuple):
    """
    What a proxy said.

    :ivar status: from 101 to 999.
    :ivar headers: names in lower case, and values.
    :ivar body: as much as came within the limit, in bytes.
    :ivar rest: what came after a 2xx: the other side's first bytes.
    :ivar reusable: whether the same connection can be asked again.
    """

    status: int
    headers: Headers
    body: bytes
    rest: bytes
    reusable: bool

    @property
    def open(self) -> bool:
        """From here on the connection is the other side's (RFC 9110: any 2xx)."""
        return 200 <= self.status < 300

    @property
    def challenges(self) -> list[str]:
        """The values of ``Proxy-Authenticate``."""
        name = b"proxy-authenticate"
        return [value.decode("latin-1") for found, value in self.headers if found == name]


class AnswerReader:
    """
    Reads one answer, however the bytes come.

    Feed it with :meth:`receive` until that answers, or say with :meth:`end` that no more will come.

    h11 reads it, and what h11 refuses is refused: lengths that differ, say, or a transfer coding
    that was not offered (RFC 9112 sections 6.3 and 7.4). Ours is what h11 does not do:

    - It lets a line end in a bare LF or go on in the next, and takes control characters. Each hides
      a field from one reader that another one sees: see :data:`_LENIENT`.
    - It takes HTTP/0.0 to HTTP/9.9, and tells what is no HTTP when a blank line comes; a server
      that greets us in another protocol waits for us as long as we wait for it.
    - It bounds an event that is not whole yet, and no whole head, number of fields, or body.
    - It knows nothing of ``Proxy-Connection``.
    - It raises where a refusal's body is broken or cut short, and for a 101 that nobody asked for.
      Each is a refusal all the same, whose status says more than the error.
    """

    __slots__ = ("_body", "_connection", "_expected", "_head", "_limits", "_raw", "_seen")

    def __init__(self, limits: Limits) -> None:
        """:param limits: of the head, and of the body of a refusal."""
        import h11  # 7 ms, only for who goes through a proxy

        self._limits = limits
        most = max(limits.head_size, limits.refusal_size)
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=most)
        # What follows a head depends on the request's method, which h11 has to know. "Upgrade",
        # which we do not send, lets it take a 101; the other words do not matter.
        fields = [(b"Host", b"host:1"), (b"Upgrade", b"any")]
        self._connection.send(h11.Request(method=b"CONNECT", target=b"host:1", headers=fields))
        self._connection.send(h11.EndOfMessage())
        self._expected = _BEGINNING
        self._raw = bytearray()  # of the heads
        self._head: _FinalHead | None = None
        self._body = bytearray()
        self._seen = 0

    def receive(self, data: bytes) -> TunnelAnswer | None:
        """
        Take bytes; answer what was said, once it is whole or its body has passed the limit.

        :raises MalformedHead: when it is no HTTP, or its head is longer than the limit.
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
        """What was said, if the connection is over or nothing more will be waited for; ``None`` if
        there is no whole head: a refusal whose body was cut short is one."""
        return None if self._head is None else self._answer(clean=False)

    def _expect(self, data: bytes) -> None:
        """See that it begins as HTTP does, as soon as its first bytes tell."""
        expected = self._expected
        if data[: len(expected)] != expected[: len(data)]:
            raise MalformedHead("this is not HTTP")
        self._expected = expected[len(data) :]

    def _receive_head(self, data: bytes) -> bytes | None:
        """
        Read heads to the final one's end.

        :return: what h11 has not been given of these bytes, once that has come.
        """
        room = self._limits.head_size - len(self._raw)
        self._feed(data[:room])
        self._raw += data[:room]
        while (event := self._next()) is not None:
            response = cast("h11.Response | h11.InformationalResponse", event)
            if response.status_code >= 200 or response.status_code == 101:
                self._judge(response)
                return data[room:]
            # Any other 1xx is "wait": the answer is still to come.
        if len(data) > room:
            raise HeadTooLarge(f"the head is longer than {self._limits.head_size} bytes")
        return None

    def _judge(self, response: h11.Response | h11.InformationalResponse) -> None:
        self._seen = len(self._connection.trailing_data[0])  # of the body
        heads = self._raw[: len(self._raw) - self._seen]
        if _LENIENT.search(heads):
            raise MalformedHead("bare CR or LF, folded line, or control character in the head")
        if response.http_version not in (b"1.0", b"1.1"):
            raise MalformedHead("unsupported HTTP version: expected HTTP/1.0 or HTTP/1.1")
        if len(response.headers) > self._limits.head_fields:
            raise HeadTooLarge(f"more than {self._limits.head_fields} fields")
        fields = Fields(list(response.headers))
        # Of an answer with both, the two ends of the connection might see different ends (RFC 9112
        # section 6.3).
        twofold = b"transfer-encoding" in fields and b"content-length" in fields
        kept = not twofold and not fields.has_token(b"proxy-connection", b"close")
        self._head = _FinalHead(response.status_code, tuple(fields.pairs), kept)
        self._raw.clear()

    def _receive_body(self, data: bytes) -> TunnelAnswer | None:
        self._seen += len(data)
        self._feed(data)
        try:
            while (event := self._next()) is not None:
                piece = getattr(event, "data", None)
                if piece is None:  # the end
                    return self._answer(clean=True)
                self._body += piece[: self._limits.refusal_size - len(self._body)]
        except MalformedHead:
            return self._answer(clean=False)
        return self._answer(clean=False) if self._seen > self._limits.refusal_size else None

    def _feed(self, data: bytes) -> None:
        if data:  # no bytes are the connection's end to h11
            self._connection.receive_data(data)

    def _next(self) -> h11.Event | None:
        """
        What h11 has found; ``None`` while it needs more bytes.

        :raises MalformedHead: in h11's words, without those of the proxy that it may repeat.
        """
        import h11

        try:
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise MalformedHead(str(error).partition(": bytearray(")[0]) from None
        return event if isinstance(event, h11.Event) else None

    def _answer(self, clean: bool) -> TunnelAnswer:
        """:param clean: the body has come to its end."""
        import h11

        assert self._head is not None
        status, headers, kept = self._head
        # After HTTP/1.0 and "Connection: close" the state is MUST_CLOSE. What has come behind the
        # end would be the next answer.
        goes_on = self._connection.their_state is h11.DONE
        reusable = kept and clean and goes_on and not self._connection.trailing_data[0]
        return TunnelAnswer(status, headers, bytes(self._body), b"", reusable)


class _FinalHead(NamedTuple):
    """The head of an answer, and whether its fields let the connection stay."""

    status: int
    headers: Headers
    kept: bool
