"""Arguments of the public API: an accepted type is converted, any other is a TypeError that names
the right call."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from txhixie import DIALECTS, Channel, StreamApplications
from txhixie.channel.channel import ChannelApplication
from txhixie.extensions import CLIENT_EXTENSIONS, DEFAULT_EXTENSIONS
from txhixie.sansio.arguments import several, strings, whole_bytes
from txhixie.stream import StreamClientEndpoint
from txhixie.testing import Applications, Pair, Recorder


class Bytes(bytes):
    """A subclass of ``bytes`` whose methods may differ from those of ``bytes``."""


WORDS: Final = array("I", [1, 2, 0x01020304])
GRID: Final = memoryview(bytes(range(12))).cast("B", (3, 4))
SHAPES: Final[dict[str, tuple[Any, bytes]]] = {
    "bytes": (b"\x00\xff", b"\x00\xff"),
    "a subclass": (Bytes(b"abc"), b"abc"),
    "bytearray": (bytearray(b"abc"), b"abc"),
    "array of integers": (WORDS, WORDS.tobytes()),
    "array of doubles": (array("d", [0.5, -2.0]), array("d", [0.5, -2.0]).tobytes()),
    "empty array": (array("I"), b""),
    "wide memoryview": (memoryview(WORDS), WORDS.tobytes()),
    "memoryview with gaps": (memoryview(b"abcdef")[::2], b"ace"),
    "memoryview backwards": (memoryview(b"abc")[::-1], b"cba"),
    "wide memoryview with gaps": (memoryview(WORDS)[::2], array("I", [1, 0x01020304]).tobytes()),
    "two dimensions": (GRID, bytes(range(12))),
    "ctypes array": ((ctypes.c_uint16 * 3)(1, 2, 3), bytes((ctypes.c_uint16 * 3)(1, 2, 3))),
    "ctypes number": (ctypes.c_double(1.5), bytes(ctypes.c_double(1.5))),
    "long array": (array("I", range(100_000)), array("I", range(100_000)).tobytes()),
}
every_shape = pytest.mark.parametrize("shape", SHAPES)
every_dialect = pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])
NO_BYTES: Final = ("text", 5, None, 1.5, [1, 2], {"a": 1}, Path("/"), object(), bytes)
no_bytes = pytest.mark.parametrize("wrong", NO_BYTES, ids=repr)


def pair(dialect: str, client: Recorder, server: Recorder, compressed: bool = True) -> Pair:
    """A client and a server, in a dialect with binary frames or with binary sent on demand."""
    return Pair.new(
        Applications(lambda: server),
        client,
        dialect=dialect,
        binary="send",
        serverExtensions=DEFAULT_EXTENSIONS if compressed else (),
        clientExtensions=CLIENT_EXTENSIONS if compressed else (),
    )


# Bytes.


@every_shape
@every_dialect
def test_binary_of_any_shape_arrives_as_its_bytes(dialect: str, shape: str) -> None:
    """Both sides send; the next message arrives too, so each length on the wire was right."""
    given, expected = SHAPES[shape]
    client, server = Recorder(), Recorder()
    for compressed in (True, False):
        joined = pair(dialect, client, server, compressed)
        for sender in (client, server):
            sender.transport.sendBytesMessage(given)
            sender.transport.sendTextMessage("after")
        joined.pump()
        assert client.messages == server.messages == [expected, "after"]
        client.events.clear()
        server.events.clear()


@every_shape
@pytest.mark.parametrize("dialect", ["hybi-07", "hybi-08", "rfc6455"])
def test_the_payload_of_a_ping_may_have_any_shape(dialect: str, shape: str) -> None:
    given, expected = SHAPES[shape]
    if len(expected) > 125:
        return
    client, server = Recorder(), Recorder()
    joined = pair(dialect, client, server)
    for sender in (client, server):
        sender.transport.ping(given)
        sender.transport.sendTextMessage("after")
    joined.pump()
    for receiver in (client, server):
        assert ("pong", expected) in receiver.events
        assert receiver.messages == ["after"]


@every_shape
def test_a_channel_sends_binary_of_any_shape(shape: str) -> None:
    given, expected = SHAPES[shape]
    server, (joined, channel) = Recorder(), opened(Recorder())
    server = joined.server.protocol.factory.applications.made[0]  # type: ignore[attr-defined]  # the applications are those of the test, and have this attribute
    channel.send(given)
    channel.send("after")
    joined.pump()
    assert server.messages == [expected, "after"]


def test_what_waits_to_be_sent_does_not_change_with_its_buffer() -> None:
    joined, channel = opened(Recorder())
    server = joined.server.protocol.factory.applications.made[0]  # type: ignore[attr-defined]  # the applications are those of the test, and have this attribute
    joined.toServer.paused = True
    channel.send(b"x" * 200_000)
    joined.pump()
    buffer: Any = array("I", [1, 2])
    channel.send(buffer)
    buffer[0] = 7
    joined.toServer.paused = False
    joined.pump()
    assert server.messages[1] == array("I", [1, 2]).tobytes()


def opened(server: Recorder) -> tuple[Pair, Channel]:
    """A client's channel to a recorder."""
    application = ChannelApplication()
    joined = Pair.new(Applications(lambda: server), application, clientExtensions=())
    return joined, Channel(application)


