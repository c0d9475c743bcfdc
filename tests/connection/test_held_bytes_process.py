"""The ceiling for the bytes of all connections, in a process of the daemon that counts what it has
allocated."""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.counted_twistd import needs_count
from support.daemon import COUNTED, PATIENCE, Daemon, running
from support.frame_writer import text
from support.handshake_bytes import whole_request

MEBI = 1024 * 1024
CEILING = 64 * MEBI
ATTACKERS = 1000
FOR_EACH_CONNECTION = 4 * 1024
"""Bytes of memory of a connection besides what it holds: see HeldBytes."""

SLACK = 16 * MEBI
"""Bytes of other objects, such as the log and code that is imported late."""

pytestmark = needs_count


def opened(daemon: Daemon, dialect: str) -> socket.socket | None:
    """A client after its handshake; ``None`` if the daemon refused it with 503."""
    peer = daemon.connect()
    peer.settimeout(30)
    try:
        peer.sendall(whole_request(dialect).replace(b"http://example.com", b"null"))
        head = peer.recv(4096)
        while head and b"\r\n\r\n" not in head:
            head += peer.recv(4096)
    except ConnectionError:
        head = b""
    if head.startswith(b"HTTP/1.1 101"):
        return peer
    assert not head or head.startswith(b"HTTP/1.1 503"), head
    peer.close()
    return None


@pytest.mark.parametrize("keeps", [(), ("--no-keep-freed-memory",)], ids=["kept", "returned"])
def test_a_thousand_unfinished_messages_do_not_fill_the_memory(
    tmp_path: Path, keeps: tuple[str, ...]
) -> None:
    """Each is a MiB but a byte, sent in pieces by all connections at the same time."""
    head = b"\x82\xff" + (MEBI).to_bytes(8, "big") + bytes(4)
    message = memoryview(head + bytes(MEBI - 1))
    options = ("--max-held-bytes", str(CEILING), "--origins", "*", *keeps)
    with running(tmp_path, *options, runner=COUNTED) as daemon, ExitStack() as stack:
        client = opened(daemon, "hixie-75")
        assert client is not None
        stack.enter_context(client)
        before = daemon.allocated
        writable = stack.enter_context(selectors.DefaultSelector())
        attackers: dict[int, socket.socket] = {}
        sent: dict[socket.socket, int] = {}
        for _ in range(ATTACKERS):
            attacker = opened(daemon, "rfc6455")
            assert attacker is not None
            stack.enter_context(attacker).setblocking(False)
            writable.register(attacker, selectors.EVENT_WRITE)
            attackers[attacker.fileno()] = attacker
            sent[attacker] = 0
        largest, echoes = before, 0
        deadline = time.monotonic() + 10 * PATIENCE
        while sent and time.monotonic() < deadline:
            for key, _ in writable.select(1):
                attacker = attackers[key.fd]
                start = sent[attacker]
                try:
                    sent[attacker] += attacker.send(message[start : start + 64 * 1024])
                except OSError:
                    sent[attacker] = len(message)
                if sent[attacker] == len(message):
                    writable.unregister(attacker)
                    del sent[attacker]
            client.sendall(text("hello"))
            assert client.recv(7) == text("hello")
            echoes += 1
            largest = max(largest, daemon.allocated)
        assert not sent, "the attack has not ended in time"
        assert echoes > 10
        bound = before + CEILING * 3 // 2 + ATTACKERS * FOR_EACH_CONNECTION + SLACK
        assert largest < bound, f"{largest / MEBI:.0f} MiB, at most {bound / MEBI:.0f}"
        daemon.logged_times("code=1013", ATTACKERS - CEILING // MEBI - 8)
        line = daemon.logged("bytes held by all connections reach our limit")
        assert "(HeldBytes.most, --max-held-bytes)" in line
        late = opened(daemon, "rfc6455")
        deadline = time.monotonic() + PATIENCE
        while late is None and time.monotonic() < deadline:
            time.sleep(0.2)  # a refused client comes back later, as Retry-After says
            late = opened(daemon, "rfc6455")
        assert late is not None
        stack.enter_context(late)
