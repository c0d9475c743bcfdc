"""A WebSocket server on a blocking socket in a thread, which does what a test scripts."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha1
from pathlib import Path

from support.certificates import authority
from support.daemon import PATIENCE
from support.frames import modern_frame
from txhixie.sansio.wire.mask import mask

Script = Callable[[socket.socket], None]


@contextmanager
def serving(script: Script) -> Iterator[int]:
    """
    A server that does with each connection what a test says, and then closes it.

    After the block each script has come to its end, and so has what the script keeps for the test.

    :return: its port on 127.0.0.1.
    """
    talks: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=_serve, args=(listening, script, talks), daemon=True)
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE)
            for talk in talks:
                talk.join(PATIENCE)


def _serve(listening: socket.socket, script: Script, talks: list[threading.Thread]) -> None:
    while True:
        try:
            peer, _ = listening.accept()
        except OSError:
            return
        talks.append(threading.Thread(target=_talk, args=(peer, script), daemon=True))
        talks[-1].start()


def _talk(peer: socket.socket, script: Script) -> None:
    with peer, suppress(OSError):
        script(peer)


@contextmanager
def asking(directory: Path) -> Iterator[int]:
    """A TLS server that requires client certificates, and accepts a handshake."""
    for name, pem in (("server", authority().pem_for("127.0.0.1")), ("authority", authority().pem)):
        (directory / f"{name}.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(directory / "server.pem")
    context.load_verify_locations(directory / "authority.pem")

    def script(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secured:
            accept(secured)
            say(secured, read_frame(secured))
            close(secured, 1000)

    with serving(script) as port:
        yield port


def read_head(peer: socket.socket) -> bytes:
    """A request's head."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = peer.recv(1)
        if not data:
            raise ConnectionError
        head += data
    return head


def accept(peer: socket.socket, rest: bytes = b"") -> bytes:
    """Agree to a handshake of RFC 6455, and to no other, and send the rest with that; its head."""
    head = read_head(peer)
    _, found, behind = head.partition(b"Sec-WebSocket-Key: ")
    if not found:
        raise ConnectionError
    key = behind.partition(b"\r\n")[0]
    proof = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n" + rest
    )
    return head


def read_frame(peer: socket.socket) -> tuple[int, bytes]:
    """A client's frame: what it is, and what it holds."""
    first, second = _exactly(peer, 2)
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(_exactly(peer, 2 if length == 126 else 8), "big")
    key = _exactly(peer, 4)
    return first & 0x0F, mask(_exactly(peer, length), key)


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return bytes(data)


def say(peer: socket.socket, *frames: tuple[int, bytes]) -> None:
    """Send frames: what each is, and what it holds."""
    for opcode, payload in frames:
        peer.sendall(modern_frame(opcode, payload))


def close(peer: socket.socket, code: int, reason: bytes = b"") -> None:
    """Close, and wait for the answer."""
    say(peer, (8, code.to_bytes(2, "big") + reason))
    with suppress(OSError):
        while read_frame(peer)[0] != 8:
            pass
