"""The hub service: each member of a topic gets the messages of all other members."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ...broadcasting import SLOW_RULES
from ...bus.bus import MOST_MESSAGES
from ...hub.publishers import EVERY_CLIENT, EVERY_USER, NO_CLIENT, Publishers
from ...hub.service import MOST_NAME, MOST_TOPICS, REQUEST_PATH, TOPIC_AGE, HubService
from ..guards.basic import DEFAULT_REALM
from ..guards.bearer import Bearer
from ..guards.token_options import DEFAULT_PARAMETER
from ..guards.tokens import Tokens
from ..publishing import PublishingPage
from ..routes import Route
from ..setting import ANY_TEXT, SOME_SECONDS, Setting, ValueKind, number, one_of
from .service import Context

_TOPIC: Final = "topic="
_TOKENS: Final = "publish-tokens"


def _publishers(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    Publishers(words)
    return words


def _history(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_MESSAGES:
        raise ValueError
    return int(text)


HUB_OPTIONS: Final = (
    Setting(
        "history",
        ValueKind(f"a number of messages, at most {MOST_MESSAGES}", _history, (int,)),
        "Last messages of the topic that a client gets when it joins, at most "
        f"{MOST_MESSAGES} and 256 KiB.",
        "0",
    ),
    Setting(
        "publish",
        ValueKind(
            f"{EVERY_CLIENT}, {NO_CLIENT}, or networks, names of users and {EVERY_USER}, "
            "separated by commas",
            _publishers,
        ),
        f"Clients that may publish: {EVERY_CLIENT} (all clients of the route), "
        f"{NO_CLIENT}, or addresses and networks, names of users, and {EVERY_USER} for all users, "
        "separated by commas. A user has a password of users, a token of jwt-key with a subject, "
        "or a client certificate. A message of another client closes its connection with 1008. "
        "In a file also an array.",
        EVERY_CLIENT,
        repeated=True,
    ),
    Setting(
        _TOKENS,
        ANY_TEXT,
        "File of bearer tokens, as for tokens. A program with one of them publishes the body of a "
        "POST to the path of the topic (Authorization: Bearer).",
        "none",
    ),
    Setting(
        "slow",
        one_of(SLOW_RULES),
        "What happens to a message for a client that does not read: the client does not get it "
        "(skip), gets the newest one when it reads again (newest), or is closed with 1013 (close).",
        SLOW_RULES[0],
    ),
    Setting(
        "max-topics",
        number("topics"),
        "Most topics; a client that would begin another one is refused with 503.",
        str(MOST_TOPICS),
    ),
    Setting(
        "topic-age",
        SOME_SECONDS,
        "Seconds after which a topic without clients is removed, with its history.",
        f"{TOPIC_AGE:g}",
    ),
)


MISPLACED: Final = {"topic": f"expected no option, but a part of the service: hub:{_TOPIC}NAME"}
"""The word of a description that may be taken for an option."""


def build_hub(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> HubService:
    """
    Make a hub service.

    :raises ValueError: "expected ..." for a bad description, for words of ``publish`` that exclude
        each other, and for a mistake in the token file.
    """
    try:
        publishers = Publishers(options.get("publish", [EVERY_CLIENT]))
    except ValueError as error:
        raise ValueError(f"publish: {error}") from None
    service = HubService(
        context.hubOf(reactor),
        topic_of(description, context.route),
        history=options.get("history", 0),
        publishers=publishers,
        slow=options.get("slow", SLOW_RULES[0]),
        mostTopics=options.get("max-topics", MOST_TOPICS),
        topicAge=options.get("topic-age", TOPIC_AGE),
    )
    if (file := options.get("publish-tokens")) is not None:
        guard = _publishers_guard(reactor, file)
        service.page = PublishingPage(service, guard, context.limits.message_size)
    return service


def _publishers_guard(reactor: Any, file: str) -> Bearer:
    try:
        tokens = Tokens(reactor, Path(file), secrets.token_bytes)
    except ValueError as error:
        raise ValueError(f"{_TOKENS} {error}") from None
    return Bearer(tokens.verify, DEFAULT_REALM, DEFAULT_PARAMETER, _TOKENS)


def topic_of(description: str, route: Route) -> str:
    """
    Return the name of the topic that a description says, with ``{path}`` for the request's path.

    :param description: ``hub``, which is the route's own topic, or ``hub:topic=NAME``.
    :raises ValueError: "expected ..." for another description.
    """
    if description == "hub":
        return f"{route.host or ''}{route.path}".strip("/") or "/"
    name = description.removeprefix("hub:").removeprefix(_TOPIC)
    written = name.replace(REQUEST_PATH, "")
    if description != f"hub:{_TOPIC}{name}" or not name or re.search(r"[{}\s]", written):
        raise ValueError(f"expected hub, hub:{_TOPIC}NAME or hub:{_TOPIC}{REQUEST_PATH}")
    if not name.isprintable():
        raise ValueError("expected the name of a topic without control characters")
    if len(written) > MOST_NAME:
        raise ValueError(f"expected the name of a topic of at most {MOST_NAME} characters")
    return name
