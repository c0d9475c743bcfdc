"""JSON Web Tokens: which of them are accepted, and until when."""

from __future__ import annotations

import json
import sys
from math import inf, nan
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from support.jwt_keys import SECRET, ec_key, encoded, forged, jwk, pem, rsa_key
from support.waiting import reactor
from txhixie.daemon.guards.guard import Permit
from txhixie.daemon.guards.json_web_tokens import (
    LEEWAY,
    Claims,
    JSONWebTokens,
    buildJSONWebTokens,
)
from txhixie.daemon.guards.token_options import ALGORITHMS
from txhixie.daemon.guards.verification_keys import read_verification_keys
from txhixie.interfaces import MOST_EXPIRY

NOW = 1_800_000_000.0
AUDIENCE = "wss://example.com/feed"


class Issuer:
    """An issuer, and the server that has its keys."""

    def __init__(
        self, path: Path, data: bytes | dict[str, Any], *algorithms: str, issuer: str | None = None
    ) -> None:
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        keys = read_verification_keys(path, algorithms)
        claims = Claims(algorithms, [AUDIENCE, "other"], issuer)
        self.tokens = JSONWebTokens(lambda: keys, claims, lambda: NOW)

    def answer(self, token: str) -> Permit | str:
        return self.tokens.verify(token)

    def said(self, token: str) -> str:
        """Why a token is not accepted, which never has a part of the token."""
        why = self.answer(token)
        assert isinstance(why, str)
        assert not any(part and part in why for part in token.split("."))
        return why


