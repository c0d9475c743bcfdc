"""The daemon of ``txhixie serve``: in the foreground, without a pid file."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger, textFileLogObserver
from twisted.python.usage import UsageError

from ..daemon.daemon import Daemon
from ..daemon.errors import CannotStart
from ..daemon.json_log import jsonFileLogObserver
from ..daemon.setting import Setting
from ..daemon.tap import Options
from ..running import beginLogging
from .status import Status
from .stdio import say

_log = Logger()


def serveInForeground(said: Namespace, settings: Sequence[Setting]) -> None:
    """
    Run the server until a signal stops it.

    :param said: the values of the settings, and the parser that has read them.
    :param settings: the options of the daemon.
    :raises SystemExit: with a usage error, or when the server cannot start.
    """
    from twisted.internet import reactor

    try:
        options = _read(said, settings)
        daemon = Daemon(reactor, options.said)
        beginLogging(sys.stdout, jsonFileLogObserver if options.logsJSON else textFileLogObserver)
        _serve(reactor, daemon, options)
    except CannotStart as error:
        say(f"txhixie serve: {str(error).removeprefix('hixie: ')}")
        sys.exit(Status.FAILED)


def _read(said: Namespace, settings: Sequence[Setting]) -> Options:
    options = Options()
    try:
        for setting in settings:
            value = getattr(said, setting.option.replace("-", "_"))
            for text in [setting.flagged] if value is True else value or ():
                options.say(setting, text)
        options.postOptions()
    except UsageError as error:
        said.parser.error(str(error))
    return options


def _serve(reactor: Any, daemon: Daemon, options: Options) -> None:
    def tell(port: IListeningPort, where: str) -> None:
        for what, url in daemon.urls(port, where):
            if options.logsJSON:
                _log.info("{what} {url}", what=what, url=url)
            else:
                sys.stdout.write(f"{what:13} {url}\n")
        sys.stdout.flush()

    service = daemon.service(options.readAnew, tell)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
