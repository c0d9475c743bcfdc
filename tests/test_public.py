"""The boundary of the package: which modules are public, what the guide imports, what they export.

docs/reference/api.rst lists the public modules: these tests and the API pages read that list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import txhixie
from support.default_poller import IS_ON
from support.guide_pages import PAGES, ROOT
from support.public_api import LIST, MODULES, exports, is_public, signatures

SNAPSHOT = ROOT / "tests" / "data" / "signatures.txt"
EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/**/*.py"))
IMPORT = re.compile(
    r"^ *(?:>>> )?(?:from (?P<module>txhixie[\w.]*) import (?:\((?P<many>[^)]*)\)|(?P<names>.*))"
    r"|import (?P<whole>txhixie[\w.]*))",
    re.MULTILINE,
)
REFERENCE = re.compile(r":\w+:`(txhixie\.[\w.]+)`")


def imported(text: str) -> Iterator[tuple[str, str]]:
    """Each name that a page or a program imports from this package, with its module."""
    for found in IMPORT.finditer(text):
        if found["whole"]:
            yield found["whole"], ""
        for name in re.findall(r"\w+(?: as \w+)?", found["many"] or found["names"] or ""):
            yield found["module"], name.partition(" ")[0]


def test_the_guide_lists_the_public_modules() -> None:
    assert "txhixie" in MODULES
    for module in MODULES:
        assert exports(import_module(module)), module


@pytest.mark.parametrize("path", [*PAGES, *EXAMPLES])
def test_the_guide_imports_public_names_only(path: str) -> None:
    """A program written after the guide keeps working when a private module moves."""
    for module, name in imported((ROOT / path).read_text("utf-8")):
        assert module in MODULES, f"{path} imports from {module}, which {LIST} does not list"
        public = [*exports(import_module(module)), ""]
        assert name in public or f"{module}.{name}" in MODULES, f"{module}.{name}"


def test_imports_are_found_in_every_form() -> None:
    """Without this, the test above could miss imports."""
    text = "    >>> from txhixie.web import (\n    A,\n    B as C,\n)\nimport txhixie\n"
    text += "from txhixie import d, e"
    found = [("txhixie.web", "A"), ("txhixie.web", "B"), ("txhixie", "")]
    assert list(imported(text)) == [*found, ("txhixie", "d"), ("txhixie", "e")]


@pytest.mark.skipif(not IS_ON, reason="this run has another default of connectionPoller")
def test_public_names_and_their_signatures_are_those_of_the_snapshot() -> None:
    """
    A change here is a change for users, and needs a line in CHANGELOG.rst. Then regenerate the
    file: ``PYTHONPATH=tests python -m support.public_api > tests/data/signatures.txt``.
    """
    assert list(signatures()) == SNAPSHOT.read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "txhixie").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_references_in_docstrings_have_a_target(path: Path) -> None:
    """Also in private modules, which pydoctor does not check."""
    for name in REFERENCE.findall(path.read_text("utf-8")):
        assert exists(name), name


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_that_users_read_refer_to_public_names(module: str) -> None:
    """A reader follows a reference to a page, and imports what it names."""
    for name in exports(import_module(module)):
        for reference in REFERENCE.findall(docstrings(getattr(import_module(module), name))):
            assert is_public(reference), f"{module}.{name} refers to {reference}"


def docstrings(value: object) -> str:
    """The docstrings of a class or function of this package, and of a class's own members."""
    own = getattr(value, "__module__", "").startswith("txhixie")
    values = [value, *(vars(value).values() if isinstance(value, type) else ())]
    return "\n".join(each.__doc__ or "" for each in values) if own else ""


def exists(name: str) -> bool:
    """Whether a dotted name can be imported, or is an attribute of what can be."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return has(value, parts[length:])
    return False


def has(value: object, names: list[str]) -> bool:
    """Whether a value has an attribute, or a class says that its instances will have it."""
    for name in names:
        if isinstance(value, type) and name in getattr(value, "__annotations__", {}):
            return True
        if not hasattr(value, name):
            return isinstance(value, type) and f":ivar {name}:" in (value.__doc__ or "")
        value = getattr(value, name)
    return True


def test_the_version_is_that_of_the_installed_package() -> None:
    assert txhixie.__version__ == version("txhixie")
