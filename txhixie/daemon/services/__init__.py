"""The services of ``twistd hixie``: a module and a row of the table for each service."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ...display import nearest
from .echo import buildEcho
from .gateway import GATEWAY
from .http import PAGE_OPTIONS, SCHEMES, build_pages
from .hub import HUB_OPTIONS, MISPLACED, build_hub
from .service import Service
from .static import buildStatic
from .targets import TARGETS_OPTIONS, buildTargets
from .tcp import STREAM

SERVICES: Final[tuple[Service, ...]] = (
    Service("echo", ("echo",), (), buildEcho),
    Service("static", ("static",), (), buildStatic, isPage=True),
    Service("hub", ("hub",), HUB_OPTIONS, build_hub, misplaced=MISPLACED),
    GATEWAY,
    Service("pages", SCHEMES, PAGE_OPTIONS, build_pages, isPage=True),
    Service("targets", ("targets",), TARGETS_OPTIONS, buildTargets),
    STREAM,
)  # fmt: skip
"""Table of all services. A new service needs a module in this package and a row in this table."""


def service_for(description: str, services: Iterable[Service] = SERVICES) -> Service:
    """
    Find the service of a description, ``SCHEME:REST`` or a bare ``SCHEME``.

    :raises ValueError: "expected ..." for an unknown scheme.
    """
    rows = {scheme: row for row in services for scheme in row.schemes or ("",)}
    scheme, colon, _ = description.partition(":")
    if scheme and scheme in rows:
        return rows[scheme]
    if colon and "" in rows and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return rows[""]
    known = [name for name in rows if name]
    other = ", or an endpoint description such as tcp:HOST:PORT" if "" in rows else ""
    raise ValueError(f"expected a service: {', '.join(known)}{other}{nearest(scheme, known)}")
