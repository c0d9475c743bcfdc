"""Where the token of a target is in a request: in the query, in the path, or the host itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from ..sansio.handshake.offer import Offer
from ..sansio.http.query import read_query, without_parameters
from .routes import Route, name_of

TARGET_PARAMETER: Final = "token"
"""Name of the parameter of the query: that of websockify, which pages of noVNC write."""

IN_QUERY: Final = "query"
IN_PATH: Final = "path"
IN_HOST: Final = "host"
SOURCES: Final = (IN_QUERY, IN_PATH, IN_HOST)
"""Values of the option ``target-from``, the default first."""

MASKED: Final = "..."


@dataclass(frozen=True, slots=True)
class TokenSource:
    """
    Where the token of a target is in a request.

    :ivar place: the place in words, for the log.
    :ivar tokens: returns all tokens of an offer.
    :ivar without: returns the offer for the backend, which does not have the token.
    :ivar normal: returns the normal form of a token.
    :ivar masked: returns the target of any request for the log, without the token of the path;
        ``None`` for a token that is not in the path.
    :ivar parameters: names of the parameters of the query that have the token.
    """

    place: str
    tokens: Callable[[Offer], list[str]]
    without: Callable[[Offer], Offer]
    normal: Callable[[str], str] = str
    masked: Callable[[str], str] | None = None
    parameters: frozenset[str] = frozenset()


def token_in_query(parameter: str) -> TokenSource:
    """Return the source of a token in a parameter of the query."""
    names = frozenset({parameter})
    return TokenSource(
        f"parameter {parameter} of the query",
        lambda offer: read_query(offer.target).get(parameter, []),
        lambda offer: replace(offer, target=without_parameters(offer.target, names)),
        parameters=names,
    )


def token_in_path(route: Route) -> TokenSource:
    """
    Return the source of a token in the first segment after the path of a route.

    :param route: ``/vnc``, for tokens as in ``/vnc/TOKEN`` and ``/vnc/TOKEN/more``.
    """
    at = len(route.segments) + 1

    def tokens(offer: Offer) -> list[str]:
        return [unquote(segment) for segment in offer.path.split("/")[at : at + 1]]

    def without(offer: Offer) -> Offer:
        path, mark, query = offer.target.partition("?")
        parts = path.split("/")
        left = "/".join(parts[:at] + parts[at + 1 :]) or "/"
        return replace(offer, target=f"{left}{mark}{query}")

    def masked(target: str) -> str:
        # Also in a path that is refused, such as //vnc/TOKEN: its slashes stay as they are.
        path, mark, query = target.partition("?")
        parts = path.split("/")
        named = [number for number, part in enumerate(parts) if part]
        before = tuple(unquote(parts[number], "latin-1") for number in named[: at - 1])
        if before == route.segments and len(named) >= at:
            parts[named[at - 1]] = MASKED
        return f"{'/'.join(parts)}{mark}{query}"

    return TokenSource("path after that of the route", tokens, without, masked=masked)


def token_in_host() -> TokenSource:
    """Return the source of a token that is the host of the request, without its port."""
    return TokenSource(
        "Host", lambda offer: [name_of(offer.host)], lambda offer: offer, normal=name_of
    )
