"""Proxy authentication: Basic (RFC 7617) and Digest (RFC 7616), from challenge to credentials.

A proxy sends challenges in a ``407`` response, and the client answers the challenge with the
strongest supported scheme. The answered challenge is kept: the next request has credentials at
once, with an increased nonce count, until the proxy reports a stale nonce. No text of this module
shows a user name or a password.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import md5, sha256
from typing import Final, NamedTuple

from ..types import RandomBytes
from .url import Credentials

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = r'"(?:[^"\\]++|\\.)*"'
_BETWEEN: Final = r'(?:"(?:[^"\\]++|\\.)*(?:"|\\?\Z)|[^",]++)+'
_MEMBER: Final = re.compile(_BETWEEN, re.DOTALL)
"""A list member: text between commas outside of quotes. An unterminated quote extends to the end.

The pattern matches at the first character that is not a comma, and never backtracks: reading the
same characters again takes quadratic time. 16 KiB of quotes, or 15 KiB of commas with a pattern
that read spaces and commas before a member, kept a client busy for five seconds."""

_PARAMETER: Final = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|({_QUOTED}))")
_SCHEME: Final = re.compile(rf"({_TOKEN})(?:[ \t]+(.*))?", re.DOTALL)
"""``challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]`` (RFC 9110 section 11.3).

Commas separate challenges and also parameters: a list member is a parameter, or begins a
challenge."""

_UNSPEAKABLE: Final = re.compile("[\\x00-\\x1F\\x7F\\uD800-\\uDFFF]")
"""Characters that credentials may not have. A control character could end the header field. A lone
surrogate comes from an environment variable that is not UTF-8."""

_CNONCE_SIZE: Final = 16  # bytes: practically unique, and as long as an MD5 hash


class Challenge(NamedTuple):
    """
    An authentication challenge of a proxy.

    :ivar scheme: the authentication scheme in lower case.
    :ivar parameters: names in lower case, values without quotes; of duplicates the first counts.
    """

    scheme: str
    parameters: dict[str, str]

    @property
    def strength(self) -> int:
        """Rank of the scheme: higher protects the password better; 0 for an unsupported scheme."""
        if self.scheme == "basic":
            return 1
        if self.scheme != "digest" or not {"realm", "nonce"} <= self.parameters.keys():
            return 0
        if "auth" not in re.split(r"[ \t,]+", self.parameters.get("qop", "").lower()):
            return 0
        return _STRENGTHS.get(self.algorithm, 0)

    @property
    def algorithm(self) -> str:
        """The hash algorithm of a Digest challenge, in lower case."""
        return self.parameters.get("algorithm", "MD5").lower()

    @property
    def stale(self) -> bool:
        """Whether the credentials were right and only the nonce was too old."""
        return self.parameters.get("stale", "").lower() == "true"


_STRENGTHS: Final = {"md5": 2, "md5-sess": 3, "sha-256": 4, "sha-256-sess": 5}
"""Rank of each Digest algorithm. No known proxy uses the third of RFC 7616, SHA-512-256."""

_HASHES: Final = {"md5": md5, "md5-sess": md5, "sha-256": sha256, "sha-256-sess": sha256}


def read_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Read the challenges of all ``Proxy-Authenticate`` fields; invalid members are skipped."""
    found: list[Challenge] = []
    for member in _MEMBER.findall(",".join(values)):
        text = member.strip(" \t")
        parameter = _PARAMETER.fullmatch(text)
        if parameter is None and (scheme := _SCHEME.fullmatch(text)) is not None:
            found.append(Challenge(scheme[1].lower(), {}))
            parameter = _PARAMETER.fullmatch(scheme[2] or "")
        if parameter is not None and found:
            name, token, quoted = parameter.groups()
            found[-1].parameters.setdefault(name.lower(), token or _unquoted(quoted))
    return tuple(found)


