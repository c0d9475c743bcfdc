"""THE TABLE: one row a dialect, and how a request shows which one it is.

``handshake x framing x what it carries``. A new dialect is a row here and, if it is new in kind, a
file in ``handshake/`` or ``wire/``. The order of the questions is the one every server in the field
asks them in: version, draft, keys, and then the field of the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

from .arguments import whole_text
from .errors import HandshakeError, MalformedHead, UnknownDialect
from .handshake.hixie75 import Hixie75
from .handshake.hixie76 import Hixie76
from .handshake.hybi import Hybi
from .handshake.offer import Handshake, Refusal
from .http.head import Fields, Request
from .limits import Limits
from .types import RandomBytes
from .wire.frame import Framing, Side
from .wire.hixie import HixieFraming
from .wire.hybi import HybiFraming, ServerFraming


@dataclass(frozen=True)
class Version:
    """Shown by ``Sec-WebSocket-Version`` with this number."""

    number: int

    @cached_property
    def written(self) -> bytes:
        """As it stands in the field: no other way of writing a number is taken."""
        return str(self.number).encode("ascii")


@dataclass(frozen=True, slots=True)
class Keys:
    """Shown by ``Sec-WebSocket-Key1`` and ``-Key2``, with one of these ``Sec-WebSocket-Draft``."""

    drafts: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class RequestLines:
    """Shown by ``Upgrade`` and ``Connection`` alone, the origin in this field."""

    origin_field: bytes


Marker: TypeAlias = Version | Keys | RequestLines

FramingMaker: TypeAlias = Callable[[str, Limits, bool, int, RandomBytes], Framing]


@dataclass(frozen=True, slots=True, eq=False)  # there is one of each: no need to look inside
class Dialect:
    """
    One row.

    :ivar name: what it is called everywhere.
    :ivar marker: how a request shows that it is this one.
    :ivar handshake: both halves of its opening.
    :ivar framing: makes a connection's codec from our side, the limits, whether binary may be sent
        even where peers are known to lose it, the reserved bits that are taken, and entropy.
    :ivar has_close: whether there is a closing frame; without one, the end of the connection is
        the close.
    :ivar has_codes: whether closes carry a code and a reason, so that failing can say why.
    :ivar has_binary: whether binary reaches its peers; browsers of the others drop it.
    :ivar has_pings: whether there are pings and pongs.
    :ivar replaces: bad UTF-8 becomes U+FFFD; otherwise it fails the connection.
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

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, or what was pickled, is the row itself."""
        return named, (self.name,)


def _hixie_frames(closes: bool, has_binary: bool) -> FramingMaker:
    def make(
        side: str, limits: Limits, binary: bool, reserved: int, entropy: RandomBytes
    ) -> Framing:
        limit, has = limits.largest_frame, has_binary or binary
        return HixieFraming(side, limit, closes=closes, has_binary=has)

    return make


def _hybi_frames(strict_masks: bool, strict_codes: bool) -> FramingMaker:
    def make(
        side: str, limits: Limits, binary: bool, reserved: int, entropy: RandomBytes
    ) -> Framing:
        kind = ServerFraming if side == Side.SERVER else HybiFraming
        return kind(
            side,
            limits.largest_frame,
            reserved=reserved,
            # Only then, since it would be an integer of its own for each connection.
            transformed_limit=limits.largest_transformed_frame if reserved else 0,
            strict_masks=strict_masks,
            strict_codes=strict_codes,
            entropy=entropy,
        )

    return make


DIALECTS: Final[tuple[Dialect, ...]] = (
    Dialect(
        "hixie-54",  # the slides of November 2009, whose binary frames are delivered
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
        _hybi_frames(strict_masks=False, strict_codes=False),
        has_codes=True,
        has_pings=True,
    ),
    Dialect(
        "hybi-08",  # drafts 8 to 12: Firefox 7 to 10, Chrome 14 and 15
        Version(8),
        Hybi("hybi-08", 8, (b"Sec-WebSocket-Origin", b"Origin"), strict=False),
        _hybi_frames(strict_masks=True, strict_codes=False),
        has_codes=True,
        has_pings=True,
        replaces=False,
    ),
    Dialect(
        "rfc6455",  # everything since 2012
        Version(13),
        Hybi("rfc6455", 13, (b"Origin",), strict=True),
        _hybi_frames(strict_masks=True, strict_codes=True),
        has_codes=True,
        has_pings=True,
        replaces=False,
    ),
)
"""Every dialect there is, the oldest first; servers speak all of them unless told otherwise."""


def named(name: str) -> Dialect:
    """
    :raises ValueError: for a name no row has; the text lists those there are.
    :raises TypeError: for what is not ``str``.
    """
    whole_text("dialect", name)
    for dialect in DIALECTS:
        if dialect.name == name:
            return dialect
    known = ", ".join(dialect.name for dialect in DIALECTS)
    raise ValueError(f"no dialect is called {name!r}; there are {known}")


def recognise(request: Request, spoken: Iterable[Dialect] = DIALECTS) -> Dialect | None:
    """
    The dialect a request is in; ``None`` for ordinary HTTP.

    :param spoken: the rows this server is willing to speak.
    :raises MalformedHead: for a request that is half a handshake, or two at once: whoever stands
        between may have read the other one.
    :raises UnknownDialect: for one that is whole and not spoken here.
    """
    fields = request.fields
    if not is_handshake(request.method, request.minor, fields):
        return None
    _check_upgrade(fields)
    has_keys = b"sec-websocket-key1" in fields or b"sec-websocket-key2" in fields
    version = fields.only(b"sec-websocket-version")
    if version is not None or fields.only(b"sec-websocket-key") is not None:
        if has_keys:
            raise MalformedHead("two dialects in one head")
        return _by_version(version, fields, spoken)
    _check_length(fields, also=b"8" if has_keys else b"0")
    return _by_keys(fields, spoken) if has_keys else _by_lines(fields, spoken)


def is_handshake(method: bytes, minor: int, fields: Fields) -> bool:
    """
    Whether a request of HTTP/1 wants WebSocket, however badly it asks: the others are ordinary.

    :param minor: of the version, which is HTTP/1 and this.
    """
    return method == b"GET" and minor == 1 and fields.has_token(b"upgrade", b"websocket")


OLD_VERSION: Final = (
    "upgrade request in HTTP/1.0; WebSocket needs HTTP/1.1 (in nginx: proxy_http_version 1.1)"
)
"""What is said of a request for which :func:`asks_in_old_version`."""


def asks_in_old_version(method: bytes, minor: int, fields: Fields) -> bool:
    """
    Whether a request of HTTP/1.0 wants WebSocket: what nginx makes of one if nobody tells it
    otherwise. A server ignores ``Upgrade`` there (RFC 9110 section 7.8), but may say so.
    """
    return minor == 0 and is_handshake(method, 1, fields)


def refusal(error: HandshakeError, spoken: Iterable[Dialect]) -> Refusal:
    """The answer to a peer whose handshake cannot stand (for 426: RFC 6455 section 4.4)."""
    if not isinstance(error, UnknownDialect):
        return Refusal(error.status, f"{error.reply}\n", why=str(error))
    spoken = list(spoken)
    pairs = [(b"Upgrade", b"WebSocket"), (b"Connection", b"Upgrade, close")]
    if versions := _versions(tuple(spoken)):
        newest_first = sorted(versions, key=int, reverse=True)
        pairs.append((b"Sec-WebSocket-Version", b", ".join(newest_first)))
    names = ", ".join(dialect.name for dialect in spoken)
    return Refusal(error.status, f"{error}; spoken here: {names}\n", tuple(pairs))


@lru_cache(maxsize=8)
def _versions(spoken: tuple[Dialect, ...]) -> dict[bytes, Dialect]:
    """Of these rows, those that a version shows, by how it is written."""
    return {row.marker.written: row for row in spoken if isinstance(row.marker, Version)}


def _check_upgrade(fields: Fields) -> None:
    if not fields.has_token(b"connection", b"upgrade"):
        raise MalformedHead("Upgrade without 'Connection: Upgrade': did a proxy drop it?")
    fields.only(b"upgrade")
    if b"" in fields or b"transfer-encoding" in fields:
        raise MalformedHead("a handshake has no body and no nameless field")


def _check_length(fields: Fields, also: bytes) -> None:
    """
    No body, except that Netty, Perl's Protocol::WebSocket and proxies announce key3 as one.
    """
    if fields.only(b"content-length") not in (None, also):
        raise MalformedHead("a Content-Length, where there is no such body")


def _by_version(version: bytes | None, fields: Fields, spoken: Iterable[Dialect]) -> Dialect:
    _check_length(fields, also=b"0")
    row = _versions(tuple(spoken)).get(version or b"")
    if row is None:
        missing = version is None
        raise UnknownDialect(f"{'missing' if missing else 'no such'} Sec-WebSocket-Version")
    return row


def _by_keys(fields: Fields, spoken: Iterable[Dialect]) -> Dialect:
    draft = fields.only(b"sec-websocket-draft")
    known = [row for row in DIALECTS if isinstance(row.marker, Keys) and draft in row.marker.drafts]
    if not known:
        raise MalformedHead("no such Sec-WebSocket-Draft")
    for row in spoken:
        if row in known:
            return row
    raise UnknownDialect(f"{known[0].name} is not spoken")


def _by_lines(fields: Fields, spoken: Iterable[Dialect]) -> Dialect:
    lines = [
        (row, row.marker.origin_field) for row in DIALECTS if isinstance(row.marker, RequestLines)
    ]
    said = [row for row, origin_field in lines if origin_field.lower() in fields]
    if len(said) > 1:
        raise MalformedHead("two origins")
    row = said[0] if said else named("hixie-75")
    if row not in spoken:
        raise UnknownDialect(f"{row.name} is not spoken")
    return row
