"""Applications and producers that tests give to a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IPushProducer,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from txhixie import (
    Offer,
    testing,
)

Recorder = testing.Recorder


Applications = testing.Applications[Any]


echo = testing.echo


class Plain:
    """
    An application written for twisted.web.websocket: it has the six methods of that module, no base
    class, and uses no other methods of its transport than those of that module.

    :ivar events: the calls of its methods, in order.
    """

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport
        self.events.append(("started",))

    def negotiationFinished(self) -> None:
        self.events.append(("finished",))

    def textMessageReceived(self, message: str) -> None:
        self.events.append(("text", message))

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.events.append(("bytes", bytes(data)))

    def pongReceived(self, payload: bytes) -> None:
        self.events.append(("pong", payload))

    def connectionLost(self, reason: Failure) -> None:
        self.events.append(("lost", reason.type))


def fails(app: Recorder) -> None:
    """The error that a faulty application raises."""
    raise Broken("the application is broken")


class Broken(Exception):
    """An application's own error."""


class Answering:
    """An applications object that answers every offer with the result of a function."""

    def __init__(self, answer: Callable[[Offer], Any]) -> None:
        self.answer = answer

    def buildProtocol(self, offer: Offer) -> Any:
        return self.answer(offer)


@implementer(IPushProducer)
class Source:
    """A push producer that records the calls of its methods."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


def closed(application: Recorder) -> Any:
    """The reason of ``connectionLost``, after a check that it was the last call."""
    assert application.told.count("lost") == 1
    assert application.told[-1] == "lost"
    return application.lost
