"""Examination of one connection of a device: what it is, and what it does wrong.

An examination has no socket. Its owner passes on what the connection of a server learns: received
bytes, deviations that quirks have let in, messages, and the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from ...display import shown
from ...sansio.closing import Ended
from ...sansio.dialects import DIALECTS, Version, named
from ...sansio.errors import HandshakeError
from ...sansio.handshake.offer import Offer
from ...sansio.limits import Limits
from ...sansio.opening import Elsewhere, ServerOpening
from ...sansio.quirks import Fault
from ...sansio.wire.frame import CloseCode
from .client_hello import read_client_hello
from .deviation import Deviation, deviation_of
from .frame_headers import FrameHeader, FrameHeaders
from .head_lines import HeadLines
from .messages import deviation_in
from .offers import deviations_in, notes_about
from .remedies import frame_deviation, request_deviation, tls_deviation

_MOST_KEPT: Final = 32 * 1024
"""Most bytes of a connection that are kept: a head, and what follows it in the same read."""

_MOST_HEADERS: Final = 200
"""Most headers of frames that are kept for a recording."""

_MOST_FIRST: Final = 64
_PRINTABLE: Final = re.compile(rb"[\r\n]*[ -~\t]{4,}")
"""Text at the beginning of a conversation. It is looked at only after an error: each printable byte
would begin a frame with a reserved bit."""

_TLS_RECORD: Final = b"\x16"

_NO_END: Final = (
    "the head of the request has no end: {:,} bytes without an empty line (RFC 9112 section 2.1)"
)


class Result(NamedTuple):
    """
    Result of one stage of an examination.

    :ivar stage: ``tls``, ``request`` or ``frames``.
    :ivar works: whether nothing is wrong; ``None`` for a stage that says nothing about that.
    :ivar lines: the report in lines; the texts of the deviations follow.
    :ivar deviations: what is wrong.
    """

    stage: str
    works: bool | None
    lines: tuple[str, ...]
    deviations: tuple[Deviation, ...] = ()


class Examination:
    """
    Examination of one connection.

    :ivar peer: the address and the port of the device.
    :ivar host: the address alone.
    :ivar offer: the offer of its handshake; ``None`` before it, and for a request that is refused.
    :ivar deviations: all deviations so far.
    :ivar tls: version and server name of TLS, for the recording; ``None`` without TLS.
    :ivar size: number of bytes received.
    :ivar headers: headers of the first frames.
    :ivar ending: how the conversation ended, in words; empty before its end.
    """

    def __init__(
        self,
        peer: str,
        host: str,
        secure: bool,
        limits: Limits,
        tell: Callable[[Result], object],
    ) -> None:
        """
        :param peer: the address and the port of the device.
        :param host: the address alone.
        :param secure: whether the port has TLS.
        :param limits: limits of the connection.
        :param tell: told of each result.
        """
        self.peer = peer
        self.host = host
        self.offer: Offer | None = None
        self.deviations: list[Deviation] = []
        self.tls: dict[str, str] | None = None
        self.size = 0
        self.headers: list[FrameHeader] = []
        self.ending = ""
        self._tell = tell
        self._opening: ServerOpening | None = ServerOpening(DIALECTS, limits, secure)
        self._kept = bytearray()
        self._foreign = ""  # the error about bytes that are not HTTP, until all are there
        self._frames: FrameHeaders | None = None
        self._first = bytearray()  # the first bytes of the conversation
        self._messages = 0

    # TLS.

    def secured(self, version: str, name: str) -> None:
        """
        Note that the TLS handshake is complete.

        :param version: the version of TLS.
        :param name: the server name of the client (SNI); empty for none.
        """
        self.tls = {"version": version, "server_name": name}
        self._tell(Result("tls", True, (f"{version}, {_named(name)}",)))

    def insecure(self, reason: str) -> None:
        """Note that the TLS handshake failed."""
        self._opening = None
        self.tls = {"failed": reason}
        self._found("tls", ["the device has not begun to speak WebSocket"], tls_deviation(reason))

    # The request.

    @property
    def lines(self) -> HeadLines:
        """The lines of the request, as far as they were received."""
        return HeadLines(bytes(self._kept))

    def received(self, data: bytes) -> None:
        """Note received bytes."""
        self.size += len(data)
        if self._opening is not None or self._foreign:
            self._kept += data[: _MOST_KEPT - len(self._kept)]
        if self._opening is not None:
            self._read(self._opening, data)
        elif self._foreign:
            self._tell_foreign(is_over=False)
        elif self._frames is not None:
            self._scan(data)

    def _read(self, opening: ServerOpening, data: bytes) -> None:
        try:
            found = opening.receive(data, mends=True)
        except HandshakeError as error:
            self._opening = None
            self._refused(opening.unmended or str(error), opening.faults)
            return
        if found is None:
            return
        self._opening = None
        if isinstance(found, Elsewhere):
            self._elsewhere(found)
        else:
            self._offered(found, opening)

    def _refused(self, error: str, faults: Iterable[Fault] = ()) -> None:
        if "not HTTP" in error or "PROXY" in error:
            self._foreign = error
            self._tell_foreign(is_over=self._kept[:1] != _TLS_RECORD)
            return
        lines = self.lines
        mended = [deviation_of(fault, "request") for fault in faults]
        report = [lines.summary(None), lines.details()]
        self._found("request", report, *mended, request_deviation(error))

    def _tell_foreign(self, is_over: bool) -> None:
        """Report bytes that are not HTTP, once a ClientHello is complete."""
        hello = read_client_hello(bytes(self._kept))
        if hello is None and not is_over and len(self._kept) < _MOST_KEPT:
            return
        error, self._foreign = self._foreign, ""
        first = f"{len(self._kept):,} bytes: {shown(self._kept[:32].decode('latin-1'))}"
        if hello is not None:
            first = f"ClientHello of {hello.version}, {_named(hello.server_name)}"
            self.tls = {"version": hello.version, "server_name": hello.server_name}
        self._found("request", [first], request_deviation(error))

    def _elsewhere(self, found: Elsewhere) -> None:
        error = found.fault or "a request for a page, which does not ask for WebSocket"
        self._refused(error)

    def _offered(self, offer: Offer, opening: ServerOpening) -> None:
        self.offer = offer
        lines = self.lines
        report = [lines.summary(offer.dialect), lines.details()]
        report += notes_about(offer, bytes(self._kept))
        self._found("request", report, *deviations_in(offer, opening.faults))
        if isinstance(named(offer.dialect).marker, Version):
            self._frames = FrameHeaders()
            self._scan(opening.rest)

    # The conversation.

    def _scan(self, data: bytes) -> None:
        assert self._frames is not None
        self._first += data[: _MOST_FIRST - len(self._first)]
        for header in self._frames.read(data):
            self.headers.append(header)
            if len(self.headers) == _MOST_HEADERS:
                self._frames = None
                break

    def deviates(self, fault: Fault) -> None:
        """Note a deviation of frames that a quirk has let in."""
        self._found_in_frames(deviation_of(fault, "frames"))

    def message(self, message: str | bytes) -> None:
        """Note a message."""
        self._messages += 1
        if self.offer is not None and (found := deviation_in(message, self.offer)) is not None:
            self._found_in_frames(found)

    def ended(self, ended: Ended) -> None:
        """Note the end of the conversation."""
        if ended.reason.startswith("connection closed before"):
            missing = "the eight bytes after the head of the request (hixie-76 section 4.1)"
            self._found("request", [self.lines.summary("hixie-76")], request_deviation(missing))
            return
        if ended.reason and not ended.clean and ended.code != CloseCode.GOING_AWAY:
            self._found_in_frames(frame_deviation(self._reason(ended.reason)))
        self.ending = _ending(ended)
        self._tell_end()

    def _reason(self, error: str) -> str:
        """Return why the conversation ended, where the bytes say more than the first error."""
        first = bytes(self._first)
        if self._messages or not first:
            return error
        if first.startswith(b"\0") and b"\xff" in first:
            return "frames of hixie-76 in a conversation of RFC 6455"
        return "text without frames" if _PRINTABLE.match(first) else error

    def _tell_end(self) -> None:
        count = "1 message" if self._messages == 1 else f"{self._messages:,} messages"
        lines = [f"{count}; {self.ending}"]
        if any(header.is_long for header in self.headers):
            lines.append("always accepted: a frame length in more bytes than needed")
        is_right = not any(found.stage == "frames" for found in self.deviations)
        self._tell(Result("frames", True if is_right else None, tuple(lines)))

    def lost(self) -> None:
        """Note that the connection has ended: nothing more will be received."""
        if self._foreign:
            self._tell_foreign(is_over=True)
        if self._opening is None:
            return
        self._opening = None
        if not self.size:
            self._tell(Result("request", None, ("disconnected without sending a byte",)))
            return
        self._refused(_NO_END.format(self.size))

    def _found_in_frames(self, found: Deviation) -> None:
        if any((each.text, each.allow) == (found.text, found.allow) for each in self.deviations):
            return
        if found.allow and any(each.allow == found.allow for each in self.deviations):
            return
        self._found("frames", [], found)

    def _found(self, stage: str, lines: list[str], *deviations: Deviation) -> None:
        self.deviations += deviations
        self._tell(Result(stage, not deviations, tuple(lines), deviations))

    @property
    def is_right(self) -> bool:
        """Whether the device was let in and nothing was wrong."""
        return self.offer is not None and not self.deviations

    def recorded(self) -> dict[str, Any]:
        """
        Return what a report about the device can carry, for JSON.

        Credentials in the request are redacted, and payloads of frames are left out.
        """
        return {
            "peer": self.peer,
            "tls": self.tls,
            "bytes": self.size,
            "dialect": None if self.offer is None else self.offer.dialect,
            "request": self.lines.recorded(),
            "frames": [
                {
                    "header": header.data.hex(" "),
                    "masked": header.masked,
                    "payload_bytes": header.size,
                }
                for header in self.headers
            ],
            "messages": self._messages,
            "deviations": [_recorded(each) for each in self.deviations],
            "end": self.ending or None,
        }


def _recorded(found: Deviation) -> dict[str, str | None]:
    return {
        "stage": found.stage,
        "text": found.text,
        "allow": found.allow or None,
        "remedy": found.remedy or None,
    }


def _named(name: str) -> str:
    return f"server name {shown(name)}" if name else "no server name (SNI)"


def _ending(ended: Ended) -> str:
    """Say in words how a conversation ended."""
    if ended.code == CloseCode.ABNORMAL_CLOSURE:
        if ended.who == "us":
            return "the device did not answer"
        return "disconnected without a close frame, which is always accepted"
    if ended.who == "us":
        return "the examination is over"
    if not ended.clean:
        return f"ended by an error of the device ({ended.code})"
    code = "" if ended.code == CloseCode.NO_STATUS_RCVD else f" with {ended.code}"
    return f"closed by the device{code}"
