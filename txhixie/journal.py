"""The log's lines about connections, in one grammar: an event, and named fields.

``refused connection=7 peer=192.0.2.1:54321 status=403 reason="..."``: a value with a blank, an
equals sign or a quotation mark stands in quotation marks, and a field that has no value is left
out. Every value of a peer's is escaped and cut, and URLs lose the values of their queries: a log is
read by people and by programs that split it into lines, and by more people than may have a
visitor's token.

One line for each refusal and each broken rule; repeats of one peer's are counted. For whoever asks
for it, one when a conversation opens and one when it ends.
"""

from __future__ import annotations

import codecs
import itertools
import re
from typing import Any, Final, Protocol, TypeAlias, cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger, LogLevel

from .complaint import reasons_of
from .conversation import Conversation
from .handshake.offer import Agreement, Offer, Refusal
from .lifecycle import Ended
from .networks import unmapped
from .repeats import Repeats
from .wire.frame import CloseCode
from .wire.masked import masked_subprotocol, masked_url
from .wire.parameters import Named

_MOST_SHOWN: Final = 200
"""Characters of one field of a peer's that a line shows."""

_ORDINARY: Final = (
    CloseCode.NORMAL,
    CloseCode.GOING_AWAY,
    CloseCode.NO_STATUS,
    CloseCode.ABNORMAL,  # PhantomJS and many others just vanish
)

_escape = codecs.lookup("unicode_escape").encode
"""Looked up now: Python reads a codec from a file at its first use, which may come when no file can
be opened (``EMFILE``)."""

_BARE: Final = re.compile(r"[^\s\"=]+")
"""A value that needs no quotation marks."""


Kind: TypeAlias = tuple[str, str, int | None, str]
"""By what repeats are known: event, the peer's host, status and words."""


class Clocked(Protocol):
    """What has a clock: a :class:`txhixie.factory.HixieFactory`."""

    @property
    def clock(self) -> IReactorTime:
        """The clock."""
        ...


class RunningReactor:
    """Has the clock of the reactor that runs."""

    @property
    def clock(self) -> IReactorTime:
        """The reactor, which is installed by now."""
        from twisted.internet import reactor

        return cast(IReactorTime, reactor)


class Subject(Protocol):
    """
    Whom a line is about: a :class:`txhixie.protocol.HixieProtocol`.

    ``offer`` is not there before the request's head was read.
    """

    number: int
    began: float | None
    offer: Offer
    agreement: Agreement | None

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        ...


class Journal:
    """The lines of one factory's connections."""

    def __init__(self, log: Logger, everything: bool, factory: Clocked) -> None:
        """
        :param log: where they go.
        :param everything: each opening and ending too. Two lines nobody prints are a third of what
            a handshake costs, so that it has to be asked for.
        :param factory: whose clock is used.
        """
        self._log = log
        self._everything = everything
        self._factory = factory
        self._repeats: Repeats[Kind] = Repeats()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The number of one more connection."""
        return next(self._numbers)

    def opened(self, protocol: Subject) -> None:
        """A conversation has begun."""
        if not self._everything:
            return
        protocol.began = self._now()
        offer = protocol.offer
        agreed = None if protocol.agreement is None else protocol.agreement.subprotocol
        self._write(
            "opened",
            **of(protocol),
            dialect=offer.dialect,
            origin=offer.origin,
            subprotocol=None if agreed is None else masked_subprotocol(agreed),
            offered=_notAgreed(offer.subprotocols, agreed),
            extensions=",".join(name for name, _ in _extensionsOf(protocol)) or None,
        )
        self._tellRepeats()

    def refused(self, protocol: Subject, refusal: Refusal) -> None:
        """A handshake was answered with something else than a conversation."""
        if refusal.logged:
            return
        body = refusal.why or refusal.body
        words = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        self.turnedAway(
            protocol.getPeer(),
            refusal.status,
            words.strip() or "no reason given",
            of(protocol),
            {"origin": _originOf(protocol)},
        )

    def misused(self, protocol: Subject, why: str) -> None:
        """An application's answer to an offer cannot be carried out."""
        self.turnedAway(protocol.getPeer(), 500, why, of(protocol), level=LogLevel.error)

    def turnedAway(
        self,
        peer: object,
        status: int | None,
        why: str,
        first: dict[str, Any] | None = None,
        last: dict[str, Any] | None = None,
        level: Any = LogLevel.info,
    ) -> None:
        """
        A peer gets no conversation. Repeats from its address, with the same status and the same
        words, are counted for a minute, and have one line together.

        :param peer: its address.
        :param status: of the answer in HTTP, if it got one.
        :param why: for the log.
        :param first: the fields before the status; by default the peer alone.
        :param last: further fields, after the words.
        :param level: of Twisted's.
        """
        if not self._repeats.again(_kind("refused", peer, status, why), self._now()):
            named = first or {"peer": shownAddress(peer)}
            writeLine(
                self._log, "refused", level, **named, status=status, reason=why, **(last or {})
            )
        self._tellRepeats()

    def noticed(self, peer: IAddress, what: str, protocol: Subject | None = None) -> None:
        """
        A peer did something that is no refusal yet and that an operator looks for. Repeats are
        counted, as for :meth:`turnedAway`.
        """
        if not self._repeats.again(_kind("noticed", peer, None, what), self._now()):
            named = {"peer": shownAddress(peer)} if protocol is None else of(protocol)
            origin = None if protocol is None else _originOf(protocol)
            self._write("noticed", **named, reason=what, origin=origin)
        self._tellRepeats()

    def unsecured(self, protocol: Subject, error: BaseException | None) -> None:
        """A connection has ended before its first byte; if TLS is why, nobody else knows it."""
        if reasons := reasons_of(error):
            self.turnedAway(protocol.getPeer(), None, f"no TLS: {reasons}", of(protocol))

    def stalled(
        self, peer: IAddress, seconds: float, waiting: int, protocol: Subject | None = None
    ) -> None:
        """
        A connection is ended because its peer acknowledged nothing for so long.

        :param protocol: that of the connection, where it is one of ours.
        """
        named = {"peer": shownAddress(peer)} if protocol is None else of(protocol)
        self._write("stalled", **named, reason=whyStalled(seconds), waiting=waiting)

    def ended(self, protocol: Subject, ended: Ended, conversation: Conversation | None) -> None:
        """A connection has ended, whose application had been told of it."""
        if not self._everything and ended.code in _ORDINARY:
            return
        began = protocol.began
        self._write(
            "ended",
            **of(protocol),
            code=ended.code,
            reason=ended.reason or None,
            by=ended.who,
            received=conversation.received if conversation is not None else 0,
            sent=conversation.sent if conversation is not None else 0,
            seconds=None if began is None else f"{self._now() - began:.1f}",
        )

    def page(self, number: int | None, request: Any) -> None:
        """A request for a page was answered: the line of an access log."""
        self._write(
            "page",
            connection=number,
            peer=shownAddress(request.getClientAddress()),
            host=_field(request, "host"),
            method=request.method.decode("latin-1"),
            target=masked_url(request.uri.decode("latin-1")),
            status=request.code,
            bytes=request.sentLength,
            referrer=masked_url(_field(request, "referer") or "") or None,
            agent=_field(request, "user-agent"),
        )

    def close(self) -> None:
        """The last port has stopped listening: write what was only counted."""
        self._writeRepeats(self._repeats.all())

    def _tellRepeats(self) -> None:
        self._writeRepeats(self._repeats.over(self._now()))

    def _writeRepeats(self, told: list[tuple[Kind, int]]) -> None:
        for (event, peer, status, why), count in told:
            self._write(event, peer=peer, status=status, reason=why, repeated=count)

    def _now(self) -> float:
        return self._factory.clock.seconds()

    def _write(self, event: str, **fields: Any) -> None:
        writeLine(self._log, event, **fields)


