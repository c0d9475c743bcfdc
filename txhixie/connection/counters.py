"""Counters of a server: connections, conversations, refusals and log lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

CAUSES: Final = {
    "application": "a refusal that the application has made, without a cause of its own",
    "backend": "the backend of a gateway refused, did not answer, or cannot be reached",
    "bus": "a message that was not published, since the bus failed",
    "certificate": "the client has no certificate, or one that the route does not accept",
    "connections": "as many connections as allowed, in all",
    "connections-per-address": "as many connections of the client's address as allowed",
    "decision": "the application has not decided in time",
    "dialect": "a WebSocket request in a dialect that is not accepted",
    "failed": "the application has raised an exception, or returned no application",
    "files": "the process has no file descriptors left (EMFILE)",
    "held-bytes": "all connections together hold as many bytes as allowed",
    "host": "a Host that is not allowed",
    "malformed": "a request that is not valid",
    "new-connections": "as many new connections within a second as allowed, in all",
    "new-connections-per-address": "as many new connections of the client's address as allowed",
    "not-found": "no service for this request, or a request that is not for WebSocket",
    "origin": "an Origin that is not allowed",
    "password": "no user name and password, or wrong ones",
    "password-checks": "as many password checks waiting as allowed",
    "proxy-header": "no valid header of the PROXY protocol",
    "status": "the status or the metrics, for a client that may not read them",
    "stopping": "the server is stopping",
    "timeout": "the request was not complete in time",
    "tls": "the TLS handshake failed",
    "token": "no token, or a wrong or expired one",
    "topics": "as many topics of hubs as allowed",
    "too-large": "a head, a path or a body over the limits",
    "too-many-failures": "too many wrong passwords from the client's address, or checks at once",
    "unsupported": "a version, a method or a feature of HTTP that is not supported",
    "other": "a cause that is not in this table",
}
"""Every cause by which refusals are counted, with its meaning. There are no others, so that
neither an application nor a peer can make the number of counters grow."""

FLOODS: Final = frozenset(
    (
        "connections",
        "connections-per-address",
        "new-connections",
        "new-connections-per-address",
    )
)
"""Causes of refusals that come from any number of addresses, and as fast as the network allows."""

_BY_STATUS: Final = {
    400: "malformed",
    404: "not-found",
    405: "unsupported",
    408: "timeout",
    411: "malformed",
    413: "too-large",
    414: "too-large",
    426: "dialect",
    431: "too-large",
    500: "failed",
    501: "unsupported",
    502: "backend",
    504: "backend",
    505: "unsupported",
}
"""Causes of refusals that name none. A refusal with another status is the application's own."""

_RESERVED: Final = range(1000, 1016)
"""Close codes of RFC 6455 section 7.4.1 and of IANA's registry, which are counted one by one."""

Refused = tuple["int | None", str]
"""Status and cause of a refusal; the status is ``None`` where no response could be sent."""


def cause_of(status: int | None, cause: str) -> str:
    """
    Return the name in :data:`CAUSES` by which a refusal is counted.

    :param status: the HTTP status of the response; ``None`` without a response.
    :param cause: the cause of the refusal; empty for the usual one of the status.
    """
    cause = cause or _BY_STATUS.get(status or 0, "application")
    return cause if cause in CAUSES else "other"


@dataclass(slots=True)
class Counters:
    """
    Counters of a server since its start; the counters of several processes can be added.

    To count refusals by a new cause, add a row to ``CAUSES`` of ``connection/counters.py``, and
    pass its name as :attr:`txhixie.Refusal.cause`, which is counted where the refusal is written.
    A refusal that is written elsewhere is counted by :meth:`refuse`.

    :ivar accepted: connections that were accepted, the refused ones too. Under a ``Site`` of
        another package: requests for WebSocket.
    :ivar opened: conversations that have opened, by the name of the dialect.
    :ivar ended: conversations that have ended, by close code: ``"1000"`` to ``"1015"``, ``"3xxx"``
        and ``"4xxx"`` for the codes of libraries and applications, ``"other"``.
    :ivar refused: refused connections and requests, by HTTP status (``None``: without a response)
        and cause.
    :ivar received: messages received in conversations that have ended.
    :ivar sent: messages sent in conversations that have ended.
    :ivar skipped: broadcast messages that a receiver was not sent, by cause: ``full`` (its write
        buffer was full), ``replaced`` (a newer message came before its write buffer had drained),
        ``ended`` (the connection ended before), ``dialect`` (a dialect that loses binary messages)
        and ``size`` (more bytes than ``Limits.unsent_size``).
    :ivar folded: log lines that were not written, since they repeat an earlier one.
    """

    accepted: int = 0
    opened: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    refused: Counter[Refused] = field(default_factory=Counter)
    received: int = 0
    sent: int = 0
    folded: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def refuse(self, status: int | None, cause: str = "") -> None:
        """
        Count a refusal.

        :param status: the HTTP status of the response; ``None`` without a response.
        :param cause: a name in ``CAUSES`` of ``connection/counters.py``; any other is counted
            as ``other``. Without it, the cause that the status usually has.
        """
        self.refused[status, cause_of(status, cause)] += 1

    def end(self, code: int, received: int, sent: int) -> None:
        """
        Count a conversation that has ended.

        :param code: the close code.
        :param received: number of messages received.
        :param sent: number of messages sent.
        """
        self.ended[_named(code)] += 1
        self.received += received
        self.sent += sent

    def __add__(self, other: Counters) -> Counters:
        """Return the sum, as a new object."""
        if not isinstance(other, Counters):
            return NotImplemented
        return Counters(
            self.accepted + other.accepted,
            self.opened + other.opened,
            self.ended + other.ended,
            self.refused + other.refused,
            self.received + other.received,
            self.sent + other.sent,
            self.folded + other.folded,
            self.skipped + other.skipped,
        )

    def to_data(self) -> dict[str, Any]:
        """
        Return the counters as numbers, lists and dicts, which ``json`` can write.

        ``refused`` is a list of status, cause and number. See :meth:`from_data`.
        """
        return {
            "accepted": self.accepted,
            "opened": dict(self.opened),
            "ended": dict(self.ended),
            "refused": [[*key, number] for key, number in self.refused.items()],
            "received": self.received,
            "sent": self.sent,
            "folded": self.folded,
            "skipped": dict(self.skipped),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Counters:
        """
        Return the counters that :meth:`to_data` has written.

        :raises KeyError: for data of another kind.
        """
        refused: Iterable[tuple[int | None, str, int]] = data["refused"]
        return cls(
            data["accepted"],
            Counter(data["opened"]),
            Counter(data["ended"]),
            Counter({(status, cause): number for status, cause, number in refused}),
            data["received"],
            data["sent"],
            data["folded"],
            Counter(data["skipped"]),
        )


@lru_cache(maxsize=64)
def _named(code: int) -> str:
    if code in _RESERVED:
        return str(code)
    return f"{code // 1000}xxx" if 3000 <= code <= 4999 else "other"
