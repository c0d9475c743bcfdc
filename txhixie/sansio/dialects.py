"""Table of dialects, and recognition of the dialect of a request.

Each row of the table names a handshake, a framing, and what the dialect can carry. A new dialect is
a new row. A dialect of a new kind also has a new file in ``handshake/`` or ``wire/``. A request is
recognised by these, in this order, as in other servers: version, draft, keys, field of the origin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

from .arguments import whole_text
from .errors import HandshakeError, MalformedHead, UnknownDialect
from .handshake.hixie75 import Hixie75
from .handshake.hixie76 import Hixie76
from .handshake.hybi import Hybi
from .handshake.mending import NO_CONNECTION
from .handshake.offer import Handshake, Refusal
from .http.head import Fields, Request
from .limits import Limits
from .quirks import NO_QUIRKS, Tell, tell_nobody
from .types import RandomBytes
from .wire.fragmented import FragmentedFraming
from .wire.frame import Framing, Side
from .wire.hixie import HixieFraming
from .wire.hybi import HybiFraming, ServerFraming
from .wire.lenient import LenientFraming


@dataclass(frozen=True)
class Version:
    """Marker of a dialect with this number in ``Sec-WebSocket-Version``."""

    number: int

    @cached_property
    def written(self) -> bytes:
        """The exact value of the field; other spellings of the number are not accepted."""
        return str(self.number).encode("ascii")


@dataclass(frozen=True, slots=True)
class Keys:
    """
    Marker of a dialect with the fields ``Sec-WebSocket-Key1`` and ``Sec-WebSocket-Key2``.

    :ivar drafts: accepted values of ``Sec-WebSocket-Draft``; ``None`` for a missing field.
    """

    drafts: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class RequestLines:
    """Marker of a dialect without version and keys, and with this field for the origin."""

    origin_field: bytes


Marker: TypeAlias = Version | Keys | RequestLines

FramingMaker: TypeAlias = Callable[[str, Limits, bool, int, RandomBytes], Framing]


@dataclass(frozen=True, slots=True, eq=False)  # one object of each row: identity is equality
class Dialect:
    """
    A dialect: one row of the table.

    :ivar name: the name of the dialect in options, logs and tests.
    :ivar marker: the fields by which a request of this dialect is recognised.
    :ivar handshake: the handshake, for client and server.
    :ivar framing: creates the codec of a connection. It takes the side, the limits, whether binary
        messages may be sent even though peers are known to drop them, the reserved bits that
        extensions use, and the source of random bytes.
    :ivar has_close: whether the dialect has a close frame; without close frames, the end of the
        connection is the close.
    :ivar has_codes: whether close frames carry a close code and a close reason.
    :ivar has_binary: whether peers receive binary messages; browsers of the other dialects drop
        them.
    :ivar has_pings: whether the dialect has ping and pong frames.
    :ivar replaces: whether invalid UTF-8 becomes U+FFFD; otherwise it fails the connection.
    :ivar tell: told of deviations of messages that a quirk has let in.
    :ivar sends_pings: whether automatic pings are sent, if the dialect has ping frames.
    """

    name: str
    marker: Marker
    handshake: Handshake
    framing: FramingMaker
    has_close: bool = True
    has_codes: bool = False
    has_binary: bool = True
    has_pings: bool = False
    replaces: bool = True
    tell: Tell = tell_nobody
    sends_pings: bool = True

    @property
    def is_pinged(self) -> bool:
        """Whether the peers of the dialect get automatic pings."""
        return self.has_pings and self.sends_pings

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or unpickle a dialect as the row of the table itself."""
        return named, (self.name,)


def _hixie_frames(closes: bool, has_binary: bool) -> FramingMaker:
    def make(
        side: str, limits: Limits, binary: bool, reserved: int, entropy: RandomBytes
    ) -> Framing:
        limit, has = limits.largest_frame, has_binary or binary
        return HixieFraming(side, limit, closes=closes, has_binary=has)

    return make


