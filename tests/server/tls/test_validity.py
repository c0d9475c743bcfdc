"""Warnings about the dates of certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from support.certificates import Authority, authority
from txhixie.server.tls.certificates import FiledCertificate
from txhixie.server.tls.validity import warnings_of


def filed(since: int, until: int, file: str = "a.pem") -> FiledCertificate:
    pem = authority().pem_for("a.example", "b.example", since=since, until=until)
    certificate = load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :])
    return FiledCertificate(Path(file), certificate)


@pytest.mark.parametrize(
    ("since", "until", "reason"),
    [
        (-1, 22, None),
        (-1, 21, "expires within 21 days"),
        (-1, 1, "expires within 21 days"),
        (-9, -1, "has expired"),
        (1, 90, "is not valid before "),
    ],
)
def test_a_certificate_that_ends_soon_or_is_not_valid_has_a_warning(
    since: int, until: int, reason: str | None
) -> None:
    found = warnings_of([filed(since, until)], datetime.now(UTC))
    assert [each.reason[: len(reason or "")] for each in found] == ([reason] if reason else [])


def test_a_warning_names_the_file_the_subject_the_hosts_and_the_end() -> None:
    certificate = filed(-1, 3)
    (found,) = warnings_of([certificate], datetime.now(UTC))
    ends = certificate.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found[1:] == (
        Path("a.pem"),
        "CN=a.example",
        "a.example, b.example",
        ends,
        "expires within 21 days",
    )
    assert str(found) == (
        "a.pem: the certificate CN=a.example for a.example, b.example expires within 21 days: "
        + ends
    )


def test_a_certificate_in_two_files_has_one_warning() -> None:
    first = filed(-1, 3)
    second = FiledCertificate(Path("b.pem"), first.certificate)
    assert len(warnings_of([first, second], datetime.now(UTC))) == 1


def test_a_CA_of_the_chain_that_ends_sooner_has_a_warning() -> None:
    middle = Authority("middle", authority(), until=30)
    chain = FiledCertificate(Path("chain.pem"), middle.root)
    (found,) = warnings_of([filed(-1, 90), chain], datetime.now(UTC) + timedelta(10))
    assert (found.file, found.subject, found.names) == (Path("chain.pem"), "CN=middle", "")
