"""Several backends of one route, made from the operator's options."""

from __future__ import annotations

import re
from typing import Any

import pytest

from support.applications import Applications, Recorder
from support.gateway_setup import QUICK, met
from support.network import Network
from support.waiting import asynchronous, reactor, until, within
from txhixie.daemon.route_option import read_description
from txhixie.daemon.services import service_for
from txhixie.daemon.services.service import Context, Served, makeServed


def built(words: str) -> Served:
    """Make the service of the operator's description, as the daemon does."""
    description = read_description(f"/={words}")
    rows = [service_for(each) for each in description.services]
    options = description.options(setting for row in rows for setting in row.options)
    context = Context(description.route, QUICK)
    return makeServed(rows, reactor, description.services, options, context)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ws://a:1 ws://b:x", "ws://b:x: expected ws://HOST:PORT or wss://HOST:PORT: port"),
        ("ws://u:secret@a:x ws://b", "ws://***@a:x: expected ws://HOST:PORT or wss://HOST:PORT"),
        ("ws://a tcp:b", "tcp:b: expected a client endpoint description"),
        ("ws://a b:9000", "b:9000: expected a client endpoint description"),
        ("ws://a http://b", "expected one service, or several backends of ws:, wss:, tcp: and"),
        ("ws://a static:/", "expected one service, or several backends of ws:, wss:, tcp: and"),
        ("tcp:a:1 tcp:b:2 pings=relay", "pings: expected an option of tcp:a:1 tcp:b:2"),
    ],
)
def test_an_error_names_the_backend_that_it_is_about(words: str, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        built(words)


@asynchronous
async def test_the_options_of_a_route_hold_for_each_backend_of_their_kind(net: Network) -> None:
    """The first backend is a stream, which refuses connections; the second one speaks hixie-76."""
    gone = await net.serve(Applications(Recorder))
    first = f"tcp:127.0.0.1:{gone.port}"
    await within(gone.listening.stopListening())
    back = await net.serve(Applications(Recorder), dialects=["hixie-76"], origins=["*"])
    service = built(f"{first} {back.url('')} coding=lines dialect=hixie-76")
    client = await met(net, await net.serve(service, origins=["*"]), dialect="rfc6455")
    client.transport.sendTextMessage("hello")
    await until(lambda: back.factory.applications.made[0].messages == ["hello"])


@asynchronous
async def test_the_sessions_of_all_backends_are_those_of_the_route(net: Network) -> None:
    """The daemon waits for them when it stops."""
    backs = [await net.serve(Applications(Recorder), origins=["*"]) for _ in range(2)]
    service: Any = built(" ".join(back.url("") for back in backs))
    sessions = service.sessions
    place = await net.serve(service, origins=["*"])
    first = await met(net, place)
    await within(backs[0].listening.stopListening())
    second = await met(net, place)
    await until(lambda: all(back.factory.applications.made for back in backs))
    drained: list[Any] = []
    sessions.drained().addCallback(drained.append)
    first.transport.loseConnection()
    await until(lambda: first.lost)
    assert sessions.hasBackends
    assert not drained
    second.transport.loseConnection()
    await until(lambda: drained)
    assert not sessions.hasBackends
