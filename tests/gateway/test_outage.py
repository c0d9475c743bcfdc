"""A backend that cannot be reached: the refusal that its clients get, and the line in the log."""

from __future__ import annotations

import pytest
from twisted.internet import error as failures
from twisted.internet.task import Clock

from support.log_recorder import Log
from txhixie.errors import ConnectFailed, ConnectTimeout
from txhixie.gateway.outage import REST_SECONDS, Outages

REFUSED = failures.ConnectionRefusedError(111, "refused")


def test_one_log_line_a_minute_has_the_number_of_failures(log: Log) -> None:
    """Failures within a minute are counted and not logged one by one."""
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


def test_another_reason_gets_a_log_line_of_its_own(log: Log) -> None:
    """The end of the outage gets one line too."""
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


def test_timeouts_of_different_lengths_are_the_same_reason(log: Log) -> None:
    """Of several backends each gets a share of the timeout, which differs for each client."""
    outages = Outages("tcp:backend:1", Clock())
    for seconds in (3.33333, 3.33331, 0.65708):
        outages.failed(ConnectTimeout("tcp", seconds))
    assert log.lines() == [
        'backend-down backend=tcp:backend:1 reason="no TCP connection within 3.333 seconds"'
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
def test_the_client_gets_a_status_and_the_log_the_reason(
    log: Log, error: Exception, status: int, words: str
) -> None:
    """The refusal's body does not tell the client where the backend is."""
    refusal = Outages("b", Clock()).failed(error)
    assert refusal.status == status
    assert refusal.logged
    assert words not in str(refusal.body)
    assert log.lines() == [
        f'backend-down backend=b reason="{words}"'
        if " " in words
        else f"backend-down backend=b reason={words}"
    ]


@pytest.mark.parametrize(("status", "ends"), [(403, True), (404, True), (502, False), (503, False)])
def test_a_refusal_of_a_client_ends_an_outage_and_an_error_of_a_server_does_not(
    log: Log, status: int, ends: bool
) -> None:
    """A reverse proxy in front of a backend that is down answers, too."""
    outages = Outages("b", Clock())
    outages.failed(REFUSED)
    outages.refused(status)
    assert (log.lines()[-1] == "backend-up backend=b") is ends
    assert outages.rests is not ends


def test_a_backend_that_failed_rests_until_it_is_tried_again_or_reached() -> None:
    clock = Clock()
    outages = Outages("b", clock)
    outages.tried()
    assert not outages.rests
    outages.failed(REFUSED)
    assert outages.rests
    clock.advance(REST_SECONDS)
    assert not outages.rests
    outages.tried()
    assert outages.rests
    outages.served()
    assert not outages.rests


def test_a_password_of_the_backends_URL_is_not_in_the_log(log: Log) -> None:
    outages = Outages("ws://user:secret@backend/?key=secret", Clock())
    outages.failed(REFUSED)
    assert "secret" not in outages.backend
    assert "secret" not in "".join(log.lines())
