"""The samples of ``tests/data/vectors.json`` as parameters of tests.

An item runs as soon as its dialect is a row of the table: nothing is listed here by hand but what
the file calls otherwise than the code does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from txhixie.sansio.dialects import DIALECTS

Item: TypeAlias = dict[str, Any]

VECTORS: Final[dict[str, list[Item]]] = json.loads(
    (Path(__file__).parents[1] / "data" / "vectors.json").read_text("utf-8")
)
SPOKEN: Final = frozenset(row.name for row in DIALECTS)
_OTHER_NAMES: Final = {"seed": "hixie-54"}


def dialect_of(item: Item) -> str:
    """The item's dialect, by the name the code has for it."""
    name: str = item["dialect"]
    return _OTHER_NAMES.get(name, name)


def is_spoken(item: Item) -> bool:
    """Whether the table has a row for the item's dialect."""
    return dialect_of(item) in SPOKEN


def vectors(section: str, only: Callable[[Item], bool] = lambda item: True) -> pytest.MarkDecorator:
    """Run a test once for each item of a section, under the item's own name."""
    return each(item for item in VECTORS[section] if only(item))


def each(items: Iterable[Item]) -> pytest.MarkDecorator:
    """Run a test once for each of these items; there is at least one."""
    chosen = list(items)
    assert chosen, "a section of the vectors runs nothing"
    return pytest.mark.parametrize("item", chosen, ids=[item["id"] for item in chosen])


def padded(item: Item) -> bytes:
    """The bytes of a frame item, with its ``[byte, count]`` appended."""
    pad = item.get("pad")
    return bytes.fromhex(item["hex"]) + (bytes.fromhex(pad[0]) * pad[1] if pad else b"")
