"""The condition ``jwt-key``: a JSON Web Token (RFC 7519), as RFC 8725 advises to check it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from twisted.internet.interfaces import IReactorTime

from ...interfaces import MOST_EXPIRY
from .bearer import Bearer
from .changing_file import ChangingFile
from .guard import Permit
from .token_options import SECRET
from .tokens import bearerOf, warnIfReadable
from .verification_keys import VerificationKey, read_verification_keys

LEEWAY: Final = 60.0
"""Seconds by which the clock of the issuer may be ahead, for ``nbf`` and ``iat``. The time of
``exp`` is taken as it is: the connection ends then."""

_MOST_TIME: Final = 1e12
"""Greatest number that is taken for a time: the year 33,658."""

CurrentKeys: TypeAlias = Callable[[], Sequence[VerificationKey]]


@dataclass(frozen=True, slots=True)
class Claims:
    """
    Claims that a token has to have.

    :ivar algorithms: the algorithms that are accepted.
    :ivar audiences: ``aud`` has to have one of these.
    :ivar issuer: ``iss`` has to be this; ``None`` for any.
    """

    algorithms: Sequence[str]
    audiences: Sequence[str]
    issuer: str | None = None


class _NotAccepted(Exception):
    """Why a token is not accepted, in words without anything of the token."""


class JSONWebTokens:
    """Tokens that an issuer has signed, each for a time and an audience."""

    def __init__(self, keys: CurrentKeys, claims: Claims, now: Callable[[], float]) -> None:
        """
        :param keys: returns the keys of the issuer.
        :param claims: what a token has to claim.
        :param now: returns the time in seconds since 1970, in which a token has its times.
        """
        self._keys = keys
        self._claims = claims
        self._now = now

    def verify(self, token: str) -> Permit | str:
        """
        Check a token.

        :return: a permit that expires with the token, and has the name of its subject (``sub``) if
            the token has one; or why the token is not accepted.
        """
        try:
            claims = self._read(token)
            seconds = self._checkTimes(claims)
        except _NotAccepted as error:
            return str(error)
        subject = claims.get("sub")
        user = subject if isinstance(subject, str) and subject else None
        return Permit(expiresIn=min(seconds, MOST_EXPIRY), user=user)

    def _read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token with a right signature, audience and issuer."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except Exception:  # also RecursionError, for JSON of a thousand brackets
            raise _NotAccepted("malformed token") from None
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._claims.algorithms:
            raise _NotAccepted("token with an algorithm that is not in jwt-algorithms")
        if "crit" in header:
            # RFC 7515 section 4.1.11: no extension is understood here.
            raise _NotAccepted("token with an extension (crit)")
        keys = [key for key in self._keys() if key.fits(algorithm, header.get("kid"))]
        if not keys:
            raise _NotAccepted("token of a key (kid) that is not in jwt-key")
        reason = ""
        for key in keys:
            try:
                return self._decode(token, algorithm, key)
            except Exception as error:
                reason = _reason(error)
                if not isinstance(error, jwt.InvalidSignatureError):
                    break
        raise _NotAccepted(reason)

    def _decode(self, token: str, algorithm: str, key: VerificationKey) -> dict[str, Any]:
        """
        Check the signature, ``aud`` and ``iss`` of a token, and that it has ``exp``.

        The times are checked by the clock of this object, and not by that of PyJWT.
        """
        import jwt

        times = ("verify_exp", "verify_nbf", "verify_iat")
        options: Any = {"require": ["exp", "aud"], **dict.fromkeys(times, False)}
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key.key,
            algorithms=[algorithm],
            options=options,
            audience=list(self._claims.audiences),
            issuer=self._claims.issuer,
        )
        return claims

    def _checkTimes(self, claims: dict[str, Any]) -> float:
        """Return the seconds for which a token is valid."""
        now = self._now()
        times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
        for name, value in times.items():
            if not _isTime(value):
                raise _NotAccepted(f"token with an invalid {name}")
        if times["exp"] <= now:
            raise _NotAccepted("expired token")
        if times.get("nbf", now) > now + LEEWAY:
            raise _NotAccepted("token that is not yet valid (nbf)")
        if times.get("iat", now) > now + LEEWAY:
            raise _NotAccepted("token with a time of issue in the future (iat)")
        return float(times["exp"] - now)


def _isTime(value: object) -> bool:
    """Whether a claim is a NumericDate (RFC 7519 section 2): a number that can be a time."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _MOST_TIME  # false for NaN and infinity


def _reason(error: Exception) -> str:
    """Return why PyJWT did not accept a token; the texts of PyJWT may have a part of it."""
    import jwt

    kinds: tuple[tuple[type[Exception], str], ...] = (
        (jwt.InvalidSignatureError, "token with a wrong signature"),
        (jwt.MissingRequiredClaimError, "token without exp or aud"),
        (jwt.InvalidAudienceError, "token for another audience (aud)"),
        (jwt.InvalidIssuerError, "token of another issuer (iss)"),
    )
    return next((words for kind, words in kinds if isinstance(error, kind)), "malformed token")


def buildJSONWebTokens(reactor: IReactorTime, values: Mapping[str, Any]) -> Bearer:
    """
    Make the guard of a file with the keys of an issuer.

    :raises ValueError: for a mistake in the file, a missing option, and a missing package.
    """
    for name, what in (("jwt-algorithms", "such as RS256"), ("jwt-audience", "the aud of tokens")):
        if not values.get(name):
            raise ValueError(f"jwt-key {values['jwt-key']}: expected the option {name}, {what}")
    try:
        import jwt  # noqa: F401  # at the start, not when a client waits
    except ImportError:
        raise ValueError(
            f"jwt-key {values['jwt-key']}: expected the package PyJWT; pip install 'txhixie[jwt]'"
        ) from None
    algorithms = values["jwt-algorithms"]

    def read(path: Path) -> Sequence[VerificationKey]:
        keys = read_verification_keys(path, algorithms)
        if any(key.kind == SECRET for key in keys):
            warnIfReadable(path)
        return keys

    try:
        keys = ChangingFile(reactor, Path(values["jwt-key"]), read)
    except ValueError as error:
        raise ValueError(f"jwt-key {error}") from None
    claims = Claims(algorithms, values["jwt-audience"], values.get("jwt-issuer"))
    tokens = JSONWebTokens(keys.current, claims, time.time)
    return bearerOf(tokens.verify, values, "jwt-key", namesUsers=True)
