"""Both ends of a connection, for the tests of floor 3: in memory, and over real sockets.

Fakes lie, so whatever is promised to a transport is also tried over the loopback interface; but
only a fake shows every call in its order.
"""

from __future__ import annotations

import datetime
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import md5, sha1
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar, cast

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor as installed_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from support.wire import MASK, modern_frame
from txhixie import (
    DIALECTS,
    HixieClientFactory,
    HixieClientProtocol,
    HixieServerFactory,
    HixieServerProtocol,
    Limits,
    Offer,
    testing,
)
from txhixie.sansio.dialects import named
from txhixie.sansio.wire.frame import Opcode, Side

Recorder = testing.Recorder
Applications = testing.Applications[Any]
echo = testing.echo

P = ParamSpec("P")
T = TypeVar("T")

reactor: Any = installed_reactor

PATIENCE = 10.0
"""Seconds any wait of a test lasts at most: nothing here takes one, but machines are busy."""

NAMES = tuple(dialect.name for dialect in DIALECTS)
HIXIE = tuple(name for name in NAMES if not named(name).has_codes)
MODERN = tuple(name for name in NAMES if named(name).has_codes)
"""These have codes, pings and masks."""

USUAL = Limits()
CLOSING = tuple(name for name in NAMES if named(name).has_close)
OVER = ("tcp", "tls", "unix")


# Waiting.


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Any]:
    """A test that awaits Deferreds; pytest-twisted says nothing of its types."""
    return cast("Callable[P, Any]", pytest_twisted.ensureDeferred(test))


def within(deferred: Deferred[T], seconds: float = PATIENCE) -> Deferred[T]:
    """The same, bounded: it fails with a TimeoutError."""
    return deferred.addTimeout(seconds, cast(IReactorTime, reactor))


async def turn(seconds: float = 0.0) -> None:
    """Let the reactor run."""
    await deferLater(reactor, seconds)


async def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to be true, and not for ever."""
    deadline = reactor.seconds() + seconds
    while not true():
        assert reactor.seconds() < deadline, f"it did not become true in {seconds} seconds"
        await turn(0.002)


# The log.


class Log:
    """What was logged meanwhile. A traceback that nobody asked for fails the test."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def tracebacks(self) -> list[BaseException]:
        """The exceptions of the tracebacks so far, which are thereby expected."""
        failures = [event for event in self.events if "log_failure" in event]
        self.events[:] = [event for event in self.events if "log_failure" not in event]
        return [event["log_failure"].value for event in failures]

    def lines(self) -> list[str]:
        """The lines of the package's own log."""
        events = [
            event
            for event in self.events
            if str(event.get("log_namespace", "")).startswith("txhixie")
            and "log_failure" not in event
        ]
        return [formatEvent(event) for event in events]


@pytest.fixture(autouse=True)
def log() -> Iterator[Log]:
    recorded = Log()
    publish = cast(ILogObserver, recorded.events.append)
    globalLogPublisher.addObserver(publish)
    try:
        yield recorded
        unexpected = recorded.tracebacks()
        assert not unexpected, f"tracebacks nobody expected: {unexpected}"
    finally:
        globalLogPublisher.removeObserver(publish)


# Applications.


class Plain:
    """
    An application written for twisted.web.websocket: its six methods, nothing inherited, and no
    more of its transport than that module has.

    :ivar events: what it was told, in order.
    """

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport
        self.events.append(("started",))

    def negotiationFinished(self) -> None:
        self.events.append(("finished",))

    def textMessageReceived(self, message: str) -> None:
        self.events.append(("text", message))

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.events.append(("bytes", bytes(data)))

    def pongReceived(self, payload: bytes) -> None:
        self.events.append(("pong", payload))

    def connectionLost(self, reason: Failure) -> None:
        self.events.append(("lost", reason.type))


def fails(app: Recorder) -> None:
    """What a broken application does."""
    raise Broken("the application is broken")


class Broken(Exception):
    """An application's own error."""


