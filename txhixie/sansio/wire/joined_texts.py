"""Text messages that are sent together: the replies to one read of a connection.

A read of a busy connection has several messages, and each may have a reply. Here each text is
encoded directly behind the one before, into memory that is used again. A frame of its own, a list
of these frames, and their bookkeeping would take 0.3 us of a message of 3.2.

The process has one such memory. So only one connection joins texts at a time, and before it writes
anything else, the joined texts are moved to its other joined bytes: ``Writer.spill`` in
``connection/writer.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from .compiled import COMPILED
from .frame import TEXT
from .hybi_batch import frame_header
from .message_batch import write_hixie_text, write_text

JOINED_SIZE: Final = 64 * 1024
"""Bytes of the memory: about as many as a writer joins."""

_FIRST: Final = 0x80 | TEXT
_MOST_AROUND: Final = 4
"""Most bytes of a frame around a payload that fits here."""

_joined: Final = bytearray()

_encode: Final = str.encode
_length: Final = str.__len__

Joiner: TypeAlias = Callable[[str, int], bool]
"""``join_text`` or ``join_hixie_text``."""


def join_text_in_python(text: str, most: int) -> bool:
    """
    Join the unmasked text frame of a text.

    :param most: most bytes of its UTF-8.
    :return: whether the text was joined: not if it is longer, and not if there is no room.
    :raises TypeError: for another type than ``str``.
    :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 cannot encode.
    """
    if _length(text) > most:
        return False
    payload = _encode(text)
    if not _fits(size := len(payload), most):
        return False
    _joined.extend(frame_header(_FIRST, size, 0))
    _joined.extend(payload)
    return True


def join_hixie_text_in_python(text: str, most: int) -> bool:
    """Join the text frame of the Hixie drafts; as :func:`join_text_in_python`."""
    if _length(text) > most:
        return False
    payload = _encode(text)
    if not _fits(len(payload), most):
        return False
    _joined.extend(b"\x00%b\xff" % payload)
    return True


def _fits(size: int, most: int) -> bool:
    return size <= most and size < JOINED_SIZE - len(_joined) - _MOST_AROUND


def take_joined_in_python() -> bytes:
    """Remove the joined frames, and return their bytes."""
    joined = bytes(_joined)
    _joined.clear()
    return joined


if COMPILED is None:
    join_text, join_hixie_text = join_text_in_python, join_hixie_text_in_python
    take_joined = take_joined_in_python
else:
    join_text, join_hixie_text = COMPILED.join_text, COMPILED.join_hixie_text
    take_joined = COMPILED.take_joined

JOINERS: Final[dict[Callable[[str], bytes], Joiner]] = {
    write_text: join_text,
    write_hixie_text: join_hixie_text,
}
"""For the ``encode_text`` of a framing, the function that joins the same frame."""
