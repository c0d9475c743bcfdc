"""An endpoint that looks up a host name and connects by TCP, each with its own timeout."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as AttemptTimedOut
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from ..sansio.arguments import local_address
from ..sansio.limits import Limits
from .errors import ConnectTimeout, LookupFailed
from .stage import abandonable, bounded, notConnected


@implementer(IStreamClientEndpoint)
class NamedHostEndpoint:
    """
    Twisted's ``HostnameEndpoint`` (Happy Eyeballs, RFC 8305), with different errors for a failed
    lookup and for a failed connection.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        *,
        limits: Limits = Limits(),
        bindAddress: str | tuple[str, int] | None = None,
    ) -> None:
        """
        :param reactor: resolves names, connects by TCP, and is the clock of the timeouts.
        :param host: a name in ASCII, or an address without brackets.
        :param limits: of which ``lookup_timeout`` and ``tcp_timeout`` are used.
        :param bindAddress: the local address, or address and port.
        :raises TypeError: for a ``bindAddress`` of another type.
        """
        local_address("bindAddress", bindAddress)
        self._reactor = reactor
        self._host = host
        self._port = port
        self._limits = limits
        self._bindAddress = bindAddress

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Look up the name and connect.

        :return: fires with the connected protocol. Fails with
            :class:`txhixie.errors.LookupFailed`, :class:`txhixie.errors.ConnectFailed`, or
            :class:`txhixie.errors.ConnectTimeout` at the stage ``lookup`` or ``tcp``. Cancelling
            the Deferred cancels every attempt, and the Deferred fails with
            ``twisted.internet.error.ConnectingCancelledError``.
        """
        address = HostnameAddress(self._host.encode("ascii", "replace"), self._port)
        return abandonable(Deferred.fromCoroutine(self._connect(protocolFactory)), address)

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        looking = lookUp(self._reactor, self._host, self._port)
        timeout = self._limits.lookup_timeout
        addresses = await bounded(looking, "lookup", timeout, self._reactor)
        if not addresses:
            raise LookupFailed(f"no address is known for {self._host}")
        return await self._connectToAny(addresses, protocolFactory)

    async def _connectToAny(
        self, addresses: Sequence[ResolvedAddress], protocolFactory: IProtocolFactory
    ) -> IProtocol:
        from twisted.internet.endpoints import HostnameEndpoint  # imports twisted.internet.ssl

        timeout = self._limits.tcp_timeout
        endpoint = HostnameEndpoint(
            _Informed(self._reactor, addresses),
            addresses[0].host,  # not a name: it refuses underscores, which containers have
            self._port,
            timeout=timeout,
            bindAddress=self._bindAddress,
        )
        connecting = endpoint.connect(protocolFactory).addErrback(self._typed)
        return await bounded(connecting, "tcp", timeout, self._reactor)

    def _typed(self, failure: Failure) -> Failure:
        """Convert Twisted's errors to ours, which are subclasses of Twisted's."""
        error = failure.value
        if isinstance(error, AttemptTimedOut):
            late = ConnectTimeout("tcp", self._limits.tcp_timeout)
            late.__cause__ = error
            return Failure(late)
        if isinstance(error, ConnectError):
            return Failure(notConnected(f"{self._host}, port {self._port}", error))
        return failure


ResolvedAddress = IPv4Address | IPv6Address


def lookUp(reactor: Any, host: str, port: int) -> Deferred[list[ResolvedAddress]]:
    """
    Look up a host name with the reactor's resolver. An IP address needs no lookup.

    :return: fires with the host's addresses, none if the name is unknown. Cancelling the Deferred
        does not stop the thread in which the operating system looks the name up.
    """
    if isIPAddress(host):
        return succeed([IPv4Address("TCP", host, port)])
    if isIPv6Address(host):
        return succeed([IPv6Address("TCP", host, port)])
    try:
        host.encode("idna")
    except UnicodeError:
        # An empty label, or a label of more than 63 characters. The system's resolver would raise
        # in its thread, and Twisted's resolver would not report it: the lookup would time out.
        return succeed([])
    answer = _Resolution()
    reactor.nameResolver.resolveHostName(answer, host, portNumber=port)
    return answer.complete


@implementer(IResolutionReceiver)
class _Resolution:
    """Collects the addresses that the resolver finds."""

    def __init__(self) -> None:
        self._addresses: list[ResolvedAddress] = []
        self._resolution: IHostResolution | None = None
        self.complete: Deferred[list[ResolvedAddress]] = Deferred(self._cancel)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Keep the resolution, which some resolvers can cancel."""
        self._resolution = resolutionInProgress

    def addressResolved(self, address: IAddress) -> None:
        """Keep an IP address. Addresses of other kinds cannot be used for TCP."""
        if isinstance(address, IPv4Address | IPv6Address):
            self._addresses.append(address)

    def resolutionComplete(self) -> None:
        """Fire the Deferred with the addresses."""
        if not self.complete.called:
            self.complete.callback(self._addresses)

    def _cancel(self, deferred: Deferred[list[ResolvedAddress]]) -> None:
        if self._resolution is not None:
            with suppress(NotImplementedError):
                self._resolution.cancel()


@implementer(IReactorPluggableNameResolver)
class _Informed:
    """A reactor with a resolver that returns addresses that were looked up before."""

    def __init__(self, reactor: Any, addresses: Sequence[ResolvedAddress]) -> None:
        self._reactor = reactor
        self._addresses = addresses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    @property
    def nameResolver(self) -> Any:
        """Return the resolver of the known addresses: the object itself."""
        return self

    def installNameResolver(self, resolver: Any) -> Any:
        """Install a resolver in the reactor itself."""
        return self._reactor.installNameResolver(resolver)

    def resolveHostName(self, receiver: IResolutionReceiver, *question: Any, **more: Any) -> None:
        """Pass the known addresses to the receiver."""
        for address in self._addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()
