"""Whom a connection is with, where its peer stands for somebody else."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from ..sansio.http.proxy_header import End
from ..sansio.http.trusted import unmapped


def addressOf(end: End) -> IAddress:
    """Twisted's address for one end of a connection."""
    if isinstance(end, bytes):
        return UNIXAddress(end or None)
    host, port = unmapped(end[0]), end[1]
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


def plainAddress(address: IAddress) -> IAddress:
    """An address of IPv4 where it was shown as one of IPv6, see :func:`unmapped`."""
    host = getattr(address, "host", "")
    plain = unmapped(host)
    return address if plain == host else IPv4Address("TCP", plain, address.port)  # type: ignore[attr-defined]


def standFor(transport: Any, peer: End | None, host: End | None = None) -> None:
    """
    Have a transport answer ``getPeer()`` and ``getHost()`` with the ends of the connection that it
    continues, so that whatever asks it, now or later, hears of these.

    It is said on the transport itself: one around it would cost a call for every read and write.

    :param peer: ``None`` to leave it as it is.
    :param host: the same.
    """
    if peer is not None:
        shownPeer = addressOf(peer)
        transport.getPeer = lambda: shownPeer
    if host is not None:
        shownHost = addressOf(host)
        transport.getHost = lambda: shownHost
