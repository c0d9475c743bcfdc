"""A client's side from its request to the conversation, in memory."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from support import handshake_bytes
from support.applications import Applications, Broken, Recorder, fails
from support.dialect_names import HIXIE, MODERN, NAMES
from support.handshake_bytes import ORIGIN_FIELDS
from support.log_recorder import Log
from support.memory_connection import ClientEnd
from txhixie import (
    AbruptClose,
    ConnectTimeout,
    HandshakeRefused,
    HixieClientFactory,
    HixieError,
    InvalidHandshake,
    Limits,
    NotOpen,
    PeerLeft,
    UnsupportedByDialect,
)
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.http.head import Head

each = pytest.mark.parametrize("dialect", NAMES)
hixie = pytest.mark.parametrize("dialect", HIXIE)
modern = pytest.mark.parametrize("dialect", MODERN)


class Fired:
    """What a Deferred fired with; it may fire once."""

    def __init__(self, deferred: Deferred[Any]) -> None:
        self.results: list[Any] = []
        deferred.addBoth(self.results.append)

    @property
    def result(self) -> Any:
        (result,) = self.results
        return result.value if isinstance(result, Failure) else result


def waiting(dialect: str = "hixie-76", **options: Any) -> tuple[ClientEnd, Recorder, Fired]:
    """A client whose answer has not come."""
    application = options.pop("application", None) or Recorder()
    end = ClientEnd(Applications(lambda: application), dialect=dialect, **options)
    return end, application, Fired(end.protocol.whenOpen())


def failed(end: ClientEnd, application: Recorder, fired: Fired) -> Any:
    """It did not come about: everybody is told, once, and nothing remains; the reason."""
    if not end.wire.dead:
        assert end.wire.endings, "it was not ended"
        end.lose()
    assert application.told == ["started", "lost"]
    assert isinstance(application.lost, AbruptClose)
    assert isinstance(fired.result, (HixieError, CancelledError))
    again = Fired(end.protocol.whenOpen())
    assert isinstance(again.result, HixieError)
    end.done()
    return fired.result


def test_the_slides_are_spoken() -> None:
    end, _, _ = waiting("hixie-54", url="ws://Example.com/text", subprotocols=["sample"])
    assert end.request == (
        b"GET /text HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.com\r\n"
        b"WebSocket-Origin: http://example.com\r\nWebSocket-Protocol: sample\r\n\r\n"
    )
    end.done()


def test_hixie_76_sends_two_keys_and_eight_bytes() -> None:
    end, _, _ = waiting()
    fields = Head(end.request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").fields()
    assert len(handshake_bytes.body_of(end.request)) == 8
    assert [name for name, _ in fields.pairs][-2:] == [b"sec-websocket-key1", b"sec-websocket-key2"]
    end.done()


def test_no_two_requests_are_alike() -> None:
    first, second = waiting()[0], waiting()[0]
    assert first.request != second.request
    first.done()
    second.done()


@each
def test_the_request_says_what_the_factory_was_told(dialect: str) -> None:
    end, _, _ = waiting(
        dialect,
        url="wss://example.com:8443/a?b",
        origin="http://page.example",
        headers=((b"Cookie", b"c=d"),),
    )
    lines = end.request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    field = ORIGIN_FIELDS.get(dialect, "Origin").encode()
    assert lines[0] == b"GET /a?b HTTP/1.1"
    assert b"Host: example.com:8443" in lines
    assert field + b": http://page.example" in lines
    assert lines[-1] == b"Cookie: c=d"
    assert end.protocol.offer.location == "wss://example.com:8443/a?b"
    end.done()


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://example.com/", {}),
        ("ws://example.com/#fragment", {}),
        ("ws:///", {}),
        ("ws://example.com/", {"dialect": "hixie-77"}),
        ("ws://example.com/", {"headers": ((b"A", b"b\r\nC: d"),)}),
        ("ws://example.com/", {"origin": "http://a\r\nB: c"}),
        ("ws://example.com/", {"origin": "http://\u00e4"}),
        ("ws://example.com/", {"subprotocols": ["a\r\nB: c"]}),
    ],
)
def test_a_factory_is_not_made_of_what_no_request_can_say(url: str, options: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        HixieClientFactory(url, Applications(), **options)


@hixie
def test_a_factory_is_not_made_for_more_subprotocols_than_there_is_room_for(dialect: str) -> None:
    with pytest.raises(UnsupportedByDialect):
        HixieClientFactory(
            "ws://example.com/", Applications(), dialect=dialect, subprotocols=["a", "b"]
        )


# Yes.


@each
@pytest.mark.parametrize("size", [None, 1, 5])
def test_a_client_is_open_when_the_answer_is_complete(dialect: str, size: int | None) -> None:
    end, application, fired = waiting(dialect)
    assert application.told == ["started"]
    with pytest.raises(NotOpen):
        application.transport.sendTextMessage("too early")
    end.receive(end.answer() + end.peer.text("hello"), size)
    assert fired.result is application
    assert application.told == ["started", "finished", "text"]
    assert Fired(end.protocol.whenOpen()).result is application
    application.transport.sendTextMessage("there")
    assert end.wire.written == end.own.text("there")
    end.done()


@each
def test_a_client_knows_what_the_server_granted(dialect: str) -> None:
    end, application, _ = waiting(dialect, subprotocols=["chat"])
    name = handshake_bytes.subprotocol_field(dialect)
    end.receive(end.answer(f"{name}: chat", "Set-Cookie: a=b"))
    agreement = application.transport.agreement
    assert agreement is not None
    assert agreement.subprotocol == "chat"
    assert (b"set-cookie", b"a=b") in agreement.headers
    end.done()


@hixie
def test_a_subprotocol_that_was_not_requested_is_ignored(dialect: str) -> None:
    """eventlet and txWS send one."""
    end, application, fired = waiting(dialect)
    end.receive(end.answer("Sec-WebSocket-Protocol: default", "WebSocket-Protocol: default"))
    assert fired.result is application
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol is None
    end.done()


def test_Nettys_upgrade_is_taken_when_we_are_lenient() -> None:
    end, application, fired = waiting(lenient=True)
    end.receive(end.answer(upgrade="websocket"))
    assert fired.result is application
    end.done()


def test_each_whenOpen_fires_and_may_be_called_again() -> None:
    end, application, first = waiting()
    asked: list[Fired] = []
    end.protocol.whenOpen().addBoth(lambda _: asked.append(Fired(end.protocol.whenOpen())))
    end.receive(end.answer())
    assert first.result is application
    assert asked[0].result is application
    end.done()


# No.


@hixie
@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"status": "HTTP/1.1 101"}, "status-line"),
        ({"status": "nonsense"}, "status-line"),
        ({"upgrade": None}, "prefix|count:upgrade"),
        ({"upgrade": "websocket"}, "prefix|upgrade"),
        ({"connection": None}, "prefix|count:connection"),
        ({"connection": "keep-alive, Upgrade"}, "prefix|connection"),
        ({"origin": None}, "count:(sec-)?websocket-origin"),
        ({"origin": "http://evil.example"}, "origin-mismatch"),
        ({"location": None}, "count:(sec-)?websocket-location"),
        ({"location": "ws://example.com/other"}, "location-mismatch"),
        ({"location": "wss://example.com/demo"}, "location-mismatch"),
    ],
)
def test_each_wrong_field_is_a_bad_answer(
    dialect: str, changed: dict[str, str | None], check: str
) -> None:
    end, application, fired = waiting(dialect)
    end.receive(end.answer(**changed))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert any(reason.check == word for word in alternatives(check)), reason.check


def alternatives(check: str) -> list[str]:
    """The words a check of this test stands for."""
    words = []
    for word in check.split("|"):
        words += [word.replace("(sec-)?", ""), word.replace("(sec-)?", "sec-")]
    return words


@hixie
@pytest.mark.parametrize(
    ("more", "check"),
    [
        (["{}-Origin: http://example.com"], "count"),
        (["{}-Location: ws://example.com/demo"], "count"),
        ([": nameless"], "empty-name"),
        (["no colon"], "header-syntax"),
        ([" folded: x"], "header-syntax"),
    ],
)
def test_each_further_field_that_spoils_it_is_a_bad_answer(
    dialect: str, more: list[str], check: str
) -> None:
    end, application, fired = waiting(dialect)
    prefix = "Sec-WebSocket" if dialect == "hixie-76" else "WebSocket"
    end.receive(end.answer(*(line.format(prefix) for line in more)))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check.startswith(check)


@hixie
@pytest.mark.parametrize("said", [None, "other", "Chat"])
def test_a_subprotocol_other_than_the_one_asked_for_is_a_bad_answer(
    dialect: str, said: str | None
) -> None:
    end, application, fired = waiting(dialect, subprotocols=["chat"])
    name = handshake_bytes.subprotocol_field(dialect)
    end.receive(end.answer(*([f"{name}: {said}"] if said else [])))
    assert isinstance(failed(end, application, fired), InvalidHandshake)


@modern
@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"status": "HTTP/1.1"}, "status-line"),
        ({"status": "nonsense"}, "status-line"),
        ({"upgrade": None}, "upgrade"),
        ({"upgrade": "h2c"}, "upgrade"),
        ({"upgrade": "websocket, h2c"}, "upgrade"),
        ({"connection": None}, "connection"),
        ({"connection": "keep-alive"}, "connection"),
        ({"accept": None}, "accept"),
        ({"accept": ""}, "accept"),
        ({"accept": handshake_bytes.ACCEPT}, "accept"),
    ],
)
def test_each_wrong_field_of_a_modern_answer_is_a_bad_answer(
    dialect: str, changed: dict[str, str | None], check: str
) -> None:
    end, application, fired = waiting(dialect)
    end.receive(end.answer(**changed))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check == check


@modern
@pytest.mark.parametrize(
    ("line", "check"),
    [
        ("Upgrade: websocket", "upgrade"),
        ("Sec-WebSocket-Accept: x", "accept"),
        ("Sec-WebSocket-Protocol: unasked", "protocol-mismatch"),
        ("Sec-WebSocket-Protocol: Chat", "protocol-mismatch"),
        ("Sec-WebSocket-Protocol: chat, other", "protocol-mismatch"),
        ("Sec-WebSocket-Extensions: x-webkit-deflate-frame", "extension"),
        ("Sec-WebSocket-Extensions: permessage-deflate; unknown", "extension"),
        ("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7", "extension"),
        ("Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate", "extension"),
        ("Sec-WebSocket-Extensions: ;", "extension"),
    ],
)
def test_each_further_field_that_spoils_a_modern_answer_is_a_bad_answer(
    dialect: str, line: str, check: str
) -> None:
    end, application, fired = waiting(dialect, subprotocols=["chat", "other"])
    end.receive(end.answer(line))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check == check


@modern
def test_a_server_need_not_forget_unless_that_was_asked_for(dialect: str) -> None:
    """Many servers answer with the name alone, whatever they were asked."""
    plain = "Sec-WebSocket-Extensions: permessage-deflate"
    end, application, fired = waiting(dialect)
    end.receive(end.answer(plain))
    assert fired.result is application
    end.done()
    end, application, fired = waiting(dialect, extensions=[PermessageDeflate()])
    end.receive(end.answer(plain))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check == "extension"


GRANTED = (
    "Sec-WebSocket-Extensions: permessage-deflate; "
    "server_no_context_takeover; client_no_context_takeover"
)


@modern
def test_compression_is_asked_for_and_used_when_it_is_granted(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    assert b"\r\nSec-WebSocket-Extensions: permessage-deflate; " in end.request
    end.receive(end.answer(GRANTED) + end.peer.frame(1, DEFLATED_HELLO, reserved=0x40))
    assert fired.result is application
    assert application.messages == ["Hello"]
    application.transport.sendTextMessage("ha" * 500)
    assert end.wire.written[0] == 0xC1
    assert len(end.wire.taken()) < 50
    application.transport.sendTextMessage("ha" * 500, compress=False)
    assert end.wire.taken() == end.own.text("ha" * 500)
    end.done()


DEFLATED_HELLO = bytes.fromhex("f248cdc9c90700")


@modern
def test_compression_that_is_not_granted_is_not_used(dialect: str) -> None:
    end, application, _ = waiting(dialect)
    end.receive(end.answer())
    application.transport.sendTextMessage("ha" * 500, compress=True)
    assert end.wire.written == end.own.text("ha" * 500)
    end.done()


@modern
def test_a_client_without_extensions_asks_for_none_and_takes_none(dialect: str) -> None:
    end, application, fired = waiting(dialect, extensions=())
    assert b"Extensions" not in end.request
    end.receive(end.answer(GRANTED))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check == "extension"


@hixie
def test_no_hixie_client_asks_for_compression(dialect: str) -> None:
    end, _, _ = waiting(dialect)
    assert b"Extensions" not in end.request
    end.done()


@modern
def test_of_several_subprotocols_the_one_that_was_granted_is_known(dialect: str) -> None:
    end, application, _ = waiting(dialect, subprotocols=["a", "b"])
    assert b"\r\nSec-WebSocket-Protocol: a, b\r\n" in end.request
    end.receive(end.answer("Sec-WebSocket-Protocol: b"))
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol == "b"
    end.done()


@modern
def test_a_server_may_grant_none_of_the_subprotocols(dialect: str) -> None:
    """RFC 6455 lets it stand; whether it will do is the application's to say."""
    end, application, fired = waiting(dialect, subprotocols=["a"])
    end.receive(end.answer())
    assert fired.result is application
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol is None
    end.done()


