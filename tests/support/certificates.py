"""A certificate authority for tests, valid certificates, and certificates with one fault each."""

from __future__ import annotations

import datetime
import ipaddress
from functools import cache
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID
from twisted.internet import ssl

DAY = datetime.timedelta(days=1)

_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority; :ivar root: its own certificate."""

    def __init__(
        self, name: str, above: Authority | None = None, until: int = 1, *, ca: bool = True
    ) -> None:
        """
        :param above: the authority that signs its certificate; by default itself.
        :param until: the day, counted from today, on which its certificate ends.
        :param ca: whether its certificate says that it may sign others.
        """
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        signer = self if above is None else above
        self.root = signer.sign(self._name, self._key, -DAY, until * DAY, ca=ca)

    @property
    def pem(self) -> bytes:
        """The certificate of the authority, in PEM."""
        return self.root.public_bytes(Encoding.PEM)

    @property
    def private_pem(self) -> bytes:
        """The key of the authority and then its certificate, in PEM."""
        return key_pem(self._key) + self.pem

    @property
    def trust(self) -> Any:
        """The trust root of a client that trusts the authority."""
        return ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(self.pem)])

    def pem_for(
        self,
        *names: str,
        since: int = -1,
        until: int = 1,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """
        Sign a certificate, and return its key and then the certificate.

        :param names: host names and addresses.
        :param since: the day, counted from today, from which it is valid.
        :param until: the day on which it ends.
        :param key: its private key; a new one by default.
        """
        key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signed = self.sign(subject, key, since * DAY, until * DAY, names=names)
        return key_pem(key) + signed.public_bytes(Encoding.PEM)

    def issue_to_itself(self, *names: str) -> ssl.PrivateCertificate:
        """A self-signed certificate, with its key."""
        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        signed = self.sign(self._name, self._key, -DAY, DAY, names=names)
        made: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(
            private + signed.public_bytes(Encoding.PEM)
        )
        return made

    def issue_with(self, common: str, extension: bytes | None) -> ssl.PrivateCertificate:
        """
        Sign a certificate with names that may be malformed.

        :param common: the subject's common name.
        :param extension: the value of the subjectAltName, in DER; ``None`` for none.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        signed = self.sign(subject, key, -DAY, DAY, extension=extension)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        made: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(
            private + signed.public_bytes(Encoding.PEM)
        )
        return made

    def issue(self, *names: str, since: int = -1, until: int = 1) -> ssl.PrivateCertificate:
        """Sign a certificate, and return it with its key, for Twisted's endpoints."""
        pem = self.pem_for(*names, since=since, until=until)
        made: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(pem)
        return made

    def issue_to(self, subject: x509.Name, **more: Any) -> x509.Certificate:
        """Sign a certificate for a subject, with the further arguments of :meth:`sign`."""
        return self.sign(subject, ec.generate_private_key(ec.SECP256R1()), -DAY, DAY, **more)

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        since: datetime.timedelta,
        until: datetime.timedelta,
        *,
        names: tuple[str, ...] = (),
        extension: bytes | None = None,
        ca: bool = False,
        purposes: tuple[x509.ObjectIdentifier, ...] = (),
    ) -> x509.Certificate:
        """
        Sign a certificate.

        :param since: the time, counted from now, from which it is valid.
        :param until: the time, counted from now, until which it is valid.
        :param names: host names and addresses.
        :param extension: the value of the subjectAltName, in DER, instead of names.
        :param ca: whether it may sign others.
        :param purposes: of the extendedKeyUsage; by default it has none.
        """
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            # Python 3.13 verifies by the strict rules of RFC 5280, which ask for these.
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if ca:
            builder = builder.add_extension(_SIGNS, critical=True)
        if names:
            others = [_general_name(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        if extension is not None:
            raw = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, extension)
            builder = builder.add_extension(raw, critical=False)
        if purposes:
            usage = x509.ExtendedKeyUsage(purposes)
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key in PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@cache
def authority() -> Authority:
    """The authority that the clients of tests trust."""
    return Authority("the tests' authority")


@cache
def stranger() -> Authority:
    """An authority that no client trusts."""
    return Authority("a stranger")


@cache
def certificate() -> ssl.PrivateCertificate:
    """A self-signed certificate for ``localhost``, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=12))
        .not_valid_after(now + datetime.timedelta(hours=12))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        Encoding.PEM,
        PrivateFormat.PKCS8,
        NoEncryption(),
    ) + signed.public_bytes(Encoding.PEM)
    made: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(pem)
    return made


def unverified_context() -> SSLContext:
    """A client's context that takes any certificate."""
    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context
