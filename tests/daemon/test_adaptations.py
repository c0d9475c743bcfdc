"""Options of a route for old devices: what is sent with each of them, and without it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from support.applications import Applications, Recorder, echo
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import head_of, status_of, whole_request
from support.memory_connection import ServerEnd
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, until
from txhixie import Accepted, Refusal, testing
from txhixie.daemon.adaptations import ADAPTATIONS, Adaptation, changed
from txhixie.daemon.daemon import Daemon
from txhixie.daemon.dispatch import Guarded, RoutedApplications, RoutedServerFactory
from txhixie.daemon.errors import CannotStart
from txhixie.daemon.routes import Route, Routes
from txhixie.daemon.tap import Options

OFFERS = "Sec-WebSocket-Extensions: permessage-deflate"
SUBPROTOCOL = b"Sec-WebSocket-Protocol"


def daemon(*words: str) -> Daemon:
    """A daemon that does not listen, with these options."""
    options = Options()
    options.parseOptions(list(words))
    return Daemon(reactor, options.said)


async def served(net: Network, *routes: str, more: tuple[str, ...] = ()) -> Place:
    """Listen with the factory of a daemon with these routes."""
    words = [word for route in routes for word in ("--serve", route)]
    return await net.listen(daemon(*words, "--origins", "*", *more).factory)


async def answer(net: Network, place: Place, *lines: str, target: str = "/x") -> tuple[Raw, bytes]:
    """Connect a device; return its connection and the head of the response."""
    client = await net.raw(place)
    client.send(whole_request("rfc6455", *lines, target=target))
    await client.reads(b"\r\n\r\n")
    return client, head_of(bytes(client.data))


def adapted(options: dict[str, Any], applications: Any) -> ServerEnd:
    """A connection in memory to a route with these options."""
    clock = Clock()
    routes: Routes[Any] = Routes()
    routes.add(
        Route(None, "/"), Guarded(applications, adaptation=Adaptation.of(options, compression=True))
    )
    factory = RoutedServerFactory(RoutedApplications(routes), clock=clock)
    end: Any = testing.End(factory.buildProtocol(None), clock)
    return end  # type: ignore[no-any-return]  # the memory connection has the type Any here


# assume


@pytest.mark.parametrize(
    ("option", "offered", "seen", "answered"),
    [
        ("", [], (), b""),
        ("assume=ocpp1.6", [], ("ocpp1.6",), b""),
        ("assume=ocpp1.6", ["ocpp2.0.1"], ("ocpp2.0.1",), b"ocpp2.0.1"),
        ("assume=ocpp1.6", ["ocpp2.0.1, ocpp1.6"], ("ocpp2.0.1", "ocpp1.6"), b"ocpp1.6"),
    ],
)
@asynchronous
async def test_a_backend_is_offered_the_assumed_subprotocol_and_the_client_gets_none(
    net: Network, option: str, offered: list[str], seen: tuple[str, ...], answered: bytes
) -> None:
    backend = Applications(echo)
    back = await net.serve(backend, subprotocols=["ocpp1.6", "ocpp2.0.1"], origins=["*"])
    place = await served(net, f"/=ws://127.0.0.1:{back.port} {option}".strip())
    _, head = await answer(net, place, *(f"Sec-WebSocket-Protocol: {each}" for each in offered))
    assert status_of(head) == 101
    assert backend.asked[0].subprotocols == seen
    expected = SUBPROTOCOL + b": " + answered + b"\r\n" if answered else b""
    assert expected in head
    assert (SUBPROTOCOL in head) is bool(answered)


@asynchronous
async def test_a_route_that_requires_the_assumed_subprotocol_takes_clients_without_one(
    net: Network,
) -> None:
    place = await served(
        net, "/x=echo required-subprotocol=ocpp1.6 assume=ocpp1.6", "/y=echo required-subprotocol=a"
    )
    for lines, target, status in (
        ([], "/x", 101),
        (["Sec-WebSocket-Protocol: ocpp1.6"], "/x", 101),
        (["Sec-WebSocket-Protocol: ocpp2.0.1"], "/x", 404),
        ([], "/y", 404),
    ):
        _, head = await answer(net, place, *lines, target=target)
        assert status_of(head) == status
        assert (SUBPROTOCOL in head) is bool(lines and status == 101)


def test_the_assumed_subprotocol_decides_about_the_coding_of_a_byte_stream() -> None:
    service = Applications(Recorder)
    end = adapted({"assume": "base64"}, service)
    end.receive(whole_request("rfc6455"))
    assert [offer.subprotocols for offer in service.asked] == [("base64",)]


# pings


@pytest.mark.parametrize("service", ["echo", "ws"])
@asynchronous
async def test_a_route_without_pings_leaves_the_client_to_the_kernel(
    net: Network, service: str
) -> None:
    back = await net.serve(Applications(echo), origins=["*"])
    target = f"ws://127.0.0.1:{back.port}" if service == "ws" else service
    for option, kept in (("", 0), ("pings=answer", 0), ("pings=off", 1)):
        place = await served(net, f"/={target} {option}".strip())
        await answer(net, place)
        (connection,) = place.factory.connections
        handle = connection.transport.getHandle()
        assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == kept


def test_a_route_without_pings_sends_none() -> None:
    for options, sent in (({}, True), ({"pings": "answer"}, True), ({"pings": "off"}, False)):
        end = adapted(options, Applications(echo))
        end.receive(whole_request("rfc6455"))
        end.wire.taken()
        for _ in range(100):
            end.clock.advance(0.5)
        assert end.wire.written.startswith(b"\x89") is sent


# compression


@pytest.mark.parametrize(
    ("words", "option", "agreed"),
    [
        ((), "", True),
        ((), "compression=true", True),
        ((), "compression=false", False),
        (("--no-compression",), "", False),
        (("--no-compression",), "compression=true", True),
    ],
)
@asynchronous
async def test_a_route_decides_about_the_compression_of_its_clients(
    net: Network, words: tuple[str, ...], option: str, agreed: bool
) -> None:
    place = await served(net, f"/=echo {option}".strip(), "/other=echo", more=words)
    _, head = await answer(net, place, OFFERS)
    assert (b"Sec-WebSocket-Extensions" in head) is agreed
    _, head = await answer(net, place, OFFERS, target="/other")
    assert (b"Sec-WebSocket-Extensions" in head) is not bool(words)


# first-frame-delay


class Speaking(Protocol):
    """A backend that speaks first."""

    def connectionMade(self) -> None:
        self.transport.write(b"a" * 10_000)  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None


@asynchronous
async def test_a_backend_that_speaks_first_is_heard_after_the_delay(net: Network) -> None:
    back = await net.listen(Factory.forProtocol(Speaking))
    place = await served(net, f"/=tcp:127.0.0.1:{back.port} first-frame-delay=0.2")
    client, head = await answer(net, place)
    await until(lambda: len(client.data) >= len(head) + 10_000)


@asynchronous
async def test_a_backend_that_leaves_within_the_delay_is_still_heard(net: Network) -> None:
    class Leaving(Protocol):
        def connectionMade(self) -> None:
            transport: Any = self.transport
            transport.write(b"goodbye")
            transport.loseConnection()

    back = await net.listen(Factory.forProtocol(Leaving))
    place = await served(net, f"/=tcp:127.0.0.1:{back.port} first-frame-delay=0.2")
    client, _ = await answer(net, place)
    await client.reads(b"\x82\x07goodbye\x88")
    client.send(FrameWriter("rfc6455", MASK).close())
    await client.ends()


def test_the_first_frame_of_a_route_comes_after_its_delay() -> None:
    def greet(application: Recorder) -> None:
        application.transport.sendTextMessage("hello")

    for options, seconds in (({}, 0), ({"first-frame-delay": 0.2}, 0.2)):
        end = adapted(options, Applications(lambda: Recorder(finished=greet)))
        end.receive(whole_request("rfc6455"))
        if seconds:
            end.clock.advance(seconds - 0.01)
            assert end.wire.written.endswith(b"\r\n\r\n")
            end.clock.advance(0.02)
        assert end.wire.written.endswith(b"\r\n\r\n\x81\x05hello")


# max-sent-frame


def frames(data: bytes) -> list[tuple[int, bool, bytes]]:
    """Opcode, FIN and payload of each whole frame of a server."""
    found, at = [], 0
    while at + 2 <= len(data):
        size, start = data[at + 1], at + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif size == 127:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if start + size > len(data):
            break
        found.append((data[at] & 15, data[at] >= 128, data[start : start + size]))
        at = start + size
    return found


async def received(client: Raw, head: bytes, size: int) -> list[tuple[int, bool, bytes]]:
    """Wait for frames with so many bytes of payload, and return them."""

    def found() -> list[tuple[int, bool, bytes]]:
        return frames(bytes(client.data[len(head) :]))

    await until(lambda: sum(len(payload) for *_, payload in found()) >= size)
    return found()


@pytest.mark.parametrize("coding", ["binary", "base64", "text"])
@asynchronous
async def test_a_byte_stream_is_cut_into_messages_and_not_into_fragments(
    net: Network, coding: str
) -> None:
    back = await net.listen(Factory.forProtocol(Speaking))
    for most in (None, 1024):
        option = f"max-sent-frame={most}" if most else ""
        place = await served(net, f"/=tcp:127.0.0.1:{back.port} coding={coding} {option}".strip())
        client, head = await answer(net, place)
        found = await received(client, head, 13_336 if coding == "base64" else 10_000)
        assert all(final and opcode for opcode, final, _ in found)
        assert (max(len(part) for *_, part in found) <= 1024) is bool(most)
        client.transport.loseConnection()


@asynchronous
async def test_a_line_and_a_message_of_a_backend_are_sent_in_fragments(net: Network) -> None:
    class Line(Protocol):
        def connectionMade(self) -> None:
            self.transport.write(b"a" * 1999 + b"\n")  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None

    def greet(application: Recorder) -> None:
        application.transport.sendTextMessage("a" * 1999)

    lines = await net.listen(Factory.forProtocol(Line))
    back = await net.serve(Applications(lambda: Recorder(finished=greet)), origins=["*"])
    for service in (f"tcp:127.0.0.1:{lines.port} coding=lines", f"ws://127.0.0.1:{back.port}"):
        place = await served(net, f"/={service} max-sent-frame=1024")
        client, head = await answer(net, place)
        assert await received(client, head, 1999) == [
            (1, False, b"a" * 1024),
            (0, True, b"a" * 975),
        ]


# plain-answer


@asynchronous
async def test_a_plain_answer_has_no_cookies_of_the_backend(net: Network) -> None:
    class Baking:
        def buildProtocol(self, offer: Any) -> Accepted:
            return Accepted(echo(), headers={"Set-Cookie": "session=" + "a" * 400})

    back = await net.serve(Baking(), origins=["*"])
    for option, size in (("", 500), ("plain-answer=true", 0)):
        place = await served(net, f"/=ws://127.0.0.1:{back.port} {option}".strip())
        client, head = await answer(net, place)
        assert (b"Set-Cookie" in head) is bool(size)
        assert (len(head) > 500) is bool(size)
        client.send(FrameWriter("rfc6455", MASK).text("hello"))
        await client.reads(b"\x81\x05hello")


# The decision of a service, and how the options are read.


def test_a_decision_is_changed_only_if_it_accepts() -> None:
    def change(accepted: Accepted) -> Accepted:
        return Accepted(accepted.application, "changed")

    refusal = Refusal(403)
    application = echo()
    for decision, subprotocol in ((application, "changed"), (Accepted(application), "changed")):
        assert changed(decision, change).subprotocol == subprotocol
    for other in (None, refusal):
        assert changed(other, change) is other

    async def later() -> Accepted:
        return Accepted(application)

    for waited in (succeed(application), later()):
        found: list[Any] = []
        made = changed(waited, change)
        assert isinstance(made, Deferred)
        made.addCallback(found.append)
        assert found[0].subprotocol == "changed"


def test_a_route_without_adaptations_leaves_the_decision_of_its_service() -> None:
    decision = object()
    offer: Any = None
    assert Adaptation.of({}, compression=True).adapted(decision, offer) is decision


ALL = {
    "assume": "ocpp1.6",
    "pings": "off",
    "compression": False,
    "first-frame-delay": 0.2,
    "max-sent-frame": 1024,
    "plain-answer": True,
}


def test_a_file_and_the_command_line_say_the_same(tmp_path: Path) -> None:
    assert [*ALL] == [each.name for each in ADAPTATIONS]
    words = " ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in ALL.items()
    )
    quoted = {
        name: f'"{value}"' if isinstance(value, str) else str(value).lower()
        for name, value in ALL.items()
    }
    file = tmp_path / "hixie.toml"
    lines = [f"{name} = {value}" for name, value in quoted.items()]
    file.write_text("\n".join(["[[serve]]", 'path = "/x"', 'service = "echo"', *lines]))
    for made in (daemon("--serve", f"/x=echo {words}"), daemon("--config", str(file))):
        (guarded,) = made.factory.applications.routes
        assert guarded.adaptation == Adaptation(
            "ocpp1.6",
            {
                "firstFrameDelay": 0.2,
                "maxSentFrame": 1024,
                "plainAnswer": True,
                "pings": False,
                "compression": False,
            },
        )
        assert f"serve             /x=echo {words}" in made.report()


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("echo assume=a,b", "assume a,b: expected the name of a subprotocol, such as ocpp1.6"),
        ("echo required-subprotocol=a assume=b", "assume b: expected the required-subprotocol"),
        ("echo pings=relay", "pings relay: expected one of answer, off"),
        ("echo compression=no", "compression no: expected true or false"),
        ("echo first-frame-delay=11", "first-frame-delay 11: expected 0 to 10 seconds"),
        ("echo first-frame-delay=soon", "first-frame-delay soon: expected 0 to 10 seconds"),
        ("echo max-sent-frame=124", "max-sent-frame 124: expected a number of bytes, at least 125"),
        ("echo plain-answer=1", "plain-answer 1: expected true or false"),
        ("ws://a pings=never", "pings never: expected one of answer, relay, off"),
        ("static:. pings=off", "pings: expected an option of static:"),
        ("http://127.0.0.1:9 pings=off", "pings: expected an option of http:"),
    ],
)
def test_a_bad_value_is_an_error_at_the_start(service: str, why: str) -> None:
    with pytest.raises(CannotStart, match=f"^hixie: --serve /x={service}: {why}"):
        daemon("--serve", f"/x={service}")


def test_one_path_assumes_one_subprotocol() -> None:
    routes = [f"/x=echo required-subprotocol={name} assume={name}" for name in ("a", "b")]
    with pytest.raises(CannotStart, match="assume: expected one route with this option for /x"):
        daemon("--serve", routes[0], "--serve", routes[1])