@modern
def test_a_modern_client_has_no_origin_unless_it_is_told(dialect: str) -> None:
    end, _, _ = waiting(dialect)
    assert b"Origin" not in end.request
    end.done()


@modern
def test_a_list_of_connection_tokens_will_do(dialect: str) -> None:
    """Firefox's peers and many proxies send ``keep-alive, Upgrade``."""
    end, application, fired = waiting(dialect)
    end.receive(end.answer(connection="keep-alive, upgrade", upgrade="WebSocket"))
    assert fired.result is application
    end.done()


@each
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 407, 426])
def test_a_redirect_is_a_refusal_that_says_where_to(dialect: str, status: int) -> None:
    """None is followed: whoever asked knows whether he wants to."""
    end, application, fired = waiting(dialect)
    end.receive(
        b"HTTP/1.1 %d Whatever\r\nLocation: ws://elsewhere.example/\r\n"
        b"Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n" % status
    )
    reason = failed(end, application, fired)
    assert isinstance(reason, HandshakeRefused)
    assert reason.status == status
    assert (b"location", b"ws://elsewhere.example/") in reason.headers
    assert (b"sec-websocket-version", b"13") in reason.headers


def test_sixteen_other_bytes_are_a_bad_answer() -> None:
    end, application, fired = waiting()
    end.receive(end.answer()[:-1] + b"\x00")
    assert failed(end, application, fired).check == "challenge"


