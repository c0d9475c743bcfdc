"""The last ends of conversations and the last refusals of a server, for a page of its status."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..display import MOST_SHOWN, shown, shown_address
from ..sansio.closing import Ended
from ..sansio.http.head import Asked
from ..sansio.http.redaction import masked_host, masked_text, masked_url
from ..sansio.http.trusted import network_of
from .counters import cause_of
from .tally import Tally

_MOST: Final = 100
"""Most ends, and most refusals, that are kept. Each has at most 1 KiB."""

_MOST_REASONS: Final = 10
"""Most reasons of an address with the same status and cause. A reason may have texts of the peer:
one client could otherwise displace the refusals of all others."""


class Requester(NamedTuple):
    """
    The connection of an end or a refusal, and what its request asked for.

    The texts are those of the peer, truncated; :func:`shown_request` makes them safe.

    :ivar time: seconds since 1970, in UTC.
    :ivar connection: number of the connection, if it has one.
    :ivar peer: the address of the peer, with the port.
    :ivar address: the address without the port; of IPv6 the network of 64 bits.
    :ivar asked: host, path without query, origin and dialect of the request.
    """

    time: float
    connection: int | None
    peer: str
    address: str
    asked: Asked

    def to_data(self) -> dict[str, Any]:
        """Return the values as ``json`` can write them, in safe texts."""
        return {
            "time": round(self.time, 3),
            "connection": self.connection,
            "peer": self.peer,
            **shown_request(self.asked),
        }


class LastEnd(NamedTuple):
    """
    An end of a conversation.

    :ivar requester: the connection.
    :ivar code: the close code.
    :ivar reason: the close reason, or how the connection was lost.
    :ivar by: which side has ended the conversation.
    :ivar tally: the messages and the duration of the conversation.
    """

    requester: Requester
    code: int
    reason: str
    by: str
    tally: Tally

    def to_data(self) -> dict[str, Any]:
        """Return the values as ``json`` can write them, in safe texts."""
        return {
            **self.requester.to_data(),
            "code": self.code,
            "reason": shown_reason(self.reason),
            "by": self.by,
            **self.tally.to_data(),
        }


class LastRefusal(NamedTuple):
    """
    The last refusal of an address with a status, a cause and a reason, and how many there were.

    :ivar requester: the connection.
    :ivar status: the HTTP status, if there was a response.
    :ivar cause: the cause by which the refusal is counted.
    :ivar reason: the reason, as in the log.
    :ivar times: how often the address was refused so.
    """

    requester: Requester
    status: int | None
    cause: str
    reason: str
    times: int

    def to_data(self) -> dict[str, Any]:
        """Return the values as ``json`` can write them, in safe texts."""
        return {
            **self.requester.to_data(),
            "status": self.status,
            "cause": self.cause,
            "reason": shown_reason(self.reason),
            "times": self.times,
        }


class Recent:
    """
    The last hundred ends of conversations, and the last hundred refusals.

    Refusals of one address with the same status, cause and reason are one, and an address has at
    most ten reasons for one status and cause: a client that tries again and again does not displace
    the others.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """:param now: returns the seconds since 1970."""
        self._now = now
        self._ends: deque[LastEnd] = deque(maxlen=_MOST)
        self._refusals: dict[tuple[str, int | None, str, str], LastRefusal] = {}

    @property
    def ends(self) -> list[LastEnd]:
        """The last ends, the newest first."""
        return list(reversed(self._ends))

    @property
    def refusals(self) -> list[LastRefusal]:
        """The last refusals, the newest first."""
        return list(reversed(self._refusals.values()))

    def end(
        self,
        number: int | None,
        peer: object,
        asked: Asked,
        ended: Ended,
        tally: Tally,
    ) -> None:
        """
        Keep the end of a conversation.

        :param number: number of the connection.
        :param peer: the address of the peer.
        :param asked: the request.
        :param ended: how the conversation ended.
        :param tally: the messages and the duration of the conversation.
        """
        requester = self._requester(number, peer, asked)
        self._ends.append(
            LastEnd(requester, ended.code, ended.reason[:MOST_SHOWN], ended.who, tally)
        )

    def refuse(
        self,
        number: int | None,
        peer: object,
        asked: Asked,
        status: int | None,
        cause: str,
        reason: str,
    ) -> None:
        """
        Keep a refusal.

        :param number: number of the connection.
        :param peer: the address of the peer.
        :param asked: the request, as far as it was read.
        :param status: the HTTP status, if there was a response.
        :param cause: the cause, as in :meth:`txhixie.Counters.refuse`.
        :param reason: the reason.
        """
        cause = cause_of(status, cause)
        requester = self._requester(number, peer, asked)
        reason = reason[:MOST_SHOWN]
        key = requester.address, status, cause, reason
        before = self._refusals.pop(key, None)
        if before is None:
            self._make_room(key[:3])
        times = 1 if before is None else before.times + 1
        self._refusals[key] = LastRefusal(requester, status, cause, reason, times)

    def _make_room(self, kind: tuple[str, int | None, str]) -> None:
        """Drop the oldest refusal, of all or of an address with a status and a cause."""
        same = [key for key in self._refusals if key[:3] == kind]
        if len(same) >= _MOST_REASONS:
            del self._refusals[same[0]]
        elif len(self._refusals) >= _MOST:
            del self._refusals[next(iter(self._refusals))]

    def _requester(self, number: int | None, peer: object, asked: Asked) -> Requester:
        text, address = shown_address(peer), address_of(peer)
        return Requester(self._now(), number, text, address, truncated(asked))


def address_of(peer: object) -> str:
    """
    Return the address by which a peer is counted, as for the limits of connections.

    One client can have all addresses of an IPv6 network of 64 bits.

    :param peer: the address of the peer.
    :return: an IPv4 address, an IPv6 network of 64 bits, or the path of a UNIX socket.
    """
    host = getattr(peer, "host", None)
    if host is None:
        return shown_address(peer)
    return network_of(host) if ":" in host else str(host)


def truncated(asked: Asked) -> Asked:
    """Return a request without its query, each text truncated."""
    host, target, origin, dialect = asked
    path = None if target is None else target.partition("?")[0]
    return Asked(_cut(host), _cut(path), _cut(origin), dialect)


def shown_request(asked: Asked) -> dict[str, str | None]:
    """
    Return host, path, origin and dialect of a request in safe texts.

    The texts are those of a log line, escaped in ASCII and with credentials masked: a character
    that reverses the direction of the text could otherwise change what an operator reads.

    :param asked: the request, without its query.
    """
    return {
        "host": None if asked.host is None else shown(masked_host(asked.host)),
        "path": None if asked.target is None else shown(masked_url(asked.target)),
        "origin": None if asked.origin is None else shown(masked_url(asked.origin)),
        "dialect": asked.dialect,
    }


def shown_reason(reason: str) -> str:
    """Return a close reason or the reason of a refusal in a safe text."""
    return shown(masked_text(reason))


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MOST_SHOWN]
