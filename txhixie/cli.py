"""``txhixie`` on a command line: what is said, what it runs, and how that ends."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from .commands.connect import addConnect, connect
from .commands.interruption import Interruption
from .commands.standard import openAll, say
from .commands.status import Status, lineOf, statusOf

Command = Callable[[Any, Namespace], Coroutine[Any, Any, None]]
"""Runs with a reactor and what was said. What it raises is told."""


class _Parser(ArgumentParser):
    """One line for a mistake, not all of the usage above it."""

    def error(self, message: str) -> NoReturn:
        """End, with the status for it."""
        say(f"{self.prog}: {message}; {self.prog} --help says more")
        sys.exit(Status.USAGE)


def _parser() -> ArgumentParser:
    parser = _Parser("txhixie", description="WebSocket in every dialect.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"txhixie {version('txhixie')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "connect",
        allow_abbrev=False,
        help="lines in are messages out, and messages in are lines out",
        description="Connect to a WebSocket server. Lines of standard input are sent as messages,"
        " and messages that come are written as lines.",
        epilog="Status: 0 done, 1 failed or closed abnormally, 2 usage, 3 refused by the server,"
        " 4 by the proxy, 5 TLS, 6 timeout, 130 interrupted.",
    )
    addConnect(one)
    one.set_defaults(command=connect)
    return parser


def main(words: Sequence[str] | None = None) -> NoReturn:
    """
    Run, and exit.

    :param words: the command line, without the program's name; by default this program's own.
    """
    openAll()
    try:
        said = _parser().parse_args(words)
        react(_run, (said,))
    except KeyboardInterrupt:  # before the reactor has heard of signals
        sys.exit(130)


def _run(reactor: Any, said: Namespace) -> Deferred[None]:
    running = Deferred.fromCoroutine(said.command(reactor, said))
    interruption = Interruption(reactor, running)
    reactor.callWhenRunning(interruption.listen)
    return Deferred.fromCoroutine(_ended(running, interruption))


async def _ended(running: Deferred[None], interruption: Interruption) -> None:
    try:
        await running
    except CancelledError:
        pass
    except Exception as error:
        if interruption.number is None:
            say(f"txhixie: {lineOf(error)}")
            raise SystemExit(statusOf(error)) from None
    if interruption.number is not None:
        raise SystemExit(128 + interruption.number)
