"""Eventlet's server, which speaks hixie-75 and hixie-76, and our client.

It writes both drafts' answers to the letter. Its habits, with each of which a client has to live:
it never answers ``FF 00`` but ends the connection, it names a subprotocol that was not offered,
and the path in its Location has lost its percent signs.
"""

from __future__ import annotations

import pytest

from peers.peer import Server, hexed, onReactor
from peers.recorder import connected
from txhixie import AbruptClose, CleanClose, InvalidHandshake

DIALECTS = ("hixie-75", "hixie-76")

TEXTS = {
    "ascii": "hello",
    "beyond ascii": "gr\u00fc\u00dfe, \u20ac, \U0001f600",
    "empty": "",
    "with a NUL": "a\0b",
    "64 KiB": "x" * 65536,
    "64 KiB beyond ascii": "\u20ac" * 21845 + "x",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@onReactor
async def test_eventlet_reads_and_returns_any_text(
    eventlet_server: Server, dialect: str, text: str
) -> None:
    application = await connected(eventlet_server, "/a/b?x=1", dialect=dialect)
    await application.exchanges(text)
    assert await eventlet_server.peer.hears("open") == [dialect.removeprefix("hixie-"), "/a/b"]
    assert await eventlet_server.peer.hears("text") == [hexed(text)]
    application.transport.abortConnection()
    await application.ends()


@pytest.mark.parametrize("dialect", DIALECTS)
@onReactor
async def test_many_texts_are_echoed_in_order(eventlet_server: Server, dialect: str) -> None:
    application = await connected(eventlet_server, dialect=dialect)
    texts = [f"{number} " + "\u00e4" * number for number in range(200)]
    for text in texts:
        application.transport.sendTextMessage(text)
    assert [await application.hears("text") for _ in texts] == texts
    application.transport.abortConnection()
    await application.ends()


@pytest.mark.parametrize("dialect", DIALECTS)
@onReactor
async def test_eventlet_that_closes_has_closed_cleanly(
    eventlet_server: Server, dialect: str
) -> None:
    application = await connected(eventlet_server, dialect=dialect)
    application.transport.sendTextMessage("please close")
    assert (await application.ends()).check(CleanClose)


@onReactor
async def test_eventlet_reads_our_close_and_never_answers_it(eventlet_server: Server) -> None:
    """Eventlet ends the connection instead, which is no closing handshake in hixie-76."""
    application = await connected(eventlet_server, dialect="hixie-76")
    application.transport.loseConnection()
    assert await eventlet_server.peer.hears("open") == ["76", "/"]
    await eventlet_server.peer.hears("close")
    assert (await application.ends()).check(AbruptClose)


@onReactor
async def test_our_close_in_hixie_75_is_the_end_of_the_connection(eventlet_server: Server) -> None:
    application = await connected(eventlet_server, dialect="hixie-75")
    application.transport.loseConnection()
    assert await eventlet_server.peer.hears("open") == ["75", "/"]
    await eventlet_server.peer.hears("lost")
    assert (await application.ends()).check(CleanClose)


@onReactor
async def test_a_subprotocol_that_the_client_did_not_offer_is_not_agreed(
    eventlet_server: Server,
) -> None:
    application = await connected(eventlet_server, dialect="hixie-76")
    agreement = application.transport.agreement
    assert agreement is not None
    assert (b"sec-websocket-protocol", b"default") in agreement.headers
    assert agreement.subprotocol is None
    application.transport.abortConnection()
    await application.ends()


@onReactor
async def test_a_subprotocol_is_agreed_in_hixie_76(eventlet_server: Server) -> None:
    application = await connected(eventlet_server, dialect="hixie-76", subprotocols=("sample",))
    agreement = application.transport.agreement
    assert agreement is not None
    assert agreement.subprotocol == "sample"
    application.transport.abortConnection()
    await application.ends()


@onReactor
async def test_a_subprotocol_that_eventlet_forgets_in_hixie_75_fails(
    eventlet_server: Server,
) -> None:
    with pytest.raises(InvalidHandshake) as raised:
        await connected(eventlet_server, dialect="hixie-75", subprotocols=("sample",))
    assert raised.value.check == "count:websocket-protocol"


@pytest.mark.parametrize("dialect", DIALECTS)
@onReactor
async def test_a_path_that_comes_back_without_its_percent_signs_fails(
    eventlet_server: Server, dialect: str
) -> None:
    with pytest.raises(InvalidHandshake) as raised:
        await connected(eventlet_server, "/a%20b", dialect=dialect)
    assert raised.value.check == "location-mismatch"


@onReactor
async def test_http_in_the_middle_of_a_conversation_ends_it(eventlet_server: Server) -> None:
    """On a binary frame eventlet sends a whole HTTP response between two frames."""
    application = await connected(eventlet_server, dialect="hixie-76", binary="send")
    application.transport.sendBytesMessage(b"\1\2\3")
    assert (await application.ends()).check(AbruptClose)
