"""The console page as a person uses it, with and without a mouse, in Chromium."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from browser.chromium import Browser
from support.daemon import PATIENCE, Daemon
from support.tls_ports import tls_port

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts" / "browser"

# WebDriver's names of keys. A modifier is held until it is released, or until the end of a call.
ENTER, TAB, CONTROL, RELEASE, BACKSPACE = "\ue007", "\ue004", "\ue009", "\ue000", "\ue003"
ARROWS = {"up": "\ue013", "down": "\ue015", "left": "\ue012", "right": "\ue014"}

FLOOD: Final = 20_000  # as closing_server.py has it
LIST_LIMIT: Final = 500
NESTED: Final = (
    '{"id": 12345678901234567890, "name": "Ada", "id": 2, "in": {"deep": [1, [], true]}}'
)


def url(daemon: Daemon) -> str:
    return f"ws://127.0.0.1:{daemon.port}/"


@pytest.fixture
def console(page: Browser) -> Iterator[Browser]:
    """The console, connected to the echo of its own daemon."""
    page.element("connect").click()
    page.awaits("state", "open")
    yield page
    page.own_screen()
    assert not page.complaints()


def says(console: Browser, *texts: str) -> None:
    """Send each of them, and wait for its echo."""
    for text in texts:
        echoes = int(console.text("received").replace(",", "")) + 1
        console.element("message").send_keys(text, ENTER)
        console.awaits("received", str(echoes))


def shown(browser: Browser) -> list[tuple[str, str]]:
    """The direction and the payload of each entry that is shown."""
    script = """return [...document.querySelectorAll('#log .entry')].filter((each) => !each.hidden)
        .map((each) => [each.dataset.direction, each.querySelector('.payload').textContent])"""
    return [(direction, text) for direction, text in browser.driver.execute_script(script)]


def typed_into(browser: Browser, name: str, text: str) -> None:
    """Replace what a field has, by keys: WebDriver's own clearing is no input to a page."""
    browser.element(name).send_keys(CONTROL + "a" + RELEASE, BACKSPACE, text)


def plan(browser: Browser, typed: str) -> tuple[str, str, str]:
    """The page's note about a typed URL: the text, its class, and whether the field is invalid."""
    typed_into(browser, "url", typed)
    field = browser.element("url")
    line = browser.element("plan")
    return line.text, line.get_attribute("class"), field.get_attribute("aria-invalid")


def keys(browser: Browser, *pressed: str) -> None:
    """Press keys, wherever the focus is."""
    chains = browser.driver.switch_to.active_element
    chains.send_keys("".join(pressed))


# Entries.


def test_opens_closes_and_errors_are_entries_with_their_time(console: Browser) -> None:
    says(console, "hello")
    console.driver.find_element("xpath", "//summary[.='Close code and reason']").click()
    console.element("code").clear()
    console.element("code").send_keys("4001")
    console.element("reason").send_keys("enough")
    console.element("disconnect").click()
    console.awaits("state", "closed")
    console.element("subprotocol").send_keys("a a")
    console.element("connect").click()
    console.until("document.querySelectorAll('#log .event.wrong').length", "no error was listed")
    first, *_, last, error = shown(console)
    assert re.fullmatch(r"Open after [\d.]+ m?s: ws://127.0.0.1:\d+/", first[1])
    assert re.fullmatch(r"Closed after .* 4001 \(private use\) enough", last[1])
    assert "duplicated" in error[1]
    times = console.driver.find_elements("css selector", "#log .entry time")
    assert len(times) == len(shown(console))
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", each.text) for each in times)


def test_a_lost_connection_is_an_error_with_its_code(chromium: Browser, closing_port: int) -> None:
    chromium.open(f"http://127.0.0.1:{closing_port}/")
    plan(chromium, f"ws://127.0.0.1:{closing_port}/aborted")
    chromium.element("connect").click()
    chromium.awaits("state", "open")
    chromium.element("message").send_keys("end", ENTER)
    chromium.awaits("state", "closed")
    lost = chromium.driver.find_elements("css selector", "#log .event.wrong .payload")
    assert [each.text.split(": ")[1] for each in lost] == ["1006 (no close frame was received)"]


def test_text_of_a_peer_is_never_markup(chromium: Browser, closing_port: int) -> None:
    chromium.open(f"http://127.0.0.1:{closing_port}/")
    plan(chromium, f"ws://127.0.0.1:{closing_port}/markup")
    chromium.element("connect").click()
    chromium.awaits("received", "1")
    assert ("in", "<img src=x onerror=alert(1)><script>alert(2)</script>") in shown(chromium)
    assert chromium.driver.find_elements("css selector", "#log img, #log script") == []


