"""``txhixie connect``: a conversation with a server, by a person or a script."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet import asyncioreactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from ..channel.channel import Channel, ChannelApplication
from ..client.backoff import Backoff
from ..dialing.dialer import Dialer
from ..dialing.errors import ConnectionFailed, ConnectTimeout
from ..display import shown_url
from ..interfaces import AbruptClose
from ..sansio.closing import Ended
from ..sansio.dialects import named
from ..sansio.errors import HandshakeRefused, HixieError
from .checks import CERTIFICATE_ERRORS
from .console import Console, hasEditor
from .handshake_log import ShownDialer
from .modes import EchoMode, LineMode, Once, listen
from .presentation import countedMessages
from .status import CommandFailed, Status, closing_line, is_ordinary, line_of
from .stdio import say
from .target import Target, addOptions, idleSeconds, seconds, usageErrors

Mode = Callable[[Channel], Awaitable[None]]
"""Converses on an open channel."""

_LATER: Final = (408, 425, 429)
"""Refusals below 500 that ask for a later attempt."""

_PASSING: Final = (ConnectionFailed, ConnectTimeout, AbruptClose)

EXAMPLES: Final = (
    ("Type messages:", "txhixie connect ws://127.0.0.1:8080/"),
    (
        "Send one message, and print the answer:",
        "txhixie connect --once hello ws://127.0.0.1:8080/",
    ),
    (
        "Send each line of a file, with a token in a header field:",
        "txhixie connect -H 'Authorization: Bearer TOKEN' wss://example.com/ <lines.txt",
    ),
)
"""The examples of the command: what each does, and its command line."""

_WAIT: Final = 1.0
_PING: Final = 1.0


def options(parser: ArgumentParser) -> None:
    """Add the options of the command."""
    group = parser.add_argument_group("message options")
    add = group.add_mutually_exclusive_group().add_argument
    add("--once", metavar="TEXT", help="Send this message, write the first message received and a"
        " new line, and close. With - the message is all of standard input, and the answer is"
        " written byte for byte.")  # fmt: skip
    add("--echo", action="store_true", help="Send each message back until the server closes.")
    add = group.add_argument
    add("--binary", action="store_true", help="Send binary messages instead of text.")
    add("--wait", type=idleSeconds, default=_WAIT, metavar="SECONDS", help="Close when nothing has"
        " been received for this time after the end of the input. inf: never. Default:"
        " %(default)g.")  # fmt: skip
    add("--reconnect", action="store_true", help="Connect again when the connection ends or cannot"
        " be made, after a delay that grows to 30 seconds. Lines that are typed meanwhile are"
        " sent then.")  # fmt: skip
    add("--ping", action="store_true", help="Send pings, and write the round-trip time of each.")
    add("--ping-interval", type=seconds, default=_PING, metavar="SECONDS", help="Time between pings"
        " of --ping. Default: %(default)g.")  # fmt: skip
    add = parser.add_argument_group("output options").add_argument
    add("--json", action="store_true", help="Write one JSON object a line for each event: open,"
        " received, sent, pong, reconnect, note, close. Binary data is base64.")  # fmt: skip
    add("--timestamps", action="store_true", help="Begin each line with its time.")
    add("--show-handshake", action="store_true", help="Write the request and the response, and"
        " those of a proxy, without credentials.")  # fmt: skip
    addOptions(parser)


def chooseReactor(said: Namespace) -> None:
    """Install the asyncio reactor where the line editor is used: it runs in asyncio's loop."""
    if hasEditor(said):
        asyncioreactor.install()


async def converse(reactor: Any, said: Namespace) -> None:
    """
    Converse until the connection ends, or with ``--reconnect`` until the input does.

    :param said: the options of :func:`options`.
    :raises txhixie.errors.HixieError: as ``WebSocketClientEndpoint.connect`` does.
    :raises CommandFailed: for wrong options, input that cannot be sent, output that cannot be
        written, and a close code that is not an ordinary one.
    :raises txhixie.interfaces.AbruptClose: when the connection did not end in good order.
    """
    with usageErrors():
        target = Target(said)
        target.endpoint(target.dialer(reactor))
        _check(said, target)
    console = Console(reactor, said)
    try:
        await _Conversation(reactor, said, target, console).run()
    finally:
        await console.close()


def _check(said: Namespace, target: Target) -> None:
    """:raises ValueError: for options that do not go together."""
    dialect = named(target.dialect or "rfc6455")
    if said.ping and not dialect.has_pings:
        raise ValueError(f"--ping: {dialect.name} has no pings")
    for name in ("ping", "reconnect"):
        if getattr(said, name) and (said.echo or said.once is not None):
            raise ValueError(f"--{name}: not allowed with --once or --echo")


