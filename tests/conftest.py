"""What every test of txhixie runs under.

Hypothesis draws the same examples each time; and what the tests start can be interrupted, also
where they are a job in the background, which a shell has ignore that. Without ``--all`` the quick
tests run; the end says what did not run, and why.
"""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from hypothesis import settings

from support.selection import is_quick, keep_quick, lines_of

settings.register_profile("txhixie", derandomize=True, deadline=None, database=None)
settings.load_profile("txhixie")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LEFT_OUT = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the long tests as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[LEFT_OUT] = keep_quick(config, items) if is_quick(config) else Counter()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if lines := lines_of(skipped, config.stash.get(LEFT_OUT, Counter())):
        terminalreporter.section("what did not run")
        terminalreporter.write("\n".join(lines) + "\n")
