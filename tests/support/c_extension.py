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


@cache
def shared_object() -> Path:
    """The path of the compiled extension."""
    compiler = program("cc", get="Debian: gcc and python3-dev")
    path = Path(_built.name) / "_wire.abi3.so"
    include = sysconfig.get_path("include")
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{include}")
    subprocess.run([compiler, *flags, *FOLDER.glob("*.c"), "-o", path], check=True, timeout=60)
    return path


@cache
def compiled() -> ModuleType:
    """The compiled extension, imported under its own name, without an entry in ``sys.modules``."""
    spec = importlib.util.spec_from_file_location(NAME, shared_object())
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


_HTTP: Final = Path(__file__).resolve().parents[2] / "txhixie" / "sansio" / "http"


@cache
def compiled_request() -> ModuleType:
    """The module ``_request``, compiled from this checkout, as :func:`compiled`."""
    compiler = program("cc", get="Debian: gcc and python3-dev")
    path = Path(_built.name) / "_request.abi3.so"
    include = sysconfig.get_path("include")
    flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{include}")
    subprocess.run([compiler, *flags, _HTTP / "_request.c", "-o", path], check=True, timeout=60)
    spec = importlib.util.spec_from_file_location("txhixie.sansio.http._request", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