@each
def test_an_answer_that_is_not_HTTP_is_a_bad_answer(dialect: str) -> None:
    for nonsense in (b"\x15\x03\x01\x00\x02", b"SSH-2.0-OpenSSH\n", b"HTTP" * 5000):
        end, application, fired = waiting(dialect)
        end.receive(nonsense)
        assert isinstance(failed(end, application, fired), InvalidHandshake)


def test_without_leniency_Nettys_upgrade_is_refused() -> None:
    end, application, fired = waiting()
    end.receive(end.answer(upgrade="websocket"))
    assert failed(end, application, fired).check == "upgrade"


REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nX-Why: because\r\n\r\n"


@each
@pytest.mark.parametrize("size", [None, 1])
def test_a_refusal_comes_with_its_body(dialect: str, size: int | None) -> None:
    end, application, fired = waiting(dialect)
    end.receive(REFUSAL + b"shoo!", size)
    reason = failed(end, application, fired)
    assert isinstance(reason, HandshakeRefused)
    assert (reason.status, reason.body) == (403, b"shoo!")
    assert (b"x-why", b"because") in reason.headers


@each
def test_a_refusal_without_a_length_ends_with_the_connection(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.receive(b"HTTP/1.1 404 Not Found\r\n\r\nnobody")
    assert fired.results == []
    end.receive(b" here")
    end.lose()
    reason = failed(end, application, fired)
    assert (reason.status, reason.body) == (404, b"nobody here")


@each
def test_a_refusal_cut_short_is_a_refusal(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.receive(REFUSAL + b"sh")
    end.reset()
    assert failed(end, application, fired).body == b"sh"


@each
def test_a_refusal_whose_end_does_not_come_is_a_refusal(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.receive(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n")
    end.clock.advance(10.1)
    assert failed(end, application, fired).status == 404


@each
@pytest.mark.parametrize("length", [b"", b"Content-Length: 999999999\r\n"])
def test_of_a_long_refusal_the_beginning_is_kept(dialect: str, length: bytes) -> None:
    end, application, fired = waiting(dialect, limits=Limits(refusal_size=10))
    end.receive(b"HTTP/1.1 500 Oops\r\n" + length + b"\r\n" + b"0123456789abcdef")
    assert failed(end, application, fired).body == b"0123456789"


@each
@pytest.mark.parametrize("sent", [0, 1, 60])
def test_a_server_that_leaves_inside_its_answer_has_not_answered(dialect: str, sent: int) -> None:
    end, application, fired = waiting(dialect)
    if sent:
        end.receive(end.answer()[:sent])
    end.lose()
    reason = failed(end, application, fired)
    assert isinstance(reason, PeerLeft)
    assert (reason.stage, reason.__cause__) == ("handshake", None)


def test_a_connection_that_was_cut_is_told_from_one_that_was_closed() -> None:
    end, application, fired = waiting()
    end.reset()
    reason = failed(end, application, fired)
    assert isinstance(reason, PeerLeft)
    assert isinstance(reason.__cause__, ConnectionLost)


SECRET_URL = "ws://us%40er:s%C3%A9cret@example.com/demo"
"""With a name and a password that have to be percent-encoded."""


@each
def test_the_user_of_a_url_is_sent_as_basic_authorization(dialect: str) -> None:
    end, _, _ = waiting(dialect, url=SECRET_URL)
    said = b64encode("us@er:s\u00e9cret".encode())
    assert b"\r\nAuthorization: Basic " + said + b"\r\n" in end.request
    assert b"\r\nHost: example.com\r\n" in end.request
    end.done()


@each
def test_credentials_of_the_URL_are_not_shown(dialect: str, log: Log) -> None:
    """Neither the application nor the log nor whoever prints what he holds in his hands."""
    applications = Applications(Recorder)
    end = ClientEnd(applications, dialect=dialect, url=SECRET_URL, logConnections=True)
    end.receive(end.answer())
    end.lose()
    shown = [*applications.asked, *log.lines(), repr(end.protocol.offer), repr(end.factory)]
    shown += [end.factory.url, end.protocol.offer.location]
    assert applications.asked == ["ws://example.com/demo"]
    for word in ("us%40er", "us@er", "s%C3%A9cret", "s\u00e9cret", "Basic"):
        assert word not in "\n".join(shown)
    end.done()


@each
@pytest.mark.parametrize("name", [b"Host", b"UPGRADE", b"Connection"])
def test_what_the_handshake_says_is_not_said_twice(dialect: str, name: bytes) -> None:
    """Of two hosts a proxy might read the one, and the server the other."""
    with pytest.raises(ValueError, match="(?i)^" + name.decode()):
        HixieClientFactory(
            "ws://example.com/", Applications(), dialect=dialect, headers=((name, b"x"),)
        )


@each
def test_a_field_of_our_own_may_come_twice(dialect: str) -> None:
    end, _, _ = waiting(dialect, headers=((b"X-A", b"1"), (b"x-a", b"2")))
    fields = Head(end.request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").fields()
    assert fields.exact(b"x-a") == [b"1", b"2"]
    end.done()


def test_two_authorizations_are_one_too_many() -> None:
    headers = ((b"authorization", b"Bearer x"),)
    with pytest.raises(ValueError, match="Authorization") as caught:
        HixieClientFactory(SECRET_URL, Applications(), headers=headers)
    assert "cret" not in str(caught.value)


@each
def test_a_server_that_grants_no_subprotocol_is_taken(dialect: str) -> None:
    """RFC 6455 lets it stand in section 4.1; the drafts before the hybi ones did not."""
    end, application, fired = waiting(dialect, subprotocols=["chat"])
    end.receive(end.answer())
    if dialect in HIXIE:
        assert isinstance(failed(end, application, fired), InvalidHandshake)
        return
    assert fired.result is application
    assert end.protocol.agreement is not None
    assert end.protocol.agreement.subprotocol is None
    end.done()


@each
def test_an_answer_that_does_not_come_is_late(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.receive(end.answer()[:50])
    end.clock.advance(9.9)
    assert fired.results == []
    end.clock.advance(0.2)
    assert isinstance(failed(end, application, fired), ConnectTimeout)


@each
def test_an_answer_in_the_turn_of_the_deadline_is_in_time(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.clock.callLater(10.0, end.receive, end.answer())
    end.clock.advance(60)
    assert fired.result is application
    end.done()


# Giving up.


@each
def test_cancelling_ends_the_connection(dialect: str) -> None:
    application = Recorder()
    end = ClientEnd(Applications(lambda: application), dialect=dialect)
    deferred = end.protocol.whenOpen()
    fired = Fired(deferred)
    deferred.cancel()
    deferred.cancel()
    assert end.wire.endings == ["abort"]
    assert isinstance(failed(end, application, fired), CancelledError)


def test_cancelling_one_of_several_tells_the_others() -> None:
    end, application, fired = waiting()
    deferred = end.protocol.whenOpen()
    other = Fired(deferred)
    deferred.cancel()
    assert isinstance(other.result, CancelledError)
    assert isinstance(failed(end, application, fired), NotOpen)


@pytest.mark.parametrize("opens", [True, False])
def test_a_callback_of_whenOpen_may_cancel_another_whenOpen(opens: bool) -> None:
    application = Recorder()
    end = ClientEnd(Applications(lambda: application))
    first, second = end.protocol.whenOpen(), end.protocol.whenOpen()
    first.addBoth(lambda _: second.cancel())
    fired = Fired(second)
    if opens:
        end.receive(end.answer())
    else:
        end.lose()
    assert isinstance(fired.result, CancelledError)
    end.done()


@each
@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
def test_closing_before_it_is_open_is_giving_up(dialect: str, how: str) -> None:
    end, application, fired = waiting(dialect)
    getattr(application.transport, how)()
    end.receive(end.answer())
    assert isinstance(failed(end, application, fired), NotOpen)


@each
@pytest.mark.parametrize("what", ["started", "made"])
def test_an_application_that_raises_when_it_starts_has_none(
    dialect: str, what: str, log: Log
) -> None:
    application = Recorder(started=fails)

    def make() -> Recorder:
        if what == "made":
            raise Broken
        return application

    end = ClientEnd(Applications(make), dialect=dialect)
    fired = Fired(end.protocol.whenOpen())
    assert [type(error) for error in log.tracebacks()] == [Broken]
    assert end.request == b""
    assert end.wire.endings == ["abort"]
    end.lose()
    assert isinstance(fired.result, NotOpen)
    assert application.told == ([] if what == "made" else ["started", "lost"])
    end.done()


# Once, whatever happens.

ENDS: dict[str, Callable[[ClientEnd, Deferred[Any]], None]] = {
    "the peer closes": lambda end, deferred: end.lose(),
    "the peer resets": lambda end, deferred: end.reset(),
    "time passes": lambda end, deferred: end.clock.pump([3600.0] * 3),
    "it is cancelled": lambda end, deferred: deferred.cancel(),
    "we close": lambda end, deferred: end.protocol.loseConnection(),
    "we abort": lambda end, deferred: end.protocol.abortConnection(),
}


@st.composite
def answered(draw: st.DrawFn, right: bytes) -> bytes:
    """Nearly an answer: the right one with bytes changed, cut out or put in; or something else."""
    answer = draw(
        st.sampled_from(
            [
                right,
                right.replace(b" 101 ", b" 404 "),
                b"HTTP/1.1 103 Early Hints\r\n\r\n" + right,
                b"HTTP/1.0 503 No\r\nContent-Length: 5\r\n\r\nsorry",
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
            ]
        )
    )
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(answer)))
        stop = draw(st.integers(start, min(start + 3, len(answer))))
        answer = answer[:start] + draw(st.binary(max_size=3)) + answer[stop:]
    return answer[: draw(st.integers(0, len(answer)) | st.just(len(answer)))]


@settings(max_examples=300)
@given(st.sampled_from(NAMES), st.data())
def test_whenOpen_fires_once_whatever_a_server_answers(dialect: str, data: st.DataObject) -> None:
    """With an application or a reason, at the latest when the connection ends; nothing remains."""
    application = Recorder()
    end = ClientEnd(Applications(lambda: application), dialect=dialect)
    deferred = end.protocol.whenOpen()
    fired = Fired(deferred)
    end.receive(data.draw(answered(end.answer())), data.draw(st.sampled_from([None, 1, 7])))
    if not end.wire.dead:
        ENDS[data.draw(st.sampled_from(sorted(ENDS)))](end, deferred)
    if not end.wire.dead:
        end.lose()
    assert fired.result is application or isinstance(fired.result, (HixieError, CancelledError))
    assert ("finished" in application.told) == (fired.result is application)
    assert application.told.count("lost") == 1
    end.done()
