"""Values of the options of tokens."""

from __future__ import annotations

import pytest

from txhixie.daemon.guards.token_options import read_algorithm, read_parameter


@pytest.mark.parametrize("name", ["", "a b", "a&b", "a=b", "\u00e4", "a%20"])
def test_a_name_that_URLs_escape_is_no_parameter(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name of letters, digits"):
        read_parameter(name)
    assert read_parameter("access_token") == "access_token"


def test_algorithms_are_named() -> None:
    assert read_algorithm("ES256") == "ES256"
    for none in ("none", "None", "NONE"):
        with pytest.raises(ValueError, match="expected algorithms with a signature, not none"):
            read_algorithm(none)
    with pytest.raises(ValueError, match=r"expected one of RS256, .*; did you mean ES256\?"):
        read_algorithm("ES-256")
