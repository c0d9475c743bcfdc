"""Ports of ``txhixie doctor --listen``, and the connections of devices that are examined there.

The server is that of :class:`txhixie.HixieServerFactory` with all quirks, and with an application
that sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    ISSLTransport,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from ...connection.held_bytes import HeldBytes
from ...connection.protocol import HixieProtocol
from ...display import expectation, reasons_of, shown_address, shown_host
from ...interfaces import AbruptClose, CleanClose, WebSocketTransport
from ...running import urlOf, whyNot
from ...sansio.handshake.offer import Offer
from ...sansio.limits import Limits
from ...sansio.quirks import QUIRKS, Fault
from ...server.both_families import BothFamiliesEndpoint
from ...server.factory import HixieServerFactory
from ...server.listen_queue import serverEndpoint
from ...server.port_check import check_port
from ...server.protocol import HixieServerProtocol
from ..status import CommandFailed, Status
from .examination import Examination, Result

MOST_CONNECTIONS: Final = 100
"""Most connections at a time; others are closed at once."""

_MOST_HELD: Final = 64 * 1024 * 1024
"""Most bytes that all connections hold together."""

_OPEN_TIMEOUT: Final = 10.0

TellResult = Callable[[Examination, Result | None], None]
"""Told of each result of an examination, and with ``None`` of its end."""


class ExaminedConnection(HixieServerProtocol):
    """
    A connection of a device.

    :ivar examination: its examination.
    """

    __slots__ = ("_isSecured", "examination")

    factory: Examiner
    examination: Examination

    def connectionMade(self) -> None:
        """Begin the examination."""
        self._isSecured = not ISSLTransport.providedBy(self.transport)
        super().connectionMade()
        self.examination = self.factory.examine(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass received bytes on to the examination, and to the server."""
        if not self._isSecured:
            self._isSecured = True
            handle = self.transport.getHandle()
            name = handle.get_servername() or b""
            self.examination.secured(handle.get_protocol_version_name(), name.decode("latin-1"))
        self.examination.received(data)
        super().dataReceived(data)

    def deviates(self, fault: Fault) -> None:
        """Pass on a deviation of frames that a quirk has let in."""
        self.examination.deviates(fault)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the examination of a TLS handshake that failed."""
        if not self._isSecured and (why := reasons_of(reason.value)) is not None:
            self.examination.insecure(why)
        super().connectionLost(reason)

    def finished(self) -> None:
        """End the examination."""
        super().finished()
        self.examination.lost()
        self.factory.tell(self.examination, None)


class Device:
    """The application of a device's connection: it sends nothing."""

    def __init__(self, examination: Examination) -> None:
        self._examination = examination

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Do nothing: nothing is sent."""

    def negotiationFinished(self) -> None:
        """Do nothing: the device speaks first."""

    def textMessageReceived(self, message: str) -> None:
        """Examine a text message."""
        self._examination.message(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Examine a binary message."""
        self._examination.message(data)

    def pongReceived(self, payload: bytes) -> None:
        """Do nothing: a pong need not answer a ping."""

    def connectionLost(self, reason: Failure) -> None:
        """Examine the end of the conversation."""
        self._examination.ended(cast("CleanClose | AbruptClose", reason.value).ended)


class _Applications:
    """The applications of all connections, which :meth:`Examiner.decide` builds."""

    def buildProtocol(self, offer: Offer) -> None:
        """Build nothing."""


class Examiner(HixieServerFactory):
    """Server factory that examines its connections."""

    def __init__(self, reactor: IReactorTime, seconds: float, tell: TellResult) -> None:
        """
        :param reactor: its clock is used.
        :param seconds: how long a device is examined.
        :param tell: told of each result.
        """
        third = seconds / 3
        super().__init__(
            _Applications(),
            origins=["*"],
            quirks=[quirk.word for quirk in QUIRKS],
            subprotocols=_first,
            limits=Limits(
                lifetime=seconds,
                open_timeout=min(_OPEN_TIMEOUT, seconds),
                ping_interval=third,
                ping_timeout=third,
            ),
            heldBytes=HeldBytes(_MOST_HELD),
            clock=reactor,
        )
        self.tell = tell

    def buildProtocol(self, addr: IAddress | None) -> ExaminedConnection | None:  # type: ignore[override]  # may return None, as Twisted allows; the base class never does
        """Return the protocol of a new connection; ``None``, which closes it, for too many."""
        if len(self.connections) >= MOST_CONNECTIONS:
            return None
        return ExaminedConnection(self)

    def examine(self, connection: ExaminedConnection) -> Examination:
        """Begin the examination of a connection."""
        peer = connection.getPeer()

        def tell(result: Result) -> None:
            self.tell(examination, result)

        examination = Examination(
            shown_address(peer), shown_host(peer), connection.isSecure(), self.limits, tell
        )
        return examination

    def decide(self, offer: Offer, connection: HixieProtocol) -> Device:
        """Accept every offer."""
        return Device(cast(ExaminedConnection, connection).examination)


def _first(offer: Offer) -> str | None:
    """Choose the subprotocol that the device prefers: many devices want none but their own."""
    return offer.subprotocols[0] if offer.subprotocols else None


async def openPort(reactor: Any, text: str, factory: Examiner) -> tuple[IListeningPort, str]:
    """
    Listen on a port.

    :param text: the port, as for ``--port`` of the daemon.
    :return: the listening port, and its URL or else its description.
    :raises CommandFailed: for a bad description, and for a port that cannot be opened.
    """
    endpoint = _endpoint(reactor, text)
    try:
        port = await endpoint.listen(factory)
    except Exception:
        why = whyNot(Failure())
        raise CommandFailed(Status.FAILED, f"cannot listen on {text}: {why}") from None
    return port, urlOf(port, text, "ws") or text


def _endpoint(reactor: Any, text: str) -> IStreamServerEndpoint:
    try:
        check_port(f"tcp:{text}" if text.isdecimal() else text)
        if text.isdecimal():
            return BothFamiliesEndpoint(reactor, int(text))
        return serverEndpoint(reactor, text)
    except Exception as error:
        why = expectation(error, "a port number or an endpoint description")
        raise CommandFailed(Status.USAGE, f"--listen {text}: {why}") from None
