"""The guards of all routes: routes with the same conditions share their guards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .guard import Guard, OneOf
from .guard_kind import GuardKind
from .kinds import GUARDS


class SharedGuards:
    """
    Makes the guards of routes from their conditions.

    Two routes with the same password file have one guard, with one memory of checked passwords.
    """

    def __init__(self, reactor: Any, kinds: Iterable[GuardKind] = GUARDS) -> None:
        """
        :param reactor: the reactor that the guards use.
        :param kinds: the table of guards.
        """
        self._reactor = reactor
        self._kinds = tuple(kinds)
        self._made: dict[object, Guard] = {}

    def of(self, values: Mapping[str, Any]) -> tuple[Guard, ...]:
        """
        Return the guards of a route; a client needs the permit of each of them.

        Alternatives are asked last: a client without the certificate that the route needs cannot
        try passwords.

        :param values: values of the conditions by their names; ``None`` is the same as no value.
        :raises ValueError: for a mistake, such as in a file that a value names.
        """
        given = {name: value for name, value in values.items() if value is not None}
        made = [(kind, self._guard(kind, given)) for kind in self._kinds if _asks(kind, given)]
        alternatives = [guard for kind, guard in made if kind.isAlternative]
        others = [guard for kind, guard in made if not kind.isAlternative]
        if len(alternatives) > 1:
            alternatives = [OneOf(alternatives)]
        return (*others, *alternatives)

    def check(self, names: Iterable[str], values: Mapping[str, Any]) -> None:
        """
        Check that no condition of a route is without the one that it belongs to.

        :param names: names of the conditions that the route has itself.
        :param values: values of the conditions of the route, with those for all routes.
        :raises ValueError: for such a condition, such as a realm without users.
        """
        given = {name: value for name, value in values.items() if value is not None}
        for name in given.keys() & set(names):
            kinds = [kind for kind in self._kinds if name in kind.options]
            if kinds and not any(_asks(kind, given) for kind in kinds):
                needs = " or ".join(need for kind in kinds for need in kind.needs)
                raise ValueError(f"{name}: expected the option {needs} as well")

    def used(self, values: Mapping[str, Any]) -> frozenset[str]:
        """
        Return the names of the options for the guards of a route.

        :param values: values of the conditions of the route, with those for all routes.
        :return: the options that ask for a guard, and further options of the guards of the route.
        """
        given = {name: value for name, value in values.items() if value is not None}
        asked = [kind.options for kind in self._kinds if _asks(kind, given)]
        needs = [kind.needs for kind in self._kinds]
        return frozenset(name for names in (*asked, *needs) for name in names)

    def _guard(self, kind: GuardKind, given: Mapping[str, Any]) -> Guard:
        own = {name: given[name] for name in (*kind.needs, *kind.options) if name in given}
        key = (kind, *((name, str(value)) for name, value in own.items()))
        if key not in self._made:
            self._made[key] = kind.build(self._reactor, own)
        return self._made[key]


def _asks(kind: GuardKind, given: Mapping[str, Any]) -> bool:
    return not given.keys().isdisjoint(kind.needs)
