"""
Mistakes of users of asyncio, ``websockets``, aiohttp, Autobahn and Twisted's streams.

Each program is wrong, is run, and its error says what to write instead. A server reports the error
in its log when a client connects.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Final

import pytest

from support import handshake_bytes
from support.daemon import PATIENCE, Daemon, free_port, running
from support.frames import MASK, modern_frame
from txhixie.sansio.wire.frame import Opcode

HANDLER: Final = """\
from txhixie import run, serve

async def handler(channel):
    async for message in channel:
        await channel.send(message)

"""

APPLICATION: Final = """\
from txhixie import run

class Echo:
    def negotiationStarted(self, transport):
        self.transport = transport
    def negotiationFinished(self):
        pass
    def textMessageReceived(self, message):
        BODY
    def bytesMessageReceived(self, data):
        pass
    def pongReceived(self, payload):
        pass
    def connectionLost(self, reason):
        pass

class Echoes:
    def buildProtocol(self, offer):
        return MADE

run(HERE, GIVEN)
"""

AUTOBAHN: Final = """\
from txhixie import WebSocketProtocol, run

class Echo(BASE):
    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)

class Echoes:
    def buildProtocol(self, offer):
        return Echo()

run(HERE, Echoes())
"""

STREAM: Final = """\
from twisted.internet.protocol import Protocol
from txhixie import run

class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)

class Echoes:
    def buildProtocol(self, offer):
        return Echo()

run(HERE, Echoes())
"""

FEW: Final = """\
from txhixie import run

class Echo:
    def negotiationStarted(self, transport):
        self.transport = transport
    def textMessageReceived(self, message):
        self.transport.sendTextMessage(message)

class Echoes:
    def buildProtocol(self, offer):
        return Echo()

