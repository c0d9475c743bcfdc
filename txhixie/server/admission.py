"""Limits of all connections of a server: how many at a time, and how many new ones a second.

A connection is counted by its transport, the lowest one where there are several: TLS, an HTTP
channel and a WebSocket connection on the same socket are one connection. A transport that is
entered twice counts once, and a transport that leaves twice leaves once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import Final, Protocol

from ..sansio.arguments import scalars
from ..sansio.handshake.offer import Refusal
from ..sansio.http.trusted import TrustedNetworks, network_of

ADMISSION_LIMITS: Final = {
    "max-connections": "connections",
    "max-connections-per-address": "connections_per_address",
    "max-new-connections": "new_connections",
    "max-new-connections-per-address": "new_connections_per_address",
}
"""Options of the daemon that set a limit, each with its attribute of :class:`txhixie.Admission`."""

_RETRY: Final = (("Retry-After", "1"),)
"""For clients that connect too fast: a second later there is room again. Where all places are
taken, the time at which a place becomes free is not known."""

_ROUNDING: Final = 1e-9
"""Seconds that sums of fractions of a second may differ."""


IN_ALL: Final = "max-connections"
BY_ADDRESS: Final = "max-connections-per-address"


def part_of(most: int, processes: int) -> int:
    """Return the part that one of several processes has of a limit, at least 1."""
    return max(1, most // processes)


class WholeLedger(Protocol):
    """Counts of the connections of several processes, which have their limits together."""

    def ask(
        self,
        connection: Hashable,
        address: str,
        most: int | None,
        of_address: int | None,
        decide: Callable[[str | None], object],
        /,
    ) -> None:
        """Call a function with the option of the limit that is reached, or with ``None``."""

    def take(self, connection: Hashable, address: str, /) -> None:
        """Count an accepted connection, if it is not counted."""

    def leave(self, connection: Hashable, /) -> None:
        """Count a connection no more, if it is counted."""

    def clear(self) -> None:
        """Count no connection any more."""


class Admission:
    """
    Limits of all connections of one server, or of several servers that share this object.

    A connection counts from the moment when it is accepted until its socket is closed: during the
    TLS handshake, while its request is read, as a page, and as a conversation. A connection beyond
    a limit is refused and does not count; a connection that counts is never closed for these
    limits.

    The limits for an address hold for one IPv4 address, or for the first 64 bits of an IPv6
    address, since one client can have all addresses of such a network. A UNIX socket has no
    address. Behind a trusted reverse proxy, the address is that of the client, which is known once
    the head of the request was received; the address of the reverse proxy has no limit.

    :ivar connections: most connections at a time; ``None``: no limit. Others get 503.
    :ivar connections_per_address: most connections of an address at a time. Others get 429.
    :ivar new_connections: most new connections within a second. Others get 503.
    :ivar new_connections_per_address: most new connections of an address within a second. Others
        get 429.
    :ivar exempt: addresses without the limits for an address.
    :ivar is_limited: whether there is a limit. Without a limit, no connection is counted.
    """

    ledger: WholeLedger | None = None  # of several processes

    def __init__(
        self,
        *,
        connections: int | None = None,
        connections_per_address: int | None = None,
        new_connections: int | None = None,
        new_connections_per_address: int | None = None,
        exempt: Iterable[str] = (),
    ) -> None:
        """
        :param connections: most connections at a time.
        :param connections_per_address: most connections of an address at a time.
        :param new_connections: most new connections within a second.
        :param new_connections_per_address: most new connections of an address within a second.
        :param exempt: addresses and networks without the limits for an address, such as
            ``192.0.2.0/24``, an office behind one router.
        :raises ValueError: for a limit below 1, and for an invalid address.
        :raises TypeError: for a limit that is not an ``int``, and for a string instead of a list.
        """
        self.connections = _checked("connections", connections)
        self.connections_per_address = _checked("connections_per_address", connections_per_address)
        self.new_connections = _checked("new_connections", new_connections)
        self.new_connections_per_address = _checked(
            "new_connections_per_address", new_connections_per_address
        )
        self.exempt = TrustedNetworks(exempt)
        self.is_limited = self._has_limits()
        self._held: dict[Hashable, str] = {}  # transports, each with its address
        self._counts: dict[str, int] = {}  # numbers of transports by their addresses
        self._due = 0.0  # see _after()
        self._dues: dict[str, float] = {}  # of addresses; the one that changed last at the end

    def _has_limits(self) -> bool:
        return (
            self._has_limits_at_a_time()
            or self.new_connections is not None
            or self.new_connections_per_address is not None
        )

    def _has_limits_at_a_time(self) -> bool:
        return self.connections is not None or self.connections_per_address is not None

    def change(self, limits: Admission) -> None:
        """
        Take the limits of another object; the connections of this object stay counted.

        After the change from no limit to a limit, the connections have to be entered.

        :param limits: the object with the new limits.
        """
        self.connections = limits.connections
        self.connections_per_address = limits.connections_per_address
        self.new_connections = limits.new_connections
        self.new_connections_per_address = limits.new_connections_per_address
        self.exempt = limits.exempt
        self.is_limited = limits.is_limited
        if not self.is_limited:
            self._held.clear()
            self._counts.clear()
            self._dues.clear()
            if self.ledger is not None:
                self.ledger.clear()

    def divide_rates(self, processes: int) -> None:
        """
        Take a share of the limits of new connections, as one of several processes.

        :param processes: number of processes, each of which gets the same share, at least 1.
        """
        for name in ("new_connections", "new_connections_per_address"):
            if (rate := getattr(self, name)) is not None:
                setattr(self, name, part_of(rate, processes))

    def __len__(self) -> int:
        """Return the number of counted connections."""
        return len(self._held)

    def count(self, client: str | None) -> int:
        """
        Return the number of counted connections of an address.

        :param client: an address; for an IPv6 address, the connections of its network are counted.
        """
        return self._counts.get(network_of(client), 0)

    # The life of a connection.

    def arrives(self, client: str | None, now: float) -> Refusal | None:
        """
        Decide about a new connection, which is counted by :meth:`enter`.

        :param client: the address of the client; ``None`` for a client without an address, and as
            long as the address is not known.
        :param now: the time in seconds.
        :return: a refusal beyond a limit; otherwise ``None``.
        """
        address = self._address(client)
        refusal = self._refuses_address(address, now) or self.is_full()
        if refusal is not None:
            return refusal
        if self.new_connections is not None:
            due = _after(self._due, now, self.new_connections)
            if due is None:
                return _refusal(503, "max-new-connections", self.new_connections)
            self._due = due
        self._take(address, now)
        return None

    def is_full(self) -> Refusal | None:
        """Return a refusal if there are as many connections as allowed in all."""
        if self.connections is None or len(self._held) < self.connections:
            return None
        return _refusal(503, "max-connections", self.connections)

    def enter(self, transport: Hashable, client: str | None) -> None:
        """
        Count a connection; do nothing for a connection that is counted with an address.

        :param transport: the lowest transport of the connection.
        :param client: the address of the client, as in :meth:`arrives`.
        """
        if not self.is_limited or self._held.get(transport):
            return
        address = self._held[transport] = self._address(client)
        if address:
            self._counts[address] = self._counts.get(address, 0) + 1

    def identify(self, transport: Hashable, client: str | None, now: float) -> Refusal | None:
        """
        Decide about a connection after its request has shown the address of the client.

        The connection is counted by this address from now on. A connection that is not counted yet
        is a new one: a connection of a ``Site`` that becomes a WebSocket connection.

        :param transport: the lowest transport of the connection.
        :param client: the address of the client; ``None`` for a client without an address.
        :param now: the time in seconds.
        :return: a refusal beyond a limit; otherwise ``None``.
        """
        known = self._held.get(transport)
        if known is None:
            refusal = self.arrives(client, now)
        elif known:
            return None
        else:
            address = self._address(client)
            refusal = self._refuses_address(address, now)
            if refusal is None:
                self._take(address, now)
        if refusal is None:
            self.enter(transport, client)
        return refusal

    def leave(self, transport: Hashable) -> None:
        """
        Count a connection no more; do nothing for a connection that is not counted.

        :param transport: the lowest transport of the connection.
        """
        address = self._held.pop(transport, "")
        if self.ledger is not None:
            self.ledger.leave(transport)
        if not address:
            return
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]

    def confirm(self, transport: Hashable, decide: Callable[[Refusal | None], object]) -> None:
        """
        Ask the ledger of several processes about a connection, before anything of it is read.

        If a request shows another address, the ledger is asked about its connection once more.

        :param transport: the lowest transport of the connection.
        :param decide: called with a refusal beyond a limit; otherwise with ``None``. The call may
            come before this method returns.
        """

        def decided(option: str | None) -> None:
            most = self.connections if option == IN_ALL else self.connections_per_address
            decide(None if option is None else _refusal(_STATUS[option], option, most or 0))

        if self.ledger is None or not self._has_limits_at_a_time():
            decide(None)
            return
        limits = self.connections, self.connections_per_address
        self.ledger.ask(transport, self._held.get(transport, ""), *limits, decided)

    def take(self, transport: Hashable) -> None:
        """Have the ledger of several processes count a connection that was accepted before."""
        if self.ledger is not None and self._has_limits_at_a_time():
            self.ledger.take(transport, self._held.get(transport, ""))

    # Addresses.

    def _address(self, client: str | None) -> str:
        """Return the address by which a client is counted; empty for one without limits."""
        if client is None or (self.exempt and self.exempt.has(client)):
            return ""
        if self.connections_per_address is None and self.new_connections_per_address is None:
            return ""
        return network_of(client)

    def _refuses_address(self, address: str, now: float) -> Refusal | None:
        if not address:
            return None
        most = self.connections_per_address
        if most is not None and self._counts.get(address, 0) >= most:
            return _refusal(429, "max-connections-per-address", most)
        rate = self.new_connections_per_address
        if rate is not None and _after(self._dues.get(address, now), now, rate) is None:
            return _refusal(429, "max-new-connections-per-address", rate)
        return None

    def _take(self, address: str, now: float) -> None:
        """Count a new connection of an address, and forget addresses without one for a second."""
        rate = self.new_connections_per_address
        if not address or rate is None:
            return
        due = _after(self._dues.pop(address, now), now, rate)
        self._dues[address] = now + 1 if due is None else due
        while (first := next(iter(self._dues))) != address and _is_full(self._dues[first], now):
            del self._dues[first]


def _after(due: float, now: float, rate: int) -> float | None:
    """
    Take one of the tokens of a bucket with ``rate`` tokens, which is filled within a second.

    The state of a bucket is one number: the time at which the bucket is full again.

    :param due: the time at which the bucket is full, in seconds.
    :param now: the time in seconds.
    :param rate: the size of the bucket, and the number of its tokens for each second.
    :return: the time at which the bucket is full after that; ``None`` for an empty bucket.
    """
    due = (now if _is_full(due, now) else due) + 1 / rate
    return due if due <= now + 1 + _ROUNDING else None


def _is_full(due: float, now: float) -> bool:
    """
    Whether a bucket of :func:`_after` is full.

    If the time is more than a second away, the clock of the machine was set back, and the bucket
    counts as full: otherwise all clients would be refused until the clock has caught up.
    """
    return due <= now or due > now + 1 + _ROUNDING


def _checked(name: str, most: int | None) -> int | None:
    if most is not None:
        scalars(int, **{name: most})
        if most < 1:
            raise ValueError(f"{name}: expected 1 or more, not {most}; None is no limit")
    return most


_STATUS: Final = {IN_ALL: 503, BY_ADDRESS: 429}

_WORDS: Final = {
    "max-connections": ("too many connections", "connections exceed our limit of "),
    "max-connections-per-address": (
        "too many connections from your address",
        "connections of this address exceed our limit of ",
    ),
    "max-new-connections": (
        "too many new connections",
        "new connections a second exceed our limit of ",
    ),
    "max-new-connections-per-address": (
        "too many new connections from your address",
        "new connections a second of this address exceed our limit of ",
    ),
}
"""Words for the client, and words for the log, by the option of the limit."""


@lru_cache(maxsize=16)
def _refusal(status: int, option: str, most: int) -> Refusal:
    text, what = _WORDS[option]
    names = f"Admission.{ADMISSION_LIMITS[option]}, --{option}"
    return Refusal(
        status,
        f"{text}\n",
        _RETRY if "new" in option else (),
        why=f"{what}{most:,} ({names})",
        cause=option.removeprefix("max-"),
    )
