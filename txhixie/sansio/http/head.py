"""Heads of HTTP/1.1 requests and responses (RFC 9112): start line and fields, without bodies.

A head is kept as the bytes that were received, and its fields are parsed when they are needed: an
idle connection keeps 370 bytes instead of 3 kB of fields. Only CR LF ends a line. The other line
ends of ``splitlines`` (0x0B, 0x0C, 0x1C to 0x1E, 0x85) have allowed header smuggling in other
servers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from ..errors import HeadTooLarge, MalformedHead, UnsupportedVersion
from ..limits import exceeds
from ..types import Headers, HeadersLike

END: Final = b"\r\n\r\n"

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""Characters of a ``token`` (RFC 9110 section 5.6.2)."""

_FIELD: Final = re.compile(
    rb"^([!#$%&'*+\-.^_`|~0-9A-Za-z]*): ?([^\x00-\x08\x0A-\x1F\x7F]*)\r\n", re.MULTILINE
)
"""A field line: ``name ":" [one space] value`` (RFC 9112 section 5; further spaces belong to the
value here). A value has no control character except the tab (RFC 9110 section 5.5)."""

_FOLDED: Final = re.compile(rb"\r\n[ \t]+[^ \t\r\n]")
_SPACE_BEFORE_COLON: Final = re.compile(rb"\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]+:")
_WITHOUT_COLON: Final = re.compile(rb"\r\n[^:\r\n]+\r\n")
_SPACE_IN_TARGET: Final = re.compile(rb"[A-Z]+ [!-~][^\r\n]* [^\r\n]* HTTP/1\.[0-9]\r\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_BARE_CR: Final = re.compile(rb"\r[^\n]")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/(\d)\.(\d)\r\n")


_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")
_PROXY_HEADER: Final = "unexpected PROXY protocol header: no proxy is trusted at this address"


class FlashPolicyAsked(MalformedHead):
    """A request of Flash Player for a policy file, in the place of an HTTP request."""


_FLASH: Final = b"<policy-file-request/>"
_FOREIGN: Final = (
    (b"PROXY TCP4 ", _PROXY_HEADER),
    (b"PROXY TCP6 ", _PROXY_HEADER),
    (b"PROXY UNKNOWN", _PROXY_HEADER),
    (_FLASH, "this is not HTTP: Flash asks for a policy file"),
    (b"\x16\x03", "this is not HTTP: a TLS handshake on a port without TLS"),
    (b"\xef\xbb\xbf", "byte order mark before the request line"),
    (b" ", "space before the request line"),
)
"""First bytes that clients send by mistake, most of them of other protocols, and their errors."""

_PROXY_2: Final = (b"\0\r\nQUIT\n", _PROXY_HEADER)
"""First bytes of a PROXY protocol v2 header, after the two empty lines with which it begins."""

_SUSPECT: Final = b"\r" + bytes({first[0] for first, _ in _FOREIGN})


_INVALID_FIELDS: Final = (
    (_FOLDED, "folded header field, which is obsolete (RFC 9112 section 5.2)"),
    (_BARE_LF, "bare LF at the end of a header line"),
    (_BARE_CR, "bare CR in the head"),
    (_SPACE_BEFORE_COLON, "space before the colon of a header field (RFC 9112 section 5.1)"),
    (_WITHOUT_COLON, "header line without a colon (RFC 9112 section 5)"),
)
"""Mistakes in the lines of fields, each with its error."""


