"""Both ends of a byte stream in memory, with any events in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from support.frame_writer import text
from support.handshake_bytes import KEY3, request
from support.memory_connection import ServerEnd
from txhixie.daemon.services.tcp import StreamService
from txhixie.testing import Wire

TALK = (
    *("key3", "client says", "backend says", "backend full", "backend free", "client full"),
    *("client free", "later"),
)
ENDS = (
    *("connected", "unreachable", "client closes", "client ends", "client resets"),
    *("backend ends", "backend goes", "backend resets"),
)
STORIES = st.builds(
    lambda *parts: [step for part in parts for step in part],
    st.lists(st.just("connected"), max_size=1),
    st.lists(st.sampled_from(TALK), max_size=20),
    st.lists(st.sampled_from(TALK + ENDS), max_size=20),
)


class Both:
    """A client in hixie-76, whose key 3 may come late, and its backend."""

    def __init__(self) -> None:
        self.clock: Any = MemoryReactorClock()
        service = StreamService(self.clock, "tcp:backend:1", coding="lines")
        self.client = ServerEnd(service, clock=self.clock)
        self.client.receive(request("hixie-76"))
        self.wire = Wire()
        self.backend: Any = None
        self.failed = self.proved = self.closed = self.ended = False
        self.accepted: list[bytes] = []
        self.said: list[bytes] = []

    @property
    def stands(self) -> bool:
        """Whether the backend is connected."""
        return self.backend is not None and not self.wire.dead

    def do(self, step: str, number: int) -> None:
        """Perform a step, if it is possible now."""
        getattr(self, "_" + step.replace(" ", "_"))(number)

    def _connected(self, number: int) -> None:
        if self.backend is None and not (self.failed or self.clock.connectors[0].stoppedConnecting):
            self.backend = self.clock.tcpClients[0][2].buildProtocol(None)
            self.backend.makeConnection(self.wire)

    def _unreachable(self, number: int) -> None:
        if self.backend is None and not (self.failed or self.clock.connectors[0].stoppedConnecting):
            self.failed = True
            factory, connector = self.clock.tcpClients[0][2], self.clock.connectors[0]
            factory.clientConnectionFailed(connector, Failure(OSError("down")))

    def _key3(self, number: int) -> None:
        if not self.proved and not self.client.wire.dead:
            self.proved = True
            self.client.receive(KEY3)

    def _client_says(self, number: int) -> None:
        if self.client.wire.dead or self.client.wire.paused or not self.proved:
            return
        over = self.closed or self.ended or self.client.wire.endings
        if self.stands and not over and self.client.protocol.agreement is not None:
            self.accepted.append(b"%d\n" % number)
        self.client.receive(text(str(number)))

    def _backend_says(self, number: int) -> None:
        if self.stands and not self.ended:  # also when it is paused, as TLS does
            if not self.wire.endings and not self.client.wire.endings:
                self.said.append(b"\x00%d\xff" % number)
            self.backend.dataReceived(b"%d\n" % number)

    def _client_closes(self, number: int) -> None:
        if self.proved and not self.client.wire.dead and not self.client.wire.paused:
            self.closed = True
            self.client.receive(b"\xff\x00")

    def _client_ends(self, number: int) -> None:
        if not self.client.wire.dead:
            self.closed = True
            self.client.lose()

    def _client_resets(self, number: int) -> None:
        if not self.client.wire.dead:
            self.closed = True
            self.client.reset()

    def _backend_ends(self, number: int) -> None:
        if self.stands and not self.wire.paused and not self.ended:
            self.ended = True
            self.backend.readConnectionLost()

    def _lose_backend(self, reason: Exception) -> None:
        if self.stands:
            self.wire.dead = self.ended = True
            self.wire.producer = None
            self.backend.connectionLost(Failure(reason))

    def _backend_goes(self, number: int) -> None:
        if self.ended or "lose" in self.wire.endings or "abort" in self.wire.endings:
            self._lose_backend(ConnectionDone())

    def _backend_resets(self, number: int) -> None:
        self._lose_backend(ConnectionLost())

    def _tell(self, wire: Wire, verb: str) -> None:
        if not wire.dead and wire.producer is not None:
            getattr(wire.producer, verb)()

    def _backend_full(self, number: int) -> None:
        self._tell(self.wire, "pauseProducing")

    def _backend_free(self, number: int) -> None:
        self._tell(self.wire, "resumeProducing")

    def _client_full(self, number: int) -> None:
        self._tell(self.client.wire, "pauseProducing")

    def _client_free(self, number: int) -> None:
        self._tell(self.client.wire, "resumeProducing")

    def _later(self, number: int) -> None:
        self.clock.advance(1)


@settings(max_examples=1000)
@given(STORIES)
def test_no_data_that_was_accepted_is_lost_in_any_order_of_events(steps: list[str]) -> None:
    """There is no error, all data arrives in order, and no timer and no connection is left."""
    both = Both()
    for number, step in enumerate(steps):
        both.do(step, number)
    assert both.wire.written == b"".join(both.accepted)
    said = b"".join(both.said)
    heard = both.client.wire.written.partition(b"\r\n\r\n")[2][16:].removesuffix(b"\xff\x00")
    if both.backend is not None:
        assert heard == said if both.proved and not both.closed else said.startswith(heard)
    assert "abort" not in both.wire.endings
    both.do("client resets", 0)
    both.do("backend resets", 0)
    both.clock.advance(100)
    if both.stands:
        assert both.wire.endings
    assert not both.clock.getDelayedCalls()
    assert not both.client.factory.connections
