"""HTTP/1.1 heads (RFC 9112), and nothing that comes after one.

A head is kept as the bytes it came in, and taken apart when somebody asks: an idle connection
holds 370 bytes of it instead of 3 kB of fields. Only CR LF ends a line here: what ``splitlines``
also takes for an end (0x0B, 0x0C, 0x1C to 0x1E, 0x85) let a header be smuggled in elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from ..errors import HeadTooLarge, MalformedHead, UnsupportedVersion
from ..limits import exceeds
from ..types import Headers, HeadersLike

END: Final = b"\r\n\r\n"

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""The characters of ``token``, RFC 9110 section 5.6.2."""

_FIELD: Final = re.compile(
    rb"^([!#$%&'*+\-.^_`|~0-9A-Za-z]*): ?([^\x00-\x08\x0A-\x1F\x7F]*)\r\n", re.MULTILINE
)
"""``name ":" [one blank] value`` (RFC 9112 section 5, where more blanks than one go to neither). No
value holds a control character but the tab (RFC 9110 section 5.5)."""

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/(\d)\.(\d)\r\n")


_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")
_PROXY_HEADER: Final = "unexpected PROXY protocol header: no proxy is trusted at this address"
_FOREIGN: Final = (
    (b"PROXY TCP4 ", _PROXY_HEADER),
    (b"PROXY TCP6 ", _PROXY_HEADER),
    (b"PROXY UNKNOWN", _PROXY_HEADER),
    (
        b"<policy-file-request/>",
        "this is not HTTP: Flash asks for a policy file",
    ),
    (b"\x16\x03", "this is not HTTP: a TLS handshake on a port without TLS"),
)
"""First bytes that come to a server's port by somebody's mistake, and what is said of them."""

_PROXY_2: Final = (b"\0\r\nQUIT\n", _PROXY_HEADER)
"""The same of version 2 of the PROXY protocol, behind the two empty lines with which it begins."""

_SUSPECT: Final = b"\r" + bytes({first[0] for first, _ in _FOREIGN})


class Fields(dict[bytes, bytes]):
    """
    The fields of a head, by their names in lower case; values as they stood after ``:`` and one
    blank. Of a name that came more than once this is the last value; ask :meth:`exact` for all.

    :ivar pairs: all of them, in their order.
    """

    __slots__ = ("_repeats", "pairs")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        self._repeats = len(self) < len(pairs)

    def exact(self, name: bytes) -> list[bytes]:
        """Every value of a field, to the byte: what the drafts' client checks compare."""
        if self._repeats:
            return [value for found, value in self.pairs if found == name]
        return [self[name]] if name in self else []

    def stripped(self, name: bytes) -> list[bytes]:
        """Every value of a field, without the blanks around it (RFC 9110 section 5.5)."""
        return [value.strip(b" \t") for value in self.exact(name)]

    def only(self, name: bytes) -> bytes | None:
        """
        The value of a field that may come once.

        :raises MalformedHead: when it came more than once. A field that decides something and
            says two things is how requests are smuggled.
        """
        value = self.get(name)
        if value is None:
            return None
        if self._repeats and len(self.exact(name)) > 1:
            raise MalformedHead(f"duplicate {name.decode('ascii')}")
        return value.strip(b" \t")

    def has_token(self, name: bytes, token: bytes) -> bool:
        """Whether a lower-case token is among the comma-separated members of a field's values."""
        if self.get(name, b"").lower() == token:
            return True
        members = b",".join(self.exact(name)).lower().split(b",")
        return token in [member.strip(b" \t") for member in members]


