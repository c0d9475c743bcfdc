"""One name for one thing: no two modules define a name of the same spelling."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from typing import Final

import pytest

from support.public_api import MODULES, exports
from test_floors import MODULES as FILES
from test_floors import tree

SEVERAL: Final = {
    "WebSocketClientEndpoint": "txhixie.websocket has the names of twisted.web.websocket",
    "WebSocketServerFactory": "txhixie.websocket has the names of twisted.web.websocket",
    "EXAMPLES": "the examples of each command",
    "options": "the function of each command that adds its options",
    "main": "the entry of each program",
    "NAME": "the name of each extension",
    "RSV1": "the first reserved bit",
}
"""Names that several modules define, each time for the same purpose, and what that is."""


def defined(module: str) -> Iterator[str]:
    """The names of classes, and those of functions and variables without an underscore."""
    for node in tree(module).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from public(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and not is_type_variable(node.value):
                    yield from public(target.id)


def public(name: str) -> list[str]:
    return [] if name.startswith("_") else [name]


def is_type_variable(value: ast.expr | None) -> bool:
    """Whether it is a ``TypeVar``, which has a meaning in signatures only."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).startswith("TypeVar")


def places() -> dict[str, set[str]]:
    """The modules that define a name, for each name."""
    found: dict[str, set[str]] = {}
    for module in FILES:
        for name in defined(module):
            found.setdefault(name, set()).add(module)
    return found


PLACES: Final = places()


def test_the_search_finds_names() -> None:
    assert PLACES["HixieServerFactory"] == {"server/factory.py"}
    assert PLACES["Limits"] == {"sansio/limits.py"}
    assert len(PLACES) > 500


@pytest.mark.parametrize("name", [name for name in PLACES if len(PLACES[name]) > 1])
def test_a_name_that_several_modules_define_has_one_meaning(name: str) -> None:
    assert name in SEVERAL, f"{name}: {', '.join(sorted(PLACES[name]))}: expected different names"


@pytest.mark.parametrize("name", SEVERAL)
def test_a_name_with_a_reason_is_defined_several_times(name: str) -> None:
    assert len(PLACES[name]) > 1


def test_a_name_of_the_public_modules_is_one_object() -> None:
    """All public modules with the name have the same object."""
    objects: dict[str, list[object]] = {}
    for path in MODULES:
        module = import_module(path)
        for name in exports(module):
            objects.setdefault(name, []).append(getattr(module, name))
    different = {
        name for name, found in objects.items() if any(each is not found[0] for each in found)
    }
    assert different == {"WebSocketClientEndpoint", "WebSocketServerFactory"}
