"""Transport in memory that records each call.

It behaves like Twisted's TCP transport, and raises an error for calls that TCP ignores silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IConsumer, ITransport
from zope.interface import implementer


@implementer(ITransport, IConsumer)
class Wire:
    """
    Transport of one side of a connection in memory.

    :ivar calls: the calls of its methods, in order: ``("write", data)``, ``("lose",)``,
        ``("lose write",)``, ``("abort",)``, ``("pause",)``, ``("resume",)`` and
        ``("no delay", bool)``.
    :ivar producer: the registered producer, if any.
    :ivar paused: whether the protocol has paused reading.
    :ivar dead: whether the connection has ended.
    """

    def __init__(self, limit: int | None = None) -> None:
        """
        Create a transport.

        :param limit: bytes in the write buffer above which the producer is paused, until the peer
            has received all of them; ``None``: the producer is never paused.
        """
        self.calls: list[tuple[Any, ...]] = []
        self.producer: Any = None
        self.paused = False
        self.dead = False
        self._limit = limit
        self._underway = 0

    @property
    def written(self) -> bytes:
        """All written bytes that were not :meth:`taken`."""
        return b"".join(self.writes)

    @property
    def writes(self) -> list[bytes]:
        """All writes that were not :meth:`taken`, in order."""
        return [call[1] for call in self.calls if call[0] == "write"]

    @property
    def endings(self) -> list[str]:
        """The calls that end the connection, in order: ``lose``, ``lose write``, ``abort``."""
        kinds = ("lose", "lose write", "abort")
        return [call[0] for call in self.calls if call[0] in kinds]

    def taken(self) -> bytes:
        """Return the bytes written since the last call, and remove them."""
        written = self.written
        self.calls = [call for call in self.calls if call[0] != "write"]
        return written

    def arrived(self, size: int) -> None:
        """
        Record that the peer has received written bytes.

        :param size: the number of bytes.
        """
        self._underway = max(0, self._underway - size)
        if self._limit is not None and self._underway == 0 and self.producer is not None:
            self.producer.resumeProducing()

    # Methods that a protocol calls.

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Record a call of ``ITCPTransport.setTcpNoDelay``."""
        self.calls.append(("no delay", enabled))

    def write(self, data: bytes) -> None:
        """Write ``bytes``, and no other type; after ``loseConnection`` they are discarded."""
        assert type(data) is bytes, f"a transport takes bytes, not {type(data)}"
        if self.dead or "lose" in self.endings:
            return
        self.calls.append(("write", data))
        self._underway += len(data)
        if self._limit is not None and self._underway > self._limit and self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Write several ``bytes`` as one write."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Register a producer, which has to be a push producer and the only one."""
        if self.producer is not None:
            raise RuntimeError("Cannot register two producers")
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Unregister the producer."""
        self.producer = None

    def pauseProducing(self) -> None:
        """Pause reading."""
        assert not self.dead, "paused after its end"
        self.paused = True
        self.calls.append(("pause",))

    def resumeProducing(self) -> None:
        """Resume reading."""
        assert not self.dead, "resumed after its end"
        self.paused = False
        self.calls.append(("resume",))

    def loseConnection(self) -> None:
        """End the connection after the written bytes; no producer may be registered, as over
        TLS."""
        assert self.producer is None, "over TLS loseConnection would wait for the producer for ever"
        self.calls.append(("lose",))

    def loseWriteConnection(self) -> None:
        """End the sending half of the connection after the written bytes."""
        assert not self.dead, "loseWriteConnection after the end: TCP would pass fd -1 to epoll"
        assert self.producer is None, "the registered producer would still be resumed"
        self.calls.append(("lose write",))

    def abortConnection(self) -> None:
        """Abort the connection."""
        if not self.dead:
            self.calls.append(("abort",))

    def getPeer(self) -> IPv4Address:
        """Return an address of the network for documentation (RFC 5737)."""
        return IPv4Address("TCP", "192.0.2.1", 54321)

    def getHost(self) -> IPv4Address:
        """Return an address of the network for documentation (RFC 5737)."""
        return IPv4Address("TCP", "192.0.2.2", 80)
