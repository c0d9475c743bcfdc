"""Certificates from PEM files: their content, or an error that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.certificates import authority, stranger
from txhixie.dialing.pem import certificateFromPaths, trustRootFromPath


def parts(pem: bytes) -> tuple[bytes, bytes]:
    """A private key, and its certificate, in PEM."""
    key, begin, certificate = pem.partition(b"-----BEGIN CERTIFICATE-----")
    return key, begin + certificate


def test_authorities_come_from_a_file_with_several(tmp_path: Path) -> None:
    """The file may have other PEM blocks."""
    file = tmp_path / "all.pem"
    file.write_bytes(b"# ours\n" + authority().pem + b"# theirs\n" + stranger().pem)
    assert len(trustRootFromPath(str(file))._caCerts) == 2


def test_CA_certificates_come_from_the_files_of_a_directory(tmp_path: Path) -> None:
    """The files named ``*.pem`` are read, as by Twisted's own ``tls:``."""
    (tmp_path / "a.pem").write_bytes(authority().pem)
    (tmp_path / "b.txt").write_bytes(stranger().pem)
    assert len(trustRootFromPath(str(tmp_path))._caCerts) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nothing of the kind",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_a_file_without_a_certificate_is_refused(content: bytes, tmp_path: Path) -> None:
    """An empty file must not mean the platform's authorities."""
    file = tmp_path / "none.pem"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"none\.pem: expected certificates"):
        trustRootFromPath(str(file))
    with pytest.raises(ValueError, match=r"expected certificates"):
        (tmp_path / "empty").mkdir()
        trustRootFromPath(str(tmp_path / "empty"))
    with pytest.raises(OSError, match=r"nowhere\.pem"):
        trustRootFromPath(str(tmp_path / "nowhere.pem"))


def test_a_client_certificate_is_in_one_file_or_two(tmp_path: Path) -> None:
    pem = authority().pem_for("client.example")
    key, certificate = parts(pem)
    for name, content in (("both", pem), ("key", key), ("certificate", certificate)):
        (tmp_path / name).write_bytes(content)
    one = certificateFromPaths(str(tmp_path / "both"))
    two = certificateFromPaths(str(tmp_path / "certificate"), str(tmp_path / "key"))
    assert one.serialNumber() == two.serialNumber()


def test_a_key_that_does_not_match_the_certificate_is_an_error(tmp_path: Path) -> None:
    """Otherwise the mistake would only appear in the first handshake."""
    _, certificate = parts(authority().pem_for("client.example"))
    key, _ = parts(authority().pem_for("client.example"))
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "certificate").write_bytes(certificate)
    for paths in (["certificate", "key"], ["certificate"], ["key", "certificate"]):
        with pytest.raises(ValueError, match="expected a certificate and its key"):
            certificateFromPaths(*(str(tmp_path / path) for path in paths))


def test_the_error_of_a_certificate_without_its_key_names_the_options_of_the_key(
    tmp_path: Path,
) -> None:
    alone = tmp_path / "alone.pem"
    alone.write_bytes(parts(authority().pem_for("client.example"))[1])
    with pytest.raises(ValueError, match=r"own file by privateKey= or --private-key$"):
        certificateFromPaths(str(alone))
    with pytest.raises(ValueError, match=r"expected a certificate and its key in PEM$"):
        certificateFromPaths(str(alone), str(alone))
