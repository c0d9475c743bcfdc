"""Password files of Apache's ``htpasswd``: a line for each user, with a hash of the password.

The file is read here and not by ``libpass``: that package also takes the weak hashes that are
refused here, reads no line numbers, and would be a dependency for a format of two columns. The
hashes are checked by ``bcrypt``.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from hashlib import sha1
from pathlib import Path
from typing import Final

_BCRYPT: Final = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_SHA1: Final = re.compile(rb"\{SHA\}([A-Za-z0-9+/]{27}=)")

_COSTS: Final = range(4, 18)
"""Costs that ``htpasswd -C`` takes. A check at 17 takes 7 s, at 20 it would take a minute."""

_BCRYPT_SIZE: Final = 72
"""Bytes of a password that bcrypt uses. ``htpasswd``, Apache and nginx ignore the others, and so
does this module: bcrypt 5 raises an error for a longer password."""

_OTHERS: Final = (
    (b"$apr1$", "MD5 ($apr1$)"),
    (b"$1$", "MD5 ($1$)"),
    (b"$5$", "SHA-256 ($5$)"),
    (b"$6$", "SHA-512 ($6$)"),
    (b"$2x$", "the faulty bcrypt of 2011 ($2x$)"),
    (b"{SSHA}", "salted SHA-1 ({SSHA})"),
)
"""The hashes that other servers take, and that are not taken here."""


class PasswordFile:
    """
    The users of one password file, and the hashes of their passwords.

    The text form has no hash, so that no hash reaches a traceback.
    """

    def __init__(self, users: Mapping[bytes, bytes]) -> None:
        """
        :param users: hashes as :func:`read_password_file` takes them, by the names of the users.
        """
        self._users = dict(users)
        self._hashes = tuple(self._users.values())

    def matches(self, name: bytes, password: bytes, number: int) -> bool:
        """
        Whether a user has this password; blocks for as long as the hash takes, up to seconds.

        For an unknown name, the hash of another user is checked, so that the time of the answer
        does not show which names are known.

        :param name: name of the user, in UTF-8.
        :param password: the password, in UTF-8.
        :param number: a number that belongs to the name and that a client cannot compute. It
            selects the other user: with a random one, the time of an unknown name would change.
        """
        if not self._hashes:
            return False
        hashed = self._users.get(name)
        other = self._hashes[number % len(self._hashes)]
        return _matches(password, other if hashed is None else hashed) and hashed is not None


def _matches(password: bytes, hashed: bytes) -> bool:
    if (digest := _SHA1.fullmatch(hashed)) is not None:
        found = sha1(password, usedforsecurity=False).digest()
        return hmac.compare_digest(found, b64decode(digest[1]))
    import bcrypt  # an extra, which a file with {SHA} alone does not need

    return bcrypt.checkpw(password[:_BCRYPT_SIZE], hashed)


def read_password_file(path: Path) -> PasswordFile:
    """
    Read a password file.

    Empty lines and lines that begin with ``#`` are skipped, and so is a third column.

    :raises ValueError: "expected ..." for a file that cannot be read, a line that is not a user
        with a bcrypt or ``{SHA}`` hash, a user on two lines, and a missing package ``bcrypt``. The
        error has the file and the number of the line, and never the line.
    """
    try:
        if not path.is_file() and path.exists():
            raise ValueError(f"{path}: expected a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: expected a password file: {error.strerror}") from None
    users: dict[bytes, bytes] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            _add(users, text)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    return PasswordFile(users)


def _add(users: dict[bytes, bytes], line: bytes) -> None:
    name, colon, rest = line.partition(b":")
    hashed = rest.partition(b":")[0]
    if not colon or not name:
        raise ValueError("expected NAME:HASH; add a user with htpasswd -B")
    if not _is_utf8(name):
        raise ValueError("expected a user name in UTF-8; add the user again with htpasswd -B")
    _check_hash(hashed)
    if name in users:
        raise ValueError("expected each user once, and this one is on a line before")
    users[name] = hashed


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_hash(hashed: bytes) -> None:
    if _SHA1.fullmatch(hashed):
        return
    found = _BCRYPT.fullmatch(hashed)
    if found is None:
        kind = next((f", not {kind}" for start, kind in _OTHERS if hashed.startswith(start)), "")
        raise ValueError(
            f"expected a bcrypt or {{SHA}} hash{kind}; set the password again with htpasswd -B"
        )
    if int(found[1]) not in _COSTS:
        raise ValueError(
            f"expected a bcrypt hash with a cost of {_COSTS[0]} to {_COSTS[-1]}; set the password "
            "again with htpasswd -B -C 10"
        )
    try:
        import bcrypt  # noqa: F401  # at the start, not when a client waits
    except ImportError:
        raise ValueError(
            "expected the package bcrypt for this hash; pip install 'txhixie[users]'"
        ) from None
