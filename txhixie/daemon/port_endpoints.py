"""The ports of the daemon: an endpoint for each option ``port``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint

from ..display import expectation
from ..sansio.http.trusted import TrustedNetworks
from ..server.both_families import BothFamiliesEndpoint
from ..server.listen_queue import serverEndpoint
from ..server.port_check import check_interface_here, check_port, parts_of
from ..server.proxy_protocol import ProxyProtocolReactor
from ..server.tls.errors import KeyMismatch
from .certificate_watch import certificateFiles
from .given_options import GivenOptions, made_of
from .sockets.inherited_endpoint import InheritedEndpoint, MissingEndpoint
from .sockets.listening_sockets import ListeningSockets
from .sockets.socket_change import SocketChange

if TYPE_CHECKING:
    from ..server.tls.certificates import FiledCertificate

_TRUSTED_MODE: Final = "660"
"""Mode of a UNIX socket with trusted peers. Twisted's own default is 666."""

_SHARED_PORTS: Final = ("tcp", "tcp6", "ssl", "tls", "unix", "systemd")
"""Schemes of ports that several processes can have."""


class PortEndpoints:
    """
    Endpoints of one reading of the options. They read their certificates when they are made.

    :ivar change: the change of the listening sockets that these endpoints make.
    :ivar endpoints: the endpoints, each with the option that gave it (``--port 8080``).
    :ivar certificates: the certificates of ports with TLS.
    """

    def __init__(self, given: GivenOptions, sockets: ListeningSockets, openTimeout: float) -> None:
        """
        Make the endpoints, without listening.

        :param given: the options.
        :param sockets: the listening sockets of the daemon.
        :param openTimeout: seconds for a header of the PROXY protocol.
        :raises CannotStart: for a port with a mistake.
        """
        self._given = given
        self._sockets = sockets
        self.change = SocketChange(sockets)
        senders = TrustedNetworks(given.all("proxy-protocol") or ())
        self._listening: Any = (
            ProxyProtocolReactor(self.change, senders, openTimeout) if senders else self.change
        )
        self.certificates: list[FiledCertificate] = []
        self.endpoints = [(one.where, made_of(one, self._endpoint)) for one in given.of("port")]

    @property
    def files(self) -> list[Path]:
        """Files and directories of the certificates and keys."""
        ports = (str(one.value) for one in self._given.of("port"))
        return [file for port in ports for file in certificateFiles(port)]

    def check(self) -> None:
        """
        Check that this machine has each address that the daemon listens on.

        :raises CannotStart: for an address that this machine does not have.
        """
        for one in self._given.of("port"):
            made_of(one, check_interface_here)

    def _endpoint(self, port: str) -> IStreamServerEndpoint:
        if port.isdecimal():
            return BothFamiliesEndpoint(self._listening, int(port), self.change.bound)
        check_port(port)
        scheme = parts_of(port).scheme
        if self._given.one("workers", 1) > 1 and scheme not in _SHARED_PORTS:
            several = ", ".join(f"{each}:" for each in _SHARED_PORTS)
            raise ValueError(f"expected a port number or one of {several} with several workers")
        try:
            endpoint = serverEndpoint(self._listening, self._withMode(port))
        except KeyMismatch:
            raise
        except Exception as error:
            if scheme == "systemd" and isinstance(error, LookupError):
                passed = self._sockets.systemd.get(port)
                return self._inherited(*passed) if passed else MissingEndpoint()
            expected = "a port number or an endpoint description"
            raise ValueError(expectation(error, expected)) from None
        self.certificates += getattr(endpoint, "certificates", ())
        if isinstance(endpoint, AdoptedStreamServerEndpoint):
            passed = self._sockets.systemd[port] = endpoint.fileno, endpoint.addressFamily
            return self._inherited(*passed)
        return endpoint

    def _inherited(self, fileno: int, family: int) -> InheritedEndpoint:
        return InheritedEndpoint(self._listening, fileno, family, self.change.announce)

    def _withMode(self, port: str) -> str:
        """
        Return the endpoint description, with mode 660 for a UNIX socket with trusted peers.

        With Twisted's mode 666, any local user could forge the address of a client.
        """
        scheme, values, named = parts_of(port)
        trusted = "unix" in self._given.peers
        if trusted and scheme == "unix" and len(values) == 1 and "mode" not in named:
            return f"{port}:mode={_TRUSTED_MODE}"
        return port
