"""The tests of this folder run under the asyncio reactor only."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.quick_suite import is_quick


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """
    Leave the folder out under another reactor, and of the quick tests.

    ``tests/peers/test_asyncio_reactor.py`` runs it in a process of its own.
    """
    isRun = config.getoption("reactor") == "asyncio" and not is_quick(config)
    return None if isRun else True
