"""Interfaces of extensions, and their negotiation (RFC 6455 section 9).

A factory has Extensions: settings without a state. An agreed Extension creates a Transform, which
has the state of one connection. Only one Transform can use each reserved bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol, cast

from ..arguments import scalars, several
from ..errors import InvalidHandshake
from ..http.parameters import Named, Parameters


class Transform(Protocol):
    """
    Encoder and decoder of the payloads of one connection.

    :ivar reserved: the reserved bits of a frame's first byte that the transform uses.
    """

    reserved: int

    def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        """
        Encode the payload of a message; return it with the reserved bits of its first frame.

        :param compress: whether the application wants the message compressed; ``None``: as the
            extension decides.
        """
        ...

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        """
        Decode the payload of a frame, or a piece of the payload of an incomplete frame.

        :param opcode: opcode of the frame; 0 (continuation) for each piece after the first.
        :param final: whether the message ends with this frame.
        :param reserved: the reserved bits of the frame.
        :param whole: whether the frame ends with this piece.
        :param room: most bytes of the result.
        :raises MessageTooBig: when the result would be larger.
        :raises FrameError: when the payload is invalid.
        """
        ...


class SharingTransform(Transform, Protocol):
    """
    Optional interface of a transform that encodes a message once for many connections.

    A broadcast encodes the message for each connection with a transform without this interface.
    """

    @property
    def encoding(self) -> str:
        """A text that is equal for all transforms with equal results of :meth:`encode_once`."""
        ...

    @property
    def keeps_context(self) -> bool:
        """Whether :meth:`restart` has to be called after each message of :meth:`encode_once`."""
        ...

    def encode_once(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        """Encode a payload as :meth:`encode` does, without the context of earlier messages."""
        ...

    def restart(self) -> None:
        """Forget the context: a payload of :meth:`encode_once` was sent on this connection."""
        ...


SHARING: Final = ("encode_once", "encoding", "keeps_context", "restart")
"""Names of :class:`SharingTransform` besides those of :class:`Transform`."""


def sharing(transform: Transform) -> SharingTransform | None:
    """Return a transform with the optional interface; ``None`` for a transform without it."""
    return cast(SharingTransform, transform) if hasattr(transform, SHARING[0]) else None


def unchanged_below(transform: Transform | None) -> int:
    """
    Return a number of bytes: each message of fewer bytes is encoded as it is.

    A transform may have it as an attribute of the same name. Without one, it is 0.

    :raises TypeError: for an attribute that is not an ``int``, which the C code would refuse with
        each text.
    """
    below: int = getattr(transform, "unchanged_below", 0)
    scalars(int, unchanged_below=below)
    return max(below, 0)


class Agreed(NamedTuple):
    """
    An accepted offer of an extension.

    :ivar parameters: the parameters of the server's response.
    :ivar transform: the transform of the connection.
    """

    parameters: Parameters
    transform: Transform


class Extension(Protocol):
    """
    Negotiation of one extension, for client and server.

    :ivar name: the registered name of the extension.
    """

    name: str

    def offers(self) -> Parameters:
        """Return the parameters that a client offers."""
        ...

    def accept(self, parameters: Parameters) -> Agreed | None:
        """Accept a client's offer on a server; return ``None`` to decline it."""
        ...

    def agree(self, parameters: Parameters) -> Transform:
        """
        Check the parameters of a server's response on a client.

        :raises InvalidHandshake: ``extension``, for parameters that do not answer the offer.
        """
        ...


def chosen_extensions(extensions: Iterable[Extension]) -> tuple[Extension, ...]:
    """
    Check and return the extensions that a program passes.

    :raises TypeError: for an extension that is not in a list, for a name, and for a class instead
        of an object.
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
    Choose an extension on a server: the first offer, in the client's order, that is acceptable.

    At most one is chosen, since all existing extensions use the same reserved bit.
    """
    for name, parameters in offered:
        for extension in ours:
            if extension.name == name and (taken := extension.accept(parameters)) is not None:
                return ((name, taken.parameters),), taken.transform
    return (), None


def agree(ours: Sequence[Extension], answered: Sequence[Named]) -> Transform | None:
    """
    Check the extensions of a server's response on a client.

    :raises InvalidHandshake: ``extension``, for an extension that was not offered, and for two
        extensions.
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
