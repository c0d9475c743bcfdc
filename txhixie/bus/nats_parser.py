"""The parser of nats-py with a bound for what it holds."""

from __future__ import annotations

from typing import Final

from nats import errors
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

MOST_MESSAGE: Final = 64 * 1024 * 1024
"""Most bytes of a message: a NATS server allows no larger ``max_payload``."""

MOST_LINE: Final = 256 * 1024
"""Most bytes of a line, such as one with the addresses of all servers of a cluster."""


class NatsParser(Parser):
    """
    Parses what a NATS server sends.

    The parser of nats-py waits for a message of any length, and holds what it has of it. After
    other errors than its own, the client of nats-py reads no more, and writes a traceback to the
    standard error.
    """

    async def parse(self, data: bytes = b"") -> None:
        """
        Parse bytes.

        :raises ConnectionError: for a message or a line that is too long, and for a mistake.
        """
        try:
            await super().parse(data)
        except (errors.Error, OSError):
            raise
        except Exception as error:
            raise ConnectionError(f"the server sent a command with a mistake: {error}") from error
        if self.needed > MOST_MESSAGE:
            raise ConnectionError(f"a message of the server has more than {MOST_MESSAGE:,} bytes")
        if self.state == AWAITING_CONTROL_LINE and len(self.buf) > MOST_LINE:
            raise ConnectionError(f"a line of the server has more than {MOST_LINE:,} bytes")
