"""The floors of the house: imports go down or sideways, and words mean one thing.

It reads syntax trees and imports nothing, so that a module which would take a reactor can be
looked at like any other.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

HOUSE: Final = Path(__file__).parents[1] / "txhixie"
MODULES: Final = sorted(str(path.relative_to(HOUSE)) for path in HOUSE.rglob("*.py"))

FLOORS: Final = {
    "arguments": 0,
    "pure_errors": 0,
    "coding": 0,
    "limits": 0,
    "port": 0,
    "networks": 0,
    "wire": 0,
    "handshake": 1,
    "extensions": 1,
    "dialects": 1,
    "proxies": 1,
    "backoff": 1,
    "script": 1,
    "forwarded": 2,
    "opening": 2,
    "routes": 2,
    "assembly": 2,
    "conversation": 2,
    "lifecycle": 2,
    "complaint": 2,
    "portcheck": 5,
    "bothfamilies": 5,
    "repeats": 0,
    "tunnel": 4,
    "httpconnect": 4,
    "proxyprotocol": 4,
    "endpoints": 4,
    "hostname": 4,
    "pem": 4,
    "refused": 4,
    "streamserver": 4,
    "strings": 4,
    "identity": 4,
    "tls": 4,
    "tlsstrings": 4,
    "unverified": 4,
    "way": 4,
    "channels": 4,
    "connection": 4,
    "dom": 4,
    "reconnection": 4,
    "web": 4,
    "websocket": 4,
    "gateway": 4,
    "services": 5,
    "console": 5,
    "settings": 5,
    "description": 5,
    "configuration": 5,
    "options": 5,
    "routing": 5,
    "running": 5,
    "daemon": 5,
    "listening": 5,
    "tap": 5,
    "cli": 5,
    "commands": 5,
    "__main__": 5,
    "__init__": 6,
}
"""What is not named here is what an application meets: floor 3."""

PROGRAMS: Final = {"tap.py", "cli.py"}
"""The only modules that take the reactor there is, when they are imported."""

UNUSED_WORDS: Final = {
    *("handler", "manager", "processor", "engine", "utils", "helper", "base", "common"),
    *("handlers", "managers", "processors", "engines", "util", "helpers"),
}
ALLOWED_NAMES: Final = {"dom.py": "on"}


@cache
def tree(module: str) -> ast.Module:
    """The syntax tree of a module, by its path in the package."""
    return ast.parse((HOUSE / module).read_text("utf-8"), module)


def floor(module: str) -> int:
    """The floor of a module or a package, by its path or its first name."""
    return FLOORS.get(Path(module).parts[0].removesuffix(".py"), 3)


def imports(module: str) -> Iterator[tuple[str, ast.stmt]]:
    """Every import of a module, for types or at run time, by its absolute name."""
    package = ["txhixie", *Path(module).parts[:-1]]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            whence = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{whence}.{alias.name}", node


def imports_twisted(module: str) -> bool:
    """Whether a module knows Twisted."""
    return any(name.split(".")[0] == "twisted" for name, _ in imports(module))


def names(module: str) -> Iterator[str]:
    """Every name that a module gives: to itself, classes, functions, arguments and variables."""
    yield Path(module).stem
    for node in ast.walk(tree(module)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def functions(module: str) -> Iterator[str]:
    """Every function and method of a module, without the underscores around its name, and without
    the prefix by which ``twisted.python.usage`` finds the options of a program."""
    for node in ast.walk(tree(module)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name = node.name.strip("_")
            yield name.removeprefix("opt_").replace("_", "") if is_option(name) else name


def is_option(name: str) -> bool:
    """Whether a method's name is one that ``twisted.python.usage`` looks for."""
    return name.startswith("opt_")


