"""What is logged of connections: one line when a peer is refused or breaks a rule, and, for whoever
wants to read them all, one when a conversation opens and one when it ends.

Whatever a peer sent is escaped, and cut: a log is read by people and by programs that split it
into lines.
"""

from __future__ import annotations

from typing import Final, Protocol

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger

from .complaint import reasons_of
from .conversation import Conversation
from .handshake.offer import Agreement, Offer, Refusal
from .lifecycle import Ended
from .wire.frame import CloseCode
from .wire.parameters import Named

_MOST_SHOWN: Final = 200
"""Characters of one field of a peer's that a line shows."""

_ORDINARY: Final = (
    CloseCode.NORMAL,
    CloseCode.GOING_AWAY,
    CloseCode.NO_STATUS,
    CloseCode.ABNORMAL,  # PhantomJS and many others just vanish
)


class Clocked(Protocol):
    """What has a clock: a :class:`txhixie.factory.HixieFactory`."""

    @property
    def clock(self) -> IReactorTime:
        """The clock."""
        ...


class Subject(Protocol):
    """Whom a line is about: a :class:`txhixie.protocol.HixieProtocol`."""

    began: float | None
    offer: Offer
    agreement: Agreement | None

    @property
    def factory(self) -> Clocked:
        """Whose it is."""
        ...

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        ...


class Journal:
    """The lines of one factory's connections."""

    def __init__(self, log: Logger, everything: bool) -> None:
        """
        :param log: where they go.
        :param everything: each opening and ending too. Two lines nobody prints are a third of what
            a handshake costs, so that it has to be asked for.
        """
        self._log = log
        self._everything = everything

    def opened(self, protocol: Subject) -> None:
        """A conversation has begun."""
        if not self._everything:
            return
        protocol.began = protocol.factory.clock.seconds()
        offer = protocol.offer
        self._log.info(
            "{peer} opened {path} in {dialect}, origin {origin}{subprotocol}{extensions}",
            peer=shownAddress(protocol.getPeer()),
            path=shown(offer.target),
            dialect=offer.dialect,
            origin=shown(offer.origin) if offer.origin is not None else "none",
            subprotocol=_subprotocolOf(protocol),
            extensions="".join(f", {name}" for name, _ in _extensionsOf(protocol)),
        )

    def refused(self, peer: IAddress, refusal: Refusal, offer: Offer | None) -> None:
        """A handshake was answered with something else than a conversation."""
        if refusal.logged:
            return
        body = refusal.body
        words = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        self._log.info(
            "{peer} refused with {status}: {why}{path}",
            peer=shownAddress(peer),
            status=refusal.status,
            why=shown(words.strip() or "no reason given"),
            path=f", for {shown(offer.target)}, origin {shown(offer.origin or 'none')}"
            if offer is not None
            else "",
        )

    def misused(self, peer: IAddress, why: str, offer: Offer) -> None:
        """An application's answer to an offer cannot be carried out."""
        self._log.error(
            "{peer} refused with 500: {why}, for {path}",
            peer=shownAddress(peer),
            why=shown(why),
            path=shown(offer.target),
        )

    def noticed(self, peer: IAddress, what: str, offer: Offer | None = None) -> None:
        """A peer did something that is no refusal yet and that an operator looks for."""
        path = f", for {shown(offer.target)}" if offer is not None else ""
        self._log.info("{peer} {what}{path}", peer=shownAddress(peer), what=shown(what), path=path)

    def unsecured(self, peer: IAddress, error: BaseException | None) -> None:
        """A connection has ended before its first byte; if TLS is why, nobody else knows it."""
        if reasons := reasons_of(error):
            self._log.info("{peer} ended without TLS: {why}", peer=shownAddress(peer), why=reasons)

    def stalled(self, peer: IAddress, seconds: float, waiting: int) -> None:
        """A connection is ended because its peer acknowledged nothing for so long."""
        self._log.info(
            "{peer} stalled: no data acknowledged for {seconds:g} s, {waiting} bytes unsent or "
            "unacknowledged (Limits.stall_timeout)",
            peer=shownAddress(peer),
            seconds=seconds,
            waiting=waiting,
        )

    def ended(self, protocol: Subject, ended: Ended, conversation: Conversation | None) -> None:
        """A connection has ended, whose application had been told of it."""
        if not self._everything and ended.code in _ORDINARY:
            return
        clock, began = protocol.factory.clock, protocol.began
        self._log.info(
            "{peer} ended with {code}{reason} by {who}, {received} received, {sent} sent{after}",
            peer=shownAddress(protocol.getPeer()),
            code=ended.code,
            reason=f" ({shown(ended.reason)})" if ended.reason else "",
            who=ended.who,
            received=conversation.received if conversation is not None else 0,
            sent=conversation.sent if conversation is not None else 0,
            after="" if began is None else f", {clock.seconds() - began:.1f} s",
        )


def shown(value: str) -> str:
    """A peer's words, safe to print: one line, ASCII, not for ever."""
    escaped = value[:_MOST_SHOWN].encode("unicode_escape").decode("ascii")
    return escaped + ("..." if len(value) > _MOST_SHOWN else "")


def shownURL(url: str) -> str:
    """Where we connect to, without its query: that is where a page that cannot set a header puts
    its token."""
    place, query, _ = url.partition("?")
    return shown(place) + ("?..." if query else "")


def shownAddress(address: object) -> str:
    """``host:port``, or the path of a UNIX socket, or what else the transport says. A client that a
    proxy tells of has no port, or 0."""
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{shown(name.decode('utf-8', 'replace'))}" if name else "unix"
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def _subprotocolOf(protocol: Subject) -> str:
    agreement, offered = protocol.agreement, protocol.offer.subprotocols
    if agreement is not None and agreement.subprotocol is not None:
        return f", subprotocol {shown(agreement.subprotocol)}"
    return f", subprotocol none of {shown(', '.join(offered))}" if offered else ""


def _extensionsOf(protocol: Subject) -> tuple[Named, ...]:
    return () if protocol.agreement is None else protocol.agreement.extensions
