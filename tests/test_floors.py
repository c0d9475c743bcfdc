"""The packages: their order, the imports of those without Twisted, and the words in names.

The tests read syntax trees and import nothing, so that modules that import the reactor can be
checked, too.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

HOUSE: Final = Path(__file__).parents[1] / "txhixie"
MODULES: Final = sorted(str(path.relative_to(HOUSE)) for path in HOUSE.rglob("*.py"))

ORDER: Final = (
    *("sansio/types", "sansio/compiled", "sansio/arguments", "sansio/errors", "sansio/limits"),
    "sansio/quirks",
    *("sansio/http", "sansio/wire", "sansio/extensions", "sansio/handshake", "sansio/dialects"),
    *(
        "sansio",
        "interfaces",
        "display",
        "freed_memory",
        "dialing",
        "errors",
        "sockets",
        "connection",
    ),
    *("server", "client", "channel", "byte_streams", "dom", "web", "websocket", "testing"),
    *("broadcasting", "running", "gateway", "bus", "hub", "daemon", "cli", "extensions", "stream"),
)
"""The packages, in the order of docs/explanation/house.rst: each imports from those before it, and
from its own files. ``__init__`` and ``__main__``, which are in no package, may import any."""

PURE: Final = "sansio"
"""The package without Twisted, sockets and clocks."""

PURE_LIBRARIES: Final = {"automat", "idna", "h11"}
"""The libraries besides the standard library that modules without Twisted import."""

PROTOCOLS: Final = {
    "sansio/port.py:Port": "what the pure half asks of the world",
    "sansio/closing.py:Ending": "Automat reads a machine's inputs from it",
    "sansio/wire/frame.py:Framing": "two framings, in a row of the table each",
    "sansio/handshake/offer.py:Handshake": "three handshakes, in a row of the table each",
    "sansio/extensions/extension.py:Extension": "users write their own",
    "sansio/extensions/extension.py:Transform": "users write their own",
    "sansio/extensions/extension.py:SharingTransform": "an optional ability of a transform",
    "interfaces.py:WebSocketTransport": "what an application is given",
    "interfaces.py:WebSocketProtocol": "applications are users' own",
    "interfaces.py:PingListener": "an optional ability of an application",
    "interfaces.py:CloseListener": "an optional ability of an application",
    "interfaces.py:WebSocketServerFactory": "applications are users' own",
    "interfaces.py:WebSocketClientFactory": "applications are users' own",
    "interfaces.py:Connector": "users pass an endpoint or a function of their own",
    "websocket.py:WebSocketServerFactory": "the interface of twisted.web.websocket",
    "connection/held_bytes.py:Holder": "a callback: a connection that holds bytes",
    "connection/held_bytes.py:Factory": "a callback: the connections that hold bytes",
    "connection/output.py:Owner": "a callback for the events of the output's transport",
    "connection/timeouts.py:Waiting": "a callback for a time that has passed",
    "byte_streams/coding.py:Coding": "users write their own",
    "gateway/machine.py:ClientSide": "one side of the machine's core, which a test replaces",
    "gateway/machine.py:BackendSide": "the other side",
    "gateway/machine.py:SessionMachine": "Automat reads a machine's inputs from it",
    "server/admission.py:WholeLedger": "the ledger of several processes, of a later package",
    "bus/bus.py:Bus": "buses of one process and of several",
    "hub/presence.py:CountedTopic": "a callback: a topic whose members are counted",
    "hub/topic.py:TopicMember": "a callback: a member of a topic",
    "gateway/session.py:Backend": "a WebSocket backend or a stream of bytes",
}
"""Every typing Protocol of the package, and why it is not a class."""

PROGRAMS: Final = {"daemon/tap.py", "cli/main.py"}
"""The only modules that take the reactor there is, when they are imported."""

UNUSED_WORDS: Final = {
    *("handler", "manager", "processor", "engine", "utils", "helper", "base", "common"),
    *("handlers", "managers", "processors", "engines", "util", "helpers"),
}
ALLOWED_NAMES: Final = {"dom/websocket.py": "on"}


@cache
def tree(module: str) -> ast.Module:
    """The syntax tree of a module, by its path in the package."""
    return ast.parse((HOUSE / module).read_text("utf-8"), module)


def place(module: str) -> int:
    """Return the position of the module's package in the order, by path or dotted name."""
    parts = module.removesuffix(".py").replace(".", "/").split("/")
    for length in (2, 1):
        if (name := "/".join(parts[:length])) in ORDER:
            return ORDER.index(name)
    assert parts[0] in ("__init__", "__main__"), f"{module} is in no package of the order"
    return len(ORDER)


