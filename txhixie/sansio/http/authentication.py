"""Who we are, to a proxy that asks: Basic (RFC 7617) and Digest (RFC 7616), challenge and answer.

A challenge comes in a ``407`` and is answered by the strongest scheme in it that we speak. What
was answered once is kept: the next question carries an answer at once, with the nonce's count
raised, until the other side calls the nonce stale. No text here shows a name or a password.
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
"""What stands between commas outside of quotes; a quote that is not ended reaches to the end.

It matches at the first character that is no comma, and never gives anything back: a second reading
of the same characters is quadratic. 16 KiB of quotes, or 15 KiB of commas where blanks and commas
were read before a member, kept a client busy for five seconds."""

_PARAMETER: Final = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|({_QUOTED}))")
_SCHEME: Final = re.compile(rf"({_TOKEN})(?:[ \t]+(.*))?", re.DOTALL)
"""``challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]`` (RFC 9110 section 11.3), in a list
whose commas are those of the parameters too: a member is a parameter, or begins a challenge."""

_UNSPEAKABLE: Final = re.compile("[\\x00-\\x1F\\x7F\\uD800-\\uDFFF]")
"""Controls would end the field; half a surrogate pair is what is left of an environment that was no
UTF-8."""

_CNONCE_SIZE: Final = 16  # bytes: nobody meets one twice, and it is no longer than a hash


class Challenge(NamedTuple):
    """
    What is asked for.

    :ivar scheme: in lower case.
    :ivar parameters: names in lower case, values without quotes; the first of a name stands.
    """

    scheme: str
    parameters: dict[str, str]

    @property
    def strength(self) -> int:
        """The higher, the better kept is the password; 0 where we do not speak it."""
        if self.scheme == "basic":
            return 1
        if self.scheme != "digest" or not {"realm", "nonce"} <= self.parameters.keys():
            return 0
        if "auth" not in re.split(r"[ \t,]+", self.parameters.get("qop", "").lower()):
            return 0
        return _STRENGTHS.get(self.algorithm, 0)

    @property
    def algorithm(self) -> str:
        """Digest's hash, in lower case."""
        return self.parameters.get("algorithm", "MD5").lower()

    @property
    def stale(self) -> bool:
        """The answer was right and its nonce too old."""
        return self.parameters.get("stale", "").lower() == "true"


_STRENGTHS: Final = {"md5": 2, "md5-sess": 3, "sha-256": 4, "sha-256-sess": 5}
"""Digest's algorithms. RFC 7616's third, SHA-512-256, is in nobody's proxy."""

_HASHES: Final = {"md5": md5, "md5-sess": md5, "sha-256": sha256, "sha-256-sess": sha256}


def read_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all the fields, in their order; what is none is passed over."""
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
    One side's answers to one other side, for as many connections as there are.

    It has a challenge to answer or none yet; :meth:`accept` changes it, and each
    :meth:`authorization` counts the use of its nonce.
    """

    __slots__ = ("_basic", "_challenge", "_cnonce", "_count", "_credentials", "_entropy")

    def __init__(
        self, credentials: Credentials | None, entropy: RandomBytes, basic: bool = True
    ) -> None:
        """
        :param credentials: ``None``: no challenge is ever answered.
        :param entropy: takes a number, answers that many random bytes.
        :param basic: ``False`` to answer no challenge of Basic, which sends the password as it is.
        :raises ValueError: for credentials that no answer can say.
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
        Take the strongest challenge that can be answered.

        :param values: of the ``Proxy-Authenticate`` fields.
        :param answered: whether they come in return for the answer to one that was accepted a
            moment ago: then only a stale nonce is worth another, all else is a no.
        :return: whether there is something to answer.
        """
        if self._credentials is None:
            return False
        best = max(self._allowed(values), key=lambda each: each.strength, default=None)
        if best is None or not best.strength or (answered and not best.stale):
            return False
        if best.scheme == "basic" and ":" in self._credentials.name:
            return False  # where the name ends would be another place (RFC 7617 section 2)
        self._challenge = best
        self._count = 0
        self._cnonce = self._entropy(_CNONCE_SIZE).hex()
        return True

    def _allowed(self, values: Iterable[str]) -> list[Challenge]:
        return [each for each in read_challenges(values) if self._basic or each.scheme != "basic"]

    def lacks(self, values: Iterable[str]) -> str:
        """
        Why a challenge stays unanswered, in words.

        :param values: of its ``Proxy-Authenticate`` fields.
        """
        challenges = read_challenges(values)
        known = [each for each in challenges if each.strength]
        schemes = " and ".join(dict.fromkeys(_shown(each.scheme) for each in challenges))
        if not challenges:
            return "no authentication scheme in Proxy-Authenticate"
        if not known:
            return f"the proxy accepts {schemes} only; txhixie supports Basic and Digest"
        if self._credentials is None:
            return f"the proxy requires {_shown(max(known, key=lambda each: each.strength).scheme)}"
        if self._challenge is None and all(each.scheme == "basic" for each in known):
            return "the proxy requires Basic, which sends the password unencrypted"
        if self._challenge is None:
            return f"the proxy requires {schemes}, which cannot be answered with these credentials"
        return "the proxy rejected the user name and password"

    def authorization(self, method: str, target: str) -> bytes | None:
        """
        The value of ``Proxy-Authorization`` for one request; ``None`` while nothing was asked.

        :param method: of the request.
        :param target: as it stands in the request line.
        """
        if self._challenge is None or self._credentials is None:
            return None
        if self._challenge.scheme == "basic":
            return write_basic(self._credentials)
        self._count += 1
        return write_digest(
            self._credentials, self._challenge, method, target, self._cnonce, self._count
        )


def _shown(scheme: str) -> str:
    """A scheme as it is written, of a peer's words: escaped, and cut."""
    name = {"ntlm": "NTLM"}.get(scheme, scheme.capitalize())
    return name[:40].encode("unicode_escape").decode("ascii")


def write_basic(credentials: Credentials) -> bytes:
    """Name and password for everyone on the way to read (RFC 7617 section 2)."""
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
    An answer with ``qop=auth`` (RFC 7616 section 3.4).

    :param cnonce: the same for all answers to a challenge: ``-sess`` rests on the first.
    :param count: which use of the challenge's nonce this is, from 1.
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
    """Text as challenges are read: each byte of its UTF-8 a character."""
    return text.encode().decode("latin-1")


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])
