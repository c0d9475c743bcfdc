"""A backend that is down: what its clients are answered, and the one line in the log."""

from __future__ import annotations

import pytest
from twisted.internet import error as failures
from twisted.internet.task import Clock

from support.log_recorder import Log
from txhixie.errors import ConnectFailed, ConnectTimeout
from txhixie.gateway.outage import Outages

REFUSED = failures.ConnectionRefusedError(111, "refused")


def test_one_line_a_minute_says_how_often(log: Log) -> None:
    """Whatever comes meanwhile is counted."""
    clock = Clock()
    outages = Outages("tcp:backend:1", clock)
    for _ in range(3):
        outages.failed(REFUSED)
        clock.advance(19)
    clock.advance(3)
    outages.failed(REFUSED)
    assert log.lines() == [
        'backend-down backend=tcp:backend:1 reason="Connection refused"',
        'backend-down backend=tcp:backend:1 reason="Connection refused" repeated=2',
    ]


def test_another_reason_is_another_line(log: Log) -> None:
    """So is an end of it, once."""
    outages = Outages("tcp:backend:1", Clock())
    outages.served()
    outages.failed(REFUSED)
    outages.failed(REFUSED)
    outages.failed(ConnectFailed("no route"))
    outages.served()
    outages.served()
    assert log.lines() == [
        'backend-down backend=tcp:backend:1 reason="Connection refused"',
        'backend-down backend=tcp:backend:1 reason="no route" repeated=1',
        "backend-up backend=tcp:backend:1",
    ]


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (REFUSED, 502, "Connection refused"),
        (failures.DNSLookupError("no address"), 502, "DNS lookup failed: no address."),
        (OSError("no such file"), 502, "no such file"),
        (ConnectFailed("no\nroute"), 502, "no\\nroute"),
        (ConnectTimeout("tcp", 10), 504, "no TCP connection within 10 seconds"),
        (failures.TimeoutError(), 504, "User timeout caused connection failure."),
        (failures.TCPTimedOutError(110), 504, "Connection timed out"),
        (OSError(), 502, "OSError"),
    ],
)
def test_the_client_hears_a_status_and_the_operator_why(
    log: Log, error: Exception, status: int, words: str
) -> None:
    """Where the backend is, is not the client's to know."""
    refusal = Outages("b", Clock()).failed(error)
    assert refusal.status == status
    assert refusal.logged
    assert words not in str(refusal.body)
    assert log.lines() == [
        f'backend-down backend=b reason="{words}"'
        if " " in words
        else f"backend-down backend=b reason={words}"
    ]