def _kind(event: str, peer: object, status: int | None, why: str) -> Kind:
    return event, shownHost(peer), status, why[:_MOST_SHOWN]


def whyStalled(seconds: float) -> str:
    """The words for a peer that made no progress."""
    return f"no data acknowledged for {seconds:g} s (Limits.stall_timeout)"


def of(protocol: Subject) -> dict[str, Any]:
    """The fields that say which connection a line is about, and what it has asked for."""
    offer = getattr(protocol, "offer", None)
    named: dict[str, Any] = {
        "connection": protocol.number,
        "peer": shownAddress(protocol.getPeer()),
    }
    if offer is not None:
        named |= {"host": offer.host, "target": masked_url(offer.target)}
    return named


def writeLine(log: Logger, event: str, level: Any = LogLevel.info, **fields: Any) -> None:
    """
    Write one line: the event, and each field that has a value.

    :param level: of Twisted's.
    :param fields: text, which is cut and escaped here, or numbers. An observer that writes JSON
        finds each by its name, and the event as ``event``.
    """
    values = {name: _written(value) for name, value in fields.items() if value is not None}
    log.emit(level, " ".join([event, *(f"{n}={{{n}}}" for n in values)]), event=event, **values)


def _written(value: object) -> str:
    text = shown(str(value))
    if _BARE.fullmatch(text):
        return text
    return '"{}"'.format(text.replace('"', '\\"'))


def shown(value: str) -> str:
    """A peer's words, safe to print: one line, ASCII, not for ever."""
    escaped = _escape(value[:_MOST_SHOWN])[0].decode("ascii")
    return escaped + ("..." if len(value) > _MOST_SHOWN else "")


def shownURL(url: str) -> str:
    """A URL for a log: without its user, and without the values of its query."""
    return shown(masked_url(url))


def shownAddress(address: object) -> str:
    """``host:port``, or the path of a UNIX socket, or what else the transport says. A client that a
    proxy tells of has no port, or 0."""
    host, port = shownHost(address), getattr(address, "port", None)
    return f"{host}:{port}" if port else host


def shownHost(address: object) -> str:
    """
    An address without its port. ``::ffff:192.0.2.1`` is 192.0.2.1, which a socket for both families
    shows so.
    """
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{shown(name.decode('utf-8', 'replace'))}" if name else "unix"
    host = unmapped(host)
    return f"[{host}]" if ":" in host else host


def _originOf(protocol: Subject) -> str | None:
    offer = getattr(protocol, "offer", None)
    return None if offer is None else offer.origin


def _notAgreed(offered: tuple[str, ...], agreed: str | None) -> str | None:
    """The subprotocols that the client has offered in vain."""
    if not offered or offered == (agreed,):
        return None
    return ",".join(masked_subprotocol(name) for name in offered if name != agreed) or None


def _extensionsOf(protocol: Subject) -> tuple[Named, ...]:
    return () if protocol.agreement is None else protocol.agreement.extensions


def _field(request: Any, name: str) -> str | None:
    value = request.requestHeaders.getRawHeaders(name.encode("ascii"))
    return value[0].decode("latin-1") if value else None
