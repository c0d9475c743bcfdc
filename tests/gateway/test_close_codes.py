"""The close code and reason that one side gets when the other side ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.gateway.close_codes import BACKEND_GONE, CLIENT_GONE, passed_on
from txhixie.sansio.closing import Ended
from txhixie.sansio.wire.frame import Close
from txhixie.sansio.wire.hybi import sendable


@pytest.mark.parametrize(
    ("code", "has_codes", "told"),
    [
        (1000, True, 1000),
        (1001, True, 1001),
        (1009, True, 1009),
        (1012, True, 1012),
        (3000, True, 3000),
        (4999, True, 4999),
        (1005, True, 1005),
        (1005, False, 1000),
        (1000, False, 1000),
        (1004, True, 1000),
        (1015, True, 1000),
        (2999, True, 1000),
        (0, True, 1000),
        (5000, True, 1000),
    ],
)
def test_a_close_code_is_kept_or_becomes_1000(code: int, has_codes: bool, told: int) -> None:
    """A code that the other side may not be sent becomes 1000. The reason is kept."""
    ended = Ended(code, "why", "peer", True)
    assert passed_on(ended, has_codes, CLIENT_GONE) == Close(told, "why")


@pytest.mark.parametrize("code", [1002, 1006, 1009])
def test_a_side_that_broke_a_rule_is_reported_as_gone(code: int) -> None:
    """The other side is not told which rule was broken."""
    ended = Ended(code, "invalid UTF-8 in a text message", "peer", False)
    assert passed_on(ended, True, CLIENT_GONE) == (1001, "the client disconnected")
    assert passed_on(ended, True, BACKEND_GONE) == (1014, "the backend disconnected")


@given(st.integers(0, 65535), st.booleans(), st.booleans())
def test_every_close_code_becomes_one_that_may_be_sent(
    code: int, has_codes: bool, clean: bool
) -> None:
    """Code 1005 means a close frame without a code."""
    told = passed_on(Ended(code, "", "peer", clean), has_codes, BACKEND_GONE)
    assert sendable(told.code) or told.code == 1005
