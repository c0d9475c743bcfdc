"""Objects that are not applications, and the errors that name what to write instead."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from twisted.internet.protocol import Factory, Protocol

from support.applications import Plain, Recorder
from txhixie import WebSocketProtocol
from txhixie.connection.applications import (
    Unusable,
    checkApplication,
    checkArgument,
    checkBuilder,
)


class Builds:
    """An object that builds applications."""

    def buildProtocol(self, offer: object) -> Plain:
        return Plain()


async def coroutine(channel: object) -> None:
    """A coroutine function of a channel."""


class Few:
    """An application that lacks methods."""

    def negotiationStarted(self, transport: object) -> None: ...

    def textMessageReceived(self, message: str) -> None: ...


class Added(Few):
    """An application whose instance has the methods that its class lacks."""

    def __init__(self) -> None:
        plain = Plain()
        for name in ("negotiationFinished", "bytesMessageReceived", "pongReceived"):
            setattr(self, name, getattr(plain, name))
        self.connectionLost = plain.connectionLost


class OfAutobahn(WebSocketProtocol):
    """An application with the method names of Autobahn, which inherits ours and does not override
    them."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None: ...


class Awaits(Plain):
    """An application with a coroutine function in place of a method."""

    async def textMessageReceived(self, message: str) -> None:  # type: ignore[override]  # the test overrides with a coroutine, which is wrong
        """Never awaited."""


@pytest.mark.parametrize("application", [Plain(), Recorder(), Added()])
def test_an_application_passes_the_check(application: object) -> None:
    checkApplication(application)
    checkArgument("application", application)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Recorder, r"the class Recorder, .*write Recorder\(\)"),
        (lambda offer: None, "a function, .*to serve"),
        (Protocol(), "Protocol, a protocol of bytes; .*StreamApplications"),
        (object(), "object, not an application: no method negotiationStarted"),
        (
            Few(),
            r"Few, which lacks negotiationFinished; add def negotiationFinished\(self\), def b",
        ),
        (
            cast(Any, OfAutobahn)(),
            r"OfAutobahn.onMessage is a method of Autobahn's, .*; write textMessageRec",
        ),
        (Awaits(), r"Awaits\.textMessageReceived is a coroutine function"),
    ],
)
def test_an_object_that_is_no_application_is_named_in_the_error(answer: object, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        checkApplication(answer)
    with pytest.raises(TypeError, match=f"application: .*{words}"):
        checkArgument("application", answer)


def test_an_asyncio_future_is_distinguished_from_a_deferred() -> None:
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(Unusable, match=r"write Deferred\.fromFuture"):
            checkApplication(loop.create_future())
    finally:
        loop.close()


def test_an_object_that_builds_applications_passes_the_check() -> None:
    checkBuilder("applications", Builds(), "a hint")


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        (Builds, r"expected an object, not the class Builds; write Builds\(\)"),
        (object(), "expected an object with buildProtocol, not object; a hint"),
        (Recorder, "expected an object with buildProtocol, not the application Recorder; write a"),
        (Recorder(), r".*write a class with def buildProtocol\(self, offer\): return Recorder\(\)"),
        (
            coroutine,
            r"expected an object with buildProtocol, not coroutine; write serve\(coroutine",
        ),
    ],
)
def test_an_object_that_builds_no_application_is_named_in_the_error(
    builder: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=f"applications: {words}"):
        checkBuilder("applications", builder, "a hint")


def test_a_factory_of_twisted_has_buildProtocol_too() -> None:
    checkBuilder("applications", Factory(), "a hint")
