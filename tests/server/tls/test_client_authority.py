"""Certificates of clients in the TLS handshake: asked for, verified by one CA only, and refused."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL.SSL import TLS_METHOD, Connection, Context, Error, WantReadError

from support.certificates import DAY, Authority, authority, key_pem, stranger
from txhixie.server.tls.certificates import read_directory
from txhixie.server.tls.client_authority import ClientAuthority
from txhixie.server.tls.contexts import CertificateContexts
from txhixie.server.tls.errors import certificate_fault_of

CLIENTS: Final = Authority("clients")
TEAM: Final = Authority("team", CLIENTS)
VERSIONS: Final = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


def client_pem(
    by: Authority = CLIENTS, since: int = -1, until: int = 1, **more: Any
) -> tuple[bytes, x509.Certificate]:
    """A certificate of a client with its key, in PEM, and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ada")])
    signed = by.sign(subject, key, since * DAY, until * DAY, **more)
    return key_pem(key) + signed.public_bytes(Encoding.PEM), signed


class Port:
    """A port that asks for certificates of clients, with two certificates of its own."""

    def __init__(self, directory: Path, ca: bytes = CLIENTS.pem) -> None:
        own = directory / "own"
        own.mkdir()
        for name in ("a.example", "b.example"):
            (own / f"{name}.pem").write_bytes(authority().pem_for(name))
        (directory / "ca.pem").write_bytes(ca)
        self._directory = directory
        clients = ClientAuthority(directory / "ca.pem")
        self.contexts = CertificateContexts(read_directory(own), clients)

    def client(self, pem: bytes | None, version: str, name: str = "a.example") -> Any:
        """The context of a client with a certificate, or with none."""
        context = ssl.create_default_context(cadata=authority().pem.decode())
        context.minimum_version = context.maximum_version = VERSIONS[version]
        if pem is not None:
            file = self._directory / "client.pem"
            file.write_bytes(pem)
            context.load_cert_chain(file)
        return context

    def handshake(
        self, context: ssl.SSLContext, name: str = "a.example", session: Any = None
    ) -> tuple[Connection, SimpleNamespace, ssl.SSLObject]:
        """
        Do a TLS handshake in memory.

        :raises OpenSSL.SSL.Error: if the server refuses the client.
        """
        holder = SimpleNamespace()
        server = self.contexts.serverConnectionForTLS(holder)
        server.set_accept_state()
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(received, sent, server_hostname=name, session=session)
        self.holder = holder
        for _ in range(4):
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
            if data := sent.read():
                server.bio_write(data)
            try:
                with suppress(WantReadError):
                    server.do_handshake()
            finally:
                with suppress(WantReadError):
                    received.write(server.bio_read(2**16))
                self.told = client
        return server, holder, client


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path)


both_versions = pytest.mark.parametrize("version", VERSIONS)
both_names = pytest.mark.parametrize("name", ["a.example", "b.example"])


@both_versions
@both_names
def test_a_certificate_of_the_CA_is_verified_and_known(port: Port, version: str, name: str) -> None:
    """Also with the certificate that the client's server name selects."""
    pem, signed = client_pem()
    server, _, _ = port.handshake(port.client(pem, version), name)
    found = server.get_peer_certificate()
    assert found is not None
    assert found.to_cryptography() == signed


@both_versions
@both_names
def test_a_client_without_a_certificate_is_let_in(port: Port, version: str, name: str) -> None:
    server, holder, _ = port.handshake(port.client(None, version), name)
    assert server.get_peer_certificate() is None
    assert certificate_fault_of(holder) is None


WRONG: Final = {
    "expired": (client_pem(since=-9, until=-1)[0], "expired"),
    "of tomorrow": (client_pem(since=1, until=2)[0], "not yet valid"),
    "foreign": (client_pem(stranger())[0], "not signed by a CA of client-ca"),
    "for servers": (
        client_pem(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))[0],
        "not for clients: its extendedKeyUsage has no clientAuth",
    ),
}


