"""The byte stream service, with real clients and backends over real sockets."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet import error as failures
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Client as TcpClient
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from support.applications import Applications, Recorder
from support.certificates import certificate
from support.dialect_marks import each
from support.dialect_names import code_of
from support.frame_writer import FrameWriter
from support.handshake_bytes import (
    KEY3,
    PROOF,
    body_of,
    request,
    status_of,
    subprotocol_field,
    whole_request,
)
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from support.network import OVER, Network, Place
from support.private_state import backend_of, is_paused
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, until, within
from txhixie import CleanClose, HandshakeRefused, HixieClientProtocol, Limits
from txhixie.byte_streams.coding import LONGEST_LINE
from txhixie.daemon.services.tcp import StreamService
from txhixie.testing import Wire

TEXT_ONLY = ("hixie-75", "hixie-76")
BIG = os.urandom(1 << 20)


@implementer(IHalfCloseableProtocol)
class Backend(Raw):
    """
    A backend that speaks no protocol.

    :ivar ended: whether the gateway has closed its half of the connection.
    """

    ended = False

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        pass


class Backends(Factory):
    """The factory of the backends."""

    noisy = False

    def __init__(self, net: Network) -> None:
        self.made: list[Backend] = []
        self._net = net

    def buildProtocol(self, addr: Any) -> Backend:
        self.made.append(Backend())
        self._net.raws.append(self.made[-1])
        return self.made[-1]

    async def one(self) -> Backend:
        """Wait for the first backend connection and return it."""
        await until(lambda: self.made and self.made[0].transport)
        return self.made[0]


def description(place: Place, directory: Path | None = None) -> str:
    """The endpoint description of a listening port."""
    if place.over == "unix":
        return f"unix:{place.path}"
    if place.over == "tls":
        assert directory is not None
        pem = certificate().dump(FILETYPE_PEM)
        (directory / "authority.pem").write_bytes(pem)
        return f"tls:localhost:{place.port}:trustRoots={directory}"
    return f"tcp:127.0.0.1:{place.port}"


async def served(net: Network, backends: Backends, over: str = "tcp", **options: Any) -> Place:
    """Listen with the service, for these backends."""
    place = await net.listen(backends, over)
    service = StreamService(reactor, description(place, net.directory), **options)
    return await net.serve(service, limits=Limits(close_timeout=1))


async def met(
    net: Network, place: Place, dialect: str = "rfc6455", **options: Any
) -> tuple[HixieClientProtocol, Recorder]:
    """Connect a client to the service and wait until its handshake is complete."""
    application = Recorder()
    wire = await net.connect(place, Applications(lambda: application), dialect=dialect, **options)
    await within(wire.whenOpen())
    return wire, application


def stream_of(application: Recorder) -> bytes:
    """All bytes that an application has received, decoded."""
    return b"".join(
        message if isinstance(message, bytes) else b64decode(message)
        for message in application.messages
    )


def sent(dialect: str, data: bytes) -> str | bytes:
    """The message in which a client of this dialect sends these bytes."""
    return b64encode(data).decode() if dialect in TEXT_ONLY else data


def send(application: Recorder, message: str | bytes) -> None:
    if isinstance(message, str):
        application.transport.sendTextMessage(message)
    else:
        application.transport.sendBytesMessage(message)


# Bytes in both directions.


@pytest.mark.parametrize("over", OVER)
@each
@asynchronous
async def test_bytes_are_relayed_to_the_backend_and_back(
    net: Network, dialect: str, over: str
) -> None:
    """Every dialect, as binary or base64, over every kind of endpoint."""
    backends = Backends(net)
    place = await served(net, backends, over)
    _, application = await met(net, place, dialect)
    backend = await backends.one()
    send(application, sent(dialect, b"PING\r\n"))
    send(application, sent(dialect, bytes(range(256))))
    await backend.reads(b"PING\r\n" + bytes(range(256)))
    backend.send(b"+PONG\r\n\0\xff")
    await until(lambda: stream_of(application) == b"+PONG\r\n\0\xff")
    application.transport.loseConnection()
    await until(lambda: backend.ended or backend.reason)


@each
@asynchronous
async def test_all_data_of_a_backend_that_sends_first_and_closes_reaches_the_client(
    net: Network, dialect: str
) -> None:
    """The gateway reads from the backend once the client is connected, and closes the client after
    the data."""

    class Greeting(Backends):
        def buildProtocol(self, addr: Any) -> Backend:
            backend = super().buildProtocol(addr)
            backend.connectionMade = greet(backend)  # type: ignore[method-assign]  # replaces a method of this one object
            return backend

    def greet(backend: Backend) -> Callable[[], None]:
        def connectionMade() -> None:
            backend.send(b"SSH-2.0-test\r\n" + BIG)
            backend.transport.loseConnection()

        return connectionMade

    place = await served(net, Greeting(net))
    _, application = await met(net, place, dialect)
    await until(lambda: application.lost)
    assert stream_of(application) == b"SSH-2.0-test\r\n" + BIG
    assert isinstance(application.lost, CleanClose)
    assert application.lost.code == code_of(dialect)


@asynchronous
async def test_a_backend_s_greeting_is_held_until_the_handshake_is_complete(net: Network) -> None:
    """The eight bytes of hixie-76's key 3 may arrive long after the request head was answered."""
    backends = Backends(net)
    place = await served(net, backends)
    raw = await net.raw(place)
    raw.send(request("hixie-76"))
    await raw.reads(b"\r\n\r\n")
    (await backends.one()).send(b"hello")
    raw.data.clear()
    raw.send(KEY3)
    await raw.reads(PROOF + b"\0aGVsbG8=\xff")


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll of Linux")
@pytest.mark.parametrize("isMoved", [True, False], ids=["poller", "reactor"])
@asynchronous
async def test_a_backend_s_connection_moves_to_the_poller_with_its_first_data(
    net: Network, isMoved: bool
) -> None:
    """Small and large data arrives in either case, and so does the end of the backend."""
    backends = Backends(net)
    place = await served(net, backends, connectionPoller=isMoved)
    _, application = await met(net, place, connectionPoller=False)
    backend = await backends.one()
    address = backend.transport.getHost()

    def inReactor() -> bool:
        readers = [each for each in reactor.getReaders() if isinstance(each, TcpClient)]
        return address in [each.getPeer() for each in readers]

    assert inReactor()
    backend.send(b"first")
    await until(lambda: application.messages)
    assert inReactor() != isMoved
    backend.send(b"second")
    await until(lambda: stream_of(application) == b"firstsecond")
    send(application, b"third")
    await backend.reads(b"third")
    backend.send(BIG)
    await until(lambda: stream_of(application) == b"firstsecond" + BIG)
    assert inReactor()  # large data is read by the reactor
    backend.transport.loseConnection()
    await until(lambda: application.lost)
    assert isinstance(application.lost, CleanClose)
    assert not inReactor()


