"""Log lines about connections, in one grammar: an event, and named fields.

``refused connection=7 peer=192.0.2.1:54321 status=403 reason="..."``: a value with a space, an
equals sign or a quotation mark is written in quotation marks, and a field without a value is left
out. Every value that a peer sent is escaped and truncated, since programs split the log into lines.
The values in the query of a URL are masked, since more people read a log than may know a visitor's
token.

There is one line for each refusal and each protocol error; repeats of one peer are counted. With
``logConnections`` there is one more line when a conversation opens and one when it ends.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Unpack, cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from ..display import MOST_SHOWN, shown, shown_address, shown_host
from ..interfaces import WebSocketTransport
from ..sansio.closing import Ended
from ..sansio.handshake.offer import Agreement, Offer, Refusal
from ..sansio.http.head import NOTHING_ASKED, Asked
from ..sansio.http.redaction import masked_host, masked_subprotocol, masked_text, masked_url
from ..sansio.limits import called
from ..sansio.wire.frame import CloseCode
from .counters import FLOODS, Counters
from .log_fields import ConnectionFields, EventName, LogFields
from .recent import Recent
from .repeats import Repeats
from .tally import Tally

_ORDINARY: Final = frozenset(
    (
        CloseCode.NORMAL_CLOSURE,
        CloseCode.GOING_AWAY,
        CloseCode.NO_STATUS_RCVD,
        CloseCode.ABNORMAL_CLOSURE,  # PhantomJS and many other clients send no close frame
    )
)

_HOUR: Final = 3600.0

_BARE: Final = re.compile(r"[^\s\"=]+")
"""A value that needs no quotation marks."""


class RefusalKind(NamedTuple):
    """
    Key by which repeats of a log line are found: the line's values, masked and truncated.

    :ivar event: the event of the line.
    :ivar peer: the address of the peer, without the port; ``None`` for all addresses.
    :ivar status: the HTTP status, if there is one.
    :ivar reason: the reason of the line.
    :ivar host: the ``Host`` of the request.
    :ivar target: path and query of the request.
    :ivar origin: the ``Origin`` of the request.
    :ivar dialect: the dialect of the request.
    """

    event: EventName
    peer: str | None
    status: int | None
    reason: str
    host: str | None = None
    target: str | None = None
    origin: str | None = None
    dialect: str | None = None

    @classmethod
    def of(
        cls, event: EventName, peer: object, status: int | None, why: str, asked: Asked
    ) -> tuple[RefusalKind, ...]:
        """Return the keys of a line, the finest first; the last is the same for all of a peer."""
        address = shown_host(peer)
        coarse = cls(event, address, status, why[: MOST_SHOWN + 1])
        host, target, origin, dialect = map(_cut, asked)
        fine = coarse._replace(host=host, target=target, origin=origin, dialect=dialect)
        return fine, coarse, cls("refused", address, None, _OTHERS)

    @classmethod
    def ofFlood(cls, peer: object, status: int | None, why: str) -> tuple[RefusalKind, ...]:
        """Return the keys of a line about one of :data:`FLOODS`: its group is of all addresses."""
        every = cls("refused", None, status, why[: MOST_SHOWN + 1])
        return every._replace(peer=shown_host(peer)), every


_OTHERS: Final = "other refusals and notices of this address"
"""Reason of the line that counts those over :data:`txhixie.connection.repeats.MOST_LINES`."""


def installedReactor() -> IReactorTime:
    """Return the installed reactor as a clock."""
    from twisted.internet import reactor

    return cast(IReactorTime, reactor)


class Logged(NamedTuple):
    """
    The connection that a log line is about.

    :ivar number: number of the connection; ``None`` for a connection without a number.
    :ivar peer: the address of the peer.
    :ivar asked: host, target and origin of its request, as far as they can be read.
    """

    number: int | None
    peer: IAddress
    asked: Asked = NOTHING_ASKED


def loggedOf(transport: WebSocketTransport) -> Logged:
    """
    Return the connection of a log line.

    :param transport: a connection; one of another package may have no number.
    """
    number = getattr(transport, "number", None)
    return Logged(number, transport.getPeer(), getattr(transport, "asked", NOTHING_ASKED))


class ConnectionLog:
    """
    Log lines about the connections of one factory.

    :ivar everything: whether each opened conversation and each ordinary end has a line too.
    :ivar counters: counts the refusals and the lines that are not written; ``None`` for none.
    :ivar recent: keeps the last ends and refusals; ``None`` for none.
    :ivar number: returns the number of a new connection.
    """

    def __init__(
        self,
        logger: Logger,
        everything: bool,
        clock: Callable[[], IReactorTime],
        counters: Counters | None = None,
    ) -> None:
        """
        :param logger: the logger that gets the lines.
        :param everything: the attribute. Two lines, even if no observer prints them, are a third of
            the cost of a handshake, so these lines are off by default.
        :param clock: returns the clock; first called for the first line.
        :param counters: the attribute.
        """
        self.everything = everything
        self.counters = counters
        self.recent: Recent | None = None
        self._logger = logger
        self._clock = clock
        self._repeats: Repeats[RefusalKind] = Repeats()
        self._quirky: Repeats[tuple[str, str]] = Repeats(_HOUR)
        self.number: Callable[[], int] = itertools.count(1).__next__

    def opened(
        self, connection: Logged, offer: Offer, agreement: Agreement, backend: str | None = None
    ) -> None:
        """
        Write the line of a conversation that has opened.

        :param connection: the connection.
        :param offer: the client's offer.
        :param agreement: the agreement.
        :param backend: backend of the conversation, if a gateway passes it on.
        """
        agreed = agreement.subprotocol
        self._write(
            "opened",
            **fieldsOf(connection),
            dialect=offer.dialect,
            origin=_masked(connection.asked).origin,
            subprotocol=None if agreed is None else masked_subprotocol(agreed),
            offered=_notAgreed(offer.subprotocols, agreed),
            extensions=",".join(name for name, _ in agreement.extensions) or None,
            backend=backend,
        )
        self._tellRepeats()

    def refused(self, connection: Logged, refusal: Refusal) -> None:
        """Count a refused handshake, and write its line unless the refusal has one already."""
        body = refusal.why or refusal.body
        words = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        why = words.strip() or "no reason given"
        if refusal.logged:
            self._count(*connection, refusal.status, refusal.cause, why)
            return
        self.turnedAway(
            connection.peer,
            refusal.status,
            why,
            connection.asked,
            connection.number,
            cause=refusal.cause,
        )

    def misused(self, connection: Logged, why: str) -> None:
        """Write the line of an offer for which ``buildProtocol`` returned no application."""
        peer, asked, number = connection.peer, connection.asked, connection.number
        self._folded("refused", peer, 500, why, asked, number, LogLevel.error)

    def turnedAway(
        self,
        peer: object,
        status: int | None,
        why: str,
        asked: Asked = NOTHING_ASKED,
        number: int | None = None,
        cause: str = "",
    ) -> None:
        """
        Count a peer that gets no conversation, and write its line.

        Repeats from its address, with the same status, reason, host, target and origin, are counted
        for a minute and have one line together. So have all lines of an address that exceed
        :data:`txhixie.connection.repeats.MOST_LINES` within a minute. For the limits of
        connections this number of lines is for all addresses together.

        :param peer: the address of the peer.
        :param status: the HTTP status of the response, if there was one.
        :param why: the reason.
        :param asked: host, target and origin of the request.
        :param number: number of the connection.
        :param cause: the cause by which the refusal is counted; see :meth:`Counters.refuse`.
        """
        self._count(number, peer, asked, status, cause, why)
        kinds = RefusalKind.ofFlood(peer, status, why) if cause in FLOODS else None
        self._folded("refused", peer, status, why, asked, number, LogLevel.info, kinds)

    def _count(
        self,
        number: int | None,
        peer: object,
        asked: Asked,
        status: int | None,
        cause: str,
        why: str,
    ) -> None:
        if self.counters is not None:
            self.counters.refuse(status, cause)
        if self.recent is not None:
            self.recent.refuse(number, peer, asked, status, cause, why)

    def noticed(self, connection: Logged, what: str) -> None:
        """
        Write the line of an unusual request that was not refused.

        Repeats are counted, as for :meth:`turnedAway`.
        """
        peer, asked, number = connection.peer, connection.asked, connection.number
        self._folded("noticed", peer, None, what, asked, number, LogLevel.info)

    def letIn(self, connection: Logged, quirks: str) -> None:
        """
        Write the line of a request with deviations that quirks have let in.

        There is one line for an address and the same quirks in an hour.

        :param connection: the connection.
        :param quirks: the words of the quirks, separated by commas.
        """
        now = self._now()
        self._quirky.over(now)
        if not self._quirky.again(now, (shown_host(connection.peer), quirks)):
            self._write("noticed", **fieldsOf(connection), reason=f"let in by quirks={quirks}")

    def _folded(
        self,
        event: EventName,
        peer: object,
        status: int | None,
        why: str,
        asked: Asked,
        number: int | None,
        level: Any,
        kinds: tuple[RefusalKind, ...] | None = None,
    ) -> None:
        asked = _masked(asked)
        kinds = kinds or RefusalKind.of(event, peer, status, why, asked)
        if self._repeats.again(self._now(), *kinds):
            if self.counters is not None:
                self.counters.folded += 1
        else:
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
                dialect=asked.dialect,
            )
        self._tellRepeats()

    def unsecured(self, connection: Logged, reasons: str | None) -> None:
        """Write why TLS failed on a connection that ended before its first byte, if it did."""
        if reasons:
            why = f"TLS handshake failed: {reasons}"
            self.turnedAway(connection.peer, None, why, number=connection.number, cause="tls")

    def stalled(self, connection: Logged, seconds: float, waiting: int) -> None:
        """
        Write the line of a connection that is aborted for ``Limits.stall_timeout``.

        :param connection: the connection.
        :param seconds: the timeout.
        :param waiting: number of bytes that the peer has not acknowledged.
        """
        named = fieldsOf(connection)
        self._write("stalled", **named, reason=whyStalled(seconds), waiting=waiting)

    def tells(self, ended: Ended) -> bool:
        """Whether the end of a conversation has a line: each one, or each but the ordinary ones."""
        return self.everything or ended.code not in _ORDINARY

    def ended(
        self,
        connection: Logged,
        ended: Ended,
        received: int,
        sent: int,
        seconds: float | None,
        backend: str | None = None,
    ) -> None:
        """
        Write the line of a conversation that has ended.

        :param connection: the connection.
        :param ended: how the conversation ended.
        :param received: number of messages received.
        :param sent: number of messages sent.
        :param seconds: duration of the conversation, where it is known.
        :param backend: backend of the conversation, if a gateway passed it on.
        """
        self._write(
            "ended",
            **fieldsOf(connection),
            code=ended.code,
            reason=masked_text(ended.reason) or None,
            by=ended.who,
            received=received,
            sent=sent,
            seconds=None if seconds is None else round(seconds, 1),
            backend=backend,
        )
        if self.recent is not None:
            number, peer, asked = connection
            self.recent.end(number, peer, asked, ended, Tally(received, sent, seconds))

    def page(self, number: int | None, request: Any, target: str) -> None:
        """
        Write the line of a page that was sent, as in an access log.

        :param number: number of the connection.
        :param request: the request, of ``twisted.web``.
        :param target: the target of the request, in which a token of the path is masked.
        """
        self._write(
            "page",
            connection=number,
            peer=shown_address(request.getClientAddress()),
            host=masked_host(_field(request, "host") or "") or None,
            method=request.method.decode("latin-1"),
            target=masked_url(target),
            status=request.code,
            bytes=request.sentLength,
            referrer=masked_url(_field(request, "referer") or "") or None,
            agent=masked_text(_field(request, "user-agent") or "") or None,
        )

    def close(self) -> None:
        """Write the counted repeats: the last port has stopped listening."""
        self._writeRepeats(self._repeats.all())

    def _tellRepeats(self) -> None:
        self._writeRepeats(self._repeats.over(self._now()))

    def _writeRepeats(self, told: list[tuple[RefusalKind, int]]) -> None:
        for kind, count in told:
            self._write(
                kind.event,
                peer=kind.peer,
                host=kind.host,
                target=kind.target,
                status=kind.status,
                reason=kind.reason,
                origin=kind.origin,
                dialect=kind.dialect,
                repeated=count,
            )

    def _now(self) -> float:
        return self._clock().seconds()

    def _write(self, event: EventName, **fields: Unpack[LogFields]) -> None:
        writeLine(self._logger, event, **fields)


def _masked(asked: Asked) -> Asked:
    """Mask secrets in host, target and origin of a request, for a log line."""
    host, target, origin, dialect = asked
    return Asked(
        None if host is None else masked_host(host),
        None if target is None else masked_url(target),
        None if origin is None else masked_url(origin),
        dialect,
    )


def _cut(value: str | None) -> str | None:
    return value and value[: MOST_SHOWN + 1]  # one more, so that the line shows that it was cut


def whyStalled(seconds: float) -> str:
    """Return the reason of a line about a stalled connection."""
    return f"no data acknowledged for {seconds:g} s ({called('stall_timeout')})"


def fieldsOf(connection: Logged) -> ConnectionFields:
    """Return the fields of a connection: its number, peer, host and target."""
    asked = _masked(connection.asked)
    return {
        "connection": connection.number,
        "peer": shown_address(connection.peer),
        "host": asked.host,
        "target": asked.target,
    }


def writeLine(
    logger: Logger, event: EventName, level: Any = LogLevel.info, **fields: Unpack[LogFields]
) -> None:
    """
    Write one log line: the event, and each field that has a value.

    :param logger: the logger that gets the line.
    :param event: the event.
    :param level: Twisted's log level.
    :param fields: texts, which are truncated and escaped here, or numbers. An observer that writes
        JSON finds each field by its name, and the event as ``event``. The values are those of the
        line, without its quotation marks.
    """
    line, values = _lineOf(event, **fields)
    logger.emit(level, line, event=event, **values)


def _lineOf(event: EventName, **fields: Unpack[LogFields]) -> tuple[str, dict[str, Any]]:
    """Return the line of an event, as a format without fields, and the values for observers."""
    values = {name: _safe(value) for name, value in fields.items() if value is not None}
    line = " ".join([event, *(f"{name}={_quoted(value)}" for name, value in values.items())])
    return line.replace("{", "{{").replace("}", "}}"), values


def writeFailure(
    logger: Logger,
    what: str,
    about: object = None,
    failure: Failure | None = None,
    url: str | None = None,
) -> None:
    """
    Write one log line with a traceback, at the level ``critical``.

    :param logger: the logger that gets the line.
    :param what: the reason of the line.
    :param about: the connection of the application, timer or check that raised; ``None`` or an
        object without ``getPeer`` for none.
    :param failure: the exception; by default the one that is being handled.
    :param url: the URL of a client.
    """
    named: ConnectionFields = {}
    if hasattr(about, "getPeer"):
        named = fieldsOf(loggedOf(cast(WebSocketTransport, about)))
    line, values = _lineOf("error", **named, reason=Uncut(what), url=url)
    logger.failure(line, failure, event="error", **values)


class Uncut(str):
    """Text of the operator's own options, which a line of the log has in full length."""

    __slots__ = ()


def _safe(value: object) -> object:
    """Return a number as it is, and a text escaped and truncated."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    return shown(text, len(text) if isinstance(value, Uncut) else MOST_SHOWN)


def _quoted(value: object) -> str:
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    return '"{}"'.format(text.replace('"', '\\"'))


def _notAgreed(offered: tuple[str, ...], agreed: str | None) -> str | None:
    """
    Return the offered subprotocols that were not agreed, for the field ``offered``.

    In hixie-75 and hixie-76 a list of subprotocols is one string. The offer has the string first
    and then its members; the line has only the members.
    """
    if offered and "," in offered[0]:
        offered = () if agreed == offered[0] else offered[1:]
    return ",".join(masked_subprotocol(name) for name in offered if name != agreed) or None


def _field(request: Any, name: str) -> str | None:
    value = request.requestHeaders.getRawHeaders(name.encode("ascii"))
    return value[0].decode("latin-1") if value else None
