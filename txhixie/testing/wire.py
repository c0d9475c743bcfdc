"""A transport in memory: it behaves like TCP's, is stricter where TCP is silent, and shows each
call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IConsumer, ITransport
from zope.interface import implementer


@implementer(ITransport, IConsumer)
class Wire:
    """
    One end's transport.

    :ivar calls: what was asked of it, in order: ``("write", data)``, ``("lose",)``,
        ``("lose write",)``, ``("abort",)``, ``("pause",)``, ``("resume",)`` and
        ``("no delay", bool)``.
    :ivar producer: the one that is registered.
    :ivar paused: whether its protocol wants nothing delivered.
    :ivar dead: whether the connection has ended.
    """

    def __init__(self, limit: int | None = None) -> None:
        """
        :param limit: more bytes than these, underway to the other end, and the producer is paused
            until all have arrived; ``None``: it is never paused by itself.
        """
        self.calls: list[tuple[Any, ...]] = []
        self.producer: Any = None
        self.paused = False
        self.dead = False
        self._limit = limit
        self._underway = 0

    @property
    def written(self) -> bytes:
        """All that was written and not :meth:`taken`."""
        return b"".join(self.writes)

    @property
    def writes(self) -> list[bytes]:
        """The same, write by write."""
        return [call[1] for call in self.calls if call[0] == "write"]

    @property
    def endings(self) -> list[str]:
        """How it was asked to end, each time it was: ``lose``, ``lose write``, ``abort``."""
        kinds = ("lose", "lose write", "abort")
        return [call[0] for call in self.calls if call[0] in kinds]

    def taken(self) -> bytes:
        """What was written since the last time."""
        written = self.written
        self.calls = [call for call in self.calls if call[0] != "write"]
        return written

    def arrived(self, size: int) -> None:
        """So many bytes of what was written are with the other end."""
        self._underway = max(0, self._underway - size)
        if self._limit is not None and self._underway == 0 and self.producer is not None:
            self.producer.resumeProducing()

    # What a protocol asks of its transport.

    def setTcpNoDelay(self, enabled: bool) -> None:
        """As ``ITCPTransport`` has it."""
        self.calls.append(("no delay", enabled))

    def write(self, data: bytes) -> None:
        """Of ``bytes`` and nothing else, as transports want it; lost once it was asked to end."""
        assert type(data) is bytes, f"a transport takes bytes, not {type(data)}"
        if self.dead or "lose" in self.endings:
            return
        self.calls.append(("write", data))
        self._underway += len(data)
        if self._limit is not None and self._underway > self._limit and self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """As one write."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """One at a time, and only one that pushes."""
        if self.producer is not None:
            raise RuntimeError("Cannot register two producers")
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Forget it."""
        self.producer = None

    def pauseProducing(self) -> None:
        """Deliver nothing."""
        assert not self.dead, "paused after its end"
        self.paused = True
        self.calls.append(("pause",))

    def resumeProducing(self) -> None:
        """Deliver again."""
        assert not self.dead, "resumed after its end"
        self.paused = False
        self.calls.append(("resume",))

    def loseConnection(self) -> None:
        """End after what was written. As over TLS, a producer must have been unregistered."""
        assert self.producer is None, "over TLS it would wait for the producer for ever"
        self.calls.append(("lose",))

    def loseWriteConnection(self) -> None:
        """End this half after what was written."""
        assert not self.dead, "half closed after its end: a real one asks epoll for fd -1"
        assert self.producer is None, "its producer would be asked for more"
        self.calls.append(("lose write",))

    def abortConnection(self) -> None:
        """End at once."""
        if not self.dead:
            self.calls.append(("abort",))

    def getPeer(self) -> IPv4Address:
        """Somewhere in the documentation's own network (RFC 5737)."""
        return IPv4Address("TCP", "192.0.2.1", 54321)

    def getHost(self) -> IPv4Address:
        """The same."""
        return IPv4Address("TCP", "192.0.2.2", 80)
