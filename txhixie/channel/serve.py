"""The ``serve`` function: one call of a coroutine function for each conversation."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from inspect import (
    isasyncgenfunction,
    iscoroutine,
    iscoroutinefunction,
    isfunction,
    isgeneratorfunction,
    signature,
)
from typing import TYPE_CHECKING, Any, Final, Never, TypeAlias, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..connection.awaiting import explain
from ..connection.log import fieldsOf, loggedOf, writeFailure, writeLine
from ..interfaces import AbruptClose, Accepted, CleanClose
from ..sansio.arguments import foreign_names, scalars
from ..sansio.errors import ConversationEnded
from ..sansio.handshake.offer import Offer
from ..server.subprotocols import SubprotocolChoice, chosen_subprotocol, settled_choice
from .channel import Channel, ChannelApplication
from .queues import HIGH_WATER

_log = Logger()

Conversing: TypeAlias = Callable[[Channel], Coroutine[Any, Any, object]]
"""Coroutine function that takes a channel."""


class _ServedChannel(ChannelApplication):
    """Application of a channel that is closed when its coroutine returns."""

    def __init__(self, conversation: Conversing, highWater: int) -> None:
        super().__init__(highWater)
        self._conversation = conversation

    def negotiationFinished(self) -> None:
        super().negotiationFinished()
        self._channel = Channel(self)
        running: Deferred[object] = Deferred.fromCoroutine(self._conversation(self._channel))
        running.addCallbacks(self._returned, self._raised)

    def _returned(self, answer: object) -> None:
        self._channel.close()

    def _raised(self, failure: Failure) -> None:
        """Log the error of the coroutine, unless the error only says that the peer disconnected."""
        if self.ended is None or failure.check(CleanClose, AbruptClose, ConversationEnded) is None:
            note = explain(failure.value)
            hint = "" if note is None else f": {note}"
            what = f"the coroutine of a channel raised{hint}"
            writeFailure(_log, what, self.transport, failure)
            if self.ended is None:
                self.transport.failConnection(reason="the application failed")
        elif failure.check(ConversationEnded) is not None:
            why = f"the coroutine of a channel failed to send: {failure.value}"
            writeLine(_log, "noticed", **fieldsOf(loggedOf(self.transport)), reason=why)


_HINTS: Final = dict.fromkeys(
    ("doStart", "doStop", "startFactory"),
    "HixieServerFactory(serve(...)), which can be listened with",
) | dict.fromkeys(
    ("serve_forever", "wait_closed"),
    'run("tcp:8080:interface=127.0.0.1", serve(...))',
)
"""Attributes that Twisted or a user of another library looks for, with the expression to write."""


@foreign_names(_HINTS)
class Conversations:
    """Result of :func:`serve`: makes an application for each conversation, of either side."""

    def __init__(
        self, conversation: Conversing, subprotocols: SubprotocolChoice | None, highWater: int
    ) -> None:
        self._conversation = conversation
        self._subprotocols = subprotocols
        self._highWater = highWater

    if not TYPE_CHECKING:  # type checkers would accept names that these methods refuse

        def __aenter__(self) -> Never:
            raise TypeError(
                f"serve(...) is not entered or awaited; write {_HINTS['serve_forever']}"
            )

        __aexit__ = __await__ = __aenter__

    def buildProtocol(self, asked: Offer | str, /) -> Any:
        """
        Make the application of one conversation.

        :param asked: the client's offer on the server side; the URL on the client side.
        :return: the application; with subprotocols on the server side, an
            :class:`txhixie.Accepted` with the application and the selected subprotocol.
        """
        application = _ServedChannel(self._conversation, self._highWater)
        if self._subprotocols is None or isinstance(asked, str):
            return application
        return Accepted(application, chosen_subprotocol(self._subprotocols, asked))


def _checkConversation(conversation: object) -> None:
    """
    Check that a value is a coroutine function that takes a channel.

    :raises TypeError: for another value; the error says what to write.
    """
    call = type(conversation).__call__ if callable(conversation) else None
    if iscoroutinefunction(conversation) or iscoroutinefunction(call):
        _checkArguments(cast(Conversing, conversation))
        return
    if iscoroutine(conversation):
        what = f"a coroutine; do not call it: serve({conversation.__name__})"
        conversation.close()
    elif isasyncgenfunction(conversation):
        what = "an async generator function; send what it would yield: await channel.send(...)"
    elif isgeneratorfunction(conversation):
        what = "a generator function; write async def, and await in the place of yield"
    else:
        kind = conversation if isfunction(conversation) else type(conversation)
        what = f"{kind.__name__}; write async def talk(channel): ..."
    raise TypeError(f"serve: expected a coroutine function, not {what}")


def _checkArguments(conversation: Conversing) -> None:
    """
    Check that a function can be called with a channel alone.

    :raises TypeError: for another signature; the error says what to write.
    """
    try:
        signature(conversation).bind(None)
    except TypeError:
        name = getattr(conversation, "__name__", type(conversation).__name__)
        raise TypeError(
            f"serve: {name} is called with one argument, the channel; write async def "
            f"{name}(channel), and channel.offer.path for the path"
        ) from None
    except ValueError:  # the callable has no signature that ``inspect`` can read
        return


def _checkNoServer(conversation: Conversing, address: object, options: Iterable[str]) -> None:
    """
    Check that ``serve`` is given no address and no option of a server, which other libraries take.

    :raises TypeError: for an address or an option; the error says what to write.
    """
    name = getattr(conversation, "__name__", type(conversation).__name__)
    if address or {"host", "port"} & {*options}:
        raise TypeError(
            "serve: a host and a port are not taken here, and nothing is awaited; "
            f'write run("tcp:8080:interface=127.0.0.1", serve({name}))'
        )
    for option in options:
        raise TypeError(
            f"serve: {option}: no such option; "
            f"the server's options go into run(8080, serve({name}), ...)"
        )


def serve(
    conversation: Conversing,
    *address: Never,
    subprotocols: SubprotocolChoice | None = None,
    highWater: int = HIGH_WATER,
    **options: Never,
) -> Conversations:
    """
    Serve a coroutine function, which is called with the :class:`Channel` of each conversation.

    When the coroutine returns, the conversation is closed with 1000. When the coroutine raises, the
    conversation is closed with 1011 (in the Hixie dialects, without a closing handshake), and the
    log has one traceback. An error that only says that the conversation has ended has no traceback;
    if the coroutine was sending, the log has one line. The coroutine is not cancelled when the peer
    disconnects, since received messages can still be taken: a coroutine that only sends notices the
    end by the next ``send``, or by :meth:`Channel.whenEnded`.

    :param conversation: ``async def conversation(channel)``.
    :param address: not accepted: the address to listen on is an argument of :func:`txhixie.run`.
    :param options: not accepted: the server's options are arguments of :func:`txhixie.run`.
    :param subprotocols: a sequence, of which the first subprotocol that the client offers is
        selected; or a callable, which takes the offer and returns one of its subprotocols or
        ``None``. By default the factory selects the subprotocol.
    :param highWater: most bytes of received messages that may wait to be taken, for each channel.
    :raises TypeError: for a value that is not a coroutine function, for a coroutine function that
        does not take one argument, for ``subprotocols`` of another type, and for an address or
        other options.
    :return: the ``applications`` of a :class:`txhixie.HixieServerFactory` or, with the same
        coroutine function on the client side, of a :class:`txhixie.WebSocketClientService`.
    """
    _checkConversation(conversation)
    _checkNoServer(conversation, address, options)
    scalars(int, highWater=highWater)
    if subprotocols is not None:
        subprotocols = settled_choice(subprotocols)
    return Conversations(conversation, subprotocols, highWater)
