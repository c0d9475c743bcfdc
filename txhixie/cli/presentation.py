"""The output of a conversation: plain lines, marked lines for a terminal, or JSON lines."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred

from ..channel.channel import Channel
from ..channel.queues import Message
from ..sansio.closing import Ended
from .status import closed_by, closing_line, is_ordinary
from .stdio import printable, say

Write = Callable[[str | bytes], "Deferred[None]"]
"""A function that writes a line; its Deferred fires when there is room for more."""

_COLOURS: Final = {"<": "\x1b[36m", ">": "\x1b[32m", "*": "\x1b[2m"}
_PLAIN: Final = "\x1b[0m"


def hasColour(isTerminal: bool, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the output is coloured; ``NO_COLOR`` turns colours off (https://no-color.org)."""
    if environment.get("NO_COLOR") or environment.get("TERM", "dumb") == "dumb":
        return False
    return isTerminal


class Presentation:
    """
    Writes each message as it is, and a new line; notes go to standard error.

    :ivar isWatched: whether a person sees what is written to standard error, and waits for it.
    """

    isWatched = False

    def __init__(self, write: Write, timestamps: bool, now: Callable[[], datetime]) -> None:
        """
        :param write: writes to standard output.
        :param timestamps: whether each line begins with its time.
        :param now: answers the time.
        """
        self._write = write
        self._timestamps = timestamps
        self._now = now

    def _time(self) -> str:
        """The time in the format of RFC 3339, in UTC, with milliseconds."""
        text = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")

    def _stamp(self) -> str:
        return f"{self._time()} " if self._timestamps else ""

    def opened(self, url: str, channel: Channel) -> None:
        """Write the agreement of the handshake, if a person watches."""
        if not self.isWatched:
            return
        agreed = [channel.offer.dialect]
        if channel.subprotocol is not None:
            agreed.append(f"subprotocol {channel.subprotocol}")
        agreed += [name for name, _ in channel.agreement.extensions]
        self.note(f"connected to {url}: {', '.join(agreed)}; Control-D closes")

    def received(self, message: Message) -> Deferred[None]:
        """
        Write a message of the server.

        :return: fires with ``None`` when there is room for more. Fails with a ``CommandFailed``
            when nothing can be written.
        """
        stamp = self._stamp()
        if isinstance(message, str):
            return self._write(stamp + message)
        return self._write(stamp.encode() + message)

    def sent(self, message: Message) -> None:
        """Report that a message was sent."""

    def pong(self, number: int, seconds: float) -> None:
        """Report the answer to a ping, and the seconds that it took."""
        self.note(f"ping {number}: {1000 * seconds:.1f} ms")

    def note(self, text: str) -> None:
        """Write a line about the connection."""
        say(f"{self._stamp()}{text}")

    def reconnecting(self, why: str, seconds: float, queued: int) -> None:
        """Report that the connection ended or failed, and when the next attempt is made."""
        waiting = f"; {countedMessages(queued)} queued" if queued else ""
        self.note(f"{why}; connecting again in {seconds:.1f} seconds{waiting}")

    def closed(self, ended: Ended) -> None:
        """Report that the connection ended in good order."""


class TerminalPresentation(Presentation):
    """Marks the lines of a terminal: ``<`` received, ``>`` sent, ``*`` a note."""

    def __init__(
        self, write: Write, timestamps: bool, now: Callable[[], datetime], colour: bool
    ) -> None:
        """:param colour: whether the marks are coloured."""
        super().__init__(write, timestamps, now)
        self._colour = colour

    def _stamp(self) -> str:
        """The local time of day: a person watches."""
        if not self._timestamps:
            return ""
        return f"{self._now().astimezone().time().isoformat(timespec='milliseconds')} "

    def _marked(self, mark: str, text: str) -> Deferred[None]:
        # Further lines of one message are indented, so that a reader can see where it ends.
        text = printable(text).replace("\n", "\n  ")
        start, end = (_COLOURS[mark], _PLAIN) if self._colour else ("", "")
        return self._write(f"{self._stamp()}{start}{mark}{end} {text}")

    def received(self, message: Message) -> Deferred[None]:
        """Write a message of the server, with control characters escaped."""
        return self._marked("<", _shown(message))

    def sent(self, message: Message) -> None:
        """Write a message that was sent: the line in which it was typed is erased."""
        self._marked(">", _shown(message))

    def note(self, text: str) -> None:
        """Write a line about the connection."""
        self._marked("*", text)

    def closed(self, ended: Ended) -> None:
        """
        Write which side closed the connection, with code and reason.

        A connection that did not end in good order is an error, which the command reports.
        """
        if is_ordinary(ended):
            self.note(closing_line(ended))


class JSONPresentation(Presentation):
    """Writes one JSON object a line: the type of the event, its time, and its data."""

    def event(self, kind: str, **more: Any) -> Deferred[None]:
        """Write an event as one JSON object."""
        return self._write(json.dumps({"type": kind, "time": self._time(), **more}))

    def opened(self, url: str, channel: Channel) -> None:
        """Write the agreement of the handshake."""
        extensions = [name for name, _ in channel.agreement.extensions]
        self.event(
            "open",
            data=url,
            dialect=channel.offer.dialect,
            subprotocol=channel.subprotocol,
            extensions=extensions,
        )

    def received(self, message: Message) -> Deferred[None]:
        """Write a message of the server."""
        return self.event("received", **_data(message))

    def sent(self, message: Message) -> None:
        """Write a message that was sent."""
        self.event("sent", **_data(message))

    def pong(self, number: int, seconds: float) -> None:
        """Write the round-trip time of a ping, in seconds."""
        self.event("pong", data=number, seconds=round(seconds, 6))

    def note(self, text: str) -> None:
        """Write a line about the connection."""
        self.event("note", data=text)

    def reconnecting(self, why: str, seconds: float, queued: int) -> None:
        """Write when the next attempt is made."""
        self.event("reconnect", data=why, seconds=round(seconds, 3), queued=queued)

    def closed(self, ended: Ended) -> None:
        """Write which side closed the connection, with code and reason."""
        self.event("close", data=ended.reason, code=int(ended.code), by=closed_by(ended))


def countedMessages(count: int) -> str:
    """A number of messages, in words."""
    return "1 message" if count == 1 else f"{count} messages"


def _shown(message: Message) -> str:
    if isinstance(message, str):
        return message
    return f"({len(message)} bytes) {message.decode('utf-8', 'backslashreplace')}"


def _data(message: Message) -> dict[str, Any]:
    """The data of a message: text as it is, binary as base64."""
    if isinstance(message, str):
        return {"data": message, "binary": False}
    return {"data": b64encode(message).decode("ascii"), "binary": True}
