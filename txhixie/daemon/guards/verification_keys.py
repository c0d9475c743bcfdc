"""Keys that verify JSON Web Tokens: PEM, JWK and JWKS (RFC 7517), or a secret.

Each key has its kind, and each algorithm takes keys of its own kind only. With a library that takes
any key for any algorithm, a client signs a token with HS256 and the server's RSA public key as the
secret (CVE-2015-9235, CVE-2022-29217).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from .token_file import read_secret_file
from .token_options import ALGORITHMS, ED, RSA, SECRET

_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}

_LEAST_RSA: Final = 2048
"""Fewest bits of an RSA key (RFC 7518 section 3.3)."""

_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_OPENSSH: Final = re.compile(rb"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """
    A key that verifies the signatures of tokens.

    :ivar kind: the kind, as in :data:`ALGORITHMS`.
    :ivar key: the public key of ``cryptography``, or the bytes of a secret.
    :ivar kid: identifier of a JWK (RFC 7517 section 4.5); ``None`` without one.
    :ivar algorithm: the only algorithm that a JWK is for; ``None`` without one.
    """

    kind: str
    key: Any = field(repr=False)
    kid: str | None = None
    algorithm: str | None = None

    def fits(self, algorithm: str, kid: object) -> bool:
        """
        Whether the key may have signed a token.

        :param algorithm: the algorithm of the token's header.
        :param kid: the identifier of its key; ``None`` without one. Where the key has none, as a
            PEM file, the token may have any.
        """
        return (
            ALGORITHMS[algorithm] == self.kind
            and self.algorithm in (None, algorithm)
            and (kid is None or self.kid in (None, kid))
        )


def read_verification_keys(path: Path, algorithms: Sequence[str]) -> list[VerificationKey]:
    """
    Read the keys of a file, a key at least for each of some algorithms.

    :raises ValueError: "expected ..." for a file that cannot be read, a private key, a key of
        another kind, and a key that is too short for its algorithm. The error has the file, and
        nothing of its content.
    """
    data = read_secret_file(path, "a key file")
    try:
        keys = _keys_of(data)
        for algorithm in algorithms:
            _check_algorithm(algorithm, keys)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return keys


def _keys_of(data: bytes) -> list[VerificationKey]:
    if (found := _PEM.search(data)) is not None:
        return [_of_public_key(_pem_key(data, found[1]))]
    if data.lstrip().startswith((b"{", b"[")):
        return _json_keys(data)
    if _OPENSSH.match(data) or _is_der(data):
        raise ValueError(
            "expected a public key in PEM; ssh-keygen -e -m PKCS8 or openssl pkey converts it"
        )
    # A line break at the end is the editor's.
    return [VerificationKey(SECRET, data.rstrip(b"\r\n"))]


def _pem_key(data: bytes, label: bytes) -> Any:
    if b"PRIVATE KEY" in label:
        raise ValueError("expected the public key; openssl pkey -pubout writes it")
    try:
        if label == b"CERTIFICATE":
            return x509.load_pem_x509_certificate(data).public_key()
        return load_pem_public_key(data)
    except Exception:
        raise ValueError("expected a public key or a certificate in PEM") from None


def _is_der(data: bytes) -> bool:
    """Whether bytes are a public key in DER, which is no secret."""
    if not data.startswith(b"\x30"):
        return False
    try:
        load_der_public_key(data)
    except Exception:
        return False
    return True


def _of_public_key(
    key: Any, kid: str | None = None, algorithm: str | None = None
) -> VerificationKey:
    """:raises ValueError: for a key that no algorithm takes."""
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA:
            raise ValueError(f"expected an RSA key of at least {_LEAST_RSA} bits")
        return VerificationKey(RSA, key, kid, algorithm)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return VerificationKey(f"a {_CURVES[key.curve.name]} key", key, kid, algorithm)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return VerificationKey(ED, key, kid, algorithm)
    raise ValueError("expected an RSA, P-256, P-384, P-521, Ed25519 or Ed448 public key")


def _json_keys(data: bytes) -> list[VerificationKey]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("expected a JSON Web Key or a set of these in JSON") from None
    is_set = isinstance(found, dict) and isinstance(found.get("keys"), list)
    keys = [_jwk(each) for each in (found["keys"] if is_set else [found])]
    known = [key for key in keys if key is not None]
    if not known:
        raise ValueError("expected a JSON Web Key of type RSA, EC, OKP or oct for signatures")
    return known


def _jwk(jwk: Any) -> VerificationKey | None:
    """
    Read a JSON Web Key.

    :return: ``None`` for a key for encryption, and for a key of an unknown type (RFC 7517 section
        5 requires that these are ignored).
    :raises ValueError: for a private key, an invalid key, and a weak one.
    """
    from jwt import algorithms

    readers: dict[str, Any] = {
        "RSA": algorithms.RSAAlgorithm,
        "EC": algorithms.ECAlgorithm,
        "OKP": algorithms.OKPAlgorithm,
        "oct": algorithms.HMACAlgorithm,
    }
    kind = jwk.get("kty") if isinstance(jwk, dict) else None
    reader = readers.get(kind) if isinstance(kind, str) else None
    if reader is None or not _is_for_signatures(jwk):
        return None
    if kind != "oct" and "d" in jwk:
        raise ValueError("expected public keys, and a JSON Web Key of it is a private key")
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    try:
        key = reader.from_jwk(jwk)
    except Exception:
        raise ValueError("expected a JSON Web Key that can be read (RFC 7518 section 6)") from None
    if isinstance(key, bytes):
        return VerificationKey(SECRET, key, kid, algorithm)
    return _of_public_key(key, kid, algorithm)


def _is_for_signatures(jwk: dict[str, Any]) -> bool:
    """Whether a JSON Web Key may be for signatures that are verified here."""
    uses = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(uses, list)
        and ("verify" in uses or "sign" in uses)  # of a secret, either
        and jwk.get("alg") in (None, *ALGORITHMS)
        and jwk.get("crv") not in ("X25519", "X448", "secp256k1")
    )


def _check_algorithm(algorithm: str, keys: Sequence[VerificationKey]) -> None:
    fitting = [key for key in keys if key.fits(algorithm, None)]
    if not fitting:
        kinds = sorted({key.kind for key in keys})
        fit = [name for name in ALGORITHMS if any(key.fits(name, None) for key in keys)]
        takes = f"; jwt-algorithms may be {', '.join(fit)}" if fit else ""
        raise ValueError(
            f"expected {ALGORITHMS[algorithm]} for {algorithm}, not {' and '.join(kinds)}{takes}"
        )
    least = int(algorithm[2:]) // 8 if algorithm.startswith("HS") else 0
    if any(len(key.key) < least for key in fitting if key.kind == SECRET):
        raise ValueError(
            f"expected a secret of at least {least} bytes for {algorithm} (RFC 7518 section 3.2); "
            f"openssl rand -hex {least} makes a new one"
        )
