"""Applications that remember what they were told, and what makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from twisted.python.failure import Failure

from ..interfaces import WebSocketTransport

A = TypeVar("A")


class Recorder:
    """
    An application, of either side, that remembers, and does what the test wants when it is told
    something.

    :ivar events: what it was told, in order: the name of the method without what they all share
        (``started``, ``finished``, ``text``, ``bytes``, ``pong``, ``lost``), and what came with it.
    :ivar transport: what it was given; there from ``started`` on.
    :ivar lost: why its connection ended, a :class:`txhixie.CleanClose` or a
        :class:`txhixie.AbruptClose`; ``None`` while it has not.
    :ivar does: what it does besides.
    """

    transport: WebSocketTransport

    def __init__(self, **does: Callable[[Recorder], object]) -> None:
        """:param does: for some of the names of the events, what to do besides."""
        self.events: list[tuple[Any, ...]] = []
        self.lost: BaseException | None = None
        self.does = does

    def _note(self, kind: str, *what: object) -> None:
        self.events.append((kind, *what))
        if (action := self.does.get(kind)) is not None:
            action(self)

    @property
    def told(self) -> list[str]:
        """The names of the events alone."""
        return [event[0] for event in self.events]

    @property
    def messages(self) -> list[str | bytes]:
        """What was received."""
        return [event[1] for event in self.events if event[0] in ("text", "bytes")]

    @property
    def last(self) -> Any:
        """What came with the last of the events."""
        return self.events[-1][1]

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Noted as ``started``."""
        self.transport = transport
        self._note("started")

    def negotiationFinished(self) -> None:
        """Noted as ``finished``."""
        self._note("finished")

    def textMessageReceived(self, message: str) -> None:
        """Noted as ``text``."""
        self._note("text", message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Noted as ``bytes``."""
        self._note("bytes", data)

    def pongReceived(self, payload: bytes) -> None:
        """Noted as ``pong``."""
        self._note("pong", payload)

    def connectionLost(self, reason: Failure) -> None:
        """Noted as ``lost``, with the exception."""
        self.lost = reason.value
        self._note("lost", reason.value)


def echo() -> Recorder:
    """
    :return: one that sends every message back.
    """
    return Recorder(
        text=lambda app: app.transport.sendTextMessage(app.last),
        bytes=lambda app: app.transport.sendBytesMessage(app.last),
    )


class Applications(Generic[A]):
    """
    What a factory of either side is given: makes applications and remembers them.

    :ivar made: those it made, in order.
    :ivar asked: with what, in the same order: offers, or URLs.
    """

    @overload
    def __init__(self: Applications[Recorder]) -> None: ...

    @overload
    def __init__(self, make: Callable[[], A]) -> None: ...

    def __init__(self, make: Callable[[], Any] = echo) -> None:
        """:param make: makes one, for each connection; by default an :func:`echo`."""
        self.make: Callable[[], A] = make
        self.made: list[A] = []
        self.asked: list[Any] = []

    def buildProtocol(self, asked: Any) -> A:
        """Make one for an offer, or for a URL."""
        self.asked.append(asked)
        self.made.append(self.make())
        return self.made[-1]
