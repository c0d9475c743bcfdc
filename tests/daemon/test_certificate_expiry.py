"""Lines of the log about certificates that end soon: at the start, daily, and after a renewal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate
from twisted.internet.task import Clock

from support.certificates import authority
from support.log_recorder import Log
from txhixie.daemon.certificate_expiry import DAY, CertificateExpiry
from txhixie.server.tls.certificates import FiledCertificate


def certificate(name: str, until: int) -> FiledCertificate:
    pem = authority().pem_for(name, until=until)
    start = pem.index(b"-----BEGIN CERT")
    return FiledCertificate(Path(f"/etc/{name}.pem"), load_pem_x509_certificate(pem[start:]))


class Days:
    """The warnings of a daemon whose days pass at once."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._began = datetime.now(UTC)
        self.expiry = CertificateExpiry(self.clock, self._now)

    def _now(self) -> datetime:
        return self._began + timedelta(seconds=self.clock.seconds())

    def passed(self, days: int) -> None:
        for _ in range(days):
            self.clock.advance(DAY)


@pytest.fixture
def days() -> Days:
    return Days()


def test_a_certificate_that_ends_soon_has_a_line_at_the_start_and_daily(
    days: Days, log: Log
) -> None:
    ending = certificate("a.example", 5)
    days.expiry.watch([ending, certificate("b.example", 300)])
    ends = ending.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    line = (
        'certificate-warning file=/etc/a.example.pem subject="CN=a.example" names=a.example '
        f'ends={ends} reason="the certificate expires within 21 days"'
    )
    assert log.lines() == [line]
    days.passed(3)
    assert log.lines() == [line] * 4
    days.passed(3)
    assert log.lines()[-1].endswith('reason="the certificate has expired"')


def test_a_certificate_begins_to_have_lines_while_the_daemon_runs(days: Days, log: Log) -> None:
    days.expiry.watch([certificate("a.example", 30)])
    days.passed(8)
    assert log.lines() == []
    days.passed(2)
    assert len(log.lines()) == 2


def test_a_reload_does_not_repeat_a_line_and_tells_of_a_new_certificate(
    days: Days, log: Log
) -> None:
    old, new = certificate("a.example", 5), certificate("a.example", 6)
    for certificates in ([old], [old], [new], [old, new]):
        days.expiry.watch(certificates)
    assert len(log.lines()) == 2
    days.passed(1)
    assert len(log.lines()) == 4


def test_a_renewed_certificate_has_no_line(days: Days, log: Log) -> None:
    days.expiry.watch([certificate("a.example", 5)])
    days.expiry.watch([certificate("a.example", 90)])
    days.passed(2)
    assert len(log.lines()) == 1


def test_a_daemon_without_certificates_has_no_timer_and_a_stop_leaves_none(days: Days) -> None:
    days.expiry.watch([])
    assert days.clock.getDelayedCalls() == []
    days.expiry.watch([certificate("a.example", 90)])
    assert len(days.clock.getDelayedCalls()) == 1
    days.expiry.stop()
    assert days.clock.getDelayedCalls() == []
