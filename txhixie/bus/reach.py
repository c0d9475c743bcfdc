"""Whether a bus reaches its server: the log lines and the counters of its outages."""

from __future__ import annotations

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from ..connection.log import writeFailure, writeLine


class Reach:
    """
    State of the connection between a bus and its server.

    :ivar up: whether the bus reaches its server; ``None`` before the first attempt has ended.
    :ivar downs: how often the server became unreachable.
    :ivar lost: messages that did not reach other processes.
    :ivar strange: messages of the server that could not be read.
    :ivar gaps: how often messages of other processes were missed while the server was reachable.
    """

    _log = Logger()

    def __init__(self, url: str) -> None:
        """:param url: URL of the server, without credentials."""
        self._url = url
        self.up: bool | None = None
        self.downs = 0
        self.lost = 0
        self.strange = 0
        self.gaps = 0

    def reached(self) -> None:
        """Write one line if the server was not reachable before."""
        if not self.up:
            self.up = True
            writeLine(self._log, "bus-up", url=self._url)

    def gone(self, reason: str) -> None:
        """
        Write one line, and count, if the server was reachable before.

        :param reason: the error, without credentials.
        """
        if self.up is not False:
            self.up = False
            self.downs += 1
            writeLine(self._log, "bus-down", LogLevel.warn, url=self._url, reason=reason)

    @property
    def counts(self) -> dict[str, int]:
        """The counters, by their names."""
        return {
            "downs": self.downs,
            "lost": self.lost,
            "strange": self.strange,
            "gaps": self.gaps,
        }

    def failed(self, what: str, failure: Failure) -> None:
        """
        Write one line with a traceback.

        :param what: the reason of the line.
        :param failure: the exception.
        """
        writeFailure(self._log, what, failure=failure, url=self._url)
