"""The subprotocol that a server chooses where its application chooses none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import TypeAlias

from ..sansio.arguments import strings
from ..sansio.handshake.offer import Offer

SubprotocolChoice: TypeAlias = "Iterable[str] | Callable[[Offer], str | None]"
"""Names, the preferred one first; or a function that returns a subprotocol of an offer."""


def settled_choice(choice: SubprotocolChoice) -> SubprotocolChoice:
    """
    Return a checked choice of subprotocols, which can be used for several offers.

    :raises TypeError: for one string, for names that are not ``str``, and for a coroutine function,
        since the subprotocol must be known at once.
    """
    if not callable(choice):
        return strings("subprotocols", choice, '["chat"]')
    if iscoroutinefunction(choice):
        raise TypeError(
            "subprotocols: expected a function, not a coroutine function; "
            "return Accepted(application, subprotocol) from an async buildProtocol"
        )
    return choice


def chosen_subprotocol(choice: SubprotocolChoice, offer: Offer) -> str | None:
    """Return the subprotocol that a choice selects for an offer; ``None`` if it selects none."""
    if callable(choice):
        return choice(offer)
    if not offer.subprotocols:
        return None
    return next((name for name in choice if name in offer.subprotocols), None)