def signed(key: Any, algorithm: str, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of an hour for the audience; a claim of ``None`` is left out."""
    all_claims = {"exp": NOW + 3600, "aud": AUDIENCE} | claims
    kept = {name: value for name, value in all_claims.items() if value is not None}
    return jwt.api_jws.encode(
        json.dumps(kept).encode(), key, algorithm, headers={"typ": "JWT"} | (headers or {})
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key"


@pytest.fixture
def issuer(path: Path) -> Issuer:
    return Issuer(path, SECRET, "HS256")


# What is accepted.


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_token_of_each_algorithm_is_accepted_until_it_expires(path: Path, algorithm: str) -> None:
    makers: dict[str, Any] = {
        "RS": rsa_key,
        "PS": rsa_key,
        "ES": lambda: ec_key(algorithm),
        "Ed": ed25519.Ed25519PrivateKey.generate,
        "HS": lambda: SECRET,
    }
    private = makers[algorithm[:2]]()
    made = Issuer(path, SECRET if private is SECRET else pem(private), algorithm)
    assert made.answer(signed(private, algorithm)) == Permit(expiresIn=3600)
    assert made.answer(signed(private, algorithm, {"kid": "any"})) == Permit(expiresIn=3600)
    for at in (-2, -3, -30):  # some bits of the last character are not used
        token = signed(private, algorithm)
        other = "A" if token[at] != "A" else "Q"
        tampered = token[:at] + other + (token[at:][1:])
        assert made.said(tampered) in ("token with a wrong signature", "malformed token")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"},
        {"aud": ["x", AUDIENCE]},
        {"nbf": NOW, "iat": NOW - 5, "sub": "ada", "iss": "anybody", "role": ["a"]},
        {"nbf": NOW + LEEWAY, "iat": NOW + LEEWAY},
        {"exp": NOW + 3600.5},
    ],
)
def test_other_claims_are_the_issuers(issuer: Issuer, claims: dict[str, Any]) -> None:
    answer = issuer.answer(signed(SECRET, "HS256", **claims))
    expiry = claims.get("exp", NOW + 3600) - NOW
    assert answer == Permit(expiresIn=expiry, user=claims.get("sub"))


def test_a_token_with_an_empty_subject_has_no_name(issuer: Issuer) -> None:
    answer = issuer.answer(signed(SECRET, "HS256", sub=""))
    assert answer == Permit(expiresIn=3600)


def test_a_token_for_a_century_expires_in_ten_years(issuer: Issuer) -> None:
    answer = issuer.answer(signed(SECRET, "HS256", exp=NOW + 100 * 366 * 86400))
    assert answer == Permit(expiresIn=MOST_EXPIRY)


def test_the_key_is_chosen_by_its_identifier(path: Path) -> None:
    keys = [jwk(rsa_key().public_key(), kid="old"), jwk(ec_key().public_key(), kid="new")]
    keys += [jwk(SECRET, kid="third"), jwk(bytes(64), kid="fourth")]
    made = Issuer(path, {"keys": keys}, "RS256", "ES256", "HS256")
    for key, algorithm, kid in (
        (rsa_key(), "RS256", "old"),
        (ec_key(), "ES256", "new"),
        (SECRET, "HS256", "third"),
        (bytes(64), "HS256", "fourth"),
    ):
        assert isinstance(made.answer(signed(key, algorithm, {"kid": kid})), Permit)
        assert isinstance(made.answer(signed(key, algorithm)), Permit), "each key is tried"
        said = made.said(signed(key, algorithm, {"kid": "unknown"}))
        assert said == "token of a key (kid) that is not in jwt-key"
    for kid in ("new", "fourth"):
        said = made.said(signed(SECRET, "HS256", {"kid": kid}))
        assert said.startswith(("token of a key (kid)", "token with a wrong signature"))
    said = made.said(signed(b"another secret of 32 bytes......", "HS256"))
    assert said == "token with a wrong signature"


# What is not accepted.


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": None}, "token without exp or aud"),
        ({"aud": None}, "token without exp or aud"),
        ({"aud": ""}, "token without exp or aud"),
        ({"aud": []}, "token without exp or aud"),
        ({"exp": NOW}, "expired token"),
        ({"exp": NOW - 1}, "expired token"),
        ({"exp": -5}, "expired token"),
        ({"exp": "1900000000"}, "token with an invalid exp"),
        ({"exp": True}, "token with an invalid exp"),
        ({"exp": inf}, "token with an invalid exp"),
        ({"exp": nan}, "token with an invalid exp"),
        ({"exp": [1]}, "token with an invalid exp"),
        ({"exp": 10**400}, "token with an invalid exp"),
        ({"nbf": NOW + LEEWAY + 1}, "token that is not yet valid (nbf)"),
        ({"nbf": "0"}, "token with an invalid nbf"),
        ({"iat": NOW + LEEWAY + 1}, "token with a time of issue in the future (iat)"),
        ({"iat": {}}, "token with an invalid iat"),
        ({"aud": "wss://example.com/"}, "token for another audience (aud)"),
        ({"aud": [AUDIENCE, 5]}, "token for another audience (aud)"),
        ({"aud": {AUDIENCE: 1}}, "token for another audience (aud)"),
    ],
)
def test_each_claim_is_checked(issuer: Issuer, claims: dict[str, Any], said: str) -> None:
    assert issuer.said(signed(SECRET, "HS256", **claims)) == said


def test_the_issuer_is_checked_if_it_is_named(path: Path) -> None:
    made = Issuer(path, SECRET, "HS256", issuer="https://issuer.example")
    assert isinstance(made.answer(signed(SECRET, "HS256", iss="https://issuer.example")), Permit)
    for iss in ("https://issuer.example/", "https://issuer", "", 5, ["https://issuer.example"]):
        said = made.said(signed(SECRET, "HS256", iss=iss))
        assert said in ("token of another issuer (iss)", "malformed token")
    assert made.answer(signed(SECRET, "HS256", iss=None)) != Permit(expiresIn=3600)


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 5, ["none"], "HS512"])
def test_a_token_without_a_signature_is_not_accepted(issuer: Issuer, name: object) -> None:
    """CVE-2015-9235 began with this."""
    token = encoded({"alg": name, "typ": "JWT"}, {"exp": NOW + 3600, "aud": AUDIENCE})
    for signature in ("", "AAAA"):
        said = issuer.said(f"{token}.{signature}")
        assert said == "token with an algorithm that is not in jwt-algorithms"
    bare = encoded({"typ": "JWT"}, {"exp": NOW + 3600, "aud": AUDIENCE})
    assert issuer.said(f"{bare}.") == "token with an algorithm that is not in jwt-algorithms"


@pytest.mark.parametrize("form", ["pem", "pem-without-line-break", "jwk"])
def test_a_public_key_signs_nothing(path: Path, form: str) -> None:
    """The attacker signs with HS256, and with the server's public key as the secret."""
    data: Any = pem(rsa_key())
    secret: bytes = data
    if form == "jwk":
        data = {"keys": [jwk(rsa_key().public_key(), kid="a"), jwk(SECRET, kid="b")]}
        made = Issuer(path, data, "RS256", "HS256")
    else:
        secret = data if form == "pem" else data.rstrip()
        made = Issuer(path, data, "RS256")
    for kid in ("a", "b", None):
        header = {"alg": "HS256"} | ({"kid": kid} if kid else {})
        token = forged(secret, header, {"exp": NOW + 3600, "aud": AUDIENCE})
        assert isinstance(made.answer(token), str)


def test_an_algorithm_that_was_not_named_is_not_accepted(path: Path) -> None:
    made = Issuer(path, pem(rsa_key()), "RS256")
    for algorithm in ("RS512", "PS256"):
        said = made.said(signed(rsa_key(), algorithm))
        assert said == "token with an algorithm that is not in jwt-algorithms"


@pytest.mark.parametrize("crit", [["b64"], ["exp"], [], "b64", None])
def test_an_extension_is_not_accepted(issuer: Issuer, crit: object) -> None:
    """RFC 7515 section 4.1.11: a verifier that does not know an extension refuses the token."""
    said = issuer.said(signed(SECRET, "HS256", {"crit": crit}))
    assert said in ("token with an extension (crit)", "malformed token")


def test_a_tampered_token_is_not_accepted(issuer: Issuer) -> None:
    head, _, signature = signed(SECRET, "HS256").split(".")
    for claims in ({"exp": NOW + 9999, "aud": AUDIENCE}, {}):
        assert issuer.said(f"{head}.{encoded(claims)}.{signature}") == (
            "token with a wrong signature"
        )


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "\u00e9.\u20ac.c",
        encoded(b"[" * 9000, b"{}", b""),
        encoded({"alg": "HS256"}, b"[" * 9000, b""),
        encoded(b'{"alg": "HS256", "kid": ' + b"9" * 5000 + b"}", b"{}", b""),
        encoded([], {}, b""),
        encoded({"alg": "HS256", "kid": 5}, {}, b""),
        encoded(b"\xff", b"\xff", b"\xff"),
        "Bearer " * 1000,
    ],
)
def test_a_malformed_token_is_not_accepted(issuer: Issuer, token: str) -> None:
    assert isinstance(issuer.answer(token), str)


