"""How these programs talk with the tests, for those in Python; the others do the same.

A program gets commands as lines of its standard input, and says what it meets. Payloads
and reasons are hex, an empty one is "-" and one that the library does not show is "?".

=======================  ===========================================================
in                       out
=======================  ===========================================================
``reset TOKEN``          ``ready TOKEN``; all that was begun is forgotten
``serve DEFLATE``        ``listening PORT``, and ``open SUBPROTOCOL`` for a connection
``connect`` and words    ``open SUBPROTOCOL`` or ``refused STATUS BODY``
``pieces HEX HEX ...``   nothing: it sends one text, so fragmented
``ping HEX``             ``pong HEX``
``close CODE REASON``    ``close CODE REASON`` when the close of either side is complete
=======================  ===========================================================

What goes wrong is ``failed WHY``. The words of ``connect`` are URL VERSION DEFLATE SUBPROTOCOLS
ORIGIN, the last two "-" for none.

DEFLATE is "plain" for none, "default" for what the library does unless it is told otherwise,
"fresh" for no context takeover in either direction, "narrow" for windows of 2**10 bytes in both.
A server agrees on the subprotocol "sample", and refuses "/refused" with 403 and a body. Each
message that comes is sent back as it came, without a line: the echo shows that the message arrived.
A program does one thing at a time, has one conversation at a time, and ends with its input.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

SUBPROTOCOL = "sample"
NARROW = 10
REFUSED_PATH = "/refused"
REFUSED_BODY = "not for you\n"
UNSEEN = "?"

Say: TypeAlias = Callable[..., None]


def say(*words: object) -> None:
    print(*words, flush=True)


def hexed(payload: str | bytes | bytearray | memoryview) -> str:
    return (payload.encode() if isinstance(payload, str) else bytes(payload)).hex() or "-"


def unhexed(word: str) -> bytes:
    return b"" if word == "-" else bytes.fromhex(word)


class Library(ABC):
    """One library, as a client and as a server."""

    _talk = 0

    def voice(self) -> Say:
        """The functions that print the events of a conversation; after the next reset they print
        nothing."""
        mine = self._talk

        def speak(*words: object) -> None:
            if mine == self._talk:
                say(*words)

        return speak

    def hush(self) -> None:
        self._talk += 1

    @abstractmethod
    async def serve(self, deflate: str) -> int: ...

    async def connect(
        self, url: str, version: int, deflate: str, subprotocols: list[str], origin: str | None
    ) -> None:
        raise NotImplementedError

    async def pieces(self, parts: list[str]) -> None:
        raise NotImplementedError

    @abstractmethod
    async def ping(self, payload: bytes) -> None: ...

    @abstractmethod
    async def close(self, code: int, reason: str) -> None: ...

    @abstractmethod
    async def reset(self) -> None: ...


async def obey(library: Library, line: str) -> None:
    try:
        match line.split(" "):
            case ["reset", token]:
                library.hush()
                await library.reset()
                say("ready", token)
            case ["serve", deflate]:
                say("listening", await library.serve(deflate))
            case ["connect", url, version, deflate, subprotocols, origin]:
                names = [] if subprotocols == "-" else subprotocols.split(",")
                page = None if origin == "-" else origin
                await library.connect(url, int(version), deflate, names, page)
            case ["pieces", *parts]:
                await library.pieces([unhexed(part).decode() for part in parts])
            case ["ping", payload]:
                await library.ping(unhexed(payload))
            case ["close", code, reason]:
                await library.close(int(code), unhexed(reason).decode())
            case _:
                raise ValueError(line)
    except Exception as error:
        say("failed", hexed(repr(error)))


def lines(take: Callable[[str], object]) -> None:
    """Hand each line of the standard input to `take`, in a thread; end the program with them."""

    def read() -> None:
        for line in sys.stdin:
            take(line.rstrip("\n"))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()


def under_asyncio(make: Callable[[], Library]) -> None:
    async def main() -> None:
        library, loop = make(), asyncio.get_running_loop()
        told: asyncio.Queue[str] = asyncio.Queue()
        lines(lambda line: loop.call_soon_threadsafe(told.put_nowait, line))
        while True:
            await obey(library, await told.get())

    asyncio.run(main())


def under_twisted(make: Callable[[], Library]) -> None:
    from twisted.internet import reactor as installed_reactor
    from twisted.internet.defer import DeferredQueue, ensureDeferred

    reactor: Any = installed_reactor
    told: DeferredQueue[str] = DeferredQueue()

    async def main() -> None:
        library = make()
        while True:
            await obey(library, await told.get())

    def begin() -> None:
        ensureDeferred(main())
        lines(lambda line: reactor.callFromThread(told.put, line))

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
