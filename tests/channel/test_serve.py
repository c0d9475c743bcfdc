"""Coroutine functions as applications of a server: in memory."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from support.applications import Broken
from support.dialect_marks import each
from support.dialect_names import MODERN, code_of
from support.log_recorder import Log
from txhixie import AbruptClose, CleanClose, ConversationEnded, serve
from txhixie.channel.channel import Channel
from txhixie.testing import Pair, Recorder


def talk(conversation: Any, client: Recorder, serving: Any = None, **options: Any) -> Pair:
    """A client in memory, and a server that runs the coroutine function for it."""
    return Pair.new(serve(conversation, **(serving or {})), client, binary="send", **options)


async def echo(channel: Channel) -> None:
    async for message in channel:
        await channel.send(message)


@each
def test_a_coroutine_function_is_an_application(dialect: str) -> None:
    client = Recorder()
    pair = talk(echo, client, dialect=dialect)
    client.transport.sendTextMessage("one")
    client.transport.sendBytesMessage(b"two")
    pair.pump()
    assert client.messages == ["one", b"two"]
    client.transport.loseConnection()
    pair.advance(10)
    assert isinstance(client.lost, CleanClose)
    pair.done()


@each
def test_when_the_coroutine_returns_the_conversation_is_closed(dialect: str) -> None:
    async def greets(channel: Channel) -> None:
        await channel.send("hello")

    client = Recorder()
    pair = talk(greets, client, dialect=dialect)
    pair.advance(10)
    assert client.messages == ["hello"]
    assert isinstance(client.lost, CleanClose)
    assert client.lost.code == code_of(dialect)


@each
def test_when_the_coroutine_raises_the_conversation_fails_with_one_traceback(
    dialect: str, log: Log
) -> None:
    async def breaks(channel: Channel) -> None:
        await channel.receive()
        raise Broken

    client = Recorder()
    pair = talk(breaks, client, dialect=dialect)
    client.transport.sendTextMessage("go")
    pair.advance(10)
    assert [type(error) for error in log.tracebacks()] == [Broken]
    if dialect in MODERN:
        assert client.lost is not None
        assert client.lost.code == 1011  # type: ignore[attr-defined]  # the error is a close, and has a code
    if dialect == "hixie-76":
        assert isinstance(client.lost, AbruptClose)


def test_a_peer_that_closes_causes_no_traceback() -> None:
    """Otherwise any client could fill the log."""

    async def receives(channel: Channel) -> None:
        await channel.receive()

    async def sends(channel: Channel) -> None:
        await channel.whenEnded()
        await channel.send("late")

    for conversation in (echo, receives, sends):
        client = Recorder()
        pair = talk(conversation, client)
        client.transport.abortConnection()
        pair.pump()
        assert isinstance(client.lost, AbruptClose)


def test_messages_received_before_the_peer_closed_can_still_be_received() -> None:
    got: list[Any] = []
    going: Deferred[None] = Deferred()

    async def slow(channel: Channel) -> None:
        await going
        async for message in channel:
            got.append(message)  # noqa: PERF401 (what came before an error counts)

    client = Recorder()
    pair = talk(slow, client)
    client.transport.sendTextMessage("last words")
    client.transport.loseConnection()
    pair.advance(10)
    assert client.lost is not None
    going.callback(None)
    assert got == ["last words"]


def test_an_error_after_the_end_is_logged_all_the_same(log: Log) -> None:
    async def breaks(channel: Channel) -> None:
        await channel.whenEnded()
        raise Broken

    client = Recorder()
    pair = talk(breaks, client)
    client.transport.loseConnection()
    pair.advance(10)
    assert [type(error) for error in log.tracebacks()] == [Broken]


@pytest.mark.parametrize(
    ("choice", "agreed"),
    [(None, None), (["b", "a"], "b"), (lambda offer: offer.subprotocols[0], "a"), (["c"], None)],
)
def test_the_subprotocol_can_be_chosen(choice: Any, agreed: str | None) -> None:
    client = Recorder()
    talk(echo, client, {"subprotocols": choice}, subprotocols=["a", "b"])
    assert client.transport.agreement is not None
    assert client.transport.agreement.subprotocol == agreed


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_coroutine_with_a_send_that_fails_since_the_peer_closed_logs_no_traceback(
    how: str, log: Log
) -> None:
    """No 1011 is sent either, and the log has one line."""
    seen: list[Any] = []

    async def sends(channel: Channel) -> None:
        await channel.receive()
        try:
            while True:
                await channel.send("x" * 10_000)
        except ConversationEnded as error:
            seen.append((channel.ended, error.code, error.reason))
            raise

    client = Recorder()
    pair = talk(sends, client)
    pair.toClient.paused = True
    client.transport.sendTextMessage("go")
    pair.pump()
    assert seen == []
    if how == "reset":
        pair.server.reset()
    else:
        client.transport.loseConnection(4000, "enough")
    pair.pump()
    pair.toClient.paused = False
    pair.advance(10)
    ((ended, code, reason),) = seen
    assert (code, reason) == ended[:2] == ((4000, "enough") if how == "close" else (1006, ""))
    if how == "close":
        assert client.lost is not None
        assert client.lost.code == 4000  # type: ignore[attr-defined]  # the error is a close, and has a code
    assert log.tracebacks() == []
    (line,) = [line for line in log.lines() if "coroutine" in line]
    assert "failed to send: the conversation has ended with" in line


def test_any_other_error_of_a_coroutine_is_logged_as_its_own(log: Log) -> None:
    """Such an error may be raised after the end, and may be the closing error of another
    conversation."""

    async def breaks(channel: Channel) -> None:
        await channel.whenEnded()
        raise Broken

    async def passes(channel: Channel) -> None:
        await channel.receive()
        raise ConversationEnded(1000, "of another")

    client = Recorder()
    pair = talk(breaks, client)
    client.transport.loseConnection()
    pair.advance(10)
    client = Recorder()
    pair = talk(passes, client)
    client.transport.sendTextMessage("go")
    pair.advance(10)
    assert [type(error) for error in log.tracebacks()] == [Broken, ConversationEnded]
    assert client.lost is not None
    assert client.lost.code == 1011  # type: ignore[attr-defined]  # the error is a close, and has a code
