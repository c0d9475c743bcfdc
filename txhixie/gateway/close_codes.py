"""Which close the end of one side becomes on the other.

- A close with a code and a reason is passed on as it came, and so is one without a code in a
  dialect that has them.
- A close in a dialect without codes is a 1000: it is all that a page of that time could say.
- A code that may not be sent, which the oldest drafts let pass, is a 1000 with its reason.
- A side that vanishes, or breaks a rule of its dialect, has not closed: the backend is told 1001
  (the client is going away), the client 1014 (bad gateway).

Where the other side's dialect has no codes, it is closed in that dialect's way.
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
    What to tell the other side.

    :param ended: how one side has ended.
    :param has_codes: whether its dialect has codes.
    :param gone: what is told if it did not go its dialect's way.
    """
    if not ended.clean:
        return gone
    if sendable(ended.code) or (has_codes and ended.code == CloseCode.NO_STATUS_RCVD):
        return Close(ended.code, ended.reason)
    return Close(CloseCode.NORMAL_CLOSURE, ended.reason)
