"""All that an application sends within one read leaves in its order."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.applications import Applications, Recorder
from support.dialect_names import MODERN, NAMES
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd, opened
from txhixie import broadcast
from txhixie.connection.tap import Entry, Reader, Tap
from txhixie.extensions import PermessageDeflate
from txhixie.sansio.wire.frame import Opcode, Side
from txhixie.sansio.wire.joined_texts import take_joined

TEXTS: Final = {
    "short": "a",
    "accents": "é" * 200,
    "line": "x" * 5000,
    "limit": "y" * 16_383,
    "beyond": "€" * 16_383,
    "long": "z" * 20_000,
    "much": "w" * 70_000,
}


def text(message: str) -> Callable[[Any, Recorder], bytes]:
    def send(end: Any, app: Recorder) -> bytes:
        app.transport.sendTextMessage(message)
        return bytes(end.own.text(message))

    return send


def binary(end: Any, app: Recorder) -> bytes:
    app.transport.sendBytesMessage(b"\x00\xff" * 9)
    return bytes(end.own.binary(b"\x00\xff" * 9))


def ping(end: Any, app: Recorder) -> bytes:
    if end.dialect not in MODERN:
        return b""  # it has no pings
    app.transport.ping(b"?")
    return bytes(end.own.frame(Opcode.PING, b"?"))


def to_all(end: Any, app: Recorder) -> bytes:
    assert broadcast([app.transport], "all").sent == 1
    return bytes(end.own.text("all"))


def errors(end: Any, app: Recorder) -> bytes:
    """What cannot be sent leaves nothing behind."""
    for wrong, error in ((b"bytes", TypeError), (None, TypeError), ("a\ud800", UnicodeEncodeError)):
        with pytest.raises(error):
            app.transport.sendTextMessage(wrong)  # type: ignore[arg-type]
    return b""


def asks(end: Any, app: Recorder) -> bytes:
    """What the application has sent within the read is not sent yet, or was written."""
    assert isinstance(app, Replying)
    joined = app.transport.unsent
    assert end.wire.written + app.expected[-joined:] * bool(joined) == app.expected
    return b""


def taps(end: Any, app: Recorder) -> bytes:
    end.protocol.tap = None if end.protocol.tap else Tap(end.protocol)
    return b""


MOVES: Final[dict[str, Callable[[Any, Recorder], bytes]]] = {
    **{name: text(message) for name, message in TEXTS.items()},
    "binary": binary,
    "ping": ping,
    "broadcast": to_all,
    "errors": errors,
    "unsent": asks,
    "tap": taps,
}


class Reading(Reader):
    """Keeps the entries of a tap."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    def tell(self, entry: Entry) -> None:
        self._entries.append(entry)


class Replying(Recorder):
    """Performs the next list of moves with each message, and keeps the bytes that these write."""

    def __init__(self, *plans: list[str]) -> None:
        super().__init__()
        self.plans = [*plans]
        self.end: Any = None
        self.expected = b""

    def textMessageReceived(self, message: str) -> None:
        for move in self.plans.pop(0):
            self.expected += MOVES[move](self.end, self)


def replies(dialect: str, side: str, *plans: list[str], **options: Any) -> tuple[Any, Replying]:
    """One read with as many messages as there are plans."""
    application = Replying(*plans)
    end, _ = opened(dialect, application, side, binary="send", **options)
    application.end = end
    end.wire.taken()
    end.receive(end.peer.text(*(f"{number}" for number in range(len(plans)))))
    assert not application.plans
    return end, application


@example("rfc6455", Side.SERVER, [["line", "unsent", "short", "unsent"], ["accents", "unsent"]])
@example("hixie-76", Side.SERVER, [["short", "tap", "short", "tap", "short", "broadcast"]])
@example("rfc6455", Side.SERVER, [["limit"] * 5, ["binary", "limit"], ["line", "errors", "much"]])
@given(
    st.sampled_from(NAMES),
    st.sampled_from([Side.SERVER, Side.CLIENT]),
    st.lists(st.lists(st.sampled_from(sorted(MOVES)), max_size=5), min_size=1, max_size=5),
)
def test_replies_of_every_kind_leave_in_their_order(
    dialect: str, side: str, plans: list[list[str]]
) -> None:
    end, application = replies(dialect, side, *plans)
    assert end.wire.taken() == application.expected
    assert take_joined() == b""


@pytest.mark.parametrize("dialect", NAMES)
def test_short_texts_leave_in_one_write(dialect: str) -> None:
    end, application = replies(dialect, Side.SERVER, *[["short", "accents", "line"]] * 4)
    assert end.wire.writes == [application.expected]
    assert end.protocol.tally.sent == 12


