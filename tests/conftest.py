"""Fixtures and options of all tests.

Hypothesis draws the same examples in each run. Programs that the tests start can be interrupted,
also in a background job, for which a shell sets SIGINT to be ignored. They can be hung up, also
under ``nohup``, which sets SIGHUP to be ignored. Without ``--all`` only the quick tests run; the
summary says what did not run, and why.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import pytest
import pytest_twisted
from hypothesis import settings
from twisted.logger import ILogObserver, globalLogPublisher

from support.default_poller import change_default
from support.log_recorder import Log
from support.quick_suite import EXAMPLES, is_quick, keep_quick, lines_of, reason_of

settings.register_profile("all", derandomize=True, deadline=None, database=None)
settings.register_profile("quick", settings.get_profile("all"), max_examples=EXAMPLES)
settings.load_profile("all")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)  # a program that is started has the default

if TYPE_CHECKING:
    from support.network import Network
    from support.resolver import FakeResolver

# Modules that import the reactor are imported in the fixtures: pytest-twisted installs the reactor
# of the option --reactor after this file was read.


@pytest.fixture(autouse=True)
def log() -> Iterator[Log]:
    """Record the log during each test; a test fails on a traceback that the test did not take."""
    recorded = Log()
    publish = cast("ILogObserver", recorded.record)
    globalLogPublisher.addObserver(publish)
    try:
        yield recorded
        unexpected = recorded.tracebacks()
        assert not unexpected, f"tracebacks nobody expected: {unexpected}"
        unnumbered = recorded.unnumbered()
        assert not unnumbered, f"lines without their connection or Host: {unnumbered}"
    finally:
        globalLogPublisher.removeObserver(publish)


@pytest.fixture(autouse=True, scope="session")
def default_poller() -> None:
    """Change the default of ``connectionPoller``, if an environment variable does."""
    change_default()


# pytest-twisted has no annotations.
@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # pytest_twisted has no annotations
async def net() -> AsyncIterator[Network]:
    """Servers and clients over real sockets, all closed after the test."""
    from support.network import Network

    # Not tmp_path: a UNIX socket's name has room for 107 bytes.
    with TemporaryDirectory(prefix="hixie") as directory:
        network = Network(Path(directory))
        try:
            yield network
        finally:
            await network.close()


@pytest.fixture(scope="session")
def guide_html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the built guide."""
    from support.built_guide import build

    return build(tmp_path_factory.mktemp("guide"))


@pytest.fixture
def names() -> Iterator[FakeResolver]:
    """A resolver with answers that the test sets; the reactor uses it during the test."""
    from support.resolver import FakeResolver
    from support.waiting import reactor

    made = FakeResolver(reactor.nameResolver)
    before = reactor.installNameResolver(made)
    try:
        yield made
    finally:
        reactor.installNameResolver(before)


LEFT_OUT = pytest.StashKey[Counter[str]]()
NOT_READ = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the long tests as well")


def pytest_configure(config: pytest.Config) -> None:
    if is_quick(config):
        settings.load_profile("quick")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out whole files and folders, since to collect their tests takes 10 s."""
    if not is_quick(config):
        return None
    name = collection_path.relative_to(config.rootpath).as_posix()
    reason = reason_of(f"{name}/" if collection_path.is_dir() else name)
    if reason is None:
        return None
    config.stash.setdefault(NOT_READ, Counter())[reason] += 1
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[LEFT_OUT] = keep_quick(config, items) if is_quick(config) else Counter()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    left_out, not_read = (config.stash.get(key, Counter()) for key in (LEFT_OUT, NOT_READ))
    if lines := lines_of(skipped, left_out, not_read):
        terminalreporter.section("what did not run")
        terminalreporter.write("\n".join(lines) + "\n")
