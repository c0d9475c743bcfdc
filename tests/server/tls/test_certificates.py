"""Certificates and keys of a server in PEM files: pairs, chains, directories, and mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from support.certificates import Authority, authority
from txhixie.server.tls.certificates import hosts_of, read_directory, read_pair
from txhixie.server.tls.errors import KeyMismatch


def halves(pem: bytes) -> tuple[bytes, bytes]:
    """The key and the certificate of :meth:`support.certificates.Authority.pem_for`."""
    at = pem.index(b"-----BEGIN CERTIFICATE")
    return pem[:at], pem[at:]


def loaded(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(halves(pem)[1])


@pytest.mark.parametrize("order", [0, 1])
def test_a_certificate_and_its_key_may_be_in_one_file_in_either_order(
    tmp_path: Path, order: int
) -> None:
    pem = authority().pem_for("a.example")
    parts = halves(pem)
    file = tmp_path / "both.pem"
    file.write_bytes(parts[order] + parts[1 - order])
    found = read_pair(file, file)
    assert found.certificate == loaded(pem)
    assert found.chain == ()


def test_the_chain_is_what_follows_the_certificate_in_its_file(tmp_path: Path) -> None:
    """``fullchain.pem`` of certbot; Twisted's own ``ssl:`` reads the first certificate only."""
    middle = Authority("middle", authority())
    key, own = halves(middle.pem_for("a.example"))
    (tmp_path / "privkey.pem").write_bytes(key)
    (tmp_path / "fullchain.pem").write_bytes(own + middle.pem)
    found = read_pair(tmp_path / "privkey.pem", tmp_path / "fullchain.pem")
    assert [each.certificate for each in found.chain] == [middle.root]


def test_a_chain_that_is_given_twice_is_sent_once(tmp_path: Path) -> None:
    middle = Authority("middle", authority())
    (tmp_path / "all.pem").write_bytes(middle.pem_for("a.example") + middle.pem)
    (tmp_path / "chain.pem").write_bytes(middle.pem)
    found = read_pair(tmp_path / "all.pem", tmp_path / "all.pem", tmp_path / "chain.pem")
    assert [each.certificate for each in found.chain] == [middle.root]


def test_a_certificate_of_another_key_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(halves(authority().pem_for("a.example"))[0])
    (tmp_path / "cert.pem").write_bytes(halves(authority().pem_for("a.example"))[1])
    with pytest.raises(KeyMismatch, match=r"cert.pem is not for the key in .*key.pem"):
        read_pair(tmp_path / "key.pem", tmp_path / "cert.pem")


def test_a_key_with_a_passphrase_is_an_error(tmp_path: Path) -> None:
    """A daemon cannot ask for a password."""
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (tmp_path / "key.pem").write_bytes(locked)
    (tmp_path / "cert.pem").write_bytes(halves(authority().pem_for("a.example", key=key))[1])
    with pytest.raises(ValueError, match="expected a private key without a passphrase"):
        read_pair(tmp_path / "key.pem", tmp_path / "cert.pem")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_both_forms_of_a_key_are_read(tmp_path: Path, form: PrivateFormat) -> None:
    """``BEGIN PRIVATE KEY`` and, as older programs write it, ``BEGIN EC PRIVATE KEY``."""
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    (tmp_path / "cert.pem").write_bytes(halves(authority().pem_for("a.example", key=key))[1])
    assert read_pair(tmp_path / "key.pem", tmp_path / "cert.pem").chain == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "has no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificates in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "certificates in PEM"),
    ],
)
def test_a_malformed_certificate_is_an_error_with_its_file(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "key.pem").write_bytes(halves(authority().pem_for("a.example"))[0])
    (tmp_path / "cert.pem").write_bytes(content)
    with pytest.raises(ValueError, match=rf"cert\.pem.*{expected}") as raised:
        read_pair(tmp_path / "key.pem", tmp_path / "cert.pem")
    assert "expected " in str(raised.value)


# Directories.


def test_the_default_of_a_directory_is_the_first_file_by_its_name(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.pem").write_bytes(authority().pem_for(f"{name}.example"))
    assert [each.file.name for each in read_directory(tmp_path)] == ["a.pem", "b.pem", "c.pem"]


def test_the_directories_of_certbot_are_read(tmp_path: Path) -> None:
    """``live/NAME`` has the certificate twice, its chain, and the key in another file."""
    middle = Authority("middle", authority())
    for name in ("b.example", "a.example"):
        (tmp_path / name).mkdir()
        key, own = halves(middle.pem_for(name))
        for file, content in {
            "cert": own,
            "chain": middle.pem,
            "fullchain": own + middle.pem,
            "privkey": key,
        }.items():
            (tmp_path / name / f"{file}.pem").write_bytes(content)
    found = read_directory(tmp_path)
    assert [hosts_of(each.certificate) for each in found] == [["a.example"], ["b.example"]]
    assert [[link.certificate for link in each.chain] for each in found] == [[middle.root]] * 2


def test_a_root_in_a_directory_is_not_sent(tmp_path: Path) -> None:
    """Twisted's own ``tls:`` looks for the issuer of a root for ever."""
    middle = Authority("middle", authority())
    (tmp_path / "a.pem").write_bytes(middle.pem_for("a.example"))
    (tmp_path / "chain.pem").write_bytes(authority().pem + middle.pem)
    (found,) = read_directory(tmp_path)
    assert [each.certificate for each in found.chain] == [middle.root]


def test_an_issuer_of_the_same_name_that_has_not_signed_is_not_sent(tmp_path: Path) -> None:
    right, wrong = (Authority("middle", authority()) for _ in range(2))
    (tmp_path / "a.pem").write_bytes(right.pem_for("a.example"))
    (tmp_path / "chain.pem").write_bytes(wrong.pem + right.pem)
    (found,) = read_directory(tmp_path)
    assert [each.certificate for each in found.chain] == [right.root]


def test_a_key_without_its_certificate_is_half_of_a_renewal(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(authority().pem_for("a.example"))
    (tmp_path / "b-key.pem").write_bytes(halves(authority().pem_for("b.example"))[0])
    with pytest.raises(KeyMismatch, match=r"b-key.pem: expected the certificate of this key"):
        read_directory(tmp_path)


def test_of_two_certificates_of_one_key_the_one_that_is_valid_longer_is_used(
    tmp_path: Path,
) -> None:
    """A program that renews may keep the key, and the old certificate beside the new one."""
    key = ec.generate_private_key(ec.SECP256R1())
    old, new = (authority().pem_for("a.example", key=key, until=days) for days in (5, 50))
    future = authority().pem_for("a.example", key=key, since=2, until=90)
    for name, pem in {"a": old, "b": new, "c": future}.items():
        (tmp_path / f"{name}.pem").write_bytes(pem)
    (found,) = read_directory(tmp_path)
    assert found.certificate == loaded(new)
    assert found.chain == ()


def test_a_directory_without_a_key_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(authority().pem)
    with pytest.raises(ValueError, match="expected a certificate and its key in a"):
        read_directory(tmp_path)


def test_other_blocks_of_PEM_are_passed_over(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048).public_key()
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "a.pem").write_bytes(public + authority().pem_for("a.example"))
    (tmp_path / "public.pem").write_bytes(public)
    assert len(read_directory(tmp_path)) == 1
