"""The page that a load balancer asks whether to send clients to this daemon."""

from __future__ import annotations

from typing import Final

from twisted.web.http import OK, SERVICE_UNAVAILABLE
from twisted.web.server import Request

from ..page_answer import PageAnswer
from .leaf_page import LeafPage

_OK: Final = PageAnswer(OK, b"ok\n", caching="no-store")
_DRAINING: Final = PageAnswer(SERVICE_UNAVAILABLE, b"draining\n", caching="no-store")


class HealthPage(LeafPage):
    """Page with ``ok`` (200), or with ``draining`` (503) while the daemon stops."""

    name = "The health page"

    def __init__(self, isDraining: bool = False) -> None:
        """:param isDraining: whether the daemon is stopping."""
        super().__init__()
        self._answer = _DRAINING if isDraining else _OK

    def answer(self, request: Request) -> PageAnswer:
        """Return the response, which is the same for all clients."""
        return self._answer

    def isRoutine(self, request: Request) -> bool:
        """No request has a line of the log: a load balancer sends one every second or more."""
        return True
