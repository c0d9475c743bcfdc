"""``txhixie doctor --listen`` in a process: real devices' bytes, real TLS, and its two reports.

The samples are ``tests/data/deviations.json``. The word that the doctor reports for a sample is the
word with which a server lets the same bytes in.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from support.applications import Applications, echo
from support.certificates import authority, unverified_context
from support.command_line import run, start
from support.daemon import PATIENCE
from support.deviations import ITEMS, WORDS, Item, samples
from support.device_doctor import LOCAL, Doctor, doctor
from support.handshake_bytes import whole_request
from support.memory_connection import ServerEnd
from support.own_deviations import IN, OF_FRAMES, OF_REQUESTS, OwnDeviation
from txhixie.cli.devices.route import route_for
from txhixie.daemon.route_option import read_description
from txhixie.sansio.handshake.mending import NO_CONNECTION
from txhixie.sansio.handshake.offer import Offer
from txhixie.sansio.quirks import QUIRKS, quirk_of

REQUEST: Final = whole_request("rfc6455")


@pytest.fixture(scope="module")
def listening() -> Iterator[Doctor]:
    with doctor("--timeout", "10") as running:
        yield running


def sent_by(item: Item) -> bytes:
    text: str = item["sends"] + item.get("sends_frames", "")
    return text.encode("latin-1")


def each_byte(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


# Every known deviation.


@samples(lambda item: item.get("switch") in WORDS)
def test_the_word_of_a_deviation_is_the_one_that_lets_it_in(listening: Doctor, item: Item) -> None:
    seen = listening.examine(sent_by(item))
    assert seen.result == "failed"
    (found,) = [each for each in seen.deviations if each["allow"].startswith("quirks=")]
    assert found["allow"] == f"quirks={item['switch']}"
    quirk = quirk_of(item["switch"])
    assert (found["seen"], found["why_off"] or "") == ([*quirk.seen], quirk.danger)
    assert seen.route is not None
    conditions = read_description(seen.route).read_conditions()
    assert conditions["quirks"] == [item["switch"]]
    server = ServerEnd(Applications(echo), **conditions)
    server.receive(sent_by(item))
    head, _, frames = bytes(server.wire.written).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frames[:1] != b"\x88" or frames == b"\x88\x00"


@samples(lambda item: item["advice"] == "default")
def test_a_deviation_without_a_danger_is_nothing_wrong(listening: Doctor, item: Item) -> None:
    seen = listening.examine(sent_by(item))
    assert (seen.deviations, seen.result) == ([], "ok")


@samples(lambda item: item["advice"] == "never" and item["name"] != "text-cut-into-messages")
def test_a_dangerous_deviation_has_a_remedy_and_no_word(listening: Doctor, item: Item) -> None:
    seen = listening.examine(sent_by(item))
    (found,) = seen.deviations
    assert (found["allow"], seen.route, seen.result) == (None, None, "failed")
    assert len(found["remedy"]) > 20


@samples(lambda item: True)
def test_a_report_does_not_depend_on_the_cutting(listening: Doctor, item: Item) -> None:
    whole = listening.examine(sent_by(item))
    assert listening.examine(*each_byte(sent_by(item))).comparable == whole.comparable


@pytest.mark.parametrize("each", [*OF_REQUESTS, *OF_FRAMES], ids=lambda each: each.name)
def test_a_deviation_that_no_known_device_has(listening: Doctor, each: OwnDeviation) -> None:
    seen = listening.examine(each.sends)
    if each.expected == IN:
        assert (seen.deviations, seen.result) == ([], "ok")
    elif each.word:
        assert seen.allowed == [f"quirks={each.word}"]
        assert seen.deviations[0]["text"].startswith(each.expected)
    elif each.name == "two faults":
        assert seen.allowed == ["quirks=upgrade", "quirks=host"]
    else:
        (found,) = seen.deviations
        assert found["text"].startswith(each.expected) or each.name == "text without frames"
        assert found["allow"] is None
        assert found["remedy"]


def test_an_origin_that_a_route_has_to_list_is_named(listening: Doctor) -> None:
    item = next(item for item in ITEMS if item["name"] == "origin-file")
    seen = listening.examine(sent_by(item))
    assert seen.allowed == ["origins=file://"]
    assert seen.route == "/device=ws://127.0.0.1:9000 origins=file://"


@pytest.mark.parametrize("dialect", ["rfc6455", "hybi-08", "hybi-07", "hixie-76", "hixie-75"])
def test_a_client_that_deviates_in_nothing(listening: Doctor, dialect: str) -> None:
    seen = listening.examine(whole_request(dialect))
    assert (seen.result, seen.deviations) == ("ok", [])
    assert f", {dialect}, no User-Agent, " in seen.events[0]["lines"][0]
    assert [event["data"] for event in seen.events] == ["request", "frames"]


@pytest.mark.parametrize(
    ("data", "text", "remedy"),
    [
        (b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n\r\n", "polling", "plain WebSocket"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "a request for a page", "Upgrade: websocket"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY protocol", "--proxy-protocol"),
        (REQUEST.replace(b"Host: ", b"Host:\r\n "), "folded", "one line"),
        (REQUEST.replace(b"GET /", b"GET /a b"), "space in the request target", "%20"),
        (REQUEST.replace(b"\r\n", b"\r"), "bare CR", "CR LF"),
        (b"\0\1\2\3", "this is not HTTP", "another protocol"),
    ],
)
def test_what_no_quirk_lets_in_is_named(
    listening: Doctor, data: bytes, text: str, remedy: str
) -> None:
    seen = listening.examine(data)
    (found,) = seen.deviations
    assert text in found["text"]
    assert remedy in found["remedy"]


def test_masks_are_not_let_in_beside_the_origin_of_a_page(listening: Doctor) -> None:
    request = whole_request("rfc6455", origin="http://example.com")
    seen = listening.examine(request + b"\x81\x05hello")
    (found,) = seen.deviations
    assert found["allow"] is None
    assert found["text"] == "client frames must be masked (RFC 6455 section 5.1)"
    assert "Origin of a page" in found["remedy"]


def test_a_text_message_where_bytes_are_meant(listening: Doctor) -> None:
    request = REQUEST.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
    connect = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
    seen = listening.examine(request + b"\x81" + bytes([0x80 | len(connect)]) + bytes(4) + connect)
    assert seen.allowed == ["quirks=kinds"]
    assert seen.route is not None
    assert "=tcp:127.0.0.1:1883 subprotocols=mqtt quirks=kinds" in seen.route


@pytest.mark.parametrize(
    ("payload", "subprotocol"),
    [
        (b'{"chargePointModel": "a", "chargePointVendor": "b"}', "ocpp1.6"),
        (b'{"reason": "PowerUp", "chargingStation": {}}', "ocpp2.0.1"),
    ],
)
def test_a_charger_that_offers_no_subprotocol(
    listening: Doctor, payload: bytes, subprotocol: str
) -> None:
    call = b'[2, "17", "BootNotification", ' + payload + b"]"
    request = REQUEST.replace(b"/demo", b"/ocpp/CP01")
    frame = b"\x81" + bytes([0x80 | len(call)]) + bytes(4) + call
    seen = listening.examine(request + 2 * frame)
    assert seen.allowed == [f"assume={subprotocol}"]
    assert seen.route == f"/ocpp=ws://127.0.0.1:9000 assume={subprotocol}"
    offered = request.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n")
    assert listening.examine(offered + frame).result == "ok"


def test_a_device_that_offers_compression_and_does_not_speak_it(listening: Doctor) -> None:
    offer = b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    request = REQUEST.replace(b"\r\n\r\n", offer)
    seen = listening.examine(request + b"\xc1\x85" + bytes(4) + b"hello")
    assert seen.allowed == ["compression=false"]


def test_a_printed_route_is_valid_for_the_daemon() -> None:
    conditions = [f"quirks={quirk.word}" for quirk in QUIRKS if quirk.word != "kinds"]
    conditions += ["origins=file://", "assume=ocpp1.6", "pings=off", "compression=false"]
    route = route_for(Offer("rfc6455", "/ocpp/CP01", "a"), conditions)
    assert route.count("=") == 6
    ran = run("serve", "--check", "--port", LOCAL, "--serve", route)
    assert (ran.status, ran.errors) == (0, [])


def test_a_connection_that_sends_nothing_is_no_device(listening: Doctor) -> None:
    """The check of a port by a load balancer."""
    with socket.create_connection(("127.0.0.1", listening.ports[0]), PATIENCE):
        pass
    assert listening.examine(REQUEST).result == "ok"


# TLS.


def client_hello() -> bytes:
    """The first bytes of a real TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = unverified_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="charger.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_TLS_on_a_port_without_TLS(listening: Doctor) -> None:
    hello = client_hello()
    for pieces in ([hello], each_byte(hello)):
        seen = listening.examine(*pieces)
        (found,) = seen.deviations
        assert found["text"] == "this is not HTTP: a TLS handshake on a port without TLS"
        assert "ws:// instead of wss://" in found["remedy"]
        assert seen.events[0]["lines"] == ["ClientHello of TLS 1.3, server name charger.example"]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doctor]:
    pem = tmp_path_factory.mktemp("secure") / "server.pem"
    pem.write_bytes(authority().pem_for("a.test"))
    port = f"ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    with doctor("--timeout", "10", ports=[LOCAL, port]) as running:
        yield running


