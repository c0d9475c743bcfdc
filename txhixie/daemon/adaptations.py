"""Adaptations: options of a route for old devices, for every service.

A quirk lets in what a device sends wrongly; an adaptation changes what the device is sent. Each
becomes an attribute of the decision (:class:`txhixie.Accepted`) about a client of the route, except
``assume``, which changes the offer that the service sees.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from inspect import iscoroutine
from typing import Any, Final

from twisted.internet.defer import Deferred, ensureDeferred

from ..gateway.headers import is_token
from ..gateway.service import ANSWER
from ..interfaces import MOST_DELAY, Accepted, Decision
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.wire.fragmented import LEAST_FRAGMENT
from .setting import FLAG, Setting, ValueKind, number, one_of

OFF: Final = "off"
"""Value of ``pings`` for a route without automatic pings to its clients."""

_FRAME: Final = number("bytes")


def _token(text: str) -> str:
    if not is_token(text):
        raise ValueError
    return text


def _delay(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= MOST_DELAY:
        raise ValueError
    return seconds


def _frame(text: str) -> int:
    if (size := int(_FRAME.read(text))) < LEAST_FRAGMENT:
        raise ValueError
    return size


ADAPTATIONS: Final = (
    Setting(
        "assume",
        ValueKind("the name of a subprotocol, such as ocpp1.6", _token),
        "Subprotocol of a client that offers none, for the service and its backend. The response "
        "to the client has no subprotocol.",
        "none",
    ),
    Setting(
        "pings",
        one_of((ANSWER, OFF)),
        "off: send no automatic pings to the client; TCP keep-alive finds out whether the client "
        "has vanished.",
        ANSWER,
    ),
    Setting(
        "compression",
        FLAG,
        "Whether messages of the client's connection may be compressed.",
        "that of the daemon",
    ),
    Setting(
        "first-frame-delay",
        ValueKind(f"0 to {MOST_DELAY:g} seconds", _delay, (int, float)),
        "Seconds from the handshake response to the first frame, for a client that loses a frame "
        "which it receives together with the response.",
        "0",
    ),
    Setting(
        "max-sent-frame",
        ValueKind(f"a number of bytes, at least {LEAST_FRAGMENT}", _frame, (int,)),
        "Most bytes of a frame that is sent to the client. A byte stream is cut into messages of "
        "so many bytes; a longer message of another service is sent in fragments, and in the Hixie "
        "dialects whole.",
        "no limit",
    ),
    Setting(
        "plain-answer",
        FLAG,
        "Leave cookies of the backend and all other further fields out of the handshake response.",
        "false",
    ),
)
"""All adaptations. A service may have an option of the same name with further values."""

_ATTRIBUTES: Final = {
    "first-frame-delay": "firstFrameDelay",
    "max-sent-frame": "maxSentFrame",
    "plain-answer": "plainAnswer",
}
"""Adaptations with the value of an attribute of :class:`txhixie.Accepted`."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """
    Adaptations of one route.

    :ivar assumed: subprotocol of a client that offers none; ``None`` for none.
    :ivar attributes: the attributes of each decision that accepts a client.
    """

    assumed: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any], compression: bool) -> Adaptation:
        """
        Make the adaptations of a route from its options.

        :param values: values of the route's options, by their names.
        :param compression: whether a route without the option ``compression`` compresses.
        """
        attributes = {name: values[key] for key, name in _ATTRIBUTES.items() if key in values}
        if values.get("pings") == OFF:
            attributes["pings"] = False
        if not values.get("compression", compression):
            attributes["compression"] = False
        return cls(values.get("assume"), attributes)

    def offered(self, offer: Offer) -> Offer:
        """Return an offer as the service sees it: with the assumed subprotocol, if it has none."""
        if self.assumed is None or offer.subprotocols:
            return offer
        return replace(offer, subprotocols=(self.assumed,))

    def adapted(self, decision: Any, offer: Offer) -> Any:
        """
        Return a decision with the attributes of the route.

        :param decision: the decision of the service about an offer of :meth:`offered`, or a
            Deferred or a coroutine of it.
        :param offer: the client's own offer.
        """
        isAssumed = self.assumed is not None and not offer.subprotocols
        if not (self.attributes or isAssumed):
            return decision

        def change(accepted: Accepted) -> Accepted:
            subprotocol = None if isAssumed else accepted.subprotocol
            return replace(accepted, subprotocol=subprotocol, **self.attributes)

        return changed(decision, change)


NOT_ADAPTED: Final = Adaptation()
"""Adaptations of a route that has none."""


def changed(
    decision: Decision | Deferred[Any] | Coroutine[Any, Any, Decision],
    change: Callable[[Accepted], Accepted],
) -> Any:
    """
    Change a decision of a service, if it accepts the client.

    :param decision: the decision, or a Deferred or a coroutine of it: a gateway connects to its
        backend first.
    :param change: takes and returns an accepting decision.
    :return: the decision, or a Deferred of it.
    """

    def decided(made: Decision) -> Decision:
        if made is None or isinstance(made, Refusal):
            return made
        return change(made if isinstance(made, Accepted) else Accepted(made))

    if iscoroutine(decision):
        decision = ensureDeferred(decision)
    if isinstance(decision, Deferred):
        return decision.addCallback(decided)
    return decided(decision)  # type: ignore[arg-type]  # a coroutine is a Deferred by now
