"""The events and the fields of log lines; ``docs/reference/log-lines.rst`` describes each."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

EventName: TypeAlias = Literal[
    "opened",
    "ended",
    "noticed",
    "refused",
    "error",
    "trace",
    "recorded",
    "stalled",
    "page",
    "backend-down",
    "backend-up",
    "bus-down",
    "bus-up",
    "gateway",
    "failed",
    "given-up",
    "reloaded",
    "not-reloaded",
    "reload-waits",
    "file-reread",
    "file-not-reread",
    "certificate-warning",
    "file-permissions",
    "worker-started",
    "worker-ended",
]
"""The first word of a log line."""


class ConnectionFields(TypedDict, total=False):
    """Fields that say which connection a line is about."""

    connection: int | None
    peer: str
    host: str | None
    target: str | None


class BackendFields(TypedDict):
    """Fields that say which backend of a gateway a line is about."""

    route: str | None
    backend: str | None


class LogFields(TypedDict, total=False):
    """
    All fields of log lines. ``None`` is left out of the line.

    A field is an attribute here and a row of the page, and then mypy accepts it as an argument of
    :func:`txhixie.connection.log.writeLine`.
    """

    connection: int | None
    peer: str | None
    host: str | None
    target: str | None
    dialect: str | None
    origin: str | None
    subprotocol: str | None
    offered: str | None
    extensions: str | None
    status: int | None
    reason: str | None
    code: int | None
    by: str | None
    received: int
    sent: int
    seconds: float | None
    waiting: int
    repeated: int | None
    route: str | None
    backend: str | None
    url: str | None
    kept: int
    opened: int
    closed: int
    file: str
    subject: str
    names: str | None
    ends: str
    method: str
    bytes: int
    referrer: str | None
    agent: str | None
    direction: str
    head: str
    frame: str
    length: int
    final: int
    masked: int
    compressed: int
    payload: str
    worker: int
    process: int
