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

import itertools
import re
from typing import Any, Final, Protocol, TypeAlias, cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger, LogLevel

from ..display import MOST_SHOWN, reasons_of, shown, shown_address, shown_host
from ..sansio.closing import Ended
from ..sansio.conversation import Conversation
from ..sansio.handshake.offer import Agreement, Offer, Refusal
from ..sansio.http.parameters import Named
from ..sansio.http.redaction import masked_host, masked_subprotocol, masked_text, masked_url
from ..sansio.wire.frame import CloseCode
from .repeats import Repeats

_ORDINARY: Final = (
    CloseCode.NORMAL_CLOSURE,
    CloseCode.GOING_AWAY,
    CloseCode.NO_STATUS_RCVD,
    CloseCode.ABNORMAL_CLOSURE,  # PhantomJS and many others just vanish
)

_BARE: Final = re.compile(r"[^\s\"=]+")
"""A value that needs no quotation marks."""


RefusalKind: TypeAlias = tuple[str, str, int | None, str]
"""By what repeats are known: event, the peer's host, status and words."""


class Clocked(Protocol):
    """What has a clock: a :class:`txhixie.HixieFactory`."""

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
    Whom a line is about: a :class:`txhixie.HixieProtocol`.

    ``offer`` is not there before the request's head was read.
    """

    number: int
    began: float | None
    offer: Offer
    agreement: Agreement | None

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        ...


class ConnectionLog:
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
        self._repeats: Repeats[RefusalKind] = Repeats()
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
            origin=_originOf(protocol),
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
            named = first or {"peer": shown_address(peer)}
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
            named = {"peer": shown_address(peer)} if protocol is None else of(protocol)
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
        named = {"peer": shown_address(peer)} if protocol is None else of(protocol)
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
            peer=shown_address(request.getClientAddress()),
            host=masked_host(_field(request, "host") or "") or None,
            method=request.method.decode("latin-1"),
            target=masked_url(request.uri.decode("latin-1")),
            status=request.code,
            bytes=request.sentLength,
            referrer=masked_url(_field(request, "referer") or "") or None,
            agent=masked_text(_field(request, "user-agent") or "") or None,
        )

    def close(self) -> None:
        """The last port has stopped listening: write what was only counted."""
        self._writeRepeats(self._repeats.all())

    def _tellRepeats(self) -> None:
        self._writeRepeats(self._repeats.over(self._now()))

    def _writeRepeats(self, told: list[tuple[RefusalKind, int]]) -> None:
        for (event, peer, status, why), count in told:
            self._write(event, peer=peer, status=status, reason=why, repeated=count)

    def _now(self) -> float:
        return self._factory.clock.seconds()

    def _write(self, event: str, **fields: Any) -> None:
        writeLine(self._log, event, **fields)


def _kind(event: str, peer: object, status: int | None, why: str) -> RefusalKind:
    return event, shown_host(peer), status, why[:MOST_SHOWN]


def whyStalled(seconds: float) -> str:
    """The words for a peer that made no progress."""
    return f"no data acknowledged for {seconds:g} s (Limits.stall_timeout)"


def of(protocol: Subject) -> dict[str, Any]:
    """The fields that say which connection a line is about, and what it has asked for."""
    offer = getattr(protocol, "offer", None)
    named: dict[str, Any] = {
        "connection": protocol.number,
        "peer": shown_address(protocol.getPeer()),
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


def _originOf(protocol: Subject) -> str | None:
    """The Origin field, which programs fill with a URL and its query."""
    offer = getattr(protocol, "offer", None)
    return None if offer is None or offer.origin is None else masked_url(offer.origin)


def _notAgreed(offered: tuple[str, ...], agreed: str | None) -> str | None:
    """
    The subprotocols that the client has offered in vain. A list of hixie-75 and hixie-76 is one
    string, which comes first in an offer, and then its members: here it is only these.
    """
    if offered and "," in offered[0]:
        offered = () if agreed == offered[0] else offered[1:]
    return ",".join(masked_subprotocol(name) for name in offered if name != agreed) or None


def _extensionsOf(protocol: Subject) -> tuple[Named, ...]:
    return () if protocol.agreement is None else protocol.agreement.extensions


def _field(request: Any, name: str) -> str | None:
    value = request.requestHeaders.getRawHeaders(name.encode("ascii"))
    return value[0].decode("latin-1") if value else None
