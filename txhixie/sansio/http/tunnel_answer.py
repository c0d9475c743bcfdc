"""The way through a proxy: ``CONNECT host:port`` written, and the proxy's answer read.

Nothing here is WebSocket (RFC 9110 section 9.3.6). A 2xx has no body, whatever its fields say: what
follows its head is the tunnel's. Every other answer has one, read to its end as far as the limit
goes, since a ``407`` may be answered on the same connection only after it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

from ..errors import MalformedHead
from ..limits import Limits
from ..types import Pairs
from .chunked import ChunkedReader
from .head import Fields, Head, HeadReader, checked_pairs
from .url import ascii_host

_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r\n")
_BEGINNING: Final = b"HTTP/1."
_NAME: Final = re.compile(r"[a-z0-9._~%!$&'()*+,;=-]+", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")


def authority(host: str, port: int) -> str:
    """
    ``host:port`` as a request says it: an IPv6 address in brackets, a name in ASCII.

    :param host: brackets around an address may be there already.
    :raises ValueError: for what is no host and no port: it would be the request's next line.
    """
    if not 0 < port < 65536:
        raise ValueError("port: not a number from 1 to 65535")
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
        raise ValueError("host: missing, or no host name")
    return host if _NAME.fullmatch(host) else ascii_host(host)


def _is_address(text: str) -> bool:
    """An IPv6 address, and without a zone: that of another machine would be another."""
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def write_connect(
    host: str, port: int, authorization: bytes | None = None, headers: Pairs = ()
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
            raise ValueError(f"{name.decode('latin-1')}: a field that the request has itself")
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
    headers: Pairs
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
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_expected",
        "_head",
        "_left",
        "_length",
        "_limits",
        "_reader",
        "_seen",
    )

    def __init__(self, limits: Limits) -> None:
        """:param limits: of the head, and of the body of a refusal."""
        self._limits = limits
        self._left = limits.head_size
        self._reader = HeadReader(self._left)
        self._expected = _BEGINNING
        self._head: _FinalHead | None = None
        self._body = bytearray()
        self._seen = 0
        self._length: int | None = None
        self._chunks: ChunkedReader | None = None

    def receive(self, data: bytes) -> TunnelAnswer | None:
        """
        Take bytes; answer what was said, once it is whole or its body has passed the limit.

        :raises MalformedHead: when it is no HTTP, or its head is longer than the limit.
        """
        while self._head is None:
            self._expect(data)
            found = self._reader.read(data)
            if found is None:
                return None
            head, data = found
            self._judge(head)
        if 200 <= self._head.status < 300:
            return TunnelAnswer(*self._head[:2], b"", data, reusable=False)
        return self._receive_body(data)

    def end(self) -> TunnelAnswer | None:
        """What was said, if the connection is over or nothing more will be waited for; ``None`` if
        there is no whole head: a refusal whose body was cut short is one."""
        return None if self._head is None else self._answer(clean=False)

    def _expect(self, data: bytes) -> None:
        """Whoever greets us in another protocol waits for us as long as we wait for it."""
        expected = self._expected
        if data[: len(expected)] != expected[: len(data)]:
            raise MalformedHead("this is not HTTP")
        self._expected = expected[len(data) :]

    def _judge(self, head: Head) -> None:
        match = _STATUS.match(head)
        if match is None:
            raise MalformedHead("the first line is no status line")
        status = int(match[2])
        fields = head.fields(self._limits.head_fields)
        if 100 <= status < 200 and status != 101:  # "wait": the answer is still to come
            self._left -= len(head)
            self._reader = HeadReader(self._left)
            self._expected = _BEGINNING
            return
        self._length, chunked = _body_of(status, fields)
        self._chunks = ChunkedReader() if chunked else None
        # Of an answer with both, the two ends of the connection might see different ends (RFC 9112
        # section 6.3).
        twofold = chunked and b"content-length" in fields
        closes = any(
            fields.has_token(name, b"close") for name in (b"connection", b"proxy-connection")
        )
        kept = match[1] == b"1" and not closes and not twofold
        self._head = _FinalHead(status, tuple(fields.pairs), kept)

    def _receive_body(self, data: bytes) -> TunnelAnswer | None:
        self._seen += len(data)
        if self._chunks is None:
            self._body += data
            over = self._length is not None and len(self._body) >= self._length
            clean = len(self._body) == self._length
        else:
            try:
                rest = self._chunks.read(data)
            except MalformedHead:
                return self._answer(clean=False)
            self._body = self._chunks.body
            over, clean = rest is not None, rest == b""
        if over or self._seen > self._limits.refusal_size:
            return self._answer(clean)
        return None

    def _answer(self, clean: bool) -> TunnelAnswer:
        assert self._head is not None
        status, headers, kept = self._head
        most = self._limits.refusal_size
        body = bytes(self._body[: most if self._length is None else min(most, self._length)])
        return TunnelAnswer(status, headers, body, b"", kept and clean)


class _FinalHead(NamedTuple):
    """The head of an answer, and whether the connection is to stay."""

    status: int
    headers: Pairs
    kept: bool


def _body_of(status: int, fields: Fields) -> tuple[int | None, bool]:
    """
    How the body of a refusal ends (RFC 9112 section 6.3).

    :return: its length in bytes, ``None`` if only its own end or that of the connection tells; and
        whether it is chunked.
    """
    if status in (101, 304):
        return 0, False
    if b"transfer-encoding" in fields:
        codings = b",".join(fields.stripped(b"transfer-encoding")).lower().split(b",")
        return None, codings[-1].strip(b" \t") == b"chunked"
    lengths = set(fields.stripped(b"content-length"))
    if len(lengths) == 1 and _LENGTH.fullmatch(length := lengths.pop()):
        return int(length), False
    return None, False
