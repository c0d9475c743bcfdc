"""The optional modules in C, which are used where they are built and not switched off.

Each has twins in Python with the same results: a module in C may be missing, and the environment
variable ``TXHIXIE_PURE_PYTHON=1`` turns all of them off.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType


def compiled_module(name: str) -> ModuleType | None:
    """Return a module in C; ``None`` where it could not be built, and if it is switched off."""
    if os.environ.get("TXHIXIE_PURE_PYTHON", "") not in ("", "0"):
        return None
    try:
        return import_module(name)
    except ImportError:
        return None
