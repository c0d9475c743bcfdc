"""One message of a topic on its way to the members: prepared once for each form."""

from __future__ import annotations

from ..bus.bus import BusMessage
from ..sansio.prepared_message import PreparedMessage
from .objects import message_object


class Delivered:
    """
    A message of a topic for all its members.

    :ivar message: the message.
    """

    __slots__ = ("_object", "_plain", "message")

    def __init__(self, message: BusMessage) -> None:
        self.message = message
        self._plain: PreparedMessage | None = None
        self._object: PreparedMessage | None = None

    @property
    def plain(self) -> PreparedMessage:
        """The message as it was published."""
        if self._plain is None:
            payload = self.message.payload
            self._plain = PreparedMessage(payload.decode() if self.message.is_text else payload)
        return self._plain

    @property
    def object(self) -> PreparedMessage:
        """The message as a JSON object of the subprotocol ``hub.txhixie``."""
        if self._object is None:
            self._object = PreparedMessage(message_object(self.message))
        return self._object
