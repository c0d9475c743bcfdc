"""The publishers of a hub: the clients that may send messages to its topics."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ..sansio.handshake.offer import Offer
from ..sansio.http.trusted import TrustedNetworks

EVERY_CLIENT: Final = "everybody"
EVERY_USER: Final = "users"
NO_CLIENT: Final = "nobody"

_NETWORK: Final = re.compile(r"unix|\d+[./][\d./]*|[\dA-Fa-f.]*:[\dA-Fa-f.:]*(?:/\d*)?")
"""An address or a network, right or wrong: ``10.0.0.0/33`` is not the name of a user. A number
alone is a name, such as the subject of a token."""


class Publishers:
    """
    The clients that may publish: all clients, none, or those of some networks and some users.

    :ivar needs_users: whether a client may be found by the name of its user,
        :attr:`txhixie.Offer.user`.
    """

    def __init__(self, words: Iterable[str]) -> None:
        """
        :param words: :data:`EVERY_CLIENT` or :data:`NO_CLIENT` alone; or addresses and networks,
            names of users, and :data:`EVERY_USER`.
        :raises ValueError: "expected ..." for a wrong address or network, for an empty word, and
            for a second word beside one that has to be alone.
        """
        given = set(words)
        if len(given) > 1 and not given.isdisjoint((EVERY_CLIENT, NO_CLIENT)):
            raise ValueError(f"expected {EVERY_CLIENT} or {NO_CLIENT} alone, without other words")
        if "" in given:
            raise ValueError("expected no empty word between commas")
        self._has_every_client = EVERY_CLIENT in given
        self._has_every_user = EVERY_USER in given
        networks = {word for word in given if _NETWORK.fullmatch(word)}
        self._users = given - networks - {EVERY_CLIENT, EVERY_USER, NO_CLIENT}
        try:
            self._networks = TrustedNetworks(networks)
        except ValueError as error:
            raise ValueError(f"expected an address or a network: {error}") from None
        self.needs_users = self._has_every_user or bool(self._users)

    def has(self, offer: Offer) -> bool:
        """Whether a client may publish."""
        if self._has_every_client or offer.user in self._users:
            return True
        if self._has_every_user and offer.user is not None:
            return True
        return self._networks.has(offer.client)


ALL_CLIENTS: Final = Publishers([EVERY_CLIENT])
