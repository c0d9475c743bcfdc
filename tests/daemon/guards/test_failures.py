"""Counts of wrong passwords by address."""

from __future__ import annotations

import pytest

from txhixie.daemon.guards.failures import COUNTED_SECONDS, Failures
from txhixie.sansio.http.trusted import network_of


def failed(failures: Failures, client: str | None, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        failures.add(now, client)


def test_an_address_waits_after_the_last_allowed_failure_until_the_minute_is_over() -> None:
    failures = Failures(most=3)
    failed(failures, "192.0.2.1", 2)
    assert failures.wait(0, "192.0.2.1") == 0
    failures.add(10, "192.0.2.1")
    assert failures.wait(10, "192.0.2.1") == 50
    assert failures.wait(COUNTED_SECONDS - 0.1, "192.0.2.1") == 1
    assert failures.wait(COUNTED_SECONDS, "192.0.2.1") == 0


def test_the_count_begins_anew_after_a_minute() -> None:
    failures = Failures(most=3)
    failed(failures, "192.0.2.1", 3)
    failed(failures, "192.0.2.1", 2, now=COUNTED_SECONDS)
    assert failures.wait(COUNTED_SECONDS, "192.0.2.1") == 0
    failures.add(COUNTED_SECONDS + 1, "192.0.2.1")
    assert failures.wait(COUNTED_SECONDS + 1, "192.0.2.1") == 59


def test_another_address_does_not_wait() -> None:
    failures = Failures(most=3)
    failed(failures, "192.0.2.1", 3)
    assert failures.wait(0, "192.0.2.2") == 0


def test_addresses_of_one_IPv6_network_are_counted_together() -> None:
    failures = Failures(most=3)
    for number in range(3):
        failures.add(0, f"2001:db8:0:1::{number:x}")
    assert failures.wait(0, "2001:db8:0:1:ffff::1")
    assert not failures.wait(0, "2001:db8:0:2::1")


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        (None, ""),
    ],
)
def test_a_mapped_IPv4_address_is_an_IPv4_address(client: str | None, network: str) -> None:
    assert network_of(client) == network


def test_clients_without_an_address_are_counted_together() -> None:
    failures = Failures(most=3)
    failed(failures, None, 3)
    assert failures.wait(0, None)


def test_the_oldest_of_too_many_addresses_is_forgotten() -> None:
    failures = Failures(most=1, addresses=2)
    for number in range(3):
        failures.add(number, f"192.0.2.{number}")
    waits = [failures.wait(2, f"192.0.2.{number}") > 0 for number in range(3)]
    assert waits == [False, True, True]


def test_another_process_is_told_of_each_wrong_password_and_counts_it() -> None:
    one, other = Failures(most=3), Failures(most=3)
    one.tell = lambda network: other.add_of_network(0, network)
    failed(one, "2001:db8::1", 2)
    failed(other, "2001:db8::2", 1)
    assert other.wait(0, "2001:db8::3")
    assert not one.wait(0, "2001:db8::3")
