"""Syslog as JSON, and the choice of the observer."""

from __future__ import annotations

import json
import syslog
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import FileLogObserver, Logger
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]  # Twisted does not export the name for type checkers

from txhixie.daemon.json_log import SyslogObserver, TwistdLogger, logAsJSON


class System:
    """The module ``syslog``, which keeps what is sent."""

    def __init__(self) -> None:
        self.opened: list[tuple[Any, ...]] = []
        self.sent: list[tuple[int, str]] = []

    def openlog(self, *arguments: Any) -> None:
        self.opened.append(arguments)

    def syslog(self, priority: int, text: str) -> None:
        self.sent.append((priority, text))


def test_a_line_to_syslog_is_the_object_alone_with_the_priority_of_its_level() -> None:
    system = System()
    logger = Logger("somebody", observer=SyslogObserver("hixie", system))
    for write in (logger.debug, logger.info, logger.warn, logger.error, logger.critical):
        write("a\nb")
    assert system.opened == [("hixie", 0, syslog.LOG_USER)]
    assert [json.loads(text)["text"] for _, text in system.sent] == ["a\nb"] * 5
    assert not any("\n" in text for _, text in system.sent)
    assert [priority for priority, _ in system.sent] == [
        syslog.LOG_DEBUG,
        syslog.LOG_INFO,
        syslog.LOG_WARNING,
        syslog.LOG_ERR,
        syslog.LOG_CRIT,
    ]


def test_the_observer_of_twistd_writes_JSON_to_the_file_of_twistd(tmp_path: Path) -> None:
    """Twisted has no public name for making that observer: ``_getLogObserver`` of its logger."""
    options = ServerOptions()
    options["logfile"] = str(tmp_path / "log")
    observer = TwistdLogger(options).observer()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    assert isinstance(observer, FileLogObserver)
    Logger("somebody", observer=observer).info("hello")
    assert json.loads((tmp_path / "log").read_text("utf-8"))["text"] == "hello"


def test_an_observer_of_the_operator_is_not_replaced() -> None:
    options = ServerOptions()
    options["logger"] = "somebody.observer"
    with pytest.raises(ValueError, match=r"expected twistd without --logger"):
        logAsJSON(options)
