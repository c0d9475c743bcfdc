"""A client's connection, from its request to the conversation: in memory."""

from __future__ import annotations

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
from support.dialect_marks import each, hixie, modern
from support.dialect_names import HIXIE, NAMES
from support.log_recorder import Log
from support.memory_connection import ClientEnd
from txhixie import (
    AbruptClose,
    ConnectTimeout,
    HandshakeRefused,
    HixieError,
    InvalidHandshake,
    Limits,
    NotOpen,
    PeerLeft,
)
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.http.head import Head


class Fired:
    """The result of a Deferred that fires at most once."""

    def __init__(self, deferred: Deferred[Any]) -> None:
        self.results: list[Any] = []
        deferred.addBoth(self.results.append)

    @property
    def result(self) -> Any:
        (result,) = self.results
        return result.value if isinstance(result, Failure) else result


def waiting(dialect: str = "hixie-76", **options: Any) -> tuple[ClientEnd, Recorder, Fired]:
    """A client that waits for the response."""
    application = options.pop("application", None) or Recorder()
    end = ClientEnd(Applications(lambda: application), dialect=dialect, **options)
    return end, application, Fired(end.protocol.whenOpen())


def failed(end: ClientEnd, application: Recorder, fired: Fired) -> Any:
    """Assert that the attempt failed, with one error for each waiting caller, and left no timer;
    the error."""
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


def test_the_dialect_of_the_slides_is_spoken() -> None:
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


def test_every_request_is_different() -> None:
    first, second = waiting()[0], waiting()[0]
    assert first.request != second.request
    first.done()
    second.done()


# Accepted responses.


@each
@pytest.mark.parametrize("size", [None, 1, 5])
def test_a_client_is_open_when_the_response_is_complete(dialect: str, size: int | None) -> None:
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
def test_a_client_has_the_agreement_of_the_server(dialect: str) -> None:
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
    """eventlet and txWS send a subprotocol always."""
    end, application, fired = waiting(dialect)
    end.receive(end.answer("Sec-WebSocket-Protocol: default", "WebSocket-Protocol: default"))
    assert fired.result is application
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol is None
    end.done()


def test_Nettys_upgrade_header_is_accepted_by_a_lenient_client() -> None:
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


# Rejected responses.


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
def test_each_wrong_field_is_a_bad_response(
    dialect: str, changed: dict[str, str | None], check: str
) -> None:
    end, application, fired = waiting(dialect)
    end.receive(end.answer(**changed))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert any(reason.check == word for word in alternatives(check)), reason.check