def words(name: str) -> list[str]:
    """The words of a name, in either way of joining them; ``base64`` is one."""
    return [
        word.lower()
        for word in re.findall(r"[Bb]ase64|BASE64|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    ]


every_module = pytest.mark.parametrize("module", MODULES)


def test_the_house_has_all_its_pure_floors() -> None:
    """Whoever moves a module tells this test."""
    there = {Path(module).parts[0].removesuffix(".py") for module in MODULES}
    assert {name for name, number in FLOORS.items() if number < 3} <= there
    assert "__init__" in there


def test_the_guides_picture_shows_everything_on_its_floor() -> None:
    guide = (HOUSE.parent / "docs" / "house.rst").read_text("utf-8")
    shown: dict[str, int] = {}
    number = 5
    for line in guide.partition("::\n\n")[2].partition("\nFloors")[0].splitlines():
        if "I/O begins" in line or not line.strip():
            continue
        number = int(line[4]) if line[4:5].isdigit() else number
        shown |= dict.fromkeys(line[7:43].replace("/", " ").split(), number)
    there = {Path(module).parts[0].removesuffix(".py") for module in MODULES}
    assert shown == {name: floor(name) for name in there - {"__init__", "__main__"}}


@every_module
def test_imports_go_down_or_sideways(module: str) -> None:
    """Nobody knows who lives above."""
    above = {
        name
        for name, _ in imports(module)
        if name.startswith("txhixie.") and floor(name.split(".")[1]) > floor(module)
    }
    assert above == set()


@pytest.mark.parametrize("module", [module for module in MODULES if floor(module) < 3])
def test_below_the_port_there_is_the_standard_library_alone(module: str) -> None:
    """And Automat for the end of a conversation, and IDNA's tables: no socket, clock or Twisted."""
    allowed = sys.stdlib_module_names | {"txhixie"}
    allowed |= {"lifecycle.py": {"automat"}, "wire/url.py": {"idna"}}.get(module, set())
    io = {"socket", "ssl", "select", "selectors", "asyncio", "threading", "time", "subprocess"}
    roots = {name.split(".")[0] for name, _ in imports(module)}
    assert roots <= allowed - io


@every_module
def test_who_imports_twisted_speaks_its_camel_case_and_nobody_else(module: str) -> None:
    """A reader knows from a method's name on which side of the Port it stands."""
    if imports_twisted(module):
        wrong = [name for name in functions(module) if "_" in name]
    else:
        wrong = [name for name in functions(module) if name != name.lower()]
    assert wrong == []


@pytest.mark.parametrize("module", [name for name in MODULES if name not in PROGRAMS])
def test_only_programs_take_the_reactor_when_they_are_imported(module: str) -> None:
    """Importing the package installs no reactor: its user chooses one."""
    body = [node for node in tree(module).body if not is_for_types(node)]
    at_import = {node for statement in body for node in outside_functions(statement)}
    taken = [
        name
        for name, node in imports(module)
        if node in at_import and name.startswith("twisted.internet.reactor")
    ]
    assert taken == []


def is_for_types(node: ast.stmt) -> bool:
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what in it runs when it does."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from outside_functions(child)


@every_module
def test_some_words_are_not_used(module: str) -> None:
    """They say nothing that a better name would not; ``on_`` is for the class whose names are its
    specification's."""
    found = [name for name in names(module) if UNUSED_WORDS & set(words(name))]
    prefixed = [name for name in names(module) if name.strip("_").startswith("on_")]
    assert (found, prefixed if module not in ALLOWED_NAMES else []) == ([], [])


@every_module
def test_every_module_says_what_it_is(module: str) -> None:
    """In its first line, before anything else."""
    text = ast.get_docstring(tree(module))
    assert text
    assert text.splitlines()[0].strip()


@every_module
def test_whatever_is_public_says_what_it_does(module: str) -> None:
    """Every class, function and method that is named without an underscore."""
    silent = [node.name for node in public(tree(module)) if ast.get_docstring(node) is None]
    assert silent == []


@every_module
def test_docstrings_refer_in_a_way_that_pydoctor_reads(module: str) -> None:
    """``:class:`txhixie.errors.Refused```: to pydoctor a tilde is a part of the name."""
    assert "`~" not in (HOUSE / module).read_text("utf-8")


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """The public definitions of a module, and of its public classes."""
    for child in node.body:
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


# That these tests would see it.


def test_words_are_found_in_either_way_of_joining_them() -> None:
    """Else nobody would notice a ``RequestHandler``."""
    assert words("_makeHTTPHandler2") == ["make", "http", "handler", "2"]
    assert words("base_name") == ["base", "name"]
    assert words("database") == ["database"]
    assert words("Base64") == ["base64"]


def test_relative_imports_are_found_by_their_absolute_names() -> None:
    """Else nobody would notice one that goes up."""
    found = {name for name, _ in imports("wire/sentinel.py")}
    assert {"txhixie.pure_errors.TooBig", "txhixie.wire.frame.Frame", "typing.Final"} <= found
    assert floor("wire") == floor("wire/sentinel.py") == 0
    assert imports_twisted("protocol.py")
    assert not imports_twisted("conversation.py")
