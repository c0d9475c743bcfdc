"""What ``import txhixie`` gives: chosen by hand, whole, and every name of it explained."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import subprocess
import sys
from types import ModuleType

import pytest

import txhixie
from txhixie import errors

every_name = pytest.mark.parametrize("name", txhixie.__all__)


def test_the_list_of_names_is_in_order() -> None:
    """Constants first, then by the alphabet; none twice."""
    in_order = sorted(set(txhixie.__all__), key=lambda name: (not name.isupper(), name))
    assert txhixie.__all__ == in_order


def test_the_list_of_names_is_whole() -> None:
    """Whatever stands in the package's own file is meant for its users."""
    there = {
        name
        for name, value in vars(txhixie).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert there | {"__version__"} == set(txhixie.__all__)


@every_name
def test_every_name_can_be_imported(name: str) -> None:
    """From the package, and it is the one of the module that makes it."""
    value = getattr(txhixie, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name
        assert getattr(importlib.import_module(value.__module__), name) is value


@every_name
def test_every_name_is_explained(name: str) -> None:
    """By words of its own: neither inherited nor made up by ``dataclass``."""
    value = getattr(txhixie, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    else:
        text = constant_docstring(name)
    assert text
    assert not text.startswith(f"{name}(")


def constant_docstring(name: str) -> str | None:
    """The string under a constant, in the module it was imported from, or in the package's own."""
    origins = [
        node.module
        for node in ast.parse(inspect.getsource(txhixie)).body
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}
    ]
    origin = importlib.import_module(".".join(["txhixie", *filter(None, origins)]))
    body = ast.parse(inspect.getsource(origin)).body
    for statement, after in itertools.pairwise(body):
        assigned = isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target)
        if assigned == name and isinstance(after, ast.Expr):
            return str(ast.literal_eval(after.value))
    return None


def test_errors_that_reach_a_user_are_exported() -> None:
    """All that a public function raises or reports; the rest end inside a server."""
    inside = {
        "BodyTooLarge",
        "EarlyBytes",
        "HeadTooLarge",
        "LengthRequired",
        "MalformedHead",
        "UnknownDialect",
        "UnknownTransferCoding",
        "UnsupportedVersion",
    }
    tree = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert tree - inside == {name for name in txhixie.__all__ if name in tree}


def test_importing_the_package_installs_no_reactor() -> None:
    """Its user chooses one."""
    code = "import sys, txhixie; sys.exit('twisted.internet.reactor' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
