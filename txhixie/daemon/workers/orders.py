"""Packets by which the parent starts and stops a worker, and by which the worker answers.

The options are pickled: both ends are the same program, and no other process has the socket pair.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from typing import TypeAlias

from ..options import Said
from ..sockets.listening_sockets import Place


@dataclass(frozen=True, slots=True)
class Serve:
    """
    Order: serve by these options from now on.

    The file descriptors of the packet are that of :class:`ConnectionCounts`, and those of the
    listening sockets.

    :ivar directory: working directory of the start, for relative paths.
    :ivar said: the options.
    :ivar places: the places of the listening sockets.
    :ivar systemd: see :attr:`ListeningSockets.systemd`.
    :ivar is_traced: whether the trace is on; ``None`` for what the options say.
    """

    directory: str
    said: Mapping[str, Sequence[Said]]
    places: tuple[Place, ...]
    systemd: Mapping[str, tuple[int, int]]
    is_traced: bool | None = None


@dataclass(frozen=True, slots=True)
class TraceOrder:
    """
    Order: turn the trace on or off.

    :ivar is_on: whether the trace is on.
    """

    is_on: bool


@unique
class Order(Enum):
    """Orders without a value."""

    STOP = "stop"
    """Close all ports and connections, and end."""
    ABORT = "abort"
    """Abort all connections."""
    CLOSED = "closed"
    """The ports are closed in all processes."""


@unique
class WorkerState(Enum):
    """States of a worker."""

    SERVING = "serving"
    """The worker listens."""
    CLOSED = "closed"
    """The worker has closed its ports."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """
    The worker cannot start.

    :ivar text: the error line.
    """

    text: str


Told: TypeAlias = Serve | TraceOrder | Order | WorkerState | Mistake
"""A message between the parent and a worker."""


def encode_told(told: Told) -> bytes:
    """Return a packet."""
    return pickle.dumps(told)


def decode_told(packet: bytes) -> Told:
    """Return what a packet says."""
    told: Told = pickle.loads(packet)  # noqa: S301  (of the other end of a socket pair)
    return told
