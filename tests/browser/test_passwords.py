"""Passwords in Chromium: the password of a page gets the WebSocket of the same realm in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from browser.chromium import Browser, started
from support import third_party
from support.daemon import PATIENCE, Daemon, running

NORMAL = [1000, ""]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser of its own, since a browser keeps a password until it ends."""
    (tmp_path / "profile").mkdir()
    with started(tmp_path / "profile") as browser:
        yield browser


@contextmanager
def guarded(directory: Path) -> Iterator[Daemon]:
    """A daemon with a page at ``/app`` and an echo at ``/chat``, for alice."""
    users, pages = directory / "users", directory / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<title>app</title><p id=state>loaded</p>")
    command = [str(third_party.htpasswd()), "-cbB", str(users), "alice", "sesame"]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    routes = (
        *("--serve", f"/app=static:{pages}", "--serve", "/chat=echo"),
        *("--serve", f"/open=static:{pages} users=none"),
    )
    with running(directory, "--users", str(users), *routes) as daemon:
        yield daemon


def test_the_password_of_a_page_gets_its_WebSocket_in(tmp_path: Path, browser: Browser) -> None:
    """The WebSocket is at another path than the page, so the browser finds the password by the
    realm of the 401."""
    with guarded(tmp_path) as daemon:
        browser.open(f"http://alice:sesame@127.0.0.1:{daemon.port}/app/")
        assert browser.text("state") == "loaded"
        url = f"ws://127.0.0.1:{daemon.port}/chat"
        seen = browser.converse(url, sends=["hello"], echoes=1, close=NORMAL)
        assert (seen["received"], seen["code"], seen["failed"]) == (["hello"], 1000, False)


def test_a_WebSocket_without_the_password_of_a_page_fails(tmp_path: Path, browser: Browser) -> None:
    """The browser does not ask for a password."""
    with guarded(tmp_path) as daemon:
        browser.open(f"http://127.0.0.1:{daemon.port}/open/")
        seen = browser.converse(f"ws://127.0.0.1:{daemon.port}/chat")
        assert (seen["opened"], seen["failed"], seen["code"]) == (False, True, 1006)
        assert "status=401" in daemon.logged("user name and password required")


def test_another_password_of_a_page_gets_nothing(tmp_path: Path, browser: Browser) -> None:
    with guarded(tmp_path) as daemon:
        browser.open(f"http://alice:wrong@127.0.0.1:{daemon.port}/app/")
        assert "loaded" not in browser.driver.page_source
        assert daemon.logged('status=401 reason="wrong user name or password')
