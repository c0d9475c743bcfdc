"""``txhixie serve``: the daemon ``twistd hixie`` in the foreground, without a pid file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any, Final

from twisted.internet.interfaces import IListeningPort
from twisted.python.usage import UsageError

from ..daemon.daemon import Daemon
from ..daemon.listener import CannotStart
from ..daemon.options import COMMAND_LINE_ONLY, OPTIONS
from ..daemon.setting import FLAG, Setting
from ..daemon.tap import Options
from ..running import beginLogging
from .status import Status
from .stdio import say

EXAMPLES: Final = (
    ("Echo every message on port 8080, with a console page:", "txhixie serve"),
    (
        "Listen on the loopback interface only:",
        "txhixie serve --port tcp:9000:interface=127.0.0.1",
    ),
    (
        "Let old browsers reach a modern server:",
        "txhixie serve --serve /chat=ws://127.0.0.1:9000/chat",
    ),
)
"""The examples of the command: what each does, and its command line."""

_SETTINGS: Final = (*OPTIONS, *COMMAND_LINE_ONLY)
_VALUES: Final = {
    "port": "PORT",
    "serve": "ROUTE",
    "console": "PATH",
    "origins": "ORIGINS",
    "hosts": "HOSTS",
    "dialects": "NAMES",
    "proxy-protocol": "NETWORK",
    "trust-forwarded": "NETWORK",
    "config": "FILE",
}
"""The value of an option in the help, where it is not a number with a unit."""

_SHORT: Final = {"port": "-p"}


def options(parser: ArgumentParser) -> None:
    """Add the options of the command: those of ``twistd hixie``."""
    for setting in _SETTINGS:
        names = [f"--{setting.option}"]
        names[:0] = [_SHORT[setting.name]] if setting.name in _SHORT else []
        if setting.kind is FLAG:
            parser.add_argument(*names, action="store_true", help=_help(setting))
        else:
            value = _VALUES.get(setting.name) or _unit(setting)
            parser.add_argument(*names, action="append", metavar=value, help=_help(setting))


def _unit(setting: Setting) -> str:
    article, of, unit = setting.kind.expected.partition("a number of ")
    return unit.upper() if of and not article else "VALUE"


def _help(setting: Setting) -> str:
    default = (
        f" Default: {setting.default}." if setting.default and setting.kind is not FLAG else ""
    )
    return (setting.meaning + default).replace("%", "%%")


def start(said: Namespace) -> None:
    """
    Run the server until a signal stops it.

    :param said: what the options of :func:`options` hold.
    :raises SystemExit: with a usage error, or when the server cannot start.
    """
    from twisted.internet import reactor

    try:
        daemon = Daemon(reactor, _read(said).said)
        beginLogging(sys.stdout)
        _serve(reactor, daemon)
    except CannotStart as error:
        say(f"txhixie serve: {str(error).removeprefix('hixie: ')}")
        sys.exit(Status.FAILED)


def _read(said: Namespace) -> Options:
    options = Options()
    try:
        for setting in _SETTINGS:
            value = getattr(said, setting.option.replace("-", "_"))
            for text in [setting.flagged] if value is True else value or ():
                options.say(setting, text)
        options.postOptions()
    except UsageError as error:
        said.parser.error(str(error))
    return options


def _serve(reactor: Any, daemon: Daemon) -> None:
    def tell(port: IListeningPort, where: str) -> None:
        for what, url in daemon.urls(port, where):
            sys.stdout.write(f"{what:13} {url}\n")
        sys.stdout.flush()

    service = daemon.service(tell)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
