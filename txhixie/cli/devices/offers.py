"""Deviations of a request that is a valid handshake once it is mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ...daemon.routes import segments_of
from ...display import shown_url
from ...sansio.handshake.mending import normal_target
from ...sansio.handshake.offer import Offer
from ...sansio.quirks import Fault
from ...server.access import Policy, of_a_browser, read_origin
from .deviation import Deviation, deviation_of

_DEFAULT: Final = Policy()

_ACCEPTED: Final = "always accepted: "

_SLASHES: Final = Fault("target", "doubled slashes in the request target")

_DOTS: Final = Deviation(
    "request",
    "the path has a segment . or .., or too many segments (RFC 3986 section 5.2.4)",
    remedy="resolve the path of the URL before sending it",
)

_FOREIGN_PAGE: Final = (
    "any other page of this Origin may connect too, with the credentials of its visitor"
)
_LOCAL_PAGE: Final = "a page that is saved on the disk of a visitor may connect too"


def deviations_in(offer: Offer, faults: Iterable[Fault]) -> Iterator[Deviation]:
    """
    Yield the deviations of a request.

    :param offer: the offer of the request after its mending.
    :param faults: what was mended.
    """
    words = set()
    for fault in faults:
        words.add(fault.word)
        yield deviation_of(fault, "request")
    if "//" in offer.path and "target" not in words:
        yield deviation_of(_SLASHES, "request")
    if segments_of(path_of(offer)) is None:
        yield _DOTS
    if offer.origin is not None and _DEFAULT.refuses(offer) is not None:
        yield _of_origin(offer.origin, f"http{'s' if offer.secure else ''}://{offer.authority}")


def path_of(offer: Offer) -> str:
    """Return the path by which the daemon finds the route of an offer with ``quirks=target``."""
    return normal_target(offer.path, offer.host)


def _of_origin(origin: str, own: str) -> Deviation:
    text = (
        f"Origin {shown_url(origin)} is not that of the Host, {shown_url(own)}"
        " (RFC 6455 section 10.2)"
    )
    try:
        allowed = read_origin(origin)
    except ValueError:
        return Deviation("request", text, remedy="send one Origin, or none")
    why_off = _FOREIGN_PAGE if origin.startswith("http") else _LOCAL_PAGE
    return Deviation("request", text, f"origins={allowed}", why_off)


def notes_about(offer: Offer, kept: bytes) -> Iterator[str]:
    """
    Yield a line for each deviation that is always accepted.

    :param kept: the first bytes of the connection.
    """
    if offer.origin is not None and not of_a_browser(offer.origin):
        yield f"{_ACCEPTED}an Origin that no browser writes, which counts as none"
    if kept.startswith(b"\r\n"):
        yield f"{_ACCEPTED}an empty line before the request"
    target = kept.lstrip(b"\r\n").split(b" ", 2)[1:2]
    if target and b"://" in target[0].partition(b"?")[0] and not target[0].startswith(b"/"):
        yield f"{_ACCEPTED}a whole URL as the request target (RFC 9112 section 3.2.2)"
