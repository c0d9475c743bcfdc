"""HTTP/1.1 heads (RFC 9112), and nothing that comes after one.

A head is kept as the bytes it came in, and taken apart when somebody asks: an idle connection
holds 370 bytes of it instead of 3 kB of fields. Only CR LF ends a line here: what ``splitlines``
also takes for an end (0x0B, 0x0C, 0x1C to 0x1E, 0x85) let a header be smuggled in elsewhere.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..errors import MalformedHead, UnsupportedVersion

END: Final = b"\r\n\r\n"

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""The characters of ``token``, RFC 9110 section 5.6.2."""

_CONTROLS: Final = bytes(set(range(0x20)) - {0x09}) + b"\x7f"
"""What no field value holds (RFC 9110 section 5.5). CR and LF are among them: a line that was
cut at its CR LF holds neither."""

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/(\d)\.(\d)")
_STATUS_LINE: Final = re.compile(rb"HTTP/\d\.\d (\d{3})(?: [^\r\n]*)?")


class RequestLine(NamedTuple):
    """``method target version``: the version as the two numbers after ``HTTP/``."""

    method: bytes
    target: str
    version: tuple[int, int]


class Fields:
    """
    The fields of a head: names in lower case, values as they stood after ``:`` and one blank.

    :ivar pairs: all of them, in their order.
    """

    __slots__ = ("_by_name", "pairs")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.pairs = pairs
        self._by_name: dict[bytes, list[bytes]] = {}
        for name, value in pairs:
            self._by_name.setdefault(name, []).append(value)

    def exact(self, name: bytes) -> list[bytes]:
        """Every value of a field, to the byte: what the drafts' client checks compare."""
        return self._by_name.get(name, [])

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a field, without the blanks around it (RFC 9110 section 5.5)."""
        return [value.strip(b" \t") for value in self._by_name.get(name, ())]

    def only(self, name: bytes) -> bytes | None:
        """
        The value of a field that may come once.

        :raises MalformedHead: when it came more than once. A field that decides something and
            says two things is how requests are smuggled.
        """
        values = self._by_name.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise MalformedHead(f"{name.decode('ascii')} came {len(values)} times")
        return values[0].strip(b" \t")

    def tokens(self, name: bytes) -> list[bytes]:
        """The comma-separated members of a field's values, in lower case."""
        members = b",".join(self._by_name.get(name, ())).lower().split(b",")
        return [member for member in (raw.strip(b" \t") for raw in members) if member]


class Head:
    """
    A whole head, start line to blank line.

    :ivar raw: its bytes, the blank line's CR LF included.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __repr__(self) -> str:
        return f"Head({self.raw!r})"

    @classmethod
    def of(cls, start_line: bytes, pairs: tuple[tuple[bytes, bytes], ...] = ()) -> Head:
        """A head of a start line and fields, written the way every dialect reads: ``name: value``."""
        lines = [start_line, *(name + b": " + value for name, value in pairs)]
        return cls(b"\r\n".join(lines) + END)

    def extended(self, other: Head) -> Head:
        """This head with the other's fields after its own."""
        return Head(self.raw[:-2] + other.raw[len(other.start_line) + 2 :])

    @property
    def start_line(self) -> bytes:
        """The first line, without its end."""
        return self.raw[: self.raw.index(b"\r\n")]

    def request_line(self) -> RequestLine:
        """
        The start line of a request (RFC 9112 section 3).

        :raises MalformedHead: when it is none.
        :raises UnsupportedVersion: for HTTP/2's preface and whatever else is not HTTP/1.
        """
        match = _REQUEST_LINE.fullmatch(self.start_line)
        if match is None:
            raise MalformedHead("the first line is no request line")
        method, target, major, minor = match.groups()
        if major != b"1":
            raise UnsupportedVersion("only HTTP/1.1 is spoken here")
        return RequestLine(method, target.decode("ascii"), (1, int(minor)))

    def status(self) -> int:
        """
        The status code of an answer (RFC 9112 section 4).

        :raises MalformedHead: when the first line is no status line.
        """
        match = _STATUS_LINE.fullmatch(self.start_line)
        if match is None:
            raise MalformedHead("the first line is no status line")
        return int(match[1])

    def fields(self, most: int | None = None) -> Fields:
        """
        The fields, taken apart now.

        :param most: how many there may be.
        :raises MalformedHead: for a bare CR or LF, a control character, a folded line, a blank
            before a colon, a line without one, or too many of them. A name may be empty here:
            the drafts give that a check of its own.
        """
        lines = self.raw[: -len(END)].split(b"\r\n")
        ends = 2 * (len(lines) + 1)
        if len(self.raw) - len(self.raw.translate(None, _CONTROLS)) != ends:
            raise MalformedHead("a line holds a control character")
        if most is not None and len(lines) - 1 > most:
            raise MalformedHead(f"more than {most} fields")
        pairs = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or name.translate(None, TOKEN):
                raise MalformedHead("a line is no 'name: value'")
            pairs.append((name.lower(), value[1:] if value[:1] == b" " else value))
        return Fields(pairs)


class HeadReader:
    """
    Reads up to the blank line, however the bytes come.

    It remembers how far it has looked, so that a head that comes byte by byte costs what one in
    a single piece costs.
    """

    __slots__ = ("_data", "_most", "_seen")

    def __init__(self, most: int) -> None:
        """:param most: bytes a head may have."""
        self._data = bytearray()
        self._most = most
        self._seen = 0

    def read(self, data: bytes) -> tuple[Head, bytes] | None:
        """
        Take bytes; once the head is whole, answer it and what came after it.

        :raises MalformedHead: when it is longer than allowed, when it cannot be HTTP by its first
            byte (a TLS hello, say: its sender waits for us as long as we wait for it), or when a
            line ends in a bare LF.
        """
        held = self._data
        held += data
        end = held.find(END, max(0, self._seen - len(END) + 1))
        if (end if end >= 0 else len(held) - len(END)) + len(END) > self._most:
            raise MalformedHead(f"the head is longer than {self._most} bytes")
        if end >= 0:
            end += len(END)
            return Head(bytes(held[:end])), bytes(held[end:])
        if held and held[0] not in TOKEN:
            raise MalformedHead("this is not HTTP")
        if _BARE_LF.search(held, max(0, self._seen - 1)):
            raise MalformedHead("a line ends in a bare LF")
        self._seen = len(held)
        return None
