"""The log context of ``twisted.python.log`` for calls to several connections, one after the other.

Twisted's reactors make a log context for each event of each connection: a third of the CPU time of
a small message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class LogContext(dict[str, Any]):
    """
    A log context for several connections.

    Twisted copies the context when a line is logged. Only then the prefix of the connection is
    made.
    """

    def __init__(self, prefix: Callable[[], str]) -> None:
        """:param prefix: returns the log prefix of the connection that is called now."""
        super().__init__(isError=0)
        self._prefix = prefix

    def copy(self) -> dict[str, Any]:
        """Return a context with the prefix of the connection that is called."""
        return {**self, "system": self["system"]}

    def __missing__(self, name: str) -> str:
        """Return the prefix, which is not in the dictionary."""
        if name != "system":
            raise KeyError(name)
        return self._prefix()


def prefix_of(transport: Any) -> str:
    """Return the log prefix of a connection."""
    try:
        return str(transport.logPrefix())
    except Exception:
        return "(buggy logPrefix method)"  # the words of Twisted's reactors
