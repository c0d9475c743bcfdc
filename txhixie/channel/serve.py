"""Conversations as coroutines: one call of a function for each client."""

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
from ..connection.log import fieldsOf, loggedOf, writeLine
from ..interfaces import AbruptClose, Accepted, CleanClose
from ..sansio.arguments import no_attribute, scalars
from ..sansio.errors import ConversationEnded
from ..sansio.handshake.offer import Offer
from ..server.protocol import SubprotocolChoice, chosenSubprotocol, settledChoice
from .channel import Channel, ChannelApplication
from .queues import HIGH_WATER

_log = Logger()

Conversing: TypeAlias = Callable[[Channel], Coroutine[Any, Any, object]]
"""A coroutine function of a channel."""


class _ServedChannel(ChannelApplication):
    """A channel that is somebody's until their coroutine returns."""

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
        """What a peer can cause by leaving is no mistake of the coroutine's."""
        if self.ended is None or failure.check(CleanClose, AbruptClose, ConversationEnded) is None:
            note = explain(failure.value)
            hint = "" if note is None else f": {note}"
            _log.failure("the coroutine of a channel raised{hint}", failure, hint=hint)
            if self.ended is None:
                self.transport.failConnection(reason="the application failed")
        elif failure.check(ConversationEnded) is not None:
            why = f"the coroutine of a channel was sending when {failure.value}"
            writeLine(_log, "noticed", **fieldsOf(loggedOf(self.transport)), reason=why)


_HINTS: Final = dict.fromkeys(
    ("doStart", "doStop", "startFactory"),
    "HixieServerFactory(serve(...)), which can be listened with",
) | dict.fromkeys(
    ("serve_forever", "wait_closed"),
    'run("tcp:8080:interface=127.0.0.1", serve(...))',
)
"""Errors for attributes that Twisted, or a user of another library, looks for."""


class Conversations:
    """What :func:`serve` answers: an application for each conversation, of either side."""

    def __init__(
        self, conversation: Conversing, subprotocols: SubprotocolChoice | None, highWater: int
    ) -> None:
        self._conversation = conversation
        self._subprotocols = subprotocols
        self._highWater = highWater

    if not TYPE_CHECKING:  # these would tell type checkers that what they refuse is there

        def __getattr__(self, name: str) -> Never:
            raise no_attribute(self, name, _HINTS)

        def __aenter__(self) -> Never:
            raise TypeError(
                f"serve(...) is not entered or awaited; write {_HINTS['serve_forever']}"
            )

        __aexit__ = __await__ = __aenter__

    def buildProtocol(self, asked: Offer | str, /) -> Any:
        """
        One more.

        :param asked: a client's offer, or the URL that we connect to.
        :return: an application, or what else there is to say to an offer.
        """
        application = _ServedChannel(self._conversation, self._highWater)
        if self._subprotocols is None or isinstance(asked, str):
            return application
        return Accepted(application, chosenSubprotocol(self._subprotocols, asked))


def _checkConversation(conversation: object) -> None:
    """:raises TypeError: for what is no coroutine function, and says what to write."""
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

    :raises TypeError: otherwise, with what to write.
    """
    try:
        signature(conversation).bind(None)
    except TypeError:
        name = getattr(conversation, "__name__", type(conversation).__name__)
        raise TypeError(
            f"serve: {name} is called with one argument, the channel; write async def "
            f"{name}(channel), and channel.offer.path for the path"
        ) from None
    except ValueError:  # a callable without a signature that can be looked at
        return


def _checkNoServer(conversation: Conversing, address: object, options: Iterable[str]) -> None:
    """
    Check that ``serve`` is given no address and no option of a server, which other libraries take.

    :raises TypeError: otherwise, with what to write.
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

    When it returns, the conversation is closed with 1000. When it raises, it ends with 1011 (in the
    Hixie dialects, without an orderly close), and the log has one traceback; none when it only
    passed on that the conversation has ended: one line, if it was sending. A peer that leaves does
    not cancel it, since what has come before can still be taken: whoever only sends learns of it by
    the next ``send``, or by :meth:`Channel.whenEnded`.

    :param conversation: ``async def conversation(channel)``.
    :param address: nothing: where to listen is for :func:`txhixie.run` to say.
    :param options: nothing: the server's options are those of :func:`txhixie.run`.
    :param subprotocols: which one to answer: a sequence, of which the first is taken that the
        client offers, or a callable, which gets the offer and answers one of its subprotocols or
        ``None``. By default this is the factory's choice.
    :param highWater: bytes of received messages that may wait to be taken, for each channel.
    :raises TypeError: for what is no coroutine function, for one that does not take one argument,
        for subprotocols that are no choice, and for an address or other options.
    :return: the ``applications`` of a :class:`txhixie.HixieServerFactory`; and, since which side
        has called is nothing to a coroutine, of a :class:`txhixie.WebSocketClientService`.
    """
    _checkConversation(conversation)
    _checkNoServer(conversation, address, options)
    scalars(int, highWater=highWater)
    if subprotocols is not None:
        subprotocols = settledChoice(subprotocols)
    return Conversations(conversation, subprotocols, highWater)
