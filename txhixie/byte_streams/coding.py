"""Codings: byte streams as WebSocket messages, and back.

Both sides have to use the same coding. A :class:`Coding` has the state of one connection, and is
independent of the connection itself and of its dialect.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from codecs import utf_8_decode
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

from ..sansio.errors import InvalidUTF8, MessageTooBig, UnsupportedData

MOST_BYTES: Final = 64 * 1024
"""Most bytes of a stream in one message. Peers accept 1 MiB by default, and some old peers 64 KiB;
base64 adds a third."""

LONGEST_LINE: Final = 1024 * 1024
"""Most bytes of a line, which is buffered until its end: the default message size of peers."""


class Coding(Protocol):
    """
    Conversion of the byte stream of one connection to messages, and back.

    :ivar name: name of the coding.
    """

    name: str

    def encode(self, data: bytes) -> list[str | bytes]:
        """
        Convert a piece of the stream to messages; an incomplete part is buffered.

        :raises txhixie.errors.FrameError: for a stream that this coding cannot carry.
        """
        ...

    def finish(self) -> list[str | bytes]:
        """
        Return the messages for the buffered part at the end of the stream.

        :raises txhixie.errors.FrameError: as :meth:`encode`.
        """
        ...

    def decode(self, message: str | bytes) -> bytes:
        """
        Convert a message to bytes of the stream.

        :raises txhixie.errors.FrameError: for an invalid message. Its ``code`` is the close code:
            1003 for a text message where binary is expected or the reverse, 1007 for invalid text.
        """
        ...


class Binary:
    """
    Coding with the bytes of the stream as binary messages.

    :ivar most: most bytes of a message.
    """

    name = "binary"
    replaced = False
    most = MOST_BYTES

    def encode(self, data: bytes) -> list[str | bytes]:
        """Return a message for the piece, or several for a long piece."""
        return [*_pieces(data, self.most)]

    def finish(self) -> list[str | bytes]:
        """Return no messages: nothing is buffered."""
        return []

    def decode(self, message: str | bytes) -> bytes:
        """Return the bytes of a binary message; a text message is an error."""
        if isinstance(message, str):
            raise UnsupportedData("expected a binary message")
        return message


class Base64:
    """
    Coding of text messages in base64 (RFC 4648 section 4), for clients without binary messages.

    Each message is complete base64, with padding.

    :ivar most: most characters of a message.
    """

    name = "base64"
    replaced = False
    most = 2 * MOST_BYTES

    @property
    def _bytes(self) -> int:
        return min(MOST_BYTES, self.most // 4 * 3)

    def encode(self, data: bytes) -> list[str | bytes]:
        """Return a message for the piece, or several for a long piece."""
        return [b64encode(piece).decode("ascii") for piece in _pieces(data, self._bytes)]

    def finish(self) -> list[str | bytes]:
        """Return no messages: nothing is buffered."""
        return []

    def decode(self, message: str | bytes) -> bytes:
        """Decode a text message; characters outside the alphabet are an error."""
        if isinstance(message, bytes):
            raise UnsupportedData("expected a text message in base64")
        try:
            return b64decode(message, validate=True)
        except (binascii.Error, ValueError):  # ValueError for a character outside ASCII
            raise InvalidUTF8("invalid base64") from None


class LineCoding:
    """
    Coding of text messages of one line each, in UTF-8, without the line end.

    This is for serial bridges, consoles and other line-based services. The last line of a stream
    may have no line end. A byte that is not UTF-8 becomes U+FFFD: one degree sign in Latin-1 should
    not end a console session.
    """

    name = "lines"

    def __init__(self, end: bytes = b"\n", longest: int = LONGEST_LINE) -> None:
        """
        Create a coding.

        :param end: the line end that is written to the stream: LF, or CR LF. With CR LF, a CR
            before an LF of the stream is a part of the line end.
        :param longest: most bytes of a line.
        """
        self._end = end
        self._longest = longest
        self._rest = bytearray()
        self.replaced = False

    def encode(self, data: bytes) -> list[str | bytes]:
        """Return the lines that end in this piece; an incomplete line is buffered."""
        lines = []
        *ends, rest = data.split(b"\n")  # only the new piece: a long line is not searched again
        for end in ends:
            self._keep(end)
            lines.append(bytes(self._rest))
            self._rest.clear()
        self._keep(rest)
        return [self._text(line.removesuffix(self._end[:-1])) for line in lines]

    def finish(self) -> list[str | bytes]:
        """Return the last line, which has no line end."""
        line = bytes(self._rest)
        self._rest.clear()
        return [self._text(line)] if line else []

    def decode(self, message: str | bytes) -> bytes:
        """Return a line with its line end; a line end inside the message is an error."""
        if isinstance(message, bytes):
            raise UnsupportedData("expected a text message")
        line = message.encode()
        if line.translate(None, self._end) != line:
            raise InvalidUTF8("line end inside a message")
        if len(line) > self._longest:
            raise self._too_long()
        return line + self._end

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.replaced = True
            return line.decode(errors="replace")

    def _keep(self, data: bytes) -> None:
        if len(self._rest) + len(data) > self._longest:
            raise self._too_long()
        self._rest += data

    def _too_long(self) -> MessageTooBig:
        return MessageTooBig(f"line longer than {self._longest:,} bytes")


class CrLfLines(LineCoding):
    """Coding of lines that end in CR LF, as in most Internet protocols."""

    name = "crlf-lines"

    def __init__(self) -> None:
        super().__init__(b"\r\n")


class Text:
    """
    Coding of text messages of any length, in UTF-8, for consoles with prompts without a line end.

    A message never ends inside a character. A byte that is not UTF-8 becomes U+FFFD.

    :ivar most: most bytes of a message.
    """

    name = "text"
    most = MOST_BYTES

    def __init__(self) -> None:
        self._rest = b""
        self.replaced = False

    def encode(self, data: bytes) -> list[str | bytes]:
        """Return the complete characters; at most three bytes of an incomplete one are buffered."""
        return self._decoded(self._rest + data, False)

    def finish(self) -> list[str | bytes]:
        """Return U+FFFD for an incomplete character at the end of the stream."""
        return self._decoded(self._rest, True)

    def decode(self, message: str | bytes) -> bytes:
        """Return the text as UTF-8, without a line end."""
        if isinstance(message, bytes):
            raise UnsupportedData("expected a text message")
        return message.encode()

    def _decoded(self, data: bytes, final: bool) -> list[str | bytes]:
        try:
            text, used = utf_8_decode(data, "strict", final)
        except UnicodeDecodeError:
            self.replaced = True
            text, used = utf_8_decode(data, "replace", final)
        self._rest = data[used:]
        most = self.most // 4  # a character has at most 4 bytes
        return [text[start : start + most] for start in range(0, len(text), most)]


Known: TypeAlias = Binary | Base64 | LineCoding | Text
"""A coding of this module. Its ``replaced`` is true once bytes of the stream that are not UTF-8
were replaced by U+FFFD."""

CODINGS: Final[Mapping[str, Callable[[], Known]]] = {
    made.name: made for made in (Binary, Base64, LineCoding, CrLfLines, Text)
}
"""Classes of the codings by their names; each connection has its own object."""


def sized(coding: Known, most: int) -> Known:
    """
    Return a coding that makes messages of at most some bytes.

    A line is always one message, since a line that is cut would be two.

    :param most: most bytes of a message, at least 4.
    """
    if not isinstance(coding, LineCoding):
        coding.most = min(coding.most, most)
    return coding


def _pieces(data: bytes, most: int) -> list[bytes]:
    if len(data) <= most:
        return [data] if data else []
    return [data[start : start + most] for start in range(0, len(data), most)]
