"""Subjects of certificates as text, and their comparison with the text of an operator."""

from __future__ import annotations

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from support import third_party
from support.certificates import Authority
from txhixie.server.tls.subject import name_in, read_subject, subject_of

CN, O, MAIL = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.EMAIL_ADDRESS  # noqa: E741
AUTHORITY = Authority("clients")


def certificate(*rdns: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Certificate:
    """A certificate with a subject, which begins with the topmost part, as in X.509."""
    names = [
        x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in rdn])
        for rdn in rdns
    ]
    return AUTHORITY.issue_to(x509.Name(names))


SUBJECTS = {
    "CN=ada,O=Example": certificate([(O, "Example")], [(CN, "ada")]),
    "CN=ada\\,O=Example": certificate([(CN, "ada,O=Example")]),
    "CN=ada+O=Example": certificate([(CN, "ada"), (O, "Example")]),
    "CN=ada,CN=root": certificate([(CN, "root")], [(CN, "ada")]),
    "CN=root,CN=ada": certificate([(CN, "ada")], [(CN, "root")]),
    "CN=Ad\\C3\\A8le": certificate([(CN, "Adèle")]),
    "CN=Ade\\CC\\80le": certificate([(CN, "Ade\u0300le")]),
    "CN=ada\\00.example": certificate([(CN, "ada\0.example")]),
    "CN=ada": certificate([(CN, "ada")]),
    "CN=Ada": certificate([(CN, "Ada")]),
    "CN=ada ada": certificate([(CN, "ada ada")]),
    "CN=\\ ada\\ ": certificate([(CN, " ada ")]),
    "CN=\\#ada": certificate([(CN, "#ada")]),
    "CN=a\\0D\\0AX-Evil: 1": certificate([(CN, "a\r\nX-Evil: 1")]),
    'CN=\\"a\\"\\;\\<\\>\\\\': certificate([(CN, '"a";<>\\')]),
    "emailAddress=ada@example.com,CN=ada": certificate([(CN, "ada")], [(MAIL, "ada@example.com")]),
    "CN=🔑": certificate([(CN, "🔑")]),
}


@pytest.mark.parametrize("text", SUBJECTS)
def test_a_subject_is_written_as_OpenSSL_writes_it_and_is_read_again(text: str) -> None:
    found = SUBJECTS[text]
    ascii_text = "CN=\\F0\\9F\\94\\91" if text == "CN=🔑" else text
    assert subject_of(found) == ascii_text
    assert subject_of(found).isascii()
    assert subject_of(found).isprintable()
    assert read_subject(text) == read_subject(subject_of(found)) == name_in(found)


def test_OpenSSL_writes_the_same() -> None:
    """What an operator copies from its output is a subject here."""
    openssl = str(third_party.openssl())
    for found in SUBJECTS.values():
        shown = subprocess.run(
            [openssl, "x509", "-noout", "-subject", "-nameopt", "RFC2253"],
            input=found.public_bytes(Encoding.PEM),
            capture_output=True,
            check=True,
        )
        text = shown.stdout.decode("ascii").removeprefix("subject=").removesuffix("\n")
        assert read_subject(text) == name_in(found)
        if "+" not in text:  # the parts of one RDN have no order
            assert text == subject_of(found)


@pytest.mark.parametrize("text", SUBJECTS)
def test_a_subject_is_equal_to_no_other(text: str) -> None:
    """Whole subjects are compared: attributes, their order and their values, to the letter."""
    wanted = read_subject(text)
    assert [other for other, found in SUBJECTS.items() if name_in(found) == wanted] == [text]


def test_the_parts_of_one_RDN_have_no_order() -> None:
    assert read_subject("O=Example+CN=ada") == name_in(SUBJECTS["CN=ada+O=Example"])


@pytest.mark.parametrize(
    "text",
    [
        "CN=\\C3",
        "CN=\\FF\\FE",
        "",
        "ada",
        "/CN=ada",
        "CN",
        "CN=ada,",
        "CN=ada/O=x+",
        "XX=ada",
        "CN=a\\zz",
        "CN=a;O=b",
    ],
)
def test_other_text_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected a subject such as CN=ada,O=Example"):
        read_subject(text)


def test_a_long_common_name_is_no_warning() -> None:
    """cryptography warns, and a daemon would have the warning in its log."""
    assert subject_of(AUTHORITY.issue_to(x509.Name([long_name(70)]))) == f"CN={'a' * 70}"


def long_name(length: int) -> x509.NameAttribute[str]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.NameAttribute(CN, "a" * length, _validate=False)
