"""One side of a connection in memory, with a clock and a transport of the test.

An in-memory transport records every call in order. Tests with a real transport use sockets
(``network.py``).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from support.applications import Applications, Recorder
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import accept_for, proof_for, whole_request
from txhixie import (
    HixieClientFactory,
    HixieClientProtocol,
    HixieServerFactory,
    HixieServerProtocol,
    testing,
)
from txhixie.sansio.wire.frame import Side


class End(testing.End[Any]):
    """The transport, the protocol and the clock of one side of a connection in memory."""

    @property
    def dialect(self) -> str:
        return str(self.protocol.dialect.name)

    @property
    def own(self) -> FrameWriter:
        """A writer of the frames of this side, to compare with what it has written."""
        return FrameWriter(self.dialect, bytes(4) if self.protocol.side == Side.CLIENT else None)

    @property
    def peer(self) -> FrameWriter:
        """A writer of the frames of the peer."""
        return FrameWriter(self.dialect, MASK if self.protocol.side == Side.SERVER else None)


class ServerEnd(End):
    """A server's connection in memory."""

    protocol: HixieServerProtocol

    def __init__(self, applications: Any, **options: Any) -> None:
        clock = options.setdefault("clock", Clock())
        self.factory = HixieServerFactory(applications, **options)
        super().__init__(self.factory.buildProtocol(None), clock)


class ClientEnd(End):
    """A client's connection in memory, its request written."""

    protocol: HixieClientProtocol

    def __init__(
        self, applications: Any, url: str = "ws://example.com/demo", **options: Any
    ) -> None:
        clock = options.setdefault("clock", Clock())
        options.setdefault("dialect", "hixie-76")
        if options["dialect"] in MODERN:
            options.setdefault("entropy", bytes)
        self.factory = HixieClientFactory(url, applications, **options)
        super().__init__(self.factory.buildProtocol(None), clock)
        self.request = self.wire.taken()

    def answer(self, *more: str, **changed: str | None) -> bytes:
        """
        A hixie-76 handshake response: a head and sixteen bytes.

        :param changed: another value for the fields ``upgrade``, ``connection``, ``origin``,
            ``location``, ``accept`` or the ``status`` line; ``None`` leaves it out.
        """
        if self.dialect in MODERN:
            return self._modern_answer(more, changed)
        old = self.dialect != "hixie-76"
        offer = self.protocol.offer
        prefix = "WebSocket" if old else "Sec-WebSocket"
        fields = {
            "upgrade": ("Upgrade", "WebSocket"),
            "connection": ("Connection", "Upgrade"),
            "origin": (f"{prefix}-Origin", str(offer.origin)),
            "location": (f"{prefix}-Location", offer.location),
        }
        status = f"HTTP/1.1 101 Web{' ' if old else ''}Socket Protocol Handshake"
        lines = [changed.get("status", status) or status]
        for key, (name, value) in fields.items():
            if (said := changed.get(key, value)) is not None:
                lines.append(f"{name}: {said}")
        head = "\r\n".join([*lines, *more, "", ""]).encode("latin-1")
        return head + (b"" if old else proof_for(self.request))

    def _modern_answer(self, more: tuple[str, ...], changed: dict[str, str | None]) -> bytes:
        fields = {
            "Upgrade": changed.get("upgrade", "websocket"),
            "Connection": changed.get("connection", "Upgrade"),
            "Sec-WebSocket-Accept": changed.get("accept", accept_for(self.request)),
        }
        lines = [changed.get("status") or "HTTP/1.1 101 Switching Protocols"]
        lines += [f"{name}: {said}" for name, said in fields.items() if said is not None]
        return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def opened(
    dialect: str, application: Recorder | None = None, side: str = Side.SERVER, **options: Any
) -> tuple[Any, Recorder]:
    """A connection in memory after its handshake, and the application."""
    application = application or Recorder()
    applications = Applications(lambda: application)
    end: Any
    if side == Side.SERVER:
        end = ServerEnd(applications, **options)
        end.receive(whole_request(dialect))
    else:
        end = ClientEnd(applications, dialect=dialect, **options)
        end.receive(end.answer())
    assert application.told[:2] == ["started", "finished"]
    if "finished" not in application.does:
        end.wire.calls.clear()
    return end, application
