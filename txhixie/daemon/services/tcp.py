"""The byte stream service: relays messages of a client as the byte stream of a backend.

The backend is a Twisted client endpoint string of the operator; a client cannot choose it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from ...byte_streams.coding import CODINGS, sized
from ...byte_streams.either_kind import EitherKind
from ...dialing.tls_descriptions import clientEndpoint
from ...display import expectation
from ...gateway.headers import is_token
from ...gateway.relay_service import RelayService
from ...gateway.service import CONNECT_TIMEOUT
from ...gateway.stream_backend import StreamBackend
from ...interfaces import Decision
from ...sansio.dialects import named
from ...sansio.handshake.offer import Offer, Refusal
from ...sansio.limits import Limits
from ...server.port_check import check_backend
from ..setting import Setting, ValueKind, one_of
from .service import Context, Service

FOR_TEXT: Final = "base64"
FOR_BINARY: Final = "binary"


def _subprotocols(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(map(is_token, names)):
        raise ValueError
    return names


STREAM_OPTIONS: Final = (
    Setting(
        "coding",
        one_of(CODINGS),
        "Coding of the byte stream in messages.",
        "binary or base64, by the client's subprotocols, or else by the client's dialect",
    ),
    Setting(
        "subprotocols",
        ValueKind("names of subprotocols, such as mqtt, with commas", _subprotocols, (str, list)),
        "Subprotocols to select from, separated by commas: the first one that the client offers is "
        "selected.",
        "the route's required-subprotocol",
    ),
)


def buildStream(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> StreamService:
    """
    Make a byte stream service.

    :raises ValueError: as :class:`StreamService` does.
    """
    required = [name for name in (context.route.subprotocol,) if name is not None]
    return StreamService(
        reactor,
        description,
        coding=options.get("coding"),
        subprotocols=options.get("subprotocols", required),
        connectTimeout=context.connectTimeout,
        limits=context.limits,
        route=str(context.route),
        quirks=context.quirks,
        maxSentFrame=options.get("max-sent-frame"),
        connectionPoller=context.connectionPoller,
    )


class StreamService(RelayService):
    """
    Server factory that relays each client to a byte stream, with a connection for each client.

    :ivar sessions: the sessions between the clients and the backend.
    """

    def __init__(
        self,
        reactor: Any,
        description: str,
        *,
        coding: str | None = None,
        subprotocols: Sequence[str] = (),
        connectTimeout: float = CONNECT_TIMEOUT,
        limits: Limits = Limits(),
        route: str | None = None,
        quirks: Collection[str] = (),
        maxSentFrame: int | None = None,
        connectionPoller: bool = True,
    ) -> None:
        """
        :param reactor: its sockets and clock are used.
        :param description: client endpoint string of the backend. A host name in the string is
            looked up for each connection.
        :param coding: coding of the byte stream in messages, a key of
            :data:`txhixie.byte_streams.coding.CODINGS`. By default the client's subprotocols decide
            (``binary`` or ``base64``, as clients of websockify send); without these, the coding is
            ``binary`` if the client's dialect has binary messages, and ``base64`` otherwise.
        :param subprotocols: subprotocols of the byte stream itself, such as ``mqtt``; the first one
            that the client offers is selected.
        :param connectTimeout: timeout of the connect to the backend in seconds; after this time the
            client is refused with 504.
        :param limits: limits of each connection; sizes in bytes, times in seconds.
        :param route: route that leads to the service, for the log.
        :param quirks: quirks of the route; with ``kinds`` text messages are taken for binary ones,
            and the reverse.
        :param maxSentFrame: most bytes of a message to the client, at least 4; ``None`` for the
            default of the coding. A line is always one message.
        :param connectionPoller: as for :class:`txhixie.HixieClientFactory`.
        :raises ValueError: "expected ..." for a bad endpoint string or an unknown coding.
        """
        if coding is not None and coding not in CODINGS:
            raise ValueError(f"coding: expected {', '.join(CODINGS)}, not {coding}")
        self._endpoint = streamEndpoint(reactor, description)
        self._limits = limits
        self._coding = coding
        self._takesEitherKind = "kinds" in quirks
        self._subprotocols = tuple(subprotocols)
        self._maxSentFrame = maxSentFrame
        self._connectTimeout = connectTimeout
        self._connectionPoller = connectionPoller
        super().__init__(reactor, description, limits, route)

    def buildProtocol(self, offer: Offer) -> Deferred[Decision] | Refusal:
        """
        Connect to the backend for a client.

        :param offer: the client's offer.
        :return: fires with the decision about the client's handshake when the backend is connected;
            or, at once, a refusal, if the client asks for binary messages and its dialect has none.
        """
        return self.reach(offer, self._connectTimeout)

    def backendFor(self, offer: Offer) -> StreamBackend | Refusal:
        """
        Make the backend side of a session.

        :param offer: the client's offer.
        :return: the backend side; or a refusal, if the client asks for binary messages and its
            dialect has none.
        """
        coding = self._codingFor(offer)
        if coding == FOR_BINARY and not named(offer.dialect).has_binary:
            return Refusal(
                400, f"{offer.dialect} has no binary messages; offer subprotocol {FOR_TEXT}\n"
            )
        subprotocol = self._subprotocolFor(offer, coding)
        made = CODINGS[coding]()
        if self._maxSentFrame is not None:
            made = sized(made, self._maxSentFrame)
        used = EitherKind(made) if self._takesEitherKind else made
        return StreamBackend(
            self._endpoint, used, subprotocol, self._limits, self._connectionPoller
        )

    def _codingFor(self, offer: Offer) -> str:
        if self._coding is not None:
            return self._coding
        binary = named(offer.dialect).has_binary
        for name in offer.subprotocols:
            if name == FOR_TEXT or (name == FOR_BINARY and binary):
                return name
        if FOR_BINARY in offer.subprotocols:
            return FOR_BINARY  # refused by buildProtocol: no binary messages
        return FOR_BINARY if binary else FOR_TEXT

    def _subprotocolFor(self, offer: Offer, coding: str) -> str | None:
        """
        Select a subprotocol: one of the byte stream, or else the name of the coding.

        A client that offers both knows the coding already.
        """
        for name in (*self._subprotocols, coding):
            if name in offer.subprotocols:
                return name
        return None


def streamEndpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    Make the endpoint of a backend.

    :raises ValueError: "expected ..." for a bad description, with the description.
    """
    try:
        check_backend(description)
    except ValueError as error:
        raise ValueError(f"{description}: {error}") from None
    try:
        return clientEndpoint(reactor, description)
    except Exception as error:
        expected = (
            "a client endpoint description, such as tcp:HOST:PORT, tls:HOST:PORT or unix:/PATH"
        )
        raise ValueError(f"{description}: {expectation(error, expected)}") from None


STREAM: Final = Service("stream", (), STREAM_OPTIONS, buildStream)
"""Row of the table of services."""
