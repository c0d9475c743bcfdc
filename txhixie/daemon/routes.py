"""Routes: which service or page a request is for, by its host, path and subprotocols.

The route with the longest path wins, counted in segments; of routes with the same path the one with
the most exact host, and of these the one with a required subprotocol.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar
from urllib.parse import unquote

from ..sansio.limits import MOST_SEGMENTS

T = TypeVar("T")

_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_PATH: Final = re.compile(r"/[!-\"$->@-~]*")  # visible ASCII without '#' and '?'
_DOTS: Final = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|\Z)")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_AMBIGUOUS: Final = re.compile(r"//|[\\;]|%2f|%5c|%3b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Route:
    """
    Rule that matches requests.

    :ivar host: host name in lower case; ``*.`` and a name for every name below this one; or
        ``None`` for any host.
    :ivar path: path as in a URL, which matches itself and each path below: ``/a`` matches ``/a``,
        ``/a/`` and ``/a/b``, never ``/ab``.
    :ivar subprotocol: subprotocol that the client has to offer, or ``None``.
    :ivar assumes: whether a client that offers no subprotocol counts as one that offers this one.
    """

    host: str | None
    path: str
    subprotocol: str | None = None
    assumes: bool = False

    def __post_init__(self) -> None:
        """
        Check the host, the path and the subprotocol.

        :raises ValueError: "expected ..." for a bad host, path or subprotocol.
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
        """Segments of the path, unescaped."""
        segments = segments_of(self.path)
        assert segments is not None
        return segments

    def same(self, other: Route) -> bool:
        """Whether both match the same requests: ``/a`` and ``/a/`` do."""
        key = operator.attrgetter("host", "segments", "subprotocol")
        return bool(key(self) == key(other))

    def takes(self, subprotocols: Sequence[str]) -> bool:
        """Whether the route matches a client that offers these subprotocols."""
        if self.subprotocol is None or self.subprotocol in subprotocols:
            return True
        return self.assumes and not subprotocols

    def takes_host(self, name: str) -> bool:
        """
        Whether the route matches a host.

        :param name: host name of the request, in lower case and without a port.
        """
        if self.host is None or self.host == name:
            return True
        return self.host.startswith("*.") and name.endswith(self.host[1:])

    def exactness(self) -> tuple[int, bool, int, bool]:
        """Return a sort key; of the routes that match a request, the largest key wins."""
        host = self.host or "*"
        return len(self.segments), host[0] != "*", len(host), self.subprotocol is not None


class Routes(Generic[T]):
    """Table of services or pages by their routes."""

    def __init__(self) -> None:
        self._things: list[tuple[Route, tuple[str, ...], T]] = []

    def __bool__(self) -> bool:
        return bool(self._things)

    def __iter__(self) -> Iterator[T]:
        """Yield the services or pages, the most exact route first."""
        return (thing for _, _, thing in self._things)

    def add(self, route: Route, thing: T) -> None:
        """
        Add a route.

        :param route: the route.
        :param thing: the service or the page of the route.
        :raises ValueError: "expected ..." if the table has the same route already.
        """
        if self.has(route):
            raise ValueError(f"expected one service for {route}, not two")
        if route.assumes and any(
            other.assumes and replace(other, subprotocol=route.subprotocol).same(route)
            for other, _, _ in self._things
        ):
            raise ValueError(f"assume: expected one route with this option for {route.path}")
        self._things.append((route, route.segments, thing))
        self._things.sort(key=lambda entry: entry[0].exactness(), reverse=True)

    @property
    def names(self) -> list[str]:
        """Names of the routes, the most exact one first."""
        return [str(route) for route, _, _ in self._things]

    def has(self, route: Route) -> bool:
        """Whether the table has a route that matches the same requests."""
        return any(route.same(other) for other, _, _ in self._things)

    def find(
        self, host: str, path: str, subprotocols: Sequence[str] = ()
    ) -> tuple[Route, T] | None:
        """
        Find the best route for a request.

        :param host: value of the ``Host`` field.
        :param path: path of the request, without the query.
        :param subprotocols: subprotocols that the client offers.
        :return: the route with its service or page; ``None`` if no route matches, and for a path
            that is below another route for some backends, see :func:`read_by_backends`.
        """
        asked = segments_of(path)
        if asked is None:
            return None
        name = name_of(host)
        found = self._find(name, asked, subprotocols)
        if found is None or _AMBIGUOUS.search(path) is None:
            return found
        read = read_by_backends(path)
        other = None if read is None else self._find(name, read, subprotocols)
        if other is None or len(other[0].segments) > len(found[0].segments):
            return None
        return found

    def _find(
        self, name: str, asked: tuple[str, ...], subprotocols: Sequence[str]
    ) -> tuple[Route, T] | None:
        for route, segments, thing in self._things:
            if (
                asked[: len(segments)] == segments
                and route.takes_host(name)
                and route.takes(subprotocols)
            ):
                return route, thing
        return None


def segments_of(path: str) -> tuple[str, ...] | None:
    """
    Split a path at its slashes, and unescape its segments; a slash at the end is ignored.

    A path with a segment ``.`` or ``..`` is not accepted. Browsers resolve such segments before
    they send a request. A backend may resolve the path where this daemon does not: the client would
    reach a path of another route. The same is true of escaped slashes and of backslashes:
    ``/a/..%2Fb`` is ``/b`` for many backends.

    :return: the segments; ``None`` for a path that does not begin with a slash, for a path with
        more than ``MOST_SEGMENTS`` segments, and for a path with a segment ``.`` or ``..``.
    """
    if not path.startswith("/") or path.count("/") > MOST_SEGMENTS:
        return None
    segments = tuple(unquote(part, "latin-1") for part in path.split("/"))[1:]
    if any(_DOTS.search(segment) for segment in segments):
        return None
    return segments[:-1] if segments and not segments[-1] else segments


def read_by_backends(path: str) -> tuple[str, ...] | None:
    """
    Split a path as tolerant backends do: they ignore empty segments and the parameters of a
    segment, and take an escaped slash and a backslash for a slash.

    For these backends ``//admin``, ``/%2Fadmin``, ``/admin%5Cx`` and ``/admin;x`` are below
    ``/admin``. A gateway at ``/`` passes the path on as it is: without this check a client would
    reach the path of a protected route at the same backend.

    :return: the segments; ``None`` for a path that then has a segment ``.`` or ``..``: ``/..;/`` is
        one for Tomcat.
    """
    parts = unquote(path, "latin-1").replace("\\", "/").split("/")
    segments = tuple(name for part in parts if (name := part.partition(";")[0]))
    return None if {".", ".."} & {*segments} else segments


def name_of(host: str) -> str:
    """
    Return the name or the address of a ``Host`` field.

    The name is in lower case, without the port and without the dot of the root zone at its end.
    """
    return re.sub(r":[0-9]*$", "", host.lower()).removesuffix(".")