class _Conversation:
    """One run of the command: a connection, or with ``--reconnect`` several."""

    def __init__(self, reactor: Any, said: Namespace, target: Target, console: Console) -> None:
        self._reactor = reactor
        self._said = said
        self._target = target
        self._console = console
        self._presentation = console.presentation
        self._lines = LineMode(reactor, said, console)
        self._isConnected = False
        self._backoff = Backoff(first=1.0, longest=30.0)

    async def run(self) -> None:
        if self._target.note:
            self._presentation.note(self._target.note)
        mode = await self._mode()
        if self._said.echo or self._said.once is not None:
            channel = await self._connect(mode)
            _tellEnd(channel, isAnswered=self._said.once is not None)
            return
        lines = self._console.lines
        lines.accepted = self._accepted
        running = Deferred.fromCoroutine(
            self._keep(mode) if self._said.reconnect else self._single(mode)
        )
        # Control-D ends the command also while there is no connection.
        lines.over = lambda: None if self._isConnected else running.cancel()
        try:
            await running
        except CancelledError:
            if not lines.isOver:
                raise
        finally:
            if summary := self._lines.pings.summary():
                self._presentation.note(summary)

    async def _mode(self) -> Mode:
        if self._said.echo:
            return listen
        if self._said.once is None:
            return self._lines.run
        once = Once(self._reactor, self._said, self._console)
        await once.prepare()
        return once.run

    async def _single(self, mode: Mode) -> None:
        _tellEnd(await self._connect(mode), isAnswered=False)

    def _accepted(self, count: int) -> None:
        if not self._isConnected:
            self._presentation.note(f"not connected; {countedMessages(count)} queued")

    async def _connect(self, mode: Mode) -> Channel:
        """Connect, and converse until the end of the connection."""
        # With --binary the user knows that the peer reads binary messages, in any dialect.
        binary = "send" if self._said.binary else "refuse"
        endpoint = self._target.endpoint(self._dialer(), binary=binary)
        application = EchoMode() if self._said.echo else ChannelApplication()
        with self._target.reached():
            channel = Channel(await endpoint.connectApplication(application))
        self._isConnected = True
        self._presentation.opened(shown_url(self._target.url), channel)
        try:
            await mode(channel)
        finally:
            self._isConnected = False
            await _close(channel)
            if channel.ended is not None:
                self._presentation.closed(channel.ended)
            await self._console.flush()
        return channel

    def _dialer(self) -> Dialer:
        if self._said.show_handshake:
            show = self._presentation.note
            return self._target.dialer(self._reactor, ShownDialer, show=show)
        return self._target.dialer(self._reactor)

    async def _keep(self, mode: Mode) -> None:
        """Connect again after each end, until the input is at its end."""
        attempt = 0
        while True:
            began = self._reactor.seconds()
            try:
                why = _line((await self._connect(mode)).ended)
            except (HixieError, AbruptClose, CommandFailed) as error:
                if not _mayPass(error) or not (
                    isinstance(error, AbruptClose) or await self._lines.hasMore()
                ):
                    raise
                why = line_of(error)
            if self._lines.isOver:
                return
            hasLasted = self._reactor.seconds() - began >= self._backoff.steady
            attempt = 1 if hasLasted else attempt + 1
            delay = self._backoff.delay(attempt)
            self._presentation.reconnecting(why, delay, self._lines.queued)
            await deferLater(self._reactor, delay)


async def _close(channel: Channel) -> None:
    try:
        await channel.close()
    except CancelledError:  # interrupted a second time
        channel.abort()
        raise


def _line(ended: Ended | None) -> str:
    return "closed" if ended is None else closing_line(ended)


def _mayPass(error: Exception) -> bool:
    """Whether a later attempt may succeed, without a change of the options."""
    cause = error.__cause__ if isinstance(error, CommandFailed) else error
    if isinstance(cause, HandshakeRefused):
        return cause.status >= 500 or cause.status in _LATER
    return isinstance(cause, _PASSING) and not isinstance(cause, CERTIFICATE_ERRORS)


def _tellEnd(channel: Channel, isAnswered: bool) -> None:
    """
    Report a close code of the server that is not an ordinary one.

    :param isAnswered: whether the one answer of ``--once`` was received; then the code is no
        failure.
    :raises CommandFailed: with that code.
    """
    ended = channel.ended
    if ended is None or ended.who != "peer" or is_ordinary(ended):
        return
    if not isAnswered:
        raise CommandFailed(Status.FAILED, closing_line(ended))
    say(f"txhixie: {closing_line(ended)}")
