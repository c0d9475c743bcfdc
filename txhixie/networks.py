"""Whom we believe: addresses and networks that are named, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from .arguments import strings

Address: TypeAlias = IPv4Address | IPv6Address

UNIX: Final = "unix"
"""Names whoever comes through a socket of the file system, and has no address."""


class Networks:
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
                self._networks.append(ip_network(name))

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


NOBODY: Final = Networks()


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
