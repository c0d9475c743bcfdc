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
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger, LogLevel

from ..display import MOST_SHOWN, reasons_of, shown, shown_address, shown_host
from ..interfaces import WebSocketTransport
from ..sansio.closing import Ended
from ..sansio.handshake.offer import Agreement, Offer, Refusal
from ..sansio.http.head import NOTHING_ASKED, Asked
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


def installedReactor() -> IReactorTime:
    """The reactor, which is installed by now, as a clock."""
    from twisted.internet import reactor

    return cast(IReactorTime, reactor)


class Logged(NamedTuple):
    """
    The connection that a line is about.

    :ivar number: of the connection; ``None`` for one that has none.
    :ivar peer: the address of the peer.
    :ivar asked: what its request asks for, as far as that can be read.
    """

    number: int | None
    peer: IAddress
    asked: Asked = NOTHING_ASKED


def loggedOf(transport: WebSocketTransport) -> Logged:
    """Name the connection of a line. One of another package, under HTTP/2 say, has no number."""
    number = getattr(transport, "number", None)
    return Logged(number, transport.getPeer(), getattr(transport, "asked", NOTHING_ASKED))


class ConnectionLog:
    """
    The lines of one factory's connections.

    :ivar everything: whether each opening and each ordinary end has a line too.
    """

    def __init__(self, logger: Logger, everything: bool, clock: Callable[[], IReactorTime]) -> None:
        """
        :param logger: where the lines go.
        :param everything: two lines that are not printed are a third of what a handshake costs: so
            they have to be asked for.
        :param clock: returns the clock, which is asked for at the first line.
        """
        self.everything = everything
        self._logger = logger
        self._clock = clock
        self._repeats: Repeats[Kind] = Repeats()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """The number of one more connection."""
        return next(self._numbers)

    def opened(self, connection: Logged, offer: Offer, agreement: Agreement) -> None:
        """Write that a conversation has begun."""
        agreed = agreement.subprotocol
        self._write(
            "opened",
            **fieldsOf(connection),
            dialect=offer.dialect,
            origin=_masked(connection.asked).origin,
            subprotocol=None if agreed is None else masked_subprotocol(agreed),
            offered=_notAgreed(offer.subprotocols, agreed),
            extensions=",".join(name for name, _ in agreement.extensions) or None,
        )
        self._tellRepeats()

    def refused(self, connection: Logged, refusal: Refusal) -> None:
        """A handshake was answered with something else than a conversation."""
        if refusal.logged:
            return
        body = refusal.why or refusal.body
        words = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        self.turnedAway(
            connection.peer,
            refusal.status,
            words.strip() or "no reason given",
            connection.asked,
            connection.number,
        )

    def misused(self, connection: Logged, why: str) -> None:
        """An application's answer to an offer cannot be carried out."""
        peer, asked, number = connection.peer, connection.asked, connection.number
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

    def noticed(self, connection: Logged, what: str) -> None:
        """
        A peer did something that is no refusal yet and that an operator looks for. Repeats are
        counted, as for :meth:`turnedAway`.
        """
        peer, asked, number = connection.peer, connection.asked, connection.number
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
                self._logger,
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

    def unsecured(self, connection: Logged, error: BaseException | None) -> None:
        """Write why TLS failed, where a connection has ended before its first byte."""
        if reasons := reasons_of(error):
            self.turnedAway(connection.peer, None, f"no TLS: {reasons}", number=connection.number)

    def stalled(self, connection: Logged, seconds: float, waiting: int) -> None:
        """
        A connection is ended because its peer acknowledged nothing for some time.

        :param seconds: how long.
        :param waiting: bytes that the peer has not acknowledged.
        """
        named = fieldsOf(connection)
        self._write("stalled", **named, reason=whyStalled(seconds), waiting=waiting)

    def tells(self, ended: Ended) -> bool:
        """Whether an end has a line: any but an ordinary one, or all of them."""
        return self.everything or ended.code not in _ORDINARY

    def ended(
        self, connection: Logged, ended: Ended, received: int, sent: int, seconds: float | None
    ) -> None:
        """
        Write that a connection with an application has ended.

        :param received: messages.
        :param sent: messages.
        :param seconds: how long the conversation has lasted, where that is known.
        """
        self._write(
            "ended",
            **fieldsOf(connection),
            code=ended.code,
            reason=ended.reason or None,
            by=ended.who,
            received=received,
            sent=sent,
            seconds=None if seconds is None else f"{seconds:.1f}",
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
        return self._clock().seconds()

    def _write(self, event: str, **fields: Any) -> None:
        writeLine(self._logger, event, **fields)


def _masked(asked: Asked) -> Asked:
    """Mask what a request asks for, for a line of the log."""
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


def fieldsOf(connection: Logged) -> dict[str, Any]:
    """The fields that say which connection a line is about, and what it has asked for."""
    asked = _masked(connection.asked)
    return {
        "connection": connection.number,
        "peer": shown_address(connection.peer),
        "host": asked.host,
        "target": asked.target,
    }


def writeLine(logger: Logger, event: str, level: Any = LogLevel.info, **fields: Any) -> None:
    """
    Write one line: the event, and each field that has a value.

    :param level: of Twisted's.
    :param fields: text, which is cut and escaped here, or numbers. An observer that writes JSON
        finds each by its name, and the event as ``event``.
    """
    values = {name: _written(value) for name, value in fields.items() if value is not None}
    logger.emit(level, " ".join([event, *(f"{n}={{{n}}}" for n in values)]), event=event, **values)


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


def _field(request: Any, name: str) -> str | None:
    value = request.requestHeaders.getRawHeaders(name.encode("ascii"))
    return value[0].decode("latin-1") if value else None