class Head(bytes):
    """A whole head, start line to blank line: its bytes, and what can be asked of them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Head({super().__repr__()})"

    @property
    def raw(self) -> bytes:
        """The bytes alone, the blank line's CR LF included: what transports take."""
        return self[:]

    @classmethod
    def of(cls, start_line: bytes, pairs: tuple[tuple[bytes, bytes], ...] = ()) -> Head:
        """A head of a start line and fields, written as every dialect reads it: ``name: value``."""
        lines = [name + b": " + value for name, value in pairs]
        return cls(b"\r\n".join([start_line, *lines, b"", b""]))

    def extended(self, other: Head) -> Head:
        """This head with the other's fields after its own."""
        return Head(self[:-2] + other[len(other.start_line) + 2 :])

    @property
    def start_line(self) -> bytes:
        """The first line, without its end."""
        return self[: self.index(b"\r\n")]

    def fields(self, most: int | None = None) -> Fields:
        """
        The fields, taken apart now.

        :param most: how many there may be.
        :raises MalformedHead: for a bare CR or LF, a control character, a folded line, a blank
            before a colon, or a line without one. A name may be empty here: the drafts give that a
            check of its own.
        :raises HeadTooLarge: for too many fields.
        """
        start = self.index(b"\r\n") + 2
        found = _FIELD.findall(self, start)
        # A line that is none, or a bare CR or LF somewhere, leaves fewer matches than line ends.
        if len(found) != self.count(b"\n", start) - 1:
            raise MalformedHead(
                "invalid header field: expected 'name: value' without control characters"
            )
        if most is not None and len(found) > most:
            raise HeadTooLarge(exceeds("number of fields in the head", most, "head_fields"))
        return Fields([(name.lower(), value) for name, value in found])


class Request(NamedTuple):
    """
    A request's head, taken apart.

    :ivar method: as sent.
    :ivar target: the resource as sent: visible ASCII.
    :ivar minor: the version is HTTP/1 and this.
    """

    head: Head
    method: bytes
    target: str
    minor: int
    fields: Fields


def read_request(head: Head, most: int | None = None) -> Request:
    """
    Take a request's head apart (RFC 9112 sections 3 and 5).

    :param most: fields there may be.
    :raises MalformedHead: when it is no request.
    :raises UnsupportedVersion: for HTTP/2's preface and whatever else is not HTTP/1.
    """
    match = _REQUEST_LINE.match(head)
    if match is None:
        raise MalformedHead("invalid request line")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise UnsupportedVersion("unsupported HTTP version: expected HTTP/1.1")
    return Request(head, method, target.decode("ascii"), int(minor), head.fields(most))


class Asked(NamedTuple):
    """
    What a request asks for, as far as it can be read: for a line of a log.

    Nothing here was checked, and credentials are not masked.

    :ivar host: the ``Host`` field; several, joined by commas.
    :ivar target: the request's target.
    :ivar origin: the fields of the page's origin, of any dialect.
    """

    host: str | None = None
    target: str | None = None
    origin: str | None = None


NOTHING_ASKED: Final = Asked()


_ASKED_TARGET: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ ([^ \r\n]+)")
_ASKED_HOST: Final = re.compile(rb"^host[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_ASKED_ORIGIN: Final = re.compile(
    rb"^(?:(?:sec-)?websocket-)?origin[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE
)


def read_asked(data: bytes) -> Asked:
    """
    What a request asks for, however malformed or incomplete its head is.

    :param data: its head, or the beginning of one; bytes behind the blank line do not count.
    """
    head, _, _ = data.partition(END)
    target = _ASKED_TARGET.match(head)
    if target is None:
        return NOTHING_ASKED
    host, origin = (
        text(b", ".join(pattern.findall(head))) or None for pattern in (_ASKED_HOST, _ASKED_ORIGIN)
    )
    return Asked(host, text(target[1]), origin)


class HeadReader:
    """
    Reads up to the blank line, however the bytes come.

    It remembers how far it has looked, so that a head that comes byte by byte costs what one in
    a single piece costs.
    """

    __slots__ = ("_data", "_most", "_seen")

    def __init__(self, most: int) -> None:
        """:param most: bytes a head may have."""
        self._data: bytes | bytearray = b""  # a bytearray, once there is something to hold
        self._most = most
        self._seen = 0

    @property
    def held(self) -> bytes:
        """What has come of a head that is not whole, as far as a head may be long."""
        return bytes(self._data[: self._most])

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """
        Take bytes; once the head is whole, answer it and what came after it.

        :raises HeadTooLarge: when it is longer than allowed.
        :raises MalformedHead: when it cannot be HTTP by its first
            byte (a TLS hello, say: its sender waits for us as long as we wait for it), or when a
            line ends in a bare LF.
        """
        held = self._data
        if not held and (end := data.find(END) + len(END)) >= len(END) and end <= self._most:
            return Head(data[:end]), data[end:]  # in one piece, as nearly all of them are
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
        self._seen = len(held)
        return None


