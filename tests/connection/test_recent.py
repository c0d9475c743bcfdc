"""The last ends and the last refusals of a server: bounded, and in safe texts."""

from __future__ import annotations

import json

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from txhixie.connection.recent import Recent, address_of
from txhixie.connection.tally import Tally
from txhixie.sansio.closing import Ended
from txhixie.sansio.http.head import NOTHING_ASKED, Asked

PEER = IPv4Address("TCP", "192.0.2.1", 4711)
LONG = "x" * 100_000


def recent() -> Recent:
    return Recent(now=lambda: 1_800_000_000.25)


def test_the_last_hundred_ends_are_kept_the_newest_first() -> None:
    kept = recent()
    for number in range(250):
        ended = Ended(1001, "", "us", True)
        kept.end(number, PEER, Asked(None, "/a?token=b"), ended, Tally(2, 3, 0.55))
    assert [each.requester.connection for each in kept.ends] == list(range(249, 149, -1))
    assert kept.ends[0].to_data() == {
        "time": 1_800_000_000.25,
        "connection": 249,
        "peer": "192.0.2.1:4711",
        "host": None,
        "path": "/a",
        "origin": None,
        "dialect": None,
        "code": 1001,
        "reason": "",
        "by": "us",
        "received": 2,
        "sent": 3,
        "seconds": 0.6,
    }


def test_refusals_of_one_address_with_one_reason_are_one() -> None:
    kept = recent()
    kept.refuse(1, PEER, NOTHING_ASKED, 403, "origin", "one")
    kept.refuse(2, IPv4Address("TCP", "192.0.2.2", 1), NOTHING_ASKED, 403, "origin", "other")
    for number in range(1000):
        kept.refuse(number, PEER, Asked("h", f"/{number}"), 403, "origin", "one")
    kept.refuse(3, PEER, NOTHING_ASKED, 404, "", "another")
    found = [(each.status, each.cause, each.reason, each.times) for each in kept.refusals]
    assert found == [
        (404, "not-found", "another", 1),
        (403, "origin", "one", 1001),
        (403, "origin", "other", 1),
    ]


def test_an_address_has_ten_reasons_of_one_cause() -> None:
    """A client that varies its requests does not displace the refusals of others."""
    kept = recent()
    kept.refuse(1, IPv4Address("TCP", "192.0.2.2", 1), NOTHING_ASKED, 400, "", "other")
    for number in range(1000):
        kept.refuse(number, PEER, NOTHING_ASKED, 400, "", f"reason {number}")
    reasons = [each.reason for each in kept.refusals]
    assert reasons == [*(f"reason {number}" for number in range(999, 989, -1)), "other"]


def test_a_hundred_refusals_are_kept() -> None:
    kept = recent()
    for number in range(250):
        peer = IPv4Address("TCP", f"192.0.2.{number}", 1)
        kept.refuse(None, peer, NOTHING_ASKED, None, "tls", "no")
    assert len(kept.refusals) == 100
    assert kept.refusals[0].requester.address == "192.0.2.249"


def test_one_client_with_many_addresses_of_IPv6_is_one() -> None:
    kept = recent()
    for number in range(50):
        peer = IPv6Address("TCP", f"2001:db8::{number:x}", 1)
        kept.refuse(None, peer, NOTHING_ASKED, 429, "connections-per-address", "too many")
    (only,) = kept.refusals
    assert (only.requester.address, only.times) == ("2001:db8::/64", 50)


def test_texts_of_a_peer_are_truncated_before_they_are_kept() -> None:
    kept = recent()
    asked = Asked(LONG, "/" + LONG, LONG, "rfc6455")
    kept.refuse(None, PEER, asked, 400, "", LONG)
    kept.end(None, PEER, asked, Ended(4000, LONG, "peer", True), Tally())
    assert max(len(repr(kept.refusals)), len(repr(kept.ends))) < 1500
    shown = kept.refusals[0].to_data(), kept.ends[0].to_data()
    assert len(json.dumps(shown)) < 3000


@pytest.mark.parametrize(
    ("asked", "name", "expected"),
    [
        (Asked(target="/a?b=c"), "path", "/a"),
        (Asked(target="/a;jsessionid=c"), "path", "/a;jsessionid=..."),
        (Asked(host="ada:love@host"), "host", "***@host"),
        (Asked(origin="https://ada@host?x=y"), "origin", "https://***@host?x=..."),
        (Asked(target="/\u202egpj.exe\x1b[2J"), "path", "/\\u202egpj.exe\\x1b[2J"),
    ],
)
def test_credentials_are_masked_and_control_characters_escaped(
    asked: Asked, name: str, expected: str
) -> None:
    kept = recent()
    kept.refuse(None, PEER, asked, 403, "origin", "no")
    assert kept.refusals[0].to_data()[name] == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (PEER, "192.0.2.1"),
        (IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.1"),
        (IPv6Address("TCP", "2001:db8:0:1::2", 1), "2001:db8:0:1::/64"),
        (UNIXAddress(None), "unix"),
    ],
)
def test_peers_are_counted_by_their_address_without_the_port(peer: object, expected: str) -> None:
    assert address_of(peer) == expected
