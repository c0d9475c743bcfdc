"""A deviation of a device: what it does wrong, and what lets it in or has to change."""

from __future__ import annotations

from typing import NamedTuple

from ...sansio.quirks import Fault, quirk_of


class Deviation(NamedTuple):
    """
    One deviation of a device.

    :ivar stage: the stage in which it was found: ``tls``, ``request`` or ``frames``.
    :ivar text: the deviation, with the section of the specification.
    :ivar allow: the condition of a route that lets the device in, such as ``quirks=key``; otherwise
        empty.
    :ivar why_off: why the condition is off by default; empty if no danger is known.
    :ivar seen: clients that are known to deviate so.
    :ivar remedy: what to change, where no condition helps.
    """

    stage: str
    text: str
    allow: str = ""
    why_off: str = ""
    seen: tuple[str, ...] = ()
    remedy: str = ""


def deviation_of(fault: Fault, stage: str) -> Deviation:
    """Return a deviation that a quirk lets in, with the words of the table of quirks."""
    quirk = quirk_of(fault.word)
    return Deviation(stage, fault.text, f"quirks={quirk.word}", quirk.danger, quirk.seen)
