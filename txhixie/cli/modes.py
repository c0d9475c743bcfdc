"""The modes of a connection: lines, one message, or an echo of each message."""

from __future__ import annotations

from argparse import Namespace
from contextlib import suppress
from math import inf
from typing import Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater

from ..channel.channel import Channel, ChannelApplication
from ..channel.queues import Message
from ..interfaces import AbruptClose, CleanClose
from ..sansio.errors import NotOpen
from .console import Console
from .round_trips import RoundTrips
from .status import CommandFailed, Status, closing_line
from .stdio import StandardInput

_LONG: Final = 3600.0
"""Seconds of one step of a long wait: the reactor's clock has no infinity."""


class EchoMode(ChannelApplication):
    """
    Application that sends each message back at once. Autobahn's test suite expects the echo of a
    message before the close, also when the message and a frame that breaks the protocol arrive
    together with the handshake response.
    """

    def negotiationFinished(self) -> None:
        """Pause reading while the peer does not read."""
        self.transport.attachProducer(cast(IPushProducer, self.transport))

    def textMessageReceived(self, message: str) -> None:
        """Send the message back."""
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Send the message back: a peer that sends binary messages can read them."""
        self.transport.sendBytesMessage(data)


async def listen(channel: Channel) -> None:
    """Receive until the peer closes: the application answers each message itself."""
    async for _ in channel:
        pass


class Once:
    """Sends one message, and writes the first message that is received."""

    def __init__(self, reactor: Any, said: Namespace, console: Console) -> None:
        """
        :param said: ``once``, the message or ``-``; ``binary``; ``json``; ``timeout`` and
            ``max_message_size``, of which either may be reached.
        """
        self._clock = reactor
        self._said = said
        self._console = console
        self._isExact = said.once == "-" and not said.json
        self._input = StandardInput(reactor)
        self._message: Message = b""

    async def prepare(self) -> None:
        """
        Read the message, before the connection is made.

        :raises CommandFailed: for an input that cannot be read, or that is not UTF-8.
        """
        isInput = self._said.once == "-"
        if isInput:
            data = await self._input.everything(self._said.max_message_size)
        else:
            data = self._said.once.encode("utf-8", "surrogateescape")
        what = self._input.name if isInput else "--once"
        self._message = data if self._said.binary else asText(data, what)

    async def run(self, channel: Channel) -> None:
        """
        Send the message, wait for the answer and write it.

        :raises CommandFailed: when no answer is received.
        """
        with suppress(NotOpen):  # the peer has closed: _answer raises how
            await channel.send(self._message)
            self._console.presentation.sent(self._message)
        answer = await self._answer(channel)
        if self._isExact:
            data = answer if isinstance(answer, bytes) else answer.encode()
            await self._console.output.write(data)
        else:
            await self._console.presentation.received(answer)
        await self._console.flush()

    async def _answer(self, channel: Channel) -> Message:
        receiving = channel.receive()
        if (seconds := self._said.timeout) is not None:
            late = CommandFailed(Status.LATE, f"no answer within {seconds:g} seconds")
            receiving.addTimeout(seconds, self._clock, lambda *_: _raise(late))
        try:
            return await receiving
        except CleanClose as close:
            line = f"no answer: {closing_line(close.ended)}"
            raise CommandFailed(Status.FAILED, line) from None


class LineMode:
    """
    Sends each line of the input as a message, and writes each message that is received.

    It lasts for several connections, one after another: a line that could not be sent is the first
    one on the next connection.

    :ivar isOver: whether the input has ended, and with it the last connection.
    """

    isOver = False

    def __init__(self, reactor: Any, said: Namespace, console: Console) -> None:
        """
        :param said: ``binary``, ``wait``, ``ping``, ``ping_interval`` and ``max_message_size``.
        """
        self._clock = reactor
        self._said = said
        self._console = console
        self._presentation = console.presentation
        self._line: bytes | None = None  # taken from the input, and not sent yet
        self._number = 0
        self._heard: float | None = None  # when the last message had been written; None meanwhile
        self.pings = RoundTrips()

    @property
    def queued(self) -> int:
        """How many messages wait for a connection."""
        return self._console.lines.waiting + (self._line is not None)

    async def hasMore(self) -> bool:
        """
        Whether there is a use for a connection: a message waits, the input has not ended, or
        messages are received without an end (``--wait inf``).

        :raises CommandFailed: for an input that cannot be read.
        """
        return bool(self.queued) or self._said.wait == inf or await self._console.lines.hasMore()

    async def run(self, channel: Channel) -> None:
        """
        Converse until the peer closes, or the input is at its end and nothing is received any more.

        :raises CommandFailed: for a line that cannot be sent, and output that cannot be written.
        :raises AbruptClose: when the connection did not end in good order.
        """
        sending = Deferred.fromCoroutine(self._send(channel))
        pinging = Deferred.fromCoroutine(self._ping(channel))
        try:
            await self._written(Deferred.fromCoroutine(self._receive(channel)))
        except BaseException:
            sending.addErrback(lambda _: None)
            sending.cancel()
            raise
        finally:
            pinging.cancel()
        sending.cancel()
        await sending

    async def _written(self, receiving: Deferred[None]) -> None:
        """Receive until the end, or until the output fails: that is heard also while nothing is
        received and so nothing is written."""
        output = self._console.output
        output.broken = receiving.cancel
        try:
            await receiving
        except CancelledError:
            raise output.error or CancelledError from None

    async def _receive(self, channel: Channel) -> None:
        try:
            self._heard = self._clock.seconds()
            async for message in channel:
                self._heard = None
                await self._presentation.received(message)
                self._heard = self._clock.seconds()
        except AbruptClose:
            if not self.isOver:
                raise
        await self._console.flush()

    async def _send(self, channel: Channel) -> None:
        try:
            await self._sendLines(channel)
            if not self._console.isTyped:  # a person has seen what was received
                await self._silence()
        except (CancelledError, NotOpen):
            return  # the peer has closed: _receive raises how
        except CommandFailed:
            self._close(channel)
            raise
        self._close(channel)

    def _close(self, channel: Channel) -> None:
        self.isOver = True
        channel.close()

    async def _sendLines(self, channel: Channel) -> None:
        while True:
            if self._line is None:
                self._line = await self._console.lines.nextLine()
                self._number += 1
            if self._line is None:
                return
            if (message := self._message(self._line)) is not None:
                await channel.send(message)
                self._presentation.sent(message)
            self._line = None

    def _message(self, line: bytes) -> Message | None:
        """The message of a line; ``None`` for one that was typed and is too long."""
        most = self._said.max_message_size
        if len(line) > most:  # a longer line of a pipe has ended the input
            self._presentation.note(f"not sent: {len(line)} bytes; --max-message-size is {most}")
            return None
        what = f"line {self._number} of {self._console.lines.name}"
        return line if self._said.binary else asText(line, what)

    async def _ping(self, channel: Channel) -> None:
        """Send pings, each after the answer to the one before it."""
        interval = self._said.ping_interval
        with suppress(CancelledError, NotOpen):
            while self._said.ping:
                began = self._clock.seconds()
                await channel.ping()
                seconds = self._clock.seconds() - began
                self.pings.add(seconds)
                self._presentation.pong(self.pings.count, seconds)
                await deferLater(self._clock, max(0.0, interval - seconds))

    async def _silence(self) -> None:
        began = self._clock.seconds()
        while True:
            now = self._clock.seconds()
            since = now if self._heard is None else max(began, self._heard)
            left = since + self._said.wait - now
            if left <= 0:
                return
            await deferLater(self._clock, min(left, _LONG))


def asText(data: bytes, what: str) -> str:
    """
    Decode UTF-8.

    :param what: the name of the data, for the error.
    :raises CommandFailed: for bytes that are not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        line = f"{what} is not UTF-8: use --binary to send bytes as they are"
        raise CommandFailed(Status.FAILED, line) from None


def _raise(error: Exception) -> Any:
    raise error
