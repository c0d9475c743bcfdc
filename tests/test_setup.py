"""The metadata in setup.py is correct."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
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


@pytest.mark.parametrize("is_free_threaded", [False, True])
def test_a_free_threaded_Python_gets_a_wheel_without_C(
    is_free_threaded: bool, tmp_path: Path
) -> None:
    """setuptools refuses the stable ABI there, and the C code needs the interpreter's lock."""
    program = f"""
import runpy, sys, sysconfig
import setuptools
sysconfig.get_config_vars()["Py_GIL_DISABLED"] = {int(is_free_threaded)}
made = []
setup = setuptools.setup
setuptools.setup = lambda **options: made.append(setup(**options))
sys.argv = ["setup.py", "-q", "egg_info", "--egg-base", {str(tmp_path)!r}]
runpy.run_path("setup.py", run_name="__main__")
wheel = made[0].get_command_obj("bdist_wheel")
wheel.ensure_finalized()
print(bool(made[0].has_ext_modules()), wheel.py_limited_api)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == ("False False" if is_free_threaded else "True cp311")