def alternatives(check: str) -> list[str]:
    """The alternatives that a pattern of this test consists of."""
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
def test_each_additional_contradicting_field_is_a_bad_response(
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
def test_a_subprotocol_that_was_not_offered_is_a_bad_response(
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
def test_each_wrong_field_of_a_modern_response_is_a_bad_response(
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
def test_each_additional_contradicting_field_of_a_modern_response_is_a_bad_response(
    dialect: str, line: str, check: str
) -> None:
    end, application, fired = waiting(dialect, subprotocols=["chat", "other"])
    end.receive(end.answer(line))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check == check


@modern
def test_a_server_may_keep_its_context_unless_no_takeover_was_required(dialect: str) -> None:
    """Many servers answer with the extension's name alone, for any offer."""
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
def test_compression_is_offered_and_used_when_it_is_granted(dialect: str) -> None:
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
def test_a_client_without_extensions_offers_none_and_accepts_none(dialect: str) -> None:
    end, application, fired = waiting(dialect, extensions=())
    assert b"Extensions" not in end.request
    end.receive(end.answer(GRANTED))
    reason = failed(end, application, fired)
    assert isinstance(reason, InvalidHandshake)
    assert reason.check == "extension"


@hixie
def test_no_hixie_client_offers_compression(dialect: str) -> None:
    end, _, _ = waiting(dialect)
    assert b"Extensions" not in end.request
    end.done()


@modern
def test_the_granted_subprotocol_is_known(dialect: str) -> None:
    end, application, _ = waiting(dialect, subprotocols=["a", "b"])
    assert b"\r\nSec-WebSocket-Protocol: a, b\r\n" in end.request
    end.receive(end.answer("Sec-WebSocket-Protocol: b"))
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol == "b"
    end.done()


@modern
def test_a_server_may_grant_none_of_the_subprotocols(dialect: str) -> None:
    """RFC 6455 allows it; the application decides whether it continues."""
    end, application, fired = waiting(dialect, subprotocols=["a"])
    end.receive(end.answer())
    assert fired.result is application
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol is None
    end.done()


@modern
def test_a_list_of_connection_tokens_is_accepted(dialect: str) -> None:
    """Peers of Firefox and many proxies send ``keep-alive, Upgrade``."""
    end, application, fired = waiting(dialect)
    end.receive(end.answer(connection="keep-alive, upgrade", upgrade="WebSocket"))
    assert fired.result is application
    end.done()


@each
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 407, 426])
def test_a_redirect_is_a_refusal_with_its_location(dialect: str, status: int) -> None:
    """The client follows no redirect: the caller decides."""
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


def test_a_wrong_proof_is_a_bad_response() -> None:
    end, application, fired = waiting()
    end.receive(end.answer()[:-1] + b"\x00")
    assert failed(end, application, fired).check == "challenge"


@each
def test_a_response_that_is_not_HTTP_is_a_bad_response(dialect: str) -> None:
    for nonsense in (b"\x15\x03\x01\x00\x02", b"SSH-2.0-OpenSSH\n", b"HTTP" * 5000):
        end, application, fired = waiting(dialect)
        end.receive(nonsense)
        assert isinstance(failed(end, application, fired), InvalidHandshake)


def test_without_leniency_Nettys_upgrade_header_is_rejected() -> None:
    end, application, fired = waiting()
    end.receive(end.answer(upgrade="websocket"))
    assert failed(end, application, fired).check == "upgrade"


REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\nX-Why: because\r\n\r\n"


@each
@pytest.mark.parametrize("size", [None, 1])
def test_a_refusal_has_its_body(dialect: str, size: int | None) -> None:
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
def test_an_incomplete_refusal_is_a_refusal(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.receive(REFUSAL + b"sh")
    end.reset()
    assert failed(end, application, fired).body == b"sh"


@each
def test_a_refusal_with_an_endless_body_is_a_refusal(dialect: str) -> None:
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
def test_a_connection_that_ends_within_a_response_is_no_response(dialect: str, sent: int) -> None:
    end, application, fired = waiting(dialect)
    if sent:
        end.receive(end.answer()[:sent])
    end.lose()
    reason = failed(end, application, fired)
    assert isinstance(reason, PeerLeft)
    assert (reason.stage, reason.__cause__) == ("handshake", None)


def test_the_error_distinguishes_a_lost_connection_from_a_closed_one() -> None:
    end, application, fired = waiting()
    end.reset()
    reason = failed(end, application, fired)
    assert isinstance(reason, PeerLeft)
    assert isinstance(reason.__cause__, ConnectionLost)


"""The user name and the password of the URL have percent-encoded characters."""


@each
def test_a_server_that_grants_no_subprotocol_is_accepted(dialect: str) -> None:
    """RFC 6455 section 4.1 allows it; the drafts before hybi do not."""
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
def test_a_response_that_does_not_arrive_is_a_timeout(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.receive(end.answer()[:50])
    end.clock.advance(9.9)
    assert fired.results == []
    end.clock.advance(0.2)
    assert isinstance(failed(end, application, fired), ConnectTimeout)


@each
def test_a_response_in_the_reactor_turn_of_the_deadline_is_in_time(dialect: str) -> None:
    end, application, fired = waiting(dialect)
    end.clock.callLater(10.0, end.receive, end.answer())
    end.clock.advance(60)
    assert fired.result is application
    end.done()


# Cancelling.


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


def test_cancelling_one_of_several_fails_the_others_too() -> None:
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
def test_closing_before_the_opening_cancels_the_attempt(dialect: str, how: str) -> None:
    end, application, fired = waiting(dialect)
    getattr(application.transport, how)()
    end.receive(end.answer())
    assert isinstance(failed(end, application, fired), NotOpen)


@each
@pytest.mark.parametrize("what", ["started", "made"])
def test_an_application_that_raises_at_its_start_fails_the_attempt(
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


# One result, for any response.

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
    """A response with some bytes changed, removed or added, or arbitrary bytes."""
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
def test_whenOpen_fires_once_for_any_response(dialect: str, data: st.DataObject) -> None:
    """The result is an application or an error, at the latest when the connection ends; no timer
    is left."""
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
