"""``twistd hixie``: what is said on its command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from ..display import nearest
from ..sansio.dialects import DIALECTS
from .daemon import Daemon
from .listener import showMistakes
from .options import COMMAND_LINE_ONLY, OPTIONS, Said
from .setting import FLAG, Setting, as_written
from .toml_file import read_configuration


class Options(usage.Options):
    """
    What can be said on the command line. ``usage`` finds an option by a method's name; the methods
    are made from the table.

    :ivar said: by the options' names, what was said of each.
    """

    synopsis = "[options]"
    longdesc = (
        "A WebSocket server and gateway for every dialect that shipped. Without --serve every path "
        "echoes each message; GET / is a console page to try the server with, and GET /2009 a "
        "console page for browsers of 2009 to 2011."
    )

    compData = usage.Completions(
        optActions={
            "config": usage.CompleteFiles("*.toml"),
            "dialects": usage.CompleteList([dialect.name for dialect in DIALECTS]),
        }
    )
    """How zsh completes values of options; it asks ``twistd`` for their names."""

    said: dict[str, list[Said]]

    def __init__(self) -> None:
        self.said = {}
        super().__init__()  # type: ignore[no-untyped-call]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the command line.

        :raises SystemExit: with one line for standard error and status 1, for what cannot be
            meant. Left alone, ``twistd`` would print it on standard output below all of the usage.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            raise SystemExit(f"hixie: {error}{_meant(str(error))}") from None

    def opt_version(self) -> None:
        """Display the versions of txhixie and Twisted and exit."""
        sys.stdout.write(f"txhixie {version('txhixie')}, Twisted {version('twisted')}\n")
        raise SystemExit(0)

    def parseArgs(self, *words: str) -> None:
        """Nothing stands alone."""
        if words:
            quotes = "; a route is one word: --serve '/=... key=value'" if "=" in words[0] else ""
            raise usage.UsageError(f"{as_written(words[0])}: expected options only{quotes}")

    def say(self, setting: Setting, text: str) -> None:
        """
        Take what was said of an option.

        :raises UsageError: when it cannot be meant.
        """
        where = f"--{setting.option} {as_written(text)}"
        try:
            value = setting.kind.read_text(text)
        except ValueError as error:
            raise usage.UsageError(f"{where}: {error}") from None
        self.said.setdefault(setting.name, []).append(Said(where, as_written(text), value))

    def postOptions(self) -> None:
        """
        Read the file; what the command line says of an option replaces all that the file does.

        A look is all there is to it before ``twistd`` asks whether another one runs in this
        directory: the daemon whose file is to be looked at, as a rule.

        :raises UsageError: for a mistake in it.
        :raises CannotStart: as :func:`makeService`, when a look is all that was asked for.
        :raises SystemExit: with status 0, after such a look.
        """
        files = self.said.pop("config", ())
        check = self.said.pop("check", ())
        for file in files:
            try:
                self.said = read_configuration(Path(file.value)) | self.said
            except ValueError as error:
                raise usage.UsageError(str(error)) from None
        if check:
            daemon = _daemon(self)
            daemon.check()
            sys.stdout.write(f"{daemon.report()}\n")
            raise SystemExit(0)


def _meant(mistake: str) -> str:
    """Which option probably was, if that was the mistake; empty if not."""
    unknown = re.fullmatch(r"option --([\w-]+) not recognized", mistake)
    known = [setting.option for setting in (*OPTIONS, *COMMAND_LINE_ONLY)]
    return nearest(unknown[1], known, "--") if unknown else ""


def _option(setting: Setting) -> Callable[..., None]:
    def take(self: Options, value: str) -> None:
        self.say(setting, value)

    def takeFlag(self: Options) -> None:
        self.say(setting, setting.flagged)

    isFlag = setting.kind is FLAG
    method: Callable[..., Any] = takeFlag if isFlag else take
    default = f" [default: {setting.default}]" if setting.default and not isFlag else ""
    method.__doc__ = setting.meaning + default
    return method


for _setting in (*OPTIONS, *COMMAND_LINE_ONLY):
    setattr(Options, f"opt_{_setting.option.replace('-', '_')}", _option(_setting))
Options.opt_p = Options.opt_port  # type: ignore[attr-defined]


def makeService(options: Options) -> IService:
    """
    The service that the options ask for.

    :raises CannotStart: for what can be spelled and still not be meant: an endpoint description
        that cannot be read, or whose certificate cannot; a service that there is not.
    """
    return _daemon(options).service()


def _daemon(options: Options) -> Daemon:
    from twisted.internet import reactor

    showMistakes()
    return Daemon(reactor, options.said)
