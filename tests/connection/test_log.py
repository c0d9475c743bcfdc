"""Log lines of connections."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent

from support import applications, handshake_bytes
from support.applications import Answering, Applications, Recorder
from support.dialect_marks import each, modern
from support.dialect_names import CLOSING, MODERN
from support.guide_pages import ROOT
from support.handshake_bytes import body_of, request, whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from txhixie import Accepted, HixieServerFactory, Limits, Refusal
from txhixie.connection.log import writeLine
from txhixie.connection.log_fields import LogFields
from txhixie.display import shown, shown_address
from txhixie.sansio.http.head import Asked
from txhixie.testing.end import End


@given(st.text())
def test_each_text_of_a_peer_is_one_short_line_of_ASCII(value: str) -> None:
    line = shown(value)
    assert line.isascii()
    assert line.isprintable() or not line
    assert len(line) <= 200 * 10 + 3


def test_a_long_value_is_cut_and_shows_it() -> None:
    assert shown("a" * 200) == "a" * 200
    assert shown("a" * 201) == "a" * 200 + "..."


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (IPv4Address("TCP", "192.0.2.1", 80), "192.0.2.1:80"),
        (IPv6Address("TCP", "2001:db8::1", 80), "[2001:db8::1]:80"),
        (UNIXAddress(b"/run/hixie"), "unix:/run/hixie"),
        (UNIXAddress(None), "unix"),
        (UNIXAddress(b""), "unix"),
        (None, "unix"),
    ],
)
def test_an_address_is_shown_in_its_usual_notation(address: Any, expected: str) -> None:
    assert shown_address(address) == expected


def test_a_UNIX_socket_with_a_line_break_in_its_name_stays_one_line() -> None:
    assert shown_address(UNIXAddress(b"/run/a\nb")).isprintable()


@each
def test_an_ordinary_connection_is_not_logged(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    end.receive(end.peer.text("hello"))
    end.done()
    assert log.lines() == []


@each
def test_logConnections_logs_each_opening_and_each_end(dialect: str, log: Log) -> None:
    accepted = Accepted(applications.echo(), "chat")
    end = ServerEnd(Answering(lambda offer: accepted), logConnections=True)
    name = handshake_bytes.subprotocol_field(dialect)
    end.receive(whole_request(dialect, f"{name}: chat"))
    end.receive(end.peer.text("hello") * 3)
    end.clock.advance(1.5)
    if dialect in CLOSING:
        end.receive(end.peer.close(1001, "leaving\n"))
    end.done()
    told = "code=1001 reason=leaving\\n" if dialect in MODERN else "code=1005"
    whose = "connection=1 peer=192.0.2.1:54321 host=example.com target=/demo"
    assert log.lines() == [
        f"opened {whose} dialect={dialect} origin=http://example.com subprotocol=chat",
        f"ended {whose} {told} by=peer received=3 sent=3 seconds=1.5",
    ]


@modern
def test_the_line_of_an_opening_names_the_agreement(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications(), logConnections=True)
    offered = "Sec-WebSocket-Extensions: x-unknown, permessage-deflate; client_max_window_bits"
    end.receive(whole_request(dialect, offered, origin=None))
    (line,) = log.lines()
    assert line.endswith(f" target=/demo dialect={dialect} extensions=permessage-deflate")
    end.done()


@modern
@pytest.mark.parametrize(
    ("code", "lines"), [(1000, 0), (1001, 0), (None, 0), (1003, 1), (1011, 1), (4000, 1)]
)
def test_a_close_with_an_error_code_always_has_its_line(
    dialect: str, code: int | None, lines: int, log: Log
) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    end.receive(end.peer.close(code, "why\x1b[31m" if code is not None else ""))
    end.done()
    assert len(log.lines()) == lines
    assert all(f" code={code} reason=why\\x1b[31m by=peer " in line for line in log.lines())


@each
def test_a_protocol_error_always_has_its_line(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications(Recorder), limits=Limits(message_size=5))
    end.receive(whole_request(dialect))
    end.receive(end.peer.text("too long"))
    end.done()
    (line,) = log.lines()
    assert line.startswith("ended connection=1 ")
    assert " code=1009 " in line


@each
def test_a_refusal_always_has_its_line(dialect: str, log: Log) -> None:
    refusal = Refusal(403, "not you\nreally", ((b"Set-Cookie", b"secret=1"),))
    end = ServerEnd(Answering(lambda offer: refusal))
    end.receive(whole_request(dialect, target="/a?b"))
    end.done()
    (line,) = log.lines()
    assert line == (
        "refused connection=1 peer=192.0.2.1:54321 host=example.com target=/a?... status=403 "
        f'reason="not you\\nreally" origin=http://example.com dialect={dialect}'
    )


def test_a_connection_without_an_offer_has_a_shorter_line(log: Log) -> None:
    end = ServerEnd(Applications())
    end.receive(b"\x00")
    end.done()
    assert log.lines() == [
        'refused connection=1 peer=192.0.2.1:54321 status=400 reason="this is not HTTP"'
    ]


HOST = "Host: a.example"
NAMED = ' host=a.example target="/a?token=..." status={} '


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("GET /a?token=s3cret HTTP/1.1\r\n{}\r\nUpgrade: websocket\r\n\r\n", NAMED.format(400)),
        ("GET /a?token=s3cret HTTP/1.1\r\n{}\r\nX: a\x00b\r\n\r\n", NAMED.format(400)),
        ("GET /a?token=s3cret HTTP/1.1\r\n{}\r\nX: a\n\r\n", NAMED.format(400)),
        ("GET /a?token=s3cret HTTP/1.1\r\n{}\r\n folded\r\n\r\n", NAMED.format(400)),
        ("GET /a?token=s3cret HTTP/2.0\r\n{}\r\n\r\n", NAMED.format(505)),
        ("GET /a?token=s3cret HTTP/1.1\r\n{}\r\nX: " + "a" * 20_000, NAMED.format(431)),
        ("GET /a?token=s3cret HTTP/1.1\r\n{}\r\n\r\n", NAMED.format(404)),
        ("HEAD /a?token=s3cret HTTP/1.1\r\n{}\r\n\r\n", NAMED.format(404)),
        ("GET /a b HTTP/1.1\r\n{}\r\n\r\n", " host=a.example target=/a status=400 "),
        ("GET /\xff HTTP/1.1\r\n{}\r\n\r\n", " host=a.example target=/\\xff status=400 "),
        (
            "GET http://me:s3cret@a.example/ HTTP/1.1\r\n{}\r\nUpgrade: websocket\r\n\r\n",
            " host=a.example target=http://***@a.example/ status=400 ",
        ),
        (
            "GET / HTTP/1.1\r\nHost: me:s3cret@b\r\n{}\r\nUpgrade: websocket\r\n\r\n",
            ' host="***@b, a.example" target=/ status=400 ',
        ),
        ("GET /" + "a" * 20_000, f" target=/{'a' * 199}... status=431 "),
    ],
)
def test_the_line_of_a_malformed_request_has_the_request_target(
    asked: str, shown: str, log: Log
) -> None:
    """The target is shown as far as it can be read, and without credentials."""
    origin = "Origin: http://b.example/?token=s3cret"
    end = ServerEnd(Applications())
    end.receive(asked.replace("{}", f"{HOST}\r\n{origin}").encode("latin-1"))
    end.done()
    (line,) = log.lines()
    assert line.startswith("refused connection=1 peer=192.0.2.1:54321" + shown)
    origins = re.findall(r' origin="(.*?)"(?: dialect=hixie-75)?$', line)
    assert origins == ["http://b.example/?token=..."] * ("{}" in asked)
    assert "s3cret" not in line


def test_a_request_that_times_out_is_logged_with_the_part_that_arrived(log: Log) -> None:
    end = ServerEnd(Applications())
    end.receive(b"GET /a?token=s3cret HTTP/1.1\r\nHost: a.example\r\nX: ")
    end.clock.advance(Limits().open_timeout + 1)
    (line,) = log.lines()
    assert ' host=a.example target="/a?token=..." status=408 ' in line


def test_bytes_that_come_too_early_with_the_head_have_a_line_that_names_the_request(
    log: Log,
) -> None:
    end = ServerEnd(Applications(), limits=Limits(early_size=10))
    end.receive(whole_request("rfc6455") + bytes(20))
    (line,) = log.lines()
    assert " host=example.com target=/demo status=" in line


def test_a_malformed_request_of_a_trusted_proxy_has_its_clients_address_and_host(log: Log) -> None:
    end = ServerEnd(Applications(), trustForwarded=["192.0.2.1"])
    forwarded = "Forwarded: for=198.51.100.7;host=public.example"
    end.receive(request("rfc6455", forwarded).replace(b"Version: 13", b"Version: 99"))
    (line,) = log.lines()
    assert line.startswith(
        "refused connection=1 peer=198.51.100.7 host=public.example target=/demo status=426 "
    )


def test_a_refusal_that_was_logged_before_gets_no_second_line(log: Log) -> None:
    """The first line has a better reason than the status of the response."""
    for logged in (True, False):
        refusal = Refusal(502, b"no\xff\n", logged=logged)
        end = ServerEnd(Answering(lambda offer, refusal=refusal: refusal))  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
        end.receive(whole_request("rfc6455"))
        assert body_of(end.wire.written) == b"no\xff\n"
    assert len(log.lines()) == 1
    assert log.lines()[0].endswith(
        " status=502 reason=no\\ufffd origin=http://example.com dialect=rfc6455"
    )


GUIDE = (ROOT / "docs" / "reference" / "log-lines.rst").read_text("utf-8")
SOURCES = "".join(path.read_text("utf-8") for path in (ROOT / "txhixie").rglob("*.py"))


def test_each_line_that_the_guide_explains_is_one_that_is_written() -> None:
    reasons = re.findall(r'reason="([^"]+)"', GUIDE)
    assert len(reasons) >= 20
    for reason in reasons:
        words = " ".join(reason.removeprefix("sent an ").split())  # what, is written by others
        pieces = re.split(r"(?: of )?\.\.\.|:| 8 ", words)
        assert next(filter(None, pieces)) in SOURCES


# Grammar.


@given(st.dictionaries(st.sampled_from(["peer", "host", "target", "reason"]), st.text()))
def test_each_value_of_a_line_can_be_parsed(values: dict[str, str]) -> None:
    """The line is parsed as readers of logfmt do: a name, and a bare or a quoted value."""
    recorded: list[str] = []
    log = Logger(observer=lambda event: recorded.append(formatEvent(event)))  # type: ignore[arg-type]  # the function returns None, as an observer does
    writeLine(log, "opened", **cast(LogFields, values))
    (line,) = recorded
    assert line.isascii()
    assert line.isprintable()
    found = re.findall(r' ([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"=]+))', line)
    assert (
        "opened"
        + "".join(
            f' {name}="{quoted}"' if not bare else f" {name}={bare}" for name, quoted, bare in found
        )
        == line
    )
    assert [name for name, _, _ in found] == list(values)
    for name, quoted, bare in found:
        if len(values[name]) <= 200:
            text = (bare or quoted.replace('\\"', '"')).encode("ascii").decode("unicode_escape")
            assert text == values[name]


def test_an_observer_that_writes_JSON_has_the_fields(log: Log) -> None:
    end = ServerEnd(Applications(), logConnections=True)
    end.receive(whole_request("rfc6455"))
    event = log.events[-1]
    assert (event["event"], event["connection"], event["host"]) == ("opened", 1, "example.com")
    end.done()


# Secrets that must not be logged.

TOKENS = (
    "/chat?token=s3cret",
    "/chat?room=1&access=s3cret",
    "/chat?s3cret",
    "/chat?czNjcmV0s3cret=",
    "/chat;jsessionid=s3cret",
    "/chat?a=1?s3cret",
)


@each
@pytest.mark.parametrize("target", TOKENS)
def test_no_token_of_a_URL_is_logged(dialect: str, target: str, log: Log) -> None:
    """Query arguments of any name are left out: in the lines of opened, ended and refused
    connections."""
    for application in (Applications(), Answering(lambda offer: None)):
        end = ServerEnd(application, logConnections=True)
        end.receive(whole_request(dialect, target=target))
        end.done()
    assert len(log.lines()) == 3
    assert not any("s3cret" in str(event) for event in log.events)
    assert all("/chat" in line for line in log.lines())


@each
@pytest.mark.parametrize("origin", ["http://a/x?token=s3cret", "ws://me:s3cret@a.example/"])
def test_no_token_of_an_Origin_is_logged(dialect: str, origin: str, log: Log) -> None:
    """Some programs send their WebSocket URL as the Origin: in the lines of noticed, opened,
    ended and refused connections."""
    for application in (Applications(), Answering(lambda offer: None)):
        end = ServerEnd(application, logConnections=True)
        end.receive(whole_request(dialect, origin=origin))
        end.done()
    assert any("origin=" in line for line in log.lines())
    assert not any("s3cret" in str(event) for event in log.events)


@modern
@pytest.mark.parametrize(
    "offered",
    [
        "base64url.bearer.authorization.k8s.io.s3cret, chat",
        "chat, eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s3cret",
    ],
)
def test_no_token_among_subprotocols_is_logged(dialect: str, offered: str, log: Log) -> None:
    end = ServerEnd(Applications(), subprotocols=["chat"], logConnections=True)
    end.receive(whole_request(dialect, f"{handshake_bytes.subprotocol_field(dialect)}: {offered}"))
    end.done()
    assert not any("s3cret" in str(event) for event in log.events)
    assert " subprotocol=chat offered=" in log.lines()[0]


def test_subprotocols_that_were_offered_and_not_granted_are_in_the_log(log: Log) -> None:
    end = ServerEnd(Applications(), logConnections=True)
    end.receive(whole_request("rfc6455", "Sec-WebSocket-Protocol: mqtt, v12.stomp"))
    end.done()
    assert " offered=mqtt,v12.stomp" in log.lines()[0]
    assert "subprotocol=" not in log.lines()[0]


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76"])
@pytest.mark.parametrize(
    ("agreed", "words"),
    [
        (["b"], " subprotocol=b offered=a,c"),
        (["a,b, c"], ' subprotocol="a,b, c"'),
        ([], " offered=a,b,c"),
    ],
)
def test_a_list_in_one_string_is_offered_once(
    dialect: str, agreed: list[str], words: str, log: Log
) -> None:
    """The string is in the offer once, and its members after it."""
    end = ServerEnd(Applications(), subprotocols=agreed, logConnections=True)
    end.receive(whole_request(dialect, f"{handshake_bytes.subprotocol_field(dialect)}: a,b, c"))
    end.done()
    assert log.lines()[0].endswith(words), log.lines()[0]


@each
def test_a_log_line_has_a_maximum_length(dialect: str, log: Log) -> None:
    """Each long part of a request is cut."""
    long = "\xff" * 3000
    end = ServerEnd(Applications(), origins=["*"], logConnections=True)
    end.receive(whole_request(dialect, f"User-Agent: {long}", target="/" + "a" * 3000, origin=long))
    end.done()
    assert log.lines()
    assert all(len(line) < 2500 for line in log.lines())


# Repeats.


def test_repeated_refusals_are_counted(log: Log) -> None:
    """The refusals are counted by address and reason; a line is written after a minute, or when
    the last port closes."""
    log.hasStubs = True
    clock = Clock()
    factory = HixieServerFactory(Applications(), clock=clock)
    lines, peer = factory.log, IPv4Address("TCP", "192.0.2.1", 1)
    for port in range(500):
        lines.turnedAway(IPv4Address("TCP", "192.0.2.1", port), 403, "no")
        lines.turnedAway(peer, 404, "no")
    lines.turnedAway(IPv4Address("TCP", "192.0.2.2", 1), 403, "no")
    assert len(log.lines()) == 3
    clock.advance(61)
    lines.turnedAway(peer, 403, "no")
    assert log.lines()[3:] == [
        "refused peer=192.0.2.1 status=403 reason=no repeated=500",
        "refused peer=192.0.2.1 status=404 reason=no repeated=499",
    ]
    factory.startFactory()
    factory.stopFactory()


@pytest.mark.parametrize("option", ["host", "target", "origin"])
def test_refusals_of_another_host_target_or_origin_are_not_repeats(option: str, log: Log) -> None:
    """An operator who tries a second page shortly afterwards finds a line for it."""
    clock = Clock()
    factory = HixieServerFactory(Applications(), clock=clock, origins=["https://c.example"])
    for name in ("a", "b", "a"):
        value = {"host": name, "target": f"/{name}", "origin": f"http://{name}"}[option]
        end = End(factory.buildProtocol(None), clock)
        end.receive(whole_request("rfc6455", **{option: value}))
        end.done()
    first, second = log.lines()
    assert re.search(rf" {option}=\S*a\b", first)
    assert re.search(rf" {option}=\S*b\b", second)
    factory.startFactory()
    factory.stopFactory()
    repeated = log.lines()[2]
    assert re.search(rf" {option}=\S*a\b.* repeated=1$", repeated)


def test_one_address_cannot_fill_the_log(log: Log) -> None:
    """Values that vary make no difference: further lines of that address are counted, and other
    addresses keep theirs."""
    log.hasStubs = True
    clock = Clock()
    lines = HixieServerFactory(Applications(), clock=clock).log
    peer, other = (IPv4Address("TCP", f"192.0.2.{host}", 1) for host in (1, 2))
    for number in range(1000):
        lines.turnedAway(peer, 403, "no", Asked("a", f"/{number}", "http://a"))
    assert len(log.lines()) == 21
    for number in range(1000):
        lines.turnedAway(peer, 400, f"malformed: {number}", Asked("a", f"/{number}"))
    assert len(log.lines()) == 40
    lines.turnedAway(other, 403, "no")
    assert len(log.lines()) == 41
    clock.advance(61)
    lines.turnedAway(peer, 403, "no")
    assert log.lines()[41:] == [
        "refused peer=192.0.2.1 status=403 reason=no repeated=980",
        'refused peer=192.0.2.1 reason="other refusals and notices of this address" repeated=981',
    ]


def test_refusals_that_were_only_counted_are_logged_at_the_end(log: Log) -> None:
    log.hasStubs = True
    factory = HixieServerFactory(Applications(), clock=Clock())
    factory.startFactory()
    for _ in range(3):
        factory.log.turnedAway(IPv4Address("TCP", "192.0.2.1", 1), 400, "no")
    factory.stopFactory()
    assert log.lines() == [
        "refused peer=192.0.2.1:1 status=400 reason=no",
        "refused peer=192.0.2.1 status=400 reason=no repeated=2",
    ]


def test_each_connection_of_a_factory_has_a_number(log: Log) -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(), logConnections=True, clock=clock)
    for _ in range(2):
        protocol = factory.buildProtocol(None)
        end = End(protocol, clock)
        end.receive(whole_request("rfc6455"))
        end.lose()
    assert [line.split()[:2] for line in log.lines()] == [
        [event, f"connection={number}"] for number in (1, 2) for event in ("opened", "ended")
    ]
