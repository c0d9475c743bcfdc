"""Connecting to a UNIX socket: errors and cancellation are those of the other endpoints."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectingCancelledError, UserError
from twisted.internet.error import TimeoutError as AttemptTimedOut
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from support.network import Network
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, within
from txhixie import ConnectFailed, ConnectTimeout, Limits
from txhixie.dialing.unix_socket import UNIXSocketEndpoint


class Connectors(Clock):
    """A reactor whose connects to UNIX sockets never end."""

    def connectUNIX(self, path: str, factory: Any, timeout: float, checkPID: bool) -> Any:
        self.timeout = timeout
        self.factory = factory
        factory.startedConnecting(self)
        return self

    def getDestination(self) -> UNIXAddress:
        """Return the address, as a connector does."""
        return UNIXAddress("/run/app.sock")

    def stopConnecting(self) -> None:
        """Tell the factory, as a connector does."""
        self.factory.clientConnectionFailed(self, Failure(UserError()))


@asynchronous
async def test_it_connects(net: Network) -> None:
    place = await net.listen(Factory.forProtocol(Raw), "unix")
    factory: Any = Factory.forProtocol(Raw)
    raw: Any = await within(UNIXSocketEndpoint(reactor, place.path).connect(factory))
    net.raws.append(raw)
    assert raw.transport.getPeer().name in (place.path, place.path.encode())


@asynchronous
async def test_a_missing_socket_is_an_error_with_the_path_and_the_reason(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    factory: Any = Factory.forProtocol(Raw)
    with pytest.raises(ConnectFailed) as caught:
        await within(UNIXSocketEndpoint(reactor, path).connect(factory))
    assert str(caught.value) == f"no connection to UNIX socket {path}: No such file or directory"


@asynchronous
async def test_a_socket_without_a_listener_is_an_error(tmp_path: Path) -> None:
    path = str(tmp_path / "left")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)
    factory: Any = Factory.forProtocol(Raw)
    with pytest.raises(ConnectFailed, match="Connection refused"):
        await within(UNIXSocketEndpoint(reactor, path).connect(factory))


def test_a_connect_that_takes_too_long_is_a_timeout() -> None:
    """The reactor has the timeout, and tells the factory when it passes."""
    waiting = Connectors()
    factory: Any = Factory.forProtocol(Raw)
    endpoint = UNIXSocketEndpoint(waiting, "/run/app.sock", limits=Limits(tcp_timeout=7))
    failed: list[Any] = []
    endpoint.connect(factory).addErrback(failed.append)
    assert waiting.timeout == 7
    waiting.factory.clientConnectionFailed(waiting, Failure(AttemptTimedOut()))
    assert failed[0].check(ConnectTimeout)
    assert (failed[0].value.stage, failed[0].value.seconds) == ("tcp", 7)


def test_a_connect_can_be_cancelled() -> None:
    waiting = Connectors()
    factory: Any = Factory.forProtocol(Raw)
    failed: list[Any] = []
    connecting = UNIXSocketEndpoint(waiting, "/run/app.sock").connect(factory)
    connecting.addErrback(failed.append)
    connecting.cancel()
    assert failed[0].check(ConnectingCancelledError, UserError)
    assert failed[0].value.address.name == b"/run/app.sock"
