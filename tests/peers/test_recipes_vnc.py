"""The desktops of docs/howto/recipes.rst: noVNC in Chromium, the daemon, and TigerVNC."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from browser.chromium import Browser, started
from peers.reverse_proxies import running
from support import third_party
from support.daemon import PATIENCE, Daemon, free_port
from support.daemon import started as daemon_started
from support.guide_pages import block, read_page

PAGE: Final = "docs/howto/recipes.rst"
DESKTOPS: Final = {
    "one": ("51", "1280x800", "#204080", [0x20, 0x40, 0x80, 255]),
    "two": ("52", "1024x768", "#a05010", [0xA0, 0x50, 0x10, 255]),
}
"""By the token: the display and the size on the page, and the colour, also as of a canvas."""

CANVAS: Final = "document.querySelector('#noVNC_container canvas')"
STATE: Final = "document.documentElement.classList.contains"


def options_of(display: str) -> list[str]:
    """The options of a VNC server of the page, without the number of its port."""
    lines = [line for each in read_page(PAGE).blocks for line in each.text.splitlines()]
    words = next(line for line in lines if line.startswith(f"$ Xvnc :{display} ")).split()[3:]
    assert words.pop(0) == "-rfbport"
    return words[1:]


def make_password(directory: Path) -> None:
    """Make the password file of the VNC servers."""
    third_party.xvnc()
    command, given = ["vncpasswd", "-f"], b"desktops\n"
    made = subprocess.run(command, input=given, capture_output=True, check=True, timeout=PATIENCE)
    (directory / "vnc-password").write_bytes(made.stdout)


@contextmanager
def desktop(directory: Path, *options: str, colour: str = "#204080") -> Iterator[int]:
    """Run a VNC server, in a directory with the password file; yields its port."""
    xvnc, xsetroot = third_party.xvnc(), third_party.xsetroot()
    # The number of the display is that of the port: the display has no TCP port of its own.
    port = free_port()
    words = [str(xvnc), f":{port}", "-rfbport", str(port), *options, "-nolisten", "tcp"]
    with running(words, [port], directory):
        environment = {**os.environ, "DISPLAY": f":{port}"}
        painted = [str(xsetroot), "-solid", colour]
        subprocess.run(painted, env=environment, check=True, timeout=PATIENCE)
        yield port


@pytest.fixture(scope="module")
def desktops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The ports of both VNC servers, by their tokens."""
    directory = tmp_path_factory.mktemp("desktops")
    make_password(directory)
    with ExitStack() as stack:
        yield {
            token: stack.enter_context(desktop(directory, *options_of(display), colour=colour))
            for token, (display, _, colour, _) in DESKTOPS.items()
        }


@pytest.fixture
def daemon(tmp_path: Path, desktops: dict[str, int]) -> Iterator[Daemon]:
    """The daemon of the page, with other ports, and with the first desktop alone."""
    third_party.novnc()
    command = [str(third_party.htpasswd()), "-cbB", "people", "alice", "sesame"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE)
    port = free_port()
    text = block(PAGE, "desktops.toml")
    for old, new in (
        ("port = 6080", f'port = "tcp:{port}:interface=127.0.0.1"'),
        ("/usr/share/novnc", str(third_party.novnc())),
        ('"people"', f'"{tmp_path / "people"}"'),
        ('"desktops"', f'"{tmp_path / "desktops"}"'),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "desktops.toml").write_text(text, "utf-8")
    add(tmp_path, desktops, "one")
    with daemon_started(tmp_path, port, "--config", str(tmp_path / "desktops.toml")) as daemon:
        yield daemon


def add(directory: Path, desktops: dict[str, int], token: str) -> None:
    """Add the line of a desktop, as it is on the page, to the file of targets."""
    lines = block(PAGE, "desktops").splitlines()
    line = next(line for line in lines if line.startswith(f"{token}: 127.0.0.1:"))
    with (directory / "desktops").open("a", encoding="utf-8") as file:
        file.write(f"{line.rpartition(':')[0]}:{desktops[token]}\n")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser of its own, since a browser keeps a password until it ends."""
    (tmp_path / "profile").mkdir()
    with started(tmp_path / "profile") as browser:
        yield browser


def visit(browser: Browser, daemon: Daemon, token: str) -> None:
    """Open the page of noVNC, which connects at once, as alice."""
    page = f"vnc.html?path=websockify%3Ftoken%3D{token}&autoconnect=true"
    browser.open(f"http://alice:sesame@127.0.0.1:{daemon.port}/{page}")


def sees(browser: Browser, token: str) -> None:
    """Give noVNC the password, and wait until its canvas shows the desktop of this token."""
    asked = "document.querySelector('#noVNC_credentials_dlg.noVNC_open')"
    browser.until(asked, "noVNC does not ask for the password")
    browser.element("noVNC_password_input").send_keys("desktops")
    browser.element("noVNC_credentials_button").click()
    browser.until(f"{STATE}('noVNC_connected')", "noVNC is not connected")
    _, size, _, colour = DESKTOPS[token]
    shown = f"`${{{CANVAS}.width}}x${{{CANVAS}.height}}`"
    browser.until(f"{CANVAS} && {shown} === '{size}'", f"no desktop of {size}")
    pixel = f"[...{CANVAS}.getContext('2d').getImageData(9, 9, 1, 1).data].join()"
    wanted = ",".join(map(str, colour))
    browser.until(f"{pixel} === '{wanted}'", f"the desktop has not the colour {wanted}")


def test_noVNC_shows_the_desktop_of_the_token(browser: Browser, daemon: Daemon) -> None:
    visit(browser, daemon, "one")
    sees(browser, "one")
    line = daemon.logged("opened connection=")
    assert "token=one" not in line


def test_a_desktop_that_is_added_while_the_daemon_runs_can_be_opened(
    browser: Browser, daemon: Daemon, desktops: dict[str, int], tmp_path: Path
) -> None:
    visit(browser, daemon, "two")
    browser.awaits("noVNC_status", "Failed to connect to server")
    assert "status=404" in daemon.logged("unknown token of a target")
    add(tmp_path, desktops, "two")
    visit(browser, daemon, "two")
    sees(browser, "two")


def test_the_page_is_not_served_without_a_password(browser: Browser, daemon: Daemon) -> None:
    browser.open(f"http://127.0.0.1:{daemon.port}/vnc.html")
    assert "noVNC" not in browser.driver.page_source
    assert "status=401" in daemon.logged("user name and password required")


def greetings(port: int) -> set[bytes]:
    """The first bytes of the last two of eight connections without a password."""
    seen = []
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
            seen.append(peer.recv(12))
    return set(seen[-2:])


def test_TigerVNC_refuses_an_address_after_some_connections_unless_told(tmp_path: Path) -> None:
    """All clients have the address of the gateway, so the page has ``-UseBlacklist=0``."""
    make_password(tmp_path)
    options = options_of("51")
    with desktop(tmp_path, *options) as port:
        assert greetings(port) == {b"RFB 003.008\n"}
    options.remove("-UseBlacklist=0")
    with desktop(tmp_path, *options) as port:
        assert greetings(port) != {b"RFB 003.008\n"}
