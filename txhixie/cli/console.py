"""Standard input and output of a conversation: a terminal with an editor, or plain streams."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Awaitable
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.defer import Deferred

from .presentation import JSONPresentation, Presentation, TerminalPresentation, hasColour
from .stdio import InputLines, StandardInput, StandardOutput, say

if TYPE_CHECKING:
    from .editor import LineEditor

_PROMPT: Final = "> "


def isInteractive(said: Namespace) -> bool:
    """Whether a person types the messages and reads the answers on a terminal."""
    return said.once is None and not said.echo and os.isatty(0) and os.isatty(1)


def hasEditor(said: Namespace) -> bool:
    """Whether the line being typed can be edited."""
    return isInteractive(said) and not _whyNoEditor()


def _whyNoEditor() -> str:
    """Why the line being typed cannot be edited; empty if it can be."""
    if (term := os.environ.get("TERM", "")) in ("", "dumb"):
        return f"TERM is {term}" if term else "TERM is not set"
    return "" if find_spec("prompt_toolkit") else "pip install 'txhixie[cli]' for both"


class Console:
    """
    The source of a conversation's lines, and the destination of its messages.

    :ivar presentation: writes messages and notes.
    :ivar lines: the lines of standard input.
    :ivar isTyped: whether the lines are typed by a person.
    :ivar output: standard output, where there is no editor.
    """

    presentation: Presentation

    def __init__(self, reactor: Any, said: Namespace) -> None:
        """:param said: the options of ``connect``."""
        self._editor: LineEditor | None = None
        source = StandardInput(reactor)
        self.isTyped = source.isTerminal
        self.output = StandardOutput(reactor)
        if hasEditor(said):
            from .editor import LineEditor

            self._editor = LineEditor(_PROMPT)
        elif isInteractive(said):
            say(f"no line editing, and lines of at most 4095 bytes: {_whyNoEditor()}")
        self.lines = self._editor or InputLines(source, said.max_message_size)
        self.presentation = self._presentation(said)
        self.presentation.isWatched = self.isTyped and said.once is None and not said.echo

    def _presentation(self, said: Namespace) -> Presentation:
        def now() -> datetime:
            return datetime.now(UTC)

        if said.json:
            return JSONPresentation(self._write, said.timestamps, now)
        if isInteractive(said):
            return TerminalPresentation(self._write, said.timestamps, now, hasColour(True))
        return Presentation(self.output.writeLine, said.timestamps, now)

    def _write(self, line: str | bytes) -> Deferred[None]:
        """Write a line without control characters, except those of colours."""
        text = cast(str, line)
        if self._editor is not None:
            return self._editor.writeLine(text)
        return self.output.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def flush(self) -> Awaitable[None]:
        """
        Wait until all has been written.

        :raises CommandFailed: when nothing can be written.
        """
        return self.output.flush() if self._editor is None else self._editor.flush()

    async def close(self) -> None:
        """Restore the terminal."""
        if self._editor is not None:
            await self._editor.close()
