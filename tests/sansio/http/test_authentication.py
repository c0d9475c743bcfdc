"""Proxy authentication: challenges, and the answers by Basic and Digest."""

from __future__ import annotations

import re
from hashlib import md5, sha256
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.sansio.http.authentication import (
    Authentication,
    Challenge,
    read_challenges,
    write_basic,
    write_digest,
)
from txhixie.sansio.http.url import Credentials

MUFASA = Credentials("Mufasa", "Circle of Life")
BASIC = 'Basic realm="there"'
DIGEST = 'Digest realm="there", nonce="n0", qop="auth"'
SHA256 = DIGEST + ", algorithm=SHA-256"


def zeros(size: int) -> bytes:
    """Zeros in place of entropy."""
    return bytes(size)


def authentication(credentials: Credentials | None = MUFASA) -> Authentication:
    """An authentication without a challenge so far."""
    return Authentication(credentials, zeros)


def answered(answer: Authentication) -> dict[str, str]:
    """The parameters of the answer to a ``CONNECT``."""
    said = answer.authorization("CONNECT", "host.example:443")
    assert said is not None
    [challenge] = read_challenges([said.decode("latin-1")])
    return {"": challenge.scheme, **challenge.parameters}


# Challenges.


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="x"'], [("basic", {"realm": "x"})]),
        (["BASIC Realm=x"], [("basic", {"realm": "x"})]),
        (['Basic realm = "a, \\"b\\" = c"'], [("basic", {"realm": 'a, "b" = c'})]),
        (["Negotiate, NTLM"], [("negotiate", {}), ("ntlm", {})]),
        (["Negotiate YII==, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (
            ['Digest realm="d",nonce="n", qop="auth,auth-int" , Basic realm="b"'],
            [
                ("digest", {"realm": "d", "nonce": "n", "qop": "auth,auth-int"}),
                ("basic", {"realm": "b"}),
            ],
        ),
        (
            ['Digest realm="d"', "Basic realm=b"],
            [("digest", {"realm": "d"}), ("basic", {"realm": "b"})],
        ),
        (["Basic realm=a, realm=b"], [("basic", {"realm": "a"})]),
        (["Basic realm="], [("basic", {})]),
        ([', ,Basic realm="x",,'], [("basic", {"realm": "x"})]),
        (["realm=x, Basic"], [("basic", {})]),
        (['Basic realm="x, Digest realm=y'], [("basic", {})]),
        (['Basic realm="x\\'], [("basic", {})]),
        (['Digest realm=d, Basic realm="x'], [("digest", {"realm": "d"}), ("basic", {})]),
    ],
)
def test_challenges_are_a_list_within_a_list(
    values: list[str], found: list[tuple[str, dict[str, str]]]
) -> None:
    """A comma may end a parameter or a challenge (RFC 9110 section 11.6.1)."""
    assert [tuple(each) for each in read_challenges(values)] == found


