"""Command line of ``twistd hixie``: its options, and the service that it makes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]  # Twisted does not export the name for type checkers

from ..display import nearest
from ..sansio.dialects import DIALECTS
from .daemon import Daemon
from .errors import CannotStart
from .json_log import logAsJSON
from .listener import showMistakes
from .options import COMMAND_LINE_ONLY, OPTIONS, Said
from .setting import FLAG, Setting, as_written
from .toml_file import read_configuration


class Options(usage.Options):
    """
    Options of the command line.

    ``twisted.python.usage`` finds an option by the name of a method; the methods are made from the
    table of settings.

    :ivar said: given values, by the names of the options.
    """

    synopsis = "[options]"
    longdesc = (
        "A WebSocket server and gateway for every dialect that shipped. Without --serve every path "
        "echoes each message; GET / is a console page to try the server with, and GET /2009 a "
        "console page for browsers of 2009 to 2012."
    )

    compData = usage.Completions(
        optActions={
            "config": usage.CompleteFiles("*.toml"),
            "dialects": usage.CompleteList([dialect.name for dialect in DIALECTS]),
        }
    )
    """Completion of option values for zsh, which asks ``twistd`` for the names of the options."""

    said: dict[str, list[Said]]
    _files: Sequence[Said] = ()
    _commandLine: dict[str, list[Said]]

    def __init__(self) -> None:
        self.said = self._commandLine = {}
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the command line.

        :raises SystemExit: for a bad option, with one line for standard error and status 1.
            ``twistd`` itself would print the error on standard output, below the whole usage.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        except usage.UsageError as error:
            raise SystemExit(f"hixie: {error}{_suggestion(str(error))}") from None

    def opt_version(self) -> None:
        """Display the versions of txhixie and Twisted and exit."""
        sys.stdout.write(f"txhixie {version('txhixie')}, Twisted {version('twisted')}\n")
        raise SystemExit(0)

    def parseArgs(self, *words: str) -> None:
        """
        Refuse arguments that are not options.

        :raises UsageError: for such an argument.
        """
        if words:
            quotes = "; a route is one word: --serve '/=... key=value'" if "=" in words[0] else ""
            raise usage.UsageError(f"{as_written(words[0])}: expected options only{quotes}")

    def say(self, setting: Setting, text: str) -> None:
        """
        Record the value of an option.

        :param setting: the option.
        :param text: its value on the command line.
        :raises UsageError: for a bad value.
        """
        where = f"--{setting.option} {as_written(text)}"
        try:
            value = setting.kind.read_text(text)
        except ValueError as error:
            raise usage.UsageError(f"{where}: {error}") from None
        self.said.setdefault(setting.name, []).append(Said(where, as_written(text), value))

    def postOptions(self) -> None:
        """
        Read the file of the option ``--config``, and handle ``--check``.

        An option of the command line replaces all values of the same option in the file.
        ``--check`` is handled here, before ``twistd`` looks for its pid file: the daemon that uses
        the configuration usually runs in the same directory.

        :raises UsageError: for an error in the file.
        :raises CannotStart: with ``--check``, as :func:`makeService` does.
        :raises SystemExit: after a successful ``--check``, with status 0.
        """
        self._files = self.said.pop("config", ())
        check = self.said.pop("check", ())
        self._commandLine = self.said
        try:
            self.said = self._withFiles()
            if self.logsJSON and (runner := getattr(self, "parent", None)) is not None:
                logAsJSON(runner)
        except ValueError as error:
            raise usage.UsageError(str(error)) from None
        if self._hasRoot():
            where = self.said["workers"][-1].where
            expected = "expected twistd without --chroot, where no worker can be started"
            raise usage.UsageError(f"{where}: {expected}")
        if check:
            daemon = _daemon(self)
            daemon.check()
            sys.stdout.write(f"{daemon.report()}\n")
            for note in daemon.notes:
                sys.stderr.write(f"{note}\n")
            for warning in daemon.certificateWarnings():
                sys.stderr.write(f"{warning}\n")
            raise SystemExit(0)

    def _hasRoot(self) -> bool:
        """Whether twistd changes its root directory, and there are several workers."""
        runner = getattr(self, "parent", None) or {}
        workers = self.said.get("workers", ())[-1:]
        return bool(runner.get("chroot")) and any(one.value > 1 for one in workers)

    @property
    def logsJSON(self) -> bool:
        """Whether the log is JSON."""
        return any(one.value for one in self.said.get("log-json", ())[-1:])

    def readAnew(self) -> dict[str, list[Said]]:
        """
        Read the file again; the command line is as it was.

        :return: the values of the options, by their names.
        :raises CannotStart: for a mistake in the file.
        """
        try:
            return self._withFiles()
        except ValueError as error:
            raise CannotStart(f"hixie: {error}") from None

    def _withFiles(self) -> dict[str, list[Said]]:
        """:raises ValueError: naming the file, the key and what was expected."""
        said = self._commandLine
        for file in self._files:
            said = read_configuration(Path(file.value)) | said
        return said


def _suggestion(mistake: str) -> str:
    """Return the end of a sentence about an unknown option; empty for another mistake."""
    unknown = re.fullmatch(r"option (--?)([\w-]+) not recognized", mistake)
    if unknown is None:
        return ""
    dashes, name = unknown.groups()
    twistd = ServerOptions()
    if name in (
        twistd.shortOpt if dashes == "-" else [each.rstrip("=") for each in twistd.longOpt]
    ):
        return f"; write this option of twistd before hixie: twistd {dashes}{name} hixie"
    known = [setting.option for setting in (*OPTIONS, *COMMAND_LINE_ONLY)]
    meant = nearest(name, known, "--") if dashes == "--" else ""
    return meant or "; --help lists the options"


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
Options.opt_p = Options.opt_port  # type: ignore[attr-defined]  # the loop above has set opt_port


def makeService(options: Options) -> IService:
    """
    Make the service of ``twistd hixie``.

    :raises CannotStart: for a value that only the daemon can check: an endpoint description, a
        certificate file, or an unknown service.
    """
    return _daemon(options).service(options.readAnew)


def _daemon(options: Options) -> Daemon:
    from twisted.internet import reactor

    showMistakes()
    return Daemon(reactor, options.said)
