"""The status page in Chromium: live, light and dark, and closed to pages of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import Browser, started
from support.daemon import Daemon, running
from support.frames import MASK, modern_frame
from support.page_requests import opened, refused
from txhixie.sansio.wire.frame import Opcode

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts" / "browser"
MARKUP = "<img/src=x/onerror=document.title='taken'>"
SCREENS = (("wide", 1280, 1000), ("narrow", 390, 800))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<title>other</title><p id=state>loaded</p>")
    routes = (
        "--serve",
        "/=echo",
        "--serve",
        f"/app=static:{pages}",
        "--serve",
        "/chat=hub history=9",
    )
    with running(tmp_path, *routes, "--status", "/status") as daemon:
        yield daemon


@pytest.fixture
def page(chromium: Browser, daemon: Daemon) -> Iterator[Browser]:
    chromium.open(f"http://127.0.0.1:{daemon.port}/status")
    chromium.awaits("state", "ok")
    yield chromium
    chromium.own_screen()
    chromium.open("about:blank")


def numbers(browser: Browser) -> dict[str, str]:
    script = """return [...document.querySelectorAll('#numbers div')].map((each) =>
        [each.querySelector('dt').textContent, each.querySelector('dd').textContent])"""
    return dict(browser.driver.execute_script(script))


def test_the_page_is_live(page: Browser, daemon: Daemon) -> None:
    """A new connection, a refusal and an end are shown without a reload of the page."""
    assert numbers(page)["open"] == "0"
    with opened(daemon, target="/room?token=sesame") as peer:
        page.awaits("newest", "/room")
        assert numbers(page)["open"] == "1"
        assert page.driver.title == "1 open - txhixie status"
        refused(daemon, origin="http://elsewhere.example")
        page.awaits("recent-refusals", "Origin not allowed (origins, --origins)")
        page.awaits("refusals", "an Origin that is not allowed")
        reason = (4001).to_bytes(2, "big") + b"enough"
        peer.sendall(modern_frame(Opcode.CLOSE, reason, key=MASK))
        page.awaits("recent-ends", "enough")
        page.awaits("ends", "4xxx")
    assert "sesame" not in page.driver.page_source
    assert not page.complaints()


def test_the_numbers_of_a_hub_are_shown_once_there_is_a_topic(
    page: Browser, daemon: Daemon
) -> None:
    assert "topics" not in numbers(page)
    with opened(daemon, target="/chat") as member, opened(daemon, target="/chat"):
        member.sendall(modern_frame(Opcode.TEXT, b"hello", key=MASK))
        page.awaits("numbers", "bytes of history")
        wanted = {"topics": "1", "members of topics": "2", "bytes of history": "5"}
        page.awaits("numbers", "bytes of history\n5")
        assert wanted.items() <= numbers(page).items()


def test_the_lists_of_one_address_are_a_click_away(page: Browser, daemon: Daemon) -> None:
    with opened(daemon):
        page.awaits("by-connections", "127.0.0.1")
        page.driver.find_element("css selector", "#by-connections button").click()
        assert page.element("address").get_attribute("value") == "127.0.0.1"
        page.element("address").send_keys("9")
        page.awaits("newest", "none")
        assert numbers(page)["open"] == "1"


def test_a_pause_keeps_what_is_shown(page: Browser, daemon: Daemon) -> None:
    page.element("pause").click()
    page.awaits("state", "paused")
    with opened(daemon):
        assert numbers(page)["open"] == "0"
        page.element("pause").click()
        page.awaits("newest", "127.0.0.1")


def test_a_daemon_that_does_not_answer_is_shown(page: Browser, daemon: Daemon) -> None:
    daemon.process.kill()
    page.awaits("state", "no answer")
    page.complaints()


def test_it_is_light_or_dark_as_the_browser_is(page: Browser, daemon: Daemon) -> None:
    refused(daemon, origin="http://elsewhere.example", target="/a/path/that/is/rather/long")
    grounds = set()
    with opened(daemon), opened(daemon, dialect="hixie-76"):
        page.awaits("newest", "hixie-76")
        for scheme in ("light", "dark"):
            for name, width, height in SCREENS:
                page.screen(width, height, scheme)
                page.photograph(ARTEFACTS / f"status-{name}-{scheme}.png")
                script = "return document.documentElement.scrollWidth <= innerWidth"
                assert page.driver.execute_script(script), f"{name} is wider than its screen"
            script = "return getComputedStyle(document.body).backgroundColor"
            grounds.add(page.driver.execute_script(script))
    assert len(grounds) == 2
    assert not page.complaints()


def test_words_of_a_peer_are_text_and_not_markup(page: Browser, daemon: Daemon) -> None:
    refused(daemon, origin="http://<plaintext>", target=f"/{MARKUP}")
    with opened(daemon, f"User-Agent: {MARKUP}", target=f"/room/{MARKUP}") as peer:
        page.awaits("newest", f"/room/{MARKUP}")
        reason = (4001).to_bytes(2, "big") + MARKUP.encode("ascii")
        peer.sendall(modern_frame(Opcode.CLOSE, reason, key=MASK))
        page.awaits("recent-ends", MARKUP)
    page.awaits("recent-refusals", MARKUP)
    page.awaits("recent-refusals", "<plaintext>")
    assert page.driver.find_elements("css selector", "main img, main script, plaintext") == []
    assert page.driver.title != "taken"
    assert not page.complaints()


FETCH = """
const [url, mode, done] = arguments;
fetch(url, {mode}).then((answer) => answer.text())
    .then((text) => done("read: " + text), () => done("refused"));
"""

FRAME = """
const [url, done] = arguments, frame = document.createElement("iframe");
frame.src = url;
frame.onload = () => done(frame.contentDocument === null ? "closed" : "open");
document.body.append(frame);
"""


def script(browser: Browser, text: str, *arguments: str) -> Any:
    return browser.driver.execute_async_script(text, *arguments)


@pytest.mark.parametrize("mode", ["cors", "no-cors"])
def test_a_page_of_another_origin_cannot_read_the_status(
    mode: str, chromium: Browser, daemon: Daemon
) -> None:
    """``localhost`` is another origin than ``127.0.0.1``, on the same machine."""
    chromium.open(f"http://localhost:{daemon.port}/app/")
    assert chromium.text("state") == "loaded"
    for target in ("/status", "/status?format=json"):
        url = f"http://127.0.0.1:{daemon.port}{target}"
        # The text of an opaque response is empty.
        assert script(chromium, FETCH, url, mode) == ("refused" if mode == "cors" else "read: ")
    assert script(chromium, FRAME, f"http://127.0.0.1:{daemon.port}/status") == "closed"
    assert daemon.logged("a page of another origin has sent the request (Sec-Fetch-Site)")
    chromium.complaints()


def test_a_page_that_rebinds_its_name_cannot_read_the_status(
    tmp_path: Path, daemon: Daemon
) -> None:
    """The name of the page leads to the daemon, and so both have the same origin."""
    (tmp_path / "profile").mkdir()
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    with started(tmp_path / "profile", flags=[rules]) as browser:
        browser.open(f"http://evil.example:{daemon.port}/app/")
        assert browser.text("state") == "loaded"
        found = script(browser, FETCH, "/status?format=json", "same-origin")
        assert found == "read: not allowed\n"
    assert "Host not allowed" in daemon.logged("status=403")
