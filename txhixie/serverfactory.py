"""The factory of a server's connections: what is served to whom, and by which rules."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Final, TypeAlias, TypedDict

from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from zope.interface import implementer

from .acknowledged import lowest
from .applications import checkBuilder
from .arguments import strings
from .dialects import DIALECTS, Dialect, named
from .extensions import DEFAULT_EXTENSIONS
from .extensions.extension import Extension
from .factory import Connection, HixieFactory
from .handshake.offer import Offer
from .interfaces import WebSocketServerFactory
from .limits import Limits
from .networks import Networks
from .policy import Policy
from .server import HixieServerProtocol
from .shutdown import Shutdown

HTTP: Final = b"http/1.1"
"""The name of HTTP/1.1 in IANA's registry of ALPN protocol IDs."""

SubprotocolChoice: TypeAlias = "Iterable[str] | Callable[[Offer], str | None]"


class ServerOptions(TypedDict, total=False):
    """What :class:`HixieServerFactory` may be told besides, for whoever passes it on."""

    dialects: Iterable[str] | None
    origins: Iterable[str] | None
    hosts: Iterable[str] | None
    subprotocols: SubprotocolChoice
    extensions: Iterable[Extension]
    limits: Limits
    secure: bool | None
    trustForwarded: Iterable[str]
    binary: bool
    logConnections: bool
    clock: IReactorTime | None


