"""The TCP or TLS connection of a client of nats-py, with an end for each wait."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

from nats.aio.transport import Transport

DRAIN_SECONDS: Final = 10.0
"""Seconds in which the server has to read some bytes; then the connection is aborted."""

_CLOSE_SECONDS: Final = 1.0
"""Seconds for the last bytes when the connection is closed."""

_UNSENT: Final = 64 * 1024
"""Bytes from which the transport of asyncio asks to wait."""


class NatsTransport(Transport):
    """
    Connection to a NATS server.

    The transport of nats-py waits forever for a server that reads nothing, also when the connection
    is closed. And it sends the password without TLS to a server, or an attacker between, that
    offers none.
    """

    def __init__(self, secure: bool) -> None:
        """:param secure: whether nothing is sent before the TLS handshake."""
        self._needs_tls = secure
        self._reader: asyncio.StreamReader | None = None
        self._writer: Any = None

    async def connect(self, uri: Any, buffer_size: int, connect_timeout: float) -> None:
        """Connect by TCP."""
        async with asyncio.timeout(connect_timeout):
            opened = await asyncio.open_connection(uri.hostname, uri.port, limit=buffer_size)
        self._reader, self._writer = opened

    async def connect_tls(
        self, uri: Any, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: float
    ) -> None:
        """
        Make the TLS handshake on the connection.

        ``StreamWriter.start_tls`` is not used: in Python 3.11 its reader pauses the TCP transport.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=buffer_size)
        protocol = asyncio.StreamReaderProtocol(reader)
        name = uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            transport = await loop.start_tls(
                self._writer.transport, protocol, ssl_context, server_hostname=name
            )
        assert transport is not None
        self._below = self._writer  # its end would close the connection
        self._reader = reader
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._needs_tls = False

    def write(self, payload: bytes) -> None:
        """
        Write bytes.

        :raises ConnectionError: if the server has not offered the TLS that the URL asks for.
        """
        if self._needs_tls:
            raise ConnectionError("the server offers no TLS")
        self._writer.write(payload)

    def writelines(self, payload: list[bytes]) -> None:
        """Write bytes, as :meth:`write`."""
        self.write(b"".join(payload))

    async def read(self, buffer_size: int) -> bytes:
        """Read bytes."""
        assert self._reader is not None
        return await self._reader.read(buffer_size)

    async def readline(self) -> bytes:
        """Read a line."""
        assert self._reader is not None
        return await self._reader.readline()

    async def drain(self) -> None:
        """
        Wait until the server has read enough, or abort the connection.

        No error is raised: nats-py would not close its client after one. It notices the end of the
        connection when it reads.
        """
        if self._writer.transport.get_write_buffer_size() < _UNSENT:
            return
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._writer.drain()
        except (OSError, TimeoutError):
            self.abort()

    async def wait_closed(self) -> None:
        """Wait for the end of the connection; abort it if the server does not read the rest."""
        if self._writer is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()

    def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()

    def abort(self) -> None:
        """Close the connection without the bytes that the server has not read yet."""
        if self._writer is not None:
            self._writer.transport.abort()

    def at_eof(self) -> bool:
        """Whether the server has closed the connection."""
        return self._reader is None or self._reader.at_eof()

    def __bool__(self) -> bool:
        """Whether the client of nats-py shall use this transport, and make none of its own."""
        return True
