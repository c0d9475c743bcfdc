"""The C extension, compiled from this checkout: an installed one may be older."""

from __future__ import annotations

import importlib.util
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Final

import pytest

from support.third_party import program

FOLDER: Final = Path(__file__).resolve().parents[2] / "txhixie" / "sansio" / "wire"
NAME: Final = "txhixie.sansio.wire._wire"

WAYS: Final = ["python", "c", "chosen"]
"""A function in C and in Python, and the one of both that the package uses."""

every_way = pytest.mark.parametrize("way", WAYS)

_built = TemporaryDirectory(prefix="txhixie-wire-")


def built(source: Path, path: Path) -> Path:
    """Compile a C file with warnings as errors; return the path of the module."""
    compiler = program("cc", get="Debian: gcc and python3-dev")
    include = sysconfig.get_path("include")
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{include}")
    subprocess.run([compiler, *flags, source, "-o", path], check=True, timeout=60)
    return path


def imported(path: Path, name: str) -> ModuleType:
    """Import a compiled module under a name, without an entry in ``sys.modules``."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@cache
def shared_object() -> Path:
    """The path of the compiled extension."""
    return built(FOLDER / "_wire.c", Path(_built.name) / "_wire.abi3.so")


@cache
def compiled() -> ModuleType:
    """The compiled extension, imported under its own name."""
    return imported(shared_object(), NAME)


def _compiled_file(source: str, name: str) -> ModuleType:
    """A module of one file, compiled from this checkout."""
    path = Path(_built.name) / f"{Path(source).stem}.abi3.so"
    return imported(built(FOLDER.parents[1] / source, path), name)


@cache
def compiled_request() -> ModuleType:
    """The module ``_request``, as :func:`compiled`."""
    return _compiled_file("sansio/http/_request.c", "txhixie.sansio.http._request")


@cache
def compiled_sockets() -> ModuleType:
    """The module ``_sockets``, as :func:`compiled`."""
    return _compiled_file("sockets/_sockets.c", "txhixie.sockets._sockets")
