"""Connections in the poller behave as those of the reactor.

Most tests run with and without the poller, with the same expectations.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from random import Random
from typing import Any, Final, Self, cast

import pytest
from twisted.internet import ssl
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IReactorFDSet,
    IReactorTCP,
    IReadDescriptor,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python import context
from twisted.python.failure import Failure
from twisted.python.log import ILogContext, msg
from zope.interface import implementer

from support.applications import Applications, Broken, Recorder, echo
from support.certificates import certificate
from support.default_poller import IS_ON
from support.log_recorder import Log
from support.network import Network
from support.reactor_state import ReactorState
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import WebSocketClientEndpoint, broadcast
from txhixie.sockets.connection_poller import ConnectionPoller, moveToPoller

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll of Linux")
on_and_off = pytest.mark.parametrize("isMoved", [True, False], ids=["poller", "reactor"])

MEBI: Final = 1024 * 1024


def isIn(transport: Any) -> bool:
    """Whether a transport is in a poller."""
    return isinstance(transport.reactor, ConnectionPoller)


# WebSocket connections.


@on_and_off
@asynchronous
async def test_open_connections_are_moved_with_their_first_message(
    net: Network, isMoved: bool
) -> None:
    state = ReactorState()
    place = await net.serve(Applications(echo), connectionPoller=isMoved)
    client = await net.connect(
        place, Applications(Recorder), dialect="rfc6455", connectionPoller=isMoved
    )
    recorder = cast(Recorder, await within(client.whenOpen()))
    await until(lambda: place.factory.connections)
    (served,) = place.factory.connections
    await until(lambda: served.isOpen)
    assert not isIn(served.transport)
    client.sendTextMessage("first")
    await until(lambda: recorder.messages)
    for each in (served.transport, client.transport):
        assert isIn(each) == isMoved
        assert (each in reactor.getReaders()) != isMoved
    client.sendTextMessage("hello")
    client.sendTextMessage("a" * MEBI)
    client.sendBytesMessage(bytes(MEBI))
    await until(lambda: len(recorder.messages) == 4)
    assert recorder.messages == ["first", "hello", "a" * MEBI, bytes(MEBI)]
    client.loseConnection()
    await until(lambda: not place.factory.connections)
    await within(place.listening.stopListening())
    await state.is_restored()


@on_and_off
@asynchronous
async def test_an_endpoint_has_the_option(net: Network, isMoved: bool) -> None:
    place = await net.serve(Applications(echo))
    endpoint = WebSocketClientEndpoint.new(reactor, place.url(), connectionPoller=isMoved)
    recorder: Any = await within(endpoint.connectApplication(Recorder()))
    recorder.transport.sendTextMessage("first")
    await until(lambda: recorder.messages)
    assert isIn(recorder.transport.transport) == isMoved
    recorder.transport.loseConnection()
    await until(lambda: recorder.lost)


@asynchronous
async def test_connections_are_moved_by_default(net: Network) -> None:
    place = await net.serve(Applications(echo))
    client = await net.connect(place, Applications(Recorder))
    recorder = cast(Recorder, await within(client.whenOpen()))
    client.sendTextMessage("first")
    await until(lambda: recorder.messages)
    (served,) = place.factory.connections
    assert isIn(served.transport) == isIn(client.transport) == IS_ON


@asynchronous
async def test_incomplete_handshakes_TLS_and_UNIX_sockets_stay_in_the_reactor(net: Network) -> None:
    place = await net.serve(Applications(echo), connectionPoller=True)
    raw = await net.raw(place)
    await until(lambda: place.factory.connections)
    (opening,) = place.factory.connections
    assert not isIn(opening.transport)
    for over in ("tls", "unix"):
        other = await net.serve(Applications(echo), over, connectionPoller=True)
        client = await net.connect(
            other, Applications(Recorder), dialect="rfc6455", connectionPoller=True
        )
        recorder = cast(Recorder, await within(client.whenOpen()))
        client.sendTextMessage("first")
        await until(lambda: recorder.messages)  # noqa: B023
        (served,) = other.factory.connections
        for each in (served.transport, client.transport):
            assert not isIn(getattr(each, "transport", each))
    raw.transport.loseConnection()


def test_a_reactor_without_events_of_file_descriptors_keeps_its_transports() -> None:
    class Transport(StringTransport):
        reactor = Clock()

    transport = Transport()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    moveToPoller(transport)
    assert isinstance(transport.reactor, Clock)


@asynchronous
async def test_the_poller_is_in_the_reactor_while_it_has_connections(net: Network) -> None:
    place = await net.serve(Applications(echo), connectionPoller=True)
    idle = len(reactor.getReaders())
    for _ in range(2):
        clients = [
            await net.connect(place, Applications(Recorder), connectionPoller=True)
            for _ in range(3)
        ]
        for client in clients:
            recorder = cast(Recorder, await within(client.whenOpen()))
            client.sendTextMessage("first")
            await until(lambda: recorder.messages)  # noqa: B023
        both = [each.transport for each in (*place.factory.connections, *clients)]
        assert len({each.reactor for each in both}) == 1
        assert len(reactor.getReaders()) == idle + 1
        for client in clients:
            client.loseConnection()
        await until(lambda: not place.factory.connections)
        await until(lambda: len(reactor.getReaders()) == idle)


# Protocols of Twisted, whose transports were moved.


class Moved(Protocol):
    """A protocol that keeps what it receives, on a transport in the poller or in the reactor."""

    transport: Any

    def __init__(self, port: Port) -> None:
        self._port = port
        self.data = b""
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        if self._port.isMoved:
            moveToPoller(self.transport)
            assert isIn(self.transport)
        self._port.made.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if self._port.received is not None:
            self._port.received(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


@implementer(IHalfCloseableProtocol)
class HalfClosed(Moved):
    """A protocol that records the end of each half."""

    halves: tuple[str, ...] = ()

    def readConnectionLost(self) -> None:
        self.halves += ("read",)

    def writeConnectionLost(self) -> None:
        self.halves += ("write",)


class Port:
    """
    A port with such protocols, and blocking clients of it.

    :ivar made: the protocols, in the order of their connections.
    :ivar received: called with each protocol that receives data, and the data.
    """

    def __init__(self, net: Network, isMoved: bool, kind: type[Moved] = Moved) -> None:
        self.isMoved = isMoved
        self.made: list[Any] = []
        self.received: Callable[[Any, bytes], object] | None = None
        self.place: Any = None
        self._net = net
        self._kind = kind
        self._clients: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        factory: Any = Factory.forProtocol(cast("type[Protocol]", lambda: self._kind(self)))
        self.place = await self._net.listen(factory)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.received = None
        for each in self.made:
            if each.reason is None:
                each.transport.resumeProducing()
        for client in self._clients:
            client.close()
        if error[0] is None:
            await until(lambda: all(each.reason is not None for each in self.made))

    async def connect(self) -> tuple[Any, socket.socket]:
        """A protocol and its client."""
        count = len(self.made)
        client = socket.create_connection(("127.0.0.1", self.place.port))
        self._clients.append(client)
        await until(lambda: len(self.made) > count)
        return self.made[-1], client


def reset(client: socket.socket) -> None:
    """Close a socket with a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@on_and_off
