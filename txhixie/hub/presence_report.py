"""Reports: the messages by which processes on a bus tell each other their numbers of members."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Final, NamedTuple

PRESENCE_TOPIC: Final = "\x00txhixie:presence"
"""Topic of the reports. No client can join it or publish to it: a path with a byte 0 names no topic
(``HubService``)."""

COUNT_BYTES: Final = 40
"""Most bytes of a count in a report."""

HEAD_BYTES: Final = 64
"""Most bytes of a report besides its counts."""

_KEY_BYTES: Final = 12
_KEY_LENGTH: Final = 16
_MOST_NODE: Final = 48
_MOST_MEMBERS: Final = 10**9


class Count(NamedTuple):
    """
    Number of members of a topic at one process.

    :ivar key: key of the topic, see :func:`topic_key`.
    :ivar members: the number.
    :ivar is_watched: whether a member of the process asks for the number of all members.
    """

    key: str
    members: int
    is_watched: bool


class PresenceReport(NamedTuple):
    """
    A report of a process.

    :ivar node: name of the process, unique on the bus.
    :ivar counts: counts of topics; ``None``: the process has ended, and has no members. None at all
        (an empty tuple): the process has begun to hear the others, which repeat their reports.
    """

    node: str
    counts: tuple[Count, ...] | None

    def encode(self) -> bytes:
        """Return the report as JSON."""
        counts = self.counts
        listed = None if counts is None else [[key, each, int(own)] for key, each, own in counts]
        return json.dumps([self.node, listed], separators=(",", ":")).encode()


def topic_key(name: str) -> str:
    """
    Return the key of a topic in reports: 16 characters, however long the name is.

    A digest of 96 bits: a client that wants the members of two topics to be counted together has to
    try 2**48 names.
    """
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES)
    return urlsafe_b64encode(digest.digest()).decode()


def decode_report(payload: bytes) -> PresenceReport:
    """
    Return the report that :meth:`PresenceReport.encode` has written.

    :raises ValueError: for anything else, such as a message of another program.
    """
    try:
        node, listed = json.loads(payload)
        counts = None if listed is None else tuple(_count(*each) for each in listed)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("expected a report of members") from None
    if not isinstance(node, str) or not 0 < len(node) <= _MOST_NODE:
        raise ValueError("expected the name of a process")
    return PresenceReport(node, counts)


def _count(key: Any, members: Any, is_watched: Any) -> Count:
    if not isinstance(key, str) or len(key) != _KEY_LENGTH:
        raise ValueError("expected the key of a topic")
    if type(members) is not int or not 0 <= members <= _MOST_MEMBERS:
        raise ValueError("expected a number of members")
    return Count(key, members, bool(is_watched))
