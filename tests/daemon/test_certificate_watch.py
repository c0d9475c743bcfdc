"""When files of certificates are looked at, and how long a pair that does not match is tried."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from txhixie.daemon.certificate_watch import (
    INTERVAL,
    RETRY_SECONDS,
    CertificateWatch,
    certificateFiles,
)


class Renewals:
    """Counts how often certificates are read, and whether a mistake would be logged."""

    def __init__(self, file: Path) -> None:
        self.usable = False
        self.asked: list[bool] = []
        self.clock = Clock()
        self.watch = CertificateWatch(self.clock, self._renew)
        self.watch.watch([file])

    def _renew(self, isLast: bool) -> bool:
        self.asked.append(isLast)
        return self.usable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "cert.pem"
    file.write_text("first")
    return file


def test_files_that_do_not_change_are_not_read(file: Path) -> None:
    renewals = Renewals(file)
    renewals.clock.pump([INTERVAL] * 20)
    assert renewals.asked == []


def test_a_change_is_read_once_if_it_can_be_used(file: Path) -> None:
    renewals = Renewals(file)
    renewals.usable = True
    file.write_text("second one")
    renewals.clock.pump([INTERVAL] * 20)
    assert renewals.asked == [False]


def test_a_file_that_was_replaced_by_one_of_the_same_size_has_changed(file: Path) -> None:
    renewals = Renewals(file)
    renewals.usable = True
    other = file.with_name("new.pem")
    other.write_text("again")
    other.replace(file)
    renewals.clock.pump([INTERVAL] * 2)
    assert renewals.asked == [False]


def test_what_cannot_be_used_is_tried_for_a_minute_and_logged_once(file: Path) -> None:
    renewals = Renewals(file)
    file.unlink()
    renewals.clock.pump([INTERVAL] * 100)
    times = int(RETRY_SECONDS / INTERVAL)
    assert renewals.asked == [*[False] * times, True]
    file.write_text("second one")
    renewals.clock.advance(INTERVAL)
    assert renewals.asked[times + 1 :] == [False]


def test_what_can_be_used_after_a_while_is_not_logged(file: Path) -> None:
    renewals = Renewals(file)
    file.write_text("half a renewal")
    renewals.clock.pump([INTERVAL] * 3)
    renewals.usable = True
    renewals.clock.pump([INTERVAL] * 100)
    assert renewals.asked == [False] * 4


def test_a_watch_that_was_stopped_leaves_no_timer(file: Path) -> None:
    renewals = Renewals(file)
    renewals.watch.stop()
    assert renewals.clock.getDelayedCalls() == []


@pytest.mark.parametrize("change", ["write", "add", "remove", "replace the directory"])
def test_a_directory_changes_with_each_of_its_certificates(file: Path, change: str) -> None:
    inner = file.parent / "pem" / "live"
    inner.mkdir(parents=True)
    (inner / "a.pem").write_text("first")
    (inner / "README").write_text("is no certificate")
    renewals = Renewals(file.parent / "pem")
    renewals.usable = True
    renewals.clock.pump([INTERVAL] * 3)
    (inner / "README").write_text("still no certificate")
    renewals.clock.pump([INTERVAL] * 3)
    assert renewals.asked == []
    if change == "write":
        (inner / "a.pem").write_text("second one")
    elif change == "add":
        (inner / "b.pem").write_text("first")
    elif change == "remove":
        (inner / "a.pem").unlink()
    else:
        inner.rename(file.parent / "old")
        inner.mkdir()
        (inner / "a.pem").write_text("first")
    renewals.clock.pump([INTERVAL] * 20)
    assert renewals.asked == [False]


def test_a_link_to_another_file_is_a_change(file: Path) -> None:
    """certbot and Kubernetes replace a symbolic link."""
    directory, other = file.parent / "pem", file.parent / "other"
    directory.mkdir()
    other.write_text("first")
    (directory / "a.pem").symlink_to(file)
    renewals = Renewals(directory)
    renewals.usable = True
    (directory / "new").symlink_to(other)
    (directory / "new").replace(directory / "a.pem")
    renewals.clock.pump([INTERVAL] * 5)
    assert renewals.asked == [False]


def test_a_reload_that_waits_for_a_key_is_tried_for_a_minute(file: Path) -> None:
    """Also where no port had a certificate before, and the time does not begin anew."""
    renewals = Renewals(file)
    renewals.watch.watch([])
    renewals.watch.retry()
    times = int(RETRY_SECONDS / INTERVAL)
    for _ in range(times):
        renewals.clock.advance(INTERVAL)
        renewals.watch.retry()
    assert renewals.asked == [*[False] * (times - 1), True]
    renewals.watch.stop()
    assert renewals.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("port", "names"),
    [
        ("8080", []),
        ("tcp:8080", []),
        ("ssl:443", ["server.pem"]),
        ("ssl:443:key.pem:cert.pem", ["key.pem", "cert.pem"]),
        ("ssl:443:privateKey=a:certKey=b:extraCertChain=c", ["a", "b", "c"]),
        ("ssl:443:dhParameters=d:privateKey=a", ["a", "d"]),
        ("ssl:443:privateKey=a:client-ca=c", ["a", "c"]),
        ("tls:pem:443", ["pem"]),
        ("tls:port=443:path=pem:client-ca=c", ["pem", "c"]),
    ],
)
def test_the_files_of_a_description(port: str, names: list[str]) -> None:
    assert certificateFiles(port) == [Path(name).absolute() for name in names]
