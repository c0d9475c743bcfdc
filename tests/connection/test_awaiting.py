"""Awaiting across Twisted and asyncio: the two supported ways, and the notes on errors of the
others."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.testing import MemoryReactorClock

from support.command_line import environment
from support.log_recorder import Log
from txhixie import Channel, connect, serve
from txhixie.channel.channel import ChannelApplication
from txhixie.connection.awaiting import IN_A_TASK, IN_TWISTED, Awaited, awaited, explain
from txhixie.testing import Applications, Pair, Recorder


def in_a_task(run: Callable[[], Any]) -> RuntimeError:
    """
    The error raised in an asyncio Task that awaits this Deferred.

    In a thread: where the reactor is asyncio's, its loop runs in this one already.
    """

    async def task() -> None:
        await run()

    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError) as caught:
        threads.submit(asyncio.run, task()).result()
    return caught.value


# Deferreds of the package in an asyncio Task.


def opened() -> Channel:
    application = ChannelApplication()
    Pair.new(Applications(Recorder), application)
    return Channel(application)


def full() -> Channel:
    """A channel whose transport's write buffer is full."""
    application = ChannelApplication()
    pair = Pair.new(Applications(Recorder), application)
    pair.toServer.paused = True
    channel = Channel(application)
    assert channel.send(b"x" * 200_000).called
    pair.pump()
    application.outbox.pauseProducing()
    return channel


@pytest.mark.parametrize(
    "wait",
    [
        lambda: opened().receive(),
        lambda: anext(opened()),
        lambda: opened().ping(),
        lambda: opened().whenEnded(),
        lambda: opened().close(),
        lambda: full().send("more"),
        lambda: _unreached(),
        lambda: _unreached().asDeferred(),
        lambda: _entered(),
        lambda: Pair.new(Applications()).server.protocol.factory.closeAll(),
    ],
)
def test_a_deferred_awaited_in_a_task_has_an_error_that_names_the_line_to_write(
    wait: Callable[[], Any],
) -> None:
    error = in_a_task(wait)
    assert str(error).startswith("Task got bad yield")
    assert error.__notes__ == [IN_A_TASK]


def _unreached() -> Any:
    return connect("ws://127.0.0.1/", reactor=MemoryReactorClock())


async def _entered() -> None:
    async with _unreached():
        pass


def test_a_connect_that_a_task_could_not_await_is_cancelled(log: Log) -> None:
    """Otherwise a connection would be opened and never closed; the cancellation is not logged."""
    cancelled: list[object] = []
    in_a_task(lambda: Awaited(cancelled.append))
    gc.collect()
    assert len(cancelled) == 1
    assert log.lines() == []


def test_a_message_that_a_task_could_not_await_is_not_lost() -> None:
    servers = Applications(Recorder)
    application = ChannelApplication()
    pair = Pair.new(servers, application)
    channel = Channel(application)
    in_a_task(channel.receive)
    servers.made[0].transport.sendTextMessage("hello")
    pair.pump()
    assert channel.receive().result == "hello"


def test_another_error_has_no_note() -> None:
    deferred: Awaited[None] = Awaited()
    error = RuntimeError("Task is tired")

    async def waits() -> None:
        await deferred

    running = Deferred.fromCoroutine(waits())
    deferred.errback(error)
    failures: list[Any] = []
    running.addErrback(failures.append)
    assert failures[0].value is error
    assert not hasattr(error, "__notes__")


def test_an_awaited_deferred_passes_on_its_result_and_its_cancellation() -> None:
    async def waits(deferred: Deferred[str]) -> str:
        return await deferred

    below: Deferred[str] = Deferred()
    running = Deferred.fromCoroutine(waits(awaited(below)))
    below.callback("hello")
    assert running.result == "hello"
    assert Deferred.fromCoroutine(waits(awaited(succeed("at once")))).result == "at once"
    cancelled: list[object] = []
    waiting: Awaited[str] = awaited(Deferred(cancelled.append))
    waiting.cancel()
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    assert len(cancelled) == 1


# Awaitables of asyncio in a coroutine that Twisted runs.


def said(log: Log) -> list[str]:
    """The reasons of the lines with a traceback, each of which has the number of its connection."""
    errors = [event for event in log.events if "log_failure" in event]
    assert all(event["event"] == "error" and event["connection"] == 1 for event in errors)
    return [event["reason"] for event in errors]


async def _sleeps(channel: Any) -> None:
    await asyncio.sleep(1)


async def _queues(channel: Any) -> None:
    await asyncio.Queue().get()


async def _times(channel: Any) -> None:
    async with asyncio.timeout(5):
        await channel.receive()


async def _groups(channel: Any) -> None:
    async with asyncio.TaskGroup():
        pass


async def _in_a_thread(channel: Any) -> None:
    await asyncio.to_thread(print)


@pytest.mark.parametrize("conversation", [_sleeps, _queues, _times, _groups, _in_a_thread])
def test_an_asyncio_awaitable_in_a_coroutine_of_serve_has_an_error_that_names_the_line_to_write(
    conversation: Any, log: Log
) -> None:
    """The log line has the note as well as the error, since Twisted does not print notes."""
    client = Recorder()
    Pair.new(serve(conversation), client)
    assert said(log) == [f"the coroutine of a channel raised: {IN_TWISTED}"]
    [error] = log.tracebacks()
    assert error.__notes__ == [IN_TWISTED]


