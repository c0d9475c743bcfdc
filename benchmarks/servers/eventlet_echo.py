"""
eventlet.websocket echo: hixie-75, hixie-76 and RFC 6455.

usage: eventlet_echo.py PORT
"""

import sys

import eventlet
import eventlet.wsgi
from eventlet import websocket


def echo(socket: websocket.WebSocket) -> None:
    while (message := socket.wait()) is not None:
        socket.send(message)


listener = eventlet.listen(("127.0.0.1", int(sys.argv[1])), backlog=1024)
app = websocket.WebSocketWSGI(echo, max_frame_length=1 << 26)
# max_size counts greenlets: one a connection, and the idle workload holds 5000.
eventlet.wsgi.server(listener, app, log_output=False, max_size=20000)
