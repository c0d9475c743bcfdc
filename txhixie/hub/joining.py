"""How a client joins a topic: what its route and its request say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Joining:
    """
    How a member takes part in its topic.

    :ivar history: most earlier messages that the member gets when it joins.
    :ivar may_publish: whether the topic gets the messages of the member.
    :ivar slow: what becomes of a message while the member's write buffer is full, a word of
        :func:`txhixie.broadcast`.
    :ivar as_objects: whether the member gets JSON objects, as of the subprotocol ``hub.txhixie``.
    :ivar since: position of the last message that the member has; ``None`` without one.
    :ivar presence: whether the member gets the number of members.
    """

    history: int = 0
    may_publish: bool = True
    slow: str = "skip"
    as_objects: bool = False
    since: str | None = None
    presence: bool = False
