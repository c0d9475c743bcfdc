"""The public modules, and their names, signatures and attributes as text.

Written to a file by ``PYTHONPATH=tests python -m support.public_api > tests/data/signatures.txt``.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final, ForwardRef, is_typeddict

from support.guide_pages import ROOT

LIST: Final = "docs/reference/api.rst"
MODULES: Final = tuple(
    re.findall(r"^``([a-z_.]+)``$", (ROOT / LIST).read_text("utf-8"), re.MULTILINE)
)
"""The public modules, as the guide lists them."""


def exports(module: ModuleType) -> list[str]:
    """Its ``__all__``; of a module without, what it defines, and what it imports ``X as X``."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    aliases = {
        alias.name
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    defined = {
        name
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }
    return sorted(defined | aliases)


def is_public(name: str) -> bool:
    """Whether a dotted name is a public module, what one exports, or an attribute of that."""
    parts = name.split(".")
    return name in MODULES or any(
        ".".join(parts[:length]) in MODULES
        and parts[length] in exports(import_module(".".join(parts[:length])))
        for length in range(1, len(parts))
    )


def paths() -> list[set[str]]:
    """For each public name the paths by which it is imported: some are exported in two places."""
    found: dict[int, set[str]] = {}
    for path in MODULES:
        module = import_module(path)
        for name in exports(module):
            found.setdefault(id(getattr(module, name)), set()).add(f"{path}.{name}")
    return list(found.values())


def signatures() -> Iterator[str]:
    """One line for each public name, and one below a class for each of its members; a name that is
    exported in two places is described at the first, and the second names it."""
    first: dict[int, str] = {}
    for path in MODULES:
        module = import_module(path)
        for name in exports(module):
            value = getattr(module, name)
            there = first.setdefault(id(value), f"{path}.{name}")
            if there == f"{path}.{name}":
                yield from described(there, value)
            else:
                yield f"{path}.{name} is {there}"


def described(path: str, value: Any) -> Iterator[str]:
    """The lines of one public name."""
    if inspect.isclass(value):
        yield f"class {path}{constructor(value)}"
        yield from (f"    {line}" for line in members(value))
    elif inspect.isfunction(value):
        yield f"def {path}{signature(value)}"
    else:
        yield path


def house(kind: type) -> list[type]:
    """The classes of this package that a class is made of, itself first."""
    return [base for base in kind.__mro__ if base.__module__.startswith("txhixie")]


def constructor(kind: type) -> str:
    """The parameters of a class; empty where the class has the constructor of its library."""
    if is_typeddict(kind):
        return ""
    if issubclass(kind, tuple):
        return signature(kind.__new__)
    for base in house(kind):
        if made := vars(base).get("__init__"):
            return signature(made) if made.__module__.startswith("txhixie") else ""
    return ""


def members(kind: type) -> Iterator[str]:
    """A class's public attributes, properties and methods, inherited ones from this package too."""
    found: dict[str, str] = {}
    for base in reversed(house(kind)):
        annotations = {
            name: f"{name}: {plain(annotation)}"
            for name, annotation in vars(base).get("__annotations__", {}).items()
        }
        found |= annotations
        for name, value in vars(base).items():
            if line := member(name, value, annotations.get(name, name)):
                found[name] = line
    yield from (found[name] for name in sorted(found) if not name.startswith("_"))


def member(name: str, value: Any, known: str) -> str | None:
    """The line of an attribute, or nothing where its annotation said everything."""
    if isinstance(value, property):
        assert value.fget is not None
        return f"{name}: {plain(inspect.signature(value.fget).return_annotation)} (property)"
    if isinstance(value, (staticmethod, classmethod)):
        return f"{type(value).__name__} {name}{signature(value.__func__)}"
    if inspect.isfunction(value):
        return f"def {name}{signature(value)}"
    if isinstance(value, (str, bytes, int, float)):
        return f"{known} = {value!r}"
    return None


class _Words(str):
    """An annotation as it is written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def plain(annotation: Any) -> str:
    """An annotation as it is written in the source."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation
    return inspect.formatannotation(annotation)


def signature(function: Callable[..., Any]) -> str:
    """A function's signature, without what differs between processes and versions of Python."""
    read = inspect.signature(function)
    parameters = [
        each.replace(annotation=written(each.annotation), default=shown_default(each.default))
        for each in read.parameters.values()
    ]
    result = written(read.return_annotation)
    return str(read.replace(parameters=parameters, return_annotation=result))


def written(annotation: Any) -> Any:
    """An annotation that a signature shows without quotes."""
    return annotation if annotation is inspect.Signature.empty else _Words(plain(annotation))


def shown_default(default: Any) -> Any:
    """A default whose words are the same in every process and with every version of Twisted."""
    words = repr(default)
    varies = not inspect.isclass(default) and (words.startswith("<") or " at 0x" in words)
    return _Words("...") if varies else default


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in signatures())
