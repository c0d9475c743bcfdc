"""Transport of a byte protocol over WebSocket.

The transport uses the ``WebSocketTransport`` of its connection. It has no ``loseWriteConnection``,
since a WebSocket connection cannot be half closed: after its close frame a side neither sends nor
receives messages. Every browser drops messages after its close frame, and answers a close frame at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.interfaces import (
    IConsumer,
    ILoggingContext,
    INegotiated,
    IProducer,
    IPushProducer,
    ITransport,
)
from twisted.internet.task import cooperate
from twisted.logger import Logger
from zope.interface import implementer

from ..connection.log import writeFailure
from ..interfaces import WebSocketTransport
from ..sansio.arguments import several, whole_bytes
from ..sansio.errors import FrameError, UnsupportedByDialect
from ..sansio.wire.frame import CloseCode
from .coding import Coding

_log = Logger()


@implementer(IPushProducer)
class Pull:
    """Push producer around a pull producer, which is resumed repeatedly until the buffer is
    full."""

    def __init__(
        self, producer: Any, conversation: WebSocketTransport, failed: Callable[[], None]
    ) -> None:
        self._producer = producer
        self._conversation = conversation
        self._failed = failed
        self._task = cooperate(self._ask())

    def _ask(self) -> Iterator[None]:
        try:
            while True:
                self._producer.resumeProducing()
                yield
        except Exception:
            writeFailure(_log, "the producer of a stream raised", self._conversation)
            self._failed()

    def pauseProducing(self) -> None:
        """Pause: the write buffer is full."""
        self._task.pause()

    def resumeProducing(self) -> None:
        """Resume: the write buffer has drained."""
        self._task.resume()

    def detach(self) -> None:
        """Stop resuming the pull producer."""
        self._task.stop()

    def stopProducing(self) -> None:
        """Stop the pull producer: the connection has ended."""
        self._task.stop()
        self._producer.stopProducing()


@implementer(ITransport, IConsumer, IPushProducer, ILoggingContext)
class StreamTransport:
    """
    Transport of the inner protocol; bytes that are written after its end are discarded.

    :ivar disconnecting: whether ``loseConnection`` or ``abortConnection`` was called, or the
        connection has failed or ended.
    """

    disconnecting = False

    def __init__(self, conversation: WebSocketTransport, coding: Coding) -> None:
        """
        Create a transport.

        :param conversation: the open connection.
        :param coding: the coding of the connection.
        """
        self._conversation = conversation
        self._coding = coding
        self._producer: IPushProducer | Pull | None = None

    def write(self, data: bytes) -> None:
        """
        Send bytes as one or several messages.

        A protocol that may write much data should register a producer: the connection is aborted
        when more than :attr:`txhixie.Limits.unsent_size` waits for a peer that does not read.

        :raises TypeError: for an object that is not bytes-like.
        """
        if type(data) is not bytes:
            data = whole_bytes("write", data)
        if data and not self._isClosing():
            self._send(self._coding.encode, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several pieces of bytes, joined.

        :raises TypeError: for an object that is not an iterable of bytes-like objects.
        """
        pieces = several("writeSequence", iovec, "[data]")
        self.write(b"".join([whole_bytes("writeSequence", piece) for piece in pieces]))

    def _send(self, encode: Callable[..., list[str | bytes]], *data: bytes) -> None:
        conversation = self._conversation
        try:
            for message in encode(*data):
                if isinstance(message, str):
                    conversation.sendTextMessage(message)
                else:
                    conversation.sendBytesMessage(message)
        except UnsupportedByDialect as error:
            self.fail(CloseCode.UNSUPPORTED_DATA, str(error))
        except FrameError as error:
            self.fail(CloseCode.INTERNAL_ERROR, str(error))

    # Ending the connection.

    def loseConnection(self) -> None:
        """
        Close the connection after all written bytes.

        While a producer is registered, the connection closes when the producer is unregistered.
        """
        if self.disconnecting:
            return
        self.disconnecting = True
        if self._producer is None:
            self._close()

    def abortConnection(self) -> None:
        """Abort the connection: unsent bytes are lost, and no close frame is sent."""
        self.disconnecting = True
        self._conversation.abortConnection()

    def fail(self, code: int, reason: str) -> None:
        """End the connection with an error, so that the peer knows that data is missing."""
        self.disconnecting = True
        self._conversation.failConnection(code, reason)

    def _isClosing(self) -> bool:
        """Whether the connection is closing and no producer writes any more."""
        return self.disconnecting and self._producer is None

    def _close(self) -> None:
        self._send(self._coding.finish)
        self._conversation.loseConnection()

    # Writing: IConsumer.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer, which is paused while the write buffer is full.

        :raises RuntimeError: when another producer is registered.
        """
        if self._producer is not None:
            raise RuntimeError("another producer is registered")
        push: Any = (
            producer if streaming else Pull(producer, self._conversation, self._producerFailed)
        )
        self._producer = push
        self._conversation.attachProducer(push)

    def unregisterProducer(self) -> None:
        """Unregister the producer, which has written all its data."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        self._conversation.detachProducer()
        if isinstance(producer, Pull):
            producer.detach()
        if self.disconnecting:
            self._close()

    def _producerFailed(self) -> None:
        self._producer = None
        self._conversation.detachProducer()
        self.fail(CloseCode.INTERNAL_ERROR, "the application failed")

    # Reading: IPushProducer.

    def pauseProducing(self) -> None:
        """Pause delivery, and stop reading from the peer."""
        self._conversation.pauseProducing()

    def resumeProducing(self) -> None:
        """Resume delivery."""
        self._conversation.resumeProducing()

    def stopProducing(self) -> None:
        """Close the connection."""
        self.loseConnection()

    # Addresses.

    def getPeer(self) -> Any:
        """Return the address of the peer, an ``IAddress``."""
        return self._conversation.getPeer()

    def getHost(self) -> Any:
        """Return the local address, an ``IAddress``."""
        return self._conversation.getHost()

    def logPrefix(self) -> str:
        """Return the prefix for log messages."""
        return "Stream"

    # Methods of the TCP transport, since protocols such as the servers of conch call them. This
    # class does not provide ITCPTransport, which can be half closed.

    def getTcpNoDelay(self) -> bool:
        """Return the value of the TCP transport."""
        return bool(self._conversation.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Set the value of the TCP transport."""
        self._conversation.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """Return the value of the TCP transport."""
        return bool(self._conversation.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Set the value of the TCP transport."""
        self._conversation.transport.setTcpKeepAlive(enabled)


@implementer(INegotiated)
class SecureStreamTransport(StreamTransport):
    """Transport of the inner protocol on a connection with TLS."""

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """The protocol that TLS has negotiated by ALPN; ``None`` without one."""
        agreed: bytes | None = self._conversation.transport.negotiatedProtocol
        return agreed

    def getPeerCertificate(self) -> Any:
        """Return the peer's certificate; ``None`` where the peer has sent none."""
        return self._conversation.transport.getPeerCertificate()

    def loseWriteConnection(self) -> None:
        """
        Raise an error: a WebSocket connection cannot be half closed, but the interface has this.

        :raises txhixie.errors.UnsupportedByDialect: always.
        """
        raise UnsupportedByDialect("a WebSocket connection cannot be half closed")
