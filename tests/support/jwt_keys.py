"""Keys of JSON Web Tokens in each format, and tokens of an attacker."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import algorithms

SECRET = b"0123456789abcdef" * 4


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(algorithm: str = "ES256") -> ec.EllipticCurvePrivateKey:
    curves: dict[str, ec.EllipticCurve] = {
        "ES256": ec.SECP256R1(),
        "ES384": ec.SECP384R1(),
        "ES512": ec.SECP521R1(),
        "ES256K": ec.SECP256K1(),
    }
    return ec.generate_private_key(curves[algorithm])


def pem(private: Any) -> bytes:
    public: bytes = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


def private_pem(private: Any, kind: serialization.PrivateFormat) -> bytes:
    written: bytes = private.private_bytes(
        serialization.Encoding.PEM, kind, serialization.NoEncryption()
    )
    return written


def jwk(key: Any, **more: object) -> dict[str, Any]:
    """A JSON Web Key of a public or a private key, or of a secret."""
    writer: Any = algorithms.HMACAlgorithm
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        writer = algorithms.RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        writer = algorithms.ECAlgorithm
    elif not isinstance(key, bytes):
        writer = algorithms.OKPAlgorithm
    return json.loads(writer.to_jwk(key)) | more  # type: ignore[no-any-return]  # json.loads returns Any


def encoded(*parts: object) -> str:
    """Parts of a token, as JSON."""
    written = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in written)


def forged(secret: bytes, header: object, claims: object) -> str:
    """
    A token with a signature by HS256 of any secret.

    PyJWT refuses to sign with a public key as the secret; the program of an attacker does not.
    """
    body = encoded(header, claims)
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), sha256))}"
