"""Eventlet's server, versions 8 and 13. It has no client, and no application of it hears a pong."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from importlib import import_module
from typing import Any

from peers.programs.peer_commands import (
    REFUSED_BODY,
    REFUSED_PATH,
    SUBPROTOCOL,
    UNSEEN,
    Library,
    obey,
)

eventlet = import_module("eventlet")
greenio = import_module("eventlet.greenio")
websocket = import_module("eventlet.websocket")
wsgi = import_module("eventlet.wsgi")


class Eventlet(Library):
    server: Any = None
    listening: Any = None
    socket: Any = None

    async def serve(self, deflate: str) -> int:
        stock = websocket.WebSocketWSGI.configured(self.talk, supported_protocols=[SUBPROTOCOL])

        def application(environment: Any, start: Any) -> Any:
            if environment["PATH_INFO"] == REFUSED_PATH:
                start("403 Forbidden", [("Content-Type", "text/plain")])
                return [REFUSED_BODY.encode()]
            return stock(environment, start)

        self.listening = eventlet.listen(("127.0.0.1", 0))
        self.server = eventlet.spawn(wsgi.server, self.listening, application, log_output=False)
        port: int = self.listening.getsockname()[1]
        return port

    def talk(self, socket: Any) -> None:
        say = self.voice()
        self.socket = socket
        say("open", socket.protocol or "-")
        while (message := socket.wait()) is not None:
            socket.send(message)
        say("close", UNSEEN, UNSEEN)

    async def pieces(self, parts: list[str]) -> None:
        last = len(parts) - 1
        for number, part in enumerate(parts):
            self.socket.send(part, continuation=number > 0, final=number == last)

    async def ping(self, payload: bytes) -> None:
        self.socket.send(payload, control_code=9)

    async def close(self, code: int, reason: str) -> None:
        self.socket.close((code, reason))

    async def reset(self) -> None:
        if self.socket is not None:
            self.socket.socket.close()
            self.socket = None
        if self.server is not None:
            self.server.kill()
            self.listening.close()
            self.server = None


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Nothing in it awaits anything: greenlets wait without a word."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("somebody awaits something")


def main() -> None:
    library = Eventlet()
    lines = greenio.GreenPipe(sys.stdin.fileno(), "r")
    for line in lines:
        run(obey(library, line.rstrip("\n")))


if __name__ == "__main__":
    main()