def test_claims_that_are_no_object_are_not_accepted(issuer: Issuer) -> None:
    for payload in (b"[]", b"5", b"\xff", b"", b"[" * 9000):
        token = jwt.api_jws.encode(payload, SECRET, "HS256")
        assert issuer.said(token) == "malformed token"


@given(st.text(max_size=60))
def test_any_text_has_an_answer(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    made = Issuer(tmp_path_factory.getbasetemp() / "key", SECRET, "HS256")
    assert isinstance(made.answer(text), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(["exp", "aud", "nbf", "iat", "iss", "sub", "jti", "x"])


@given(st.dictionaries(NAMES, JSON))
def test_any_signed_claims_have_an_answer(
    tmp_path_factory: pytest.TempPathFactory, claims: dict[str, Any]
) -> None:
    """An issuer may be wrong too, and no claim may be a traceback."""
    made = Issuer(tmp_path_factory.getbasetemp() / "key", SECRET, "HS256")
    answer = made.answer(jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, "HS256"))
    assert isinstance(answer, str | Permit)


# The options.


def test_the_guard_asks_for_a_token_of_the_issuer(path: Path) -> None:
    path.write_bytes(SECRET)
    values = {"jwt-key": f"{path}", "jwt-algorithms": ["HS256"], "jwt-audience": [AUDIENCE]}
    made = buildJSONWebTokens(reactor, values | {"token-parameter": "jwt", "realm": "feed"})
    assert made.challenges == ((b"WWW-Authenticate", b'Bearer realm="feed"'),)
    assert made.usedParameters == {"jwt"}


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("jwt-algorithms", "expected the option jwt-algorithms, such as RS256"),
        ("jwt-audience", "expected the option jwt-audience, the aud of tokens"),
    ],
)
def test_a_missing_option_is_an_error(path: Path, missing: str, said: str) -> None:
    values = {"jwt-key": "key", "jwt-algorithms": ["HS256"], "jwt-audience": ["a"]}
    del values[missing]
    with pytest.raises(ValueError, match="expected") as caught:
        buildJSONWebTokens(reactor, values)
    assert str(caught.value) == f"jwt-key key: {said}"


def test_a_mistake_in_the_file_is_an_error_with_the_option(path: Path) -> None:
    path.write_bytes(b"short")
    values = {"jwt-key": f"{path}", "jwt-algorithms": ["HS256"], "jwt-audience": ["a"]}
    with pytest.raises(ValueError, match="expected") as caught:
        buildJSONWebTokens(reactor, values)
    assert str(caught.value).startswith(f"jwt-key {path}: expected a secret of at least 32 bytes")


def test_without_PyJWT_the_error_says_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    values = {"jwt-key": "key", "jwt-algorithms": ["HS256"], "jwt-audience": ["a"]}
    with pytest.raises(ValueError, match="expected") as caught:
        buildJSONWebTokens(reactor, values)
    assert str(caught.value) == (
        "jwt-key key: expected the package PyJWT; pip install 'txhixie[jwt]'"
    )
