"""The program ``txhixie``: its commands, their parsers, and how each of them is run."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from textwrap import fill
from typing import Any, Final, NamedTuple, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from ..dialing.errors import PeerLeft, TLSFailed
from ..dialing.stage import CANCELLED
from ..display import nearest
from . import connect, doctor, serve
from .signals import Interruption
from .status import Status, line_of, status_of
from .stdio import openAll, say


class _Parser(ArgumentParser):
    """Reports a mistake in one line, without all of the usage above it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Write the line, and exit with the status for usage errors."""
        see = " See" if message.endswith("?") else "; see"
        say(f"{self.prog}: {message}{see} {self.prog} --help")
        sys.exit(Status.USAGE)

    def surplus(self, words: Sequence[str]) -> NoReturn:
        """
        Exit for arguments that no option takes. Only names of options are repeated: another word
        may be a URL with a password, or the value of a header.
        """
        names = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not names:
            self.error("expected no further arguments")
        known = dict.fromkeys(re.findall(r"(?<![\w-])--([\w-]+)", self.format_help()))
        meant = nearest(names[0].lstrip("-"), known, "--")
        self.error(f"unrecognized option {' '.join(names)}{meant}")


class Command(NamedTuple):
    """
    A command of ``txhixie``.

    :ivar module: has ``options``, which adds the command's options to a parser, and ``EXAMPLES``.
    :ivar start: runs the command, with the parsed options.
    :ivar summary: in a few words, for the list of commands.
    :ivar description: in a sentence or two.
    :ivar status: what the exit status means.
    """

    name: str
    module: Any
    start: Callable[[Namespace], object]
    summary: str
    description: str
    status: str


def _underReactor(run: Callable[[Any, Namespace], Any]) -> Callable[[Namespace], None]:
    def start(said: Namespace) -> None:
        react(_run, (run, said))

    return start


def _connect(said: Namespace) -> None:
    connect.chooseReactor(said)
    _underReactor(connect.converse)(said)


def _doctor(said: Namespace) -> None:
    _underReactor(doctor.command_for(said))(said)


COMMANDS: Final = (
    Command(
        "connect",
        connect,
        _connect,
        "connect to a WebSocket server, and send and show messages",
        "Connect to a WebSocket server. Each line of standard input is sent as a message, and each"
        " message received is written as a line. On a terminal, the line being typed can be"
        " edited.",
        "0 done, 1 failed or closed abnormally, 2 usage error, 3 refused by the server, 4 refused"
        " by the proxy, 5 TLS failed, 6 timeout, 130 interrupted.",
    ),
    Command(
        "doctor",
        doctor,
        _doctor,
        "test the connection to a WebSocket server stage by stage, and give advice",
        "Test each stage of the connection to a WebSocket server, and every dialect; report what"
        " works and what does not, and what to do about it. With --listen, wait for devices"
        " instead, and report what each does wrong, and which route of serve lets it in.",
        "the status with which connect would end with the same options. With --listen and"
        " --connections: 0 nothing was wrong, 1 something was wrong with a device, 2 usage error,"
        " 130 interrupted.",
    ),
    Command(
        "serve",
        serve,
        serve.start,
        "run a WebSocket server with a console page, or a gateway",
        "Run a WebSocket server and gateway until it is interrupted, and print the URL to open. It"
        " is the same as twist hixie, with the same options. Without --serve every path echoes"
        " each message, and GET / is a console page to try it with.",
        "0 stopped by SIGINT or SIGTERM, 1 failed to start, 2 usage error.",
    ),
)
"""Every command. A new command is a module of this package and a row here."""

_WIDTH: Final = 78
"""Columns of the paragraphs of --help."""

EXAMPLES: Final = (
    ("Run a server that echoes, and print the URL of its console page:", "txhixie serve"),
    ("Connect to a server, and type messages:", "txhixie connect ws://127.0.0.1:8080/"),
    ("Find out why a connection fails:", "txhixie doctor wss://example.com/chat"),
)
"""The examples of the program: what each does, and its command line."""


def parser() -> _Parser:
    """The parser of the program's command line, with a parser for each command."""
    program = _Parser(
        prog="txhixie",
        description="A WebSocket client, server and diagnosis for every dialect of WebSocket.",
        epilog=_examples(EXAMPLES),
    )
    program.add_argument("--version", action="version", version=f"txhixie {version('txhixie')}")
    rows = program.add_subparsers(metavar="COMMAND", title="commands")
    for row in COMMANDS:
        one = rows.add_parser(
            row.name,
            help=row.summary,
            description=fill(row.description, _WIDTH),
            epilog=f"{_examples(row.module.EXAMPLES)}\n\n{_status(row)}",
        )
        row.module.options(one)
        one.set_defaults(start=row.start, parser=one)
    return program


def _status(row: Command) -> str:
    return fill(f"Exit status: {row.status}", _WIDTH)


def _examples(rows: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join(["Examples:", *(f"  {what}\n    {line}" for what, line in rows)])


def main(words: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command that the command line names, and exit.

    :param words: the command line, without the program's name; by default this program's own.
    """
    openAll()
    try:
        words = sys.argv[1:] if words is None else words
        program = parser()
        _checkCommand(program, words)
        said, surplus = program.parse_known_args(words)
        if surplus:
            said.parser.surplus(surplus)
        said.start(said)
        sys.exit(Status.DONE)
    except KeyboardInterrupt:  # before the reactor has installed its signal handlers
        sys.exit(130)


def _checkCommand(program: _Parser, words: Sequence[str]) -> None:
    """
    Exit with a usage error unless the first word is a command or an option of the program.

    argparse would repeat the word, which may be a URL with a password.
    """
    if not words:
        say(_usage(program))
        sys.exit(Status.USAGE)
    names = [row.name for row in COMMANDS]
    word = words[0]
    if word.startswith("-"):
        if word.partition("=")[0] not in ("-h", "--help", "--version"):
            program.surplus([word])
    elif re.match(r"(wss?|https?)://", word):
        program.error(f"expected a command: {', '.join(names)}; did you mean txhixie connect URL?")
    elif word not in names:
        meant = nearest(word, names)
        program.error(f"expected a command: {', '.join(names)}{meant}")


def _usage(program: _Parser) -> str:
    """The text that the program writes when it is started without arguments."""
    rows = "\n".join(f"  {row.name:10}{row.summary}" for row in COMMANDS)
    usage = "usage: txhixie COMMAND [OPTIONS] ..."
    return f"{usage}\n\ncommands:\n{rows}\n\n{program.epilog}\n\nSee txhixie COMMAND --help."


def _run(reactor: Any, run: Callable[[Any, Namespace], Any], said: Namespace) -> Deferred[None]:
    running = Deferred.fromCoroutine(run(reactor, said))
    interruption = Interruption(reactor, running)
    reactor.callWhenRunning(interruption.listen)
    return Deferred.fromCoroutine(_ended(running, interruption))


def _hint(error: Exception) -> str:
    """Return the command that finds the cause of an error of TLS, often a wrong scheme or port."""
    isUnclear = isinstance(error, TLSFailed | PeerLeft)
    return "; for advice: txhixie doctor URL" if isUnclear else ""


async def _ended(running: Deferred[None], interruption: Interruption) -> None:
    try:
        await running
    except CANCELLED:
        pass
    except Exception as error:
        if interruption.number is None:
            if line := line_of(error):
                say(f"txhixie: {line}{_hint(error)}")
            raise SystemExit(status_of(error)) from None
    if interruption.number is not None:
        raise SystemExit(128 + interruption.number)