class Answering:
    """An applications object that answers every offer with what a function says."""

    def __init__(self, answer: Callable[[Offer], Any]) -> None:
        self.answer = answer

    def buildProtocol(self, offer: Offer) -> Any:
        return self.answer(offer)


@implementer(IPushProducer)
class Source:
    """A push producer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


# Bytes.

KEY3 = b"^n:ds[4U"
PROOF = b"8jKS'y:G*Co,Wxa-"
"""The eight bytes and the sixteen of the example in draft-hixie-76 section 1.2."""


NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The key and the hash of the example in RFC 6455 section 1.3."""

VERSIONS = {"hybi-07": 7, "hybi-08": 8, "rfc6455": 13}
ORIGIN_FIELDS = {
    "hixie-54": "WebSocket-Origin",
    "hybi-07": "Sec-WebSocket-Origin",
    "hybi-08": "Sec-WebSocket-Origin",
}
"""Where it is not simply ``Origin``."""


def request(
    dialect: str,
    *more: str,
    target: str = "/demo",
    host: str | None = "example.com",
    origin: str | None = "http://example.com",
) -> bytes:
    """The head of a request, with further lines; hixie-76's eight bytes are not in it."""
    lines = [f"GET {target} HTTP/1.1", "Upgrade: WebSocket", "Connection: Upgrade"]
    if host is not None:
        lines.append(f"Host: {host}")
    if origin is not None:
        lines.append(f"{ORIGIN_FIELDS.get(dialect, 'Origin')}: {origin}")
    if dialect in VERSIONS:
        lines.append(f"Sec-WebSocket-Key: {NONCE}")
        lines.append(f"Sec-WebSocket-Version: {VERSIONS[dialect]}")
    if dialect == "hixie-76":
        lines.append("Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5")
        lines.append("Sec-WebSocket-Key2: 12998 5 Y3 1  .P00")
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def whole_request(dialect: str, *more: str, **which: Any) -> bytes:
    """The request with its eight bytes, where there are any."""
    return request(dialect, *more, **which) + (KEY3 if dialect == "hixie-76" else b"")


def proof_for(asked: bytes) -> bytes:
    """What answers a hixie-76 request, worked out as the draft's section 1.3 tells it."""
    head, _, key3 = asked.partition(b"\r\n\r\n")
    numbers = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        if name.lower().startswith(b"sec-websocket-key"):
            digits = int(
                b"".join(value[i : i + 1] for i in range(len(value)) if value[i] in DIGITS)
            )
            numbers.append(digits // value.count(b" "))
    return md5(struct.pack(">II", *numbers) + key3).digest()


DIGITS = b"0123456789"


def accept_for(asked: bytes | bytearray) -> str:
    """What answers a request with a key, worked out as RFC 6455 section 1.3 tells it."""
    key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    return b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def subprotocol_field(dialect: str) -> str:
    """The name of the field."""
    return "WebSocket-Protocol" if dialect in OLDEST else "Sec-WebSocket-Protocol"


OLDEST = ("hixie-54", "hixie-75")
"""Those without a closing frame."""


def text(message: str) -> bytes:
    """A text frame of the Hixie drafts."""
    return b"\x00" + message.encode() + b"\xff"


CLOSE = b"\xff\x00"


@dataclass(frozen=True)
class Voice:
    """
    What one side says on the wire, in one dialect.

    :ivar key: its mask, if it is a client; ours are zeros in memory, so that they can be foretold.
    """

    dialect: str
    key: bytes | None = None

    @property
    def modern(self) -> bool:
        return self.dialect in MODERN

    def frame(self, opcode: int, payload: bytes = b"", **how: Any) -> bytes:
        """Of the modern dialects."""
        assert self.modern
        return modern_frame(opcode, payload, key=self.key, **how)

    def text(self, *messages: str) -> bytes:
        if self.modern:
            return b"".join(self.frame(Opcode.TEXT, message.encode()) for message in messages)
        return b"".join(map(text, messages))

    def binary(self, data: bytes) -> bytes:
        """Up to 125 bytes."""
        if self.modern:
            return self.frame(Opcode.BINARY, data)
        return b"\x80" + bytes([len(data)]) + data

    def close(self, code: int | None = 1000, reason: str = "") -> bytes:
        """Nothing, where the end of the connection is the close."""
        if not self.modern:
            return b"" if self.dialect in OLDEST else CLOSE
        said = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        return self.frame(Opcode.CLOSE, said)

    def broken(self) -> bytes:
        """What breaks a rule in every dialect."""
        return self.frame(3) if self.modern else b"\x01"


def code_of(dialect: str, code: int = 1000) -> int:
    """What is known of a close with this code where it may have none."""
    return code if dialect in MODERN else 1005


def head_of(answer: bytes) -> bytes:
    """An answer up to its blank line."""
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def status_of(answer: bytes) -> int:
    """An answer's status."""
    assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), answer[:80]
    return int(answer[9:12])


