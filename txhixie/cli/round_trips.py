"""Round-trip times of pings, summed up."""

from __future__ import annotations


class RoundTrips:
    """
    The round-trip times of one command.

    :ivar count: how many pings were answered.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0.0
        self._least = float("inf")
        self._most = 0.0

    def add(self, seconds: float) -> None:
        """Count a ping that was answered after so many seconds."""
        self.count += 1
        self._sum += seconds
        self._least = min(self._least, seconds)
        self._most = max(self._most, seconds)

    def summary(self) -> str:
        """Sum up in a line, in milliseconds; empty before the first answer."""
        if not self.count:
            return ""
        times = (self._least, self._sum / self.count, self._most)
        shown = "/".join(f"{1000 * seconds:.1f}" for seconds in times)
        return f"{self.count} pings answered, round trip min/avg/max {shown} ms"
