"""A daemon that asks clients for certificates, and clients with certificates."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from support.certificates import DAY, Authority, authority, key_pem
from support.daemon import Daemon, free_port, started
from support.frame_writer import text
from support.handshake_bytes import head_of, request, status_of

CLIENTS: Final = Authority("clients")
OLD: Final = "hixie-75"


def client_pem(name: str, by: Authority = CLIENTS, since: int = -1, until: int = 1) -> bytes:
    """A client's certificate for ``CN=name,O=Example``, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = ((NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, name))
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    signed = by.sign(subject, key, since * DAY, until * DAY)
    return key_pem(key) + signed.public_bytes(Encoding.PEM)


@dataclass
class Site:
    """A daemon with a port that asks for certificates, and the files of its clients."""

    daemon: Daemon
    directory: Path

    def context(self, who: str | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """The TLS context of a client with the certificate ``who.pem``, or without one."""
        made = ssl.create_default_context(cadata=authority().pem.decode())
        if version is not None:
            made.minimum_version = made.maximum_version = version
        if who is not None:
            made.load_cert_chain(self.directory / f"{who}.pem")
        return made

    def connect(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """A connection after its TLS handshake."""
        return context.wrap_socket(self.daemon.connect(), server_hostname="localhost")

    def status(
        self, who: str | None, path: str, *fields: str, version: ssl.TLSVersion | None = None
    ) -> int:
        """The status of a WebSocket handshake; 101 only if a message comes back."""
        with self.connect(self.context(who, version)) as peer:
            asked = request(OLD, target=path, origin="https://example.com")
            peer.sendall(asked[:-2] + "".join(f"{each}\r\n" for each in fields).encode() + b"\r\n")
            received = b""
            while b"\r\n\r\n" not in received and (more := peer.recv(65536)):
                received += more
            status = status_of(head_of(received))
            if status == 101:
                peer.sendall(text("hello"))
                while not received.endswith(text("hello")):
                    received += peer.recv(65536)
            return status


@contextmanager
def site(directory: Path, *routes: str, scheme: str = "ssl", more: str = "") -> Iterator[Site]:
    """Run a daemon with routes, and a client's certificate for ada, bob and others."""
    port = free_port()
    (directory / "own").mkdir()
    (directory / "own" / "own.pem").write_bytes(authority().pem_for("localhost"))
    (directory / "ca.pem").write_bytes(CLIENTS.pem)
    for name in ("ada", "bob"):
        (directory / f"{name}.pem").write_bytes(client_pem(name))
    (directory / "expired.pem").write_bytes(client_pem("ada", since=-9, until=-1))
    (directory / "foreign.pem").write_bytes(client_pem("ada", by=Authority("strangers")))
    where = {
        "ssl": f"ssl:{port}:privateKey={directory}/own/own.pem",
        "tls": f"tls:{directory}/own:port={port}",
    }[scheme]
    where += f":interface=127.0.0.1:client-ca={directory}/ca.pem"
    options = [word for route in routes for word in ("--serve", route)]
    with started(directory, port, "--port", where, *options, *more.split()) as daemon:
        yield Site(daemon, directory)