@pytest.mark.parametrize("over", OVER)
@asynchronous
async def test_tcp_keepalive_detects_a_backend_that_loses_its_power(
    net: Network, over: str
) -> None:
    """A byte stream has no pings: the kernel's TCP keepalive takes the ping interval and
    timeout."""
    back = await net.listen(Backends(net), over)
    limits = Limits(ping_interval=7, ping_timeout=8)
    service = StreamService(reactor, description(back, net.directory), limits=limits)
    place = await net.serve(service)
    await met(net, place)
    transport = backend_of(connection(place)).transport
    handle = (transport.transport if over == "tls" else transport).getHandle()
    asks = over != "unix"
    assert bool(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is asks
    if asks:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [handle.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [7, 2, 4]


# The choice of the coding.


def answered(offer: bytes, **options: Any) -> tuple[ServerEnd, Wire]:
    """Send this request to the service and connect its backend; return the client's end and the
    backend's transport."""
    clock: Any = MemoryReactorClock()
    end = ServerEnd(StreamService(clock, "tcp:backend:1", **options), clock=clock)
    end.receive(offer)
    wire = Wire()
    if clock.tcpClients:
        backend = clock.tcpClients[0][2].buildProtocol(None)
        wire.protocol = backend  # type: ignore[attr-defined]  # an attribute that the test adds
        backend.makeConnection(wire)
    return end, wire


@pytest.mark.parametrize(
    ("dialect", "offered", "agreed", "text"),
    [
        ("rfc6455", None, None, False),
        ("rfc6455", "binary", "binary", False),
        ("rfc6455", "base64", "base64", True),
        ("rfc6455", "binary, base64", "binary", False),
        ("rfc6455", "base64, binary", "base64", True),
        ("rfc6455", "mqtt", None, False),
        ("hybi-07", "base64", "base64", True),
        ("hixie-54", "binary", "binary", False),
        ("hixie-54", None, None, False),
        ("hixie-75", None, None, True),
        ("hixie-76", None, None, True),
        ("hixie-76", "base64", "base64", True),
        ("hixie-76", "binary, base64", "binary, base64", True),
        ("hixie-76", "binary,base64", "binary,base64", True),
        ("hixie-75", "base64,mqtt", "base64,mqtt", True),
        ("hixie-76", "sample", None, True),
    ],
)
def test_the_coding_follows_the_client_s_subprotocols_and_dialect(
    dialect: str, offered: str | None, agreed: str | None, text: bool
) -> None:
    """The client's subprotocols decide first, then its dialect; the answer names the subprotocol.
    The oldest browsers expect the whole string that they sent, of which one member was chosen."""
    more = [] if offered is None else [f"{subprotocol_field(dialect)}: {offered}"]
    end, backend = answered(whole_request(dialect, *more))
    answer = end.wire.taken()
    assert status_of(answer) == 101
    field = b"" if agreed is None else f"{subprotocol_field(dialect)}: {agreed}\r\n".encode()
    assert (b"-Protocol: " in answer) == (agreed is not None)
    assert field in answer
    backend.protocol.dataReceived(b"\0\1")  # type: ignore[attr-defined]  # an attribute that the test adds
    voice = FrameWriter(dialect)
    assert end.wire.taken() == (voice.text("AAE=") if text else voice.binary(b"\0\1"))


def test_binary_alone_is_refused_in_a_dialect_without_binary_messages() -> None:
    """Such a client could not be sent any data."""
    for options, more in (({}, ["Sec-WebSocket-Protocol: binary"]), ({"coding": "binary"}, [])):
        end, backend = answered(whole_request("hixie-76", *more), **options)
        answer = end.wire.taken()
        assert status_of(answer) == 400
        assert body_of(answer) == b"hixie-76 has no binary messages; offer subprotocol base64\n"
        assert backend.calls == []


def test_the_operator_sets_the_coding_and_the_subprotocol_of_a_stream() -> None:
    """The coding is ``lines`` and the subprotocol ``mqtt``."""
    offer = whole_request("rfc6455", "Sec-WebSocket-Protocol: other, mqtt, binary")
    end, backend = answered(offer, coding="lines", subprotocols=["wamp", "mqtt"])
    assert b"Sec-WebSocket-Protocol: mqtt\r\n" in end.wire.taken()
    backend.protocol.dataReceived(b"one\ntw")  # type: ignore[attr-defined]  # an attribute that the test adds
    backend.protocol.dataReceived(b"o\n")  # type: ignore[attr-defined]  # an attribute that the test adds
    assert end.wire.taken() == end.own.text("one", "two")
    end.receive(end.peer.text("three"))
    assert backend.taken() == b"three\n"


def test_invalid_arguments_are_rejected_when_the_service_is_made() -> None:
    """The error does not wait for the first client."""
    for wrong in ("tcp:", "tcp:host", "nonsense:1", "unix"):
        with pytest.raises(ValueError, match="expected a client endpoint description"):
            StreamService(reactor, wrong)
    with pytest.raises(ValueError, match="coding: expected binary, base64, lines, crlf-lines"):
        StreamService(reactor, "tcp:localhost:1", coding="hex")


@pytest.mark.parametrize("over", OVER)
@asynchronous
async def test_a_client_that_connects_and_disconnects_writes_no_line_to_the_log(
    net: Network, log: Log, over: str
) -> None:
    """Twisted's own line about each factory that starts is switched off too."""
    backends = Backends(net)
    place = await served(net, backends, over)
    log.events.clear()  # a port is listened on
    _, application = await met(net, place)
    send(application, b"hello")
    await (await backends.one()).reads(b"hello")
    application.transport.abortConnection()
    await until(lambda: backends.made[0].reason or backends.made[0].ended)
    assert [formatEvent(event) for event in log.events] == []


# A backend that cannot be reached.


@asynchronous
async def test_a_backend_that_is_down_is_a_502_and_one_line(net: Network, log: Log) -> None:
    """Many clients in that time make one line. The line about the backend's return has their
    number."""
    gone = await net.listen(Backends(net))
    where, port = description(gone), gone.port
    await gone.listening.stopListening()
    place = await net.serve(StreamService(reactor, where))
    for _ in range(3):
        wire = await net.connect(place, Applications(Recorder))
        with pytest.raises(HandshakeRefused) as refused:
            await within(wire.whenOpen())
        assert refused.value.status == 502
        assert refused.value.body == b"the backend cannot be reached\n"
    assert log.lines() == [f'backend-down backend={where} reason="Connection refused"']
    again: Any = Backends(net)
    listening = reactor.listenTCP(port, again, interface="127.0.0.1")
    _, application = await met(net, place)
    assert log.lines()[1:] == [f"backend-up backend={where} repeated=2"]
    application.transport.abortConnection()
    await until(lambda: again.made[0].ended)
    await listening.stopListening()


@asynchronous
async def test_a_backend_with_an_untrusted_certificate_is_a_502(net: Network, log: Log) -> None:
    place = await net.listen(Backends(net), "tls")
    service = StreamService(reactor, f"tls:localhost:{place.port}")
    wire = await net.connect(await net.serve(service), Applications(Recorder))
    with pytest.raises(HandshakeRefused) as refused:
        await within(wire.whenOpen())
    assert refused.value.status == 502
    assert "certificate" in log.lines()[0]


def test_a_backend_that_does_not_respond_is_a_504_after_the_connect_timeout(log: Log) -> None:
    """The connect is cancelled then."""
    end, clock, connector = asked(connectTimeout=7)
    clock.advance(6.9)
    assert end.wire.written == b""
    clock.advance(0.2)
    answer = end.wire.taken()
    assert status_of(answer) == 504
    assert body_of(answer) == b"the backend did not answer in time\n"
    assert connector.stoppedConnecting
    assert log.lines() == [
        'backend-down backend=tcp:backend:1 reason="no TCP connection within 7 seconds"'
    ]
    end.lose()
    assert not clock.getDelayedCalls()


def asked(**options: Any) -> tuple[ServerEnd, Any, Any]:
    """A client of the service, the clock, and the connector of the backend's pending connect."""
    clock: Any = MemoryReactorClock()
    end = ServerEnd(StreamService(clock, "tcp:backend:1", **options), clock=clock)
    end.receive(whole_request("rfc6455"))
    return end, clock, clock.connectors[0]


def test_a_client_that_disconnects_cancels_the_tcp_connect(log: Log) -> None:
    """The log gets no line about the backend."""
    end, clock, connector = asked()
    end.lose()
    assert connector.stoppedConnecting
    assert not clock.getDelayedCalls()
    assert log.lines() == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (failures.ConnectionRefusedError(), 502),
        (failures.TimeoutError(), 504),
        (OSError("no"), 502),
    ],
)
def test_an_endpoint_s_error_becomes_502_or_504(error: Exception, status: int) -> None:
    """A timeout that the endpoint reports is a 504, as a timeout of the gateway is."""
    end, clock, connector = asked()
    clock.tcpClients[0][2].clientConnectionFailed(connector, Failure(error))
    assert status_of(end.wire.taken()) == status


