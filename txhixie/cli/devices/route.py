"""The route of the daemon that lets a device in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ...daemon.routes import Route
from ...sansio.handshake.offer import Offer
from .messages import BINARY_SUBPROTOCOLS, TEXT_SUBPROTOCOL
from .offers import path_of

_WEBSOCKET: Final = "ws://127.0.0.1:9000"
_STREAM: Final = "tcp:127.0.0.1:5900"
_MQTT: Final = "tcp:127.0.0.1:1883"
"""Backends, as examples: an operator puts the own one there."""

_SPECIAL: Final = frozenset("='\" ")
"""Characters of a path that would need quotation marks on a command line."""


def route_for(offer: Offer, conditions: Iterable[str]) -> str:
    """
    Return the value of ``--serve`` that lets a device in.

    :param offer: the offer of the device.
    :param conditions: conditions that let its deviations in, such as ``quirks=key``.
    """
    values: dict[str, list[str]] = {}
    for condition in conditions:
        name, _, value = condition.partition("=")
        if value not in values.setdefault(name, []):
            values[name].append(value)
    is_stream = "kinds" in values.get("quirks", ())
    words = [f"{_path(path_of(offer))}={_backend(offer.subprotocols, is_stream)}"]
    return " ".join([*words, *(f"{name}={','.join(found)}" for name, found in values.items())])


def _backend(subprotocols: Sequence[str], is_stream: bool) -> str:
    name = subprotocols[0] if subprotocols else ""
    if name.startswith("mqtt"):
        return f"{_MQTT} subprotocols={name}"
    if is_stream or name == TEXT_SUBPROTOCOL or BINARY_SUBPROTOCOLS.fullmatch(name):
        return _STREAM
    return _WEBSOCKET


def _path(path: str) -> str:
    """Return the path of a route: ``/ocpp`` for ``/ocpp/CP01``, which ends in the device's name."""
    segments = [segment for segment in path.split("/") if segment]
    path = "/" + "/".join(segments[:-1] if len(segments) > 1 else segments)
    try:
        Route(None, path)
    except ValueError:
        return "/"
    return "/" if _SPECIAL & {*path} else path
