"""The words that name the clients that may publish."""

from __future__ import annotations

import re

import pytest

from txhixie import Offer
from txhixie.hub.publishers import Publishers


def client(user: str | None = None, address: str | None = "192.0.2.7") -> Offer:
    """An offer of a client."""
    return Offer("rfc6455", "/room", "example.com", client=address, user=user)


@pytest.mark.parametrize(
    ("words", "published", "others"),
    [
        (["everybody"], [client(), client("ada"), client(address=None)], []),
        (["nobody"], [], [client(), client("nobody"), client(address=None)]),
        (["users"], [client("ada"), client("bob", None)], [client()]),
        (["ada"], [client("ada", None)], [client("bob"), client("Ada"), client(), client("")]),
        (["users", "ada"], [client("ada"), client("bob")], [client()]),
        (
            ["192.0.2.0/24", "ada"],
            [client(), client("ada", "198.51.100.1")],
            [client(None, "198.51.100.1"), client("bob", None)],
        ),
        (["2001:db8::/32"], [client(None, "2001:db8::1")], [client()]),
        (["unix"], [client(address=None)], [client(), client("unix")]),
        (["12345", "CN=ada", "ada lovelace"], [client("12345"), client("CN=ada")], [client()]),
    ],
)
def test_the_clients_of_each_word_publish(
    words: list[str], published: list[Offer], others: list[Offer]
) -> None:
    publishers = Publishers(words)
    assert [each for each in published if not publishers.has(each)] == []
    assert [each for each in others if publishers.has(each)] == []


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (["everybody"], False),
        (["nobody"], False),
        (["10.0.0.0/8", "unix", "::1"], False),
        (["users"], True),
        (["ada"], True),
        (["10.0.0.0/8", "ada"], True),
    ],
)
def test_only_words_for_users_need_names_of_users(words: list[str], needs: bool) -> None:
    assert Publishers(words).needs_users is needs


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["everybody", "10.0.0.0/8"], "expected everybody or nobody alone, without other words"),
        (["nobody", "everybody"], "expected everybody or nobody alone, without other words"),
        (["ada", "nobody"], "expected everybody or nobody alone, without other words"),
        (["ada", ""], "expected no empty word between commas"),
        (["10.0.0.0/33"], "expected an address or a network: '10.0.0.0/33' does not"),
        (["10.0.0.1/8"], "expected an address or a network: 10.0.0.1/8 has host bits set"),
        (["192.0.2.300"], "expected an address or a network: '192.0.2.300' does not"),
        (["10/8"], "expected an address or a network: '10/8' does not"),
        (["2001:db8::/129"], "expected an address or a network: '2001:db8::/129' does not"),
    ],
)
def test_wrong_words_are_refused(words: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}"):
        Publishers(words)
