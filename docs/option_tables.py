"""Options of the programs as directives, from the tables that the programs themselves read.

``.. daemon-options::``
    Every option of ``twistd hixie``.
``.. service-options:: gateway``
    The options of a service of the daemon, by the name of its row.
``.. route-options::``
    The options of every route with conversations.
``.. command-options:: connect``
    Every option of ``txhixie connect``.

Each option is an ``option`` of Sphinx: it has an anchor, a line in the index, and is referred to as
``:option:`twistd hixie --port```.
"""

from __future__ import annotations

from argparse import Action, ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from txhixie.cli.main import parser
from txhixie.daemon.adaptations import ADAPTATIONS
from txhixie.daemon.options import COMMAND_LINE_ONLY, OPTIONS
from txhixie.daemon.services import SERVICES
from txhixie.daemon.services.service import Service
from txhixie.daemon.setting import ANY_TEXT, FLAG, Setting

DAEMON: Final = "twistd hixie"


class Options(SphinxDirective):
    """A list of options; ``program`` and ``rows`` are its subclasses'."""

    def program(self) -> str:
        """The program that ``:option:`` names."""
        raise NotImplementedError

    def rows(self) -> Iterator[str]:
        """Lines of reStructuredText."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the lines of the table."""
        lines = [f".. program:: {self.program()}", "", *self.rows()]
        return self.parse_text_to_nodes("\n".join(lines))


class DaemonOptions(Options):
    """The options of ``twistd hixie``."""

    def program(self) -> str:
        """The daemon."""
        return DAEMON

    def rows(self) -> Iterator[str]:
        """One option for each setting."""
        for setting in (*COMMAND_LINE_ONLY, *OPTIONS):
            yield from described(setting, "--", " ")


class ServiceOptions(Options):
    """The options of one of the daemon's services."""

    required_arguments = 1

    def program(self) -> str:
        """The service, as ``:option:`` names it."""
        return f"{self.arguments[0]} service"

    def rows(self) -> Iterator[str]:
        """One option for each setting."""
        (service,) = [each for each in SERVICES if each.name == self.arguments[0]]
        for setting in service.options:
            if not any(setting in each.options for each in parts(service)):
                yield from described(setting, "", "=")


class RouteOptions(Options):
    """The options of every route with conversations, for old devices."""

    def program(self) -> str:
        """The route, as ``:option:`` names it."""
        return "route"

    def rows(self) -> Iterator[str]:
        """One option for each setting."""
        for setting in ADAPTATIONS:
            yield from described(setting, "", "=")


def parts(service: Service) -> list[Service]:
    """The services that another one consists of: the options of ``targets`` are also theirs."""
    return [each for each in SERVICES if service.name == "targets" and each is not service]


class CommandOptions(Options):
    """The options of a command of ``txhixie``."""

    required_arguments = 1

    def program(self) -> str:
        """The command."""
        return f"txhixie {self.arguments[0]}"

    def rows(self) -> Iterator[str]:
        """One option for each argument of the command's parser."""
        command = subcommands(parser())[self.arguments[0]]
        for action in command._actions:  # noqa: SLF001  (argparse lists them nowhere else)
            yield from argument(action)


def described(setting: Setting, before: str, joint: str) -> Iterator[str]:
    """The directive of a setting."""
    word = "file" if setting.kind is ANY_TEXT else setting.name.rpartition("-")[2]
    value = "" if setting.kind is FLAG else f"{joint}<{word}>"
    yield f".. option:: {before}{setting.option if before else setting.name}{value}"
    yield ""
    yield f"   {text(setting.meaning)}"
    if setting.default and not (before and setting.kind is FLAG):
        yield f"   Default: {text(setting.default)}."
    yield ""


def argument(action: Action) -> Iterator[str]:
    """The directive of an argument."""
    metavar = f" <{action.metavar}>" if action.metavar and action.option_strings else ""
    names = [f"{name}{metavar}" for name in action.option_strings] or [str(action.metavar)]
    words = (action.help or "") % {**vars(action), "choices": ", ".join(action.choices or ())}
    yield f".. option:: {', '.join(names)}"
    yield ""
    yield f"   {text(words[:1].upper() + words[1:])}"
    yield ""


def subcommands(program: ArgumentParser) -> dict[str, ArgumentParser]:
    """The parsers of a program's commands."""
    return {
        name: command
        for action in program._actions  # noqa: SLF001
        if isinstance(action.choices, dict)
        for name, command in action.choices.items()
    }


def text(words: str) -> str:
    """Words of ``--help`` as reStructuredText, with nothing in them taken for markup."""
    special: Iterable[str] = "\\*`|_"
    for character in special:
        words = words.replace(character, f"\\{character}")
    return " ".join(words.split())


def setup(app: Sphinx) -> None:
    """Add the directives."""
    app.add_directive("daemon-options", DaemonOptions)
    app.add_directive("service-options", ServiceOptions)
    app.add_directive("route-options", RouteOptions)
    app.add_directive("command-options", CommandOptions)
