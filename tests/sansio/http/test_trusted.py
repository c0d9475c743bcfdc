"""Addresses and networks that are named."""

from __future__ import annotations

import pytest

from txhixie.sansio.http.trusted import NOBODY, TrustedNetworks, read_address, unmapped

NAMED = TrustedNetworks(["127.0.0.1", "10.0.0.0/8", "fd00::/8", "::1"])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.255.0.1", "::ffff:10.1.2.3", "fd12::1", "::1", "0:0:0:0:0:0:0:1"]
)
def test_a_named_address_is_trusted(host: str) -> None:
    assert NAMED.has(host)


@pytest.mark.parametrize("host", ["127.0.0.2", "11.0.0.1", "fe80::1", "::ffff:11.0.0.1", "", "x"])
def test_no_other_address_is_trusted(host: str) -> None:
    assert not NAMED.has(host)


def test_a_mapped_network_is_one_of_ipv4() -> None:
    for name in ("::ffff:10.0.0.0/104", "10.0.0.0/8"):
        for host in ("10.1.2.3", "::ffff:10.1.2.3"):
            assert TrustedNetworks([name]).has(host)
        assert not TrustedNetworks([name]).has("11.0.0.1")


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("::ffff:1:2:3", "::ffff:1:2:3"),
        ("2001:db8::1", "2001:db8::1"),
        ("example.com", "example.com"),
    ],
)
def test_a_mapped_address_is_one_of_ipv4(host: str, plain: str) -> None:
    assert unmapped(host) == plain


def test_a_UNIX_socket_is_named_by_a_word() -> None:
    assert not NAMED.has(None)
    assert TrustedNetworks(["unix"]).has(None)
    assert not TrustedNetworks(["unix"]).has("127.0.0.1")


def test_without_names_no_address_is_trusted() -> None:
    assert not NOBODY
    assert not NOBODY.has(None)
    assert NAMED
    assert TrustedNetworks(["unix"])


@pytest.mark.parametrize("name", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33", "1.2.3"])
def test_what_is_no_network_is_not_taken_for_one(name: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
        TrustedNetworks([name])


def test_an_address_may_be_written_as_one_of_the_other_family() -> None:
    assert str(read_address("::ffff:10.0.0.1")) == "10.0.0.1"
    assert read_address("10.0.0") is None
