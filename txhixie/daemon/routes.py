"""Which of several things a request is for: matching, and nothing of what is matched.

The longest path wins, segment by segment; of routes with the same path the one that names the host
most exactly, and of these the one that wants a subprotocol.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import unquote

from ..sansio.limits import MOST_SEGMENTS

T = TypeVar("T")

_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_PATH: Final = re.compile(r"/[!-\"$->@-~]*")  # visible ASCII without '#' and '?'
_DOTS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|\Z)")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Route:
    """
    A rule that a request meets or not.

    :ivar host: a name in lower case, ``*.`` and a name for every name below that one, or ``None``
        for any.
    :ivar path: where it begins, as it stands in a URL. It holds for itself and for what lies below
        in the sense of ``/``: ``/a`` for ``/a``, ``/a/`` and ``/a/b``, never for ``/ab``.
    :ivar subprotocol: one that the client has to offer, or ``None``.
    """

    host: str | None
    path: str
    subprotocol: str | None = None

    def __post_init__(self) -> None:
        """
        :raises ValueError: "expected ..." for what is no host, no path or no subprotocol.
        """
        if self.host is not None and not _HOST.fullmatch(self.host):
            raise ValueError(
                f"{self.host}: expected a host name in lower case, such as example.com or "
                "*.example.com"
            )
        if not _PATH.fullmatch(self.path) or segments_of(self.path) is None:
            raise ValueError(
                f"{self.path}: expected a path of a URL, beginning with /, with blanks as %20 and "
                "without a query or the segments . and .."
            )
        if self.subprotocol is not None and not _TOKEN.fullmatch(self.subprotocol):
            raise ValueError(
                f"required-subprotocol {self.subprotocol}: expected the name of a subprotocol"
            )

    def __str__(self) -> str:
        wanted = f" required-subprotocol={self.subprotocol}" if self.subprotocol else ""
        return f"{self.host or ''}{self.path}{wanted}"

    @property
    def segments(self) -> tuple[str, ...]:
        """The path, taken apart."""
        segments = segments_of(self.path)
        assert segments is not None
        return segments

    def same(self, other: Route) -> bool:
        """Whether both match the same requests: ``/a`` and ``/a/`` do."""
        key = operator.attrgetter("host", "segments", "subprotocol")
        return bool(key(self) == key(other))

    def takes_host(self, name: str) -> bool:
        """Whether it is for requests to this name, which has no port and is in lower case."""
        if self.host is None or self.host == name:
            return True
        return self.host.startswith("*.") and name.endswith(self.host[1:])

    def exactness(self) -> tuple[int, bool, int, bool]:
        """What the better of two routes that both match has more of."""
        host = self.host or "*"
        return len(self.segments), host[0] != "*", len(host), self.subprotocol is not None


class Routes(Generic[T]):
    """Things, each with the route that leads to it."""

    def __init__(self) -> None:
        self._things: list[tuple[Route, tuple[str, ...], T]] = []

    def __bool__(self) -> bool:
        return bool(self._things)

    def add(self, route: Route, thing: T) -> None:
        """
        Have a route lead to a thing.

        :raises ValueError: "expected ..." when it leads to one already.
        """
        if any(route.same(other) for other, _, _ in self._things):
            raise ValueError(f"expected one service for {route}, not two")
        self._things.append((route, route.segments, thing))
        self._things.sort(key=lambda entry: entry[0].exactness(), reverse=True)

    def find(
        self, host: str, path: str, subprotocols: Sequence[str] = ()
    ) -> tuple[Route, T] | None:
        """
        The best match.

        :param host: as in a ``Host`` field.
        :param path: as in a request, without the query.
        :param subprotocols: what the client offers.
        """
        asked = segments_of(path)
        if asked is None:
            return None
        name = name_of(host)
        for route, segments, thing in self._things:
            if (
                asked[: len(segments)] == segments
                and route.takes_host(name)
                and (route.subprotocol is None or route.subprotocol in subprotocols)
            ):
                return route, thing
        return None


def segments_of(path: str) -> tuple[str, ...] | None:
    """
    A path, taken apart at its slashes and unescaped; a slash at its end counts for nothing.

    :return: ``None`` for what begins otherwise than with one, for one of too many segments, and for
        one with a segment ``.`` or ``..``: no client that resolves its URLs sends that, and whoever
        reads it literally and whoever resolves it would see two different paths. So would they if
        its slashes are escaped, or are the other ones of Windows: ``/a/..%2Fb`` is at ``/b`` for
        many a backend.
    """
    if not path.startswith("/") or path.count("/") > MOST_SEGMENTS:
        return None
    segments = tuple(unquote(part, "latin-1") for part in path.split("/"))[1:]
    if any(_DOTS.search(segment) for segment in segments):
        return None
    return segments[:-1] if segments and not segments[-1] else segments


def name_of(host: str) -> str:
    """A ``Host`` field's name or address: lower case, without the port and the root's dot."""
    return re.sub(r":[0-9]*$", "", host.lower()).removesuffix(".")