def test_an_internal_error_is_a_500_and_a_traceback(log: Log) -> None:
    """An exception that no endpoint raises is a defect of the daemon."""
    end, clock, connector = asked()
    clock.tcpClients[0][2].clientConnectionFailed(connector, Failure(KeyError("ours")))
    assert status_of(end.wire.taken()) == 500
    (error,) = log.tracebacks()
    assert isinstance(error, KeyError)


def test_the_backend_s_name_is_looked_up_for_each_client() -> None:
    """The backend's address may change while the daemon runs."""
    clock: Any = MemoryReactorClock()
    service = StreamService(clock, "tcp:backend.example:1")
    for _ in range(2):
        ServerEnd(service, clock=clock).receive(whole_request("rfc6455"))
    assert [host for host, *_ in clock.tcpClients] == ["backend.example"] * 2


# The end of a connection.


@each
@asynchronous
async def test_what_a_client_sent_before_it_closed_arrives(net: Network, dialect: str) -> None:
    """This holds for a backend that begins to read after the client has disconnected, too."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place, dialect)
    backend = await backends.one()
    backend.transport.pauseProducing()
    for start in range(0, len(BIG), 1 << 16):
        send(application, sent(dialect, BIG[start : start + (1 << 16)]))
    application.transport.loseConnection()
    await until(lambda: application.lost or not place.factory.connections)
    backend.transport.resumeProducing()
    await until(lambda: backend.ended)
    assert bytes(backend.data) == BIG
    backend.send(b"whatever it says now is nobody's" * 1000)
    backend.transport.loseConnection()
    await until(lambda: backend.reason)


@each
@asynchronous
async def test_what_a_backend_sent_before_it_closed_arrives(net: Network, dialect: str) -> None:
    """This holds for a client that begins to read after the backend has disconnected, too."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place, dialect)
    application.transport.pauseProducing()
    backend = await backends.one()
    backend.send(BIG * 4)
    backend.transport.loseConnection()
    application.transport.resumeProducing()
    await until(lambda: application.lost)
    assert stream_of(application) == BIG * 4
    assert isinstance(application.lost, CleanClose)


