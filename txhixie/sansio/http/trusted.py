"""Trusted networks: addresses and networks of reverse proxies that a server trusts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from ..arguments import strings

IPAddress: TypeAlias = IPv4Address | IPv6Address

UNIX: Final = "unix"
"""Name for peers on a UNIX socket, which have no address."""


class TrustedNetworks:
    """A set of addresses and networks."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """
        Create a set.

        :param names: addresses and networks, such as ``127.0.0.1``, ``10.0.0.0/8``, ``fd00::/8``,
            or ``unix``.
        :raises ValueError: for an invalid name, and for a network with host bits set.
        :raises TypeError: for a string instead of a list, and for a name that is not ``str``.
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
        Whether an address is in the set.

        :param host: the address as text; ``None`` for a peer on a UNIX socket. Text that is not an
            address is in no set.
        """
        if host is None:
            return self._unix
        address = read_address(host)
        return address is not None and any(address in network for network in self._networks)


NOBODY: Final = TrustedNetworks()


def _read_network(name: str) -> IPv4Network | IPv6Network:
    """Read a network; ``::ffff:10.0.0.0/104`` is 10.0.0.0/8, a network of mapped IPv4 addresses."""
    network = ip_network(name)
    first = network.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped and network.prefixlen >= 96:
        return ip_network((first.ipv4_mapped, network.prefixlen - 96))
    return network


def read_address(text: str) -> IPAddress | None:
    """
    Read an address; return ``None`` for other text.

    ``::ffff:10.0.0.1`` is 10.0.0.1: a socket for both families shows IPv4 clients so.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def unmapped(host: str) -> str:
    """
    Return an address in its usual notation: 192.0.2.1 for ``::ffff:192.0.2.1``.

    A socket for both families shows IPv4 clients with such a mapped address (RFC 4291 section
    2.5.5.2).
    """
    return str(read_address(host) or host) if host.lower().startswith("::ffff:") else host


@lru_cache(maxsize=1024)
def network_of(client: str | None) -> str:
    """
    Return the key by which limits count the connections and the mistakes of a client.

    :param client: the address of the client; ``None`` for one without an address.
    :return: an IPv4 address, or the network of 64 bits of an IPv6 address, since one client
        can have all addresses of it; empty for a client without an address.
    """
    if client is None:
        return ""
    address = read_address(client)
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return client if address is None else str(address)
