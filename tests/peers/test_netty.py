"""Netty, both halves, in hixie-76.

Its server writes ``upgrade: websocket`` in lower case, which the drafts make a client refuse, and
``ws://HOST/`` as its Location for every path. Neither half finds a text again that did not
come whole in one read: the first is of 1024 bytes, later ones may be of 64. So texts are short
here. All frames that are not text are sent as 0x80 frames, pings too. Neither half ends the
connection, not even after both have closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from peers.peer import Netty, Peer, Server, hexed, onReactor, running
from peers.recorder import Recorder, Served, connected, serving
from txhixie import AbruptClose, CleanClose, InvalidHandshake, Limits, UnsupportedByDialect

SHORT = ("hello", "gr\u00fc\u00dfe, \u20ac, \U0001f600", "", "a\0b", "x" * 60)


@onReactor
async def test_a_strict_client_refuses_the_lower_case_answer(netty_server: Server) -> None:
    with pytest.raises(InvalidHandshake) as raised:
        await connected(netty_server, dialect="hixie-76")
    assert raised.value.check == "upgrade"


@onReactor
async def test_netty_s_answer_to_hixie_75_has_none_of_the_fixed_lines(
    netty_server: Server,
) -> None:
    with pytest.raises(InvalidHandshake) as raised:
        await connected(netty_server, dialect="hixie-75")
    assert raised.value.check == "prefix"


@onReactor
async def test_a_location_without_the_path_fails_even_a_lenient_client(
    netty_server: Server,
) -> None:
    with pytest.raises(InvalidHandshake) as raised:
        await connected(netty_server, "/a/b", dialect="hixie-76", lenient=True)
    assert raised.value.check == "location-mismatch"


@onReactor
async def test_netty_reads_and_returns_short_texts(netty_server: Server) -> None:
    application = await connected(netty_server, dialect="hixie-76", lenient=True)
    assert await netty_server.peer.hears("open") == ["/", "-"]
    for text in SHORT:
        await application.exchanges(text)
        assert await netty_server.peer.hears("text") == [hexed(text)]
    application.transport.abortConnection()
    await application.ends()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 65536, 1 << 20])
@onReactor
async def test_netty_reads_and_returns_binary_of_every_length(
    netty_server: Server, size: int
) -> None:
    """Where the length grows by a byte, and as far as Netty can count: it errs from 2 MiB on."""
    application = await connected(netty_server, dialect="hixie-76", lenient=True, binary="send")
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    application.transport.sendBytesMessage(data)
    assert await application.hears("binary") == data
    application.transport.abortConnection()
    await application.ends()


@onReactor
async def test_binary_is_not_sent_to_a_server_that_has_sent_none(netty_server: Server) -> None:
    application = await connected(netty_server, dialect="hixie-76", lenient=True)
    with pytest.raises(UnsupportedByDialect):
        application.transport.sendBytesMessage(b"\1")
    await application.exchanges("and nothing is broken by it")
    application.transport.abortConnection()
    await application.ends()


@onReactor
async def test_a_close_that_netty_answers_is_clean_and_over_at_once(netty_server: Server) -> None:
    """Netty waits for the client to end the connection, as hixie-76 tells the client to."""
    application = await connected(netty_server, dialect="hixie-76", lenient=True)
    began = monotonic()
    application.transport.loseConnection()
    assert (await application.ends()).check(CleanClose)
    assert monotonic() - began < Limits().close_timeout


@onReactor
async def test_netty_that_closes_has_closed_cleanly(netty_server: Server) -> None:
    application = await connected(netty_server, dialect="hixie-76", lenient=True)
    application.transport.sendTextMessage("please close")
    assert (await application.ends()).check(CleanClose)


@asynccontextmanager
async def client(
    netty: Netty, server: Served, *words: str, path: str = "/"
) -> AsyncIterator[tuple[Peer, Recorder]]:
    """Netty's client, open, and our application that talks to it."""
    async with running(*netty.command("NettyClient", "V00", server.url(path), *words)) as peer:
        await peer.hears("open")
        yield peer, await server.applications.opened()


