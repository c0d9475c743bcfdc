"""The metadata in setup.py is correct."""

from __future__ import annotations

import ast
import re
import sys
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from support.guide_pages import ROOT


def told(keyword: str) -> Any:
    """The arguments of setup(), read from the file: the installed metadata may be older."""
    tree = ast.parse((ROOT / "setup.py").read_text("utf-8"))
    (value,) = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == keyword
    ]
    return ast.literal_eval(value)


def floors() -> dict[str, str]:
    """
    The oldest allowed version of each requirement of the package and its tests.

    :return: by name.
    """
    found: dict[str, str] = {}
    for line in (*told("install_requires"), *told("extras_require")["test"]):
        requirement = Requirement(line)
        (floor,) = requirement.specifier
        assert floor.operator == ">="
        assert found.setdefault(requirement.name, floor.version) == floor.version
    return found


def test_CI_tests_the_oldest_versions_that_are_allowed() -> None:
    text = (ROOT / ".ci" / "oldest.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", text, re.MULTILINE))
    assert pinned == floors()


def test_the_running_Python_is_among_the_supported_versions() -> None:
    named = re.findall(r":: Python :: (3\.\d+)", "\n".join(told("classifiers")))
    assert all(name in SpecifierSet(told("python_requires")) for name in named)
    assert told("python_requires") == f">={named[0]}"
    assert "{}.{}".format(*sys.version_info) in named
