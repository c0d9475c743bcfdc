"""Conditions that a client has to meet: options of the daemon, for all routes and for each route.

The value of a route replaces the value for all routes. This table only names and reads the
conditions; a :class:`txhixie.server.access.Policy` and the guards of ``daemon/guards/kinds.py``
check them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..display import nearest
from ..sansio.dialects import DIALECTS, named
from ..sansio.quirks import QUIRKS, read_quirks
from ..server.access import EVERYBODY, Policy, read_origin
from .guards.basic import DEFAULT_REALM, read_realm
from .guards.certificate_subject import read_certificate_subject
from .guards.failures import MOST_FAILURES
from .guards.token_options import DEFAULT_PARAMETER, read_algorithm, read_parameter
from .setting import ANY_TEXT, Setting, ValueKind, read_one

_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^][*:/?#\s]+)(?::[0-9]+)?")


NONE: Final = "none"
"""Value of a guard's option that lifts the condition: on a route the one for all routes, on the
command line the one of the file."""


def _origin(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    read_origin(text)
    return text


def _host(text: str) -> str:
    if text != EVERYBODY and not _HOST.fullmatch(text):
        raise ValueError
    return text


def _dialect(text: str) -> str:
    try:
        return named(text).name
    except ValueError:
        names = [dialect.name for dialect in DIALECTS]
        raise _unknown("names of dialects", text, names) from None


def _unknown(what: str, text: str, known: Sequence[str]) -> ValueError:
    return ValueError(f"expected {what}, not {text!r}: {', '.join(known)}{nearest(text, known)}")


def _visible(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    return text


def _subject(text: str) -> list[str]:
    """A list of one value: a subject has commas itself."""
    return [text if text == NONE else read_certificate_subject(text)]


def _quirk(text: str) -> str:
    if text == NONE:
        return text
    try:
        (word,) = read_quirks([text])
    except ValueError:
        raise _unknown("words of quirks", text, [quirk.word for quirk in QUIRKS]) from None
    return word


def _list(read: Callable[[str], str]) -> Callable[[str], list[str]]:
    return lambda text: [read(part.strip()) for part in text.split(",")]


ACCESS: Final = (
    Setting(
        "origins",
        ValueKind(
            "scheme://host without a path, https://*.example.com, null, * or a device's own origin",
            _list(_origin),
        ),
        "Origins of pages that may connect, separated by commas: https://example.com, "
        "https://*.example.com for all names below example.com, null for local files, the origin "
        "that a device sends, or * for all origins. The list replaces the default (pages of the "
        "requested host). May be repeated.",
        default="pages of the requested host",
        repeated=True,
    ),
    Setting(
        "hosts",
        ValueKind("a name such as example.com, with or without a port", _list(_host)),
        "Host names of this server, with or without a port, separated by commas. A request for "
        "another host is refused with 403. May be repeated.",
        default="any",
        repeated=True,
    ),
    Setting(
        "dialects",
        ValueKind("names of dialects", _list(_dialect)),
        "Dialects to accept, separated by commas. May be repeated.",
        default="all",
        repeated=True,
    ),
    Setting(
        "quirks",
        ValueKind("words of quirks", _list(_quirk)),
        f"Deviations of old devices to let in, separated by commas: "
        f"{', '.join(quirk.word for quirk in QUIRKS)}. May be repeated.",
        default="none",
        repeated=True,
    ),
)
"""Conditions that a :class:`txhixie.server.access.Policy` checks."""

GUARDED: Final = (
    Setting(
        "users",
        ANY_TEXT,
        "Password file of htpasswd, with bcrypt or {SHA} hashes (htpasswd -B). Clients need a user "
        f"name and a password of the file (401). After {MOST_FAILURES} wrong ones within a minute "
        "an address gets 429 until the minute is over. The file is read again when it changes.",
        default="none",
    ),
    Setting(
        "realm",
        ValueKind("printable ASCII", read_realm),
        "Name under which a browser asks for a password, and keeps it.",
        default=DEFAULT_REALM,
    ),
    Setting(
        "tokens",
        ANY_TEXT,
        "File of bearer tokens, one a line, of at least 16 characters. Clients need a token of the "
        "file, as Authorization: Bearer or in the query of the URL (401). The file is read again "
        "when it changes; the connections of a token that was removed are closed.",
        default="none",
    ),
    Setting(
        "jwt-key",
        ANY_TEXT,
        "Key file of an issuer of JSON Web Tokens: public keys (PEM, JWK or JWKS), or a secret. "
        "Clients need a token of the issuer, sent as for tokens. The connection is closed when its "
        "token expires. Needs the package PyJWT (pip install 'txhixie[jwt]').",
        default="none",
    ),
    Setting(
        "jwt-algorithms",
        ValueKind("names of algorithms, such as RS256", _list(read_algorithm)),
        "Algorithms of JSON Web Tokens to accept, separated by commas: RS256 to RS512, PS256 to "
        "PS512, ES256 to ES512, EdDSA, or HS256 to HS512 with a secret. May be repeated.",
        repeated=True,
    ),
    Setting(
        "jwt-audience",
        ValueKind("audiences", _list(_visible)),
        "Audiences of this server (aud), separated by commas: a JSON Web Token has to name one. "
        "May be repeated.",
        repeated=True,
    ),
    Setting(
        "jwt-issuer",
        ANY_TEXT,
        "Issuer (iss) that a JSON Web Token has to name.",
        default="any",
    ),
    Setting(
        "token-parameter",
        ValueKind("the name of a parameter of the query", read_parameter),
        "Name of the parameter of the query that has the token.",
        default=DEFAULT_PARAMETER,
    ),
    Setting(
        "client-certificate",
        ValueKind("required or a subject such as CN=ada,O=Example", _subject),
        "Certificate that a client has to present in the TLS handshake, to a port with "
        "client-ca=FILE: required for every certificate of that CA, or the whole subject of one, "
        "such as CN=ada,O=Example (403). May be repeated.",
        default="none",
        repeated=True,
    ),
)
"""Conditions that guards check: options of the table :data:`txhixie.daemon.guards.kinds.GUARDS`."""

CONDITIONS: Final = (*ACCESS, *GUARDED)
"""All conditions. The value of one that may be repeated is a list."""


def policy_of(values: Mapping[str, Any]) -> Policy:
    """Return the access rules that the values of the conditions say."""
    dialects = DIALECTS
    if (names := values.get("dialects")) is not None:
        dialects = tuple(map(named, names))
    quirks = [word for word in values.get("quirks") or () if word != NONE]
    return Policy(values.get("origins"), values.get("hosts"), dialects, quirks)


def read_conditions(
    given: Mapping[str, Any], read: Callable[[ValueKind, Any], Any]
) -> dict[str, Any]:
    """
    Read the conditions of a route.

    :param given: the values as the operator wrote them, by the names of the conditions.
    :param read: ``ValueKind.read_text`` or ``ValueKind.read_toml``.
    :return: the values; ``None`` for a guard's option that is ``none``.
    :raises ValueError: for a wrong value, with the option's name and what was expected.
    """
    return {
        setting.name: _read(setting, given[setting.name], read)
        for setting in CONDITIONS
        if setting.name in given
    }


def _read(setting: Setting, value: Any, read: Callable[[ValueKind, Any], Any]) -> Any:
    if value == NONE and setting not in ACCESS:
        return None
    return read_one(setting, value, read)