run(HERE, Echoes())
"""


def served(body: str = "self.transport.sendTextMessage(message)", made: str = "Echo()") -> str:
    """A server with an application."""
    program = APPLICATION.replace("BODY", body).replace("MADE", made)
    return program.replace("GIVEN", "Echoes()")


def client(body: str) -> str:
    """A program whose client is a coroutine, run by Twisted."""
    return (
        dedent("""\
        from twisted.internet.defer import ensureDeferred
        from twisted.internet.task import react
        from txhixie import connect

        async def main(reactor):
        """)
        + indent(dedent(body), "    ")
        + "\nreact(lambda reactor: ensureDeferred(main(reactor)))\n"
    )


@dataclass(frozen=True)
class Wrong:
    """
    A program and the error that it gets.

    :ivar program: ``URL`` is the URL of a server, ``HERE`` an endpoint to listen on. :ivar said: a
        part of the program's output.
    """

    program: str
    said: str


PROGRAMS: Final[dict[str, Wrong]] = {
    # From asyncio.
    "a coroutine function as a method": Wrong(
        served().replace("def textMessage", "async def textMessage"),
        "Echo.textMessageReceived is a coroutine function, which is never awaited; write def "
        "instead of async def, or pass a coroutine function to serve()",
    ),
    "asyncio.run": Wrong(
        """\
        import asyncio
        from txhixie import connect

        async def main():
            async with connect(URL) as channel:
                await channel.send("hello")

        asyncio.run(main())
        """,
        "begins with react(lambda reactor: Deferred.fromCoroutine(main())) in place of "
        "asyncio.run(main())",
    ),
    "a Deferred in a Task under the asyncio reactor": Wrong(
        """\
        import asyncio
        from twisted.internet import asyncioreactor

        loop = asyncio.new_event_loop()
        asyncioreactor.install(loop)

        from txhixie import connect

        async def main():
            channel = await connect(URL).asDeferred()

        loop.run_until_complete(main())
        """,
        "await channel.receive().asFuture(loop)",
    ),
    "asyncio.sleep in a coroutine that Twisted runs": Wrong(
        """\
        import asyncio
        from txhixie import run, serve

        async def handler(channel):
            await asyncio.sleep(1)

        run(HERE, serve(handler))
        """,
        "await Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(1)))",
    ),
    # From websockets and aiohttp.
    "a server's host and port": Wrong(
        HANDLER + "serve(handler, 'localhost', 8765)",
        'write run("tcp:8080:interface=127.0.0.1", serve(handler))',
    ),
    "a server's host and port by name": Wrong(
        HANDLER + "serve(handler, host='localhost', port=8765)",
        'write run("tcp:8080:interface=127.0.0.1", serve(handler))',
    ),
    "a server's options": Wrong(
        HANDLER + "serve(handler, origins=['https://example.com'])",
        "serve: origins: no such option; the server's options go into run(8080, serve(handler)",
    ),
    "a server that is entered": Wrong(
        HANDLER
        + dedent("""\
        import asyncio

        async def main():
            async with serve(handler):
                pass

        asyncio.run(main())
        """),
        'serve(...) is not entered or awaited; write run("tcp:8080:interface=127.0.0.1"',
    ),
    "a handler with the path": Wrong(
        """\
        from txhixie import serve

        async def handler(websocket, path):
            pass

        serve(handler)
        """,
        "write async def handler(channel), and channel.offer.path for the path",
    ),
    "a handler that is no coroutine function": Wrong(
        "from txhixie import serve\ndef handler(websocket): pass\nserve(handler)",
        "serve: expected a coroutine function, not handler; write async def",
    ),
    "a handler that is called": Wrong(
        HANDLER + "serve(handler(None))", "do not call it: serve(handler)"
    ),
    "a handler without serve": Wrong(HANDLER + "run(HERE, handler)", "write serve(handler)"),
    "recv": Wrong(
        client("""\
        async with connect(URL) as websocket:
            await websocket.recv()
        """),
        "no attribute 'recv'; write await channel.receive()",
    ),
    "a loop over connections": Wrong(
        client("""\
        async for websocket in connect(URL):
            await websocket.send("hello")
        """),
        "A WebSocketClientService connects again and again",
    ),
    "connect without async": Wrong(
        "from txhixie import connect\nwith connect(URL) as websocket: pass",
        "write async with connect(url) as channel",
    ),
    "connect without await": Wrong(
        "from txhixie import connect\nwebsocket = connect(URL)\nwebsocket.send('hello')",
        "no attribute 'send'; write async with connect(url) as channel",
    ),
    "connect under inlineCallbacks": Wrong(
        """\
        from twisted.internet.defer import inlineCallbacks
        from twisted.internet.task import react
        from txhixie import connect

        @inlineCallbacks
        def main(reactor):
            channel = yield connect(URL)
            yield channel.send("hello")

        react(main)
        """,
        "under inlineCallbacks, channel = yield connect(url).asDeferred()",
    ),
    "a Deferred of connect": Wrong(
        "from txhixie import connect\nconnect(URL).addCallback(print)",
        "no attribute 'addCallback'; write connect(url).asDeferred()",
    ),
    "a loop without async": Wrong(
        client("""\
        async with connect(URL) as websocket:
            for message in websocket:
                print(message)
        """),
        "write async for message in channel",
    ),
    "a connection that is entered": Wrong(
        client("""\
        async with await connect(URL) as websocket:
            pass
        """),
        "a channel is not entered; write async with connect(url) as channel",
    ),
    "extra_headers": Wrong(
        client("connect(URL, extra_headers={'A': 'b'})"), "did you mean headers?"
    ),
    "ping_interval": Wrong(
        client("connect(URL, ping_interval=20)"), "write limits=Limits(ping_interval=...)"
    ),
    "a string for a list": Wrong(
        client("connect(URL, subprotocols='chat')"), 'write subprotocols=["chat"]'
    ),
    "a URL of http": Wrong(client("connect('http://127.0.0.1/')"), "write ws://HOST:PORT/PATH"),
    "a host for a URL": Wrong(client("connect('localhost:8080')"), "write ws://HOST:PORT/PATH"),
    "a dictionary as a message": Wrong(
        client("""\
        async with connect(URL) as websocket:
            await websocket.send({"a": 1})
        """),
        "expected str or bytes, not dict; write json.dumps(...)",
    ),
    "a host and a port for run": Wrong(
        HANDLER + "run('127.0.0.1', 8080, serve(handler))",
        'write run("tcp:8080:interface=127.0.0.1", ...)',
    ),
    "a URL for run": Wrong(
        HANDLER + "run('ws://127.0.0.1:8080', serve(handler))",
        "write tcp:8080:interface=127.0.0.1",
    ),
    # From Autobahn.
    "onMessage": Wrong(
        AUTOBAHN.replace("BASE", "object"),
        "onMessage is a method of Autobahn's; write textMessageReceived(message) and "
        "bytesMessageReceived(data)",
    ),
    "onMessage beside what is inherited": Wrong(
        AUTOBAHN.replace("BASE", "WebSocketProtocol"),
        "Echo.onMessage is a method of Autobahn's, which is not called here; write "
        "textMessageReceived(message) and bytesMessageReceived(data)",
    ),
    "sendMessage": Wrong(
        served("self.transport.sendMessage(message.encode(), False)"),
        "no attribute 'sendMessage'; write sendTextMessage(text) or sendBytesMessage(data)",
    ),
    "sendClose": Wrong(
        served("self.transport.sendClose(1000)"),
        "no attribute 'sendClose'; write loseConnection(code, reason)",
    ),
    # From Twisted.
    "a coroutine's server for a factory": Wrong(
        HANDLER + "from twisted.internet import reactor\nreactor.listenTCP(0, serve(handler))",
        "no attribute 'doStart'; write HixieServerFactory(serve(...))",
    ),
    "write": Wrong(
        served("self.transport.write(message.encode())"),
        "no attribute 'write'; write sendTextMessage(text) or sendBytesMessage(data)",
    ),
    "a protocol of bytes": Wrong(
        STREAM, "Echo, a protocol of bytes; pass its factory to StreamApplications()"
    ),
    "bytes as text": Wrong(
        served("self.transport.sendTextMessage(b'hello')"),
        "expected str, not bytes; sendBytesMessage sends bytes",
    ),
    "text as bytes": Wrong(
        served("self.transport.sendBytesMessage('hello')"),
        "expected bytes, not str; sendTextMessage sends str",
    ),
    "an application where what makes them is wanted": Wrong(
        served().replace("Echoes())", "Echo())"),
        "the application Echo; write a class with def buildProtocol(self, offer): return Echo()",
    ),
    "a class where an application is wanted": Wrong(
        served(made="Echo"),
        "buildProtocol returned the class Echo, not an application; write Echo()",
    ),
    "an application where a client's factory wants what makes them": Wrong(
        served().replace("run(HERE, Echoes())", "")
        + "from txhixie import HixieClientFactory\nHixieClientFactory(URL, Echo())",
        "write a class with def buildProtocol(self, url): return Echo()",
    ),
    "an application with few methods": Wrong(
        FEW,
        "lacks negotiationFinished; add def negotiationFinished(self), "
        "def bytesMessageReceived(self, data), def pongReceived(self, payload), "
        "def connectionLost(self, reason)",
    ),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_error_of_a_wrong_program_says_what_to_write(
    name: str, daemon: Daemon, tmp_path: Path
) -> None:
    wrong, port = PROGRAMS[name], free_port()
    program = dedent(wrong.program).replace("URL", repr(f"ws://127.0.0.1:{daemon.port}/"))
    program = program.replace("HERE", repr(f"tcp:{port}:interface=127.0.0.1"))
    (tmp_path / "program.py").write_text(program)
    with (
        (tmp_path / "output").open("wb") as output,
        subprocess.Popen(
            [sys.executable, "program.py"], cwd=tmp_path, stdout=output, stderr=output
        ) as process,
    ):

        def read() -> str:
            return (tmp_path / "output").read_text()

        try:
            awaits(lambda: process.poll() is not None or "listening on" in read(), read)
            if process.poll() is None:
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
                    peer.sendall(handshake_bytes.whole_request("rfc6455"))
                    peer.sendall(modern_frame(Opcode.TEXT, b"hello", key=MASK))
                    awaits(lambda: wrong.said in read(), read)
        finally:
            process.kill()
    assert wrong.said in read()


def awaits(condition: Callable[[], bool], read: Callable[[], str]) -> None:
    """
    Wait until a condition is true.

    :param read: reads the output of the program, for the failure of the test.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, read()
        time.sleep(0.02)
