"""Limits of all connections: the number at a time, and the new ones a second."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from txhixie import Admission, Refusal
from txhixie.sansio.http.trusted import network_of

ADDRESSES = (None, "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2:1")
PROXY = "198.51.100.1"

limits = st.none() | st.integers(1, 4)
addresses = st.sampled_from((*ADDRESSES, PROXY))


def causes(refusal: Refusal | None) -> tuple[int, str] | None:
    """Status and cause of a refusal."""
    return None if refusal is None else (refusal.status, refusal.cause)


class Connections(RuleBasedStateMachine):
    """
    Connections that arrive, become known, leave and leave again, in any order.

    The model is the set of the transports that are connected, each with its address.
    """

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(connections=4, connections_per_address=2, exempt=[PROXY])
        self.there: dict[object, str] = {}
        self.gone: list[object] = []
        self.now = 0.0

    def address(self, client: str | None) -> str:
        if self.admission.connections_per_address is None or client == PROXY:
            return ""
        return network_of(client)

    def expected(self, address: str) -> tuple[int, str] | None:
        most, each = self.admission.connections, self.admission.connections_per_address
        same = list(self.there.values()).count(address)
        if address and each is not None and same >= each:
            return 429, "connections-per-address"
        if most is not None and len(self.there) >= most:
            return 503, "connections"
        return None

    @rule(client=addresses)
    def arrive(self, client: str | None) -> None:
        """A connection is accepted or refused, and a second layer enters it again."""
        expected = self.expected(self.address(client))
        assert causes(self.admission.arrives(client, self.now)) == expected
        if expected is None:
            transport = object()
            self.admission.enter(transport, client)
            self.admission.enter(transport, client)
            self.there[transport] = self.address(client)

    @rule(client=addresses)
    def arrive_under_a_site(self, client: str | None) -> None:
        transport = object()
        expected = self.expected(self.address(client))
        assert causes(self.admission.identify(transport, client, self.now)) == expected
        if expected is None:
            self.there[transport] = self.address(client)

    @rule(client=addresses, number=st.integers(0, 9))
    def become_known(self, client: str | None, number: int) -> None:
        """The head behind a proxy has come; where the address is known already, it stays."""
        unknown = [transport for transport, address in self.there.items() if not address]
        if not unknown:
            return
        transport = unknown[number % len(unknown)]
        each, address = self.admission.connections_per_address, self.address(client)
        same = list(self.there.values()).count(address)
        over = bool(address) and each is not None and same >= each
        refusal = self.admission.identify(transport, client, self.now)
        assert causes(refusal) == ((429, "connections-per-address") if over else None)
        if not over:
            self.there[transport] = address

    @rule(number=st.integers(0, 9))
    def leave(self, number: int) -> None:
        if self.there:
            transport = list(self.there)[number % len(self.there)]
            del self.there[transport]
            self.gone.append(transport)
            self.admission.leave(transport)

    @rule(number=st.integers(0, 9))
    def leave_again(self, number: int) -> None:
        """Several layers of a connection tell its end."""
        if self.gone:
            self.admission.leave(self.gone[number % len(self.gone)])

    @rule(most=st.integers(1, 6), each=st.integers(1, 3))
    def reload(self, most: int, each: int) -> None:
        """Other limits: the connections stay counted, even more of them than the new limits."""
        limits = Admission(connections=most, connections_per_address=each, exempt=[PROXY])
        self.admission.change(limits)

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        assert len(self.admission) == len(self.there)
        of_each = Counter(address for address in self.there.values() if address)
        for address, number in of_each.items():
            assert self.admission.count(address.removesuffix("/64")) == number

    def teardown(self) -> None:
        for transport in self.there:
            self.admission.leave(transport)
        assert len(self.admission) == 0
        assert all(self.admission.count(client) == 0 for client in ADDRESSES)


TestConnectionsInAnyOrder = Connections.TestCase
TestConnectionsInAnyOrder.settings = settings(max_examples=60, stateful_step_count=40)


@given(
    rate=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 0.2), max_size=200),
    per_address=st.booleans(),
)
def test_within_any_second_there_are_at_most_twice_the_new_connections_of_the_limit(
    rate: int, pauses: list[float], per_address: bool
) -> None:
    """A bucket of ``rate`` tokens, and ``rate`` more tokens while the second passes."""
    name = "new_connections_per_address" if per_address else "new_connections"
    options: dict[str, Any] = {name: rate}
    admission = Admission(**options)
    now, times = 0.0, []
    for pause in pauses:
        now += pause
        if admission.arrives("192.0.2.1", now) is None:
            times.append(now)
    for first in times:
        assert sum(first <= time <= first + 1 for time in times) <= 2 * rate
    assert not pauses or times, "the first connection was refused"


@pytest.mark.parametrize("name", ["new_connections", "new_connections_per_address"])
def test_new_connections_beyond_the_rate_are_told_to_wait_a_second(name: str) -> None:
    options: dict[str, Any] = {name: 3}
    admission = Admission(**options)
    for _ in range(3):
        assert admission.arrives("192.0.2.1", 5.0) is None
    for _ in range(10):
        refusal = admission.arrives("192.0.2.1", 5.1)
        assert refusal is not None
        assert refusal.status == (429 if "address" in name else 503)
        assert refusal.headers == ((b"Retry-After", b"1"),)
    assert admission.arrives("192.0.2.1", 5.34) is None, "a third of a second later"
    assert admission.arrives("192.0.2.1", 5.35) is not None
    for _ in range(3):
        assert admission.arrives("192.0.2.1", 6.5) is None


def test_a_fast_address_takes_nothing_from_others() -> None:
    """What is refused by the limit of its address does not count in all."""
    admission = Admission(new_connections=10, new_connections_per_address=2)
    refused = [admission.arrives("192.0.2.1", 0.0) for _ in range(100)]
    assert sum(refusal is not None for refusal in refused) == 98
    for number in range(8):
        assert admission.arrives(f"192.0.2.{number + 10}", 0.0) is None
    assert causes(admission.arrives("192.0.2.99", 0.0)) == (503, "new-connections")


@pytest.mark.parametrize("name", ["new_connections", "new_connections_per_address"])
def test_a_clock_that_is_set_back_locks_nobody_out(name: str) -> None:
    options: dict[str, Any] = {name: 1}
    admission = Admission(**options)
    assert admission.arrives("192.0.2.1", 10_000.0) is None
    assert admission.arrives("192.0.2.1", 1000.0) is None
    assert admission.arrives("192.0.2.1", 1000.1) is not None
    assert admission.arrives("192.0.2.1", 1001.1) is None


def test_addresses_that_were_seen_once_take_no_memory() -> None:
    """A client with a network of 32 bits has four thousand million networks of 64 bits."""
    admission = Admission(new_connections_per_address=5, connections_per_address=5)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(10_000):
        client = f"2001:db8:{number & 0xFFFF:x}:{number >> 16:x}::1"
        transport = object()
        assert admission.arrives(client, number / 200) is None
        admission.enter(transport, client)
        admission.leave(transport)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 1 << 19


def test_all_addresses_of_a_network_of_64_bits_are_one() -> None:
    admission = Admission(connections_per_address=1)
    admission.enter(1, "2001:db8::1")
    assert causes(admission.arrives("2001:db8::ffff:1", 0)) == (429, "connections-per-address")
    assert admission.arrives("2001:db8:0:1::1", 0) is None
    assert admission.count("2001:db8::5") == 1


def test_a_mapped_address_is_the_IPv4_address() -> None:
    admission = Admission(connections_per_address=1)
    admission.enter(1, "::ffff:192.0.2.1")
    assert admission.arrives("192.0.2.1", 0) is not None
    assert admission.arrives("::ffff:192.0.2.2", 0) is None


def test_a_UNIX_socket_has_no_address() -> None:
    admission = Admission(connections=3, connections_per_address=1)
    for number in range(3):
        assert admission.arrives(None, 0) is None
        admission.enter(number, None)
    assert causes(admission.arrives(None, 0)) == (503, "connections")


def test_without_a_limit_nothing_is_counted() -> None:
    admission = Admission(exempt=["192.0.2.0/24"])
    assert not admission.is_limited
    admission.enter(1, "192.0.2.1")
    assert len(admission) == 0
    assert admission.identify(2, "192.0.2.1", 0) is None
    assert len(admission) == 0


def test_limits_that_are_removed_and_set_again_count_the_connections_of_then() -> None:
    admission = Admission(connections=2)
    admission.enter(1, "192.0.2.1")
    admission.change(Admission())
    admission.leave(1)
    admission.change(Admission(connections=1))
    assert admission.arrives("192.0.2.1", 0) is None


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"connections": 0}, "connections: expected 1 or more, not 0; None is no limit"),
        ({"connections_per_address": 1.5}, "connections_per_address: expected int, not float"),
        ({"new_connections": True}, "new_connections: expected int, not bool"),
        ({"new_connections_per_address": -1}, "new_connections_per_address: expected 1 or more"),
        ({"exempt": "192.0.2.1"}, "expected a list, not str"),
        ({"exempt": ["localhost"]}, "'localhost' does not appear to be an IPv4 or IPv6 network"),
    ],
)
def test_a_wrong_limit_is_an_error_that_names_it(options: dict[str, Any], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        Admission(**options)
