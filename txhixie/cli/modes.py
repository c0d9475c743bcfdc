"""What is said on an open channel: lines, one message, or whatever was heard."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from typing import Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater

from ..channel.channel import Channel, ChannelApplication
from ..channel.queues import Message
from ..interfaces import AbruptClose, CleanClose
from ..sansio.errors import NotOpen
from .status import CommandFailed, Status, ending
from .stdio import StandardInput, StandardOutput, say

_LONG: Final = 3600.0
"""Seconds of a wait that goes on afterwards: the reactor's clock has no infinity."""


class EchoMode(ChannelApplication):
    """
    Sends back what comes, at once: a test suite wants to see that a message was taken before the
    frame behind it that ends everything, also if both came with the answer to the handshake.
    """

    def negotiationFinished(self) -> None:
        """Nothing more is read from a peer that does not read."""
        self.transport.attachProducer(cast(IPushProducer, self.transport))

    def textMessageReceived(self, message: str) -> None:
        """Send it back."""
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Send it back: a peer that sends binary reads it."""
        self.transport.sendBytesMessage(data)


async def listen(channel: Channel) -> None:
    """Until the peer closes: that is all, for whom an application speaks."""
    async for _ in channel:
        pass


class Once:
    """One message, and the first answer to it."""

    def __init__(self, reactor: Any, said: Namespace) -> None:
        """
        :param said: ``once``, the message or ``-``; ``binary``; ``timeout`` and
            ``max_message_size``, of which either may be reached.
        """
        self._clock = reactor
        self._said = said
        self._isExact = said.once == "-"
        self._input = StandardInput(reactor)
        self._output = StandardOutput(reactor)
        self._message: Message = b""

    async def prepare(self) -> None:
        """
        Read what is to be sent, before anybody waits for it.

        :raises CommandFailed: for what cannot be read or is no text.
        """
        if self._isExact:
            data = await self._input.everything(self._said.max_message_size)
        else:
            data = self._said.once.encode("utf-8", "surrogateescape")
        what = self._input.name if self._isExact else "--once"
        self._message = data if self._said.binary else text(data, what)

    async def run(self, channel: Channel) -> None:
        """
        Send it, wait for the answer and write that.

        :raises CommandFailed: when there is none.
        """
        with suppress(NotOpen):  # the peer has closed, and how, the next line hears
            await channel.send(self._message)
        answer = await self._answer(channel)
        if self._isExact:
            await self._output.write(answer if isinstance(answer, bytes) else answer.encode())
        else:
            await self._output.writeLine(answer)
        await self._output.flush()

    async def _answer(self, channel: Channel) -> Message:
        receiving = channel.receive()
        if (seconds := self._said.timeout) is not None:
            late = CommandFailed(Status.LATE, f"no answer within {seconds:g} seconds")
            receiving.addTimeout(seconds, self._clock, lambda *_: _raise(late))
        try:
            return await receiving
        except CleanClose as close:
            line = f"no answer: the conversation ended with {ending(close)}"
            raise CommandFailed(Status.FAILED, line) from None


class LineMode:
    """LineMode in are messages out, and messages in are lines out."""

    def __init__(self, reactor: Any, said: Namespace) -> None:
        """:param said: ``binary``, ``wait`` and ``max_message_size``."""
        self._clock = reactor
        self._said = said
        self._input = StandardInput(reactor)
        self._output = StandardOutput(reactor)
        self._heard: float | None = None  # when the last message had been written; None meanwhile
        self._over = False  # we have said that we close

    async def run(self, channel: Channel) -> None:
        """
        Until the peer closes, or the input is at its end and nothing comes any more.

        :raises CommandFailed: for a line that cannot be sent, and output that cannot be written.
        """
        if self._input.isTerminal:
            subprotocol = f", subprotocol {channel.subprotocol}" if channel.subprotocol else ""
            say(f"open, in {channel.offer.dialect}{subprotocol}")
        sending = Deferred.fromCoroutine(self._send(channel))
        try:
            await self._written(Deferred.fromCoroutine(self._receive(channel)))
        except BaseException:
            sending.addErrback(lambda _: None)
            sending.cancel()
            raise
        sending.cancel()
        await sending

    async def _written(self, receiving: Deferred[None]) -> None:
        """While nothing comes there is nothing to be written, and still an end of the output."""
        self._output.broken = receiving.cancel
        try:
            await receiving
        except CancelledError:
            raise self._output.error or CancelledError from None

    async def _receive(self, channel: Channel) -> None:
        try:
            self._heard = self._clock.seconds()
            async for message in channel:
                self._heard = None
                await self._output.writeLine(message)
                self._heard = self._clock.seconds()
        except AbruptClose:
            if not self._over:
                raise
        await self._output.flush()

    async def _send(self, channel: Channel) -> None:
        try:
            await self._sendLines(channel)
            if not self._input.isTerminal:  # a person has seen what came, and wants to go
                await self._silence()
        except (CancelledError, NotOpen):
            return  # the peer has closed, and how, _receive hears
        except CommandFailed:
            self._close(channel)
            raise
        self._close(channel)

    def _close(self, channel: Channel) -> None:
        self._over = True
        channel.close()

    async def _sendLines(self, channel: Channel) -> None:
        number = 0
        async for line in self._input.lines(self._said.max_message_size):
            number += 1
            what = f"line {number} of {self._input.name}"
            await channel.send(line if self._said.binary else text(line, what))

    async def _silence(self) -> None:
        began = self._clock.seconds()
        while True:
            now = self._clock.seconds()
            since = now if self._heard is None else max(began, self._heard)
            left = since + self._said.wait - now
            if left <= 0:
                return
            await deferLater(self._clock, min(left, _LONG))


def text(data: bytes, what: str) -> str:
    """
    Bytes as the text they are.

    :param what: these are.
    :raises CommandFailed: for anything else.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        line = f"{what} is not UTF-8: --binary sends bytes as they are"
        raise CommandFailed(Status.FAILED, line) from None


def _raise(error: Exception) -> Any:
    raise error