def body_of(answer: bytes) -> bytes:
    """What follows the blank line."""
    return answer.partition(b"\r\n\r\n")[2]


# In memory.


class End(testing.End[Any]):
    """What is said at an end in memory."""

    @property
    def dialect(self) -> str:
        return str(self.protocol.dialect.name)

    @property
    def own(self) -> Voice:
        """What we say."""
        return Voice(self.dialect, bytes(4) if self.protocol.side == Side.CLIENT else None)

    @property
    def peer(self) -> Voice:
        """What the peer says."""
        return Voice(self.dialect, MASK if self.protocol.side == Side.SERVER else None)


class ServerEnd(End):
    """A server's connection in memory."""

    protocol: HixieServerProtocol

    def __init__(self, applications: Any, **options: Any) -> None:
        clock = options.setdefault("clock", Clock())
        self.factory = HixieServerFactory(applications, **options)
        super().__init__(self.factory.buildProtocol(None), clock)


class ClientEnd(End):
    """A client's connection in memory, its request written."""

    protocol: HixieClientProtocol

    def __init__(
        self, applications: Any, url: str = "ws://example.com/demo", **options: Any
    ) -> None:
        clock = options.setdefault("clock", Clock())
        options.setdefault("dialect", "hixie-76")
        if options["dialect"] in MODERN:
            options.setdefault("entropy", bytes)
        self.factory = HixieClientFactory(url, applications, **options)
        super().__init__(self.factory.buildProtocol(None), clock)
        self.request = self.wire.taken()

    def answer(self, *more: str, **changed: str | None) -> bytes:
        """
        A server's answer, head and sixteen bytes.

        :param changed: another value for the fields ``upgrade``, ``connection``, ``origin``,
            ``location``, ``accept`` or the ``status`` line; ``None`` leaves it out.
        """
        if self.dialect in MODERN:
            return self._modern_answer(more, changed)
        old = self.dialect != "hixie-76"
        offer = self.protocol.offer
        prefix = "WebSocket" if old else "Sec-WebSocket"
        fields = {
            "upgrade": ("Upgrade", "WebSocket"),
            "connection": ("Connection", "Upgrade"),
            "origin": (f"{prefix}-Origin", str(offer.origin)),
            "location": (f"{prefix}-Location", offer.location),
        }
        status = f"HTTP/1.1 101 Web{' ' if old else ''}Socket Protocol Handshake"
        lines = [changed.get("status", status) or status]
        for key, (name, value) in fields.items():
            if (said := changed.get(key, value)) is not None:
                lines.append(f"{name}: {said}")
        head = "\r\n".join([*lines, *more, "", ""]).encode("latin-1")
        return head + (b"" if old else proof_for(self.request))

    def _modern_answer(self, more: tuple[str, ...], changed: dict[str, str | None]) -> bytes:
        fields = {
            "Upgrade": changed.get("upgrade", "websocket"),
            "Connection": changed.get("connection", "Upgrade"),
            "Sec-WebSocket-Accept": changed.get("accept", accept_for(self.request)),
        }
        lines = [changed.get("status") or "HTTP/1.1 101 Switching Protocols"]
        lines += [f"{name}: {said}" for name, said in fields.items() if said is not None]
        return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def closed(application: Recorder) -> Any:
    """How it was told that it is over, which was the last thing it was told."""
    assert application.told.count("lost") == 1
    assert application.told[-1] == "lost"
    return application.lost