def target(name: str) -> str:
    """The dotted path, below the package, of the module that an absolute import names."""
    path = name.split(".")[1:]
    while path and not (HOUSE / f"{'/'.join(path)}.py").exists():
        if (HOUSE / "/".join(path) / "__init__.py").exists():
            return ".".join([*path, "__init__"])
        path.pop()
    return ".".join(path) or "__init__"


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
    """Whether a module imports Twisted."""
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


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of the package, and its module."""
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ClassDef):
                yield module, node


@cache
def classes_named(name: str) -> list[tuple[str, ast.ClassDef]]:
    """The classes of that name: usually one."""
    return [(module, node) for module, node in classes() if node.name == name]


def ancestors(module: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    """
    The package's classes that a class inherits from, by the names of its bases. A base that is
    imported by a name which several modules define counts as each of them.
    """
    for base in node.bases:
        name = ast.unparse(base).partition("[")[0].split(".")[-1]
        for there, above in classes_named(name):
            if above is not node and not (there != module and is_defined_here(module, name)):
                yield there, above
                yield from ancestors(there, above)


def is_defined_here(module: str, name: str) -> bool:
    """Whether a module has a class of that name itself."""
    return any(there == module for there, _ in classes_named(name))


def privates(node: ast.ClassDef) -> set[str]:
    """The names of a class's private methods."""
    return {
        each.name
        for each in node.body
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        and each.name.startswith("_")
        and not each.name.endswith("__")
    }


every_module = pytest.mark.parametrize("module", MODULES)


def test_the_guide_shows_the_packages_in_their_order() -> None:
    guide = (HOUSE.parent / "docs" / "explanation" / "house.rst").read_text("utf-8")
    shown = re.findall(r"``txhixie/([a-z_/]+?)(?:/|\.py)``", guide.partition("The packages")[2])
    there = [name for name in ORDER if (HOUSE / name).is_dir() or (HOUSE / f"{name}.py").exists()]
    assert list(dict.fromkeys(shown))[: len(there)] == there


@every_module
def test_a_package_imports_only_from_those_before_it(module: str) -> None:
    """Imports for types included."""
    after = {
        name
        for name, _ in imports(module)
        if name.startswith("txhixie.") and place(target(name)) > place(module)
    }
    assert after == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types count, too: a reader of one module of a circle has to read all of them."""
    arrows = {
        module.removesuffix(".py").replace("/", "."): {
            target(name) for name, _ in imports(module) if name.startswith("txhixie.")
        }
        for module in MODULES
    }
    for names in arrows.values():
        names.discard("__init__")
    TopologicalSorter(arrows).prepare()


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(PURE)])
def test_the_pure_half_imports_no_input_or_output(module: str) -> None:
    """The standard library without sockets, clocks and threads, and three pure libraries."""
    allowed = sys.stdlib_module_names | {"txhixie"} | PURE_LIBRARIES
    io = {"socket", "ssl", "select", "selectors", "asyncio", "threading", "time", "subprocess"}
    roots = {name.split(".")[0] for name, _ in imports(module)}
    assert roots <= allowed - io


def test_every_typing_protocol_has_a_reason() -> None:
    """To avoid an import is no sufficient reason."""
    found = {
        f"{module}:{node.name}"
        for module in MODULES
        if any(name == "typing.Protocol" for name, _ in imports(module))
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(each).partition("[")[0] == "Protocol" for each in node.bases)
    }
    assert found == set(PROTOCOLS)


def test_no_class_overrides_a_private_method_of_another_file() -> None:
    """A method that a subclass in another file overrides has a name without an underscore, and a
    docstring."""
    found = [
        f"{module}: {node.name}.{name} overrides {there}: {above.name}.{name}"
        for module, node in classes()
        for there, above in ancestors(module, node)
        if there != module
        for name in sorted(privates(node) & privates(above))
    ]
    assert found == []


@every_module
def test_only_modules_that_import_twisted_use_camel_case(module: str) -> None:
    """The spelling of a method's name shows whether its module depends on Twisted."""
    if imports_twisted(module):
        wrong = [name for name in functions(module) if "_" in name]
    else:
        wrong = [name for name in functions(module) if name != name.lower()]
    assert wrong == []


