"""The service ``targets``: a backend for each client, by a token of the client's request.

The backends are those of a file of the operator. A client names a token, and never a host.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from ...gateway.session import Sessions
from ...interfaces import Decision
from ...sansio.handshake.offer import Offer, Refusal
from ..guards.token_options import read_parameter
from ..route_option import split_backends
from ..setting import Setting, ValueKind, one_of
from ..target_files import TargetFiles
from ..token_source import (
    IN_HOST,
    IN_PATH,
    IN_QUERY,
    SOURCES,
    TARGET_PARAMETER,
    TokenSource,
    token_in_host,
    token_in_path,
    token_in_query,
)
from .gateway import GATEWAY, GATEWAY_OPTIONS, check_url
from .service import Context, makeServed
from .tcp import STREAM, STREAM_OPTIONS, streamEndpoint

TARGETS_OPTIONS: Final = (
    Setting(
        "target-from",
        one_of(SOURCES),
        "Where the token is in a request: in a parameter of the query, in the path after that of "
        "the route (/vnc/TOKEN), or the Host itself.",
        IN_QUERY,
    ),
    Setting(
        "target-parameter",
        ValueKind("the name of a parameter of the query", read_parameter),
        "Name of the parameter of the query that has the token of the target.",
        TARGET_PARAMETER,
    ),
    *STREAM_OPTIONS,
    *GATEWAY_OPTIONS,
)

MOST_SERVICES: Final = 256
"""Most services of targets that are kept, those that were used last. Each has the outages of its
backend. A file may have 100,000 targets."""

_MOST_WAITS: Final = 5
"""Most waits of a client for a file that is being written, a second each."""

_EXAMPLES: Final = ("ws://localhost", "tcp:localhost:1")
"""A target of each kind."""


class TargetsService:
    """
    Server factory that relays each client to the backend of its token.

    :ivar sessions: the sessions between the clients and all backends.
    :ivar source: where the token is in a request.
    :ivar services: services of the targets that were used last, by the targets.
    :ivar masked: returns the target of a request for the log, without the token; ``None`` for a
        token that is not in the path.
    """

    def __init__(
        self,
        clock: IReactorTime,
        files: TargetFiles,
        source: TokenSource,
        make: Callable[[str], Any],
        sessions: Sessions,
    ) -> None:
        """
        :param clock: measures the wait for a file that a program is writing.
        :param files: the targets.
        :param source: the attribute.
        :param make: makes the service of a target.
        :param sessions: the attribute.
        """
        self._clock = clock
        self._files = files
        self.source = source
        self.masked = source.masked
        self._make = make
        self.sessions = sessions
        self.services: OrderedDict[str, Any] = OrderedDict()

    def buildProtocol(self, offer: Offer) -> Deferred[Decision] | Refusal:
        """
        Connect to the backend of the offer's token.

        :param offer: the client's offer.
        :return: the decision of the service of the target. A 404 without a token and for an unknown
            token, with the same body; a 400 for more than one token, of which a reverse proxy in
            front of the daemon may have checked another one.
        """
        tokens = [token for token in self.source.tokens(offer) if token]
        if len(tokens) > 1:
            why = f"more than one token of a target: {self.source.place}"
            return Refusal(400, "one token is expected\n", why=why)
        if not tokens:
            return self._refusal("no token of a target")
        return self._reach(tokens[0], offer, self._clock.seconds(), _MOST_WAITS)

    def _reach(
        self, token: str, offer: Offer, since: float, waits: int
    ) -> Deferred[Decision] | Refusal:
        target = self._files.find(token, since)
        made: Deferred[Decision] | Refusal
        if isinstance(target, str):
            made = self._service(target).buildProtocol(self.source.without(offer))
        elif target is not None and waits:
            made = deferLater(self._clock, target).addCallback(
                lambda _: self._reach(token, offer, since, waits - 1)
            )
        else:
            made = self._refusal("unknown token of a target", self._files.hasMistake)
        return made

    def _refusal(self, why: str, hasMistake: bool = False) -> Refusal:
        why = f"{why}: {self.source.place}"
        if hasMistake:
            why += "; a file of targets has a mistake, see file-not-reread"
        return Refusal(404, "no target for this request\n", why=why)

    def _service(self, target: str) -> Any:
        """Return the service of a target, which knows whether its backend is down."""
        found = self.services.get(target)
        if found is None:
            found = self.services[target] = self._make(target)
            found.sessions = self.sessions
            if len(self.services) > MOST_SERVICES:
                self.services.popitem(last=False)
        self.services.move_to_end(target)
        return found


def buildTargets(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> TargetsService:
    """
    Make the service of a file of targets, or of a directory of such files.

    :raises ValueError: for a mistake in a file, with the file and the number of the line.
    """
    name = description.partition(":")[2]
    if not name:
        raise ValueError("expected targets:/PATH of a file or a directory")
    source = _source(options, context)

    def make(target: str) -> Any:
        backends = split_backends(target)
        rows = [GATEWAY if _isGateway(each) else STREAM for each in backends]
        return makeServed(rows, reactor, backends, options, context)

    def check(target: str) -> None:
        for each in split_backends(target):
            if _isGateway(each):
                check_url(each)
            else:
                streamEndpoint(reactor, each)

    for each in _EXAMPLES:
        make(each)  # raises the errors of the options here, and not for each target
    files = TargetFiles(reactor, Path(name), time.time, check, source.normal)
    sessions = Sessions(reactor, context.limits, str(context.route))
    return TargetsService(reactor, files, source, make, sessions)


def _isGateway(backend: str) -> bool:
    return backend.partition(":")[0] in GATEWAY.schemes


def _source(options: Mapping[str, Any], context: Context) -> TokenSource:
    place = options.get("target-from", IN_QUERY)
    if place != IN_QUERY and "target-parameter" in options:
        raise ValueError(f"target-parameter: expected target-from={IN_QUERY}, not {place}")
    if place == IN_PATH:
        return token_in_path(context.route)
    if place == IN_HOST:
        return token_in_host()
    return token_in_query(options.get("target-parameter", TARGET_PARAMETER))
