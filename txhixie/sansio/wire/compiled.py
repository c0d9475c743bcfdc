"""``_wire``, the optional C module, or nothing: where it could not be built, and where the
environment says ``TXHIXIE_PURE_PYTHON=1``.

Whatever is in it has a twin in Python, in the module whose name stands beside it, to the same
result.
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