def test_a_device_that_speaks_TLS(secure: Doctor) -> None:
    request = whole_request("rfc6455", origin="https://example.com")
    seen = secure.examine(request, port=secure.ports[1], context=unverified_context())
    assert [event["data"] for event in seen.events] == ["tls", "request", "frames"]
    assert re.fullmatch(r"TLSv1\.[23], server name a\.test", seen.events[0]["lines"][0])
    assert seen.result == "ok"


def test_a_device_that_does_not_trust_the_certificate(secure: Doctor) -> None:
    with socket.create_connection(("127.0.0.1", secure.ports[1]), PATIENCE) as raw:
        address = raw.getsockname()
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(raw, server_hostname="a.test")
    (found,) = secure.seen(address).deviations
    assert (found["allow"], found["text"].startswith("TLS handshake failed: ")) == (None, True)
    assert "does not trust the certificate" in found["remedy"]


def test_a_device_without_TLS_on_a_port_with_TLS(secure: Doctor) -> None:
    (found,) = secure.examine(REQUEST, port=secure.ports[1]).deviations
    assert "set it to wss://" in found["remedy"]


# The report, the recording, and the end.


def test_the_report_in_lines() -> None:
    item = next(item for item in ITEMS if item["name"] == "connection-missing")
    process = start("doctor", "--listen", LOCAL, "--connections", "3", stderr=None)
    try:
        assert process.stdout is not None
        first = process.stdout.readline().decode()
        assert first.startswith("    listening   ws://127.0.0.1:")
        port = int(first.split("/")[2].rpartition(":")[2])
        for sent in (sent_by(item) + b"\x82\x01a", sent_by(item) + b"\x82\x01a", REQUEST):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        lines = process.communicate(timeout=PATIENCE)[0].decode().splitlines()
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    upgrade, masks = quirk_of("upgrade"), quirk_of("masks")
    unmasked = "binary frame of 1 bytes without a mask (82 01) (RFC 6455 section 5.1)"
    end = "disconnected without a close frame, which is always accepted"
    assert lines[:14] == [
        "NO  request     127.0.0.1: GET /device, rfc6455, no User-Agent, 4 fields",
        "                Host example.com; no extensions",
        f"                {NO_CONNECTION}",
        f"    allow with  quirks=upgrade; off by default: {upgrade.danger}",
        f"    seen from   {', '.join(upgrade.seen)}",
        f"NO  frames      127.0.0.1: {unmasked}",
        f"    allow with  quirks=masks; off by default: {masks.danger}",
        f"    seen from   {', '.join(masks.seen)}",
        f"--  frames      127.0.0.1: 1 message; {end}",
        "route to use    --serve '/device=ws://127.0.0.1:9000 quirks=upgrade,masks'",
        "--  repeated    127.0.0.1: as before; repeats are not shown",
        "ok  request     127.0.0.1: GET /demo, rfc6455, no User-Agent, 6 fields",
        "                Host example.com; Origin http://example.com; no extensions",
        f"ok  frames      127.0.0.1: 0 messages; {end}",
    ]
    assert lines[-1] == "    connections 3; nothing wrong with 1, something wrong with 2"


