"""What an extension is, and how two sides agree on some (RFC 6455 section 9).

An Extension is what a factory has: preferences, no state. Agreed, it makes a Transform, which is
what a connection has. There is room for one transform of each reserved bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from ..arguments import several
from ..errors import InvalidHandshake
from ..http.parameters import Named, Parameters


class Transform(Protocol):
    """
    One connection's.

    :ivar reserved: the reserved bits of a frame's first byte that it takes.
    """

    reserved: int

    def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        """
        A whole message's payload as it is sent, and the reserved bits that say so.

        :param compress: what the sender said; ``None`` leaves it to the extension.
        """
        ...

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        """
        Decode a frame's payload, or a piece of it while the frame is still arriving.

        :param opcode: the frame's; 0, a continuation, for every piece after the first.
        :param final: whether the message ends with this frame.
        :param reserved: the reserved bits of the frame.
        :param whole: whether the frame ends with this piece.
        :param room: bytes that may come of it.
        :raises MessageTooBig: when more would.
        :raises FrameError: when it cannot be read.
        """
        ...


class Agreed(NamedTuple):
    """
    :ivar parameters: what the server answers.
    :ivar transform: for the connection.
    """

    parameters: Parameters
    transform: Transform


class Extension(Protocol):
    """
    Both halves of one extension's negotiation.

    :ivar name: its registered name.
    """

    name: str

    def offers(self) -> Parameters:
        """What a client asks for."""
        ...

    def accept(self, parameters: Parameters) -> Agreed | None:
        """As a server: take an offer, or leave it."""
        ...

    def agree(self, parameters: Parameters) -> Transform:
        """
        As a client: what the server has made of our offer.

        :raises InvalidHandshake: ``extension``, for what may not be answered to it.
        """
        ...


def chosen_extensions(extensions: Iterable[Extension]) -> tuple[Extension, ...]:
    """
    The extensions that a program chooses.

    :raises TypeError: for one alone, for a name, and for a class that was not called.
    """
    chosen = several("extensions", extensions, "[PermessageDeflate()]")
    for extension in chosen:
        if isinstance(extension, type) or not hasattr(extension, "offers"):
            kind = extension if isinstance(extension, type) else type(extension)
            raise TypeError(
                "extensions: expected objects such as PermessageDeflate(), "
                f"not {'the class ' if kind is extension else ''}{kind.__name__}"
            )
    return chosen


def accept(
    ours: Sequence[Extension], offered: Iterable[Named]
) -> tuple[tuple[Named, ...], Transform | None]:
    """
    A server's choice: the first offer, in the client's order, that one of ours accepts. One is
    enough while all there are take the same reserved bit.
    """
    for name, parameters in offered:
        for extension in ours:
            if extension.name == name and (taken := extension.accept(parameters)) is not None:
                return ((name, taken.parameters),), taken.transform
    return (), None


def agree(ours: Sequence[Extension], answered: Sequence[Named]) -> Transform | None:
    """
    A client's check of the answer.

    :raises InvalidHandshake: ``extension``, when it grants what was not asked for, or two at once.
    """
    if not answered:
        return None
    if len(answered) > 1:
        raise InvalidHandshake("extension", "two extensions for the same reserved bit")
    name, parameters = answered[0]
    for extension in ours:
        if extension.name == name:
            return extension.agree(parameters)
    raise InvalidHandshake("extension", f"{name!r} was not offered")