@asynchronous
async def test_a_peer_closes_or_resets(net: Network, isMoved: bool) -> None:
    async with Port(net, isMoved) as port:
        for end, expected in ((socket.socket.close, ConnectionDone), (reset, ConnectionLost)):
            served, client = await port.connect()
            end(client)
            await until(lambda: served.reason is not None)  # noqa: B023
            assert served.reason.type is expected


@on_and_off
@asynchronous
async def test_a_peer_resets_a_connection_that_is_paused(net: Network, isMoved: bool) -> None:
    """Nothing is read and nothing is written, so that neither of the reactors notices."""
    async with Port(net, isMoved) as port:
        served, client = await port.connect()
        served.transport.pauseProducing()
        reset(client)
        await turn(0.05)
        assert not served.reason
        served.transport.resumeProducing()
        await until(lambda: served.reason is not None)
        assert served.reason.type is ConnectionLost


@on_and_off
@asynchronous
async def test_a_half_closed_connection_still_sends(net: Network, isMoved: bool) -> None:
    async with Port(net, isMoved, HalfClosed) as port:
        served, client = await port.connect()
        client.shutdown(socket.SHUT_WR)
        await until(lambda: served.halves == ("read",))
        served.transport.write(b"still here")
        served.transport.loseWriteConnection()
        await until(lambda: served.halves == ("read", "write"))
        assert client.recv(100) == b"still here"
        assert client.recv(100) == b""
        served.transport.loseConnection()
        await until(lambda: served.reason is not None)
        assert served.reason.type is ConnectionDone


@on_and_off
@asynchronous
async def test_a_write_buffer_is_sent_when_the_peer_reads(net: Network, isMoved: bool) -> None:
    async with Port(net, isMoved) as port:
        served, client = await port.connect()
        served.transport.write(b"x" * 20 * MEBI)
        served.transport.loseConnection()
        await turn(0.05)
        client.setblocking(False)
        size = 0
        while size < 20 * MEBI:
            try:
                size += len(client.recv(MEBI))
            except BlockingIOError:
                await turn()
        await until(lambda: served.reason is not None)
        assert served.reason.type is ConnectionDone


