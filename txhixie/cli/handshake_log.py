"""``--show-handshake``: shows the heads of requests and responses as they pass.

Heads pass in two places: on the connection to the proxy (``CONNECT``), and on the connection to the
server, inside TLS. In both places an endpoint is wrapped around the dialer's endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from zope.interface import implementer

from ..dialing.dialer import Dialer
from ..dialing.proxy import Proxy
from ..sansio.errors import MalformedHead
from ..sansio.http.head import Head, HeadReader
from ..sansio.http.redaction import masked_lines
from ..sansio.http.url import WebSocketURL
from ..sansio.limits import Limits

_INTERIM: Final = re.compile(rb"HTTP/1\.1 1(?!01 )")
"""Start of an interim response, which another response follows (RFC 9110 section 15.2)."""

Show = Callable[[str], object]
"""A function that gets one line."""


@dataclass(frozen=True, kw_only=True)
class ShownDialer(Dialer):
    """
    A dialer that shows the heads of its connections.

    :ivar show: gets each line of a head, with ``>`` before what the client sends and ``<`` before
        what the server or the proxy sends.
    """

    show: Show

    def to(self, url: WebSocketURL) -> IStreamClientEndpoint:
        """The endpoint of a URL's server; the heads of the handshake are shown."""
        return _ShownEndpoint(super().to(url), b"GET ", self.limits, self.show)

    def toProxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        """The endpoint of a proxy; the heads of ``CONNECT`` and of its responses are shown."""
        return _ShownEndpoint(super().toProxy(proxy), b"CONNECT ", self.limits, self.show)


@implementer(IStreamClientEndpoint)
class _ShownEndpoint:
    """An endpoint that shows the heads of the connections of another endpoint."""

    def __init__(
        self, endpoint: IStreamClientEndpoint, method: bytes, limits: Limits, show: Show
    ) -> None:
        """:param method: the first bytes of the requests that are shown."""
        self._endpoint = endpoint
        self._method = method
        self._most = limits.head_size
        self._show = show

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect as the wrapped endpoint does."""
        factory: Any = WrappingFactory(protocolFactory)
        factory.noisy = False
        factory.protocol = lambda factory, protocol: _Shown(
            factory, protocol, Heads(self._method, self._most, self._show)
        )
        connecting = self._endpoint.connect(cast(IProtocolFactory, factory))
        return connecting.addCallback(lambda wrapper: cast(_Shown, wrapper).wrappedProtocol)


class _Shown(ProtocolWrapper):
    """Wrapper of one connection: a protocol to the transport, a transport to the protocol."""

    def __init__(self, factory: Any, wrappedProtocol: Any, heads: Heads) -> None:
        super().__init__(factory, wrappedProtocol)
        self._heads = heads

    def write(self, data: bytes) -> None:
        """Show what the client sends, and send it."""
        self._heads.sent(data)
        super().write(data)  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def dataReceived(self, data: bytes) -> None:
        """Show what the server or the proxy sent, and pass the data on."""
        self._heads.received(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted has no annotations here


class Heads:
    """Finds the heads of requests and responses in a connection, and ignores all other data."""

    def __init__(self, method: bytes, most: int, show: Show) -> None:
        """
        :param method: the first bytes of a request, up to the space after the method. A request
            is sent in one write.
        :param most: most bytes of a response's head.
        :param show: gets each line.
        """
        self._method = method
        self._most = most
        self._show = show
        self._answer: HeadReader | None = None

    def sent(self, data: bytes) -> None:
        """Show the head of a request in data that the client sends."""
        if data.startswith(self._method):
            self._read(HeadReader(len(data)), data, ">")
            self._answer = HeadReader(self._most)

    def received(self, data: bytes) -> None:
        """Show the heads of responses in received data."""
        while self._answer is not None:
            try:
                found = self._read(self._answer, data, "<")
            except MalformedHead:
                self._answer = None  # the protocol that parses the response reports the error
                return
            if found is None:
                return
            head, data = found
            self._answer = HeadReader(self._most) if _INTERIM.match(head) else None

    def _read(self, reader: HeadReader, data: bytes, mark: str) -> tuple[Head, bytes] | None:
        found = reader.read(data)
        if found is not None:
            for line in masked_lines(found[0]):
                self._show(f"{mark} {line}".rstrip())
        return found
