"""The transport of a protocol inside messages: what it writes, sent; what it wants, asked for.

It knows the application's side of a conversation and nothing below it. It has no
``loseWriteConnection``: a conversation cannot be half closed. Its closing frame is the last thing
that a side says *and* the last that it listens to: every browser drops what comes after, and
answers at once.
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

from ..interfaces import WebSocketTransport
from ..sansio.arguments import several, whole_bytes
from ..sansio.errors import FrameError, UnsupportedByDialect
from ..sansio.wire.frame import CloseCode
from .coding import Coding

_log = Logger()


@implementer(IPushProducer)
class Pull:
    """A producer that is asked for each piece, asked for one after another while there is room."""

    def __init__(self, producer: Any, failed: Callable[[], None]) -> None:
        self._producer = producer
        self._failed = failed
        self._task = cooperate(self._ask())

    def _ask(self) -> Iterator[None]:
        try:
            while True:
                self._producer.resumeProducing()
                yield
        except Exception:
            _log.failure("the producer of a stream raised")
            self._failed()

    def pauseProducing(self) -> None:
        """There is no room."""
        self._task.pause()

    def resumeProducing(self) -> None:
        """There is room again."""
        self._task.resume()

    def detach(self) -> None:
        """Ask no more."""
        self._task.stop()

    def stopProducing(self) -> None:
        """There is nobody left to ask for."""
        self._task.stop()
        self._producer.stopProducing()


@implementer(ITransport, IConsumer, IPushProducer, ILoggingContext)
class StreamTransport:
    """
    The inner protocol's transport. What is written while nobody listens any more is dropped, as by
    every transport.

    :ivar disconnecting: whether the end has been asked for.
    """

    disconnecting = False

    def __init__(self, conversation: WebSocketTransport, coding: Coding) -> None:
        """
        :param conversation: an open one.
        :param coding: this connection's.
        """
        self._conversation = conversation
        self._coding = coding
        self._producer: IPushProducer | Pull | None = None

    def write(self, data: bytes) -> None:
        """
        Send some bytes, as one message or several. Who may write much registers a producer: beyond
        :attr:`txhixie.Limits.unsent_size` for a peer that does not read, the
        connection is aborted.

        :raises TypeError: for what is not bytes-like.
        """
        if type(data) is not bytes:
            data = whole_bytes("write", data)
        if data and not self._isClosing():
            self._send(self._coding.encode, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send these bytes, joined.

        :raises TypeError: for what is no iterable of bytes-like objects.
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

    # The end.

    def loseConnection(self) -> None:
        """
        Close in good order, after all that was written; while a producer is registered, after all
        that it will write.
        """
        if self.disconnecting:
            return
        self.disconnecting = True
        if self._producer is None:
            self._close()

    def abortConnection(self) -> None:
        """End at once; what was not sent yet is lost, and the peer sees no close."""
        self.disconnecting = True
        self._conversation.abortConnection()

    def fail(self, code: int, reason: str) -> None:
        """This cannot go on, and the peer is not to take it for whole."""
        self.disconnecting = True
        self._conversation.failConnection(code, reason)

    def _isClosing(self) -> bool:
        """The end has been asked for, and nobody writes before it any more."""
        return self.disconnecting and self._producer is None

    def _close(self) -> None:
        self._send(self._coding.finish)
        self._conversation.loseConnection()

    # Its way out.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Have a producer write as fast as the peer reads, and no faster.

        :raises RuntimeError: when there is one already, as transports do.
        """
        if self._producer is not None:
            raise RuntimeError("another producer is registered")
        push: Any = producer if streaming else Pull(producer, self._producerFailed)
        self._producer = push
        self._conversation.attachProducer(push)

    def unregisterProducer(self) -> None:
        """The producer has written all that it will write."""
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

    # Its way in.

    def pauseProducing(self) -> None:
        """Deliver no more, and read no more from the peer."""
        self._conversation.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again."""
        self._conversation.resumeProducing()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # Who is there.

    def getPeer(self) -> Any:
        """Where the other end is, an ``IAddress``."""
        return self._conversation.getPeer()

    def getHost(self) -> Any:
        """Where this end is, an ``IAddress``."""
        return self._conversation.getHost()

    def logPrefix(self) -> str:
        """A word for the log."""
        return "Stream"

    # The socket below. The methods are there for whoever calls them, as the servers of conch do; it
    # is no ITCPTransport, which can be half closed.

    def getTcpNoDelay(self) -> bool:
        """As of the connection below."""
        return bool(self._conversation.transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """For the connection below."""
        self._conversation.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """As of the connection below."""
        return bool(self._conversation.transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """For the connection below."""
        self._conversation.transport.setTcpKeepAlive(enabled)


@implementer(INegotiated)
class SecureStreamTransport(StreamTransport):
    """The same where the conversation goes through TLS."""

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What the TLS below has agreed on by ALPN; ``None`` where that is nothing."""
        agreed: bytes | None = self._conversation.transport.negotiatedProtocol
        return agreed

    def getPeerCertificate(self) -> Any:
        """The peer's certificate, as the TLS below gives it; ``None`` where it has shown none."""
        return self._conversation.transport.getPeerCertificate()

    def loseWriteConnection(self) -> None:
        """
        This interface has it; a conversation, as TLS, has not.

        :raises txhixie.errors.UnsupportedByDialect: always.
        """
        raise UnsupportedByDialect("a conversation cannot be half closed")
