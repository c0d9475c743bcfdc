"""Today's browser over every kind of TLS port: an ``https:`` page, and a ``wss:`` echo from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.chromium import Browser
from support.tls_ports import KINDS, PAGES, tls_port


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_and_its_websocket(kind: str, chromium: Browser, tmp_path: Path) -> None:
    """A browser offers ALPN for both: ``h2`` and ``http/1.1``, or the latter for ``wss:``."""
    with tls_port(kind, tmp_path) as port:
        chromium.open(f"https://localhost:{port}/")
        assert chromium.driver.current_url == f"https://localhost:{port}/"
        no_page = "only WebSocket is served here" in chromium.driver.page_source
        assert no_page == (kind not in PAGES)
        seen = chromium.converse(
            f"wss://localhost:{port}/", sends=[[1, 2, 3]], echoes=1, close=[1000, ""]
        )
        assert (seen["received"], seen["code"], seen["clean"]) == ([[1, 2, 3]], 1000, True)
