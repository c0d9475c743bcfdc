"""Bytes as a network delivers them, and what those who take them keep and say.

Every sample is delivered whole, byte by byte, and with the next thing already attached: the three
ways in which a reader forgets, doubles or swallows something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO, StringIO
from typing import Final, TypeAlias, TypeVar, TypeVarTuple

import pytest

from txhixie.errors import PeerError
from txhixie.sansio.dialects import Dialect
from txhixie.sansio.http.head import Head
from txhixie.sansio.wire.frame import CloseCode, Frame, Framing, Opcode
from txhixie.testing import Wire

T = TypeVar("T")
Args = TypeVarTuple("Args")
Chunks: TypeAlias = list[bytes]
Event: TypeAlias = tuple[str, object]

_SINGLY: Final = 400
"""Of a long sample, the bytes at both ends that come one by one."""


def byte_by_byte(data: bytes) -> Chunks:
    """A delivery in the smallest pieces; the middle of something long comes in large ones."""
    if len(data) <= 64 * 1024:
        return [data[index : index + 1] for index in range(len(data))]
    middle = data[_SINGLY:-_SINGLY]
    large = [middle[index : index + 65536] for index in range(0, len(middle), 65536)]
    return [*byte_by_byte(data[:_SINGLY]), *large, *byte_by_byte(data[-_SINGLY:])]


def every_way(data: bytes, tail: bytes = b"") -> Iterator[Chunks]:
    """Every delivery of a sample and what comes after it; each one adds up to ``data + tail``."""
    yield [data, tail]
    yield [data + tail]
    yield byte_by_byte(data + tail)
    yield [*byte_by_byte(data[:-1]), data[-1:] + tail]
    yield [data[:1], data[1:] + tail]


def same_every_way(read: Callable[[Chunks], T], data: bytes, tail: bytes = b"") -> T:
    """What ``read`` makes of a delivery, after asserting that no other one makes a difference."""
    results = [read(chunks) for chunks in every_way(data, tail)]
    for other in results[1:]:
        assert other == results[0]
    return results[0]


class Effects:
    """
    A Port that writes down what is asked of it.

    :ivar events: all of it, in order: ``("write", bytes)``, ``("deadline", seconds)`` and
        ``("drop", abort)``, or ``("drop", "at once")`` for a peer that sends no more.
    :ivar full: what it says when it is asked whether the transport is full.
    """

    full = False

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, data: bytes, *more: bytes) -> None:
        """See :meth:`txhixie.sansio.port.Port.write`."""
        self.events.append(("write", b"".join((data, *more))))

    def deadline(self, seconds: float | None) -> None:
        """See :meth:`txhixie.sansio.port.Port.deadline`."""
        self.events.append(("deadline", seconds))

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """See :meth:`txhixie.sansio.port.Port.drop`."""
        self.events.append(("drop", abort if linger else "at once"))

    @property
    def written(self) -> bytes:
        """Every byte written so far."""
        return b"".join(what for name, what in self.events if isinstance(what, bytes))

    def taken(self) -> list[Event]:
        """What has been asked since the last time somebody looked."""
        events, self.events[:] = list(self.events), []
        return events


def whole_frames(frames: Iterable[Frame]) -> list[tuple[int, bytes]]:
    """Frames as opcode and payload, their pieces put together; each piece must fit the last."""
    found: list[tuple[int, bytes]] = []
    inside = False
    for opcode, payload, final, reserved, whole in frames:
        assert type(payload) is bytes
        assert (final, reserved) == (whole, 0)
        if inside:
            assert opcode == Opcode.CONTINUATION
            found[-1] = (found[-1][0], found[-1][1] + payload)
        else:
            assert opcode != Opcode.CONTINUATION
            found.append((opcode, payload))
        inside = not whole
    return found[:-1] if inside else found


def read_frames(framing: Framing, chunks: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """All the frames of a delivery."""
    frames: list[Frame] = []
    for chunk in chunks:
        framing.feed(chunk)
        frames.extend(framing.frames())
    return whole_frames(frames)


def kept(thing: object) -> int:
    """
    How many bytes an object of ours holds of what it was fed, wherever in it they are.

    Tables and limits are everybody's; whatever else it refers to counts, each once.
    """
    seen: set[int] = set()
    queue = [thing]
    total = 0
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, (type, Dialect)):
            continue
        seen.add(id(one))
        if isinstance(one, (bytes, bytearray, str)):
            total += len(one)
        elif isinstance(one, (BytesIO, StringIO)):
            total += len(one.getvalue())
        elif isinstance(one, dict):
            queue += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset, deque)):
            queue += one
        elif type(one).__module__.startswith(("txhixie.", "h11.")) and not isinstance(one, Wire):
            queue += _attributes(one)
    return total


def _attributes(thing: object) -> list[object]:
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    values = [getattr(thing, name) for name in slots if hasattr(thing, name)]
    return values + list(getattr(thing, "__dict__", {}).values())


def assert_raises(
    expected: type[PeerError],
    act: Callable[[*Args], object],
    *args: *Args,
    match: str | None = None,
) -> None:
    """The error is exactly this one, and its text says so in printable words."""
    with pytest.raises(expected, match=match) as caught:
        act(*args)
    assert caught.type is expected
    assert str(caught.value).isprintable()


def modern_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    key: bytes | None = None,
    size: int | None = None,
    form: int | None = None,
) -> bytes:
    """
    A frame of RFC 6455 section 5.2, as its picture shows it and however wrong it is asked for.

    :param key: its mask; ``None`` for none.
    :param size: the length it claims, if not its payload's.
    :param form: write the length in this many further bytes (0, 2 or 8), if not in the fewest.
    """
    size = len(payload) if size is None else size
    form = (0 if size < 126 else 2 if size < 1 << 16 else 8) if form is None else form
    seven = {0: size, 2: 126, 8: 127}[form]
    first = (0x80 if final else 0) | reserved | opcode
    head = (
        bytes([first, (0 if key is None else 0x80) | seven]) + size.to_bytes(8, "big")[8 - form :]
    )
    if key is None:
        return head + payload
    return head + key + masked(payload, key)


def masked(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 section 5.3, either way. As one number: byte by byte takes most of a test."""
    keys = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(len(payload))


def head_of(*lines: bytes) -> Head:
    """A head of these lines."""
    return Head(b"\r\n".join(lines) + b"\r\n\r\n")


def request(*fields: bytes, line: bytes = b"GET /demo HTTP/1.1") -> bytes:
    """The bytes of a request."""
    return head_of(line, *fields).raw


REQUEST_75: Final = request(
    b"Upgrade: WebSocket",
    b"Connection: Upgrade",
    b"Host: example.com",
    b"Origin: http://example.com",
)
MASK: Final = b"\x37\xfa\x21\x3d"
"""The mask of the examples in RFC 6455 section 5.7."""

KEY1, KEY2, KEY3 = b"4 @1  46546xW%0l 1 5", b"12998 5 Y3 1  .P00", b"^n:ds[4U"
FIELDS_76: Final = (
    b"Host: example.com",
    b"Connection: Upgrade",
    b"Upgrade: WebSocket",
    b"Origin: http://example.com",
    b"Sec-WebSocket-Key1: " + KEY1,
    b"Sec-WebSocket-Key2: " + KEY2,
)
HEAD_76: Final = request(*FIELDS_76)
NO_CODE: Final = CloseCode.NO_STATUS_RCVD
