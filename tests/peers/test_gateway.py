"""The gateway with backends of other libraries, for clients in every dialect.

In front: our own client in each dialect, and a browser of 2012. Behind: RFC 6455 of ``websockets``
and npm's ws; the old dialects of eventlet and Netty; and for bytes a Redis, which answers, and an
OpenSSH, which speaks first.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from twisted.internet.threads import deferToThread

from peers.peer import Peer, Server, hexed, listening, onReactor
from peers.phantomjs import Browse
from peers.recorder import Recorder, Served, connected, serving
from peers.services import openssh, redis
from support.dialect_names import MODERN, NAMES, code_of
from support.waiting import reactor
from txhixie import CleanClose, HandshakeRefused, Limits
from txhixie.daemon.services.tcp import StreamService
from txhixie.gateway import GatewayService
from txhixie.sansio.dialects import named

Call: TypeAlias = Callable[[str], Awaitable[Peer]]

TEXTS = ("hello", "", "gr\u00fc\u00dfe, \u20ac, \U0001f600", "a\0b", "x" * 65536)
LIBRARIES = ("websockets", "ws")

every_client = pytest.mark.parametrize("front", NAMES)
every_library = pytest.mark.parametrize("library", LIBRARIES)


@asynccontextmanager
async def gateway(url: str, **options: Any) -> AsyncIterator[Served]:
    """Listen with a gateway to this URL."""
    service = GatewayService(reactor, url, **options)
    async with serving(applications=service, limits=Limits(close_timeout=1)) as served:
        yield served


@asynccontextmanager
async def behind(call: Call, library: str, **options: Any) -> AsyncIterator[tuple[Served, Peer]]:
    """A gateway to a library's server."""
    peer = await call(library)
    peer.tell("serve", "plain")
    async with gateway((await listening(peer)).url(""), **options) as served:
        yield served, peer


async def meets(served: Served, front: str, path: str = "/", **options: Any) -> Recorder:
    """Connect a client through the gateway, and return its application."""
    return await connected(served, path, dialect=front, binary="send", **options)


# Backends in RFC 6455.


@every_library
@every_client
@onReactor
async def test_a_client_of_any_dialect_exchanges_messages_with_today_s_servers(
    call: Call, library: str, front: str
) -> None:
    async with behind(call, library) as (served, peer):
        application = await meets(served, front, subprotocols=("sample",))
        assert await peer.hears("open") == ["sample"]
        agreement = application.transport.agreement
        assert agreement is not None
        assert agreement.subprotocol == "sample"
        for text in TEXTS:
            await application.exchanges(text)
        if named(front).has_binary:
            application.transport.sendBytesMessage(b"\0\xff\0" * 30000)
            assert await application.hears("binary") == b"\0\xff\0" * 30000
        application.transport.loseConnection(4711, "bye")
        # Where a dialect has no codes, its close is an ordinary one.
        code, reason = ("4711", hexed("bye")) if front in MODERN else ("1000", "-")
        assert await peer.hears("close") == [code, reason]
        await application.ends()


@every_library
@every_client
@onReactor
async def test_a_message_in_pieces_is_one_message(call: Call, library: str, front: str) -> None:
    """The oldest dialects have no fragments."""
    pieces = ["x" * 40000, "\u20ac" * 3, "", "y"]
    async with behind(call, library) as (served, peer):
        application = await meets(served, front)
        await peer.hears("open")
        peer.tell("pieces", *map(hexed, pieces))
        assert await application.hears("text") == "".join(pieces)
        application.transport.abortConnection()
        # The backend gets 1001: the client ended the connection without a close frame.
        assert await peer.hears("close") == ["1001", hexed("the client disconnected")]
        await application.ends()


@every_library
@every_client
@onReactor
async def test_a_server_s_close_is_passed_on_to_the_client(
    call: Call, library: str, front: str
) -> None:
    async with behind(call, library) as (served, peer):
        application = await meets(served, front)
        await peer.hears("open")
        peer.tell("close", "4712", hexed("enough"))
        ended = (await application.ends()).value
        assert isinstance(ended, CleanClose)
        assert ended.code == code_of(front, 4712)
        if front in MODERN:
            assert ended.reason == "enough"


