"""Successful checks of passwords, remembered for a minute by a keyed hash."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from .basic import BasicCredentials

REMEMBERED_SECONDS: Final = 60.0
"""Seconds for which a right password is remembered."""

MOST_MISSES: Final = 10
"""Wrong passwords of a remembered user after which the user is checked by the file alone, until the
minute is over. A guess against the memory takes no thread and no place in the count of an address:
without this bound, it would be a fast way to guess."""


@dataclass(slots=True)
class _Entry:
    digest: bytes
    until: float
    misses: int = 0


class Remembered:
    """
    Users of one password file that have sent the right password within the last minute.

    A password is kept as an HMAC with a random key of this object, never itself. There is one entry
    for each user of the file at most. There is no clock here: each method takes the time, in
    seconds.
    """

    def __init__(self, key: bytes, mostMisses: int = MOST_MISSES) -> None:
        """
        :param key: 32 random bytes.
        :param mostMisses: wrong passwords of a remembered user until the user is not remembered.
        """
        self._key = key
        self._mostMisses = mostMisses
        self._entries: dict[bytes, _Entry] = {}

    def add(self, now: float, credentials: BasicCredentials) -> None:
        """Remember credentials that were right, unless the user was guessed at."""
        before = self._entries.get(credentials.name)
        if before is not None and before.misses >= self._mostMisses and now < before.until:
            return
        self._entries[credentials.name] = _Entry(
            self._digest(credentials), now + REMEMBERED_SECONDS
        )

    def has(self, now: float, credentials: BasicCredentials) -> bool:
        """Whether these credentials were right within the last minute."""
        entry = self._entries.get(credentials.name)
        if entry is None or now >= entry.until or entry.misses >= self._mostMisses:
            return False
        if hmac.compare_digest(entry.digest, self._digest(credentials)):
            return True
        entry.misses += 1
        return False

    def clear(self) -> None:
        """Forget all credentials: the file has changed."""
        self._entries.clear()

    def number(self, name: bytes) -> int:
        """Return a number that belongs to a user name, and that a client cannot compute."""
        return int.from_bytes(hmac.digest(self._key, name, "sha256")[:8], "big")

    def _digest(self, credentials: BasicCredentials) -> bytes:
        # A user name has no colon, so the two parts cannot be divided in another way.
        return hmac.digest(self._key, b":".join(credentials), "sha256")
