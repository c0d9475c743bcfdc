"""``txhixie serve``: the daemon ``twistd hixie`` in the foreground, without a pid file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final

from ..daemon.options import COMMAND_LINE_ONLY, OPTIONS
from ..daemon.setting import FLAG, Setting

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
"""The options of the command, which are those of ``twistd hixie``."""

_VALUES: Final = {
    "port": "PORT",
    "serve": "ROUTE",
    "console": "PATH",
    "origins": "ORIGINS",
    "hosts": "HOSTS",
    "dialects": "NAMES",
    "users": "FILE",
    "realm": "NAME",
    "tokens": "FILE",
    "jwt-key": "FILE",
    "jwt-algorithms": "NAMES",
    "jwt-audience": "AUDIENCES",
    "jwt-issuer": "ISSUER",
    "token-parameter": "NAME",
    "client-certificate": "SUBJECT",
    "proxy-protocol": "NETWORK",
    "trust-forwarded": "NETWORK",
    "trace": "PATTERN",
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

    :param said: the options of :func:`options`.
    :raises SystemExit: with a usage error, or when the server cannot start.
    """
    # Not above: the daemon and its pages take 0.1 seconds to import, which the other commands save.
    from .foreground import serveInForeground

    serveInForeground(said, _SETTINGS)
