"""The optional C module ``_wire``, if it is built and not switched off.

``COMPILED`` is ``None`` where the module could not be built, and where the environment has
``TXHIXIE_PURE_PYTHON=1``. Each function of the module has a Python twin with the same results, in
the Python module that imports ``COMPILED``.
"""

from __future__ import annotations

import os
from types import ModuleType


def _find() -> ModuleType | None:
    if os.environ.get("TXHIXIE_PURE_PYTHON", "") not in ("", "0"):
        return None
    try:
        from . import _wire
    except ImportError:
        return None
    return _wire


COMPILED = _find()
