"""Coding of a byte stream that takes text messages for binary ones, and the reverse."""

from __future__ import annotations

from ..sansio.errors import InvalidUTF8, UnsupportedData
from ..sansio.quirks import Fault, Tell, tell_nobody
from .coding import Known


class EitherKind:
    """
    A coding that accepts messages of the other kind: the quirk ``kinds``.

    The bytes of a text message are its UTF-8. What is sent is unchanged.

    :ivar name: name of the coding.
    :ivar tell: told of the first message of the other kind.
    """

    def __init__(self, coding: Known) -> None:
        """:param coding: the coding for messages of the right kind."""
        self.name = coding.name
        self.tell: Tell = tell_nobody
        self.encode = coding.encode
        self.finish = coding.finish
        self._coding = coding

    @property
    def replaced(self) -> bool:
        """Whether bytes of the stream that are not UTF-8 were replaced by U+FFFD."""
        return self._coding.replaced

    def decode(self, message: str | bytes) -> bytes:
        """
        Convert a message of either kind to bytes of the stream.

        :raises txhixie.errors.FrameError: as the coding; :class:`txhixie.errors.InvalidUTF8` for a
            binary message in the place of text that is not UTF-8.
        """
        try:
            return self._coding.decode(message)
        except UnsupportedData as error:
            decoded = self._coding.decode(_other_kind(message))
            tell, self.tell = self.tell, tell_nobody
            tell(Fault("kinds", str(error)))
            return decoded


def _other_kind(message: str | bytes) -> str | bytes:
    if isinstance(message, str):
        return message.encode()
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise InvalidUTF8("binary message that is not UTF-8, where text is expected") from None
