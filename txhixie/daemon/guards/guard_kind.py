"""Rows of the table of guards: the options of each kind, and the function that makes a guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .guard import Guard

BuildGuard: TypeAlias = Callable[[Any, Mapping[str, Any]], Guard]
"""
Function that makes a guard: ``build(reactor, values)``.

The values are those of the options of the kind that the operator gave, by their names, for one
route or for all. A file that an option names is read here, not by the option's ``ValueKind``: the
function is called anew at each reload, the ``ValueKind`` of an option of the command line only
once. The function raises ``ValueError`` for a mistake, with a text such as ``users FILE, line 3:
expected ...``. Routes with the same values share one guard.
"""


@dataclass(frozen=True, slots=True)
class GuardKind:
    """
    Row of the table of guards.

    :ivar needs: names of the options of which one has to be given for a guard of this kind; each is
        in :data:`txhixie.daemon.conditions.CONDITIONS`.
    :ivar options: names of further options of this kind, which other kinds may have too.
    :ivar build: makes a guard.
    :ivar isAlternative: whether the permit of this guard is enough where a route has several
        alternative guards; other guards are asked besides.
    """

    needs: tuple[str, ...]
    options: tuple[str, ...]
    build: BuildGuard
    isAlternative: bool = False
