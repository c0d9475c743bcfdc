"""The built guide in Chromium: no page is wider than its screen, and the search box finds pages.

Pictures of some pages, wide and at 390 pixels, light and dark, are left in artefacts/guide/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from browser.chromium import Browser
from support.built_guide import WORDS
from support.guide_pages import PAGES, ROOT

ARTEFACTS = ROOT / "artefacts" / "guide"
PICTURES = (
    *("index", "start/index", "howto/index", "howto/nginx", "howto/coroutines", "howto/tls"),
    *("reference/daemon", "reference/limits", "reference/errors", "reference/close-codes"),
    *("reference/options", "reference/api", "explanation/dialects", "explanation/security"),
)
SCREENS = {"wide": (1440, 1000), "narrow": (390, 844)}
NAMES = sorted(
    path.removeprefix("docs/").removesuffix(".rst") for path in PAGES if path.startswith("docs/")
)


@pytest.fixture
def screen(chromium: Browser) -> Iterator[Browser]:
    """The browser, with its own screen again afterwards."""
    yield chromium
    chromium.own_screen()


def address(guide_html: Path, name: str) -> str:
    """The URL of a page of the guide."""
    return (guide_html / f"{name}.html").as_uri()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_not_wider_than_a_telephone(name: str, screen: Browser, guide_html: Path) -> None:
    """Wide tables and code blocks scroll by themselves; the page does not."""
    screen.screen(*SCREENS["narrow"])
    screen.open(address(guide_html, name))
    assert screen.until("document.documentElement.scrollWidth", "the page has no width") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SCREENS)
def test_pictures_of_the_guide(size: str, scheme: str, screen: Browser, guide_html: Path) -> None:
    """In each scheme the background is that scheme's."""
    screen.screen(*SCREENS[size], scheme)
    for name in PICTURES:
        screen.open(address(guide_html, name))
        screen.photograph(ARTEFACTS / f"{name.replace('/', '-')}-{size}-{scheme}.png")
        brightness = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]"
        red = int(screen.until(brightness, "the page has no background"))
        assert (red > 127) == (scheme == "light"), name


@pytest.mark.parametrize("word", WORDS)
def test_the_search_box_finds_the_page_of_a_word(
    word: str, screen: Browser, guide_html: Path
) -> None:
    """Among the first five results."""
    screen.open(f"{(guide_html / 'search.html').as_uri()}?q={quote(word)}")
    results = "[...document.querySelectorAll('#search-results li a')].map(a => a.href)"
    screen.until(f"{results}.length > 0", f"nothing found for {word}")
    screen.until("!document.querySelector('#search-progress')?.textContent", "it still searches")
    first = screen.until(results, "no results")[:5]
    for page in WORDS[word].split():
        assert any(f"/{page}.html" in link for link in first), first
