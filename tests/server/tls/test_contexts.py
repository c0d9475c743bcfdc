"""The certificate that a client gets, by the server name that it sends or does not send."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_der_x509_certificate
from OpenSSL.SSL import Connection, WantReadError

from support.certificates import Authority, authority, unverified_context
from txhixie.server.tls.certificates import hosts_of, read_directory
from txhixie.server.tls.contexts import CertificateContexts


def handshake(contexts: CertificateContexts, name: str | None) -> tuple[Any, Connection]:
    """Do a TLS handshake in memory; return both sides."""
    server = contexts.serverConnectionForTLS(object())
    server.set_accept_state()
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = unverified_context().wrap_bio(received, sent, server_hostname=name)
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        if data := sent.read():
            server.bio_write(data)
        with suppress(WantReadError):
            server.do_handshake()
        with suppress(WantReadError):
            received.write(server.bio_read(2**16))
    return client, server


def hosts(contexts: CertificateContexts, name: str | None) -> Any:
    client, _ = handshake(contexts, name)
    return hosts_of(load_der_x509_certificate(client.getpeercert(binary_form=True)))


@pytest.fixture
def contexts(tmp_path: Path) -> CertificateContexts:
    names = ("b.example", "a.example", "*.c.example")
    for number, name in enumerate(names):
        (tmp_path / f"{number}.pem").write_bytes(authority().pem_for(name))
    return CertificateContexts(read_directory(tmp_path))


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("x.c.example", "*.c.example"),
        (None, "b.example"),
        ("unknown.example", "b.example"),
        ("c.example", "b.example"),
        ("x.y.c.example", "b.example"),
    ],
)
def test_the_server_name_selects_and_the_first_certificate_is_the_default(
    contexts: CertificateContexts, name: str | None, own: str
) -> None:
    assert hosts(contexts, name) == [own]


def test_of_two_certificates_for_a_name_the_one_that_ends_later_is_used(tmp_path: Path) -> None:
    (tmp_path / "1.pem").write_bytes(authority().pem_for("a.example", "new.example", until=9))
    (tmp_path / "2.pem").write_bytes(authority().pem_for("a.example", until=2))
    contexts = CertificateContexts(read_directory(tmp_path))
    assert hosts(contexts, "a.example") == ["a.example", "new.example"]


def test_the_chain_is_sent_with_the_certificate(tmp_path: Path) -> None:
    middle = Authority("middle", authority())
    (tmp_path / "0.pem").write_bytes(authority().pem_for("default.example"))
    (tmp_path / "a.pem").write_bytes(middle.pem_for("a.example") + middle.pem)
    contexts = CertificateContexts(read_directory(tmp_path))
    server = contexts.serverConnectionForTLS(object())
    server.set_accept_state()
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context(cadata=authority().pem.decode())
    client = trusting.wrap_bio(received, sent, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    server.bio_write(sent.read())
    with pytest.raises(WantReadError):
        server.do_handshake()
    received.write(server.bio_read(2**16))
    client.do_handshake()  # raises for a chain that does not end in the root
