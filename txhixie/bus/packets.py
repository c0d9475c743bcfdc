"""Packets of the bus of workers, between a worker process and its parent."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, unique
from struct import Struct
from typing import Final, NamedTuple

from .bus import BusMessage

_HEADER: Final = Struct("!B?QH")
_MESSAGE: Final = Struct("!?HI")


@unique
class Verb(IntEnum):
    """Questions of a worker, and answers and messages of the parent."""

    SUBSCRIBE = 1
    """A worker subscribes to a topic; the flag: with history."""
    UNSUBSCRIBE = 2
    """A worker ends its subscription. There is no answer."""
    PUBLISH = 3
    """A worker publishes a message; the flag: text. The answer is the position."""
    SINCE = 4
    """A worker asks for earlier messages; the flag: after the position in the body."""
    ANSWER = 5
    """The parent answers the packet with the same number."""
    MESSAGE = 6
    """The parent passes a message of another worker on."""


class Packet(NamedTuple):
    """
    A packet.

    :ivar verb: what the packet is.
    :ivar flag: see :class:`Verb`; of an answer to ``SINCE``: the messages are all that came after
        the position.
    :ivar number: number of the question, which the answer repeats; 0 without an answer.
    :ivar topic: name of the topic; empty in an answer.
    :ivar body: the payload, the position, or messages.
    """

    verb: int
    flag: bool = False
    number: int = 0
    topic: str = ""
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the packet as bytes."""
        topic = self.topic.encode("utf-8", "surrogatepass")
        header = _HEADER.pack(self.verb, self.flag, self.number, len(topic))
        return b"%b%b%b" % (header, topic, self.body)


def decode_packet(data: bytes) -> Packet:
    """Return the packet that :meth:`Packet.encode` has written."""
    verb, flag, number, length = _HEADER.unpack_from(data)
    end = _HEADER.size + length
    topic = data[_HEADER.size : end].decode("utf-8", "surrogatepass")
    return Packet(verb, flag, number, topic, data[end:])


def encode_messages(messages: Iterable[BusMessage]) -> bytes:
    """Return messages as the body of a packet."""
    parts: list[bytes] = []
    for position, is_text, payload in messages:
        written = position.encode()
        parts += (_MESSAGE.pack(is_text, len(written), len(payload)), written, payload)
    return b"".join(parts)


def decode_messages(body: bytes) -> tuple[BusMessage, ...]:
    """Return the messages that :func:`encode_messages` has written."""
    messages: list[BusMessage] = []
    start = 0
    while start < len(body):
        is_text, position, payload = _MESSAGE.unpack_from(body, start)
        middle = start + _MESSAGE.size + position
        written = body[start + _MESSAGE.size : middle].decode()
        start = middle + payload
        messages.append(BusMessage(written, is_text, body[middle:start]))
    return tuple(messages)
