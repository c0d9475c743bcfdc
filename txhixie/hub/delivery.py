"""One message of a topic on its way to the members: prepared once for each form."""

from __future__ import annotations

from functools import cached_property

from ..bus.bus import BusMessage
from ..sansio.prepared_message import PreparedMessage
from .objects import message_object


class Delivered:
    """
    A message of a topic for all its members.

    :ivar message: the message.
    """

    def __init__(self, message: BusMessage) -> None:
        self.message = message

    # A property would be one call more for each of 5,000 members.

    @cached_property
    def plain(self) -> PreparedMessage:
        """The message as it was published."""
        payload = self.message.payload
        return PreparedMessage(payload.decode() if self.message.is_text else payload)

    @cached_property
    def object(self) -> PreparedMessage:
        """The message as a JSON object of the subprotocol ``hub.txhixie``."""
        return PreparedMessage(message_object(self.message))