@dataclass(frozen=True, slots=True)
class HybiFrames:
    """
    Creates the codec of a connection in hybi-07, hybi-08 or rfc6455.

    :ivar strict_masks: whether a client's frame without a mask is an error.
    :ivar strict_codes: whether a close code that may not be sent is an error.
    :ivar quirks: deviations of the client that a server accepts, by their words.
    :ivar tell: told of deviations of frames that a quirk has let in.
    """

    strict_masks: bool
    strict_codes: bool
    quirks: frozenset[str] = NO_QUIRKS
    tell: Tell = tell_nobody

    def __call__(
        self, side: str, limits: Limits, binary: bool, reserved: int, entropy: RandomBytes
    ) -> Framing:
        """Create the codec; see :attr:`Dialect.framing`."""
        kind: type[HybiFraming] = HybiFraming
        if side == Side.SERVER:
            kind = LenientFraming if self.quirks else ServerFraming
        framing = kind(
            side,
            limits.largest_frame,
            reserved=reserved,
            # 0 without extensions: another number would be an integer object for each connection.
            transformed_limit=limits.largest_transformed_frame if reserved else 0,
            strict_masks=self.strict_masks,
            strict_codes=self.strict_codes,
            entropy=entropy,
        )
        if isinstance(framing, LenientFraming):
            framing.accept(self.quirks, self.tell)
        return framing


@dataclass(frozen=True, slots=True)
class FragmentedFrames:
    """
    Creates the codec of a connection that sends long messages in fragments.

    :ivar frames: creates the codec of the dialect.
    :ivar most: most bytes of the payload of a sent data frame.
    """

    frames: HybiFrames
    most: int

    def __call__(
        self, side: str, limits: Limits, binary: bool, reserved: int, entropy: RandomBytes
    ) -> Framing:
        """Create the codec; see :attr:`Dialect.framing`."""
        framing = self.frames(side, limits, binary, reserved, entropy)
        return FragmentedFraming(framing, self.most)


DIALECTS: Final[tuple[Dialect, ...]] = (
    Dialect(
        "hixie-54",  # the slides of November 2009; peers receive binary messages
        RequestLines(b"WebSocket-Origin"),
        Hixie75("hixie-54", b"WebSocket-Origin", fixed=True),
        _hixie_frames(closes=False, has_binary=True),
        has_close=False,
    ),
    Dialect(
        "hixie-75",  # Chrome 4 and 5, Safari 5.0.0
        RequestLines(b"Origin"),
        Hixie75("hixie-75", b"Origin"),
        _hixie_frames(closes=False, has_binary=False),
        has_close=False,
        has_binary=False,
    ),
    Dialect(
        "hixie-76",  # Chrome 6 to 13, Safari 5.0.1 to 5.1, iOS 4.2 to 5.1, televisions
        Keys((None, b"0")),
        Hixie76("hixie-76"),
        _hixie_frames(closes=True, has_binary=False),
        has_binary=False,
    ),
    Dialect(
        "hybi-07",  # Firefox 6
        Version(7),
        Hybi("hybi-07", 7, (b"Sec-WebSocket-Origin", b"Origin"), strict=False),
        HybiFrames(strict_masks=False, strict_codes=False),
        has_codes=True,
        has_pings=True,
    ),
    Dialect(
        "hybi-08",  # drafts 8 to 12: Firefox 7 to 10, Chrome 14 and 15
        Version(8),
        Hybi("hybi-08", 8, (b"Sec-WebSocket-Origin", b"Origin"), strict=False),
        HybiFrames(strict_masks=True, strict_codes=False),
        has_codes=True,
        has_pings=True,
        replaces=False,
    ),
    Dialect(
        "rfc6455",  # everything since 2012
        Version(13),
        Hybi("rfc6455", 13, (b"Origin",), strict=True),
        HybiFrames(strict_masks=True, strict_codes=True),
        has_codes=True,
        has_pings=True,
        replaces=False,
    ),
)
"""All dialects, the oldest first; servers accept all of them by default."""


def named(name: str) -> Dialect:
    """
    Return the dialect with this name.

    :raises ValueError: for an unknown name; the text lists the known names.
    :raises TypeError: for a name that is not ``str``.
    """
    whole_text("dialect", name)
    for dialect in DIALECTS:
        if dialect.name == name:
            return dialect
    known = ", ".join(dialect.name for dialect in DIALECTS)
    raise ValueError(f"unknown dialect {name!r}; known are {known}")


