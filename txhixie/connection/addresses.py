"""Addresses of a connection: those of the client behind a reverse proxy, and plain IPv4."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from ..sansio.http.proxy_header import ConnectionEnd
from ..sansio.http.trusted import unmapped

try:
    from twisted.internet.tcp import Server
except ImportError:  # a reactor that does not use these has transports of its own
    _getPeerOfTCP: Any = object()
else:
    _getPeerOfTCP = Server.getPeer


def addressOf(end: ConnectionEnd) -> IAddress:
    """Return Twisted's address object for one end of a connection."""
    if isinstance(end, bytes):
        return UNIXAddress(end or None)
    host, port = unmapped(end[0]), end[1]
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


def plainAddress(address: IAddress) -> IAddress:
    """Return an IPv4-mapped IPv6 address as the IPv4 address; see :func:`unmapped`."""
    host = getattr(address, "host", "")
    plain = unmapped(host)
    return address if plain == host else IPv4Address("TCP", plain, address.port)  # type: ignore[attr-defined]  # an address with an IPv4 host has a port


def peerOf(transport: Any) -> tuple[str | None, int | None]:
    """
    Return the host and the port of a transport's peer; ``None`` for each that it does not have.

    Twisted's TCP has both as the socket was accepted. ``getPeer()`` makes an address object of
    them, with validators, which takes 1 us of a handshake.
    """
    getPeer = transport.getPeer
    # Not by vars(): CPython would make a dict of the transport's attributes, and each access to
    # them would take longer from then on.
    if getattr(getPeer, "__func__", None) is _getPeerOfTCP:
        host, port, *_ = getPeer.__self__.client
        return host, port
    peer = getPeer()
    return getattr(peer, "host", None), getattr(peer, "port", None)


def standFor(transport: Any, peer: ConnectionEnd | None, host: ConnectionEnd | None = None) -> None:
    """
    Replace the results of ``getPeer()`` and ``getHost()`` of a transport.

    A reverse proxy sends the addresses of the connection between the client and the proxy. The two
    methods are replaced on the transport itself, since a wrapper around the transport would cost a
    call for every read and write.

    :param peer: address of the client; ``None`` to keep ``getPeer()``.
    :param host: address to which the client connected; ``None`` to keep ``getHost()``.
    """
    if peer is not None:
        shownPeer = addressOf(peer)
        transport.getPeer = lambda: shownPeer
    if host is not None:
        shownHost = addressOf(host)
        transport.getHost = lambda: shownHost
