"""Clients of a server in another process: blocking sockets, and the bytes of a handshake."""

from __future__ import annotations

import contextlib
import socket
from typing import Self

from support.daemon import PATIENCE
from support.frame_writer import text
from support.handshake_bytes import status_of


def connected(
    port: int, source: str = "127.0.0.1", server: str = "127.0.0.1", beginning: bytes = b""
) -> socket.socket:
    """
    Connect to a port of this machine.

    :param source: the address of the client.
    :param server: the address of the server.
    :param beginning: bytes to send at once.
    """
    peer = socket.create_connection((server, port), PATIENCE, (source, 0))
    try:
        peer.sendall(beginning)
    except OSError:
        peer.close()
        raise
    return peer


def answer(peer: socket.socket) -> bytes:
    """Read a response until its head is complete or the connection has ended."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while b"\r\n\r\n" not in data and (more := peer.recv(65536)):
            data += more
    return data


def status(peer: socket.socket) -> int | None:
    """The status of the response; ``None`` if the connection has ended without one."""
    data = answer(peer)
    return status_of(data) if data else None


class HixieClient:
    """
    A client of hixie-75 by its bytes.

    :ivar socket: its socket, connected.
    """

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer

    def echoes(self, message: str) -> bool:
        """Whether a message comes back."""
        frame, back = text(message), b""
        self.socket.sendall(frame)
        while len(back) < len(frame) and (more := self.socket.recv(65536)):
            back += more
        return back == frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()
