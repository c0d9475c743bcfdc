"""The heads that open a way and a conversation, shown as they pass: ``--show-handshake``.

They pass in two places: above the proxy's connection (``CONNECT``), and above TLS. There an
endpoint is put around the endpoint that is.
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
"""Of an answer to which there is more to come (RFC 9110 section 15.2)."""

Show = Callable[[str], object]
"""Gets a line."""


@dataclass(frozen=True, kw_only=True)
class ShownDialer(Dialer):
    """
    The usual way, with its heads shown.

    :ivar show: gets each line of them, with ``>`` before ours and ``<`` before the other side's.
    """

    show: Show

    def to(self, url: WebSocketURL) -> IStreamClientEndpoint:
        """The endpoint of a URL's server, whose handshake is shown."""
        return _ShownEndpoint(super().to(url), b"GET ", self.limits, self.show)

    def toProxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        """The endpoint of a proxy, whose answer to ``CONNECT`` is shown."""
        return _ShownEndpoint(super().toProxy(proxy), b"CONNECT ", self.limits, self.show)


@implementer(IStreamClientEndpoint)
class _ShownEndpoint:
    """Any endpoint, the heads of whose connections are shown."""

    def __init__(
        self, endpoint: IStreamClientEndpoint, method: bytes, limits: Limits, show: Show
    ) -> None:
        """:param method: how the requests begin that are shown."""
        self._endpoint = endpoint
        self._method = method
        self._most = limits.head_size
        self._show = show

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, as the endpoint below does."""
        factory: Any = WrappingFactory(protocolFactory)
        factory.noisy = False
        factory.protocol = lambda factory, protocol: _Shown(
            factory, protocol, Heads(self._method, self._most, self._show)
        )
        connecting = self._endpoint.connect(cast(IProtocolFactory, factory))
        return connecting.addCallback(lambda wrapper: cast(_Shown, wrapper).wrappedProtocol)


class _Shown(ProtocolWrapper):
    """One connection: to its transport a protocol, and to its protocol a transport."""

    def __init__(self, factory: Any, wrappedProtocol: Any, heads: Heads) -> None:
        super().__init__(factory, wrappedProtocol)
        self._heads = heads

    def write(self, data: bytes) -> None:
        """Ours."""
        self._heads.sent(data)
        super().write(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """The other side's."""
        self._heads.received(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]


class Heads:
    """Requests and answers in turn. What is none, or comes after one, is not looked at."""

    def __init__(self, method: bytes, most: int, show: Show) -> None:
        """
        :param method: how requests begin, with the blank after it; each is one write.
        :param most: bytes of a head.
        :param show: gets each line.
        """
        self._method = method
        self._most = most
        self._show = show
        self._answer: HeadReader | None = None

    def sent(self, data: bytes) -> None:
        """We have said this."""
        if data.startswith(self._method):
            self._read(HeadReader(len(data)), data, ">")
            self._answer = HeadReader(self._most)

    def received(self, data: bytes) -> None:
        """The other side has said this."""
        while self._answer is not None:
            try:
                found = self._read(self._answer, data, "<")
            except MalformedHead:
                self._answer = None  # whoever has to understand it says so
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