@every_library
@every_client
@onReactor
async def test_a_server_s_refusal_is_passed_on_to_the_client(
    call: Call, library: str, front: str
) -> None:
    async with behind(call, library) as (served, _):
        with pytest.raises(HandshakeRefused) as refused:
            await meets(served, front, "/refused")
        assert (refused.value.status, refused.value.body) == (403, b"not for you\n")


@every_library
@onReactor
async def test_a_server_s_ping_is_answered_by_the_gateway_or_by_the_client(
    call: Call, library: str
) -> None:
    for relays in (False, True):
        async with behind(call, library, pings="relay" if relays else "answer") as (served, peer):
            application = await meets(served, "rfc6455")
            await peer.hears("open")
            peer.tell("ping", hexed("are you there?"))
            assert await peer.hears("pong") == [hexed("are you there?")]
            application.transport.ping(b"and you?")
            assert await application.hears("pong") == b"and you?"
            application.transport.abortConnection()
            await application.ends()


# Backends in the old dialects.


@pytest.mark.parametrize("back", ["hixie-75", "hixie-76"])
@every_client
@onReactor
async def test_a_client_of_any_dialect_exchanges_messages_with_eventlet(
    eventlet_server: Server, front: str, back: str
) -> None:
    async with gateway(eventlet_server.url(""), dialect=back, binary="base64") as served:
        application = await meets(served, front, "/a/b?x=1")
        assert await eventlet_server.peer.hears("open") == [back.removeprefix("hixie-"), "/a/b"]
        for text in TEXTS:
            await application.exchanges(text)
        application.transport.sendBytesMessage(b"\0\xff")
        assert await application.hears("text") == "AP8="
        application.transport.sendTextMessage("please close")
        ended = (await application.ends()).value
        assert isinstance(ended, CleanClose)
        assert ended.code == code_of(front)


@every_client
@onReactor
async def test_a_client_of_any_dialect_exchanges_messages_with_netty(
    netty_server: Server, front: str
) -> None:
    """Netty's hixie-76 response needs ``lenient``, and Netty reads short texts only."""
    async with gateway(netty_server.url("/"), dialect="hixie-76", lenient=True) as served:
        application = await meets(served, front, "/wherever")
        assert await netty_server.peer.hears("open") == ["/", "-"]
        for text in ("hello", "", "gr\u00fc\u00dfe", "x" * 60):
            await application.exchanges(text)
        application.transport.sendTextMessage("please close")
        assert (await application.ends()).check(CleanClose)


@onReactor
async def test_netty_s_invalid_response_is_a_502_without_lenient(netty_server: Server) -> None:
    """A strict client rejects the response."""
    async with gateway(netty_server.url("/"), dialect="hixie-76") as served:
        with pytest.raises(HandshakeRefused) as refused:
            await meets(served, "rfc6455")
        assert refused.value.status == 502


@pytest.mark.parametrize("back", MODERN)
@onReactor
async def test_a_client_of_2009_exchanges_messages_with_netty_in_each_version(
    netty_server: Server, back: str
) -> None:
    async with gateway(netty_server.url("/"), dialect=back) as served:
        application = await meets(served, "hixie-54")
        for text in TEXTS:
            await application.exchanges(text)
        application.transport.sendBytesMessage(b"\0\xff" * 40000)
        assert await application.hears("binary") == b"\0\xff" * 40000
        application.transport.sendTextMessage("please close")
        assert (await application.ends()).check(CleanClose)


# A browser of 2012 as the client, a server of today as the backend.


@every_library
@onReactor
async def test_a_browser_of_2012_exchanges_messages_with_today_s_servers(
    call: Call, library: str, browse: Browse
) -> None:
    """PhantomJS connects, exchanges messages and closes; the server sees RFC 6455 only."""
    async with behind(call, library) as (served, peer):
        seen = await deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{served.port}",
            url=served.url("/"),
            subprotocol="sample",
            messages=[*TEXTS],
            close="page",
        )
        assert json.dumps(seen["messages"]) == json.dumps([*TEXTS])
        assert seen["events"] == ["open", *["message"] * len(TEXTS), "close"]
        assert await peer.hears("open") == ["sample"]
        # The browser ends the connection without a close frame; the backend gets 1001.
        assert await peer.hears("close") == ["1001", hexed("the client disconnected")]


