"""h11 as the parser of a response: what it accepts and HTTP/1.1 forbids, and its events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..errors import MalformedHead

if TYPE_CHECKING:
    import h11

LENIENT: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Bytes in a head that HTTP/1.1 forbids and h11 accepts."""


def next_event(connection: h11.Connection) -> h11.Event | None:
    """
    Return the next event of h11; ``None`` while h11 needs more bytes.

    :raises MalformedHead: with the text of h11's error, without bytes of the response in it.
    """
    import h11  # here, since the import takes 7 ms and few programs need it

    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise MalformedHead(str(error).partition(": bytearray(")[0]) from None
    return event if isinstance(event, h11.Event) else None
