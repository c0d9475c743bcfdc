"""Tokens of the daemon in Chromium: a page sends its token in the URL of its WebSocket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from browser.chromium import Browser
from support.daemon import Daemon, running
from support.jwt_keys import SECRET

TOKEN = "0123456789abcdef+/=="


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with a page for all clients, and two routes that need a token."""
    (tmp_path / "tokens").write_text(TOKEN)
    (tmp_path / "key").write_bytes(SECRET)
    issued = "jwt-key=key jwt-algorithms=HS256 jwt-audience=page"
    routes = ("--serve", "/feed=echo tokens=tokens", "--serve", f"/issued=echo {issued}")
    with running(tmp_path, *routes, "--console", "/") as daemon:
        yield daemon


def url(daemon: Daemon, target: str) -> str:
    return f"ws://127.0.0.1:{daemon.port}{target}"


@pytest.mark.parametrize(
    ("query", "opened"),
    [
        ("?room=1&token=0123456789abcdef%2B%2F%3D%3D", True),
        (f"?token={TOKEN}", True),  # a page that does not escape the plus sign
        ("?token=0123456789abcdef", False),
        ("", False),
    ],
)
def test_a_page_sends_its_token_in_the_query(
    page: Browser, daemon: Daemon, query: str, opened: bool
) -> None:
    seen = page.converse(url(daemon, f"/feed{query}"), sends=["hello"], echoes=1, close=[1000, ""])
    assert (seen["opened"], seen["received"]) == (opened, ["hello"] if opened else [])
    assert seen["code"] == (1000 if opened else 1006)
    page.complaints()


def test_a_page_sees_that_its_token_has_expired(page: Browser, daemon: Daemon) -> None:
    token = jwt.encode({"exp": time.time() + 4, "aud": "page"}, SECRET, "HS256")
    seen = page.converse(url(daemon, f"/issued?token={token}"), sends=["hello"], echoes=1)
    assert seen["received"] == ["hello"]
    assert (seen["code"], seen["reason"], seen["clean"]) == (1008, "credentials expired", True)