def test_the_filter_shows_what_contains_its_text_or_is_of_a_kind(console: Browser) -> None:
    says(console, "one fish", "two FISH", "a bird")
    console.element("filter").send_keys("fish")
    assert [text for _, text in shown(console)] == ["one fish"] * 2 + ["two FISH"] * 2
    assert console.text("listed") == "4 of 7 entries shown."
    says(console, "fish and chips", "no such animal")
    console.awaits("listed", "6 of 11 entries shown.")
    assert [text for _, text in shown(console)][-2:] == ["fish and chips"] * 2
    typed_into(console, "filter", "")
    for kind, expected in (
        ("Received", {"in"}),
        ("Connection", {"event"}),
        ("Messages", {"in", "out"}),
    ):
        console.driver.find_element("xpath", f"//option[.='{kind}']").click()
        assert {direction for direction, _ in shown(console)} == expected


def test_json_is_folded_and_shown_as_it_was_received(console: Browser) -> None:
    """A long number is not rounded, and none of two equal names is lost."""
    says(console, NESTED, "[not JSON", "17")
    folded = console.driver.find_elements("css selector", "#log details")
    assert [each.get_attribute("open") for each in folded] == [None, None]
    labels = console.driver.find_elements("css selector", "#log .about > :first-child")
    assert [each.text for each in labels].count("JSON") == 2
    folded[1].find_element("css selector", "summary").click()
    console.until("document.querySelectorAll('.tree').length", "nothing was unfolded")
    (tree,) = console.driver.find_elements("css selector", ".tree")
    assert tree.text.splitlines() == [
        '"id": 12345678901234567890',
        '"name": "Ada"',
        '"id": 2',
        '"in": {\u2026} 1',
    ]


def test_json_that_nests_deeply_or_is_wide_is_bounded(console: Browser) -> None:
    for text in ("[" * 5000 + "]" * 5000, json.dumps(list(range(5000)))):
        script = "arguments[0].value = arguments[1]; arguments[0].form.requestSubmit()"
        console.driver.execute_script(script, console.element("message"), text)
    console.awaits("received", "2")
    script = "for (const each of document.querySelectorAll('#log details')) each.open = true"
    console.driver.execute_script(script)
    console.until("document.querySelectorAll('.tree').length === 4", "not all were unfolded")
    leaves = console.driver.find_elements("css selector", ".leaf")
    assert len(leaves) == 2 * 200
    assert console.text("log").count("and 4,800 values more") == 2


# Copying and saving.


def pasted(browser: Browser) -> str:
    """The text of the clipboard, pasted by keys into the field for a message."""
    field = browser.element("message")
    field.clear()
    field.send_keys(CONTROL, "v")
    return str(field.get_attribute("value"))


def test_entries_are_copied_alone_or_as_they_are_shown(console: Browser) -> None:
    says(console, "first", "second")
    console.element("copy").click()
    console.awaits("notice", "Copied 5 entries.")
    lines = pasted(console).splitlines()
    assert [line.split(" ", 1)[1] for line in lines[1:]] == [
        "sent text: first",
        "received text: first",
        "sent text: second",
        "received text: second",
    ]
    console.element("message").clear()
    console.element("log").send_keys(ARROWS["up"], ARROWS["up"])
    keys(console, ARROWS["up"], CONTROL + "c")
    console.awaits("notice", "Copied 1 entry.")
    assert pasted(console) == "first"


def test_entries_are_copied_where_a_page_has_no_clipboard(console: Browser) -> None:
    """A page over ``http:`` from another machine has no clipboard API."""
    console.driver.execute_script(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )
    says(console, "gr\u00fc\u00dfe")
    console.element("kinds").send_keys("Received")
    console.element("copy").click()
    console.awaits("notice", "Copied 1 entry.")
    assert pasted(console).endswith(" received text: gr\u00fc\u00dfe")


def test_entries_are_saved_as_json_lines(console: Browser, daemon: Daemon, tmp_path: Path) -> None:
    console.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    says(console, 'quote " and \u20ac')
    console.driver.find_element("xpath", "//summary[.='Send binary']").click()
    console.element("hex").send_keys("00ff", ENTER)
    console.awaits("received", "2")
    console.element("disconnect").click()
    console.awaits("state", "closed")
    console.element("save").click()
    console.awaits("notice", "Saved 6 entries as txhixie-")
    saved = _awaited(tmp_path)
    lines = [json.loads(line) for line in saved.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["open", *["sent", "received"] * 2, "close"]
    assert all(line["time"].endswith("Z") for line in lines)
    assert (lines[0]["url"], lines[0]["subprotocol"]) == (url(daemon), None)
    assert (lines[2]["type"], lines[2]["text"], lines[2]["size"]) == (
        "text",
        'quote " and \u20ac',
        15,
    )
    assert (lines[4]["type"], lines[4]["hex"], lines[4]["size"]) == ("binary", "00ff", 2)
    assert (lines[5]["code"], lines[5]["reason"], lines[5]["clean"]) == (1000, "", True)


def _awaited(directory: Path) -> Path:
    """The file that is downloaded there, whole."""
    deadline = time.monotonic() + PATIENCE
    while not (found := list(directory.glob("*.jsonl"))):
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.05)
    return found[0]