@on_and_off
@asynchronous
async def test_a_connection_that_another_one_pauses_is_not_read(
    net: Network, isMoved: bool
) -> None:
    """Both are ready in the same turn."""
    async with Port(net, isMoved) as port:
        port.received = lambda served, _: [
            each.transport.pauseProducing() for each in port.made if each is not served
        ]
        clients = [(await port.connect())[1] for _ in range(2)]
        for client in clients:
            client.sendall(b"a")
        await until(lambda: any(each.data for each in port.made))
        await turn(0.02)
        assert sorted(each.data for each in port.made) == [b"", b"a"]
        for each in port.made:
            each.transport.resumeProducing()
        await until(lambda: all(each.data for each in port.made))


@on_and_off
@asynchronous
async def test_a_connection_that_another_one_aborts_is_not_called(
    net: Network, isMoved: bool
) -> None:
    async with Port(net, isMoved) as port:
        port.received = lambda served, _: [
            each.transport.abortConnection() for each in port.made if each is not served
        ]
        clients = [(await port.connect())[1] for _ in range(2)]
        for client in clients:
            client.sendall(b"a")
        await until(lambda: any(each.reason is not None for each in port.made))
        assert sorted(each.data for each in port.made) == [b"", b"a"]


@on_and_off
@asynchronous
async def test_an_exception_ends_the_connection_and_no_other(
    net: Network, isMoved: bool, log: Log
) -> None:
    def fail(served: Moved, data: bytes) -> None:
        if data == b"fail":
            raise Broken("the protocol is broken")

    async with Port(net, isMoved) as port:
        port.received = fail
        broken, first = await port.connect()
        other, second = await port.connect()
        first.sendall(b"fail")
        second.sendall(b"hello")
        await until(lambda: broken.reason is not None and other.data)
        assert broken.reason.type is Broken
        # Twisted's asyncio reactor logs it by the logger, and the others by twisted.python.log.
        legacy = [event["failure"].value for event in log.events if "failure" in event]
        (logged,) = log.tracebacks() or legacy
        assert (type(logged), str(logged)) == (Broken, "the protocol is broken")
        assert other.reason is None


@on_and_off
@asynchronous
async def test_startTLS_works_on_a_moved_connection(net: Network, isMoved: bool) -> None:
    """TLS moves a connection back to the reactor."""

    def begin(served: Moved, data: bytes) -> None:
        if data == b"STARTTLS":
            served.transport.write(b"OK")
            served.transport.startTLS(certificate().options())
        else:
            served.transport.write(data.upper())

    async with Port(net, isMoved) as port:
        port.received = begin
        raw = await net.raw(port.place)
        if isMoved:
            moveToPoller(raw.transport)
        raw.transport.write(b"STARTTLS")
        await raw.reads(b"OK")
        raw.transport.startTLS(ssl.optionsForClientTLS("localhost", trustRoot=certificate()))
        raw.transport.write(b"hello" * 50_000)
        await raw.reads(b"HELLO" * 50_000)
        for each in (raw, port.made[0]):
            assert not isIn(each.transport)
        raw.transport.loseConnection()
        await until(lambda: port.made[0].reason is not None)


@on_and_off
@asynchronous
async def test_connections_with_large_messages_are_in_the_reactor(
    net: Network, isMoved: bool
) -> None:
    """Each event of the poller costs two calls of epoll."""
    place = await net.serve(Applications(echo), connectionPoller=isMoved)
    client = await net.connect(
        place, Applications(Recorder), dialect="rfc6455", connectionPoller=isMoved
    )
    recorder = cast(Recorder, await within(client.whenOpen()))
    client.sendTextMessage("small")
    await until(lambda: recorder.messages)
    (served,) = place.factory.connections
    assert isIn(served.transport) == isIn(client.transport) == isMoved
    large = [Random(number).randbytes(MEBI - number) for number in range(8)]
    for each in large:
        client.sendBytesMessage(each)
    await until(lambda: len(recorder.messages) == 9)
    assert recorder.messages[1:] == large
    client.sendTextMessage("small again")
    await until(lambda: recorder.messages[-1] == "small again")
    await until(lambda: {served.transport, client.transport} <= {*reactor.getReaders()})