class Fields(dict[bytes, bytes]):
    """
    Fields of a head, by their names in lower case.

    A value is the text after ``:`` and one space. For a name with several fields, the mapping has
    the last value; :meth:`exact` returns all values.

    :ivar pairs: all fields in their order, name in lower case and value.
    :ivar repeats: whether a name has several fields.
    """

    __slots__ = ("pairs", "repeats")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        self.repeats = len(self) < len(pairs)

    def exact(self, name: bytes) -> list[bytes]:
        """Return all values of a field, unchanged, as the clients of the drafts compare them."""
        if self.repeats:
            return [value for found, value in self.pairs if found == name]
        return [self[name]] if name in self else []

    def stripped(self, name: bytes) -> list[bytes]:
        """Return all values of a field, without spaces around them (RFC 9110 section 5.5)."""
        return [value.strip(b" \t") for value in self.exact(name)]

    def only(self, name: bytes) -> bytes | None:
        """
        Return the value of a field that may be sent only once; ``None`` if the field is missing.

        :raises MalformedHead: for a duplicate field. Duplicates of such fields are used for request
            smuggling.
        """
        value = self.get(name)
        if value is None:
            return None
        if self.repeats and len(self.exact(name)) > 1:
            raise MalformedHead(f"duplicate {name.decode('ascii')}")
        return value.strip(b" \t")

    def has_token(self, name: bytes, token: bytes) -> bool:
        """Whether a lower-case token is among the comma-separated members of a field's values."""
        if self.get(name, b"").lower() == token:
            return True
        members = b",".join(self.exact(name)).lower().split(b",")
        return token in [member.strip(b" \t") for member in members]


