"""The listen queue: clients that connect at once wait in the kernel, and none is rejected.

While these tests connect, no connection is accepted: a queue that is too short is then not a
matter of speed. Linux keeps one connection more than the requested length; further ones get no
answer over TCP, and ``EAGAIN`` on a UNIX socket.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.internet.protocol import Factory, Protocol

from support import daemon
from support.certificates import authority
from support.waiting import asynchronous, reactor, within
from txhixie.byte_streams.descriptions import parseServer
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.listen_queue import LongQueueReactor, serverEndpoint
from txhixie.server.proxy_protocol import ProxyProtocolReactor

AT_ONCE = 300

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems count their queues in other ways"
)


def granted() -> int:
    """The longest listen queue that this system allows."""
    return int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii"))


enough = pytest.mark.skipif(
    sys.platform.startswith("linux") and granted() < AT_ONCE,
    reason=f"net.core.somaxconn is below {AT_ONCE}",
)


@contextmanager
def connecting(address: Any, count: int, seconds: float = 20.0) -> Iterator[int]:
    """Connect as many clients as given, concurrently; the number that connect in time."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(family)) for _ in range(count)]
        waiting = {}
        through = 0
        poller = select.poll()
        for client in clients:
            client.setblocking(False)
            error = client.connect_ex(address)
            through += error == 0
            if error == errno.EINPROGRESS:
                waiting[client.fileno()] = client
                poller.register(client, select.POLLOUT)
        deadline = time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            for descriptor, _ in poller.poll(100):
                client = waiting.pop(descriptor)
                poller.unregister(descriptor)
                through += client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        yield through


def address_of(port: Any) -> Any:
    """The address of a listening port, as a socket takes it."""
    host = port.getHost()
    return host.name.decode() if hasattr(host, "name") else ("127.0.0.1", host.port)


async def listening(description: str, on: Any = reactor) -> Any:
    factory = Factory.forProtocol(Protocol)
    port: IListeningPort = await within(serverEndpoint(on, description).listen(factory))
    return port


@enough
@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "PROXY protocol"])
@pytest.mark.parametrize("kind", ["tcp", "ssl", "unix", "haproxy", "ws"])
@asynchronous
async def test_many_clients_at_once_wait_in_the_queue(
    kind: str, wrapped: bool, tmp_path: Path
) -> None:
    pem = tmp_path / "here.pem"
    pem.write_bytes(authority().pem_for("localhost"))
    description = {
        "tcp": "tcp:0:interface=127.0.0.1",
        "ssl": f"ssl:0:interface=127.0.0.1:privateKey={pem}",
        "unix": f"unix:{tmp_path}/socket",
        "haproxy": "haproxy:tcp:0:interface=127.0.0.1",
        "ws": "ws:tcp\\:0\\:interface=127.0.0.1:path=/",
    }[kind]
    on = (
        ProxyProtocolReactor(reactor, TrustedNetworks(["127.0.0.1", "unix"]))
        if wrapped
        else reactor
    )
    port = await listening(description, on)
    try:
        with connecting(address_of(port), AT_ONCE) as through:
            assert through == AT_ONCE
    finally:
        await port.stopListening()


@enough
@asynchronous
async def test_many_clients_wait_where_Twisted_parses_the_description() -> None:
    """A program calls ``serverFromString`` with a ``ws:`` description."""
    endpoint = parseServer(reactor, "tcp:0:interface=127.0.0.1")
    port: Any = await within(endpoint.listen(Factory.forProtocol(Protocol)))
    try:
        with connecting(address_of(port), AT_ONCE) as through:
            assert through == AT_ONCE
    finally:
        await port.stopListening()


@pytest.mark.parametrize("description", ["unix:{}:backlog=5", "ws:unix\\:{}\\:backlog=5"])
@asynchronous
async def test_a_requested_queue_length_is_used(description: str, tmp_path: Path) -> None:
    """On a UNIX socket, where a client beyond the queue gets an error at once."""
    port = await listening(description.format(tmp_path / "socket"))
    try:
        with connecting(address_of(port), AT_ONCE) as through:
            assert through == 5 + 1
    finally:
        await port.stopListening()


@asynchronous
async def test_a_queue_of_fifty_can_be_requested(tmp_path: Path) -> None:
    """Fifty is also Twisted's default, but differs from no request at all."""
    port = await listening(f"unix:{tmp_path}/socket:backlog=50")
    try:
        with connecting(address_of(port), AT_ONCE) as through:
            assert through == 50 + 1
    finally:
        await port.stopListening()


@enough
@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_many_clients_wait_for_a_daemon_that_is_busy(over: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with daemon.running(tmp_path, "--port", f"unix:{path}") as running:
        address: Any = str(path) if over == "unix" else ("127.0.0.1", running.port)
        running.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, running.process.pid, os.WSTOPPED | os.WNOWAIT)
        with connecting(address, AT_ONCE) as through:
            assert through == AT_ONCE
            running.process.send_signal(signal.SIGCONT)


def test_a_wrapped_reactor_provides_its_interfaces_still() -> None:
    assert IReactorTime.providedBy(LongQueueReactor(reactor))
    assert LongQueueReactor(reactor).seconds() > 0
