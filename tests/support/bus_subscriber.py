"""A subscriber of a bus, for tests."""

from __future__ import annotations

from txhixie.bus.bus import BusMessage


class Subscriber:
    """A subscriber that keeps what it gets."""

    def __init__(self) -> None:
        self.heard: list[BusMessage] = []
        self.publishers: list[object] = []

    def __call__(self, message: BusMessage, publisher: object) -> None:
        """Keep a message."""
        self.heard.append(message)
        self.publishers.append(publisher)

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of the messages."""
        return [message.payload for message in self.heard]
