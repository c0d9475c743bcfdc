"""The recipe for a charger for cars: its faulty handshake reaches a real OCPP backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peers.reverse_proxies import running
from support import third_party
from support.blocking_peer import answer, connected
from support.daemon import Daemon, free_port, started
from support.frame_writer import FrameWriter
from support.guide_pages import block
from support.handshake_bytes import head_of, status_of

PAGE = "docs/howto/recipes.rst"
WORDS = 'quirks = ["upgrade"]\nassume = "ocpp1.6"\n'
REQUEST = (
    b"GET /ocpp/CP01 HTTP/1.1\r\nHost: charging.example\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n"
)
"""Without ``Connection: Upgrade``, and without a subprotocol."""

CHARGER = {"chargePointVendor": "Autel", "chargePointModel": "MaxiCharger"}
BOOTED = json.dumps([2, "17", "BootNotification", CHARGER])


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The backend of the guide, by the libraries ``ocpp`` and ``websockets``; its port."""
    third_party.websockets()
    python = third_party.ocpp()
    directory, port = tmp_path_factory.mktemp("ocpp"), free_port()
    program = directory / "central.py"
    program.write_text(replaced(block(PAGE, "central.py"), "9000", port), "utf-8")
    with running([python, program], [port], directory):
        yield port


def replaced(text: str, old: str, new: object) -> str:
    assert old in text
    return text.replace(old, str(new))


@contextmanager
def serving(directory: Path, backend: int, words: str = WORDS) -> Iterator[Daemon]:
    """
    The daemon of the guide.

    :param words: the lines of the route that let the charger in.
    """
    port = free_port()
    text = replaced(block(PAGE, "chargers.toml"), "tcp:8080", f"tcp:{port}:interface=127.0.0.1")
    text = replaced(replaced(text, "9000", backend), WORDS, words)
    configuration = directory / "chargers.toml"
    configuration.write_text(text, "utf-8")
    with started(directory, port, "--config", str(configuration)) as daemon:
        yield daemon


def test_the_backend_answers_the_boot_notification_of_the_charger(
    backend: int, tmp_path: Path
) -> None:
    with (
        serving(tmp_path, backend) as daemon,
        connected(daemon.port, beginning=REQUEST) as peer,
    ):
        head = answer(peer)
        assert status_of(head) == 101
        assert b"Sec-WebSocket-Protocol" not in head_of(head)
        peer.sendall(FrameWriter("rfc6455", b"mask").text(BOOTED))
        with peer.makefile("rb") as reader:
            first, size = reader.read(2)
            assert (first, size < 126) == (0x81, True)
            kind, number, said = json.loads(reader.read(size))
        assert (kind, number) == (3, "17")
        assert (said["status"], said["interval"]) == ("Accepted", 300)
        assert daemon.logged('reason="let in by quirks=upgrade"')


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ('assume = "ocpp1.6"\n', "without-quirks"),
        ('quirks = ["upgrade"]\n', "without-assume"),
    ],
)
def test_without_one_of_the_two_options_the_charger_is_refused(
    backend: int, tmp_path: Path, words: str, line: str
) -> None:
    """The line of the log is the one in the guide."""
    with (
        serving(tmp_path, backend, words) as daemon,
        connected(daemon.port, beginning=REQUEST) as peer,
    ):
        assert status_of(answer(peer)) == 400
        refused = daemon.logged("refused ")
    for part in block(PAGE, line).strip().split("..."):
        assert part.strip() in refused
