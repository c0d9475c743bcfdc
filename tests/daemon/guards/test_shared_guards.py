"""Guards of routes are made from the conditions of each route, and shared by equal routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from txhixie.daemon.conditions import GUARDED
from txhixie.daemon.guards.guard import Guard, OneOf
from txhixie.daemon.guards.guard_kind import GuardKind
from txhixie.daemon.guards.kinds import GUARDS
from txhixie.daemon.guards.shared_guards import SharedGuards


class Made(Guard):
    """A guard that was made from values."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)


def build(reactor: Any, values: Mapping[str, Any]) -> Guard:
    """Make a guard."""
    if values.get("card") == "torn":
        raise ValueError("card torn: expected a whole one")
    return Made(values)


KINDS = (
    GuardKind(("password",), ("realm",), build, isAlternative=True),
    GuardKind(("card",), (), build),
    GuardKind(("token", "key"), ("realm",), build, isAlternative=True),
)


def guards(**values: Any) -> tuple[Guard, ...]:
    return SharedGuards(object(), KINDS).of(values)


def test_a_route_without_conditions_has_no_guard() -> None:
    assert guards() == guards(realm="x") == guards(password=None) == ()


def test_a_guard_gets_the_values_of_its_own_options() -> None:
    made: Any = guards(password="file", card="black", realm="x")
    assert [guard.values for guard in made] == [
        {"card": "black"},
        {"password": "file", "realm": "x"},
    ]


def test_alternatives_are_one_guard_and_others_are_asked_before() -> None:
    other, one = guards(password="file", key="k", card="black")
    assert isinstance(one, OneOf)
    assert isinstance(other, Made)


def test_routes_with_equal_values_share_their_guards() -> None:
    shared = SharedGuards(object(), KINDS)
    assert shared.of({"password": "file"}) == shared.of({"password": "file", "hosts": ["a"]})
    assert shared.of({"password": "file"}) != shared.of({"password": "other"})
    assert shared.of({"password": "file"}) != shared.of({"password": "file", "realm": "x"})


def test_a_mistake_in_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="card torn: expected"):
        guards(card="torn")


def test_a_condition_without_the_one_that_it_belongs_to_is_an_error() -> None:
    shared = SharedGuards(object(), KINDS)
    with pytest.raises(ValueError, match="realm: expected the option password or token or key as"):
        shared.check(["realm"], {"realm": "x", "card": "black"})
    shared.check(["realm"], {"realm": "x", "key": "for all routes"})
    shared.check([], {"realm": "for all routes"})


def test_every_option_of_a_guard_is_a_condition() -> None:
    known = {setting.name for setting in GUARDED}
    assert {name for kind in GUARDS for name in (*kind.needs, *kind.options)} == known


def test_the_options_of_a_route_are_those_that_ask_and_those_of_its_guards() -> None:
    shared = SharedGuards(object(), KINDS)
    needs = {"password", "card", "token", "key"}
    assert shared.used({"realm": "for all routes"}) == needs
    assert shared.used({"password": None, "card": "black"}) == needs
    assert shared.used({"token": "file"}) == needs | {"realm"}
