"""Keys of JSON Web Tokens: the formats, the kind of each, and the error for each mistake."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, x25519

from support.certificates import authority
from support.jwt_keys import SECRET, ec_key, jwk, pem, private_pem, rsa_key
from txhixie.daemon.guards.token_options import ALGORITHMS
from txhixie.daemon.guards.verification_keys import VerificationKey, read_verification_keys


def read(
    tmp_path: Path, data: bytes | dict[str, Any], algorithms: Sequence[str]
) -> list[VerificationKey]:
    path = tmp_path / "key"
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return read_verification_keys(path, algorithms)


def mistake(tmp_path: Path, data: Any, algorithms: Sequence[str]) -> str:
    with pytest.raises(ValueError, match=r"key: expected ") as caught:
        read(tmp_path, data, algorithms)
    error = str(caught.value)
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    assert not any(content[at : at + 12] in error.encode() for at in range(len(content) - 11)), (
        "a part of the key is in the error"
    )
    return error.removeprefix(f"{tmp_path}/key: ")


# What is read.


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_an_RSA_key_is_read(tmp_path: Path, algorithm: str) -> None:
    pkcs1 = (
        rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
    )
    for data in (pem(rsa_key()), b"\xef\xbb\xbf# of the issuer\n" + pem(rsa_key()), pkcs1):
        (key,) = read(tmp_path, data, [algorithm])
        assert key.fits(algorithm, None)
        assert key.fits(algorithm, "any")


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_an_elliptic_curve_has_one_algorithm(tmp_path: Path, algorithm: str) -> None:
    (key,) = read(tmp_path, pem(ec_key(algorithm)), [algorithm])
    assert [name for name in ALGORITHMS if key.fits(name, None)] == [algorithm]


@pytest.mark.parametrize("kind", [ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey])
def test_an_Edwards_curve_is_read(tmp_path: Path, kind: Any) -> None:
    private = kind.generate()
    for data in (pem(private), jwk(private.public_key())):
        (key,) = read(tmp_path, data, ["EdDSA"])
        assert [name for name in ALGORITHMS if key.fits(name, None)] == ["EdDSA"]


def test_a_certificate_has_its_public_key(tmp_path: Path) -> None:
    (key,) = read(tmp_path, authority().pem, ["ES256"])
    assert key.kind == "a P-256 key"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_any_other_file_is_a_secret_without_its_last_line_break(tmp_path: Path, end: bytes) -> None:
    (key,) = read(tmp_path, SECRET + end, ["HS256", "HS384", "HS512"])
    assert key.key == SECRET
    assert not any(key.fits(name, None) for name in ALGORITHMS if not name.startswith("HS"))


def test_a_JSON_Web_Key_and_a_set_are_read(tmp_path: Path) -> None:
    one = jwk(rsa_key().public_key(), kid="one", alg="RS256", use="sig")
    two = jwk(ec_key().public_key(), kid="two", key_ops=["verify"])
    three = jwk(SECRET, kid="three")
    assert len(read(tmp_path, one, ["RS256"])) == 1
    keys = read(tmp_path, {"keys": [one, two, three]}, ["RS256", "ES256", "HS256"])
    assert [key.kid for key in keys] == ["one", "two", "three"]
    first = keys[0]
    assert first.fits("RS256", "one")
    assert first.fits("RS256", None)
    assert not first.fits("RS256", "two")
    assert not first.fits("RS512", "one"), "the key is for one algorithm"
    assert not first.fits("RS256", {"a": 1})


def test_keys_for_other_uses_and_of_unknown_types_are_left_out_of_a_set(tmp_path: Path) -> None:
    public = rsa_key().public_key()
    others: list[Any] = [
        jwk(public, use="enc"),
        jwk(public, key_ops=["encrypt"]),
        jwk(public, key_ops="verify"),
        jwk(public, alg="RSA-OAEP"),
        jwk(public, alg=7),
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        jwk(ec_key("ES256K").public_key()),
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": ["RSA"]},
        {},
        5,
        "RSA",
    ]
    ours = jwk(public, kid="ours")
    assert [key.kid for key in read(tmp_path, {"keys": [*others, ours]}, ["RS256"])] == ["ours"]
    assert mistake(tmp_path, {"keys": others}, ["RS256"]) == (
        "expected a JSON Web Key of type RSA, EC, OKP or oct for signatures"
    )


# Mistakes.


def test_a_private_key_is_an_error(tmp_path: Path) -> None:
    """The daemon only verifies: a private key on its disk would only be there to be stolen."""
    kinds = [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
    for kind in kinds:
        said = mistake(tmp_path, private_pem(rsa_key(), kind), ["RS256"])
        assert said == "expected the public key; openssl pkey -pubout writes it"
    for private in (rsa_key(), ec_key(), ed25519.Ed25519PrivateKey.generate()):
        said = mistake(tmp_path, {"keys": [jwk(private)]}, ["RS256"])
        assert said.startswith("expected public keys, and a JSON Web Key of it is a private key")


def test_a_public_key_is_never_a_secret(tmp_path: Path) -> None:
    """CVE-2015-9235 and CVE-2022-29217: the attacker has the public key too."""
    openssh = (
        rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )
    der = (
        rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for data in (openssh, der):
        assert mistake(tmp_path, data, ["HS256"]).startswith("expected a public key in PEM; ")
    for data in (pem(rsa_key()), b" junk before " + pem(rsa_key())):
        assert mistake(tmp_path, data, ["HS256"]) == (
            "expected a secret for HS256, not an RSA key; jwt-algorithms may be RS256, RS384, "
            "RS512, PS256, PS384, PS512"
        )
    assert "expected a secret for HS256" in mistake(
        tmp_path, jwk(rsa_key().public_key()), ["RS256", "HS256"]
    )


@pytest.mark.parametrize(
    ("algorithm", "key", "said"),
    [
        ("ES256", lambda: ec_key("ES384"), "expected a P-256 key for ES256, not a P-384 key; "),
        ("RS256", ec_key, "expected an RSA key for RS256, not a P-256 key; "),
        ("EdDSA", rsa_key, "expected an Ed25519 or Ed448 key for EdDSA, not an RSA key; "),
    ],
)
def test_each_algorithm_needs_a_key_of_its_kind(
    tmp_path: Path, algorithm: str, key: Any, said: str
) -> None:
    assert mistake(tmp_path, pem(key()), [algorithm]).startswith(said)


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_short_secret_is_an_error(tmp_path: Path, algorithm: str, least: int) -> None:
    said = f"expected a secret of at least {least} bytes for {algorithm} (RFC 7518 section 3.2); "
    short = bytes(range(1, least))
    assert mistake(tmp_path, b"\x30" + short[1:], [algorithm]).startswith(said)
    assert mistake(tmp_path, jwk(short), [algorithm]).startswith(said)
    assert mistake(tmp_path, b"", [algorithm]).startswith(said)
    encoded = urlsafe_b64encode(bytes(least))
    assert read(tmp_path, encoded, [algorithm])


def test_a_short_RSA_key_is_an_error(tmp_path: Path) -> None:
    said = "expected an RSA key of at least 2048 bits"
    assert mistake(tmp_path, pem(rsa_key(1024)), ["RS256"]) == said
    assert mistake(tmp_path, jwk(rsa_key(1024).public_key()), ["RS256"]) == said


def test_other_curves_are_an_error(tmp_path: Path) -> None:
    for key in (ec_key("ES256K"), x25519.X25519PrivateKey.generate()):
        assert mistake(tmp_path, pem(key), ["ES256"]) == (
            "expected an RSA, P-256, P-384, P-521, Ed25519 or Ed448 public key"
        )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "a public key or a cert"),
        (b"-----BEGIN CERTIFICATE-----\n", "a public key or a certificate in PEM"),
        (b"-----BEGIN EC PARAMETERS-----\n", "a public key or a certificate in PEM"),
        (b'{"keys": [', "a JSON Web Key or a set of these in JSON"),
        (b"[" * 100_000, "a JSON Web Key or a set of these in JSON"),
        (b"[]", "a JSON Web Key of type RSA, EC, OKP or oct"),
        (b"{}", "a JSON Web Key of type RSA, EC, OKP or oct"),
        (b'{"kty": "RSA", "n": "AA", "e": "!"}', "a JSON Web Key that can be read"),
        (b'{"kty": "oct", "k": 5}', "a JSON Web Key that can be read"),
    ],
)
def test_a_file_that_is_no_key_is_an_error(tmp_path: Path, data: bytes, said: str) -> None:
    assert mistake(tmp_path, data, ["RS256"]).startswith(f"expected {said}")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"key: expected a key file: No such file"):
        read_verification_keys(tmp_path / "key", ["RS256"])