@both_versions
@both_names
@pytest.mark.parametrize("kind", WRONG)
def test_a_certificate_that_is_not_valid_is_refused_with_its_reason(
    port: Port, version: str, name: str, kind: str
) -> None:
    pem, why = WRONG[kind]
    with pytest.raises(Error):
        port.handshake(port.client(pem, version), name)
    assert certificate_fault_of(port.holder) == f"client certificate {why}: CN=ada"
    with pytest.raises(ssl.SSLError, match="alert"):
        port.told.do_handshake()
        port.told.read()


def test_a_chain_that_ends_in_another_CA_is_refused_with_that_CA(port: Port) -> None:
    """The CA of the server's own certificate is none of clients."""
    with pytest.raises(Error):
        port.handshake(port.client(client_pem(authority())[0] + authority().pem, "TLS 1.3"))
    assert certificate_fault_of(port.holder) == (
        "issuer of the client certificate is not in client-ca: CN=the tests' authority"
    )


def test_a_self_signed_certificate_is_refused(port: Port) -> None:
    with pytest.raises(Error):
        port.handshake(port.client(Authority("ada", ca=False).private_pem, "TLS 1.3"))
    assert (
        certificate_fault_of(port.holder)
        == "client certificate self-signed, and not in client-ca: CN=ada"
    )


def test_a_certificate_for_clients_only_is_let_in(port: Port) -> None:
    pem, _ = client_pem(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    server, _, _ = port.handshake(port.client(pem, "TLS 1.3"))
    assert server.get_peer_certificate() is not None


def test_a_client_can_send_the_chain_to_the_CA(port: Port) -> None:
    pem, _ = client_pem(TEAM)
    with pytest.raises(Error):
        port.handshake(port.client(pem, "TLS 1.3"))
    server, _, _ = port.handshake(port.client(pem + TEAM.pem, "TLS 1.3"))
    assert server.get_peer_certificate() is not None


def test_an_intermediate_CA_counts_without_its_root(tmp_path: Path) -> None:
    """Clients of the other teams of the same root are refused."""
    port = Port(tmp_path, TEAM.pem)
    server, _, _ = port.handshake(port.client(client_pem(TEAM)[0], "TLS 1.3"))
    assert server.get_peer_certificate() is not None
    with pytest.raises(Error):
        port.handshake(port.client(client_pem(CLIENTS)[0], "TLS 1.3"))


def test_a_certificate_without_the_right_to_sign_signs_nothing(port: Port) -> None:
    """ada's own certificate is no CA."""
    leaf = Authority("leaf", CLIENTS, ca=False)
    with pytest.raises(Error):
        port.handshake(port.client(client_pem(leaf)[0] + leaf.pem, "TLS 1.3"))
    assert "no CA" in str(certificate_fault_of(port.holder))


@both_versions
def test_no_session_is_resumed(port: Port, version: str) -> None:
    """So each connection shows its certificate anew, also after the CA was replaced."""
    context = port.client(client_pem()[0], version)
    server, _, client = port.handshake(context)
    server.send(b"x")
    again, _, second = port.handshake(context, session=client.session)
    assert not second.session_reused
    assert again.get_peer_certificate() is not None


def test_the_names_of_the_CAs_are_sent(tmp_path: Path) -> None:
    """A browser offers its user the certificates of these CAs."""
    port = Port(tmp_path, CLIENTS.pem + TEAM.pem)
    server = port.contexts.serverConnectionForTLS(SimpleNamespace())
    server.set_accept_state()
    client = Connection(Context(TLS_METHOD), None)
    client.set_connect_state()
    for _ in range(3):
        for one, other in ((client, server), (server, client)):
            with suppress(WantReadError):
                one.do_handshake()
            with suppress(WantReadError):
                other.bio_write(one.bio_read(2**16))
    assert [name.CN for name in client.get_client_ca_list()] == ["clients", "team"]


@pytest.mark.parametrize("content", ["", "no PEM"])
def test_a_file_without_certificates_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(ValueError, match=r"client-ca: .*ca\.pem: expected CA certificates, in PEM"):
        ClientAuthority(tmp_path / "ca.pem")
