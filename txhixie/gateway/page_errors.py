"""Errors of a backend of pages that was connected and sends no usable response."""

from __future__ import annotations

from ..sansio.errors import HixieError


class ResponseFailed(HixieError):
    """
    The response of a backend is invalid, incomplete or late.

    :ivar status: the HTTP status for the client: 504 after a timeout, otherwise 502 (RFC 9110
        section 15.6).
    """

    def __init__(self, detail: str, status: int = 502) -> None:
        super().__init__(detail)
        self.status = status
