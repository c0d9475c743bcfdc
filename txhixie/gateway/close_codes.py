"""Close codes between the two sides of a gateway: how a close of one side is sent to the other.

- A close code and a close reason are passed on unchanged. In a dialect with close codes, a close
  frame without a code is passed on without a code.
- A close in a dialect without close codes becomes 1000: a page of that time could say no more.
- A code that must not be sent, which the oldest drafts allowed, becomes 1000 with its reason.
- When one side loses its connection or breaks a rule of its dialect, there is no code to pass on:
  the backend gets 1001 (going away), the client 1014 (bad gateway).

In a dialect without close codes, a side is closed as its dialect requires.
"""

from __future__ import annotations

from typing import Final

from ..sansio.closing import Ended
from ..sansio.wire.frame import Close, CloseCode
from ..sansio.wire.hybi import sendable

CLIENT_GONE: Final = Close(CloseCode.GOING_AWAY, "the client disconnected")
BACKEND_GONE: Final = Close(CloseCode.BAD_GATEWAY, "the backend disconnected")


def passed_on(ended: Ended, has_codes: bool, gone: Close) -> Close:
    """
    Return the close code and the close reason for the other side.

    :param ended: how the conversation of one side has ended.
    :param has_codes: whether the dialect of that side has close codes.
    :param gone: the close to return if the close of that side was not clean.
    """
    if not ended.clean:
        return gone
    if sendable(ended.code) or (has_codes and ended.code == CloseCode.NO_STATUS_RCVD):
        return Close(ended.code, ended.reason)
    return Close(CloseCode.NORMAL_CLOSURE, ended.reason)
