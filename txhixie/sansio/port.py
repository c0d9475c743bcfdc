"""The transport and the clock as the pure half knows them: three verbs.

The pure half owns no socket and no timer: what its parts want of the world they
ask of their Port, and a test hands them one that writes into a list.
"""

from __future__ import annotations

from typing import Final, Protocol


class Port(Protocol):
    """
    One connection's way out.

    :ivar full: more waits to be sent than the transport likes to hold.
    """

    full: bool

    def write(self, data: bytes, *more: bytes) -> None:
        """
        Send this after what was written before; with ``more`` right behind it, which is not copied
        to be joined.
        """

    def timeout(self, seconds: float | None) -> None:
        """
        Tell the owner that time is up after this many seconds, unless there is another timeout
        by then; ``None`` forgets the one that stands.
        """

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """
        End the connection below.

        :param abort: the peer has had its time; otherwise it gets time to read what was sent.
        :param linger: it may still be sending: read on until it has gone, since whoever closes with
            bytes unread takes back what he sent last.
        """


class Nowhere:
    """The Port of a conversation whose connection was lost: nothing is sent, nobody is awaited."""

    full = False

    def write(self, data: bytes, *more: bytes) -> None:
        """See :meth:`Port.write`."""

    def timeout(self, seconds: float | None) -> None:
        """See :meth:`Port.timeout`."""

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """See :meth:`Port.drop`."""


NOWHERE: Final[Port] = Nowhere()
"""There is one, however many connections were lost."""