@asynchronous
async def test_a_backend_that_closes_its_half_gets_the_data_sent_to_it(net: Network) -> None:
    """The gateway closes the client, and still delivers the client's data to the backend."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place)
    backend = await backends.one()
    backend.transport.pauseProducing()
    for _ in range(24):  # 12 MiB, of which the kernel takes 4
        send(application, BIG[: 1 << 19])
    await until(lambda: (wire := connection(place)) and is_paused(wire))
    backend.send(b"enough")
    backend.transport.loseWriteConnection()
    await until(lambda: application.lost)
    assert application.messages == [b"enough"]
    assert isinstance(application.lost, CleanClose)
    assert application.lost.code == 1000
    backend.transport.resumeProducing()
    await until(lambda: backend.ended)
    assert 0 < len(backend.data) <= 24 << 19
    assert bytes(backend.data) == (BIG[: 1 << 19] * 24)[: len(backend.data)]


def connection(place: Place) -> Any:
    """The service's connection to its client, or None."""
    return next(iter(place.factory.connections), None)


@asynchronous
async def test_a_reset_by_the_backend_closes_the_client_with_1014(net: Network) -> None:
    """Code 1014 (bad gateway) tells the client that the stream did not end in order."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place)
    (await backends.one()).transport.abortConnection()
    await until(lambda: application.lost)
    assert isinstance(application.lost, CleanClose)
    assert (application.lost.code, application.lost.reason) == (1014, "the backend disconnected")


@asynchronous
async def test_the_backend_s_connection_is_closed_when_the_client_is_lost(net: Network) -> None:
    """The backend sees an ordinary end of the stream."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place)
    backend = await backends.one()
    send(application, b"last")
    await backend.reads(b"last")
    application.transport.abortConnection()
    await until(lambda: backend.ended)


