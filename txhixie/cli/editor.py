"""Line editing on a terminal, by prompt_toolkit: the extra ``txhixie[cli]``.

The editor keeps the terminal in raw mode from its start to its end. In canonical mode a terminal
keeps 4,095 bytes of a line and drops the rest without a word (Linux, ``N_TTY_BUF_SIZE``).
``prompt_toolkit.patch_stdout`` and ``run_in_terminal`` switch to canonical mode for each output, so
that a long paste would be cut while messages arrive; the output is therefore written between an
erase and a redraw of the line, in raw mode.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from prompt_toolkit import PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output.vt100 import Vt100_Output
from twisted.internet.defer import Deferred, succeed

_MOST_WAITING: Final = 1000
"""Lines that may wait to be sent. A further line stays in the editor."""

_HIGH_WATER: Final = 64 * 1024
"""Characters of output that may wait to be written before the connection is paused."""


class LineEditor:
    """
    The lines that are typed on a terminal, and the output above the line being typed.

    The history is kept in memory only: a line may be a token.

    :ivar isOver: whether the input is at its end.
    :ivar accepted: called with the number of waiting lines when a line was added to them.
    :ivar over: called at the end of the input.
    """

    name = "standard input"

    def __init__(self, prompt: str) -> None:
        """:param prompt: is shown before the line being typed."""
        self.accepted: Callable[[int], object] | None = None
        self.over: Callable[[], object] | None = None
        self._lines: deque[bytes] = deque()
        self.isOver = False
        self._asked: Deferred[bytes | None] | None = None
        self._output: list[str] = []
        self._size = 0
        self._waiting: list[Deferred[None]] = []
        session: PromptSession[str] = PromptSession(
            prompt,
            key_bindings=self._bindings(),
            # Without cursor position requests: some terminals do not answer them.
            output=Vt100_Output(sys.stdout, _size, os.environ.get("TERM"), enable_cpr=False),
            enable_suspend=True,
            erase_when_done=True,
            reserve_space_for_menu=0,
        )
        self._app = session.app
        running = asyncio.ensure_future(
            self._app.run_async(handle_sigint=False, set_exception_handler=False)
        )
        self._ended = Deferred.fromFuture(running)
        self._ended.addCallbacks(lambda _: self._end(), lambda _: self._end())

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()
        isEmpty = Condition(lambda: not self._app.current_buffer.text)

        @bindings.add("enter", filter=has_focus(DEFAULT_BUFFER))
        def accept(event: KeyPressEvent) -> None:
            self._accept(event.current_buffer)

        @bindings.add("c-c")
        def interrupt(event: KeyPressEvent) -> None:
            # In raw mode the terminal itself sends no SIGINT for Control-C.
            signal.raise_signal(signal.SIGINT)

        @bindings.add("c-d", filter=isEmpty)
        def end(event: KeyPressEvent) -> None:
            self._end()

        return bindings

    def _accept(self, buffer: Buffer) -> None:
        """Take the line, unless too many wait: then it stays in the editor."""
        if self.isOver or len(self._lines) >= _MOST_WAITING:
            return
        self._lines.append(buffer.text.encode("utf-8", "surrogateescape"))
        buffer.reset(append_to_history=True)
        self._answer()
        if self._lines and self.accepted is not None:
            self.accepted(len(self._lines))

    # The input.

    @property
    def waiting(self) -> int:
        """How many lines wait to be sent."""
        return len(self._lines)

    async def hasMore(self) -> bool:
        """Whether a line waits to be sent, or the input has not ended."""
        return bool(self._lines) or not self.isOver

    def nextLine(self) -> Deferred[bytes | None]:
        """
        :return: fires with the next line, and with ``None`` at the end of the input. Cancelling it
            loses no line.
        """

        def forget(asked: Deferred[bytes | None]) -> None:
            self._asked = None

        asked: Deferred[bytes | None] = Deferred(forget)
        self._asked = asked
        self._answer()
        return asked

    def _answer(self) -> None:
        asked = self._asked
        if asked is None or not (self._lines or self.isOver):
            return
        self._asked = None
        asked.callback(self._lines.popleft() if self._lines else None)

    def _end(self) -> None:
        self.isOver = True
        self._answer()
        if self.over is not None:
            self.over()

    async def close(self) -> None:
        """Write what waits, erase the line being typed, and restore the terminal."""
        self._flush()
        if self._app.is_running:
            with suppress(Exception):  # the editor is being closed already
                self._app.exit()
        await self._ended

    # The output.

    def writeLine(self, text: str) -> Deferred[None]:
        """
        Write a line above the line being typed.

        :param text: text without control characters, except those of colours.
        :return: fires with ``None`` when there is room for more.
        """
        if not self._output:
            asyncio.get_event_loop().call_soon(self._flush)
        self._output.append(f"{text}\n")
        self._size += len(text)
        if self._size < _HIGH_WATER:
            return succeed(None)
        room: Deferred[None] = Deferred(self._forget)
        self._waiting.append(room)
        return room

    def _forget(self, room: Deferred[None]) -> None:
        self._waiting.remove(room)

    def flush(self) -> Deferred[None]:
        """Write what waits, at once."""
        self._flush()
        return succeed(None)

    def _flush(self) -> None:
        """All that waits is written together: a redraw takes about a millisecond."""
        text, self._output, self._size = "".join(self._output), [], 0
        if text:
            try:
                self._app.renderer.erase()
                self._app.output.write_raw(text)
                self._app.output.flush()
            except OSError:  # the terminal was closed: so is the input
                self._end()
            else:
                self._app.invalidate()
        waiting, self._waiting = self._waiting, []
        for room in waiting:
            room.callback(None)


def _size() -> Size:
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except OSError:  # the terminal was closed
        columns, rows = 0, 0
    # A terminal that does not know its size says 0.
    return Size(rows=rows or 24, columns=columns or 80)
