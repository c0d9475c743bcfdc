"""The tests of ``tests/asyncio_reactor`` pass in a process with the asyncio reactor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "asyncio_reactor"


def test_the_bus_on_NATS_keeps_its_promises_under_the_asyncio_reactor() -> None:
    words = [sys.executable, "-m", "pytest", "--reactor=asyncio", "-q", str(FOLDER)]
    found = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=580, check=False
    )
    assert found.returncode == 0, found.stdout
    assert " passed" in found.stdout