@pytest.mark.parametrize("over", ["tcp", "unix"])
@asynchronous
async def test_a_backend_that_ignores_the_end_is_closed_after_the_close_timeout(
    net: Network, over: str
) -> None:
    """The close timeout starts when the backend's kernel has acknowledged all data; the backend can
    still read that data."""
    backends = Backends(net)
    place = await served(net, backends, limits=Limits(close_timeout=0.1, drain_timeout=10_000))
    _, application = await met(net, place)
    backend = await backends.one()
    backend.transport.pauseProducing()
    send(application, b"last")
    application.transport.loseConnection()
    await within(place.factory.applications.sessions.drained())
    assert not backend.ended
    backend.transport.resumeProducing()
    await backend.reads(b"last")


def test_a_backend_that_still_reads_or_sends_is_not_closed_yet() -> None:
    end, backend = answered(whole_request("rfc6455"))
    wire: Any = backend
    wire.offset, wire._tempDataLen, wire.dataBuffer = 0, 0, b"unread"  # as Twisted's transports
    end.receive(end.peer.close())
    end.lose()
    clock: Any = end.clock
    clock.advance(3.5)
    wire.dataBuffer = b""
    wire.protocol.dataReceived(b"still here")
    clock.advance(3)
    assert backend.endings == ["lose write"]
    clock.advance(3)
    assert backend.endings == ["lose write", "lose"]
    wire.protocol.connectionLost(Failure(failures.ConnectionDone()))
    assert not clock.getDelayedCalls()


