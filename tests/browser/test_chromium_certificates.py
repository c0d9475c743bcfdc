"""A client certificate in Chromium: sent for the pages and the WebSockets of its host."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from browser.chromium import Browser, started
from support import third_party
from support.client_certificates import Site, site

ROUTES: Final = (
    "/open=echo",
    "/any=echo client-certificate=required",
    "/ada=echo client-certificate=CN=ada,O=Example",
    "/bob=echo client-certificate=CN=bob,O=Example",
)

CHOSEN: Final[dict[str, object]] = {
    # Which certificate to send is the choice of a user, in a dialog of the browser.
    "profile.content_settings.exceptions.auto_select_certificate": {
        "https://localhost,*": {"setting": {"filters": [{}]}}
    }
}


def opened(browser: Browser, here: Site) -> list[str]:
    """The routes whose WebSocket opens, and sends a message back."""
    paths = []
    for path in ("/open", "/any", "/ada", "/bob"):
        url = f"wss://localhost:{here.daemon.port}{path}"
        seen = browser.converse(url, sends=["hello"], echoes=1, close=[1000, ""])
        assert seen["received"] == (["hello"] if seen["opened"] else [])
        paths += [path] if seen["opened"] else []
    browser.complaints()
    return paths


def test_a_browser_sends_the_certificate_that_its_user_has_chosen(tmp_path: Path) -> None:
    with site(tmp_path, *ROUTES) as here:
        with_certificate(tmp_path, "ada")
        profile = tmp_path / "profile"
        profile.mkdir()
        with started(profile, tmp_path, CHOSEN) as browser:
            browser.open(f"https://localhost:{here.daemon.port}/open")
            assert opened(browser, here) == ["/open", "/any", "/ada"]


def test_a_browser_without_a_certificate_opens_the_routes_that_need_none(
    chromium: Browser, tmp_path: Path
) -> None:
    with site(tmp_path, *ROUTES) as here:
        chromium.open(f"https://localhost:{here.daemon.port}/open")
        assert opened(chromium, here) == ["/open"]


def with_certificate(home: Path, name: str) -> None:
    """Put a client's certificate into the database of the browser, below its home directory."""
    database, pem, pkcs12 = home / ".pki" / "nssdb", home / f"{name}.pem", home / f"{name}.p12"
    database.mkdir(parents=True)
    certutil, where = third_party.certutil(), f"sql:{database}"
    openssl: list[str | Path] = [
        third_party.openssl(),
        "pkcs12",
        "-export",
        "-in",
        pem,
        "-inkey",
        pem,
    ]
    subprocess.run([*openssl, "-out", pkcs12, "-passout", "pass:x"], check=True)
    subprocess.run([certutil, "-N", "--empty-password", "-d", where], check=True)
    pk12util: list[str | Path] = [certutil.with_name("pk12util"), "-i", pkcs12, "-d", where]
    subprocess.run([*pk12util, "-W", "x", "-K", ""], check=True)
