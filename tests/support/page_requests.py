"""Requests for the pages of a daemon, and WebSocket connections to it, over plain sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.daemon import PATIENCE, Daemon
from support.handshake_bytes import whole_request


@dataclass
class Page:
    """The response to a request for a page."""

    status: int
    fields: dict[str, str]
    body: bytes


def ask(
    daemon: Daemon,
    target: str,
    *fields: str,
    method: str = "GET",
    host: str = "localhost",
    body: bytes = b"",
) -> Page:
    """Request a page of a daemon, with further header fields, which announce the body."""
    with daemon.connect() as peer:
        head = "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "", ""))
        peer.sendall(head.encode("latin-1") + body)
        return page_of(b"".join(iter(lambda: peer.recv(65536), b"")))


def page_of(received: bytes) -> Page:
    """Split the bytes of a response."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Page(int(first.split()[1]), {name.lower(): text for name, _, text in pairs}, body)


@contextmanager
def opened(
    daemon: Daemon, *fields: str, dialect: str = "rfc6455", **which: Any
) -> Iterator[socket.socket]:
    """Hold a WebSocket connection to a daemon, for as long as the block lasts."""
    with daemon.connect() as peer:
        peer.settimeout(PATIENCE)
        peer.sendall(whole_request(dialect, *fields, **which))
        received = b""
        while b"\r\n\r\n" not in received:
            piece = peer.recv(1024)
            assert piece, received
            received += piece
        assert received.split()[1] == b"101", received
        yield peer


def refused(daemon: Daemon, *fields: str, dialect: str = "rfc6455", **which: Any) -> Page:
    """Send a handshake that is refused, and return the response."""
    with daemon.connect() as peer:
        peer.sendall(whole_request(dialect, *fields, **which))
        return page_of(b"".join(iter(lambda: peer.recv(65536), b"")))