def opened(
    dialect: str, application: Recorder | None = None, side: str = Side.SERVER, **options: Any
) -> tuple[Any, Recorder]:
    """An end in memory whose conversation is open, and its application."""
    application = application or Recorder()
    applications = Applications(lambda: application)
    end: Any
    if side == Side.SERVER:
        end = ServerEnd(applications, **options)
        end.receive(whole_request(dialect))
    else:
        end = ClientEnd(applications, dialect=dialect, **options)
        end.receive(end.answer())
    assert application.told[:2] == ["started", "finished"]
    if "finished" not in application.does:
        end.wire.calls.clear()
    return end, application


# Over the loopback interface.


@cache
def certificate() -> ssl.PrivateCertificate:
    """For the name ``localhost``, signed by itself, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=12))
        .not_valid_after(now + datetime.timedelta(hours=12))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + signed.public_bytes(serialization.Encoding.PEM)
    made: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(pem)
    return made


class Raw(Protocol):
    """
    A peer that is no library: sends bytes, keeps bytes.

    :ivar data: what came.
    :ivar reason: why it ended; ``None`` while it has not.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.pieces: list[bytes] = []
        self.reason: Failure | None = None

    def send(self, data: bytes) -> None:
        """Over TLS, a request's page came by TLS too."""
        if ISSLTransport.providedBy(self.transport):
            data = data.replace(b"Origin: http://example.", b"Origin: https://example.")
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason

    async def reads(self, wanted: bytes) -> None:
        """Wait for bytes."""
        await until(lambda: wanted in self.data or self.reason is not None)
        assert wanted in self.data, f"{wanted!r} did not come, but {bytes(self.data)!r:.500}"

    async def ends(self) -> None:
        """Wait for the other side to end it, in good order."""
        await until(lambda: self.reason is not None)
        assert self.reason is not None
        assert self.reason.check(ConnectionDone), f"not in good order: {self.reason.value!r}"

    async def opens(self, dialect: str, **which: Any) -> None:
        """Shake hands as a client, by the bytes."""
        self.send(whole_request(dialect, **which))
        await self.reads(PROOF if dialect == "hixie-76" else b"\r\n\r\n")
        assert status_of(bytes(self.data)) == 101
        self.data.clear()
        self.pieces.clear()


class RawServer(Raw):
    """
    A server that is no library: shakes hands as a modern one does, and then keeps what comes.

    :ivar more: lines of its answer, and in the same write its first words.
    """

    more: tuple[str, bytes] = ("", b"")
    opened = False

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if not self.opened and b"\r\n\r\n" in self.data:
            self.opened = True
            lines, words = self.more
            self.send(
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept_for(self.data)}\r\n{lines}\r\n".encode("latin-1")
                + words
            )
            self.data.clear()


@dataclass
class Place:
    """Where something listens."""

    over: str
    listening: Any
    path: str
    factory: Any

    @property
    def port(self) -> int:
        return int(self.listening.getHost().port)

    def url(self, path: str = "/demo") -> str:
        scheme = "wss" if self.over == "tls" else "ws"
        authority = "localhost" if self.over == "unix" else f"localhost:{self.port}"
        return f"{scheme}://{authority}{path}"

    @property
    def endpoint(self) -> IStreamClientEndpoint:
        if self.over == "unix":
            return cast(IStreamClientEndpoint, UNIXClientEndpoint(reactor, self.path))
        tcp = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        if self.over == "tcp":
            return cast(IStreamClientEndpoint, tcp)
        options = ssl.optionsForClientTLS("localhost", trustRoot=certificate())
        return wrapClientTLS(options, tcp)


