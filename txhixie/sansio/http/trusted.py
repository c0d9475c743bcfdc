"""Whom we believe: addresses and networks that are named, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from ..arguments import strings

Address: TypeAlias = IPv4Address | IPv6Address

UNIX: Final = "unix"
"""Names whoever comes through a socket of the file system, and has no address."""


class TrustedNetworks:
    """Some addresses, each named by itself or by its network."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """
        :param names: such as ``127.0.0.1``, ``10.0.0.0/8``, ``fd00::/8``, or ``unix``.
        :raises ValueError: for one that is none, also for a network with host bits set.
        :raises TypeError: for one string, and for what is not ``str``.
        """
        self._networks: list[IPv4Network | IPv6Network] = []
        self._unix = False
        for name in strings("networks", names, '["127.0.0.1"]'):
            if name == UNIX:
                self._unix = True
            else:
                self._networks.append(_read_network(name))

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def has(self, host: str | None) -> bool:
        """
        Whether it is one of these.

        :param host: an address as text; ``None`` for whoever has none. What is no address is not.
        """
        if host is None:
            return self._unix
        address = read_address(host)
        return address is not None and any(address in network for network in self._networks)


NOBODY: Final = TrustedNetworks()


def _read_network(name: str) -> IPv4Network | IPv6Network:
    """``::ffff:10.0.0.0/104`` is 10.0.0.0/8, since such an address is one of IPv4."""
    network = ip_network(name)
    first = network.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped and network.prefixlen >= 96:
        return ip_network((first.ipv4_mapped, network.prefixlen - 96))
    return network


def read_address(text: str) -> Address | None:
    """
    An address out of text, if it is one. ``::ffff:10.0.0.1`` is 10.0.0.1: so a socket that takes
    both families shows whoever comes by the older one.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def unmapped(host: str) -> str:
    """
    An address as everybody writes it: ``::ffff:192.0.2.1``, as a socket for both families shows a
    client of IPv4 (RFC 4291 section 2.5.5.2), is 192.0.2.1.
    """
    return str(read_address(host) or host) if host.lower().startswith("::ffff:") else host
