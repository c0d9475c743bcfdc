"""What every test of txhixie runs under: Hypothesis draws the same examples each time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("txhixie", derandomize=True, deadline=None, database=None)
settings.load_profile("txhixie")
