"""Which sockets get which options: TCP and not UNIX, on both sides, below TLS too.

tests/test_loopback.py has the usual times and TCP_NODELAY, in each dialect.
"""

from __future__ import annotations

import socket
from typing import Any, Final

import pytest

from support.network import Network
from support.waiting import asynchronous
from txhixie import Limits

TCP: Final = socket.IPPROTO_TCP


def handleOf(transport: Any, over: str) -> Any:
    return (transport.transport if over == "tls" else transport).getHandle()


@pytest.mark.parametrize("dialect", ["hixie-76", "rfc6455"])
@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_the_times_of_TCP_keepalive_are_those_that_the_system_accepts(
    dialect: str, over: str, net: Network
) -> None:
    pair = await net.pair(dialect, over, limits=Limits(ping_interval=40000.0, ping_timeout=0.1))
    for wire in (pair.serverWire, pair.clientWire):
        handle = handleOf(wire.transport, over)
        asks = dialect == "hixie-76" and over != "unix"
        assert bool(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is asks
        if asks:
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [handle.getsockopt(TCP, name) for name in names] == [32767, 1, 4]