def lenient(dialect: Dialect, quirks: frozenset[str], tell: Tell = tell_nobody) -> Dialect:
    """
    Return the dialect as a server speaks it with a client that has some quirks.

    :param dialect: a row of the table.
    :param quirks: words of :data:`txhixie.sansio.quirks.QUIRKS`. The Hixie dialects have no quirks
        of frames.
    :param tell: told of each deviation of frames and messages that one of the quirks has let in.
    """
    if not isinstance(dialect.framing, HybiFrames):
        return dialect
    framing = replace(dialect.framing, quirks=quirks, tell=tell)
    if dialect.replaces or "text" not in quirks:
        return replace(dialect, framing=framing)
    return replace(dialect, framing=framing, replaces=True, tell=tell)


def adapted(dialect: Dialect, sends_pings: bool, most_sent: int | None) -> Dialect:
    """
    Return the dialect as a server speaks it with clients that cannot receive all of it.

    :param dialect: a row of the table, or what :func:`lenient` returns.
    :param sends_pings: whether automatic pings are sent.
    :param most_sent: most bytes of the payload of a sent data frame; ``None`` for any number. The
        Hixie dialects have no fragments: their messages are sent whole.
    """
    framing = dialect.framing
    if most_sent is not None and isinstance(framing, HybiFrames):
        framing = FragmentedFrames(framing, most_sent)
    return replace(dialect, framing=framing, sends_pings=sends_pings)


def recognise(request: Request, spoken: Iterable[Dialect] = DIALECTS) -> Dialect | None:
    """
    Return the dialect of a request; ``None`` for a request that is ordinary HTTP.

    :param spoken: the dialects that this server accepts.
    :raises MalformedHead: for an incomplete handshake, or for the fields of two dialects at once: a
        reverse proxy may have read the request in the other dialect.
    :raises UnknownDialect: for a complete handshake in a dialect that this server does not accept.
    """
    fields = request.fields
    if not is_handshake(request.method, request.minor, fields):
        return None
    _check_upgrade(fields)
    has_keys = b"sec-websocket-key1" in fields or b"sec-websocket-key2" in fields
    version = fields.only(b"sec-websocket-version")
    if version is not None or fields.only(b"sec-websocket-key") is not None:
        if has_keys:
            raise MalformedHead("ambiguous handshake: keys of hixie-76 and of a later dialect")
        return _by_version(version, fields, spoken)
    _check_length(fields, also=b"8" if has_keys else b"0")
    return _by_keys(fields, spoken) if has_keys else _by_lines(fields, spoken)


def is_handshake(method: bytes, minor: int, fields: Fields) -> bool:
    """
    Whether an HTTP/1 request asks for an upgrade to WebSocket, even with an invalid handshake.

    :param minor: the minor version of HTTP/1: 1 or higher (RFC 6455 section 4.2.1).
    """
    return method == b"GET" and minor >= 1 and fields.has_token(b"upgrade", b"websocket")


OLD_VERSION: Final = (
    "upgrade request in HTTP/1.0; WebSocket needs HTTP/1.1 (in nginx: proxy_http_version 1.1)"
)
"""Error for a request of which :func:`asks_in_old_version` is true."""


def asks_in_old_version(method: bytes, minor: int, fields: Fields) -> bool:
    """
    Whether an HTTP/1.0 request asks for an upgrade to WebSocket.

    nginx forwards handshakes so by default. A server ignores ``Upgrade`` in HTTP/1.0 (RFC 9110
    section 7.8), but may report it.
    """
    return minor == 0 and is_handshake(method, 1, fields)


_REMOVED: Final = (
    "{} without 'Upgrade: websocket'; the client did not send it, or a reverse proxy or a firewall"
    " has removed it"
)
_OTHER_UPGRADE: Final = (
    "WebSocket request with another Upgrade than 'Upgrade: websocket' (RFC 6455 section 4.1)"
)
_OTHER_METHOD: Final = (
    "WebSocket request with another method than GET, in upper case (RFC 6455 section 4.1)"
)
_OF_HANDSHAKES: Final = {
    b"sec-websocket-key": "Sec-WebSocket-Key",
    b"sec-websocket-key1": "Sec-WebSocket-Key1",
    b"sec-websocket-version": "Sec-WebSocket-Version",
}
"""Fields of a handshake, which no other request has."""

_POLLING: Final = (
    "polling request of Socket.IO, which is another protocol; connect with a plain WebSocket client"
)
_POLLED: Final = re.compile(r"/socket\.io/?\?(?:.*&)?transport=polling(?:&|\Z)")