def test_an_asyncio_awaitable_in_a_decision_has_an_error_that_names_the_line_to_write(
    log: Log,
) -> None:
    class Deciding:
        async def buildProtocol(self, offer: object) -> None:
            await asyncio.sleep(1)

    Pair.new(Deciding())
    assert said(log) == [f"unhandled error in buildProtocol(offer): {IN_TWISTED}"]
    assert log.tracebacks()[0].__notes__ == [IN_TWISTED]


def test_an_error_that_leaves_async_with_has_the_note() -> None:
    """A program may log the note itself, and Python's traceback prints it."""

    attempt = _unreached()
    errors: list[Any] = []

    async def leaves() -> None:
        try:
            await asyncio.sleep(1)
        except RuntimeError as error:
            await attempt.__aexit__(type(error), error, error.__traceback__)
            raise

    Deferred.fromCoroutine(leaves()).addErrback(errors.append)
    assert errors[0].value.__notes__ == [IN_TWISTED]


@pytest.mark.parametrize("error", [RuntimeError("mine"), ValueError("no running event loop"), None])
def test_an_error_of_other_code_has_no_note(error: Exception | None) -> None:
    assert explain(error) is None


def test_an_error_is_explained_once() -> None:
    error = RuntimeError("no running event loop")
    assert explain(error) == explain(error) == IN_TWISTED
    assert error.__notes__ == [IN_TWISTED]


# What serve takes.


class Called:
    """A callable object with an asynchronous ``__call__``."""

    async def __call__(self, channel: Channel) -> None:
        """Send a message."""
        await channel.send("hello")

    async def method(self, channel: Channel) -> None:
        """Send a message."""
        await channel.send("hello")


async def _with_more(words: str, channel: Channel) -> None:
    await channel.send(words)


@pytest.mark.parametrize("conversation", [Called(), Called().method, partial(_with_more, "hello")])
def test_serve_takes_coroutine_functions_of_every_shape(conversation: Any) -> None:
    client = Recorder()
    Pair.new(serve(conversation), client)
    assert client.messages == ["hello"]


def _plain(channel: Any) -> None:
    """A function that is not asynchronous."""


def _generator(channel: Any) -> Any:
    yield


async def _yields(channel: Any) -> Any:
    yield


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (_plain, "not _plain; write async def talk(channel): ..."),
        (lambda channel: None, "not <lambda>; write async def talk(channel): ..."),
        (print, "not builtin_function_or_method; write async def talk"),
        (Recorder, "not type; write async def talk"),
        (Recorder(), "not Recorder; write async def talk"),
        (None, "not NoneType; write async def talk"),
        ("talk", "not str; write async def talk"),
        (_generator, "not a generator function; write async def, and await in the place of yield"),
        (_yields, "not an async generator function; send what it would yield: await channel.send"),
    ],
)
def test_serve_rejects_any_other_object_and_says_what_to_write(wrong: Any, said: str) -> None:
    """The error is raised by the call, and not for the first client."""
    with pytest.raises(TypeError) as caught:
        serve(wrong)
    assert str(caught.value).startswith("serve: expected a coroutine function, ")
    assert said in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_serve_is_not_given_a_coroutine_that_runs_already() -> None:
    with pytest.raises(TypeError, match=r"not a coroutine; do not call it: serve\(_sleeps\)"):
        serve(_sleeps(None))  # type: ignore[arg-type]  # the test passes a wrong type


# Under the asyncio reactor, over TCP.

PROGRAM: Final = """
    import asyncio
    from twisted.internet import asyncioreactor
    loop = asyncio.new_event_loop()
    asyncioreactor.install(loop)
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react
    from twisted.logger import globalLogPublisher
    from txhixie import HixieServerFactory, connect, serve

    async def echo(channel):
        async for message in channel:
            if message == "sleep wrongly":
                await asyncio.sleep(0.01)
            await Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(0.01)))
            await channel.send(message)

    async def talk(url):
        async with connect(url) as channel:
            await channel.send("by Twisted")
            return await channel.receive()

    async def task(url):
        channel = await connect(url).asDeferred().asFuture(loop)
        await channel.send("by Futures").asFuture(loop)
        print(await channel.receive().asFuture(loop))
        waiting = channel.receive()
        try:
            await waiting
        except RuntimeError as error:
            print(str(error)[:18], "|", *error.__notes__)
        await channel.send("still open").asFuture(loop)
        print(await channel.receive().asFuture(loop))
        await channel.close().asFuture(loop)
        print(await Deferred.fromCoroutine(talk(url)).asFuture(loop))
        try:
            async with connect(url) as channel:
                print("never")
        except RuntimeError as error:
            print(str(error)[:18], "|", *error.__notes__)
        channel = await connect(url).asDeferred().asFuture(loop)
        await channel.send("sleep wrongly").asFuture(loop)
        ended = await channel.whenEnded().asFuture(loop)
        print(ended.code)

    def shown(event):
        if event["log_level"].name == "critical":
            print(event["reason"])

    async def main(reactor):
        globalLogPublisher.addObserver(shown)
        port = reactor.listenTCP(0, HixieServerFactory(serve(echo)), interface="127.0.0.1")
        url = f"ws://127.0.0.1:{port.getHost().port}/"
        await Deferred.fromFuture(loop.create_task(task(url)))

    react(main)
"""


def test_both_ways_work_under_the_asyncio_reactor_and_the_others_are_explained() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout.splitlines() == [
        "by Futures",
        f"Task got bad yield | {IN_A_TASK}",
        "still open",
        "by Twisted",
        f"Task got bad yield | {IN_A_TASK}",
        f"the coroutine of a channel raised: {IN_TWISTED}",
        "1011",
    ], ran.stderr
