"""Deviations of clients, each as it is sent: the samples of ``tests/data/deviations.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from txhixie.sansio.quirks import QUIRKS

Item = dict[str, Any]

ITEMS: Final[list[Item]] = json.loads(
    (Path(__file__).parents[1] / "data" / "deviations.json").read_text("utf-8")
)
WORDS: Final = {quirk.word for quirk in QUIRKS}


def samples(only: Callable[[Item], bool]) -> pytest.MarkDecorator:
    """Run a test once for each sample of a request or of frames, by the sample's name."""
    found = [
        item
        for item in ITEMS
        if item["where"] in {"request", "frames"} and item.get("sends") and only(item)
    ]
    assert found
    return pytest.mark.parametrize("item", found, ids=[item["name"] for item in found])
