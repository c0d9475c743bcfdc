"""Connecting to a host name: it is resolved, and one of its addresses connected to; errors
distinguish the two."""

from __future__ import annotations

import gc
import socket
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP6ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from support.ipv6 import needs_ipv6
from support.log_recorder import Log
from support.network import Network, Place
from support.raw_peer import Raw
from support.reactor_state import ReactorState
from support.resolver import FakeResolver
from support.scripted_servers import full_queue, server, silent
from support.waiting import asynchronous, reactor, until, within
from txhixie import ConnectFailed, ConnectTimeout, Limits, LookupFailed
from txhixie.dialing.hostname import NamedHostEndpoint, lookUp


async def connected(net: Network, host: str, port: int, **options: Any) -> Raw:
    """Connect to a host name."""
    endpoint = NamedHostEndpoint(reactor, host, port, **options)
    factory: Any = Factory.forProtocol(Raw)
    connecting: Any = endpoint.connect(factory)
    raw: Raw = await within(connecting)
    net.raws.append(raw)
    return raw


@asynchronous
async def test_a_name_is_resolved_by_the_system(net: Network) -> None:
    place, _ = await server(net, silent)
    raw = await connected(net, "localhost", place.port)
    assert raw.transport.getPeer().port == place.port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@asynchronous
async def test_an_IP_address_is_not_resolved(host: str, names: FakeResolver) -> None:
    """Resolving one would cost a thread, and a name server a log line."""
    (address,) = await within(lookUp(reactor, host, 80))
    assert (address.host, address.port, names.asked) == (host, 80, [])


@pytest.mark.parametrize("host", ["a..b", ".example.com", f"{64 * 'a'}.example.com"])
@asynchronous
async def test_a_name_that_cannot_be_resolved_has_no_address(host: str, log: Log) -> None:
    """The error is raised at once, without a thread."""
    assert await within(lookUp(reactor, host, 80)) == []
    endpoint = NamedHostEndpoint(reactor, host, 80)
    with pytest.raises(LookupFailed):
        await within(endpoint.connect(cast("Any", Factory.forProtocol(Raw))))


@needs_ipv6
@asynchronous
async def test_an_IPv6_address_is_connected_to(net: Network) -> None:
    made: list[Raw] = []

    def make() -> Raw:
        made.append(Raw())
        net.raws.append(made[-1])
        return made[-1]

    endpoint = TCP6ServerEndpoint(reactor, 0, interface="::1")
    factory: Any = Factory.forProtocol(make)
    listening = await endpoint.listen(factory)
    net.places.append(Place("tcp", listening, "", factory))
    raw = await connected(net, "::1", listening.getHost().port)
    assert raw.transport.getPeer().host == "::1"
    await until(lambda: made)


@asynchronous
async def test_one_address_that_answers_is_enough(net: Network, names: FakeResolver) -> None:
    """Happy Eyeballs (RFC 8305): the attempts to the other addresses are cancelled."""
    place, made = await server(net, silent)
    names.known["several.example"] = ["127.0.0.2", "::1", "127.0.0.1"]
    raw = await connected(net, "several.example", place.port)
    assert raw.transport.getPeer().host == "127.0.0.1"
    await until(lambda: len(made) == 1)


@asynchronous
async def test_a_silent_address_does_not_delay_the_others(
    net: Network, names: FakeResolver
) -> None:
    """The next address is tried in parallel after a delay."""
    with full_queue() as port:
        names.known["several.example"] = ["127.0.0.1", "127.0.0.2"]
        listening = socket.socket()
        with listening:
            listening.bind(("127.0.0.2", port))
            listening.listen()
            reactor_state = ReactorState()
            raw = await connected(net, "several.example", port)
            assert raw.transport.getPeer().host == "127.0.0.2"
            raw.transport.abortConnection()
            await reactor_state.is_restored()


@asynchronous
async def test_a_name_with_an_underscore_is_a_name(net: Network, names: FakeResolver) -> None:
    """Containers have such names; IDNA rejects them, and so does Twisted's endpoint."""
    place, _ = await server(net, silent)
    names.known["my_service"] = ["127.0.0.1"]
    await connected(net, "my_service", place.port)


@asynchronous
async def test_the_local_address_can_be_chosen(net: Network) -> None:
    place, _ = await server(net, silent)
    raw = await connected(net, "127.0.0.1", place.port, bindAddress="127.0.0.3")
    assert raw.transport.getHost().host == "127.0.0.3"


# Twisted leaves the socket that could not be bound to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@asynchronous
async def test_a_local_address_of_another_machine_is_an_error(net: Network) -> None:
    """The fault is the local address, as the error's cause shows."""
    place, _ = await server(net, silent)
    with pytest.raises(ConnectFailed) as caught:
        await connected(net, "127.0.0.1", place.port, bindAddress="192.0.2.1")
    assert caught.value.__cause__ is not None
    del caught
    gc.collect()


@asynchronous
async def test_each_stage_has_a_timeout_of_its_own(names: FakeResolver) -> None:
    """The reactor's clock measures the timeout."""

    class Reactor(Clock):
        nameResolver = names
        connectTCP = reactor.connectTCP

    clock: Any = Reactor()
    factory: Any = Factory.forProtocol(Raw)
    limits = Limits(lookup_timeout=3, tcp_timeout=5)
    looking = NamedHostEndpoint(clock, "silent.example", 80, limits=limits).connect(factory)
    clock.advance(2.9)
    assert not looking.called
    clock.advance(0.2)
    with pytest.raises(ConnectTimeout, match="no address for the name within 3 seconds"):
        await within(looking)
    assert names.questions[-1].cancelled
    assert not clock.getDelayedCalls()


@asynchronous
async def test_a_late_answer_of_the_resolver_is_ignored(names: FakeResolver) -> None:
    """The thread that resolves a name cannot be stopped, and returns a result later."""
    looking = lookUp(reactor, "silent.example", 80)
    received: Any = looking
    looking.cancel()
    with pytest.raises(CancelledError):
        await within(received)

    class Late:
        def resolveHostName(self, receiver: Any, *question: Any, **more: Any) -> None:
            self.receiver = receiver

        @property
        def nameResolver(self) -> Late:
            return self

    late = Late()
    asking = lookUp(late, "late.example", 80)
    asking.cancel()
    with pytest.raises(CancelledError):
        await within(asking)
    late.receiver.resolutionComplete()