@pytest.mark.parametrize("unit", ['\\"', '"', '"\\', '"a', 'a="', 'a="\\"'])
def test_reading_a_challenge_takes_time_in_proportion_to_its_length(unit: str) -> None:
    """Unterminated quotes were read over and over again: that took five seconds."""
    start = process_time()
    read_challenges(['"' + unit * (16 * 1024 // len(unit))])
    assert process_time() - start < 0.5


@given(st.lists(st.text(alphabet=st.characters(max_codepoint=255))))
def test_any_challenge_is_parsed_or_ignored(values: list[str]) -> None:
    for challenge in read_challenges(values):
        assert challenge.strength in range(6)


# The strongest supported scheme.

OTHERS = 'Negotiate, NTLM, Bearer realm="x"'


@pytest.mark.parametrize(
    ("challenges", "scheme", "algorithm"),
    [
        ([BASIC], "basic", None),
        ([DIGEST], "digest", None),
        ([BASIC, DIGEST], "digest", None),
        ([DIGEST, BASIC], "digest", None),
        ([f"{OTHERS}, {BASIC}"], "basic", None),
        ([f"{DIGEST}, algorithm=MD5, {SHA256}, {BASIC}"], "digest", "SHA-256"),
        ([f"{SHA256}, {DIGEST}, algorithm=MD5-sess"], "digest", "SHA-256"),
        ([BASIC, DIGEST + ", algorithm=SHA-512-256"], "basic", None),
        ([BASIC, 'Digest realm="there", nonce="n", qop="auth-int"'], "basic", None),
        ([BASIC, 'Digest realm="there", nonce="n"'], "basic", None),
        ([BASIC, 'Digest realm="there", qop="auth"'], "basic", None),
    ],
)
def test_the_strongest_supported_scheme_is_answered(
    challenges: list[str], scheme: str, algorithm: str | None
) -> None:
    """Otherwise an attacker that adds ``Basic`` to a challenge could read the password."""
    answer = authentication()
    assert answer.accept(challenges)
    said = answered(answer)
    assert (said[""], said.get("algorithm")) == (scheme, algorithm)


@pytest.mark.parametrize("challenges", [[], [OTHERS], ["Digest"], ["nonsense=="]])
def test_an_unsupported_scheme_is_not_answered(challenges: list[str]) -> None:
    answer = authentication()
    assert not answer.accept(challenges)
    assert answer.authorization("CONNECT", "host.example:443") is None


def test_without_credentials_nothing_is_answered() -> None:
    assert not authentication(None).accept([BASIC, DIGEST])


def test_before_a_challenge_no_credentials_are_sent() -> None:
    """The challenge names the schemes; without it, a password would be sent in the weakest."""
    assert authentication().authorization("CONNECT", "host.example:443") is None


def test_Basic_cannot_encode_a_user_name_with_a_colon_and_Digest_can() -> None:
    """The proxy would take the rest of the name for the password."""
    answer = authentication(Credentials("a:b", "c"))
    assert not answer.accept([BASIC])
    assert answer.accept([DIGEST])
    assert answered(answer)["username"] == "a:b"


@pytest.mark.parametrize(
    "credentials", [("a\r\nX: y", "b"), ("a", "b\x00"), ("a\x7f", "b"), ("a", "\udcff")]
)
def test_credentials_that_would_split_a_request_are_refused(credentials: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="control character"):
        authentication(Credentials(*credentials))


# Basic.


def test_Basic_as_in_its_specification() -> None:
    """RFC 7617 sections 2 and 2.1: always UTF-8, with any charset in the challenge."""
    assert write_basic(Credentials("Aladdin", "open sesame")) == (
        b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )
    assert write_basic(Credentials("test", "123\xa3")) == b"Basic dGVzdDoxMjPCow=="


def test_Basic_credentials_that_were_refused_are_not_sent_again() -> None:
    answer = authentication()
    assert answer.accept([BASIC])
    assert not answer.accept([BASIC], answered=True)


# Digest.

RFC_7616 = Challenge(
    "digest",
    {
        "realm": "http-auth@example.org",
        "qop": "auth, auth-int",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    },
)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_Digest_as_in_its_specification(algorithm: str, response: str) -> None:
    """The example of RFC 7616 section 3.9.1, both halves."""
    challenge = Challenge("digest", {**RFC_7616.parameters, "algorithm": algorithm})
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    said = write_digest(MUFASA, challenge, "GET", "/dir/index.html", cnonce, 1)
    [answer] = read_challenges([said.decode()])
    assert answer.parameters == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": RFC_7616.parameters["nonce"],
        "nc": "00000001",
        "cnonce": cnonce,
        "qop": "auth",
        "response": response,
        "opaque": RFC_7616.parameters["opaque"],
    }


@pytest.mark.parametrize(("algorithm", "hashed"), [("MD5-sess", md5), ("SHA-256-sess", sha256)])
def test_a_session_key_is_made_of_the_first_nonces(algorithm: str, hashed: type) -> None:
    """RFC 7616 section 3.4.2, computed as it is written there."""
    answer = authentication()
    assert answer.accept([f"{DIGEST}, algorithm={algorithm}"])
    for count in (1, 2):
        said = answered(answer)

        def H(*parts: str) -> str:  # the specification's own name
            return str(hashed(":".join(parts).encode()).hexdigest())

        a1 = H(H("Mufasa", "there", "Circle of Life"), "n0", said["cnonce"])
        a2 = H("CONNECT", "host.example:443")
        uses = f"{count:08x}"
        assert said["nc"] == uses
        assert said["response"] == H(a1, "n0", uses, said["cnonce"], "auth", a2)


def test_each_use_of_a_nonce_is_counted() -> None:
    """A proxy has to take a repeated count for a replay."""
    answer = authentication()
    assert answer.accept([DIGEST])
    said = [answered(answer) for _ in range(11)]
    assert [one["nc"] for one in said][-1] == "0000000b"
    assert len({one["response"] for one in said}) == 11


def test_only_a_stale_nonce_is_answered_again() -> None:
    """``stale=true`` means that the password was right."""
    answer = authentication()
    assert answer.accept([DIGEST])
    answered(answer)
    assert not answer.accept([DIGEST], answered=True)
    assert not answer.accept([DIGEST + ", stale=false"], answered=True)
    assert answer.accept([DIGEST.replace("n0", "n1") + ", stale=TRUE"], answered=True)
    said = answered(answer)
    assert (said["nonce"], said["nc"]) == ("n1", "00000001")


def test_quoted_values_of_a_challenge_are_quoted_in_the_answer() -> None:
    """Bytes beyond ASCII are returned unchanged."""
    realm = 'Frank\'s \\"proxy\\" \\\\ caf\xc3\xa9'
    answer = authentication(Credentials('"\\', "\u00fc"))
    assert answer.accept([f'Digest realm="{realm}", nonce="n", qop=auth'])
    said = answer.authorization("CONNECT", "h:1")
    assert said is not None
    assert f'realm="{realm}"'.encode("latin-1") in said
    assert b'username="\\"\\\\"' in said


@given(st.text(), st.text(), st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255)))
def test_no_credentials_and_no_realm_can_start_a_header_line(
    name: str, password: str, realm: str
) -> None:
    try:
        answer = authentication(Credentials(name, password))
    except ValueError:
        return
    quoted = re.sub(r'(["\\])', r"\\\1", realm)
    assert answer.accept([f'Digest realm="{quoted}", nonce="n", qop=auth'])
    assert answer.accept([f'Digest realm="{quoted}", nonce="n", qop=auth'])
    said = answer.authorization("CONNECT", "h:1")
    assert said is not None
    assert not re.search(rb"[\x00-\x1f]", said)


def test_no_repr_contains_a_password() -> None:
    """A traceback or a log could contain it."""
    answer = authentication()
    answer.accept([DIGEST])
    for thing in (MUFASA, answer, [MUFASA]):
        assert "Mufasa" not in f"{thing!r} {thing}"
        assert "Circle" not in f"{thing!r} {thing}"


def test_Basic_can_be_forbidden_and_Digest_is_answered_then() -> None:
    forbidden = Authentication(Credentials("me", "pa55"), lambda size: bytes(size), basic=False)
    assert not forbidden.accept(['Basic realm="x"'])
    assert "sends the password unencrypted" in forbidden.why_unanswered(['Basic realm="x"'])
    assert forbidden.accept(['Basic realm="x"', 'Digest realm="x", nonce="n", qop="auth"'])
    answer = forbidden.authorization("CONNECT", "a:1")
    assert answer is not None
    assert answer.startswith(b"Digest ")