def read_back(data: bytes) -> list[str]:
    """The texts of a server's frames, inflated where the first reserved bit is set."""
    inflator, texts = zlib.decompressobj(-15), []
    while data:
        start, size = 2, data[1]
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        payload = data[start : start + size]
        if data[0] == 0xC1:
            payload = inflator.decompress(payload + b"\0\0\xff\xff")
        else:
            assert data[0] == 0x81
        texts.append(payload.decode())
        data = data[start + size :]
    return texts


@given(
    st.sampled_from(MODERN),
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "é" * 30, "b" * 300, "€" * 100, "c" * 20_000]),
            st.sampled_from([None, False, True]),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_with_an_extension_the_replies_keep_their_order(
    dialect: str, texts: list[tuple[str, bool | None]]
) -> None:
    """Short ones are joined, and others are compressed."""

    class Sending(Recorder):
        def textMessageReceived(self, message: str) -> None:
            for text, compress in texts:
                self.transport.sendTextMessage(text, compress)

    end = ServerEnd(Applications(Sending), extensions=[PermessageDeflate(server_takeover=True)])
    end.receive(whole_request(dialect, "Sec-WebSocket-Extensions: permessage-deflate"))
    assert b"permessage-deflate" in end.wire.taken()
    end.receive(end.peer.text("go"))
    assert read_back(end.wire.taken()) == [text for text, _ in texts]


@pytest.mark.parametrize("dialect", NAMES)
def test_a_tap_gets_what_is_sent_after_it_has_come_and_nothing_from_before(dialect: str) -> None:
    entries: list[Entry] = []

    class Tapped(Recorder):
        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage("before")
            tap = Tap(end.protocol)
            tap.readers.append(Reading(entries))
            end.protocol.tap = tap
            self.transport.sendTextMessage("behind it")
            end.protocol.tap = None
            self.transport.sendTextMessage("after")

    end, _ = opened(dialect, Tapped())
    end.receive(end.peer.text("a"))
    assert end.wire.taken() == end.own.text("before", "behind it", "after")
    (entry,) = entries
    assert entry.frame is not None
    assert (entry.direction, entry.frame.length) == ("sent", len("behind it"))


class Ending(Recorder):
    """Replies to the first message, ends the connection, and sends once more."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self._end = end

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage("bye")
        getattr(self.transport, self._end)()
        self.transport.sendTextMessage("too late")


def ended(dialect: str, end: str) -> Any:
    """A connection in memory that an application has ended with the first of two messages."""
    ending, _ = opened(dialect, Ending(end))
    ending.receive(ending.peer.text("a", "b"))
    return ending


@pytest.mark.parametrize("dialect", NAMES)
def test_the_replies_before_a_close_are_sent(dialect: str) -> None:
    end = ended(dialect, "loseConnection")
    assert end.wire.taken() == end.own.text("bye") + end.own.close(1000)


@pytest.mark.parametrize("dialect", NAMES)
def test_the_replies_before_an_abort_are_not_sent(dialect: str) -> None:
    end = ended(dialect, "abortConnection")
    assert (end.wire.taken(), take_joined()) == (b"", b"")
    # The memory is that of the next connection.
    other, application = replies(dialect, Side.SERVER, ["short"])
    assert other.wire.taken() == application.expected


@pytest.mark.parametrize("dialect", NAMES)
def test_the_replies_before_an_exception_are_sent(dialect: str, log: Log) -> None:
    class Failing(Recorder):
        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(message)
            if message == "b":
                raise RuntimeError("no")

    end, _ = opened(dialect, Failing())
    end.receive(end.peer.text("a", "b", "c"))
    assert end.wire.taken().startswith(end.own.text("a", "b"))
    assert len(log.tracebacks()) == 1


@pytest.mark.parametrize("dialect", NAMES)
def test_a_read_within_a_read_has_its_own_replies(dialect: str) -> None:
    """An application may deliver bytes to another connection, or run the reactor, in a callback."""

    class Outer(Recorder):
        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(f"before {message}")
            inner.receive(inner.peer.text("x", "y"))
            self.transport.sendTextMessage(f"behind {message}")

    class Echo(Recorder):
        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(message)

    inner, _ = opened(dialect, Echo())
    outer, _ = opened(dialect, Outer())
    outer.receive(outer.peer.text("1", "2"))
    assert outer.wire.taken() == outer.own.text("before 1", "behind 1", "before 2", "behind 2")
    assert inner.wire.taken() == inner.own.text("x", "y") * 2