def test_a_backend_that_neither_reads_nor_closes_is_aborted_after_the_drain_timeout() -> None:
    """The connection is aborted after the drain timeout and the close timeout together."""
    end, backend = answered(whole_request("rfc6455"), limits=Limits(drain_timeout=50))
    end.receive(end.peer.binary(b"hello"))
    end.receive(end.peer.close())
    end.lose()
    assert backend.taken() == b"hello"
    assert backend.endings == ["lose write"]
    clock: Any = end.clock
    clock.advance(52.9)
    assert backend.endings == ["lose write"]
    clock.advance(0.2)
    assert backend.endings == ["lose write", "abort"]
    backend.protocol.connectionLost(Failure(failures.ConnectionLost()))  # type: ignore[attr-defined]  # an attribute that the test adds
    assert not clock.getDelayedCalls()


# Messages and bytes that cannot be relayed.


@pytest.mark.parametrize(
    ("offer", "message", "code"),
    [
        ("binary", "text", 1003),
        ("base64", b"\0", 1003),
        ("base64", "not base64!", 1007),
    ],
)
@asynchronous
async def test_a_message_that_the_coding_cannot_decode_closes_the_client(
    net: Network, offer: str, message: str | bytes, code: int
) -> None:
    """The close code says why. The backend gets the data before that message, then the end."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place, subprotocols=[offer])
    send(application, b"good" if offer == "binary" else "Z29vZA==")
    send(application, message)
    await until(lambda: application.lost)
    assert application.lost.code == code  # type: ignore[union-attr]  # the connection was closed, so lost is not None
    backend = await backends.one()
    await until(lambda: backend.ended)
    assert bytes(backend.data) == b"good"


@pytest.mark.parametrize(
    ("offer", "message", "data"), [("binary", "text", b"text"), ("base64", b"Z29vZA==", b"good")]
)
@asynchronous
async def test_a_message_of_the_other_kind_is_let_in_by_a_quirk_and_logged_once(
    net: Network, log: Log, offer: str, message: str | bytes, data: bytes
) -> None:
    backends = Backends(net)
    place = await served(net, backends, quirks={"kinds"})
    _, application = await met(net, place, subprotocols=[offer])
    send(application, message)
    send(application, message)
    backend = await backends.one()
    await backend.reads(2 * data)
    (line,) = [line for line in log.lines() if line.startswith("noticed")]
    assert line.endswith('reason="let in by quirks=kinds"')


@asynchronous
async def test_a_byte_that_is_not_utf_8_is_replaced_and_logged_once(net: Network, log: Log) -> None:
    """A degree sign in Latin-1. The log line names the client, the route and the backend."""
    backends = Backends(net)
    place = await served(net, backends, coding="lines", route="/serial")
    _, application = await met(net, place)
    backend = await backends.one()
    backend.send(b"fine\n21 \xb0C\n" + "22 °C\n".encode() + b"23 \xb0C\n")
    await until(lambda: len(application.messages) == 4)
    assert application.messages == ["fine", "21 \ufffdC", "22 °C", "23 \ufffdC"]
    (line,) = log.lines()
    assert line.startswith("gateway connection=1 peer=127.0.0.1:")
    assert " target=/demo route=/serial backend=tcp:127.0.0.1:" in line
    assert line.endswith(
        ' reason="bytes of the backend that are not UTF-8 were replaced with U+FFFD"'
    )


@asynchronous
async def test_a_line_that_is_too_long_closes_the_client_and_the_log_names_the_backend(
    net: Network, log: Log
) -> None:
    backends = Backends(net)
    place = await served(net, backends, coding="lines", route="/serial")
    _, application = await met(net, place)
    (await backends.one()).send(b"x" * (LONGEST_LINE + 1))
    await until(lambda: application.lost)
    assert application.lost.code == 1014  # type: ignore[union-attr]  # the connection was closed, so lost is not None
    line = next(line for line in log.lines() if line.startswith("gateway "))
    assert " route=/serial backend=tcp:" in line
    why = f"data of the backend cannot be encoded as messages: line longer than {LONGEST_LINE:,}"
    assert f' code=1014 reason="{why} bytes' in line


@contextmanager
def console() -> Iterator[int]:
    """The port of a real interactive Python that speaks Latin-1, as an old console does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-q", "-i", "-u", "-c", "import sys; sys.ps1 = 'Prêt> '"]
        processes: list[subprocess.Popen[bytes]] = []

        def accept() -> None:
            peer, _ = server.accept()
            with peer:
                environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
                fd = peer.fileno()
                processes.append(
                    subprocess.Popen(command, stdin=fd, stdout=fd, stderr=fd, env=environment)
                )

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()
            for process in processes:
                process.kill()
                process.wait()


