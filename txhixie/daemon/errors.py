"""Errors of the daemon's configuration, which are shown as one line without a traceback."""

from __future__ import annotations


class CannotStart(Exception):
    """
    Configuration error that keeps the daemon from starting.

    The text of the error is shown to the operator as one line, without a traceback.
    """


class HalfRenewed(CannotStart):
    """A certificate and its key do not belong to each other, perhaps until both are written."""