class Head(bytes):
    """A complete head, from the start line to the blank line, as bytes with methods."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Head({super().__repr__()})"

    @property
    def raw(self) -> bytes:
        """The head as plain bytes for a transport, including the blank line."""
        return self[:]

    @classmethod
    def of(cls, start_line: bytes, pairs: tuple[tuple[bytes, bytes], ...] = ()) -> Head:
        """Return a head with a start line and fields, each written as ``name: value``."""
        return cls(head_bytes(start_line, pairs))

    def extended(self, other: Head) -> Head:
        """Return this head with the fields of another head added at its end."""
        return Head(self[:-2] + other[len(other.start_line) + 2 :])

    def without(self, names: Collection[bytes]) -> Head:
        """
        Return this head without the fields of some names, or this head itself if it has none.

        A name with ``_`` in place of ``-`` is removed too: CGI programs, WSGI and PHP give both
        fields to an application under one name (``HTTP_X_FORWARDED_FOR``).

        :param names: names of fields in lower case.
        """
        found, count = _lines_of(frozenset(names)).subn(b"", self)
        return Head(found) if count else self

    @property
    def start_line(self) -> bytes:
        """The first line, without its CR LF."""
        return self[: self.index(b"\r\n")]

    def fields(self, most: int | None = None) -> Fields:
        """
        Parse and return the fields.

        :param most: most fields that are accepted; ``None``: any number.
        :raises MalformedHead: for a bare CR or LF, a control character, a folded line, a space
            before a colon, or a line without a colon. An empty name is accepted, since the drafts
            have their own check for it.
        :raises HeadTooLarge: for more than ``most`` fields.
        """
        start = self.index(b"\r\n") + 2
        found = _FIELD.findall(self, start)
        # With an invalid line, or a bare CR or LF, there are fewer matches than line ends.
        if len(found) != self.count(b"\n", start) - 1:
            raise MalformedHead(self._invalid_field())
        if most is not None and len(found) > most:
            raise HeadTooLarge(exceeds("number of fields in the head", most, "head_fields"))
        return Fields([(name.lower(), value) for name, value in found])

    def _invalid_field(self) -> str:
        for pattern, words in _INVALID_FIELDS:
            if pattern.search(self):
                return words
        return "invalid header field: expected 'name: value' without control characters"


@lru_cache(maxsize=32)
def _lines_of(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """Return a pattern of lines of fields with these names, each from the line feed before it."""
    spelled = b"|".join(re.escape(name).replace(rb"\-", b"[-_]") for name in sorted(names))
    # From the end of the line before: with a first byte that is literal, a search of a head without
    # these fields takes 2 microseconds instead of 7.
    return re.compile(rb"\n(?:%b):[^\n]*" % (spelled or rb"(?!)"), re.IGNORECASE)


def head_bytes(start_line: bytes, pairs: Headers = ()) -> bytes:
    """Return the bytes of a head, each field written as ``name: value``."""
    if not pairs:  # nearly every response to a handshake: 1 us less
        return start_line + b"\r\n\r\n"
    return b"\r\n".join([start_line, *map(b"%b: %b".__mod__, pairs), b"", b""])


class Request(NamedTuple):
    """
    A parsed head of a request.

    :ivar head: the head as bytes.
    :ivar method: the method as sent.
    :ivar target: the request target as sent: visible ASCII.
    :ivar minor: the minor version of HTTP/1.
    :ivar fields: the fields of the head.
    """

    head: Head
    method: bytes
    target: str
    minor: int
    fields: Fields


def read_request(head: Head, most: int | None = None) -> Request:
    """
    Parse the head of a request (RFC 9112 sections 3 and 5).

    :param most: most fields that are accepted; ``None``: any number.
    :raises MalformedHead: for an invalid request line or an invalid field.
    :raises UnsupportedVersion: for another major version, such as the preface of HTTP/2.
    """
    match = _REQUEST_LINE.match(head)
    if match is None:
        raise MalformedHead(_invalid_line(head.start_line))
    method, target, major, minor = match.groups()
    if major != b"1":
        raise UnsupportedVersion("unsupported HTTP version: expected HTTP/1.1")
    return Request(head, method, target.decode("ascii"), int(minor), head.fields(most))


def _invalid_line(line: bytes) -> str:
    """Return the error for a request line that is not ``GET /path HTTP/1.1``."""
    words = "invalid request line"
    if not line.isascii():
        return f"{words}: character outside ASCII in the request target; write it as %XX"
    if _SPACE_IN_TARGET.match(line + b"\r\n"):
        return f"{words}: space in the request target; write it as %20"
    return f"{words}: expected METHOD, target and HTTP/1.1, with one space between them"


class Asked(NamedTuple):
    """
    Host, target, origin and dialect of a request for the log, read without any check.

    Credentials are not masked.

    :ivar host: the ``Host`` field; several fields are joined by commas.
    :ivar target: the request target.
    :ivar origin: the origin fields of any dialect.
    :ivar dialect: the name of the dialect, once it is known.
    """

    host: str | None = None
    target: str | None = None
    origin: str | None = None
    dialect: str | None = None


NOTHING_ASKED: Final = Asked()


_ASKED_TARGET: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ ([^ \r\n]+)")
_ASKED_HOST: Final = re.compile(rb"^host[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_ASKED_ORIGIN: Final = re.compile(
    rb"^(?:(?:sec-)?websocket-)?origin[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE
)


def read_asked(data: bytes) -> Asked:
    """
    Read host, target and origin of a request with a head that may be malformed or incomplete.

    :param data: the head of the request, or its first bytes; bytes after the blank line are
        ignored.
    """
    head, _, _ = data.partition(END)
    target = _ASKED_TARGET.match(head)
    if target is None:
        return NOTHING_ASKED
    host, origin = (
        text(b", ".join(pattern.findall(head))) or None for pattern in (_ASKED_HOST, _ASKED_ORIGIN)
    )
    return Asked(host, text(target[1]), origin)


def whole_request(data: bytes, most: int) -> tuple[Head, bytes] | None:
    """
    Return the head of a request and the bytes after it, if the first read has the whole head.

    Nearly all heads are received so, and need no reader.

    :param most: most bytes of the head.
    :return: ``None`` for any other bytes: a :class:`RequestReader` reads these.
    """
    end = data.find(END) + len(END)
    if not len(END) <= end <= most or data[:1] in _SUSPECT:
        return None
    return Head(data[:end]), data[end:]


class HeadReader:
    """
    Reader of a head, which may be received in pieces of any size.

    The reader stores how far it has searched for the end. So a head that is received byte by byte
    costs as much time as a head in one piece.
    """

    __slots__ = ("_data", "_most", "_seen")

    def __init__(self, most: int) -> None:
        """
        Create a reader.

        :param most: most bytes of a head.
        """
        self._data: bytes | bytearray = b""  # a bytearray once the head is incomplete
        self._most = most
        self._seen = 0

    @property
    def size(self) -> int:
        """The number of received bytes of an incomplete head."""
        return len(self._data)

    @property
    def held(self) -> bytes:
        """The received bytes of an incomplete head, at most as many as a head may have."""
        return bytes(self._data[: self._most])

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """
        Receive bytes; return the head and the bytes after it, once the head is complete.

        :raises HeadTooLarge: for a head of more bytes than allowed.
        :raises MalformedHead: when the first byte is not HTTP, or for a bare LF or CR.
            The first byte is checked at once: the sender of a TLS ClientHello, for example, waits
            for a response.
        """
        held = self._data
        if not held and (end := data.find(END) + len(END)) >= len(END) and end <= self._most:
            return Head(data[:end]), data[end:]  # received in one piece, as nearly all heads
        if not held:
            held = self._data = bytearray()
        held += data
        if held and held[0] not in TOKEN:
            raise MalformedHead("this is not HTTP")
        end = held.find(END, max(0, self._seen - len(END) + 1))
        if (end if end >= 0 else len(held) - len(END)) + len(END) > self._most:
            raise HeadTooLarge(exceeds("size of the head", self._most, "head_size"))
        if end >= 0:
            end += len(END)
            self._data = b""
            return Head(held[:end]), bytes(held[end:])
        if _BARE_LF.search(held, max(0, self._seen - 1)):
            raise MalformedHead("bare LF at the end of a header line")
        if _BARE_CR.search(held, max(0, self._seen - 1)):
            raise MalformedHead("bare CR in the head")
        self._seen = len(held)
        return None


class RequestReader(HeadReader):
    """
    Reader of the head of a request, for a server.

    Empty lines before the request line are accepted (RFC 9112 section 2.2): some devices send a
    line end after the body of their previous request. No server is known to send empty lines before
    a response, which a :class:`HeadReader` reads. Other protocols are recognised by their first
    bytes, and named in the error.
    """

    __slots__ = ("_begun", "_first", "_skipped")

    def __init__(self, most: int) -> None:
        """
        Create a reader.

        :param most: most bytes of a head, and most bytes of the empty lines before it.
        """
        super().__init__(most)
        self._begun = False
        self._first = b""  # possible beginning of an empty line or of another protocol
        self._skipped = 0

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """
        Receive bytes, as :meth:`HeadReader.read`.

        :raises MalformedHead: also for a PROXY protocol header, a TLS handshake, and a space or a
            byte order mark, each with its own text.
        :raises FlashPolicyAsked: for a policy file request of Flash.
        """
        if not self._begun:
            if self._first or self._skipped or data[:1] in _SUSPECT:
                begun = self._skip(self._first + data)
                if begun is None:
                    return None
                data = begun
            self._begun = True
        return super().read(data)

    def _skip(self, data: bytes) -> bytes | None:
        """Return the bytes from the request line on; ``None`` while its beginning is unknown."""
        match = _EMPTY_LINES.match(data)
        assert match is not None
        self._skipped += match.end()
        if self._skipped > self._most:
            raise MalformedHead(f"more than {self._most} bytes of empty lines before a request")
        self._first = data = data[match.end() :]
        foreign = (*_FOREIGN, _PROXY_2) if self._skipped == len(END) else _FOREIGN
        for first, words in foreign:
            if data.startswith(first):
                raise FlashPolicyAsked(words) if first == _FLASH else MalformedHead(words)
        if data == b"\r" or any(first.startswith(data) for first, _ in foreign):
            return None
        self._first = b""
        return data


_CONTROL: Final = re.compile(rb"[\x00-\x08\x0A-\x1F\x7F]")
"""Control characters that a field's value may not have (RFC 9110 section 5.5)."""