@every_library
@onReactor
async def test_a_browser_of_2012_gets_the_close_of_the_server(
    call: Call, library: str, browse: Browse
) -> None:
    """The browser ignores ``FF 00``, and takes the end of the connection for the close."""
    async with behind(call, library) as (served, peer):
        seeing = deferToThread(
            browse,
            "websocket.js",
            origin=f"http://127.0.0.1:{served.port}",
            url=served.url("/"),
            subprotocol=None,
            messages=[],
            close="server",
        )
        await peer.hears("open")
        peer.tell("close", "1001", hexed("I go"))
        assert (await seeing)["events"] == ["open", "close"]


# Byte streams.


async def stream(application: Recorder, wanted: int) -> bytes:
    """Read at least this many bytes of a stream from messages."""
    heard = b""
    while len(heard) < wanted:
        if named(application.transport.offer.dialect).has_binary:
            message = await application.hears("binary")
            assert isinstance(message, bytes)
            heard += message
        else:
            text = await application.hears("text")
            assert isinstance(text, str)
            heard += b64decode(text, validate=True)
    return heard


def say(application: Recorder, data: bytes) -> None:
    if named(application.transport.offer.dialect).has_binary:
        application.transport.sendBytesMessage(data)
    else:
        application.transport.sendTextMessage(b64encode(data).decode("ascii"))


@asynccontextmanager
async def tunnel(description: str, **options: Any) -> AsyncIterator[Served]:
    """Listen with a byte stream service to this backend."""
    service = StreamService(reactor, description, **options)
    async with serving(applications=service, limits=Limits(close_timeout=1)) as served:
        yield served


@every_client
@onReactor
async def test_redis_answers_a_client_of_any_dialect(tmp_path: Path, front: str) -> None:
    """Over TCP: a short value, a megabyte, and QUIT."""
    with redis(tmp_path) as port:
        async with tunnel(f"tcp:127.0.0.1:{port}") as served:
            application = await meets(served, front)
            say(application, b"PING\r\n")
            assert await stream(application, 7) == b"+PONG\r\n"
            value = bytes(range(256)) * 4096
            header = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % len(value)
            told = header + value + b"\r\n"
            for start in range(0, len(told), 60000):
                say(application, told[start : start + 60000])
            assert await stream(application, 5) == b"+OK\r\n"
            say(application, b"GET k\r\n")
            answer = b"$%d\r\n%b\r\n" % (len(value), value)
            assert await stream(application, len(answer)) == answer
            say(application, b"QUIT\r\n")
            assert await stream(application, 5) == b"+OK\r\n"
            assert (await application.ends()).check(CleanClose)


@onReactor
async def test_redis_answers_lines_by_a_unix_socket(tmp_path: Path) -> None:
    """With the coding ``lines`` a console in a browser needs no base64."""
    with redis(tmp_path):
        async with tunnel(f"unix:{tmp_path / 'redis.sock'}", coding="crlf-lines") as served:
            application = await meets(served, "hixie-76")
            application.transport.sendTextMessage("PING")
            assert await application.hears("text") == "+PONG"
            application.transport.abortConnection()
            await application.ends()


@every_client
@onReactor
async def test_openssh_speaks_first_to_a_client_of_any_dialect(tmp_path: Path, front: str) -> None:
    """After both version strings OpenSSH sends a binary packet, its key exchange."""
    with openssh(tmp_path) as port:
        async with tunnel(f"tcp:127.0.0.1:{port}") as served:
            application = await meets(served, front)
            greeting = await stream(application, len(b"SSH-2.0-OpenSSH_"))
            assert greeting.startswith(b"SSH-2.0-OpenSSH_")
            say(application, b"SSH-2.0-txhixie\r\n")
            said = greeting
            while len(said.partition(b"\r\n")[2]) < 5:
                said += await stream(application, 1)
            packet = said.partition(b"\r\n")[2]
            size = int.from_bytes(packet[:4], "big")
            packet += await stream(application, size + 4 - len(packet))
            assert len(packet) == size + 4
            assert packet[5] == 20  # SSH_MSG_KEXINIT (RFC 4253 section 7.1)
            assert b"ssh-ed25519" in packet
            application.transport.abortConnection()
            await application.ends()
