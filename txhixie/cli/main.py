"""``txhixie`` on a command line: what is said, what it runs, and how that ends."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final, NamedTuple, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from ..dialing.stage import CANCELLED
from ..display import nearest
from . import connect, doctor
from .signals import Interruption
from .status import Status, line_of, status_of
from .stdio import openAll, say


class _Parser(ArgumentParser):
    """One line for a mistake, not all of the usage above it."""

    def error(self, message: str) -> NoReturn:
        """End, with the status for it."""
        say(f"{self.prog}: {message}; {self.prog} --help says more")
        sys.exit(Status.USAGE)

    def surplus(self, words: Sequence[str]) -> NoReturn:
        """End for what is no option of this one. Only names are repeated: a word may be a URL with
        a password, or the value of a header."""
        names = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not names:
            self.error("expected nothing after the URL")
        known = list(dict.fromkeys(re.findall(r"(?<![\w-])--([\w-]+)", self.format_help())))
        meant = nearest(names[0].lstrip("-"), known)
        self.error(f"unrecognized arguments: {' '.join(names)}{meant}")


class _Row(NamedTuple):
    """
    A command.

    :ivar module: has ``options``, which adds them to a parser, and ``run``, which runs with a
        reactor and what was said. What it raises is told.
    :ivar summary: in a few words.
    :ivar description: in a sentence or two.
    :ivar ending: what its status means.
    """

    name: str
    module: Any
    summary: str
    description: str
    ending: str


COMMANDS: Final = (
    _Row(
        "connect",
        connect,
        "lines in are messages out, and messages in are lines out",
        "Connect to a WebSocket server. Lines of standard input are sent as messages, and messages"
        " that come are written as lines.",
        "Status: 0 done, 1 failed or closed abnormally, 2 usage, 3 refused by the server, 4 by the"
        " proxy, 5 TLS, 6 timeout, 130 interrupted.",
    ),
    _Row(
        "doctor",
        doctor,
        "what works on the way to a server and what does not, and what to do",
        "Try each stage of the way to a WebSocket server, and every dialect, and say what was"
        " found, and what to do about it.",
        "Status: that with which connect would end with the same options.",
    ),
)
"""Every command there is. A new one is a file in ``commands`` and a row here."""


def _parser() -> ArgumentParser:
    parser = _Parser("txhixie", description="WebSocket in every dialect.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"txhixie {version('txhixie')}")
    rows = parser.add_subparsers(required=True, metavar="COMMAND")
    for row in COMMANDS:
        one = rows.add_parser(
            row.name,
            help=row.summary,
            description=row.description,
            epilog=row.ending,
            allow_abbrev=False,
        )
        row.module.options(one)
        one.set_defaults(run=row.module.run, parser=one)
    return parser


def main(words: Sequence[str] | None = None) -> NoReturn:
    """
    Run, and exit.

    :param words: the command line, without the program's name; by default this program's own.
    """
    openAll()
    try:
        said, surplus = _parser().parse_known_args(words)
        if surplus:
            said.parser.surplus(surplus)
        react(_run, (said,))
    except KeyboardInterrupt:  # before the reactor has heard of signals
        sys.exit(130)


def _run(reactor: Any, said: Namespace) -> Deferred[None]:
    running = Deferred.fromCoroutine(said.run(reactor, said))
    interruption = Interruption(reactor, running)
    reactor.callWhenRunning(interruption.listen)
    return Deferred.fromCoroutine(_ended(running, interruption))


async def _ended(running: Deferred[None], interruption: Interruption) -> None:
    try:
        await running
    except CANCELLED:
        pass
    except Exception as error:
        if interruption.number is None:
            if line := line_of(error):
                say(f"txhixie: {line}")
            raise SystemExit(status_of(error)) from None
    if interruption.number is not None:
        raise SystemExit(128 + interruption.number)
