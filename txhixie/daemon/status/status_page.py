"""The page of the daemon's status, and the same as JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from twisted.web.http import BAD_REQUEST, OK
from twisted.web.server import Request

from ...connection.counters import CAUSES, Counters
from ...sansio.dialects import DIALECTS
from ...sansio.http.trusted import network_of, read_address
from ..dispatch import RoutedServerFactory
from ..page_answer import PageAnswer, readPage
from .address_tally import busiest
from .leaf_page import LeafPage, Response
from .survey import HUB_NUMBERS, STATES, Survey, Surveyor

OWN_ORIGIN_ONLY: Final = (
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
)
"""Header fields by which pages of other origins can neither embed a response nor look at it. There
is no ``Access-Control-Allow-Origin``: no other page may read it."""

_FIELDS: Final = (*OWN_ORIGIN_ONLY, (b"Vary", b"Accept"))

_NO_ADDRESS: Final = b"address: expected an IP address, with or without a port, or unix\n"
_PORT: Final = re.compile(r"\[(.*)\](?::[0-9]+)?|([^:]*):[0-9]+")

_STARTED: Final = time.time()


class StatusPage(LeafPage):
    """
    Page of the status: a document that requests the same path as JSON again and again.

    The document has no text of a peer. Its script writes those of the JSON as text, not as markup.
    """

    name = "The status page"

    def __init__(
        self,
        factory: RoutedServerFactory,
        surveyor: Surveyor,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        :param factory: the factory of the daemon.
        :param surveyor: counts the connections.
        :param now: returns the seconds since 1970.
        """
        super().__init__()
        self._factory = factory
        self._surveyor = surveyor
        self._now = now
        # At the start: no file can be opened when there are no file descriptors left.
        self._version = version("txhixie")
        self._document = readPage("status.html", "'self'", caching="no-store", headers=_FIELDS)

    def isRoutine(self, request: Request) -> bool:
        """The JSON has no line of the log, since the document requests it again and again."""
        return _wantsJSON(request)

    def answer(self, request: Request) -> Response:
        """Return the document, or the status as JSON."""
        if not _wantsJSON(request):
            return self._document
        given = _parameter(request, b"address")
        if (address := _addressOf(given)) is None:
            return PageAnswer(BAD_REQUEST, _NO_ADDRESS, caching="no-store", headers=_FIELDS)
        return self._surveyor.survey(address).addCallback(self._json)

    def _json(self, survey: Survey) -> PageAnswer:
        text = json.dumps(self.toData(survey), separators=(",", ":"))
        return PageAnswer(
            OK, text.encode("ascii"), "application/json", caching="no-store", headers=_FIELDS
        )

    def toData(self, survey: Survey) -> dict[str, Any]:
        """
        Return the status as ``json`` can write it.

        :param survey: the connections.
        """
        factory, now = self._factory, self._now()
        ends = sorted(survey.counters.ended.items())
        return {
            "state": "ok" if factory.standIn is None else "draining",
            "version": self._version,
            "time": _written(now),
            "started": _written(_STARTED),
            "uptime": round(now - _STARTED),
            "accepted": survey.counters.accepted,
            "connections": {state: survey.states[state] for state in STATES},
            "messages": {"received": survey.received, "sent": survey.sent},
            "skipped": dict(sorted(survey.counters.skipped.items())),
            "folded": survey.counters.folded,
            "held": None if factory.heldBytes is None else _held(factory, survey),
            "hub": {name: survey.hub[name] for name in HUB_NUMBERS},
            "bus": None
            if factory.reach is None
            else {"up": not survey.unreached, **dict(survey.bus)},
            "dialects": _dialects(survey),
            "routes": _routes(survey, factory),
            "addresses": busiest(survey.addresses.values()),
            "newest": survey.listed(),
            "refusals": _refusals(survey.counters),
            "recent_refusals": survey.refusals,
            "ends": [{"code": code, "count": number} for code, number in ends],
            "recent_ends": survey.ends,
            **_workers(survey),
        }


def _wantsJSON(request: Request) -> bool:
    if _parameter(request, b"format") == "json":
        return True
    accepted = request.getHeader(b"accept") or b""
    return b"application/json" in accepted and b"text/html" not in accepted


def _parameter(request: Request, name: bytes) -> str:
    values: list[bytes] = (request.args or {}).get(name, [])
    return values[0].decode("utf-8", "replace").strip() if values else ""


def _addressOf(given: str) -> str | None:
    """
    Return the address by which a client is counted.

    :param given: an IP address with or without a port, as in ``peer=`` of the log; an IPv6 network
        of 64 bits, or the name of a UNIX socket, as in the lists; empty for all clients.
    :return: the address; ``None`` for another text.
    """
    if not given or given.startswith("unix"):
        return given
    match = _PORT.fullmatch(given)
    host = (match[1] or match[2]) if match else given.removesuffix("/64")
    return None if read_address(host) is None else network_of(host)


def _workers(survey: Survey) -> dict[str, dict[str, list[int]]]:
    """The workers of the daemon, if there are several processes."""
    if not survey.answered:
        return {}
    return {"workers": {"answered": survey.answered, "silent": survey.silent}}


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _held(factory: RoutedServerFactory, survey: Survey) -> dict[str, int]:
    held = factory.heldBytes
    assert held is not None
    return {"bytes": survey.held, "most": held.most}


def _dialects(survey: Survey) -> list[dict[str, Any]]:
    count: dict[str, int] = {}
    for (dialect, _), number in survey.open.items():
        count[dialect] = count.get(dialect, 0) + number
    return [
        {
            "dialect": each.name,
            "open": count.get(each.name, 0),
            "opened": survey.counters.opened[each.name],
        }
        for each in DIALECTS
    ]


def _routes(survey: Survey, factory: RoutedServerFactory) -> list[dict[str, Any]]:
    """The routes of the configuration, and then those of connections from before a reload."""
    count = dict.fromkeys(factory.applications.routes.names, 0)
    for (_, route), number in survey.open.items():
        count[route] = count.get(route, 0) + number
    return [{"route": route, "open": number} for route, number in count.items()]


def _refusals(counters: Counters) -> list[dict[str, Any]]:
    return [
        {"status": status, "cause": cause, "meaning": CAUSES[cause], "count": number}
        for (status, cause), number in counters.refused.most_common()
    ]
