"""Queries as form fields, and targets without some of these."""

from __future__ import annotations

import pytest

from txhixie.sansio.http.query import MOST_PARTS, read_query, without_parameters


def test_a_query_is_read_percent_decoded_with_all_values() -> None:
    assert read_query("/a?x=1&y=%C3%A9+b&x=2&&z") == {"x": ["1", "2"], "y": ["é b"], "z": [""]}
    assert read_query("/a") == {}


def test_only_the_first_parameters_are_read() -> None:
    target = "/?" + "&".join(f"p{number}=" for number in range(MOST_PARTS + 5))
    assert len(read_query(target)) == MOST_PARTS


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a?token=1", "/a"),
        ("/a?x=%41&token=1&y", "/a?x=%41&y"),
        ("/a?t%6Fken=1&x=1", "/a?x=1"),
        ("/a?token&token=2", "/a"),
        ("/a?tokens=1&x=token=", "/a?tokens=1&x=token="),
        ("/a?", "/a?"),
        ("/token=1", "/token=1"),
    ],
)
def test_parameters_are_removed_by_their_decoded_name(target: str, expected: str) -> None:
    """The other parameters stay as they were sent."""
    assert without_parameters(target, {"token"}) == expected


def test_a_parameter_that_is_not_read_is_removed_as_well() -> None:
    target = "/?" + "a&" * MOST_PARTS + "token=1"
    assert "token" not in without_parameters(target, {"token"})
