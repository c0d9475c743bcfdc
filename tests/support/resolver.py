"""A resolver of host names with answers from the test.

The fixture ``names`` of ``tests/conftest.py`` installs it.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer


@implementer(IHostResolution)
class Question:
    """:ivar cancelled: whether the lookup was cancelled."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@implementer(IHostnameResolver)
class FakeResolver:
    """
    Addresses for names. What is not among them is asked of the system.

    :ivar known: addresses by name; ``None``: no answer ever comes.
    :ivar asked: names and ports.
    """

    def __init__(self, system: IHostnameResolver) -> None:
        self._system = system
        self.known: dict[str, list[str] | None] = {
            "server.example": ["127.0.0.1"],
            "nobody.example": [],
            "silent.example": None,
        }
        self.asked: list[tuple[str, int]] = []
        self.questions: list[Question] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        *more: Any,
        **others: Any,
    ) -> Any:
        self.asked.append((hostName, portNumber))
        if hostName not in self.known:
            return self._system.resolveHostName(
                resolutionReceiver, hostName, portNumber, *more, **others
            )
        question = Question(hostName)
        self.questions.append(question)
        resolutionReceiver.resolutionBegan(cast("IHostResolution", question))
        addresses = self.known[hostName]
        if addresses is not None:
            for address in addresses:
                kind = IPv6Address if ":" in address else IPv4Address
                resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
            resolutionReceiver.resolutionComplete()
        return question
