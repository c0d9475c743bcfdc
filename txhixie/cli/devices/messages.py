"""Deviations of messages from the subprotocol that they belong to."""

from __future__ import annotations

import re
from typing import Final

from ...sansio.handshake.offer import Offer
from ...sansio.quirks import Fault
from .deviation import Deviation, deviation_of

BINARY_SUBPROTOCOLS: Final = re.compile(r"mqtt.*|binary|amqp")
"""Subprotocols with binary messages: MQTT 5.0 section 6.0, websockify, AMQP."""

TEXT_SUBPROTOCOL: Final = "base64"
"""The subprotocol of websockify with text messages."""

_MQTT: Final = re.compile(r"\x10.{1,4}\x00[\x04\x06]MQ(?:TT|Isdp)", re.DOTALL)
"""The first message of MQTT: a CONNECT packet (MQTT 3.1.1 section 3.1)."""

_OCPP: Final = re.compile(r"\s*\[\s*2\s*,\s*\"[^\"]{1,36}\"\s*,\s*\"[A-Z][A-Za-z]+\"")
"""A CALL of OCPP: its type, its number, its action (OCPP-J 1.6 section 4.2.1)."""


def deviation_in(message: str | bytes, offer: Offer) -> Deviation | None:
    """
    Return the deviation of a message; ``None`` for a message of the right kind.

    :param offer: the offer of the handshake; its first subprotocol is the agreed one.
    """
    subprotocol = offer.subprotocols[0] if offer.subprotocols else ""
    if isinstance(message, bytes):
        if subprotocol != TEXT_SUBPROTOCOL:
            return None
        return _other_kind("binary message, where base64 has text messages")
    if BINARY_SUBPROTOCOLS.fullmatch(subprotocol):
        return _other_kind(f"text message, where {subprotocol} has binary messages")
    if not subprotocol and _MQTT.match(message[:16]):
        return _other_kind("MQTT in a text message (MQTT 5.0 section 6.0)")
    if not subprotocol and _OCPP.match(message[:200]):
        return _assumed("ocpp2.0.1" if '"chargingStation"' in message else "ocpp1.6")
    return None


def _assumed(subprotocol: str) -> Deviation:
    return Deviation(
        "frames",
        "OCPP from a client that offers no subprotocol (OCPP-J 1.6 section 3.1.2)",
        f"assume={subprotocol}",
        "a client that speaks another protocol, and offers none, is taken for one of this",
        ("Grizzl-E Smart 5.6 (a charger for cars)",),
    )


def _other_kind(text: str) -> Deviation:
    return deviation_of(Fault("kinds", text), "frames")
