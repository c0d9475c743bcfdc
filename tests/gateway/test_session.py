"""The gateway's sessions: data is delivered when the daemon ends, and no session stays in
memory."""

from __future__ import annotations

import contextlib
import gc
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory

from support.applications import Answering, Applications, Recorder
from support.daemon import PATIENCE, Daemon, running
from support.dialect_names import NAMES
from support.gateway_setup import gateway, met
from support.handshake_bytes import head_of, whole_request
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import Refusal
from txhixie.gateway import GatewayService
from txhixie.gateway.session import Session

SIZE = 1 << 16
MESSAGE = b"\x80\x84\x80\x00" + b"x" * SIZE  # hixie-54 has binary, and its close is the end


@contextlib.contextmanager
def stuck(directory: Path) -> Iterator[tuple[Daemon, socket.socket, socket.socket]]:
    """A daemon, a client that sent data until the daemon paused it, and a backend that has read
    nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        service = f"/=tcp:127.0.0.1:{listening.getsockname()[1]}"
        with running(directory, "--serve", service) as daemon, daemon.connect() as client:
            client.sendall(whole_request("hixie-54", host="localhost", origin="http://localhost"))
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += client.recv(1)
            assert head_of(answer).startswith(b"HTTP/1.1 101 ")
            backend, _ = listening.accept()
            with backend:
                client.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    while True:
                        client.sendall(MESSAGE)
                yield daemon, client, backend


def read_all(peer: socket.socket) -> int:
    """Count the bytes up to the end of the stream; a reset raises an error."""
    peer.settimeout(PATIENCE)
    size = 0
    while data := peer.recv(1 << 20):
        size += len(data)
    return size


def test_a_daemon_that_gets_sigterm_delivers_all_data_it_has_accepted(tmp_path: Path) -> None:
    """The backend begins to read after the client has disconnected."""
    with stuck(tmp_path) as (daemon, client, backend):
        daemon.terminate()
        with contextlib.suppress(ConnectionResetError):
            read_all(client)
        line = daemon.logged("ended connection=")
        received = re.search(r"received=(\d+)", line)
        assert received is not None
        assert daemon.process.poll() is None
        assert read_all(backend) == int(received[1]) * SIZE > 1 << 20
        backend.close()
        assert daemon.ended() == -15


def test_a_second_sigterm_ends_the_daemon_without_waiting_for_a_backend(tmp_path: Path) -> None:
    """The backend's connection is reset, so that the backend does not take it for an ordinary
    end."""
    with stuck(tmp_path) as (daemon, client, backend):
        daemon.terminate()
        with contextlib.suppress(ConnectionResetError):
            read_all(client)
        daemon.logged("ended connection=")
        daemon.terminate()
        assert daemon.ended() == -15
        with pytest.raises(ConnectionResetError):
            read_all(backend)


# Sessions in memory.


def remembered() -> set[Session]:
    """The sessions that are in memory; Twisted's log, which is not started here, keeps some of
    other tests."""
    gc.collect()
    return {thing for thing in gc.get_objects() if isinstance(thing, Session)}


def closes(client: Recorder, backend: Recorder) -> None:
    client.transport.loseConnection()


def vanishes(client: Recorder, backend: Recorder) -> None:
    client.transport.abortConnection()


def is_closed(client: Recorder, backend: Recorder) -> None:
    backend.transport.loseConnection()


def is_left(client: Recorder, backend: Recorder) -> None:
    backend.transport.abortConnection()


def both(client: Recorder, backend: Recorder) -> None:
    client.transport.loseConnection()
    backend.transport.loseConnection()


@pytest.mark.parametrize("end", [closes, vanishes, is_closed, is_left, both])
@pytest.mark.parametrize("front", NAMES)
@asynchronous
async def test_no_session_is_left_in_memory_after_any_kind_of_end(
    net: Network, front: str, end: Callable[[Recorder, Recorder], None]
) -> None:
    """No connection, no delayed call and no session object is left."""
    before, known = set(reactor.getDelayedCalls()), remembered()
    applications = Applications(Recorder)
    place, back = await gateway(net, applications)
    client = await met(net, place, front)
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    end(client, applications.made[0])
    await within(place.factory.applications.sessions.drained())
    await until(lambda: not place.factory.connections and not back.factory.connections)
    await until(lambda: client.lost)
    await turn()  # return from the callback that woke this test
    await until(lambda: remembered() <= known)
    ours = {call for call in reactor.getDelayedCalls() if call not in before}
    assert not [call for call in ours if "Session" in str(call)]


@asynchronous
async def test_no_session_is_left_in_memory_of_a_client_that_was_not_admitted(net: Network) -> None:
    """The backend refuses, the backend does not answer in time, or the client disconnects."""
    known = remembered()
    silent: Any = Factory.forProtocol(Raw)
    hangs = await net.listen(silent)
    refuses = await net.serve(Answering(lambda offer: Refusal(403)), origins=["*"])
    silence = f"ws://127.0.0.1:{hangs.port}"
    for url, leaves in ((refuses.url(""), False), (silence, False), (silence, True)):
        service = GatewayService(reactor, url, connectTimeout=0.2)
        await asks_in_vain(net, await net.serve(service), leaves)
        await within(service.sessions.drained())
    await turn()  # return from the callback that woke this test
    await until(lambda: remembered() <= known)


async def asks_in_vain(net: Network, place: Place, leaves: bool) -> None:
    raw = await net.raw(place)
    raw.send(whole_request("rfc6455"))
    if leaves:
        await until(lambda: place.factory.connections)
        raw.transport.abortConnection()
    await until(lambda: raw.reason is not None)
    await until(lambda: not place.factory.connections)
