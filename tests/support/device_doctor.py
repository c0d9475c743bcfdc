"""``txhixie doctor --listen`` in a process, and clients that send bytes to it."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from support.command_line import start
from support.daemon import PATIENCE

Event = dict[str, Any]


class Seen:
    """
    What the doctor has reported of one connection.

    :ivar events: its stages.
    :ivar route: the route that lets the device in; ``None`` for none.
    :ivar result: ``ok`` or ``failed``.
    """

    def __init__(self, events: list[Event]) -> None:
        self.events = [event for event in events if event["type"] == "stage"]
        routes = [event["data"] for event in events if event["type"] == "route"]
        self.route: str | None = routes[0] if routes else None
        self.result = events[-1]["result"]

    @property
    def deviations(self) -> list[Event]:
        return [found for event in self.events for found in event["deviations"]]

    @property
    def allowed(self) -> list[str | None]:
        """The condition that lets each deviation in; ``None`` for one that is never let in."""
        return [found["allow"] for found in self.deviations]

    @property
    def words(self) -> str:
        """All lines of the report."""
        lines = [line for event in self.events for line in event["lines"]]
        return "\n".join([*lines, *(found["text"] for found in self.deviations)])

    @property
    def comparable(self) -> list[tuple[Any, ...]]:
        """The results, without what differs between two connections."""
        return [(each["data"], each["result"], each["deviations"]) for each in self.events]


class Doctor:
    """
    A running doctor.

    :ivar ports: the ports on which it listens.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._events: dict[str, list[Event]] = {}
        self._changed = threading.Condition()
        self._others: list[Event] = []
        self.ports: list[int] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                if event["type"] == "listening":
                    self.ports.append(int(event["data"].rstrip("/").rpartition(":")[2]))
                peer = event["data"] if event["type"] == "examined" else event.get("peer")
                self._events.setdefault(peer, []).append(event)
                self._changed.notify_all()

    def listens(self, count: int = 1) -> None:
        """Wait until a number of ports listen."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.ports) == count, PATIENCE)

    def seen(self, address: tuple[str, int]) -> Seen:
        """Wait for the end of the examination of a connection, by its local address."""
        peer = f"{address[0]}:{address[1]}"

        def has_ended() -> bool:
            events = self._events.get(peer, [])
            return bool(events) and events[-1]["type"] == "examined"

        with self._changed:
            assert self._changed.wait_for(has_ended, PATIENCE), self._events.get(peer)
            return Seen(self._events[peer])

    def all_seen(self, count: int) -> list[Seen]:
        """Wait for the end of a number of examinations; return all of them."""

        def ended() -> list[list[Event]]:
            each = [events for peer, events in self._events.items() if peer is not None]
            return [events for events in each if events[-1]["type"] == "examined"]

        with self._changed:
            assert self._changed.wait_for(lambda: len(ended()) >= count, PATIENCE)
            return [Seen(events) for events in ended()]

    def examine(
        self, *pieces: bytes, port: int | None = None, context: ssl.SSLContext | None = None
    ) -> Seen:
        """
        Send bytes over a new connection, close its half, and read to the end.

        :param pieces: the bytes, one send for each piece.
        :param context: for TLS.
        """
        raw = socket.create_connection(("127.0.0.1", port or self.ports[0]), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = raw.getsockname()
        client = raw if context is None else context.wrap_socket(raw, server_hostname=NAME)
        # The doctor may end the connection before the last piece.
        with client, suppress(OSError):
            for piece in pieces:
                client.sendall(piece)
            if context is None:
                client.shutdown(socket.SHUT_WR)
            while client.recv(65536) and context is None:
                pass
        return self.seen(address)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, list[Event]]:
        """Wait for the end of the doctor; return its exit status, and its own events."""
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return self._process.returncode, self._events.get(None, [])  # type: ignore[call-overload]  # the key None has the events without a device


NAME = "a.test"
"""The server name that clients with TLS send."""

LOCAL = "tcp:0:interface=127.0.0.1"


@contextmanager
def doctor(*words: str, ports: Iterable[str] = (LOCAL,)) -> Iterator[Doctor]:
    """Run the doctor until the end of the block."""
    listens = [word for port in ports for word in ("--listen", port)]
    process = start("doctor", "--json", *listens, *words, stderr=None)
    try:
        running = Doctor(process)
        running.listens(len(listens) // 2)
        yield running
    finally:
        process.kill()
        process.communicate()