@on_and_off
@asynchronous
async def test_messages_after_startTLS_are_encrypted(net: Network, isMoved: bool) -> None:
    """Frames that are not encrypted would end TLS."""
    place = await net.serve(Applications(echo), connectionPoller=isMoved)
    client = await net.connect(
        place, Applications(Recorder), dialect="rfc6455", connectionPoller=isMoved
    )
    recorder = cast(Recorder, await within(client.whenOpen()))
    client.sendTextMessage("not encrypted")
    await until(lambda: recorder.messages)
    (served,) = place.factory.connections
    served.sendTextMessage("not encrypted")
    await until(lambda: len(recorder.messages) == 2)
    served.transport.startTLS(certificate().options())
    client.transport.startTLS(ssl.optionsForClientTLS("localhost", trustRoot=certificate()))
    served.sendTextMessage("alone")
    client.sendTextMessage("echoed")
    broadcast([served], "of a broadcast")
    await until(lambda: len(recorder.messages) == 5)
    assert sorted(recorder.messages[2:]) == ["alone", "echoed", "of a broadcast"]


@pytest.mark.parametrize(
    ("isMoved", "error"), [(True, Broken), (False, Broken), (True, KeyboardInterrupt)]
)
@asynchronous
async def test_an_exception_in_connectionLost_disturbs_no_other_connection(
    net: Network, isMoved: bool, error: type[BaseException], log: Log
) -> None:
    class Failing(Moved):
        def connectionLost(self, reason: Failure = connectionDone) -> None:
            super().connectionLost(reason)
            if self is port.made[0]:
                raise error("connectionLost is broken")

    async with Port(net, isMoved, Failing) as port:
        broken, first = await port.connect()
        other, second = await port.connect()
        second.sendall(b"hello")
        first.close()
        await until(lambda: broken.reason is not None and other.data)
        second.sendall(b", again")
        await until(lambda: other.data == b"hello, again")
        assert other.reason is None
        legacy = [event["failure"].value for event in log.events if "failure" in event]
        (logged,) = log.tracebacks() or legacy
        assert (type(logged), str(logged)) == (error, "connectionLost is broken")


@on_and_off
@asynchronous
async def test_lines_of_the_log_have_the_prefix_of_their_connection(
    net: Network, isMoved: bool, log: Log
) -> None:
    def write(served: Moved, data: bytes) -> None:
        msg(f"received {data!r}")
        assert context.get(ILogContext)["system"] == served.transport.logPrefix()

    async with Port(net, isMoved) as port:
        port.received = write
        first, second = [await port.connect() for _ in range(2)]
        first[1].sendall(b"one")
        second[1].sendall(b"two")
        await until(lambda: first[0].data and second[0].data)
        lines = {
            event["message"][0]: event["system"]
            for event in log.events
            if "received" in str(event.get("message", ""))
        }
        assert lines == {
            "received b'one'": first[0].transport.logPrefix(),
            "received b'two'": second[0].transport.logPrefix(),
        }
        assert len(set(lines.values())) == 2


@implementer(IReadDescriptor)
class Reader:
    """A reader that an application adds to the reactor of its transport."""

    def __init__(self) -> None:
        self._one, self._other = socket.socketpair()
        self._other.send(b"data")
        self.isRead = False

    def close(self) -> None:
        self._one.close()
        self._other.close()

    def fileno(self) -> int:
        return self._one.fileno()

    def doRead(self) -> None:
        self.isRead = bool(self._one.recv(100))

    def connectionLost(self, reason: Failure) -> None:
        pass

    def logPrefix(self) -> str:
        return "reader"


@asynchronous
async def test_the_poller_has_what_the_reactor_has(net: Network) -> None:
    """An application may use the reactor of its transport for other things."""
    async with Port(net, isMoved=True) as port:
        served, _ = await port.connect()
        poller = served.transport.reactor
        for interface in (IReactorFDSet, IReactorTCP):
            assert interface.providedBy(poller) == interface.providedBy(reactor)
        called: list[int] = []
        poller.callLater(0, called.append, 1)
        await until(lambda: called)
        reader = Reader()
        poller.addReader(reader)
        assert reader in reactor.getReaders()
        await until(lambda: reader.isRead)
        poller.removeReader(reader)
        reader.close()
        assert reader not in reactor.getReaders()
        moveToPoller(served.transport)
        assert served.transport.reactor is poller


@asynchronous
async def test_a_socket_that_the_application_has_closed_is_forgotten(net: Network) -> None:
    state = ReactorState()
    async with Port(net, isMoved=True) as port:
        served, _ = await port.connect()
        served.transport.socket.close()
        served.transport.abortConnection()
        await until(lambda: served.reason is not None)
    await within(port.place.listening.stopListening())
    await state.is_restored()
