"""A stream of bytes as messages, and back. It knows no connection, and no dialect.

A stream has no messages and a conversation has no bytes, so both sides have to agree on how one
stands for the other; a :class:`Coding` is one such agreement, with whatever it has to remember of
one connection.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from codecs import utf_8_decode
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

from ..sansio.errors import InvalidUTF8, MessageTooBig, UnsupportedData

MOST_BYTES: Final = 64 * 1024
"""Bytes of a stream that one message carries. Peers take 1 MiB by default, and some of the old ones
64 KiB; as base64 it is a third more."""

LONGEST_LINE: Final = 1024 * 1024
"""Bytes of a line, kept until its end comes: what a peer takes as a message by default."""


class Coding(Protocol):
    """
    How the bytes of one connection's stream stand in messages.

    :ivar name: what the agreement is called.
    """

    name: str

    def encode(self, data: bytes) -> list[str | bytes]:
        """
        The messages for this piece of the stream: none, while what is whole for us is not yet.

        :raises txhixie.errors.FrameError: for a stream that cannot stand in such messages.
        """
        ...

    def finish(self) -> list[str | bytes]:
        """
        The messages for what is left at the end of the stream.

        :raises txhixie.errors.FrameError: as :meth:`encode`.
        """
        ...

    def decode(self, message: str | bytes) -> bytes:
        """
        The bytes a message stands for.

        :raises txhixie.errors.FrameError: for a message that stands for none; its ``code`` is the
            one to close with: 1003 for text where binary is agreed or the reverse, 1007 for text
            that is not what it should be.
        """
        ...


class Binary:
    """Binary messages are the bytes."""

    name = "binary"
    replaced = False

    def encode(self, data: bytes) -> list[str | bytes]:
        """Any piece is a message; a long one is several."""
        return [*_pieces(data)]

    def finish(self) -> list[str | bytes]:
        """Nothing was kept."""
        return []

    def decode(self, message: str | bytes) -> bytes:
        """Text has no place here."""
        if isinstance(message, str):
            raise UnsupportedData("text in a stream of binary messages")
        return message


class Base64:
    """
    Text messages of base64 (RFC 4648 section 4), each whole in itself, padding included: for
    clients that have only text.
    """

    name = "base64"
    replaced = False

    def encode(self, data: bytes) -> list[str | bytes]:
        """Any piece is a message; a long one is several."""
        return [b64encode(piece).decode("ascii") for piece in _pieces(data)]

    def finish(self) -> list[str | bytes]:
        """Nothing was kept."""
        return []

    def decode(self, message: str | bytes) -> bytes:
        """Nothing but the alphabet and its padding is passed over."""
        if isinstance(message, bytes):
            raise UnsupportedData("binary in a stream of base64 messages")
        try:
            return b64decode(message, validate=True)
        except (binascii.Error, ValueError):  # the latter for what is not ASCII
            raise InvalidUTF8("text that is not base64") from None


class LineCoding:
    """
    Text messages, each one line in UTF-8 without its end: for serial bridges, consoles and other
    services that talk in lines. The last line of a stream may lack its end.

    A byte that is not UTF-8 becomes U+FFFD: one degree sign in Latin-1 must not end a console.
    """

    name = "lines"

    def __init__(self, end: bytes = b"\n", longest: int = LONGEST_LINE) -> None:
        """
        :param end: what ends a line towards the stream: LF, or CR LF, in which case a CR before an
            LF belongs to the end of a line in the other direction too.
        :param longest: bytes of a line at most.
        """
        self._end = end
        self._longest = longest
        self._rest = bytearray()
        self.replaced = False

    def encode(self, data: bytes) -> list[str | bytes]:
        """The lines that end in this piece; the rest of it is kept."""
        lines = []
        *ends, rest = data.split(b"\n")  # only what is new: a long line is not searched again
        for end in ends:
            self._keep(end)
            lines.append(bytes(self._rest))
            self._rest.clear()
        self._keep(rest)
        return [self._text(line.removesuffix(self._end[:-1])) for line in lines]

    def finish(self) -> list[str | bytes]:
        """The line whose end did not come."""
        line = bytes(self._rest)
        self._rest.clear()
        return [self._text(line)] if line else []

    def decode(self, message: str | bytes) -> bytes:
        """One line and its end; a message with an end of line inside would be two."""
        if isinstance(message, bytes):
            raise UnsupportedData("binary in a stream of lines")
        line = message.encode()
        if line.translate(None, self._end) != line:
            raise InvalidUTF8("an end of line inside a line")
        if len(line) > self._longest:
            raise MessageTooBig(f"a line of more than {self._longest} bytes")
        return line + self._end

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.replaced = True
            return line.decode(errors="replace")

    def _keep(self, data: bytes) -> None:
        if len(self._rest) + len(data) > self._longest:
            raise MessageTooBig(f"a line of more than {self._longest} bytes")
        self._rest += data


class CrLfLines(LineCoding):
    """LineCoding that end in CR LF, as those of most Internet protocols do."""

    name = "crlf-lines"

    def __init__(self) -> None:
        super().__init__(b"\r\n")


class Text:
    """
    Text messages, each what has come, in UTF-8: for consoles whose prompts end no line. A character
    is never split; a byte that is not UTF-8 becomes U+FFFD.
    """

    name = "text"

    def __init__(self) -> None:
        self._rest = b""
        self.replaced = False

    def encode(self, data: bytes) -> list[str | bytes]:
        """The characters that are whole; at most three bytes of the next one are kept."""
        return self._decoded(self._rest + data, False)

    def finish(self) -> list[str | bytes]:
        """The character whose end did not come."""
        return self._decoded(self._rest, True)

    def decode(self, message: str | bytes) -> bytes:
        """Text as it is: no end of line is added."""
        if isinstance(message, bytes):
            raise UnsupportedData("binary in a stream of text")
        return message.encode()

    def _decoded(self, data: bytes, final: bool) -> list[str | bytes]:
        try:
            text, used = utf_8_decode(data, "strict", final)
        except UnicodeDecodeError:
            self.replaced = True
            text, used = utf_8_decode(data, "replace", final)
        self._rest = data[used:]
        most = MOST_BYTES // 4  # of a character's bytes
        return [text[start : start + most] for start in range(0, len(text), most)]


Known: TypeAlias = Binary | Base64 | LineCoding | Text
"""A coding of our own. Its ``replaced`` says whether bytes of the stream that are no UTF-8 became
U+FFFD in a message so far."""

CODINGS: Final[Mapping[str, Callable[[], Known]]] = {
    made.name: made for made in (Binary, Base64, LineCoding, CrLfLines, Text)
}
"""Each by its name; a connection gets one of its own."""


def _pieces(data: bytes) -> list[bytes]:
    if len(data) <= MOST_BYTES:
        return [data] if data else []
    return [data[start : start + MOST_BYTES] for start in range(0, len(data), MOST_BYTES)]
