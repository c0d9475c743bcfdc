"""The example pages of the hub: rooms with a browser of 2012 too, and pages fed by programs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from browser.chromium import Browser, grow
from peers.bus_servers import RedisServer
from peers.phantomjs import browsing
from support.daemon import PATIENCE, Daemon, running
from support.frames import MASK, modern_frame
from support.page_requests import opened
from support.workers import working
from txhixie.sansio.wire.frame import Opcode

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TOKEN = "0123456789abcdef0123456789abcdef"
CHAT = {"of today": "hub_chat.html", "of 2009": "hub_chat_2009.html"}
PAGES = ("--serve", f"/=static:{EXAMPLES}")


@pytest.fixture
def publishers(tmp_path: Path) -> Path:
    """The file of the tokens."""
    file = tmp_path / "publishers"
    file.write_text(f"{TOKEN} the sensors\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def daemon(tmp_path: Path, publishers: Path) -> Iterator[Daemon]:
    """A daemon with a room, the topics of the dashboard and the plot, and the pages."""
    told = f"history=100 publish=nobody publish-tokens={publishers}"
    routes = ("/room=hub history=20", f"/dashboard=hub {told}", f"/plot=hub {told}")
    with running(tmp_path, *(f"--serve={route}" for route in routes), *PAGES) as daemon:
        yield daemon


def url(daemon: Daemon, page: str) -> str:
    """The URL of a page."""
    return f"http://127.0.0.1:{daemon.port}/{page}"


def joined(chromium: Browser, daemon: Daemon, page: str, name: str) -> None:
    """Open a page of a chat, and give the member a name."""
    chromium.open(url(daemon, page))
    chromium.awaits("state", "connected")
    field = chromium.element("name")
    assert field.get_attribute("value").startswith("guest ")
    field.clear()
    field.send_keys(name)


def items(chromium: Browser) -> list[str]:
    """The messages that the page of a chat shows."""
    shown = "Array.from(document.querySelector('#said').children, (item) => item.textContent)"
    return [str(each) for each in chromium.until(shown, "no messages")]


def say(chromium: Browser, words: str) -> None:
    """Type words into the page of a chat, and press the button."""
    chromium.element("words").send_keys(words)
    chromium.element("say").click()
    assert chromium.element("words").get_attribute("value") == ""


def converse(directory: Path, chromium: Browser, daemon: Daemon, members: str = "") -> list[str]:
    """
    Chat in PhantomJS and Chromium, in the room of a daemon.

    :param members: the number of members that Chromium shows meanwhile; empty for any number.
    :return: the messages that both pages show.
    """
    browse = browsing(directory, 2 * PATIENCE)  # the script waits for Chromium too
    joined(chromium, daemon, CHAT["of today"], "Grace")
    say(chromium, "grüße, earlier")
    with ThreadPoolExecutor() as pool:
        old = pool.submit(
            browse,
            "steps.js",
            page=url(daemon, CHAT["of 2009"]),
            steps=[
                ["await", "state", "connected"],
                ["await", "said", "Grace: grüße, earlier"],
                ["type", "name", "Ada"],
                ["type", "words", "good <b>evening</b>"],
                ["click", "say"],
                ["await", "said", "Ada: good <b>evening</b>"],
                ["await", "said", "Grace: and to you"],
                ["type", "words", "bye"],
                ["click", "say"],
                ["await", "said", "Ada: bye"],
            ],
        )
        chromium.awaits("said", "Ada: good <b>evening</b>")
        chromium.awaits("members", members)
        say(chromium, "and to you")
        chromium.awaits("said", "Ada: bye")
        seen = old.result()
    said = items(chromium)
    assert seen["complaints"] == []
    assert seen["done"] == 10
    assert seen["texts"]["said"] == "".join(said)
    assert chromium.complaints() == []
    return said


SAID = ["Grace: grüße, earlier", "Ada: good <b>evening</b>", "Grace: and to you", "Ada: bye"]


def test_browsers_of_2012_and_of_today_chat_in_one_room(
    tmp_path: Path, chromium: Browser, daemon: Daemon
) -> None:
    """The page of 2009 speaks hixie-76 in PhantomJS 1.9.8, the other one RFC 6455 in Chromium."""
    assert converse(tmp_path, chromium, daemon, members="2") == SAID
    chromium.awaits("members", "1")
    assert "dialect=hixie-76" in daemon.log
    assert "dialect=rfc6455" in daemon.log


def test_browsers_chat_in_one_room_of_two_workers(tmp_path: Path, chromium: Browser) -> None:
    """A member of each worker receives what both browsers send."""
    with (
        working(tmp_path, "--serve", "/room=hub history=20", *PAGES) as workers,
        ExitStack() as members,
    ):
        listeners: dict[int, socket.socket] = {}
        while len(listeners) < 2:
            member = members.enter_context(opened(workers.daemon, target="/room"))
            address = "peer={}:{} ".format(*member.getsockname())
            workers.daemon.logged(address)
            number = 1 if workers.lines(1, address) else 2
            listeners[number] = member
        assert converse(tmp_path, chromium, workers.daemon) == SAID
        for listener in listeners.values():
            for words in SAID:
                hears(listener, words)


def sends(member: socket.socket, words: str) -> None:
    """Send a text message."""
    member.sendall(modern_frame(Opcode.TEXT, words.encode(), key=MASK))


def hears(member: socket.socket, words: str) -> None:
    """Receive a text message, of fewer than 126 bytes."""
    expected = modern_frame(Opcode.TEXT, words.encode())
    received = b""
    while len(received) < len(expected):
        piece = member.recv(len(expected) - len(received))
        assert piece, received
        received += piece
    assert received == expected


@pytest.mark.parametrize("page", CHAT.values(), ids=CHAT)
def test_a_page_of_a_chat_gets_what_it_has_missed(
    chromium: Browser, daemon: Daemon, page: str
) -> None:
    """Its own messages are shown once, in the order of the room."""
    with opened(daemon, target="/room") as speaker, opened(daemon, target="/room") as listener:
        joined(chromium, daemon, page, "Grace")
        say(chromium, "one")
        hears(listener, "Grace: one")
        sends(speaker, "two")
        chromium.awaits("said", "two")
        hears(listener, "two")
        say(chromium, "three")
        hears(listener, "Grace: three")
        again = "window.setTimeout = (connect) => { window.again = connect; }; socket.close()"
        chromium.driver.execute_script(again)
        chromium.awaits("state", "connecting again")
        sends(speaker, "four")
        hears(listener, "four")
        chromium.driver.execute_script("window.again()")
        chromium.awaits("said", "four")
        sends(speaker, "five")
        chromium.awaits("said", "five")
    assert items(chromium) == ["Grace: one", "two", "Grace: three", "four", "five"]
    assert chromium.complaints() == []


def publish(where: str, publishers: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """Publish lines to a topic as the guide does."""
    command = [sys.executable, os.fspath(EXAMPLES / "publish.py"), where, os.fspath(publishers)]
    text = "".join(f"{line}\n" for line in lines)
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_publish_without_arguments_writes_how_it_is_called() -> None:
    command = [sys.executable, os.fspath(EXAMPLES / "publish.py")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 1
    assert "python publish.py http://127.0.0.1:8080/dashboard publishers" in ran.stderr


def values(chromium: Browser) -> list[str]:
    """The names and values that the dashboard shows."""
    shown = "Array.from(document.querySelectorAll('section'), (one) => one.innerText.trim())"
    return [" ".join(each.split()) for each in chromium.until(shown, "no values")]


def test_a_dashboard_shows_the_last_value_of_each_name(
    chromium: Browser, daemon: Daemon, publishers: Path
) -> None:
    published = publish(
        url(daemon, "dashboard"), publishers, "load 0.1", "disk almost <i>full</i>", "load 0.25"
    )
    assert (published.returncode, published.stderr) == (0, "")
    chromium.open(url(daemon, "dashboard.html"))
    chromium.awaits("values", "0.25")
    assert values(chromium) == ["load 0.25", "disk almost <i>full</i>"]
    publish(url(daemon, "dashboard"), publishers, "load 0.5", "queue 7")
    chromium.awaits("values", "7")
    assert values(chromium) == ["load 0.5", "disk almost <i>full</i>", "queue 7"]
    line = "document.querySelector('polyline').getAttribute('points')"
    assert len(str(chromium.until(line, "no line")).split()) == 3
    assert chromium.complaints() == []


def test_a_plot_is_drawn_from_published_numbers(
    chromium: Browser, daemon: Daemon, publishers: Path
) -> None:
    chromium.open(url(daemon, "plot.html"))
    publish(url(daemon, "plot"), publishers, "-20", "1.5", "30", "2")
    chromium.awaits("count", "4")
    assert [chromium.text(name) for name in ("last", "least", "most")] == ["2", "-20", "30"]
    points = str(chromium.element("line").get_attribute("points")).split()
    assert [float(point.partition(",")[2]) for point in points] == [100, 14, -100, 12]
    assert chromium.complaints() == []


@pytest.mark.parametrize("page", ["plot.html", "dashboard.html", *CHAT.values()])
def test_a_page_connects_again_with_growing_delays(
    chromium: Browser, daemon: Daemon, page: str
) -> None:
    chromium.open(url(daemon, page))
    chromium.awaits("state", "connected")
    chromium.hold_timers()
    daemon.terminate()
    daemon.ended()
    chromium.awaits("state", "connecting again")
    assert grow(chromium.fire(6))


def test_publish_without_its_file_of_a_token_is_one_line(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.write_text("\n")
    for file, why in ((missing, "No such file"), (tmp_path, "Is a directory"), (empty, "is empty")):
        ran = publish("http://127.0.0.1:1/dashboard", file, "load 0.1")
        assert ran.returncode == 1
        (line,) = ran.stderr.splitlines()
        assert line.startswith("the file of the token ")
        assert why in line
        assert str(file) in line


def test_a_refused_message_is_one_line_without_the_token(
    tmp_path: Path, daemon: Daemon, publishers: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("f" * 32)
    refused = publish(url(daemon, "dashboard"), wrong, "load 0.1", "load 0.2")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "/dashboard refused a message with status 401: " in refused.stderr
    assert "ffff" not in refused.stderr
    closed = publish(url(daemon, "room"), publishers, "hello")  # a hub without publish-tokens
    assert "/room refused a message with status 405: method not allowed; " in closed.stderr
    unreached = publish("http://127.0.0.1:1/dashboard", publishers, "load 0.1", "load 0.2")
    assert unreached.returncode == 1
    assert len(unreached.stderr.splitlines()) == 2
    assert TOKEN not in unreached.stderr


def subscribed(server: RedisServer, topic: str) -> None:
    """Wait until a daemon has subscribed to a topic, as it does when the first member joins."""
    deadline = time.monotonic() + PATIENCE
    while server.command("PUBSUB", "NUMSUB", topic).split() != [topic, "1"]:
        assert time.monotonic() < deadline, "the daemon has not subscribed"
        time.sleep(0.05)


def test_a_dashboard_is_fed_by_redis_cli(tmp_path: Path, chromium: Browser) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        options = ("--serve", "/dashboard=hub publish=nobody", "--bus", server.url)
        with running(tmp_path, *options, *PAGES) as daemon:
            daemon.logged("bus-up")
            chromium.open(url(daemon, "dashboard.html"))
            chromium.awaits("state", "connected")
            subscribed(server, "dashboard")
            server.command("PUBLISH", "dashboard", "temperature 21.5")
            server.command("PUBLISH", "dashboard", "door open")
            chromium.awaits("values", "open")
            assert values(chromium) == ["temperature 21.5", "door open"]
            assert chromium.complaints() == []
    finally:
        server.kill()
