"""The JSON objects that a member gets with the subprotocol ``hub.txhixie``."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Final

from ..bus.bus import BusMessage

SUBPROTOCOL: Final = "hub.txhixie"
"""The subprotocol with which a member gets JSON objects."""


def message_object(message: BusMessage) -> str:
    """
    Return a message with its position: ``{"position": "...", "text": "..."}``.

    A binary message has ``bytes``, in base64 (RFC 4648 section 4), in the place of ``text``.
    """
    if message.is_text:
        return _written(position=message.position, text=message.payload.decode())
    return _written(position=message.position, bytes=b64encode(message.payload).decode())


def members_object(count: int) -> str:
    """Return the number of members: ``{"members": 12}``."""
    return _written(members=count)


def skipped_object(count: int) -> str:
    """Return the number of messages that the member was not sent: ``{"skipped": 3}``."""
    return _written(skipped=count)


def missed_object() -> str:
    """Return what a member gets that may lack earlier messages: ``{"missed": true}``."""
    return _written(missed=True)


def _written(**values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
