"""Applications for tests, which record their events, and their factory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from twisted.python.failure import Failure

from ..interfaces import WebSocketTransport

A = TypeVar("A")


class Recorder:
    """
    Application of a client or a server that records its events, and runs functions of the test.

    :ivar events: the events in order: tuples of a name (``started``, ``finished``, ``text``,
        ``bytes``, ``pong``, ``lost``) and the argument, if any.
    :ivar transport: the transport of the application; set at ``started``.
    :ivar lost: the reason of the end of the connection, a :class:`txhixie.CleanClose` or a
        :class:`txhixie.AbruptClose`; ``None`` before the end.
    :ivar does: functions that are called at events, by the name of the event.
    """

    transport: WebSocketTransport

    def __init__(self, **does: Callable[[Recorder], object]) -> None:
        """
        Create an application.

        :param does: functions that are called with the application at events, by the name of the
            event.
        """
        self.events: list[tuple[Any, ...]] = []
        self.lost: BaseException | None = None
        self.does = does

    def _note(self, kind: str, *what: object) -> None:
        self.events.append((kind, *what))
        if (action := self.does.get(kind)) is not None:
            action(self)

    @property
    def told(self) -> list[str]:
        """The names of the events in order."""
        return [event[0] for event in self.events]

    @property
    def messages(self) -> list[str | bytes]:
        """The received messages in order."""
        return [event[1] for event in self.events if event[0] in ("text", "bytes")]

    @property
    def last(self) -> Any:
        """The argument of the last event."""
        return self.events[-1][1]

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Record ``started``."""
        self.transport = transport
        self._note("started")

    def negotiationFinished(self) -> None:
        """Record ``finished``."""
        self._note("finished")

    def textMessageReceived(self, message: str) -> None:
        """Record ``text`` with the message."""
        self._note("text", message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Record ``bytes`` with the message."""
        self._note("bytes", data)

    def pongReceived(self, payload: bytes) -> None:
        """Record ``pong`` with the payload."""
        self._note("pong", payload)

    def connectionLost(self, reason: Failure) -> None:
        """Record ``lost`` with the exception."""
        self.lost = reason.value
        self._note("lost", reason.value)


def echo() -> Recorder:
    """
    Create an application that sends each message back.

    :return: a :class:`Recorder`.
    """
    return Recorder(
        text=lambda app: app.transport.sendTextMessage(app.last),
        bytes=lambda app: app.transport.sendBytesMessage(app.last),
    )


class Applications(Generic[A]):
    """
    Factory of applications, for a client or a server, that records the applications.

    :ivar made: the created applications, in order.
    :ivar asked: the arguments in the same order: offers on a server, URLs on a client.
    """

    @overload
    def __init__(self: Applications[Recorder]) -> None: ...

    @overload
    def __init__(self, make: Callable[[], A]) -> None: ...

    def __init__(self, make: Callable[[], Any] = echo) -> None:
        """
        Create a factory.

        :param make: called without arguments for each connection, returns an application; by
            default :func:`echo`.
        """
        self.make: Callable[[], A] = make
        self.made: list[A] = []
        self.asked: list[Any] = []

    def buildProtocol(self, asked: Any) -> A:
        """Create the application for an offer or a URL."""
        self.asked.append(asked)
        self.made.append(self.make())
        return self.made[-1]
