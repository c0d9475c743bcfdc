"""Random sequences of events: bytes, pauses, closes, timers, exceptions, lost connections.

Other tests say what each event does. These tests check what holds after every sequence: an
application gets each event once, in order, and none after ``connectionLost``; and no timer and no
buffer is left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost

from support.applications import Applications, Broken, Recorder, Source, fails
from support.dialect_names import MODERN, NAMES
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ClientEnd, ServerEnd
from txhixie import Limits
from txhixie.errors import NotOpen, UnsupportedByDialect
from txhixie.sansio.wire.frame import Opcode, Side

Act = Callable[[Recorder], object]


def attach(app: Recorder) -> None:
    with suppress(RuntimeError):  # there is one already
        app.transport.attachProducer(Source())


ACTS: Final[dict[str, Act]] = {
    "pause": lambda app: app.transport.pauseProducing(),
    "resume": lambda app: app.transport.resumeProducing(),
    "close": lambda app: app.transport.loseConnection(1001, "enough"),
    "fail": lambda app: app.transport.failConnection(),
    "abort": lambda app: app.transport.abortConnection(),
    "send": lambda app: app.transport.sendTextMessage("x" * 100),
    "send much": lambda app: app.transport.sendBytesMessage(bytes(70_000)),
    "ping": lambda app: app.transport.ping(b"?"),
    "attach": attach,
    "detach": lambda app: app.transport.detachProducer(),
}
ENDINGS: Final = ("close", "fail", "abort")

SAYS: Final = (
    *("text", "binary", "close", "broken", "half a text"),
    *("its end", "ping", "part", "empty"),
)

dialects = st.sampled_from(NAMES)
sides = st.sampled_from([Side.SERVER, Side.CLIENT])
acts = st.sampled_from(sorted(ACTS))
events = st.one_of(
    st.tuples(st.just("says"), st.lists(st.sampled_from(SAYS), max_size=4), st.integers(1, 40)),
    st.tuples(st.just("does"), acts),
    st.tuples(st.just("is to do"), st.sampled_from([*sorted(ACTS), "raise"])),
    st.tuples(st.just("waits"), st.sampled_from([0.0, 0.5, 3.0, 21.0, 61.0])),
    st.sampled_from([("is full",), ("is free",)]),
)


class Told(Recorder):
    """
    An application that performs its planned actions, one with each event that it gets.

    :ivar ended: whether the application has closed the connection and must get no further
        messages.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plan: list[str] = []
        self.ended = False

    def _note(self, kind: str, *what: object) -> None:
        assert "lost" not in self.told, f"{kind} after the end"
        if kind not in ("started", "lost"):
            assert self.told[:1] == ["started"]
            assert (kind == "finished") == (len(self.events) == 1)
        assert not (self.ended and kind in ("text", "bytes", "pong")), f"{kind} after its own close"
        super()._note(kind, *what)
        if self.plan:
            self.act(self.plan.pop())

    def act(self, name: str) -> None:
        if name == "raise":
            self.ended = True
            fails(self)
        with suppress(NotOpen, UnsupportedByDialect):
            ACTS[name](self)
        self.ended |= name in ENDINGS


def said(end: Any, what: str) -> bytes:
    """Encode an event of the peer in its dialect."""
    peer, modern = end.peer, end.dialect in MODERN
    if what == "ping":
        return bytes(peer.frame(Opcode.PING, b"!")) if modern else b""
    if what == "part":
        return bytes(peer.frame(Opcode.TEXT, b"a", final=False)) if modern else b"\x00a"
    if what == "half a text":
        return bytes(peer.text("h" * 20)[:12])
    if what == "its end":
        return bytes(peer.text("h" * 20)[12:])
    words = {"text": ("hi",), "binary": (b"\x00\xff",)}.get(what, ())
    return bytes(peer.text("") if what == "empty" else getattr(peer, what)(*words))


def happen(end: Any, application: Told, event: tuple[Any, ...]) -> None:
    """Perform one event, unless a real transport could not produce it in its present state."""
    wire = end.wire
    what = event[0]
    if what == "says" and not wire.paused and not {"abort", "lose"} & {*wire.endings}:
        data = b"".join(said(end, word) for word in event[1])
        end.receive(data, event[2])
    elif what == "does":
        application.act(event[1])
    elif what == "is to do":
        application.plan.append(event[1])
    elif what == "waits":
        end.clock.advance(event[1])
        end.clock.advance(0)
    elif what == "is full" and wire.producer is not None:
        wire.producer.pauseProducing()
    elif what == "is free" and wire.producer is not None:
        wire.producer.resumeProducing()


def opened(dialect: str, side: str, application: Told) -> Any:
    limits = Limits(unsent_size=200_000)
    end: Any
    if side == Side.SERVER:
        end = ServerEnd(Applications(lambda: application), limits=limits)
        end.receive(whole_request(dialect))
    else:
        end = ClientEnd(Applications(lambda: application), dialect=dialect, limits=limits)
        end.receive(end.answer())
    return end


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(dialects, sides, st.lists(events, max_size=25), st.booleans())
def test_an_application_gets_each_event_once_and_nothing_is_left(
    log: Log, dialect: str, side: str, happened: list[tuple[Any, ...]], orderly: bool
) -> None:
    application = Told()
    end = opened(dialect, side, application)
    for event in happened:
        happen(end, application, event)
    end.lose(ConnectionDone() if orderly else ConnectionLost())
    assert application.told[-1] == "lost"
    assert application.told.count("lost") == 1
    end.done()
    assert all(isinstance(error, Broken) for error in log.tracebacks())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(dialects, sides, st.lists(events, max_size=25), st.sampled_from(["close", "fail"]))
def test_a_closing_side_drops_a_peer_that_sends_nothing_more(
    log: Log, dialect: str, side: str, happened: list[tuple[Any, ...]], how: str
) -> None:
    """The number of bytes that the peer was sent and has not read makes no difference."""
    application = Told()
    end = opened(dialect, side, application)
    for event in happened:
        happen(end, application, event)
    application.plan.clear()
    application.act(how)
    for _ in range(200):
        end.clock.advance(1.0)
        end.clock.advance(0)
    assert {"abort", "lose"} & {*end.wire.endings}
    end.done()
    assert all(isinstance(error, Broken) for error in log.tracebacks())