class Authentication:
    """
    Authentication of a client to one proxy, for all its connections to that proxy.

    :meth:`accept` stores the challenge to answer, and each call of :meth:`authorization` increases
    the nonce count.
    """

    __slots__ = ("_basic", "_challenge", "_cnonce", "_count", "_credentials", "_entropy")

    def __init__(
        self, credentials: Credentials | None, entropy: RandomBytes, basic: bool = True
    ) -> None:
        """
        Create the authentication for one proxy.

        :param credentials: user name and password; ``None``: no challenge is answered.
        :param entropy: takes a number and returns that many random bytes.
        :param basic: whether to answer challenges of Basic, which sends the password in plain text.
        :raises ValueError: for credentials with a control character or a lone surrogate.
        """
        if credentials is not None and _UNSPEAKABLE.search("".join(credentials)):
            raise ValueError("credentials: control character, or not UTF-8")
        self._credentials = credentials
        self._basic = basic
        self._entropy = entropy
        self._challenge: Challenge | None = None
        self._cnonce = ""
        self._count = 0

    def accept(self, values: Iterable[str], answered: bool = False) -> bool:
        """
        Store the strongest challenge that can be answered.

        :param values: values of the ``Proxy-Authenticate`` fields.
        :param answered: whether the request had credentials for an accepted challenge: then only a
            challenge with a stale nonce is answered again, any other is a refusal.
        :return: whether there is a challenge to answer.
        """
        if self._credentials is None:
            return False
        best = max(self._allowed(values), key=lambda each: each.strength, default=None)
        if best is None or not best.strength or (answered and not best.stale):
            return False
        if best.scheme == "basic" and ":" in self._credentials.name:
            return False  # the first colon would end the user name (RFC 7617 section 2)
        self._challenge = best
        self._count = 0
        self._cnonce = self._entropy(_CNONCE_SIZE).hex()
        return True

    def _allowed(self, values: Iterable[str]) -> list[Challenge]:
        return [each for each in read_challenges(values) if self._basic or each.scheme != "basic"]

    def why_unanswered(self, values: Iterable[str]) -> str:
        """
        Return a text that says why no challenge is answered.

        :param values: values of the ``Proxy-Authenticate`` fields.
        """
        challenges = read_challenges(values)
        known = [each for each in challenges if each.strength]
        schemes = " and ".join(dict.fromkeys(shown_scheme(each.scheme) for each in challenges))
        if not challenges:
            return "no authentication scheme in Proxy-Authenticate"
        if not known:
            return f"the proxy accepts {schemes} only; txhixie supports Basic and Digest"
        if self._credentials is None:
            strongest = max(known, key=lambda each: each.strength)
            scheme = shown_scheme(strongest.scheme)
            return f"the proxy requires {scheme}; write the proxy as http://NAME:PASSWORD@HOST:PORT"
        if self._challenge is None and all(each.scheme == "basic" for each in known):
            return (
                "the proxy requires Basic, which sends the password unencrypted and is not allowed"
                " (proxyBasic, --no-proxy-basic)"
            )
        if self._challenge is None:
            return f"the proxy requires {schemes}, which cannot be answered with these credentials"
        return "the proxy rejected the user name and password"

    def authorization(self, method: str, target: str) -> bytes | None:
        """
        Return the value of ``Proxy-Authorization`` for one request; ``None`` without a challenge.

        :param method: method of the request.
        :param target: request target, as in the request line.
        """
        if self._challenge is None or self._credentials is None:
            return None
        if self._challenge.scheme == "basic":
            return write_basic(self._credentials)
        self._count += 1
        return write_digest(
            self._credentials, self._challenge, method, target, self._cnonce, self._count
        )


def shown_scheme(scheme: str) -> str:
    """Return the name of a scheme for an error, escaped and truncated, since a peer sent it."""
    name = {"ntlm": "NTLM"}.get(scheme, scheme.capitalize())
    return name[:40].encode("unicode_escape").decode("ascii")


def write_basic(credentials: Credentials) -> bytes:
    """Return Basic credentials, which are not encrypted (RFC 7617 section 2)."""
    return b"Basic " + b64encode(f"{credentials.name}:{credentials.password}".encode())


def write_digest(
    credentials: Credentials,
    challenge: Challenge,
    method: str,
    target: str,
    cnonce: str,
    count: int,
) -> bytes:
    """
    Return Digest credentials with ``qop=auth`` (RFC 7616 section 3.4).

    :param cnonce: the client nonce, the same for all requests with one challenge, as the ``-sess``
        algorithms require.
    :param count: the nonce count, from 1.
    """
    given = challenge.parameters
    realm, nonce, uses = given["realm"], given["nonce"], f"{count:08x}"
    user, password = _as_received(credentials.name), _as_received(credentials.password)

    def joined(*parts: str) -> str:
        data = ":".join(parts).encode("latin-1")
        return _HASHES[challenge.algorithm](data, usedforsecurity=False).hexdigest()

    secret = joined(user, realm, password)
    if challenge.algorithm.endswith("-sess"):
        secret = joined(secret, nonce, cnonce)
    response = joined(secret, nonce, uses, cnonce, "auth", joined(method, target))
    fields = [
        f"username={_quoted(user)}",
        f"realm={_quoted(realm)}",
        f"nonce={_quoted(nonce)}",
        f"uri={_quoted(target)}",
        f'response="{response}"',
        f'cnonce="{cnonce}"',
        f"nc={uses}",
        "qop=auth",
    ]
    fields += [f"algorithm={given['algorithm']}"] if "algorithm" in given else []
    fields += [f"opaque={_quoted(given['opaque'])}"] if "opaque" in given else []
    return f"Digest {', '.join(fields)}".encode("latin-1")


def _as_received(text: str) -> str:
    """Encode text as UTF-8, and decode it as ISO 8859-1, as the challenges are decoded."""
    return text.encode().decode("latin-1")


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])
