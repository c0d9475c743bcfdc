"""The log line of a subscriber that raises: the bus goes on, and so does the publisher."""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

_LOG: Final = Logger()


def subscriberFailed(topic: str) -> None:
    """Write one line with the traceback of the exception that is being handled."""
    what = "internal error, please report it: a subscriber of topic {topic} raised"
    _LOG.failure(what, topic=topic)