@asynchronous
async def test_a_prompt_without_a_line_end_reaches_the_client(net: Network, log: Log) -> None:
    """A real interactive Python: the prompt is UTF-8, the output Latin-1."""
    with console() as port:
        service = StreamService(reactor, f"tcp:127.0.0.1:{port}", coding="text")
        wire, application = await met(net, await net.serve(service))

        def said() -> str:
            return "".join(cast("list[str]", application.messages))

        await until(lambda: said().endswith("Prêt> "))
        application.transport.sendTextMessage("print('21 ' + chr(176) + 'C')\n")
        await until(lambda: said().endswith("21 \ufffdC\nPrêt> "))
        assert len([line for line in log.lines() if line.startswith("gateway ")]) == 1
        wire.abortConnection()


# Back-pressure.


@asynchronous
async def test_a_backend_that_does_not_read_pauses_its_client(net: Network) -> None:
    """The data that the gateway holds for the backend is bounded."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place, limits=Limits(unsent_size=1 << 26))
    backend = await backends.one()
    backend.transport.pauseProducing()
    for _ in range(64):
        send(application, BIG[: 1 << 19])
    await until(lambda: is_paused(connection(place)))
    backend.transport.resumeProducing()
    await until(lambda: len(backend.data) == 64 << 19)
    assert bytes(backend.data) == BIG[: 1 << 19] * 64


@asynchronous
async def test_a_client_that_does_not_read_pauses_its_backend(net: Network) -> None:
    """The data that the gateway holds for the client is bounded."""
    backends = Backends(net)
    place = await served(net, backends)
    _, application = await met(net, place)
    application.transport.pauseProducing()
    backend = await backends.one()
    backend.send(BIG * 32)
    await until(lambda: connection(place).full)
    assert len(backend.transport.dataBuffer) + len(backend.transport._tempDataBuffer) > 0
    application.transport.resumeProducing()
    await until(lambda: len(stream_of(application)) == 32 << 20)
    assert stream_of(application) == BIG * 32
