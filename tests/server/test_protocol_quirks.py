"""Deviations of clients, each as it is sent: with its quirk, and without.

The samples are ``tests/data/deviations.json``. ``advice`` says what a server does: ``default`` lets
a client in without a word, ``opt-in`` with the word of its quirk, ``never`` not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import pytest
from twisted.internet.task import Clock

from support.applications import Applications, echo
from support.chunks import Chunks, same_every_way
from support.deviations import ITEMS, WORDS, Item, samples
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from txhixie import HixieServerFactory, testing

IN: Final = re.compile(rb"HTTP/1\.1 101 ")
HELLO: Final = b"\x81\x05hello"
OF_ROUTES: Final = {"slashes-doubled": "a route decides: tests/daemon/test_dispatch.py"}
"""Samples that the server itself accepts, each with the test of it."""

ORIGINS: Final = {"host-twice-alike": ["file://"], "origin-file": ["file://"]}
"""Origins that a server of a sample allows: its client also sends an Origin."""

REASONS: Final = {
    "upgrade-eaten-by-a-proxy": "Sec-WebSocket-Key without 'Upgrade: websocket'; the client did not"
    " send it, or a reverse proxy or a firewall has removed it",
    "key-ends-in-lf": "bare LF at the end of a header line",
    "http-1.0": "upgrade request in HTTP/1.0",
    "lf-only": "bare LF at the end of a header line",
    "head-not-ended": "no request within 10 s",
    "control-too-long": "control frame payload longer than 125 bytes",
    "reserved-bit": "reserved bits must be 0",
    "text-cut-into-messages": "invalid UTF-8 in a text message",
}
"""Start of the reason in the log, for the samples that are never let in."""


def end(item: Item, quirks: Iterable[str] = ()) -> ServerEnd:
    """A server that echoes, with the origins of a sample."""
    return ServerEnd(Applications(echo), quirks=quirks, origins=ORIGINS.get(item["name"]))


def sent_by(item: Item) -> bytes:
    """The bytes of a sample: the request, and its frames."""
    text: str = item["sends"] + item.get("sends_frames", "")
    return text.encode("latin-1")


def written_for(item: Item, quirks: Iterable[str] = ()) -> bytes:
    """The bytes that a server writes for a sample, which are the same in every cutting."""

    def read(chunks: Chunks) -> bytes:
        server = end(item, quirks)
        for chunk in chunks:
            server.receive(chunk)
        return bytes(server.wire.written)

    return same_every_way(read, sent_by(item))


def reasons(item: Item, log: Log) -> str:
    """The log lines of a sample that is not let in."""
    log.events.clear()
    server = end(item)
    server.receive(sent_by(item))
    server.clock.advance(30)
    server.lose()
    return "\n".join(log.lines())


def test_each_sample_has_an_advice_that_is_known() -> None:
    assert {item["advice"] for item in ITEMS} == {"default", "opt-in", "never"}
    assert {item.get("switch") for item in ITEMS} >= WORDS


@samples(lambda item: item["advice"] == "default")
def test_a_deviation_without_a_danger_gets_in(item: Item) -> None:
    written = written_for(item)
    assert IN.match(written)
    if "sends_frames" in item:
        assert b"\x81" in written.partition(b"\r\n\r\n")[2]


@samples(lambda item: item.get("switch") in WORDS)
def test_a_deviation_gets_in_with_its_quirk(item: Item) -> None:
    written = written_for(item, [item["switch"]])
    assert IN.match(written)
    frames = written.partition(b"\r\n\r\n")[2]
    if item["switch"] == "goodbyes":
        assert frames == b"\x88\x00"  # a close frame without a code
    elif "sends_frames" in item:
        assert HELLO in frames or frames.startswith(b"\x82")


@samples(lambda item: item.get("switch") in WORDS and item["name"] not in OF_ROUTES)
def test_a_deviation_is_refused_without_its_quirk_by_a_line_that_names_it(
    item: Item, log: Log
) -> None:
    others = sorted(WORDS - {item["switch"]})
    for quirks in ((), others):
        written = written_for(item, quirks)
        assert not IN.match(written) or written.partition(b"\r\n\r\n")[2][:1] == b"\x88"
        assert b"quirks" not in written
    assert f"quirks={item['switch']} lets it in" in reasons(item, log)


@samples(lambda item: item["advice"] == "never")
def test_a_dangerous_deviation_is_never_let_in_and_has_a_line_of_its_own(
    item: Item, log: Log
) -> None:
    for quirks in ((), sorted(WORDS - {"text"})):
        written = written_for(item, quirks)
        assert not IN.match(written) or written.partition(b"\r\n\r\n")[2][:1] == b"\x88"
    assert REASONS[item["name"]] in reasons(item, log)


def test_a_client_that_is_let_in_has_one_line_an_hour(log: Log) -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(echo), quirks=["key"], clock=clock)
    request = next(item for item in ITEMS if item["name"] == "key-wrong-length")["sends"].encode()

    def connects() -> list[str]:
        log.events.clear()
        connected = testing.End(factory.buildProtocol(None), clock)
        connected.receive(request)
        connected.lose()
        return [line for line in log.lines() if line.startswith("noticed")]

    (line,) = connects()
    assert line.endswith('reason="let in by quirks=key"')
    clock.advance(3599)
    assert connects() == []
    clock.advance(2)
    (line,) = connects()
    assert line.endswith('reason="let in by quirks=key"')


@samples(lambda item: item["where"] == "frames" and item.get("switch") in WORDS)
def test_frames_that_a_quirk_lets_in_have_one_line_an_hour_with_its_word(
    item: Item, log: Log
) -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(echo), quirks=WORDS, clock=clock)

    def connects() -> list[str]:
        log.events.clear()
        for _ in range(2):
            connected = testing.End(factory.buildProtocol(None), clock)
            connected.receive(sent_by(item))
            connected.receive(item.get("sends_frames", "").encode("latin-1"))
            connected.lose()
        return [line for line in log.lines() if line.startswith("noticed")]

    (line,) = connects()
    assert line.endswith(f'reason="let in by quirks={item["switch"]}"')
    assert connects() == []
    clock.advance(3601)
    assert len(connects()) == 1


def test_a_text_in_pieces_that_is_not_UTF_8_has_the_line_of_its_quirk(log: Log) -> None:
    server = ServerEnd(Applications(echo), quirks=["text"])
    server.receive(whole_request("rfc6455"))
    log.events.clear()
    server.receive(b"\x01\x81" + bytes(4) + b"a")
    server.receive(b"\x80\x81" + bytes(4) + b"\xff")
    (line,) = log.lines()
    assert line.startswith("noticed")
    assert line.endswith('reason="let in by quirks=text"')


@pytest.mark.parametrize("dialect", ["rfc6455", "hybi-08", "hybi-07", "hixie-76", "hixie-75"])
def test_frames_without_a_deviation_have_no_line(dialect: str, log: Log) -> None:
    server = ServerEnd(Applications(echo), quirks=WORDS)
    server.receive(whole_request(dialect))
    for frame in (server.peer.text("h\xe9"), server.peer.close()):
        server.receive(frame)
    server.lose()
    assert log.lines() == []


def test_a_request_without_a_host_has_an_empty_host(log: Log) -> None:
    applications = Applications(echo)
    server = ServerEnd(applications, quirks=["host"], logConnections=True)
    server.receive(sent_by(next(item for item in ITEMS if item["name"] == "host-missing")))
    offer = applications.asked[-1]
    assert (offer.host, offer.header("host")) == ("", None)
    server.lose()
    assert [line.split()[0] for line in log.lines()] == ["noticed", "opened", "ended"]
    assert not any("invalid" in line or "host=" in line for line in log.lines())


def test_the_reason_has_every_word_that_a_request_with_several_deviations_needs(log: Log) -> None:
    request = b"GET /a HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    request += b"Sec-WebSocket-Key: short\r\n\r\n"
    server = ServerEnd(Applications(echo), quirks=["key"])
    server.receive(request)
    (line,) = log.lines()
    assert "did a proxy drop it?; quirks=upgrade,host lets it in" in line
    server = ServerEnd(Applications(echo), quirks=["key", "upgrade", "host"])
    server.receive(request)
    assert IN.match(server.wire.written)
    assert log.lines()[-1].endswith('reason="let in by quirks=upgrade,key,host"')


def test_the_hash_is_that_of_the_key_as_it_was_sent() -> None:
    item = next(item for item in ITEMS if item["name"] == "key-wrong-length")
    # By Python's hashlib: sha1 of the key and the GUID of RFC 6455 section 1.3.
    assert b"Sec-WebSocket-Accept: mq4AI5vGpy1jRFbeqFuSeE5y7W0=\r\n" in written_for(item, ["key"])


@pytest.mark.parametrize("origin", ["http://example.com", "null"])
def test_a_page_must_mask_its_frames(origin: str) -> None:
    server = ServerEnd(Applications(echo), quirks=["masks"], origins=[origin])
    server.receive(whole_request("rfc6455", origin=origin))
    assert server.protocol.isOpen
    server.receive(HELLO)
    assert server.wire.written.endswith(b"client frames must be masked")


def test_a_host_that_is_missing_is_refused_where_the_server_has_names() -> None:
    item = next(item for item in ITEMS if item["name"] == "host-missing")
    server = ServerEnd(Applications(echo), quirks=["host"], hosts=["example.com"])
    server.receive(sent_by(item))
    assert server.wire.written.startswith(b"HTTP/1.1 403 ")


def test_a_host_that_is_missing_beside_an_origin_is_refused() -> None:
    request = next(item for item in ITEMS if item["name"] == "host-missing")["sends"].encode()
    server = ServerEnd(Applications(echo), quirks=["host"], origins=["*"])
    server.receive(request.replace(b"\r\n\r\n", b"\r\nOrigin: http://example.com\r\n\r\n"))
    assert server.wire.written.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("word", ["host", "target"])
def test_host_and_target_are_not_mended_behind_a_trusted_reverse_proxy(word: str) -> None:
    for item in ITEMS:
        if item.get("switch") == word and item["name"] not in OF_ROUTES:
            server = ServerEnd(Applications(echo), quirks=WORDS, trustForwarded=["0.0.0.0/0"])
            server.receive(sent_by(item))
            assert server.wire.written.startswith(b"HTTP/1.1 400 ")


def test_two_hosts_that_differ_are_refused() -> None:
    request = next(item for item in ITEMS if item["name"] == "host-twice-alike")["sends"].encode()
    differs = request.replace(b"Host: example.com\r\nOrigin", b"Host: example.org\r\nOrigin")
    assert differs != request
    server = ServerEnd(Applications(echo), quirks=["host"], origins=["*"])
    server.receive(differs)
    assert server.wire.written.startswith(b"HTTP/1.1 400 ")


def test_an_application_sees_a_target_with_single_slashes() -> None:
    applications = Applications(echo)
    server = ServerEnd(applications, quirks=["target"])
    item = next(item for item in ITEMS if item["name"] == "slashes-doubled")
    server.receive(sent_by(item))
    assert applications.asked[-1].target == "/ocpp/CP01"


def test_an_unknown_word_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^unknown quirk 'mask'; known are upgrade, key, "):
        ServerEnd(Applications(echo), quirks=["mask"])
    with pytest.raises(TypeError, match="quirks"):
        ServerEnd(Applications(echo), quirks="masks")
