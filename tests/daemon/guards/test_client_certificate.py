"""The condition ``client-certificate``: accepted subjects, and the fields that a backend gets."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509

from support.certificates import Authority
from txhixie import Refusal
from txhixie.daemon.conditions import NONE, read_conditions
from txhixie.daemon.guards.backend_fields import BACKEND_FIELDS, PERMIT_FIELDS
from txhixie.daemon.guards.client_certificate import build_client_certificate
from txhixie.daemon.guards.guard import Answer, Permit
from txhixie.daemon.guards.visitor import Visitor
from txhixie.daemon.setting import ValueKind
from txhixie.sansio.http.head import Fields

CLIENTS = Authority("clients")
CN, O = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME  # noqa: E741


def certificate(*parts: tuple[x509.ObjectIdentifier, str]) -> X509:
    """A certificate with a subject, of which the first part is the topmost."""
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    return X509.from_cryptography(CLIENTS.issue_to(name))


def answer(subjects: list[str], shown: Any) -> Answer:
    """The answer to a client that shows a certificate, or ``None``."""
    guard = build_client_certificate(object(), {"client-certificate": subjects})
    visitor = Visitor(False, "/", "localhost", None, None, True, Fields([]), shown)
    return guard.check(visitor)


def is_let_in(subjects: list[str], *parts: tuple[x509.ObjectIdentifier, str]) -> bool:
    return isinstance(answer(subjects, certificate(*parts)), Permit)


@pytest.mark.parametrize("subjects", [["required"], ["CN=ada"], ["CN=bob", "required"]])
def test_a_client_without_a_certificate_is_refused_with_403(subjects: list[str]) -> None:
    refused = answer(subjects, None)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.body) == (403, "client certificate required\n")
    assert (refused.why, refused.cause) == (
        "client certificate required (client-certificate)",
        "certificate",
    )


def test_required_lets_in_every_subject() -> None:
    assert is_let_in(["required"], (CN, "ada"))
    assert is_let_in(["required"])
    assert is_let_in(["CN=bob", "required"], (CN, "ada"))


def test_one_of_several_subjects_is_enough() -> None:
    subjects = ["CN=ada,O=Example", "CN=bob,O=Example"]
    assert is_let_in(subjects, (O, "Example"), (CN, "bob"))
    assert not is_let_in(subjects, (O, "Example"), (CN, "eve"))


@pytest.mark.parametrize(
    "parts",
    [
        ((CN, "ada"),),
        ((O, "Example"),),
        ((CN, "ada"), (O, "Example")),
        ((O, "Example"), (CN, "Ada")),
        ((O, "Example"), (CN, "ada ")),
        ((O, "Example"), (CN, "ada\0")),
        ((O, "Example"), (CN, "ada\0.example")),
        ((O, "Example"), (CN, "ad\u0430")),  # the last letter is Cyrillic
        ((CN, "ada,O=Example"),),
        ((O, "Example"), (CN, "ada"), (CN, "ada")),
        ((O, "Example"), (CN, "ada"), (CN, "eve")),
        ((O, "Example"), (CN, "eve"), (CN, "ada")),
        ((O, "Example"), (O, "Example"), (CN, "ada")),
        (),
    ],
)
def test_a_subject_that_only_resembles_is_refused(
    parts: tuple[tuple[x509.ObjectIdentifier, str], ...],
) -> None:
    assert is_let_in(["CN=ada,O=Example"], (O, "Example"), (CN, "ada"))
    refused = answer(["CN=ada,O=Example"], certificate(*parts))
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.body) == (403, "client certificate not allowed\n")


def test_the_log_has_the_subject_of_a_refused_certificate_and_the_client_has_not() -> None:
    refused = answer(["CN=ada"], certificate((CN, "eve\r\nrefused peer=192.0.2.1")))
    assert isinstance(refused, Refusal)
    assert refused.why == (
        r"client certificate not allowed: CN=eve\0D\0Arefused peer=192.0.2.1 (client-certificate)"
    )
    assert "eve" not in str(refused.body)


def test_a_backend_is_told_the_subject_in_a_field_that_clients_cannot_send() -> None:
    permit = answer(["required"], certificate((O, "Example, Inc."), (CN, "Ad\xe8le\r\nX: y")))
    assert isinstance(permit, Permit)
    ((name, value),) = permit.fields
    assert (name, value) == (
        b"X-SSL-Client-S-DN",
        rb"CN=Ad\C3\A8le\0D\0AX: y,O=Example\, Inc.",
    )
    assert name.lower() in PERMIT_FIELDS <= BACKEND_FIELDS
    assert permit.user == value.decode()


def test_a_certificate_with_an_empty_subject_has_no_name() -> None:
    permit = answer(["required"], certificate())
    assert isinstance(permit, Permit)
    assert permit.user is None


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("required", ["required"]),
        ("CN=ada,O=Example", ["CN=ada,O=Example"]),
        (["CN=ada,O=Example", "CN=bob"], ["CN=ada,O=Example", "CN=bob"]),
        (NONE, None),
    ],
)
def test_a_subject_is_no_list_and_several_are_an_array(given: Any, values: Any) -> None:
    read = read_conditions({"client-certificate": given}, ValueKind.read_toml)
    assert read == {"client-certificate": values}


@pytest.mark.parametrize("text", ["ada", "requird", "/CN=ada", "", "*"])
def test_another_value_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"client-certificate .*expected required or a subject"):
        read_conditions({"client-certificate": text}, ValueKind.read_text)
