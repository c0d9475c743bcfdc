"""What ``twistd hixie`` can run, one file each, and one row each in the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ...display import nearest
from .echo import buildEcho
from .gateway import GATEWAY_OPTIONS, build_gateway
from .service import Service
from .static import buildStatic
from .tcp import STREAM_OPTIONS, buildStream

SERVICES: Final[tuple[Service, ...]] = (
    Service("echo", ("echo",), (), buildEcho),
    Service("static", ("static",), (), buildStatic),
    Service("gateway", ("ws", "wss"), GATEWAY_OPTIONS, build_gateway),
    Service("stream", (), STREAM_OPTIONS, buildStream),
)  # fmt: skip
"""Every service there is. A new one is a file beside this one and a row here."""


_PAGES: Final = {"http": "ws", "https": "wss"}
"""What is typed where a WebSocket server is meant."""


def service_for(description: str, services: Iterable[Service] = SERVICES) -> Service:
    """
    The row that is meant by a description, ``SCHEME:REST`` or a bare ``SCHEME``.

    :raises ValueError: "expected ..." when there is none.
    """
    rows = {scheme: row for row in services for scheme in row.schemes or ("",)}
    scheme, colon, _ = description.partition(":")
    if scheme and scheme in rows:
        return rows[scheme]
    if (meant := _PAGES.get(scheme.lower())) in rows:
        raise ValueError(f"expected a service, and {scheme}: is none; did you mean {meant}:?")
    if colon and "" in rows and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return rows[""]
    known = [name for name in rows if name]
    other = ", or an endpoint description such as tcp:HOST:PORT" if "" in rows else ""
    raise ValueError(f"expected a service: {', '.join(known)}{other}{nearest(scheme, known)}")
