"""The serial console of docs/howto/recipes.rst: ser2net at a pseudo terminal behind ``tcp:``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL

import pytest

from peers.peer import onReactor
from peers.reverse_proxies import daemon, running
from support import command_line, third_party
from support.daemon import PATIENCE, free_port
from support.guide_pages import block
from txhixie import CleanClose, connect

PAGE = "docs/howto/recipes.rst"
RUBY = Path(__file__).parent / "ruby" / "client.rb"


def save(directory: Path, name: str, replaced: dict[str, str]) -> Path:
    """Write a file of the page with other ports and paths, each of which is in the file."""
    text = block(PAGE, name)
    for old, new in replaced.items():
        assert old in text, f"{old} is not in {name}"
        text = text.replace(old, new)
    file = directory / name
    file.write_text(text, "utf-8")
    return file


@contextmanager
def supply(directory: Path, end: str = r'b"\r\n"', connections: str = "8") -> Iterator[int]:
    """
    Run the device, ser2net and the daemon of the page; yields the daemon's port.

    :param connections: ser2net's ``max-connections``.
    :param end: what the device writes after each answer, as Python code.
    """
    ser2net = third_party.ser2net()
    serial, port = free_port(), free_port()
    device = save(directory, "supply.py", {r'b"\r\n"': end})
    name = directory / "ttyUSB0"
    changed = {"/dev/ttyUSB0": str(name), "7000": str(serial), ": 8": f": {connections}"}
    bridge = save(directory, "ser2net.yaml", changed)
    routes = save(directory, "console.toml", {"8080": str(port), "7000": str(serial)})
    with running([sys.executable, device], [], directory):
        deadline = time.monotonic() + PATIENCE
        while not name.exists():
            assert time.monotonic() < deadline, "the device has no serial port"
            time.sleep(0.02)
        with (
            running([ser2net, "-n", "-c", bridge], [serial], directory),
            running(daemon(routes), [port], directory),
        ):
            yield port


def asked_by_ruby(port: int, *commands: str) -> object:
    """Send commands by the hixie-75 client of Ruby; the answers."""
    words = [str(port), "/supply", "75", f"http://localhost:{port}", "", *commands]
    command = [str(third_party.ruby_with_websocket()), str(RUBY), *words]
    done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    told = json.loads(done.stdout)
    assert told["valid"], told
    return told["messages"]


def test_a_command_and_a_client_of_hixie_75_read_the_same_console(tmp_path: Path) -> None:
    with supply(tmp_path) as port:
        url = f"ws://127.0.0.1:{port}/supply"
        with command_line.start("connect", url, stderr=DEVNULL) as watching:
            assert watching.stdin is not None
            assert watching.stdout is not None
            try:
                watching.stdin.write(b"version\n")
                watching.stdin.flush()
                assert watching.stdout.readline() == b"PSU 3.1\n"
                assert asked_by_ruby(port, "volts", "amperes") == ["12.0 V", "unknown command"]
                assert watching.stdout.readline() == b"12.0 V\n"
                assert watching.stdout.readline() == b"unknown command\n"
                watching.stdin.close()
                assert watching.stdout.read() == b""
                assert watching.wait(PATIENCE) == 0
            finally:
                watching.kill()


@onReactor
async def test_a_prompt_comes_at_once_as_text_and_with_the_next_line_as_lines(
    tmp_path: Path,
) -> None:
    with supply(tmp_path, r'b"\r\n> "') as port:
        url = f"ws://127.0.0.1:{port}/supply"
        async with connect(f"{url}/terminal") as terminal, connect(url) as console:
            await terminal.send("volts\r\n")
            text = ""
            while not text.endswith("> "):
                text += str(await terminal.receive())
            assert text == "12.0 V\r\n> "
            assert await console.receive() == "12.0 V"
            await console.send("version")
            assert await console.receive() == "> PSU 3.1"


@onReactor
async def test_ser2net_tells_a_second_client_that_the_port_is_in_use(tmp_path: Path) -> None:
    """With ``max-connections`` of 1, its default."""
    with supply(tmp_path, connections="1") as port:
        url = f"ws://127.0.0.1:{port}/supply"
        async with connect(url) as first:
            await first.send("version")
            assert await first.receive() == "PSU 3.1"
            async with connect(url) as second:
                assert await second.receive() == "Port already in use"
                with pytest.raises(CleanClose) as closed:
                    await second.receive()
            assert closed.value.code == 1000
