"""The open connections of one address, and their messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, Final

MOST_ADDRESSES: Final = 20
"""Most addresses of a list of the busiest."""


@dataclass(slots=True)
class AddressTally:
    """
    The open connections of one address, and their messages.

    :ivar address: an IPv4 address, or an IPv6 network of 64 bits, as for the limits of connections.
    :ivar connections: number of open connections.
    :ivar received: messages received in open connections.
    :ivar sent: messages sent in open connections.
    """

    address: str
    connections: int = 0
    received: int = 0
    sent: int = 0

    @property
    def messages(self) -> int:
        """Number of messages in both directions."""
        return self.received + self.sent

    def to_data(self) -> dict[str, Any]:
        """Return the values as ``json`` can write them."""
        return {
            "address": self.address,
            "connections": self.connections,
            "received": self.received,
            "sent": self.sent,
        }


def busiest(tallies: Iterable[AddressTally]) -> dict[str, list[dict[str, Any]]]:
    """
    Return the twenty busiest addresses, by their connections and by their messages.

    Both lists are needed: one address may have a thousand silent connections, and another one
    connection that floods.
    """
    every = list(tallies)
    by_connections = nlargest(MOST_ADDRESSES, every, lambda each: (each.connections, each.messages))
    by_messages = nlargest(MOST_ADDRESSES, every, lambda each: (each.messages, each.connections))
    return {
        "by_connections": [each.to_data() for each in by_connections],
        "by_messages": [each.to_data() for each in by_messages],
    }