# The URL.


def test_the_url_field_says_what_it_will_do(page: Browser, daemon: Daemon) -> None:
    own = f"127.0.0.1:{daemon.port}"
    here = " from this page\u2019s origin."
    elsewhere = f" with the Origin http://{own} of this page; the server has to allow that origin."
    assert page.text("plan") == f"Connects to ws://{own}/{here}"
    for typed, target, rest in (
        (f"ws://{own}/chat?x=1", f"ws://{own}/chat?x=1", here),
        ("/chat", f"ws://{own}/chat", here),
        (f"http://{own}/chat", f"ws://{own}/chat", here),
        (f"wss://{own}/", f"wss://{own}/", elsewhere),
        ("example.com/chat", "ws://example.com/chat", elsewhere),
        ("ws://ann:secret@example.com/", "ws://ann:***@example.com/", elsewhere),
    ):
        assert plan(page, typed) == (f"Connects to {target}{rest}", "", "false")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Enter a URL, such as ws://"),
        ("ws://", "This is not a URL: write ws://HOST:PORT/PATH or wss://HOST:PORT/PATH."),
        ("ws://[::1/", "This is not a URL: "),
        ("ws://localhost:99999/", "This is not a URL: "),
        ("ftp://example.com/", "ftp: is not a scheme of WebSocket: use ws: or wss:."),
        ("ws://example.com/#top", "A WebSocket URL has no fragment: remove #, or write it as %23."),
    ],
)
def test_an_invalid_url_is_reported_while_it_is_typed(page: Browser, typed: str, said: str) -> None:
    text, how, invalid = plan(page, typed)
    assert (text[: len(said)], how, invalid) == (said, "wrong", "true")


def test_a_page_by_https_warns_of_a_url_by_ws(chromium: Browser, tmp_path: Path) -> None:
    with tls_port("ssl:", tmp_path) as port:
        chromium.open(f"https://localhost:{port}/")
        assert chromium.text("plan") == (
            f"Connects to wss://localhost:{port}/ from this page\u2019s origin."
        )
        text, how, invalid = plan(chromium, "ws://example.com/")
        assert (how, invalid) == ("warning", "false")
        assert "browsers block ws: from such a page (mixed content): use wss: instead" in text
        chromium.element("connect").click()
        chromium.awaits("log", "insecure WebSocket connection may not be initiated")
        chromium.complaints()


# The round trip.


def test_the_round_trip_of_an_echo_is_a_curve(console: Browser) -> None:
    assert not console.element("roundtrip").is_displayed()
    says(console, "one")
    console.until("!document.getElementById('roundtrip').hidden", "no round trip was shown")
    assert console.text("roundtrip").startswith("Round trip of your echo")
    says(console, "two", "three")
    console.awaits("latency", "of 3")
    points = "document.querySelector('#curve polyline').getAttribute('points').split(' ').length"
    assert console.driver.execute_script(f"return {points}") == 3
    label = console.element("curve").get_attribute("aria-label")
    assert label == "Curve of the last 3 round trips"


def test_no_round_trip_is_shown_where_nothing_echoes(chromium: Browser, closing_port: int) -> None:
    """Though a message comes after one was sent."""
    chromium.open(f"http://127.0.0.1:{closing_port}/")
    plan(chromium, f"ws://127.0.0.1:{closing_port}/answering")
    chromium.element("connect").click()
    chromium.awaits("state", "open")
    chromium.element("message").send_keys("hello", ENTER)
    chromium.awaits("received", "1")
    assert ("in", "another text") in shown(chromium)
    assert not chromium.element("roundtrip").is_displayed()


# A flood.


def test_a_flood_leaves_the_page_usable(chromium: Browser, closing_port: int) -> None:
    """The list is bounded, is drawn once a frame, and says that older entries were dropped."""
    chromium.open(f"http://127.0.0.1:{closing_port}/")
    chromium.driver.execute_script(
        """window.most = 0; window.drawings = 0; window.spoken = 0;
        const log = document.getElementById('log');
        new MutationObserver(() => {
          drawings += 1;
          most = Math.max(most, log.childElementCount);
        }).observe(log, {childList: true});
        new MutationObserver(() => { spoken += 1; })
          .observe(document.getElementById('spoken'), {childList: true, characterData: true});
        window.began = performance.now();"""
    )
    plan(chromium, f"ws://127.0.0.1:{closing_port}/flood")
    chromium.element("connect").click()
    chromium.awaits("received", f"{FLOOD:,}")
    chromium.awaits(
        "listed", f"The list keeps 500 entries: {FLOOD + 1 - LIST_LIMIT:,} older dropped."
    )
    chromium.until(
        f"document.getElementById('log').textContent.includes('{FLOOD - 1}')", "the last"
    )
    seen: dict[str, Any] = chromium.driver.execute_script(
        "return {most, drawings, spoken, seconds: (performance.now() - began) / 1000}"
    )
    assert seen["most"] <= LIST_LIMIT
    assert seen["drawings"] < FLOOD / 4
    assert seen["spoken"] <= seen["seconds"] + 2
    assert len(shown(chromium)) == LIST_LIMIT
    chromium.element("clear").click()
    assert shown(chromium) == []
    assert not chromium.element("listed").is_displayed()


