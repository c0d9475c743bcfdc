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
from typing import Any, Final, NamedTuple, Protocol, cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger, LogLevel

from ..display import MOST_SHOWN, reasons_of, shown, shown_address, shown_host
from ..sansio.closing import Ended
from ..sansio.conversation import Conversation
from ..sansio.handshake.offer import Agreement, Offer, Refusal
from ..sansio.http.head import NOTHING_ASKED, Asked
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


class Kind(NamedTuple):
    """
    By what repeats of a line are known. The values are those of the line, masked and cut.

    :ivar peer: without the port.
    """

    event: str
    peer: str
    status: int | None
    reason: str
    host: str | None = None
    target: str | None = None
    origin: str | None = None

    @classmethod
    def of(
        cls, event: str, peer: object, status: int | None, why: str, asked: Asked
    ) -> tuple[Kind, ...]:
        """The kinds of a line, the finest first; the last is the same for each line of a peer."""
        address = shown_host(peer)
        coarse = cls(event, address, status, why[: MOST_SHOWN + 1])
        host, target, origin = map(_cut, asked)
        fine = coarse._replace(host=host, target=target, origin=origin)
        return fine, coarse, cls("refused", address, None, _OTHERS)


_OTHERS: Final = "other refusals and notices of this address"
"""The words for lines beyond :data:`txhixie.connection.repeats.MOST_LINES`."""


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

    @property
    def asked(self) -> Asked:
        """What the request asks for, as far as it can be read."""
        ...

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
            origin=_masked(protocol.asked).origin,
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
            protocol.asked,
            protocol.number,
        )

    def misused(self, protocol: Subject, why: str) -> None:
        """An application's answer to an offer cannot be carried out."""
        peer, asked, number = protocol.getPeer(), protocol.asked, protocol.number
        self.turnedAway(peer, 500, why, asked, number, level=LogLevel.error)

    def turnedAway(
        self,
        peer: object,
        status: int | None,
        why: str,
        asked: Asked = NOTHING_ASKED,
        number: int | None = None,
        level: Any = LogLevel.info,
    ) -> None:
        """
        A peer gets no conversation. Repeats from its address, with the same status, words, host,
        target and origin, are counted for a minute, and have one line together; so have those of an
        address beyond :data:`txhixie.connection.repeats.MOST_LINES` a minute.

        :param peer: its address.
        :param status: of the answer in HTTP, if it got one.
        :param why: for the log.
        :param asked: what the request asks for.
        :param number: of the connection.
        :param level: of Twisted's.
        """
        self._folded("refused", peer, status, why, asked, number, level)

    def noticed(self, peer: IAddress, what: str, protocol: Subject | None = None) -> None:
        """
        A peer did something that is no refusal yet and that an operator looks for. Repeats are
        counted, as for :meth:`turnedAway`.
        """
        asked, number = NOTHING_ASKED, None
        if protocol is not None:
            asked, number = protocol.asked, protocol.number
        self._folded("noticed", peer, None, what, asked, number, LogLevel.info)

    def _folded(
        self,
        event: str,
        peer: object,
        status: int | None,
        why: str,
        asked: Asked,
        number: int | None,
        level: Any,
    ) -> None:
        asked = _masked(asked)
        if not self._repeats.again(self._now(), *Kind.of(event, peer, status, why, asked)):
            writeLine(
                self._log,
                event,
                level,
                connection=number,
                peer=shown_address(peer),
                host=asked.host,
                target=asked.target,
                status=status,
                reason=why,
                origin=asked.origin,
            )
        self._tellRepeats()

    def unsecured(self, protocol: Subject, error: BaseException | None) -> None:
        """A connection has ended before its first byte; if TLS is why, nobody else knows it."""
        if reasons := reasons_of(error):
            self.turnedAway(protocol.getPeer(), None, f"no TLS: {reasons}", number=protocol.number)

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

    def _writeRepeats(self, told: list[tuple[Kind, int]]) -> None:
        for kind, count in told:
            self._write(
                kind.event,
                peer=kind.peer,
                host=kind.host,
                target=kind.target,
                status=kind.status,
                reason=kind.reason,
                origin=kind.origin,
                repeated=count,
            )

    def _now(self) -> float:
        return self._factory.clock.seconds()

    def _write(self, event: str, **fields: Any) -> None:
        writeLine(self._log, event, **fields)


def _masked(asked: Asked) -> Asked:
    """What a request asks for, as a line may show it."""
    host, target, origin = asked
    return Asked(
        None if host is None else masked_host(host),
        None if target is None else masked_url(target),
        None if origin is None else masked_url(origin),
    )


def _cut(value: str | None) -> str | None:
    return value and value[: MOST_SHOWN + 1]  # one more, so that the line shows that it was cut


def whyStalled(seconds: float) -> str:
    """The words for a peer that made no progress."""
    return f"no data acknowledged for {seconds:g} s (Limits.stall_timeout)"


def of(protocol: Subject) -> dict[str, Any]:
    """The fields that say which connection a line is about, and what it has asked for."""
    asked = _masked(protocol.asked)
    return {
        "connection": protocol.number,
        "peer": shown_address(protocol.getPeer()),
        "host": asked.host,
        "target": asked.target,
    }


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