def fault_of(method: bytes, target: str, minor: int, fields: Fields) -> str:
    """
    Return why a request does not ask for WebSocket although its client wants it; usually empty.

    :param minor: the minor version of HTTP/1.
    """
    if asks_in_old_version(method, minor, fields):
        return OLD_VERSION
    key = next((name for name in _OF_HANDSHAKES if name in fields), None)
    upgrades = fields.has_token(b"upgrade", b"websocket")
    if method != b"GET":
        return _OTHER_METHOD if upgrades and key else ""
    if key is not None and not upgrades:
        name = _OF_HANDSHAKES[key]
        return _OTHER_UPGRADE if b"upgrade" in fields else _REMOVED.format(name)
    return _POLLING if _POLLED.search(target) else ""


def refusal(error: HandshakeError, spoken: Iterable[Dialect]) -> Refusal:
    """Return the response to a peer with an invalid handshake (426: RFC 6455 section 4.4)."""
    if not isinstance(error, UnknownDialect):
        return Refusal(error.status, f"{error.reply}\n", why=str(error))
    spoken = list(spoken)
    pairs = [(b"Upgrade", b"WebSocket"), (b"Connection", b"Upgrade, close")]
    if versions := spoken_by_version(tuple(spoken)):
        newest_first = sorted(versions, key=int, reverse=True)
        pairs.append((b"Sec-WebSocket-Version", b", ".join(newest_first)))
    names = ", ".join(dialect.name for dialect in spoken)
    return Refusal(error.status, f"{error}; supported dialects: {names}\n", tuple(pairs))


def not_spoken(dialect: Dialect) -> UnknownDialect:
    """Return the error for a handshake in a known dialect that a server does not accept."""
    if isinstance(dialect.marker, Version):
        return UnknownDialect("unsupported Sec-WebSocket-Version")
    return UnknownDialect(f"{dialect.name} is not enabled")


@lru_cache(maxsize=8)
def spoken_by_version(spoken: tuple[Dialect, ...]) -> dict[bytes, Dialect]:
    """Return the dialects that are recognised by a version, by the value of its field."""
    return {row.marker.written: row for row in spoken if isinstance(row.marker, Version)}


def _check_upgrade(fields: Fields) -> None:
    if not fields.has_token(b"connection", b"upgrade"):
        raise MalformedHead(NO_CONNECTION)
    if fields.repeats:
        fields.only(b"upgrade")
    if b"transfer-encoding" in fields:
        raise MalformedHead("unexpected Transfer-Encoding in a handshake")
    if b"" in fields:
        raise MalformedHead("header field without a name")


def _check_length(fields: Fields, also: bytes) -> None:
    """
    Refuse a Content-Length, except one of these values.

    Netty, Perl's Protocol::WebSocket and proxies announce key3 as a body of 8 bytes.
    """
    if fields.only(b"content-length") not in (None, also):
        raise MalformedHead("unexpected Content-Length")


def _by_version(version: bytes | None, fields: Fields, spoken: Iterable[Dialect]) -> Dialect:
    if b"content-length" in fields:
        _check_length(fields, also=b"0")
    row = spoken_by_version(tuple(spoken)).get(version or b"")
    if row is None:
        missing = version is None
        raise UnknownDialect(f"{'missing' if missing else 'unsupported'} Sec-WebSocket-Version")
    return row


def _by_keys(fields: Fields, spoken: Iterable[Dialect]) -> Dialect:
    draft = fields.only(b"sec-websocket-draft")
    known = [row for row in DIALECTS if isinstance(row.marker, Keys) and draft in row.marker.drafts]
    if not known:
        raise MalformedHead("unsupported Sec-WebSocket-Draft")
    for row in spoken:
        if row in known:
            return row
    raise not_spoken(known[0])


def _by_lines(fields: Fields, spoken: Iterable[Dialect]) -> Dialect:
    lines = [
        (row, row.marker.origin_field) for row in DIALECTS if isinstance(row.marker, RequestLines)
    ]
    said = [row for row, origin_field in lines if origin_field.lower() in fields]
    if len(said) > 1:
        raise MalformedHead("ambiguous handshake: Origin and WebSocket-Origin")
    row = said[0] if said else named("hixie-75")
    if row not in spoken:
        raise not_spoken(row)
    return row
