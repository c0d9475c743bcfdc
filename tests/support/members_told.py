"""A real client that waits for a number of members."""

from __future__ import annotations

import json
from typing import Final

from support.waiting import within
from txhixie import Channel

PATIENCE: Final = 60.0
"""Seconds. The members of a killed process are counted for 30 seconds."""


async def told(member: Channel, number: int) -> None:
    """Wait until a member gets a number of members."""
    text: str | bytes = ""
    while not text or json.loads(text) != {"members": number}:
        text = await within(member.receive(), PATIENCE)