@dataclass
class Pair:
    """Both ends of a connection, open, and what they are talking through."""

    server: Any
    client: Any
    serverWire: HixieServerProtocol
    clientWire: HixieClientProtocol


@dataclass
class Network:
    """Whatever a test has opened, so that all of it is closed."""

    directory: Path
    places: list[Place] = field(default_factory=list)
    factories: list[Any] = field(default_factory=list)
    raws: list[Raw] = field(default_factory=list)

    async def listen(self, factory: Any, over: str = "tcp") -> Place:
        path = str(self.directory / f"s{len(self.places)}")
        endpoint: Any  # their listen() says nothing of its types
        if over == "unix":
            endpoint = UNIXServerEndpoint(reactor, path)
        elif over == "tls":
            endpoint = SSL4ServerEndpoint(
                reactor, 0, certificate().options(), interface="127.0.0.1"
            )
        else:
            endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        listening: IListeningPort = await endpoint.listen(factory)
        self.factories.append(factory)
        self.places.append(Place(over, listening, path, factory))
        return self.places[-1]

    async def serve(self, applications: Any, over: str = "tcp", **options: Any) -> Place:
        """Listen with a factory of ours."""
        return await self.listen(HixieServerFactory(applications, **options), over)

    async def connect(
        self, place: Place, applications: Any, path: str = "/demo", **options: Any
    ) -> HixieClientProtocol:
        """Connect with a factory of ours; the answer has not come yet."""
        options.setdefault("dialect", "hixie-76")
        factory = HixieClientFactory(place.url(path), applications, **options)
        self.factories.append(factory)
        connecting = place.endpoint.connect(cast(IProtocolFactory, factory))
        wire: HixieClientProtocol = await within(cast("Deferred[Any]", connecting))
        return wire

    async def raw(self, place: Place) -> Raw:
        raw: Raw = await within(
            cast("Deferred[Any]", place.endpoint.connect(Factory.forProtocol(Raw)))
        )
        self.raws.append(raw)
        return raw

    async def raw_server(self, lines: str = "", words: bytes = b"") -> tuple[Place, list[Any]]:
        """
        Listen as a :class:`RawServer`.

        :return: where, and the connections to come.
        """
        made: list[Any] = []

        def make() -> RawServer:
            raw = RawServer()
            raw.more = (lines, words)
            made.append(raw)
            self.raws.append(raw)
            return raw

        factory: Any = Factory.forProtocol(cast("type[Protocol]", make))
        return await self.listen(factory), made

    async def pair(
        self,
        dialect: str,
        over: str = "tcp",
        server: Callable[[], Any] = echo,
        client: Callable[[], Any] = Recorder,
        limits: Limits = USUAL,
        **options: Any,
    ) -> Pair:
        """
        Both sides ours, open.

        :param options: for both factories.
        """
        served = Applications(server)
        place = await self.serve(served, over, limits=limits, **options)
        wire = await self.connect(
            place, Applications(client), dialect=dialect, limits=limits, binary=True, **options
        )
        application = await within(wire.whenOpen())
        await until(lambda: served.made and "finished" in served.made[0].told)
        (theirs,) = place.factory.connections
        return Pair(served.made[0], application, theirs, wire)

    async def close(self) -> None:
        for place in self.places:
            stopped = place.listening.stopListening()
            if stopped is not None:
                await within(stopped)
        for raw in self.raws:
            if raw.reason is None:
                raw.transport.abortConnection()
        ours = [factory for factory in self.factories if hasattr(factory, "abortAll")]
        for factory in ours:
            factory.abortAll()
        await until(lambda: not any(factory.connections for factory in ours))
        await until(lambda: all(raw.reason is not None for raw in self.raws))
        await turn()


# pytest-twisted has no annotations.
@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def net() -> AsyncIterator[Network]:
    # Not tmp_path: a UNIX socket's name has room for 107 bytes.
    with TemporaryDirectory(prefix="hixie") as directory:
        network = Network(Path(directory))
        try:
            yield network
        finally:
            await network.close()
