"""Values of the options of tokens: a parameter of the query, and the algorithms of signatures."""

from __future__ import annotations

import re
from typing import Final

from ...display import nearest

DEFAULT_PARAMETER: Final = "token"
"""Name of the parameter of the query without the option ``token-parameter``. RFC 6750 section 2.3
has ``access_token``; pages of WebSocket write ``?token=`` almost always."""

RSA: Final = "an RSA key"
SECRET: Final = "a secret"
ED: Final = "an Ed25519 or Ed448 key"

ALGORITHMS: Final = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": "a P-256 key",
    "ES384": "a P-384 key",
    "ES512": "a P-521 key",
    "EdDSA": ED,
    **dict.fromkeys(("HS256", "HS384", "HS512"), SECRET),
}
"""The algorithms (RFC 7518 section 3.1, RFC 8037), each with the kind of its key."""


def read_parameter(text: str) -> str:
    """
    Return the name of a parameter of the query.

    :raises ValueError: for a name with a character that URLs escape (RFC 3986 section 2.3).
    """
    if not re.fullmatch(r"[A-Za-z0-9._~-]+", text):
        raise ValueError("expected a name of letters, digits, . _ ~ and -, such as token")
    return text


def read_algorithm(text: str) -> str:
    """
    Return the name of an algorithm.

    :raises ValueError: for another name, and for ``none``, the "algorithm" of tokens without a
        signature.
    """
    if text.lower() == "none":
        raise ValueError(
            "expected algorithms with a signature, not none: any client can write such a token"
        )
    if text not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise ValueError(f"expected one of {known}{nearest(text, ALGORITHMS)}")
    return text
