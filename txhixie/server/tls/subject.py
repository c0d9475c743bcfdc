"""Subjects of certificates as text of RFC 4514, and as values that can be compared."""

from __future__ import annotations

import re
import warnings
from typing import Final

from cryptography.x509 import Certificate, Name
from cryptography.x509.oid import NameOID

_MORE_NAMES: Final = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "GN": NameOID.GIVEN_NAME,
    "SN": NameOID.SURNAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "title": NameOID.TITLE,
}
"""Names of attributes that OpenSSL writes besides those of RFC 4514 section 3."""

_ESCAPES: Final = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\.", re.DOTALL)
"""Escaped bytes, and escaped characters that are left as they are."""

_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]")


def name_in(certificate: Certificate) -> Name:
    """
    Return the subject of a certificate, for a comparison of all its attributes with their values.

    :raises ValueError: for a malformed subject.
    """
    with warnings.catch_warnings():
        # cryptography warns of a common name over 64 characters, which a CA may sign all the same.
        warnings.simplefilter("ignore")
        return certificate.subject


def subject_of(certificate: Certificate) -> str:
    r"""
    Return the subject of a certificate as text: ``CN=ada,O=Example``; empty for an empty subject.

    The text is ASCII: other characters and control characters are escaped, each byte of their UTF-8
    as ``\C3``. It is what ``openssl x509 -subject -nameopt RFC2253`` prints, and what nginx has in
    ``$ssl_client_s_dn``.

    :raises ValueError: for a malformed subject.
    """
    names = {kind: name for name, kind in _MORE_NAMES.items()}
    return _NOT_ASCII.sub(_escaped, name_in(certificate).rfc4514_string(names))


def read_subject(text: str) -> Name:
    """
    Read a subject of RFC 4514.

    :raises ValueError: "expected ..." for other text.
    """
    try:
        name = Name.from_rfc4514_string(_ESCAPES.sub(_unescaped, text), _MORE_NAMES)
    except ValueError as error:
        why = f": {error}" if str(error) else ""
        raise ValueError(f"expected a subject such as CN=ada,O=Example{why}") from None
    if not name.rdns:
        raise ValueError("expected a subject such as CN=ada,O=Example")
    return name


def _unescaped(found: re.Match[str]) -> str:
    """
    Write escaped bytes of UTF-8 as the characters that they are, and those of ASCII as before.

    cryptography 42 takes each byte for a character.
    """
    if found[1] is None:
        return found[0]
    text = bytes.fromhex(found[1].replace("\\", "")).decode("utf-8")
    return "".join(each if each > "\x7f" else f"\\{ord(each):02X}" for each in text)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