# The keyboard.


def test_the_console_is_used_by_keyboard_alone(page: Browser) -> None:
    """Every control is reached by Tab in the page's order, and its focus is seen."""
    page.driver.execute_script("document.getElementById('url').focus()")
    keys(page, ENTER)
    page.awaits("state", "open")
    keys(page, NESTED, ENTER)
    page.awaits("received", "1")
    page.driver.execute_script("document.getElementById('url').focus()")
    reached = []
    for _ in range(20):
        keys(page, TAB)
        focused = page.driver.switch_to.active_element
        style = page.driver.execute_script(
            "const {outlineStyle, outlineWidth} = getComputedStyle(arguments[0]);"
            "return [outlineStyle, outlineWidth]",
            focused,
        )
        assert style == ["solid", "2px"]
        reached.append(focused.get_attribute("id") or focused.text)
        if reached[-1] == "the plain console":
            break
    assert reached == [
        "subprotocol",
        "disconnect",
        "Close code and reason",
        "filter",
        "kinds",
        "copy",
        "save",
        "clear",
        "log",
        "message",
        "send",
        "Send binary",
        "the plain console",
    ]


def test_the_list_is_read_by_arrow_keys_as_a_tree_is(console: Browser) -> None:
    says(console, NESTED)
    console.element("log").send_keys(ARROWS["up"])
    newest = console.driver.switch_to.active_element
    assert newest.get_attribute("data-direction") == "in"
    keys(console, ARROWS["right"])
    console.until("document.querySelectorAll('.tree').length === 1", "nothing was unfolded")
    keys(console, ARROWS["down"])
    assert console.driver.switch_to.active_element.text == '"in": {\u2026} 1'
    keys(console, ARROWS["right"])
    console.until("document.querySelectorAll('.tree').length === 2", "nothing was unfolded")
    keys(console, ARROWS["down"])
    assert console.driver.switch_to.active_element.text == '"deep": [\u2026] 3'
    keys(console, ARROWS["left"])
    assert console.driver.switch_to.active_element.text == '"in": {\u2026} 1'
    keys(console, ARROWS["left"])
    keys(console, ARROWS["left"])
    assert console.driver.switch_to.active_element == newest
    keys(console, TAB)
    assert console.driver.switch_to.active_element.text == "Copy"
    keys(console, ENTER)
    console.awaits("notice", "Copied 1 entry.")
    assert pasted(console) == NESTED


def test_the_list_is_announced_without_flooding(console: Browser) -> None:
    assert console.element("log").get_attribute("aria-live") == "off"
    console.until("document.getElementById('spoken').textContent.startsWith('Open')", "not spoken")
    says(console, "hello")
    console.until("document.getElementById('spoken').textContent.includes('hello')", "not spoken")


# Pictures, which CI may keep, and which people look at.


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "width", "height"), [("wide", 1280, 900), ("short", 1100, 680), ("390", 390, 844)]
)
def test_the_console_fits_every_screen(
    console: Browser, scheme: str, name: str, width: int, height: int
) -> None:
    console.screen(width, height, scheme)
    says(console, "Hello, WebSocket", NESTED, "x" * 300, "three", "four")
    console.element("log").send_keys(ARROWS["up"])
    for _ in range(6):
        keys(console, ARROWS["up"])
    keys(console, ARROWS["right"])
    console.until("document.querySelectorAll('.tree').length", "nothing was unfolded")
    console.photograph(ARTEFACTS / f"console-{name}-{scheme}.png")
    page = "document.documentElement"
    assert console.driver.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth")
    cut = console.driver.execute_script(
        """return [...document.querySelectorAll('button, input, select, textarea, dd')]
        .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth)
        .map((each) => each.id)"""
    )
    assert cut == []
    below = "document.querySelector('footer').getBoundingClientRect().top"
    assert console.driver.execute_script(
        f"""return [...document.querySelectorAll('main > *')].every(
        (each) => each.getBoundingClientRect().bottom <= {below})"""
    )
