"""Receiving from and sending to sockets that do not block.

``receive`` and ``send_parts`` exist in C and in Python, with the same results. Those in C save an
object of 64 KiB for each read, and the copy of all parts of a write. ``receive_payload`` exists in
C only, or is ``None``: Python code cannot write into ``bytes``. ``payload_reader.py`` calls it.
``send_last`` exists in Python only.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Final, Literal

from ..sansio.compiled import compiled_module

_COMPILED: Final = compiled_module("txhixie.sockets._sockets")

READ_SIZE: Final = 64 * 1024
"""Most bytes of a read: ``bufferSize`` of Twisted's transports."""

WIDE_READ: Final = 257 * 1024
"""Most bytes of a read of a connection with large messages: 256 KiB of payloads, with headers.

With 256 KiB, four messages of 64 KiB would take two reads, and a message of 1 MiB five, not four.
"""

PAYLOAD_READ: Final = 768 * 1024
"""Most bytes of a read into the payload of a large message: with a wide read before it, 1 MiB."""

_MSG_MORE: Final[int] = getattr(socket, "MSG_MORE", 0)  # Linux
_HAS_SENDMSG: Final = hasattr(socket.socket, "sendmsg")  # not on Windows


def receive_in_python(fd: int) -> bytes | Literal[False] | None:
    """
    Return the bytes that have arrived at the socket of a file descriptor, at most 64 KiB.

    A socket would be asked for its descriptor each time, 0.08 us of a message.

    :return: no bytes at the end of the stream; ``None`` if nothing has arrived; ``False`` for an
        error, also for a closed socket.
    """
    try:
        return os.read(fd, READ_SIZE)
    except BlockingIOError:
        return None
    except OSError:
        return False


def send_parts_in_python(sock: socket.socket, parts: bytes | list[bytes]) -> int:
    """
    Send bytes, or all bytes of a list.

    :return: the number of bytes that the kernel has taken, also 0 for an error.
    """
    try:
        if isinstance(parts, bytes):
            return sock.send(parts)
        if len(parts) == 2 and _HAS_SENDMSG:  # a header and a long payload, which is not copied
            return sock.sendmsg(parts)
        return sock.send(b"".join(parts))
    except OSError:
        return 0


def send_last(sock: socket.socket, parts: bytes | list[bytes]) -> int:
    """
    Send bytes to a socket that is closed at once afterwards: in one packet with the FIN, on Linux.

    A close frame and a FIN in packets of their own take 5 us more of a handshake, and wake the peer
    twice. The kernel keeps the bytes until the socket is closed, at most 200 ms (``MSG_MORE``).

    :return: as :func:`send_parts_in_python`.
    """
    try:
        return sock.send(parts if isinstance(parts, bytes) else b"".join(parts), _MSG_MORE)
    except OSError:
        return 0


receive_payload: Callable[..., tuple[bytes, int] | bytes | Literal[False] | None] | None = (
    None if _COMPILED is None else _COMPILED.receive_payload
)

if _COMPILED is None:
    receive, send_parts = receive_in_python, send_parts_in_python
else:
    receive, send_parts = _COMPILED.receive, _COMPILED.send_parts
