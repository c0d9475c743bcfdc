"""Passwords of the daemon in Chromium: a page with a password sends it with its WebSocket."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from browser.chromium import Browser
from support.daemon import running

ADA: Final = "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"
"""A line of a password file: the password is "secret"."""


@pytest.mark.parametrize(("user", "opened"), [("ada:secret@", True), ("", False)])
def test_a_page_sends_its_password_with_its_websocket(
    chromium: Browser, tmp_path: Path, user: str, opened: bool
) -> None:
    """Without the password of a page the browser asks for none: the handshake fails."""
    (tmp_path / "users").write_text(ADA)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("<title>a page</title>")
    routes = ("--serve", "/=static:pages", "--serve", "/chat=echo")
    with running(tmp_path, "--users", "users", *routes) as daemon:
        chromium.driver.get(f"http://{user}127.0.0.1:{daemon.port}/")
        assert (chromium.driver.title == "a page") == opened
        url = f"ws://127.0.0.1:{daemon.port}/chat"
        seen = chromium.converse(url, sends=["hello"], echoes=1, close=[1000, ""])
        assert (seen["opened"], seen["received"]) == (opened, ["hello"] if opened else [])
        chromium.complaints()