def test_a_recording_has_the_heads_without_credentials_and_no_payloads(tmp_path: Path) -> None:
    secret = b"Authorization: Basic czNjcmV0\r\n continued-s3cret\r\nCookie: s3cret\r\n"
    request = REQUEST.replace(b"GET /demo", b"GET /demo?token=s3cret")
    request = request.replace(b"\r\n\r\n", b"\r\n" + secret + b"\r\n")
    broken = request.replace(b"\r\n", b"\n")
    valid = request.replace(b"\r\n continued-s3cret", b"")
    path = tmp_path / "devices.json"
    with doctor("--record", str(path), "--connections", "3") as running:
        running.examine(request)
        running.examine(broken)
        running.examine(valid + b"\x81\x86" + bytes(4) + b"s3cret")
        assert running.end()[0] == 1
    text = path.read_text("utf-8")
    assert "s3cret" not in text
    assert "czNjcmV0" not in text
    folded, cut, conversation = json.loads(text)["connections"]
    assert "Authorization: ..." in folded["request"]
    assert "Authorization: ... [\\n]" in cut["request"]
    assert conversation["frames"] == [{"header": "81 86", "masked": True, "payload_bytes": 6}]
    assert conversation["dialect"] == "rfc6455"


def test_a_signal_ends_it_with_the_number_of_connections() -> None:
    with doctor() as running:
        running.examine(REQUEST)
        running.interrupt()
        status, events = running.end()
    assert status == 130
    counted = {"type": "connections", "data": 1, "right": 1, "wrong": 0, "dropped": 0}
    assert counted.items() <= events[-1].items()


