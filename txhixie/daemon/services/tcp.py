"""The byte stream service: a conversation's messages as the bytes of a connection somewhere else.

Where it goes is a Twisted client endpoint string, the operator's; a client has no say in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from ...byte_streams.coding import CODINGS
from ...dialing.tls_descriptions import clientEndpoint
from ...display import expectation
from ...gateway.headers import is_token
from ...gateway.service import CONNECT_TIMEOUT
from ...gateway.session import Sessions
from ...gateway.stream_backend import StreamBackend
from ...interfaces import Decision
from ...sansio.dialects import named
from ...sansio.handshake.offer import Offer, Refusal
from ...sansio.limits import Limits
from ...server.port_check import check_backend
from ..setting import Setting, ValueKind, one_of
from .service import Context

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
        "How the stream stands in messages.",
        "binary or base64, as the client's subprotocols say, or else its dialect",
    ),
    Setting(
        "subprotocols",
        ValueKind("names of subprotocols, such as mqtt, with commas", _subprotocols),
        "The subprotocols to choose from, with commas: the first of them that the client offers.",
        "the route's required-subprotocol",
    ),
)


def buildStream(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> StreamService:
    """
    The row's builder.

    :raises ValueError: as :class:`StreamService`.
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
    )


class StreamService:
    """
    Serves one byte stream to everybody, each client with a connection of its own.

    :ivar sessions: those connections.
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
    ) -> None:
        """
        :param reactor: whose sockets and clock are used.
        :param description: a client endpoint string. A name in it is looked up for each connection.
        :param coding: how the stream stands in messages, a key of
            :data:`txhixie.byte_streams.coding.CODINGS`. By default, as the client's subprotocols
            say (``binary`` or ``base64``, as websockify's clients do), or else binary where the
            client's dialect has it, and base64 where not.
        :param subprotocols: the subprotocols of the stream itself, such as ``mqtt``, to choose
            from: the first of them that the client offers.
        :param connectTimeout: seconds until a backend that does not answer is given up, with a 504.
        :param route: what leads here, for the log.
        :raises ValueError: "expected ..." for what is no such string, or no coding.
        """
        if coding is not None and coding not in CODINGS:
            raise ValueError(f"coding: expected {', '.join(CODINGS)}, not {coding}")
        self._endpoint = _endpoint(reactor, description)
        self._limits = limits
        self._coding = coding
        self._subprotocols = tuple(subprotocols)
        self.sessions = Sessions(description, reactor, connectTimeout, limits, route)

    def buildProtocol(self, offer: Offer) -> Deferred[Decision] | Refusal:
        """Connect; the client is answered when that is done."""
        coding = self._codingFor(offer)
        if coding == FOR_BINARY and not named(offer.dialect).has_binary:
            return Refusal(400, f"{offer.dialect} has no binary; offer {FOR_TEXT}\n")
        subprotocol = self._subprotocolFor(offer, coding)
        stream = StreamBackend(self._endpoint, CODINGS[coding](), subprotocol, self._limits)
        return self.sessions.begin(stream)

    def _codingFor(self, offer: Offer) -> str:
        if self._coding is not None:
            return self._coding
        binary = named(offer.dialect).has_binary
        for name in offer.subprotocols:
            if name == FOR_TEXT or (name == FOR_BINARY and binary):
                return name
        if FOR_BINARY in offer.subprotocols:
            return FOR_BINARY  # all it can do is nothing its dialect can
        return FOR_BINARY if binary else FOR_TEXT

    def _subprotocolFor(self, offer: Offer, coding: str) -> str | None:
        """The stream's own before the coding's: a client that offers both knows what it will be."""
        for name in (*self._subprotocols, coding):
            if name in offer.subprotocols:
                return name
        return None


def _endpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
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
