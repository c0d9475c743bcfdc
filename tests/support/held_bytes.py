"""How many bytes an object of the package holds."""

from __future__ import annotations

from collections import deque
from io import BytesIO, StringIO

from txhixie.sansio.dialects import Dialect
from txhixie.testing import Wire


def kept(thing: object) -> int:
    """
    How many bytes of its input an object of the package holds, in all objects that it refers to.

    Shared tables and limits are not counted; every other object is counted once.
    """
    seen: set[int] = set()
    queue = [thing]
    total = 0
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, (type, Dialect)):
            continue
        seen.add(id(one))
        if isinstance(one, (bytes, bytearray, str)):
            total += len(one)
        elif isinstance(one, (BytesIO, StringIO)):
            total += len(one.getvalue())
        elif isinstance(one, dict):
            queue += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset, deque)):
            queue += one
        elif type(one).__module__.startswith(("txhixie.", "h11.")) and not isinstance(one, Wire):
            queue += _attributes(one)
    return total


def _attributes(thing: object) -> list[object]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    values = [getattr(thing, name) for name in slots if hasattr(thing, name)]
    return values + list(getattr(thing, "__dict__", {}).values())