def test_a_device_that_stays_is_examined_for_the_timeout() -> None:
    """The device of this test reads nothing, and answers no ping."""
    with doctor("--timeout", "1") as running:
        client = socket.create_connection(("127.0.0.1", running.ports[0]), PATIENCE)
        with client:
            client.sendall(REQUEST)
            seen = running.seen(client.getsockname())
    (found,) = seen.deviations
    assert found["text"].startswith("no data received within ")
    assert (found["allow"], seen.route) == ("pings=off", "/demo=ws://127.0.0.1:9000 pings=off")


def test_nothing_wrong_is_status_0() -> None:
    with doctor("--connections", "1") as running:
        running.examine(REQUEST)
        status, events = running.end()
    assert (status, events[-1]["data"]) == (0, 0)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "expected a URL, or --listen PORT"),
        (["--record", "a", "ws://a/"], "--record: expected --listen PORT as well"),
        (["--listen", "1", "ws://a/"], "URL: not with --listen"),
        (["--listen", "1", "--proxy", "http://a"], "--proxy: not with --listen"),
        (["--listen", "127.0.0.1:80"], "expected a description: write tcp:80:interface=127.0.0.1"),
        (["--listen", LOCAL, "--record", "/nonexistent/a"], "No such file or directory"),
    ],
)
def test_wrong_options_are_usage_errors(words: list[str], why: str) -> None:
    ran = run("doctor", *words)
    assert (ran.status, ran.output) == (2, b"")
    assert why in ran.line
