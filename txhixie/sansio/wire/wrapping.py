"""Base of framings that change a part of another framing."""

from __future__ import annotations

from .frame import Framing


class WrappingFraming:
    """
    A codec that wraps the codec of its connection.

    What a subclass does not define is a method of the wrapped codec itself, which saves one call
    for each message.
    """

    __slots__ = (
        "_framing",
        "advance",
        "ahead",
        "encode_close",
        "feed",
        "messages",
        "read_close",
        "release",
        "restore",
    )

    def __init__(self, framing: Framing) -> None:
        """:param framing: the codec of the connection."""
        self._framing = framing
        self.feed = framing.feed
        self.advance = framing.advance
        self.ahead = framing.ahead
        self.messages = framing.messages
        self.restore = framing.restore
        self.encode_close = framing.encode_close
        self.read_close = framing.read_close
        self.release = framing.release

    @property
    def has_binary(self) -> bool:
        """Whether the peer receives binary messages."""
        return self._framing.has_binary

    @property
    def waiting(self) -> int:
        """The number of buffered bytes."""
        return self._framing.waiting

    @property
    def missing(self) -> tuple[int, bytes]:
        """Number of missing bytes of the payload of an incomplete frame, and their masking key."""
        return self._framing.missing

    @property
    def is_between_frames(self) -> bool:
        """Whether the next received byte is the first one of a frame."""
        return self._framing.is_between_frames
