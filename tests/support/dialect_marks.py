"""Marks of tests that run for each of some dialects, or for both sides of a connection."""

from __future__ import annotations

import pytest

from support.dialect_names import HIXIE, MODERN, NAMES
from txhixie.sansio.wire.frame import Side

SIDES = (Side.SERVER, Side.CLIENT)

each = pytest.mark.parametrize("dialect", NAMES)
hixie = pytest.mark.parametrize("dialect", HIXIE)
modern = pytest.mark.parametrize("dialect", MODERN)
both = pytest.mark.parametrize("side", SIDES)
