"""A topic: members that raise. ``test_service.py`` has what clients of a topic get."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock

from support.log_recorder import Log
from txhixie.bus.local import LocalBus
from txhixie.hub.delivery import Delivered
from txhixie.hub.hub import Hub
from txhixie.hub.joining import Joining


class Member:
    """A member that keeps what it gets, and raises if the test sets this."""

    wantsPresence = True

    def __init__(self, raises: bool) -> None:
        self.heard: list[bytes] = []
        self.told = 0
        self.backlog, self.skipped = (), 0
        self.joining, self.transport = Joining(presence=True), None
        self._raises = raises

    def hear(self, delivered: Delivered) -> Callable[[], None] | None:
        """Keep a message."""
        self.heard.append(delivered.message.payload)
        self._fail()
        return None

    def missed(self, outcome: int) -> None:
        """Fail: nothing is sent to this member."""
        raise AssertionError(outcome)

    def tellMembers(self) -> None:
        """Count a number of members."""
        self.told += 1
        self._fail()

    def _fail(self) -> None:
        if self._raises:
            raise RuntimeError("a defect of a member")


def test_a_member_that_raises_costs_the_others_nothing(log: Log) -> None:
    clock = Clock()
    topic = Hub(LocalBus(lambda: 1.0), clock).topic("room", 60.0, False)
    members = [Member(False), Member(True), Member(False)]
    for each in members:
        topic.join(each)
    published: list[str] = []
    for payload in (b"1", b"2"):
        topic.publish(payload, True).addCallback(published.append)
    clock.advance(1.0)
    assert [each.heard for each in members] == [[b"1", b"2"]] * 3
    assert [each.told for each in members] == [1, 1, 1]
    assert len(published) == 2
    assert [type(each) for each in log.tracebacks()] == [RuntimeError] * 3
