"""Today's browser against the installed daemon, as its pages see it and as a person does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import Browser
from support.daemon import Daemon, running

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts" / "browser"
MEBIBYTE = 1024 * 1024
NORMAL = [1000, ""]

ENTER = "\ue007"  # WebDriver's name for the key


def url(daemon: Daemon, path: str = "/") -> str:
    return f"ws://127.0.0.1:{daemon.port}{path}"


# Messages.


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "",
        "gr\u00fc\u00dfe, \u20ac, \U0001f600",
        "a\0b",
        [0, 1, 127, 128, 255],
        [],
    ],
    ids=["text", "empty-text", "unicode", "nul", "binary", "empty-binary"],
)
def test_a_message_comes_back(page: Browser, daemon: Daemon, message: object) -> None:
    seen = page.converse(url(daemon), sends=[message], echoes=1, close=NORMAL)
    assert seen["received"] == [message]
    assert (seen["code"], seen["clean"], seen["failed"]) == (1000, True, False)


@pytest.mark.parametrize(
    "message",
    [
        {"of": "0123456789abcdef", "times": MEBIBYTE // 16},
        {"of": "\u20ac", "times": MEBIBYTE // 3},
        {"of": [0, 255, 128, 7], "times": MEBIBYTE // 4},
        {"random": MEBIBYTE},
    ],
    ids=["text", "euros", "binary", "random"],
)
def test_a_mebibyte_comes_back(page: Browser, daemon: Daemon, message: object) -> None:
    seen = page.converse(url(daemon), sends=[message], echoes=1, close=NORMAL)
    assert (seen["echoed"], seen["code"], seen["clean"]) == ([True], 1000, True)


def test_a_byte_more_is_refused_with_its_code(page: Browser, daemon: Daemon) -> None:
    message = {"of": "x", "times": MEBIBYTE + 1}
    seen = page.converse(url(daemon), sends=[message], echoes=1, close=NORMAL)
    assert (seen["received"], seen["code"]) == ([], 1009)
    assert seen["reason"] == "message too big"


def test_many_messages_come_back_in_their_order(page: Browser, daemon: Daemon) -> None:
    sends: list[object] = [
        {"of": f"{number} " if number % 2 else [number % 256], "times": number}
        for number in range(1, 301)
    ]
    seen = page.converse(url(daemon), sends=sends, echoes=len(sends), close=NORMAL)
    assert seen["echoed"] == [True] * len(sends)
    assert daemon.logged("code=1000 by=peer received=300 sent=300 ")


# What is agreed.


def test_messages_are_compressed(page: Browser, daemon: Daemon) -> None:
    message = {"of": "compress me ", "times": 1000}
    seen = page.converse(url(daemon), sends=[message] * 3, echoes=3, close=NORMAL)
    assert seen["extensions"].startswith("permessage-deflate")
    assert seen["echoed"] == [True] * 3
    assert daemon.logged(" dialect=rfc6455 ").endswith(" extensions=permessage-deflate")


def test_broadcasts_and_own_messages_alternate_in_one_window(
    chromium: Browser, broadcasting_port: int
) -> None:
    """A compressor that keeps its context starts anew after a broadcast, which it did not see."""
    chromium.open(f"http://127.0.0.1:{broadcasting_port}/")
    texts = [f"{number} the quick brown fox jumps over the lazy dog" for number in range(20)]
    seen = chromium.converse(
        f"ws://127.0.0.1:{broadcasting_port}/", sends=texts, echoes=60, close=NORMAL
    )
    assert seen["extensions"] == "permessage-deflate"
    expected = [f"{kind} {text}" for text in texts for kind in ("own", "all", "own")]
    assert seen["received"] == expected
    assert (seen["code"], seen["clean"]) == (1000, True)


def test_a_subprotocol_is_agreed(page: Browser, daemon: Daemon) -> None:
    seen = page.converse(url(daemon, "/chat?room=1"), protocols=["best", "good"], close=NORMAL)
    assert (seen["protocol"], seen["code"]) == ("best", 1000)
    line = daemon.logged('target="/chat?room=..."')
    assert f"origin=http://127.0.0.1:{daemon.port} subprotocol=best offered=good" in line


def test_no_subprotocol_is_agreed_where_none_was_asked_for(page: Browser, daemon: Daemon) -> None:
    assert page.converse(url(daemon), close=NORMAL)["protocol"] == ""


# The end of a connection.


@pytest.mark.parametrize(
    ("close", "code", "words"),
    [
        ([], 1005, "code=1005 by=peer "),
        ([1000], 1000, "code=1000 by=peer "),
        ([3999, "enough"], 3999, "code=3999 reason=enough by=peer "),
        ([4000, "\u20ac" * 41], 4000, "code=4000 reason=\\u20ac\\u20ac"),
    ],
    ids=["nothing", "code", "reason", "longest"],
)
def test_a_close_by_the_page_is_clean(
    page: Browser, daemon: Daemon, close: list[Any], code: int, words: str
) -> None:
    seen = page.converse(url(daemon), close=close)
    assert (seen["code"], seen["clean"], seen["failed"]) == (code, True, False)
    assert seen["reason"] == (close[1] if len(close) > 1 else "")
    assert daemon.logged(words)


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/because", 4001, "because"),
        ("/plain", 1000, ""),
        ("/long", 4002, "\u20ac" * 41),  # 123 bytes
        ("/spoken", 3000, "that was all"),
        ("/failing", 1011, "the application failed"),
    ],
)
def test_the_server_closes(
    chromium: Browser, closing_port: int, path: str, code: int, reason: str
) -> None:
    chromium.open(f"http://127.0.0.1:{closing_port}/")
    seen = chromium.converse(f"ws://127.0.0.1:{closing_port}{path}")
    assert (seen["code"], seen["reason"], seen["clean"]) == (code, reason, True)
    assert (seen["opened"], seen["failed"]) == (True, False)
    assert seen["received"] == (["goodbye"] if path == "/spoken" else [])


@pytest.mark.parametrize(("path", "opened"), [("/aborted", True), ("/nowhere", False)])
def test_a_lost_connection_is_1006_on_the_page(
    chromium: Browser, closing_port: int, path: str, opened: bool
) -> None:
    chromium.open(f"http://127.0.0.1:{closing_port}/")
    seen = chromium.converse(f"ws://127.0.0.1:{closing_port}{path}", sends=["end"])
    assert (seen["code"], seen["reason"], seen["clean"]) == (1006, "", False)
    assert seen["opened"] is opened


def test_a_daemon_that_ends_closes_with_1001(page: Browser, daemon: Daemon) -> None:
    page.element("connect").click()
    page.awaits("state", "open")
    daemon.terminate()
    page.awaits("state", "closed")
    assert page.text("closecode") == "1001"
    assert page.text("notice").startswith("Closed after")


# Origins.


REFUSED = 'status=403 reason="Origin not allowed (origins, --origins)"'


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Daemon]:
    """A second daemon; for its port a page of the first daemon has a foreign origin."""
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other") as other:
        yield other


def test_the_page_of_another_port_is_refused(page: Browser, daemon: Daemon, other: Daemon) -> None:
    seen = page.converse(url(other), close=NORMAL)
    assert (seen["opened"], seen["failed"], seen["code"]) == (False, True, 1006)
    assert other.logged(REFUSED).endswith(f"origin=http://127.0.0.1:{daemon.port} dialect=rfc6455")
    assert any("403" in words for words in page.complaints())


def test_the_page_of_another_name_is_refused(page: Browser, daemon: Daemon) -> None:
    seen = page.converse(f"ws://localhost:{daemon.port}/", close=NORMAL)
    assert (seen["opened"], seen["failed"], seen["code"]) == (False, True, 1006)
    assert daemon.logged(REFUSED).endswith(f"origin=http://127.0.0.1:{daemon.port} dialect=rfc6455")


def test_a_page_without_a_host_is_refused(chromium: Browser, daemon: Daemon) -> None:
    chromium.open("data:text/html,<title>of nobody</title>")
    seen = chromium.converse(url(daemon), close=NORMAL)
    assert (seen["opened"], seen["failed"], seen["code"]) == (False, True, 1006)
    assert daemon.logged(REFUSED).endswith("origin=null dialect=rfc6455")


def test_the_page_of_an_allowed_origin_is_admitted(
    page: Browser, daemon: Daemon, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other", "--origins", f"http://127.0.0.1:{daemon.port}") as other:
        seen = page.converse(url(other), sends=["hello"], echoes=1, close=NORMAL)
        assert (seen["received"], seen["code"]) == (["hello"], 1000)


# The console, as a person uses it.


def test_the_console_is_used(page: Browser, daemon: Daemon) -> None:
    assert page.driver.title == "closed - txhixie console"
    assert page.element("url").get_attribute("value") == url(daemon)
    assert not page.element("send").is_enabled()
    page.element("subprotocol").send_keys("sample")
    page.element("connect").click()
    page.awaits("state", "open")
    assert (page.text("dialect"), page.text("protocol")) == ("rfc6455", "sample")
    assert page.text("extensions").startswith("permessage-deflate")

    typed = (
        page.driver.switch_to.active_element
    )  # the field for messages has the focus after connecting
    assert typed.get_attribute("id") == "message"
    typed.send_keys("Hello, WebSocket", ENTER)
    page.awaits("received", "1")
    typed.send_keys("<b>not bold</b> \u20ac")
    page.element("send").click()
    page.awaits("received", "2")
    page.driver.find_element("xpath", "//summary[.='Send binary']").click()
    page.element("hex").send_keys("00 ff 48 69")
    page.element("sendhex").click()
    page.awaits("received", "3")

    entries = page.driver.find_elements("css selector", "#log .entry:not(.event)")
    told = [
        (
            entry.get_attribute("data-direction"),
            entry.get_attribute("data-kind"),
            entry.find_element("class name", "payload").text,
        )
        for entry in entries
    ]
    assert told == [
        (direction, kind, text)
        for kind, text in [
            ("text", "Hello, WebSocket"),
            ("text", "<b>not bold</b> \u20ac"),
            ("binary", "00 ff 48 69"),
        ]
        for direction in ("out", "in")
    ]
    assert re.fullmatch(
        r"last [\d.,]+ ms\s+median [\d.,]+ ms, longest [\d.,]+ ms of 3", page.text("latency")
    )
    page.photograph(ARTEFACTS / "console.png")

    page.element("disconnect").click()
    page.awaits("state", "closed")
    assert page.text("closecode") == "1000"
    assert page.text("notice").startswith("Closed after")
    events = [
        each.text for each in page.driver.find_elements("css selector", "#log .event .payload")
    ]
    assert [event.split(" after ")[0] for event in events] == ["Open", "Closed"]
    assert (
        page.driver.find_elements("css selector", "#log .entry")[-1].get_attribute("data-direction")
        == "event"
    )
    assert not page.element("send").is_enabled()
    page.photograph(ARTEFACTS / "console-closed.png")
    assert not page.complaints()
    assert daemon.logged("code=1000 by=peer received=3 sent=3 ")


def test_the_console_says_that_it_could_not_connect(page: Browser, daemon: Daemon) -> None:
    daemon.terminate()
    daemon.ended()
    page.element("connect").click()
    page.awaits("notice", "Could not connect")
    assert page.text("state") == "closed"
    assert page.text("closecode") == "1006"
    (told,) = page.driver.find_elements("css selector", "#log .event.wrong .payload")
    assert told.text.startswith("Could not connect")


@pytest.mark.parametrize("path", ["", "2009"])
def test_a_url_without_a_scheme_is_a_host(page: Browser, daemon: Daemon, path: str) -> None:
    """And not a path of this page, nor the scheme ``localhost:``."""
    page.open(f"http://127.0.0.1:{daemon.port}/{path}")
    field = page.element("url")
    field.clear()
    field.send_keys(f"localhost:{daemon.port}/typed-{path or 'new'}")
    page.element("connect").click()
    page.awaits("notice", "ould not connect")  # a foreign page, to localhost
    line = daemon.logged(f"target=/typed-{path or 'new'}")
    assert f" host=localhost:{daemon.port} " in line


def test_the_console_of_2009_still_works(page: Browser, daemon: Daemon) -> None:
    page.open(f"http://127.0.0.1:{daemon.port}/2009")
    page.element("connect").click()
    page.awaits("state", "open")
    page.element("message").send_keys("Hello, WebSocket", ENTER)
    page.awaits("counts", "1 sent, 1 received")
    assert page.text("log").count("Hello, WebSocket") == 2
    page.photograph(ARTEFACTS / "console2009.png")
    page.element("close").click()
    page.awaits("state", "closed")
    assert not page.complaints()
