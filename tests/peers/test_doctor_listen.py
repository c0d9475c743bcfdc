"""``txhixie doctor --listen`` finds nothing wrong with clients of today, and with old browsers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from subprocess import run

import pytest

from peers.peer import PATIENCE
from peers.phantomjs import Browse
from support import third_party
from support.device_doctor import Doctor, Seen, doctor

NODE = """
const { WebSocket } = require(process.argv[1]);
const socket = new WebSocket(process.argv[2], ["sample"]);
socket.on("open", () => {
  socket.send("h\\u00e9llo");
  socket.send(Buffer.from([0, 255]));
  socket.close(1000, "bye");
});
"""
PYTHON = """
import sys
from websockets.sync.client import connect

with connect(sys.argv[1], subprotocols=["sample"]) as socket:
    socket.send("h\\u00e9llo")
    socket.send(bytes(70000))
    socket.ping()
"""


@pytest.fixture
def listening() -> Iterator[Doctor]:
    with doctor() as running:
        yield running


def only(listening: Doctor) -> Seen:
    (seen,) = listening.all_seen(1)
    assert (seen.deviations, seen.result) == ([], "ok"), seen.words
    return seen


def url(listening: Doctor, path: str = "/") -> str:
    return f"ws://127.0.0.1:{listening.ports[0]}{path}"


def test_websockets_of_Python(listening: Doctor) -> None:
    command = [str(third_party.websockets()), "-c", PYTHON, url(listening, "/a/b")]
    run(command, check=True, timeout=PATIENCE)
    seen = only(listening)
    assert "GET /a/b, rfc6455, User-Agent Python/" in seen.words
    assert "subprotocols sample; extensions permessage-deflate" in seen.words
    assert seen.words.endswith("2 messages; closed by the device with 1000")


def test_ws_of_node(listening: Doctor) -> None:
    library = str(third_party.ws_library())
    command = [str(third_party.node()), "-e", NODE, library, url(listening)]
    run(command, check=True, timeout=PATIENCE)
    seen = only(listening)
    assert "GET /, rfc6455, no User-Agent, " in seen.words
    assert seen.words.endswith("2 messages; closed by the device with 1000")


@pytest.mark.parametrize(("version", "dialect"), [("75", "hixie-75"), ("76", "hixie-76")])
def test_websocket_of_ruby(listening: Doctor, version: str, dialect: str) -> None:
    port = str(listening.ports[0])
    client = Path(__file__).parent / "ruby" / "client.rb"
    # Its Host is localhost:PORT, and that is the Origin of a page there.
    words = [port, "/chat", version, f"http://localhost:{port}", ""]
    run([third_party.ruby_with_websocket(), client, *words], check=True, timeout=PATIENCE)
    assert f"GET /chat, {dialect}, " in only(listening).words


def test_phantomjs(listening: Doctor, browse: Browse) -> None:
    seen = browse(
        "websocket.js",
        origin=f"http://127.0.0.1:{listening.ports[0]}",
        url=url(listening),
        subprotocol="sample",
        messages=[],
        close="page",
    )
    assert seen["events"] == ["open", "close"]
    assert "GET /, hixie-76, " in only(listening).words
