"""
What the servers on asyncio share: their command line.

usage: SERVER.py PORT [uvloop] [CERTIFICATE.pem] [WORD ...]

The word ``uvloop`` runs the server on uvloop. A file with a certificate and its private key makes
the port one of TLS. Other words are those of a server.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

PORT = int(sys.argv[1])
WORDS = frozenset(sys.argv[2:])


def tls() -> ssl.SSLContext | None:
    """The TLS context; ``None`` for a plain port."""
    files = [word for word in WORDS if word.endswith(".pem")]
    if not files:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[0])
    return context


def new_loop() -> asyncio.AbstractEventLoop:
    """Make the event loop."""
    if "uvloop" not in WORDS:
        return asyncio.new_event_loop()
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run(main: Coroutine[object, object, None]) -> None:
    """Run a server."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main)
