"""Port: the interface through which the pure half writes, sets a timeout, and drops a connection.

The pure half has no transport and no timer. ``connection/output.py`` implements a port with
Twisted; a test passes a port that appends to a list.
"""

from __future__ import annotations

from typing import Final, Protocol


class Port(Protocol):
    """
    Output of one connection, with one timeout.

    :ivar full: whether the write buffer is over the high-water mark of the transport.
    """

    full: bool

    def write(self, data: bytes, *more: bytes) -> None:
        """
        Send bytes, after all bytes written before.

        :param more: further bytes, sent directly after ``data`` and not copied to be joined.
        """

    def timeout(self, seconds: float | None) -> None:
        """
        Set the timeout of the connection, which replaces an earlier one.

        :param seconds: time after which the owner of the port is called; ``None``: no timeout.
        """

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """
        End the transport connection.

        :param abort: end it at once; otherwise the peer gets time to read the sent bytes.
        :param linger: read and discard data until the peer closes. A TCP connection that is closed
            with unread data is reset, and the peer may lose the last bytes sent to it.
        """


class Nowhere:
    """Port of a lost connection: does nothing."""

    full = False

    def write(self, data: bytes, *more: bytes) -> None:
        """Discard the bytes."""

    def timeout(self, seconds: float | None) -> None:
        """Set no timeout."""

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """Do nothing: the connection has ended."""


NOWHERE: Final[Port] = Nowhere()
"""The port of all lost connections."""