@pytest.mark.parametrize("module", [name for name in MODULES if name not in PROGRAMS])
def test_only_programs_take_the_reactor_when_they_are_imported(module: str) -> None:
    """Importing the package installs no reactor: the application chooses the reactor."""
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
    """Yield a node and its children, except those inside functions."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from outside_functions(child)


@every_module
def test_no_name_has_a_vague_word(module: str) -> None:
    """Vague words. ``on_`` is reserved for the class that takes its names from its
    specification."""
    found = [name for name in names(module) if UNUSED_WORDS & set(words(name))]
    prefixed = [name for name in names(module) if name.strip("_").startswith("on_")]
    assert (found, prefixed if module not in ALLOWED_NAMES else []) == ([], [])


@every_module
def test_every_module_has_a_docstring(module: str) -> None:
    """The docstring's first line is not empty."""
    text = ast.get_docstring(tree(module))
    assert text
    assert text.splitlines()[0].strip()


@every_module
def test_every_public_definition_has_a_docstring(module: str) -> None:
    """Classes, functions and methods whose names have no leading underscore."""
    silent = [node.name for node in public(tree(module)) if ast.get_docstring(node) is None]
    assert silent == []


@every_module
def test_docstrings_refer_in_a_way_that_pydoctor_reads(module: str) -> None:
    """``:class:`txhixie.errors.HandshakeRefused```: to pydoctor a tilde is a part of the name."""
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
    """Without this, a name such as ``RequestHandler`` would pass."""
    assert words("_makeHTTPHandler2") == ["make", "http", "handler", "2"]
    assert words("base_name") == ["base", "name"]
    assert words("database") == ["database"]
    assert words("Base64") == ["base64"]


def test_relative_imports_are_found_by_their_absolute_names() -> None:
    """Without this, a relative import of a later package would pass."""
    found = {name for name, _ in imports("sansio/wire/hixie.py")}
    assert {"txhixie.sansio.wire.frame.Frame", "typing.Final"} <= found
    assert target("txhixie.sansio.wire.frame.Frame") == "sansio.wire.frame"
    assert target("txhixie.sansio.extensions.EXTENSIONS") == "sansio.extensions.__init__"
    assert place("sansio.wire.frame") < place("sansio/port.py") < place("server/protocol.py")
    assert imports_twisted("connection/protocol.py")
    assert not imports_twisted("sansio/conversation.py")


def test_an_override_in_another_file_would_be_found() -> None:
    (sub,) = ast.parse("class Sub(HixieServerProtocol):\n def _leave(self): pass").body
    assert isinstance(sub, ast.ClassDef)
    found = {there for there, above in ancestors("web.py", sub) if privates(above) & privates(sub)}
    assert found == {"connection/protocol.py"}


def test_a_circle_of_imports_is_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