class RequestReader(HeadReader):
    """
    Reads a request's head, as a server does.

    It takes empty lines before the request line (RFC 9112 section 2.2): devices send the line end
    of their last request's body there. Nothing is known to send them before an answer, which a
    :class:`HeadReader` reads. And it names what is no request, where its first bytes show that.
    """

    __slots__ = ("_begun", "_first", "_skipped")

    def __init__(self, most: int) -> None:
        """:param most: bytes a head may have, and the empty lines before it."""
        super().__init__(most)
        self._begun = False
        self._first = b""  # what may be an empty line yet, or the first bytes of something else
        self._skipped = 0

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """
        See :meth:`HeadReader.read`.

        :raises MalformedHead: besides, for a PROXY protocol header, Flash's request for a policy
            and a TLS handshake, each in words of its own.
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
        """The bytes from the request line on; ``None`` while these do not tell where it begins."""
        match = _EMPTY_LINES.match(data)
        assert match is not None
        self._skipped += match.end()
        if self._skipped > self._most:
            raise MalformedHead(f"more than {self._most} bytes of empty lines before a request")
        self._first = data = data[match.end() :]
        foreign = (*_FOREIGN, _PROXY_2) if self._skipped == len(END) else _FOREIGN
        for first, words in foreign:
            if data.startswith(first):
                raise MalformedHead(words)
        if data == b"\r" or any(first.startswith(data) for first, _ in foreign):
            return None
        self._first = b""
        return data


_CONTROL: Final = re.compile(rb"[\x00-\x08\x0A-\x1F\x7F]")
"""What no field's value holds (RFC 9110 section 5.5), and a head that does is not read."""


def text(value: bytes) -> str:
    """A field's value as text: one byte, one character (RFC 9110 section 5.5)."""
    return value.decode("latin-1")


def reason_phrase(status: int) -> str:
    """The registered phrase of a status, or a word for its class."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "HandshakeRefused" if status >= 400 else "Answer"


def header_pairs(headers: HeadersLike) -> Headers:
    """
    Header fields as they were given, as bytes.

    :raises TypeError: for what is neither pairs nor a mapping, and for a name or a value that is
        neither ``str`` nor ``bytes``.
    :raises ValueError: as :func:`checked_pairs`, and for ``str`` that is not ASCII: which bytes are
        meant only the caller knows.
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


def checked_pairs(pairs: Headers) -> Headers:
    """
    :raises ValueError: for a field that would end its line, or holds another control character: our
        own caller's mistake, and the way responses are split. It names the field and keeps its
        value, which may be a token that was read from a file together with the line's end.
    """
    for name, value in pairs:
        if not name or name.translate(None, TOKEN):
            raise ValueError(f"invalid header field name: {name!r}")
        if _CONTROL.search(value):
            raise ValueError(f"control character in the value of header field {name!r}")
    return pairs


_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(?::([0-9]{0,5}))?")


_SHARED: Final = 64
"""Hosts and origins remembered: thousands of connections name the same few, and keep one string of
each between them. Heads are bounded, and so is what somebody could fill this with: 1 MiB."""


@lru_cache(maxsize=_SHARED)
def read_authority(value: bytes) -> str:
    """
    A name or address, and a port if it is not the usual.

    :raises MalformedHead: when it is none.
    """
    if _HOST.fullmatch(text(value)) is None:
        raise MalformedHead("invalid Host")
    return value.decode("ascii")


@lru_cache(maxsize=_SHARED)
def visible(name: bytes, value: bytes) -> str:
    """
    Read the value of a field that must be visible ASCII.

    :raises MalformedHead: for anything else.
    """
    if not value.isascii() or not text(value).isprintable():
        raise MalformedHead(f"invalid {name.decode('ascii')}: expected visible ASCII")
    return value.decode("ascii")
