"""The forms in which a conversation is written: plain lines and JSON lines, with times."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from support.command_line import run
from support.daemon import running
from support.scripted_peer import accept, close, read_frame, say, serving
from txhixie.cli.presentation import hasColour

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield f"ws://127.0.0.1:{daemon.port}/"


@pytest.mark.parametrize(
    ("isTerminal", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_have_them(
    isTerminal: bool, environment: dict[str, str], expected: bool
) -> None:
    assert hasColour(isTerminal, environment) == expected


def events(output: bytes) -> list[dict[str, Any]]:
    """The objects of the lines, each without its time."""
    found = [json.loads(line) for line in output.decode("ascii").splitlines()]
    for event in found:
        assert re.fullmatch(TIME, event.pop("time"))
    return found


def test_the_JSON_output_has_an_object_for_each_event() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        say(peer, read_frame(peer), (2, b"\x00\xff"), (1, "\u2603\x1b\n".encode()))
        close(peer, 1000, b"bye")

    with serving(script) as port:
        url = f"ws://127.0.0.1:{port}/?token=s3cret"
        ran = run("connect", "--json", "--wait", "inf", url, given=b"hello\n")
    assert (ran.status, ran.errors) == (0, [])
    assert events(ran.output) == [
        {
            "type": "open",
            "data": f"ws://127.0.0.1:{port}/?token=...",
            "dialect": "rfc6455",
            "subprotocol": None,
            "extensions": [],
        },
        {"type": "sent", "data": "hello", "binary": False},
        {"type": "received", "data": "hello", "binary": False},
        {
            "type": "received",
            "data": base64.b64encode(b"\x00\xff").decode(),
            "binary": True,
        },
        {"type": "received", "data": "\u2603\x1b\n", "binary": False},
        {"type": "close", "data": "bye", "code": 1000, "by": "server"},
    ]


def test_the_JSON_output_has_an_object_for_an_abnormal_end() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        close(peer, 1011, b"sorry")

    with serving(script) as port:
        ran = run("connect", "--json", "--wait", "inf", f"ws://127.0.0.1:{port}/")
    assert ran.status == 1
    assert ran.line == "txhixie: closed by the server: 1011: sorry"
    assert events(ran.output)[-1] == {
        "type": "close",
        "data": "sorry",
        "code": 1011,
        "by": "server",
    }


def test_once_with_JSON_prints_the_object_of_one_message(url: str) -> None:
    ran = run("connect", "--json", "--binary", "--once", "-", url, given=b"\xff")
    assert (ran.status, ran.errors) == (0, [])
    kinds = [event["type"] for event in events(ran.output)]
    assert kinds == ["open", "sent", "received", "close"]
    assert events(ran.output)[2] == {"type": "received", "data": "/w==", "binary": True}


def test_lines_begin_with_their_time_on_request(url: str) -> None:
    ran = run("connect", "--timestamps", url, given=b"hello\n")
    assert (ran.status, ran.errors) == (0, [])
    assert re.fullmatch(rf"{TIME} hello\n", ran.output.decode())


def test_round_trip_times_of_pings_are_written_and_summed_up(url: str) -> None:
    words = ("--ping", "--ping-interval", "0.01", "--wait", "0.5")
    ran = run("connect", *words, url, given=b"hello\n")
    assert (ran.status, ran.output) == (0, b"hello\n")
    *pings, summary = ran.errors
    assert re.fullmatch(r"ping 1: \d+\.\d ms", pings[0])
    assert re.fullmatch(
        rf"{len(pings)} pings answered, round trip min/avg/max \S+/\S+/\S+ ms", summary
    )


def test_a_dialect_without_pings_is_a_usage_error(url: str) -> None:
    ran = run("connect", "--ping", "--dialect", "hixie-76", url)
    assert (ran.status, ran.output) == (2, b"")
    assert ran.line == "txhixie: --ping: hixie-76 has no pings"


def test_the_report_of_doctor_is_JSON_too(url: str) -> None:
    ran = run("doctor", "--json", url)
    assert (ran.status, ran.errors) == (0, [])
    found = events(ran.output)
    assert found[0]["type"] == "stage"
    assert found[0]["data"] == "lookup"
    assert {event["result"] for event in found if event["type"] == "stage"} == {"ok"}
    assert found[-2] == {"type": "advice", "data": f"The connection works: txhixie connect {url}"}
    assert found[-1] == {"type": "status", "data": 0}
