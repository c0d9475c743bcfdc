"""Batches of whole messages: bytes to ``str`` and ``bytes``, and text to a frame.

A whole message is one plain frame (``hybi_batch.py``), or one text frame of the Hixie drafts, with
valid UTF-8. Nearly every message is one. ``hybi.py`` and ``hixie.py`` read all other frames.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Final

from .compiled import COMPILED
from .frame import TEXT, MessageReader, Messages
from .hybi_batch import read_plain_in_python, write_plain

_TEXT_TYPE: Final = 0x00
_END: Final = b"\xff"

_encode: Final = str.encode


def read_messages_in_python(
    limit: int, masked: bool, data: bytes, position: int, most: int
) -> Messages:
    """
    Read whole messages from ``data``, starting at ``position``.

    What is the same for all reads of a connection comes first, for :func:`message_reader`. Reading
    stops before a frame that is not a whole plain message, before a payload of more than
    ``limit`` bytes, and before text that is not UTF-8.

    :param masked: whether a plain frame must be masked; otherwise it must not be.
    :param most: most messages, at most 64.
    """
    frames, end = read_plain_in_python(data, position, limit, masked, most)
    messages: list[str | bytes] = []
    size = 0
    try:
        for opcode, payload, final, _, _ in frames:
            if not (opcode and final):
                break  # a fragment
            messages.append(payload.decode() if opcode == TEXT else payload)
            size += len(payload)
    except UnicodeDecodeError:
        pass
    if len(messages) < len(frames):
        _, end = read_plain_in_python(data, position, limit, masked, len(messages))
    return messages, end, size


def read_text_messages_in_python(limit: int, data: bytes, position: int, most: int) -> Messages:
    """
    Read complete text frames of the Hixie drafts from ``data``, starting at ``position``.

    Reading stops at another frame, at an incomplete frame, at text of more than ``limit`` bytes,
    and at text that is not UTF-8.

    :param most: most messages.
    """
    messages: list[str | bytes] = []
    have, size = len(data), 0
    try:
        while position < have and data[position] == _TEXT_TYPE and len(messages) < most:
            start = position + 1
            end = data.find(_END, start)
            if end < 0 or end - start > limit:
                break
            messages.append(data[start:end].decode())
            size += end - start
            position = end + 1
    except UnicodeDecodeError:
        pass
    return messages, position, size


def write_text(text: str) -> bytes:
    """
    Return the bytes of a text frame without a mask.

    :raises TypeError: for another type than ``str``.
    :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 cannot encode.
    """
    return write_plain(TEXT, _encode(text))


def write_hixie_text(text: str) -> bytes:
    """Return the bytes of a text frame of the Hixie drafts; errors as of a frame of RFC 6455."""
    return b"\x00%b\xff" % _encode(text)


if COMPILED is None:
    read_messages, read_text_messages = read_messages_in_python, read_text_messages_in_python
else:
    read_messages, read_text_messages = COMPILED.read_messages, COMPILED.read_text_messages


@cache  # one object for all connections with the same limit
def message_reader(limit: int, masked: bool) -> MessageReader:
    """Return the function that reads messages of a connection, in a hybi dialect."""
    return partial(read_messages, limit, masked)


@cache
def text_message_reader(limit: int) -> MessageReader:
    """Return the function that reads messages of a connection, in a Hixie dialect."""
    return partial(read_text_messages, limit)
