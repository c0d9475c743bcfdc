"""Eventlet's own WebSocket server, stock, sending back each message; a program of its own.

Never imported by the tests: eventlet puts its own loop under everything it touches. It says
"listening PORT" first and then, one line an event, what it sees; payloads are hex and an empty one
is "-", as in the Java peers. Hixie-75 and -76 come by `WebSocketWSGI`'s legacy path, versions 8 and
13 by its other one. A client that sends the text "please close" is closed. The program ends when
its standard input does, so that it cannot outlive the tests.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# Without annotations, and not installed where only the types are checked.
import eventlet.websocket  # type: ignore[import-not-found,import-untyped,unused-ignore]  # eventlet has no annotations, and may not be installed
from eventlet import hubs, wsgi  # type: ignore[import-not-found,import-untyped,unused-ignore]  # eventlet has no annotations, and may not be installed


def say(*words: str) -> None:
    print(*words, flush=True)


def hexed(message: str | bytes) -> str:
    payload = message.encode() if isinstance(message, str) else message
    return payload.hex() or "-"


def echo(socket: Any) -> None:
    say("open", str(socket.version), socket.path)
    while (message := socket.wait()) is not None:
        say("text" if isinstance(message, str) else "binary", hexed(message))
        if message == "please close":
            break
        socket.send(message)
    say("close" if socket.websocket_closed else "lost")


def end_with_standard_input() -> None:
    while True:
        hubs.trampoline(sys.stdin.fileno(), read=True)
        if not os.read(sys.stdin.fileno(), 1024):
            os._exit(0)  # from a greenlet a SystemExit would be one connection's failure


def main() -> None:
    listening = eventlet.listen(("127.0.0.1", 0))
    say("listening", str(listening.getsockname()[1]))
    eventlet.spawn(end_with_standard_input)
    wsgi.server(listening, eventlet.websocket.WebSocketWSGI(echo), log_output=False)


if __name__ == "__main__":
    main()
