"""
The floor of a broadcast: each message of a connection is sent to all connections by a bare loop of
``socket.send``. Nothing is checked: no limits, no UTF-8, no write buffer, no end of a connection
but that of its socket.

usage: bare_send.py PORT
"""

from __future__ import annotations

import selectors
import socket
import sys
from base64 import b64encode
from hashlib import sha1

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LONG = 126

listeners: dict[socket.socket, bytes] = {}
selector = selectors.DefaultSelector()


def shake_hands(connection: socket.socket, head: bytes) -> None:
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    proof = b64encode(sha1(key + GUID, usedforsecurity=False).digest())
    connection.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
    )
    listeners[connection] = b""


def payloads(data: bytes) -> tuple[list[bytes], bytes]:
    """The unmasked payloads of all complete frames, and the bytes after them."""
    found = []
    while len(data) >= 8:
        size, start = data[1] & 0x7F, 2
        if size == LONG:
            size, start = int.from_bytes(data[2:4], "big"), 4
        end = start + 4 + size
        if len(data) < end:
            break
        key = int.from_bytes((data[start : start + 4] * (size // 4 + 1))[:size], "big")
        found.append((int.from_bytes(data[start + 4 : end], "big") ^ key).to_bytes(size, "big"))
        data = data[end:]
    return found, data


def frame(payload: bytes) -> bytes:
    size = len(payload)
    if size < LONG:
        return bytes((0x81, size)) + payload
    return bytes((0x81, LONG)) + size.to_bytes(2, "big") + payload


def read(connection: socket.socket) -> None:
    try:
        data = connection.recv(1 << 16)
    except ConnectionError:
        data = b""
    if not data or data[0] & 0x0F == 8:  # the close frame
        listeners.pop(connection, None)
        selector.unregister(connection)
        connection.close()
    elif connection not in listeners:
        shake_hands(connection, data)
    else:
        found, listeners[connection] = payloads(listeners[connection] + data)
        for payload in found:
            sent = frame(payload)
            for listener in listeners:
                listener.send(sent)


def main() -> None:
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
    selector.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ)
            else:
                read(key.fileobj)


main()
