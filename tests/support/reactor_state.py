"""A check that a test leaves no delayed call, reader or writer in the reactor."""

from __future__ import annotations

from support.waiting import reactor, until


def readers() -> list[object]:
    """The readers of the reactor, and the connections of a poller in its place."""
    return [one for each in reactor.getReaders() for one in getattr(each, "connections", [each])]


class ReactorState:
    """The delayed calls, readers and writers of the reactor when this object was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> tuple[set[object], set[object], set[object]]:
        return (
            set(reactor.getDelayedCalls()),
            set(readers()),
            set(reactor.getWriters()),
        )

    async def is_restored(self) -> None:
        """
        Wait until the reactor has no others than those.

        What a test before has left may end meanwhile: the test of now has not left it.
        """
        await until(
            lambda: all(now <= old for now, old in zip(self._now(), self._before, strict=True))
        )
