"""``txhixie connect``: a conversation by hand, or for a script."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError

from ..channel.channel import Channel, ChannelApplication
from ..dialing.dialer import Dialer
from ..sansio.wire.frame import CloseCode
from .handshake_log import ShownDialer
from .modes import EchoMode, LineMode, Once, listen
from .status import CommandFailed, Status, ending
from .stdio import say
from .target import Target, addOptions, meant, patience

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

_ORDINARY = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)
_WAIT = 1.0


def options(parser: ArgumentParser) -> None:
    """Its options."""
    add = parser.add_mutually_exclusive_group().add_argument
    add("--once", metavar="TEXT", help="send this one message and write the first answer and a new"
        " line; with - all of standard input, and the answer byte for byte")  # fmt: skip
    add("--echo", action="store_true", help="send back what comes, until the peer closes")
    add = parser.add_argument
    add("--binary", action="store_true", help="send binary messages instead of text")
    add("--wait", type=patience, default=_WAIT, metavar="SECONDS", help="after the end of the"
        " input, close when nothing has come for so long; by default %(default)g, and inf for"
        " never")  # fmt: skip
    add("--show-handshake", action="store_true", help="both heads, and the proxy's, on standard"
        " error, without credentials")  # fmt: skip
    addOptions(parser)


async def run(reactor: Any, said: Namespace) -> None:
    """
    Converse, until it is over.

    :param said: what the options of :func:`options` hold.
    :raises txhixie.errors.HixieError: as ``WebSocketClientEndpoint.connect`` does.
    :raises CommandFailed: for whatever else is to be told.
    :raises txhixie.interfaces.AbruptClose: when the conversation did not end in good order.
    """
    with meant():
        target = Target(said)
        if target.note:
            say(target.note)
        dialer = _dialer(reactor, target, said)
        # With --binary the user knows that the peer reads binary messages, in any dialect.
        endpoint = target.endpoint(dialer, binary="send" if said.binary else "refuse")
    run = await _mode(reactor, said)
    application = EchoMode() if said.echo else ChannelApplication()
    with target.reached():
        channel = Channel(await endpoint.connectApplication(application))
    try:
        await run(channel)
    finally:
        await _close(channel)
    _tellEnd(channel, answered=said.once is not None)


def _dialer(reactor: Any, target: Target, said: Namespace) -> Dialer:
    if said.show_handshake:
        return target.dialer(reactor, ShownDialer, show=say)
    return target.dialer(reactor)


async def _mode(reactor: Any, said: Namespace) -> Callable[[Channel], Awaitable[None]]:
    if said.echo:
        return listen
    if said.once is None:
        return LineMode(reactor, said).run
    once = Once(reactor, said)
    await once.prepare()
    return once.run


async def _close(channel: Channel) -> None:
    try:
        await channel.close()
    except CancelledError:  # interrupted a second time
        channel.abort()
        raise


def _tellEnd(channel: Channel, answered: bool) -> None:
    """
    A code of the peer's own may be the answer that somebody looks for; and it is no good end, but
    for whoever has the one answer already that was asked for.

    :raises CommandFailed: with that code.
    """
    ended = channel.ended
    if ended is None or ended.who != "peer" or ended.code in _ORDINARY:
        return
    line = f"the peer closed with {ending(ended)}"
    if not answered:
        raise CommandFailed(Status.FAILED, line)
    say(f"txhixie: {line}")