@onReactor
async def test_netty_s_client_and_our_server_exchange_short_texts(netty: Netty) -> None:
    async with serving() as server, client(netty, server, path="/a/b?x=1") as (peer, application):
        assert application.transport.offer.target == "/a/b?x=1"
        assert application.transport.offer.dialect == "hixie-76"
        for text in SHORT:
            peer.tell("text", hexed(text))
            assert await application.hears("text") == text
            application.transport.sendTextMessage(text)
            assert await peer.hears("text") == [hexed(text)]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 65536])
@onReactor
async def test_binary_messages_of_netty_s_client_are_echoed(netty: Netty, size: int) -> None:
    """A client that has sent binary messages is sent binary messages."""
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    async with serving() as server, client(netty, server) as (peer, application):
        peer.tell("binary", hexed(data))
        assert await application.hears("binary") == data
        application.transport.sendBytesMessage(data)
        assert await peer.hears("binary") == [hexed(data)]


@onReactor
async def test_binary_is_not_sent_to_a_client_that_has_sent_none(netty: Netty) -> None:
    async with serving() as server, client(netty, server) as (_, application):
        with pytest.raises(UnsupportedByDialect):
            application.transport.sendBytesMessage(b"\1")


@onReactor
async def test_a_text_that_netty_writes_in_pieces_is_one_message(netty: Netty) -> None:
    """Netty writes the first byte, the text and the last byte of a long text frame separately."""
    text = "\u20ac" * 100000
    async with serving() as server, client(netty, server) as (peer, application):
        peer.tell("text", hexed(text))
        assert await application.hears("text") == text


@onReactor
async def test_a_ping_of_netty_s_client_arrives_as_a_binary_message(netty: Netty) -> None:
    async with serving() as server, client(netty, server) as (peer, application):
        peer.tell("ping", hexed("a"))
        assert await application.hears("binary") == b"a"


@onReactor
async def test_a_subprotocol_is_agreed_with_netty_s_client(netty: Netty) -> None:
    async with serving(subprotocols=("other", "sample")) as server:
        command = netty.command("NettyClient", "V00", server.url(), "-", "sample")
        async with running(*command) as peer:
            assert await peer.hears("open") == ["sample"]
            application = await server.applications.opened()
            agreement = application.transport.agreement
            assert agreement is not None
            assert agreement.subprotocol == "sample"


@onReactor
async def test_netty_s_client_of_a_foreign_page_is_refused(netty: Netty) -> None:
    async with serving() as server:
        command = netty.command("NettyClient", "V00", server.url(), "http://example.com")
        async with running(*command) as peer:
            await peer.hears("failed")
            await peer.hears("lost")


@onReactor
async def test_netty_s_client_that_closes_is_answered_and_released(netty: Netty) -> None:
    """Netty's client waits for the server to end the TCP connection."""
    async with serving() as server, client(netty, server) as (peer, application):
        peer.tell("close")
        assert await peer.hears("close") == ["-1", "-"]
        await peer.hears("lost")
        assert (await application.ends()).check(CleanClose)


@onReactor
async def test_our_close_is_answered_by_netty_s_client(netty: Netty) -> None:
    async with serving() as server, client(netty, server) as (peer, application):
        application.transport.loseConnection()
        assert await peer.hears("close") == ["-1", "-"]
        await peer.hears("lost")
        assert (await application.ends()).check(CleanClose)


@onReactor
async def test_netty_s_client_that_vanishes_was_not_closed(netty: Netty) -> None:
    async with serving() as server, client(netty, server) as (peer, application):
        peer.tell("leave")
        assert (await application.ends()).check(AbruptClose)


@onReactor
async def test_netty_s_client_and_the_daemon_exchange_short_texts(
    netty: Netty, daemon: int
) -> None:
    command = netty.command("NettyClient", "V00", f"ws://127.0.0.1:{daemon}/")
    async with running(*command) as peer:
        await peer.hears("open")
        for text in SHORT:
            peer.tell("text", hexed(text))
            assert await peer.hears("text") == [hexed(text)]
        peer.tell("close")
        await peer.hears("close")
        await peer.hears("lost")
