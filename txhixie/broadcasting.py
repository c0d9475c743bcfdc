"""Sending one message to many connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias, cast

from .channel.channel import Channel
from .connection.protocol import HixieProtocol
from .connection.writer import READS
from .dom.websocket import WebSocket
from .interfaces import WebSocketTransport
from .sansio.arguments import several, word
from .sansio.prepared_message import (
    ABSENT,
    OMITTED,
    SLOW,
    TOO_LARGE,
    UNSUPPORTED,
    WAITING,
    PreparedMessage,
)

_Receiver: TypeAlias = HixieProtocol | Channel | WebSocket

SLOW_RULES: Final = ("skip", "newest", "close")
"""Values of ``slow``, the default first."""


class Delivery(NamedTuple):
    """
    Result of a broadcast: numbers of receivers. Their sum is the number of all receivers.

    :ivar sent: receivers that the message was sent to.
    :ivar waiting: receivers with a full write buffer for which the message waits.
    :ivar skipped: receivers with a full write buffer that do not get the message.
    :ivar closed: receivers with a full write buffer that were closed with 1013.
    :ivar unsupported: receivers that cannot be sent the message: a binary message where the dialect
        loses these, or a message of more bytes than :attr:`txhixie.Limits.unsent_size`.
    :ivar absent: receivers that are not open: before the end of the handshake, closing, or closed.
    """

    sent: int
    waiting: int
    skipped: int
    closed: int
    unsupported: int
    absent: int


def broadcast(
    receivers: Iterable[WebSocketTransport | Channel | WebSocket],
    message: str | bytes | bytearray | memoryview | PreparedMessage,
    *,
    slow: str = "skip",
    compress: bool | None = None,
) -> Delivery:
    """
    Send one message to many connections, and wait for none of them.

    The message is encoded once for each dialect and each kind of compression, and the same bytes
    are written to all connections that encode it alike. A receiver that is not open is left out. An
    application that is called meanwhile may add and remove receivers: those of the call get the
    message.

    A receiver is slow while its write buffer is full (:attr:`WebSocketTransport.full`), which is
    64 KiB with Twisted's transports. So a receiver that does not read costs at most these 64 KiB
    and one message, and with ``newest`` the message that waits, which all receivers share.

    :param receivers: transports of connections, channels, and objects of
        :class:`txhixie.WebSocket`, on either side and in any dialect.
    :param message: ``str`` for a text message, bytes-like for a binary message, or a message that
        was prepared for more than one call.
    :param slow: what becomes of the message for a slow receiver: ``"skip"`` does not send it;
        ``"newest"`` sends it when the write buffer has drained, unless a newer message has
        replaced it; ``"close"`` does not send it, and closes the connection with 1013 (try again
        later).
    :param compress: as for :meth:`WebSocketTransport.sendTextMessage`. A prepared message has a
        choice of its own.
    :return: how many receivers the message was sent to, and what became of it for the others.
    :raises TypeError: for an object that is no receiver, and for a message of another type.
    :raises ValueError: for another word than the three.
    :raises UnicodeEncodeError: for a lone surrogate in a text.
    """
    word("slow", slow, SLOW_RULES)
    if not isinstance(message, PreparedMessage):
        message = PreparedMessage(message, compress)
    members = _checked(receivers)
    missed = _send(members, message, slow)
    counts = Counter(missed.values())
    # After all others have the message: the application of a closed connection may send to them.
    for index, outcome in missed.items():
        if outcome == SLOW:
            members[index].closeSlow()
    return Delivery(
        len(members) - len(missed),
        counts[WAITING],
        counts[OMITTED],
        counts[SLOW],
        counts[UNSUPPORTED] + counts[TOO_LARGE],
        counts[ABSENT],
    )


def _send(members: tuple[_Receiver, ...], message: PreparedMessage, slow: str) -> dict[int, int]:
    """Send a message; return what became of it where it was not sent, by the index."""
    if all(issubclass(kind, HixieProtocol) for kind in set(map(type, members))):
        return HixieProtocol.sendToAll(cast(tuple[HixieProtocol, ...], members), message, slow)
    with READS:
        return {
            index: outcome
            for index, each in enumerate(members)
            if (outcome := each.sendPrepared(message, slow))
        }


def _checked(
    receivers: Iterable[WebSocketTransport | Channel | WebSocket],
) -> tuple[_Receiver, ...]:
    """
    Return all receivers after a check of their types, before the message is sent to the first.

    :raises TypeError: for an object that is no receiver.
    """
    members = several("receivers", receivers, "[transport]")
    for kind in set(map(type, members)):
        if not issubclass(kind, HixieProtocol | Channel | WebSocket):
            raise TypeError(
                f"receivers: expected transports, channels or WebSockets, not {kind.__name__}; "
                "write transport, the argument of negotiationStarted"
            )
    return cast(tuple[_Receiver, ...], members)
