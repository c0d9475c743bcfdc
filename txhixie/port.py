"""What stands in for a transport and a clock below floor 3: three callables.

Nothing below the Twisted floors owns a socket or a timer; whatever they want of the world they
ask of their Port, and a test hands them one that writes into a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Drop(Protocol):
    """The verb that ends a connection."""

    def __call__(self, abort: bool = False) -> None:
        """
        :param abort: at once and without sending what is buffered; otherwise after it is sent.
        """


class Port:
    """
    One connection's way out.

    :ivar write: takes bytes; order is kept.
    :ivar deadline: takes seconds after which the owner is told that time is up, or ``None`` to
        forget the deadline that stands; a new one replaces the old.
    :ivar drop: ends the connection below; told ``abort=True``, without flushing.
    """

    __slots__ = ("deadline", "drop", "write")

    def __init__(
        self,
        write: Callable[[bytes], None],
        deadline: Callable[[float | None], None],
        drop: Drop,
    ) -> None:
        self.write = write
        self.deadline = deadline
        self.drop = drop