@implementer(IProtocolNegotiationFactory)
class HixieServerFactory(HixieFactory):
    """
    Serves applications, in every dialect, on whatever listens with it.

    :ivar applications: chooses an application for each offer.
    :ivar dialects: the rows that are spoken.
    :ivar policy: who may come in.
    :ivar secure: whether clients come by TLS that ends before us; ``None``: as the socket says.
    :ivar relays: who is believed what is forwarded.
    :ivar elsewhere: who gets a request that is HTTP and not WebSocket.
    """

    def __init__(
        self,
        applications: WebSocketServerFactory,
        *,
        dialects: Iterable[str] | None = None,
        origins: Iterable[str] | None = None,
        hosts: Iterable[str] | None = None,
        subprotocols: SubprotocolChoice = (),
        extensions: Iterable[Extension] = DEFAULT_EXTENSIONS,
        limits: Limits = Limits(),
        secure: bool | None = None,
        trustForwarded: Iterable[str] = (),
        binary: bool = False,
        elsewhere: IProtocolFactory | None = None,
        logConnections: bool = False,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        :param applications: has ``buildProtocol(offer)``; if it has ``doStart`` and ``doStop`` as
            well, they are called when the first port listens and when the last has stopped.
        :param dialects: names of those to speak; all that there are by default.
        :param origins: pages that may connect, see :class:`txhixie.policy.Policy`; by default those
            of the same host, and whatever sends no Origin.
        :param hosts: names this server is known under; any by default.
        :param subprotocols: which one to answer where the application does not say (with
            :class:`txhixie.interfaces.Accepted`): a sequence, the first that the client offers; or
            a callable, which gets the offer and answers one of its subprotocols or ``None``.
        :param extensions: what to agree on besides, where a client offers it; by default
            permessage-deflate, which keeps up to 44 KiB for a peer that compresses, and for clients
            that offer no such thing x-webkit-deflate-frame (Safari 6 and 7), which keeps nothing.
        :param limits: sizes in bytes, times in seconds.
        :param secure: say ``True`` where TLS ends before us.
        :param trustForwarded: addresses and networks of the proxies before us, or ``unix``: what
            they forward (``Forwarded``, ``X-Forwarded-For``, ``-Proto``, ``-Host``) is believed.
        :param binary: send binary in hixie-75 and 76 although browsers of these lose it.
        :param elsewhere: a factory, such as a ``twisted.web`` ``Site``, for ordinary HTTP; it is
            started and stopped with this one. Without it: 404. Each of its connections ends with
            its first answer, unless the Site's root is a :class:`txhixie.web.HixieResource`.
        :param logConnections: write an ``info`` line when a conversation opens and when it ends.
            What is refused or breaks a rule always has its line.
        :param clock: measures the time limits; the reactor by default.
        :raises ValueError: for a dialect there is not, and for an address that is none.
        :raises TypeError: for a value of another type, such as one string where a list belongs; and
            for applications without ``buildProtocol``: a coroutine function that was
            not given to :func:`txhixie.serve` would refuse its first client with 500.
        """
        checkBuilder("applications", applications, "a coroutine function goes into serve(...)")
        if elsewhere is not None:
            checkBuilder("elsewhere", elsewhere, "a resource goes into Site(resource)")
        super().__init__(limits, clock, binary, logConnections, extensions, secrets.token_bytes)
        self.applications = applications
        self.dialects: tuple[Dialect, ...] = (
            DIALECTS
            if dialects is None
            else tuple(map(named, strings("dialects", dialects, '["rfc6455"]')))
        )
        self.policy = Policy(origins, hosts)
        self.secure = secure
        self.relays = Networks(strings("trustForwarded", trustForwarded, '["127.0.0.1"]'))
        self.elsewhere = elsewhere
        self._subprotocols = settledChoice(subprotocols)
        self._listens = False
        self._shutdown = Shutdown(self.closeAll, self.abortAll)

    @property
    def elsewhereUpgrades(self) -> bool:
        """
        Whether whoever gets the other requests finds WebSocket requests among them, so that their
        connections need not end with the first answer: a Site, with such a resource at its root.
        """
        return bool(getattr(getattr(self.elsewhere, "resource", None), "upgrades", False))

    def acceptableProtocols(self) -> list[bytes]:
        """
        Name the protocols to agree on by ALPN (RFC 7301), for TLS ports: HTTP/1.1, which both an
        upgrade request and an ordinary one begin with.

        Twisted 26.10 refuses every client that offers ALPN, as all browsers and curl do, to a
        factory without this method. It is not the answer of ``elsewhere``: a ``Site`` would name
        ``h2``, and the first bytes are read here, as HTTP/1.1.
        """
        return [HTTP]

    def startFactory(self) -> None:
        """
        A port listens; whatever here is a factory itself hears of it. When the reactor stops, the
        connections are closed with 1001 first.
        """
        for start in self._tell("doStart"):
            start()
        self._listens = True
        self._shutdown.arm(self.clock)

    def stopFactory(self) -> None:
        """The last port has stopped listening; connections may stand still."""
        self._listens = False
        self._disarmIfOver()
        for stop in self._tell("doStop"):
            stop()
        super().stopFactory()

    def joined(self, connection: Connection) -> None:
        """See :meth:`txhixie.factory.HixieFactory.joined`. Under a Site we have no port."""
        super().joined(connection)
        if not self._shutdown.isArmed:
            reactor = getattr(lowest(connection.transport), "reactor", None)
            if self._clock is None or self._clock is reactor:
                self._shutdown.arm(reactor)

    def left(self, connection: Connection) -> None:
        """See :meth:`txhixie.factory.HixieFactory.left`."""
        super().left(connection)
        self._disarmIfOver()

    def _disarmIfOver(self) -> None:
        if not self._listens and not self.connections:
            self._shutdown.disarm()

    @property
    def isStopping(self) -> bool:
        """Whether the reactor is stopping: there are no new connections."""
        return self._shutdown.hasBegun

    def _tell(self, what: str) -> list[Callable[[], None]]:
        told = (getattr(each, what, None) for each in (self.applications, self.elsewhere))
        return [tell for tell in told if tell is not None]

    def buildProtocol(self, addr: IAddress | None) -> HixieServerProtocol:  # type: ignore[override]
        """A connection's protocol."""
        return HixieServerProtocol(self)

    def chooseSubprotocol(self, offer: Offer) -> str | None:
        """The subprotocol to answer, if the application leaves it to us."""
        return chosenSubprotocol(self._subprotocols, offer)


def settledChoice(choice: SubprotocolChoice) -> SubprotocolChoice:
    """
    A choice of subprotocols that can be asked for each offer.

    :raises TypeError: for one string, for names that are not ``str``, and for a coroutine function:
        a choice is made at once.
    """
    if not callable(choice):
        return strings("subprotocols", choice, '["chat"]')
    if iscoroutinefunction(choice):
        raise TypeError(
            "subprotocols: expected a function that answers at once, not a coroutine function; "
            "answer Accepted(application, subprotocol) from an async buildProtocol"
        )
    return choice


def chosenSubprotocol(choice: SubprotocolChoice, offer: Offer) -> str | None:
    """The subprotocol to answer to an offer, if there is one to choose."""
    if callable(choice):
        return choice(offer)
    if not offer.subprotocols:
        return None
    return next((name for name in choice if name in offer.subprotocols), None)