class Writer(Protocol):
    """Writes what it is given."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        """Kept."""
        self.received += data


def streams() -> tuple[Pair, Writer, Writer]:
    """Both sides of a stream."""
    server, made = Writer(), []

    class Connects:
        def connectApplication(self, application: Any) -> Deferred[Any]:
            factory = Factory.forProtocol(lambda: server)
            made.append(Pair.new(StreamApplications(factory), application))
            done: Deferred[Any] = Deferred()
            done.callback(application)
            return done

    client = Writer()
    factory = Factory.forProtocol(lambda: client)
    StreamClientEndpoint(Connects()).connect(factory)
    return made[0], client, server


@every_shape
def test_a_stream_writes_bytes_of_any_shape(shape: str) -> None:
    """From both sides, alone and in a sequence."""
    given, expected = SHAPES[shape]
    joined, client, server = streams()
    for writer in (client, server):
        writer.transport.write(given)
        writer.transport.writeSequence([given, b"|", given])
    joined.pump()
    assert client.received == server.received == expected + expected + b"|" + expected


@no_bytes
def test_what_holds_no_bytes_is_a_type_error_everywhere_it_could_be_sent(wrong: Any) -> None:
    """In the sender's own line; nothing is sent, and the conversation goes on."""
    client, server = Recorder(), Recorder()
    joined = pair("rfc6455", client, server)
    for sender in (client, server):
        with pytest.raises(TypeError, match=r"^a binary message: expected bytes, not "):
            sender.transport.sendBytesMessage(wrong)
        with pytest.raises(TypeError, match=r"^the payload of a ping: expected bytes, not "):
            sender.transport.ping(wrong)
        with pytest.raises(TypeError, match=r"^the payload of a ping: expected bytes, not "):
            sender.transport.pong(wrong)
        sender.transport.sendTextMessage("after")
    joined.pump()
    assert client.messages == server.messages == ["after"]
    _, writer, _ = streams()
    with pytest.raises(TypeError, match=r"^write: expected bytes, not "):
        writer.transport.write(wrong)
    with pytest.raises(TypeError, match=r"^writeSequence: expected "):
        writer.transport.writeSequence([b"a", wrong])
    with pytest.raises(TypeError, match=r"^receive: expected bytes, not "):
        joined.server.receive(wrong)
    if not isinstance(wrong, str):
        with pytest.raises(TypeError, match=r"^a message: expected str or bytes, not "):
            opened(Recorder())[1].send(wrong)


def test_text_sent_as_bytes_is_a_type_error_that_names_the_right_method() -> None:
    client = Recorder()
    pair("rfc6455", client, Recorder())
    with pytest.raises(TypeError, match="not str; sendTextMessage sends str"):
        client.transport.sendBytesMessage("text")  # type: ignore[arg-type]  # the test passes a wrong type


@pytest.mark.parametrize("wrong", [b"text", bytearray(b"text"), 5, None, ["text"]], ids=repr)
@every_dialect
def test_what_is_no_text_is_a_type_error(dialect: str, wrong: Any) -> None:
    client, server = Recorder(), Recorder()
    joined = pair(dialect, client, server)
    for sender in (client, server):
        with pytest.raises(TypeError, match=r"^a text message: expected str, not "):
            sender.transport.sendTextMessage(wrong)
    joined.pump()
    assert client.messages == server.messages == []


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        ("bye", "", "code: expected int, not str; write .1000, reason"),
        (None, "", "code: expected int, not None"),
        (1000, b"bye", "reason: expected str, not bytes"),
        (1000, None, "reason: expected str, not None"),
        (1000.5, "", "code: expected int, not float"),
    ],
)
@every_dialect
def test_a_close_has_a_number_and_text(dialect: str, code: Any, reason: Any, said: str) -> None:
    """Otherwise nothing is closed: neither one connection nor all of a factory's."""
    client, server = Recorder(), Recorder()
    joined = pair(dialect, client, server)
    for close in (
        client.transport.loseConnection,
        client.transport.failConnection,
        server.transport.loseConnection,
        server.transport.failConnection,
        joined.server.protocol.factory.closeAll,
        opened(Recorder())[1].close,
    ):
        with pytest.raises(TypeError, match=said):
            close(code, reason)
    joined.pump()
    assert client.transport.isOpen
    assert server.transport.isOpen


# The checks themselves.


def test_a_sequence_of_strings_is_taken_once_from_any_iterable() -> None:
    assert several("x", (each for each in "ab"), "[]") == ("a", "b")
    assert strings("x", {"a": 1}, "[]") == ("a",)
    assert strings("x", (), "[]") == ()


@pytest.mark.parametrize("wrong", ["chat", b"chat", 5, None, Path("/")], ids=repr)
def test_one_string_is_not_a_sequence_of_strings(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^x: expected a list, not .*; write x=\['chat'\]$"):
        strings("x", wrong, "['chat']")


@pytest.mark.parametrize("wrong", [b"chat", 5, None, ["chat"]], ids=repr)
def test_each_item_of_a_sequence_is_a_string(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^x\[1\]: expected str, not .*; write x=\['chat'\]$"):
        strings("x", ["a", wrong], "['chat']")


def test_a_type_error_does_not_repeat_the_value() -> None:
    """The value may be a token."""
    calls: list[Callable[[], object]] = [
        lambda: strings("x", "secret", "[]"),
        lambda: strings("x", [b"secret"], "[]"),  # type: ignore[list-item]  # the test passes a wrong type
        lambda: whole_bytes("x", "secret"),
    ]
    for call in calls:
        with pytest.raises(TypeError) as caught:
            call()
        assert "secret" not in str(caught.value)
