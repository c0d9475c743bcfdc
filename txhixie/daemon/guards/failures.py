"""Counts of wrong credentials, by the address of the client."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from ...sansio.http.trusted import network_of

MOST_FAILURES: Final = 10
"""Most wrong passwords of an address within :data:`COUNTED_SECONDS`; then every new password of the
address is refused without a check. A person mistypes a few times; at 10 a minute, a list of the
10,000 most common passwords takes 16 hours for one user."""

COUNTED_SECONDS: Final = 60.0
"""Seconds from the first wrong password of an address until its count begins anew."""

_MOST_ADDRESSES: Final = 10_000
"""Most addresses that are kept, about 2 MB; then the oldest is forgotten."""


class Failures:
    """
    Counter of the wrong passwords of each address; the number of addresses is bounded.

    There is no clock here: each method takes the time, in seconds. IPv6 addresses are counted by
    their network of 64 bits, since one client can have all addresses of it. Clients without an
    address (on a UNIX socket) are counted together.

    :ivar tell: called with the address or network of each wrong password, for other processes;
        ``None`` without any.
    """

    tell: Callable[[str], object] | None = None

    def __init__(self, most: int = MOST_FAILURES, addresses: int = _MOST_ADDRESSES) -> None:
        """
        :param most: wrong passwords after which :meth:`wait` is not 0.
        :param addresses: most addresses that are kept.
        """
        self._most = most
        self._addresses = addresses
        self._counts: dict[str, tuple[float, int]] = {}  # the oldest first: its start, its count

    def add(self, now: float, client: str | None) -> None:
        """Count a wrong password."""
        network = network_of(client)
        self.add_of_network(now, network)
        if self.tell is not None:
            self.tell(network)

    def add_of_network(self, now: float, key: str) -> None:
        """
        Count a wrong password, of this process or of another one.

        :param now: the time in seconds.
        :param key: the address, or the network of an IPv6 address.
        """
        began, count = self._counts.get(key, (now, 0))
        if now - began >= COUNTED_SECONDS:
            del self._counts[key]
            began, count = now, 0
        self._counts[key] = began, count + 1
        if len(self._counts) > self._addresses:
            del self._counts[next(iter(self._counts))]

    def wait(self, now: float, client: str | None) -> int:
        """Return the seconds until an address may try again; 0 if the address may do so now."""
        began, count = self._counts.get(network_of(client), (now, 0))
        left = began + COUNTED_SECONDS - now
        return ceil(left) if count >= self._most and left > 0 else 0


FAILURES: Final = Failures()
"""The counts of the process: a reload does not end the wait of an address."""
