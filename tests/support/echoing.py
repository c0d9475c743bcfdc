"""A well-behaved client in a thread, whose messages are echoed while a test does something else."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from support.blocking_peer import status
from support.daemon import PATIENCE
from support.frame_writer import FrameWriter
from support.handshake_bytes import whole_request

DIALECT = "rfc6455"


def offer(*more: str) -> bytes:
    """A WebSocket request of a program, with further lines."""
    return whole_request(DIALECT, *more, origin=None)


class Echoing:
    """
    A client that sends a message, waits for its echo, and begins again.

    :ivar echoes: how many have come.
    """

    def __init__(self, peer: socket.socket) -> None:
        """:param peer: a connected socket, on which nothing was sent."""
        self.echoes = 0
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._peer = peer
        peer.sendall(offer())
        assert status(peer) == 101
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        theirs, ours = FrameWriter(DIALECT, b"mask"), FrameWriter(DIALECT, None)
        expected = ours.text("hello")
        try:
            while not self._over.wait(0.002):
                self._peer.sendall(theirs.text("hello"))
                data = b""
                while len(data) < len(expected):
                    more = self._peer.recv(65536)
                    assert more, f"the connection has ended after {self.echoes} echoes"
                    data += more
                assert data == expected
                self.echoes += 1
        except BaseException as error:
            self._error = error

    def goes_on(self) -> None:
        """Wait for two further echoes."""
        before, waited = self.echoes, threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if self._error is not None:
                raise self._error
            if self.echoes >= before + 2:
                return
            waited.wait(0.01)
        raise AssertionError("there are no echoes any more")

    def end(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        self._peer.close()
        if self._error is not None:
            raise self._error


@contextlib.contextmanager
def echoing(peer: socket.socket) -> Iterator[Echoing]:
    """A client whose messages are echoed during the whole block; an error of it is raised."""
    client = Echoing(peer)
    try:
        yield client
        client.goes_on()
    finally:
        client.end()
