"""The guard of the status and the metrics."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from ...sansio.handshake.offer import Refusal
from ...sansio.http.trusted import TrustedNetworks, read_address
from ...server.access import Policy
from ..guards.guard import PERMITTED, Answer, Guard
from ..guards.visitor import Visitor
from ..routes import name_of

LOOPBACK: Final = TrustedNetworks(["127.0.0.0/8", "::1"])
"""The networks of viewers without ``--status-allow``."""

_OF_PROXIES: Final = (
    *("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
    *("x-forwarded-server", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"),
    "via",
)
"""Header fields that reverse proxies add to a request."""


class Viewers(Guard):
    """
    Guard that lets in viewers of some networks, and users with a password.

    A viewer that is let in by address needs a ``Host`` that no foreign page can have: an
    address, ``localhost``, or a name of ``--hosts``. Otherwise a page of another site could read
    the status with DNS rebinding, in a browser on the machine of the daemon.
    """

    def __init__(self, networks: TrustedNetworks, policy: Policy, users: Guard | None) -> None:
        """
        :param networks: networks of viewers that need no password.
        :param policy: the access rules of all routes, for the names of the server.
        :param users: asks for a password; ``None`` for no users.
        """
        self._networks = networks
        self._policy = policy
        self._users = users
        self.challenges = () if users is None else users.challenges

    def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
        """Let a viewer of the networks in, or ask for a password."""
        if _isOfAnotherPage(visitor):
            return _refusal("a page of another origin has sent the request (Sec-Fetch-Site)")
        why = self._mistake(visitor)
        if why is None:
            return PERMITTED
        if self._users is not None:
            return self._users.check(visitor)
        return _refusal(why)

    def _mistake(self, visitor: Visitor) -> str | None:
        """Return why the address of a viewer needs a password too; ``None`` where it needs none."""
        if not self._networks.has(visitor.client):
            return "address not allowed (--status-allow)"
        if not self._isClients(visitor):
            return "a reverse proxy that is not trusted has sent the request (--trust-forwarded)"
        if not self._isOwnHost(visitor.host):
            return "Host not allowed: expected an address, localhost or a name of --hosts"
        return None

    def _isClients(self, visitor: Visitor) -> bool:
        """
        Whether the address is that of the client.

        Without a trusted proxy it may be the address of a reverse proxy on this machine, and all
        clients of that proxy would be viewers. A forwarded address of this machine is not believed:
        it is what an attacker would forge.
        """
        if not any(visitor.header(name) is not None for name in _OF_PROXIES):
            return True
        return visitor.isForwarded and not LOOPBACK.has(visitor.client)

    def _isOwnHost(self, host: str) -> bool:
        name = name_of(host)
        if name == "localhost" or name.endswith(".localhost"):
            return True
        if read_address(name.removeprefix("[").removesuffix("]")) is not None:
            return True
        return self._policy.hosts is not None and self._policy.refuses_host(host) is None


def _refusal(why: str) -> Refusal:
    return Refusal(403, "not allowed\n", why=why, cause="status")


def _isOfAnotherPage(visitor: Visitor) -> bool:
    """
    Whether a page of another origin has sent a request, other than for a link to the status.

    Such a page cannot read the response, but each request would cost a survey of all connections.
    Browsers send the fields since 2020 to 2023 (Fetch Metadata, a working draft of the W3C).
    """
    if visitor.header("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    return visitor.header("sec-fetch-dest") != "document"
