"""The optional C module ``_wire``, if it is built and not switched off.

``COMPILED`` is ``None`` where the module could not be built, and where the environment has
``TXHIXIE_PURE_PYTHON=1``. Each function of the module has a Python twin with the same results, in
the Python module that imports ``COMPILED``.
"""

from __future__ import annotations

from ..compiled import compiled_module

COMPILED = compiled_module("txhixie.sansio.wire._wire")
