"""The condition ``tokens``: one of the tokens of a file."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from ...connection.log import Uncut, writeLine
from ...sansio.types import RandomBytes
from .basic import DEFAULT_REALM
from .bearer import Bearer, Verify
from .changing_file import ChangingFile
from .guard import Permit
from .token_file import TokenSet, is_readable_by_all, read_token_file
from .token_options import DEFAULT_PARAMETER

_log = Logger()


class Tokens:
    """Tokens of one file, which is read again when it changes."""

    def __init__(self, clock: IReactorTime, path: Path, randomBytes: RandomBytes) -> None:
        """
        Read the file.

        :param clock: measures the time between two looks at the file.
        :param path: the file.
        :param randomBytes: source of the key for the hashes of the tokens.
        :raises ValueError: as :func:`txhixie.daemon.guards.token_file.read_token_file` does.
        """
        key = randomBytes(32)

        def read(path: Path) -> TokenSet:
            tokens = read_token_file(path, key)
            warnIfReadable(path)
            return tokens

        self._file = ChangingFile(clock, path, read)

    def verify(self, token: str) -> Permit | str:
        """
        Check a token.

        :return: a permit, which holds as long as the file has the token; or why the token is not
            accepted.
        """
        digest = self._file.current().digest(token.encode("utf-8"))

        def holds() -> bool:
            return digest in self._file.current()

        return Permit(holds=(holds,)) if holds() else "unknown token"


def warnIfReadable(path: Path) -> None:
    """Write a log line about a file with secrets that each user of the machine may read."""
    if is_readable_by_all(path):
        reason = "each user of this machine may read this file; use chmod o= on it"
        writeLine(_log, "file-permissions", LogLevel.warn, file=Uncut(path), reason=reason)


def buildTokens(reactor: Any, values: Mapping[str, Any]) -> Bearer:
    """
    Make the guard of a token file.

    :raises ValueError: for a mistake in the file, with the file and the number of the line.
    """
    try:
        tokens = Tokens(reactor, Path(values["tokens"]), secrets.token_bytes)
    except ValueError as error:
        raise ValueError(f"tokens {error}") from None
    return bearerOf(tokens.verify, values, "tokens")


def bearerOf(
    verify: Verify, values: Mapping[str, Any], option: str, namesUsers: bool = False
) -> Bearer:
    """
    Make a guard with the options that all kinds of tokens have.

    :param verify: checks a token.
    :param values: values of the options.
    :param option: name of the option that asks for the token.
    :param namesUsers: whether a token may have the name of a user.
    """
    realm = values.get("realm", DEFAULT_REALM)
    parameter = values.get("token-parameter", DEFAULT_PARAMETER)
    return Bearer(verify, realm, parameter, f"{option}, --{option}", namesUsers)
