"""The way out of one connection: is it full, and who must be told.

A transport has one producer. This is it: it remembers what the transport said last, and says it on
to the application's producer, each thing once.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Outflow:
    """
    The transport's producer.

    :ivar full: whether the transport has asked to be spared.
    :ivar drained: called instead of the producer when it no longer does; for whoever waits to end
        the connection.
    """

    __slots__ = ("_producer", "drained", "full")

    def __init__(self) -> None:
        self.full = False
        self.drained: Callable[[], None] | None = None
        self._producer: IPushProducer | None = None

    def attach(self, producer: IPushProducer) -> None:
        """
        Tell ``producer`` from now on, beginning with how things stand.

        :raises RuntimeError: when there is one already, as transports do.
        """
        if self._producer is not None:
            raise RuntimeError("another producer is attached")
        self._producer = producer
        if self.full:
            producer.pauseProducing()

    def detach(self) -> None:
        """Tell nobody."""
        self._producer = None

    def pauseProducing(self) -> None:
        """The transport holds more than it likes. It says so at every write while it does."""
        if not self.full:
            self.full = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport has sent what it held."""
        if self.full:
            self.full = False
            if self.drained is not None:
                self.drained()
            elif self._producer is not None:
                self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """There is nobody left to send to."""
        self.drained = None
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
