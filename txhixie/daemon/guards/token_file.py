"""Files of bearer tokens: one token a line."""

from __future__ import annotations

import hmac
import re
import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

TOKEN_SYNTAX: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""Syntax of a bearer token (``b64token``, RFC 6750 section 2.1)."""

LEAST_SIZE: Final = 16
"""Fewest characters of a token. Sixteen random hexadecimal digits are 64 bits: a client that tries
1,000 tokens a second needs 300 million years for half of them. A shorter token is often a word."""

MOST_SIZE: Final = 4096
"""Most characters of a token. The whole head of a request may have 16 KiB by default."""

_NEW_TOKEN: Final = "openssl rand -hex 32 makes a new one"


class TokenSet:
    """
    The tokens of one file.

    Only keyed hashes of the tokens are kept. A hash is looked up, and not a token: how long that
    takes depends on the key, which no client knows. The text form has no token, so that no token
    reaches a traceback.
    """

    def __init__(self, tokens: Iterable[bytes], key: bytes) -> None:
        """:param key: random bytes."""
        self._key = key
        self._digests = frozenset(map(self.digest, tokens))

    def digest(self, token: bytes) -> bytes:
        """Return the keyed hash of a token, right or wrong."""
        return hmac.digest(self._key, token, sha256)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests


def read_token_file(path: Path, key: bytes) -> TokenSet:
    """
    Read a token file.

    A line is a token, and after a blank any text for the operator, such as the name of a device.
    Empty lines and lines that begin with ``#`` are skipped.

    :param key: random bytes for the hashes of the tokens.
    :raises ValueError: "expected ..." for a file that cannot be read or has no token, and for a
        line that is not a token of its own. The error has the file and the number of the line, and
        never the line.
    """
    found: dict[bytes, int] = {}
    for number, line in enumerate(read_secret_file(path, "a token file").split(b"\n"), 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        token = text.split(maxsplit=1)[0]
        try:
            _check(token, found)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        found[token] = number
    if not found:
        raise ValueError(f"{path}: expected at least one token; {_NEW_TOKEN}")
    return TokenSet(found, key)


def _check(token: bytes, before: dict[bytes, int]) -> None:
    if not TOKEN_SYNTAX.fullmatch(token):
        raise ValueError(
            "expected a token of A-Z a-z 0-9 . _ ~ + / - and = at its end (RFC 6750 section 2.1); "
            + _NEW_TOKEN
        )
    if not LEAST_SIZE <= len(token) <= MOST_SIZE:
        raise ValueError(
            f"expected a token of {LEAST_SIZE} to {MOST_SIZE} characters; {_NEW_TOKEN}"
        )
    if token in before:
        raise ValueError(f"expected each token once, and line {before[token]} has this one")


def read_secret_file(path: Path, what: str) -> bytes:
    """
    Return the content of a file, without the byte order mark that some editors write.

    :param what: the noun for the error, with its article.
    :raises ValueError: "expected ..." for a file that cannot be read, and for one that is no
        regular file, such as a pipe, at which the daemon would wait.
    """
    try:
        if not path.is_file() and path.exists():
            raise ValueError(f"{path}: expected a regular file")
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ValueError(f"{path}: expected {what}: {error.strerror}") from None


def is_readable_by_all(path: Path) -> bool:
    """Whether each user of the machine may read a file; ``False`` for a file that is gone."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