def text(value: bytes) -> str:
    """Decode a field's value as ISO 8859-1: one character for each byte (RFC 9110 section 5.5)."""
    return value.decode("latin-1")


def reason_phrase(status: int) -> str:
    """Return the registered reason phrase of a status, or a general phrase."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "HandshakeRefused" if status >= 400 else "Answer"


def header_pairs(headers: HeadersLike) -> Headers:
    """
    Convert header fields of a program to pairs of bytes.

    :raises TypeError: for an argument that is neither pairs nor a mapping, and for a name or a
        value that is neither ``str`` nor ``bytes``.
    :raises ValueError: as :func:`checked_pairs`, and for ``str`` that is not ASCII: only the caller
        knows its encoding.
    """
    if not headers and isinstance(headers, tuple):
        return ()
    given = headers.items() if isinstance(headers, Mapping) else headers
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{_HEADERS}, not {type(headers).__name__}")
    pairs = []
    for pair in given:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"{_HEADERS}; found {type(pair).__name__} instead of a pair")
        pairs.append((_field_bytes(pair[0]), _field_bytes(pair[1])))
    return checked_pairs(tuple(pairs))


_HEADERS: Final = 'headers: expected pairs, as in headers=[("Cookie", "a=b")], or a mapping'


def _field_bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{_HEADERS}, of str or bytes, not {type(value).__name__}")
    if not value.isascii():
        raise ValueError("headers: str outside ASCII; pass encoded bytes")
    return value.encode("ascii")


def read_header(text: str) -> tuple[bytes, bytes]:
    """
    Read one header field as an operator writes it, ``NAME: VALUE``; what is not ASCII is UTF-8.

    :raises ValueError: "expected ..." for anything else. The error never has the value in it, which
        may be a credential.
    """
    name, colon, value = text.partition(":")
    raw = value.strip().encode("utf-8", "surrogateescape")
    token = name.encode("utf-8", "surrogateescape")
    if not colon or not token or token.translate(None, TOKEN):
        raise ValueError("expected 'NAME: VALUE'")
    if _CONTROL.search(raw):
        raise ValueError(f"expected no control characters in the value of {name}")
    return token, raw


def checked_pairs(pairs: Headers) -> Headers:
    """
    Check header fields that a program passes.

    :raises ValueError: for an invalid name, and for a value with a line end or another control
        character, which would allow response splitting. The text has the name of the field and not
        its value: the value may be a token that was read from a file together with a line end.
    """
    for name, value in pairs:
        if not name or name.translate(None, TOKEN):
            raise ValueError(f"invalid header field name: {name!r}")
        if _CONTROL.search(value):
            raise ValueError(f"control character in the value of header field {name!r}")
    return pairs


_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(?::([0-9]{0,5}))?")


_SHARED: Final = 64
"""Entries of each cache of hosts and origins. Thousands of connections have the same few hosts and
origins, and share one string for each. The size of a head is limited, so an attacker can fill a
cache with at most 1 MiB."""


@lru_cache(maxsize=_SHARED)
def read_authority(value: bytes) -> str:
    """
    Read a ``Host`` field: a host name or address, optionally with a port.

    :raises MalformedHead: for an invalid value.
    """
    if _HOST.fullmatch(text(value)) is None:
        raise MalformedHead("invalid Host")
    return value.decode("ascii")


@lru_cache(maxsize=_SHARED)
def visible(name: bytes, value: bytes) -> str:
    """
    Read the value of a field that must be visible ASCII.

    :raises MalformedHead: for another character.
    """
    if not value.isascii() or not text(value).isprintable():
        raise MalformedHead(f"invalid {name.decode('ascii')}: expected visible ASCII")
    return value.decode("ascii")
