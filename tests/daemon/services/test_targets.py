"""The service of targets: what its clients share, and what is left of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.testing import MemoryReactorClock

from support.applications import Applications, Recorder
from support.daemon import free_port
from support.gateway_setup import QUICK, met
from support.network import Network
from support.waiting import asynchronous, reactor, until, within
from txhixie import Offer, Refusal
from txhixie.daemon.route_option import read_description
from txhixie.daemon.routes import Route
from txhixie.daemon.services.service import Context
from txhixie.daemon.services.targets import (
    MOST_SERVICES,
    TARGETS_OPTIONS,
    TargetsService,
    buildTargets,
)


def built(path: Path, words: str = "", clock: Any = reactor) -> TargetsService:
    """Make the service of a file, with options of the operator."""
    description = read_description(f"/vnc=targets:{path} {words}")
    options = description.options(TARGETS_OPTIONS)
    context = Context(Route(None, "/vnc"), QUICK)
    return buildTargets(clock, description.service, options, context)


def asking(token: str) -> Offer:
    return Offer("rfc6455", f"/vnc?token={token}", "localhost")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("target-from=cookie", "target-from cookie: expected one of query, path, host"),
        ("target-parameter=a=b", "target-parameter a=b: expected a name of letters"),
        (
            "target-from=host target-parameter=a",
            "target-parameter: expected target-from=query, not host",
        ),
        ("binary=hex", "binary hex: expected one of refuse, base64"),
        ("private-key=/x", "private-key: expected the option certificate as well"),
        ("coding=hex", "coding hex: expected one of"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start(tmp_path: Path, words: str, expected: str) -> None:
    """Also without a target that has the option."""
    (tmp_path / "targets").touch()
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        built(tmp_path / "targets", words)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://host/", "Unknown endpoint type: 'http'"),
        ("static:/etc", "Unknown endpoint type: 'static'"),
        ("targets:/etc", "Unknown endpoint type: 'targets'"),
        ("ws://host:x", "expected ws://HOST:PORT or wss://HOST:PORT: port"),
        ("ws://one tcp:two", "tcp:two: expected a client endpoint description"),
    ],
)
def test_a_target_is_a_backend_and_no_other_service(
    tmp_path: Path, target: str, expected: str
) -> None:
    (tmp_path / "targets").write_text(f"vm1: {target}\n")
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'targets'}, line 1: ")) as error:
        built(tmp_path / "targets")
    assert expected in str(error.value)


@asynchronous
async def test_the_options_of_the_route_hold_for_each_target(net: Network) -> None:
    """The dialect is that of WebSocket servers, the coding that of streams of bytes."""
    modern = await net.serve(Applications(Recorder), dialects=["hixie-76"], origins=["*"])
    stream, made = await net.raw_server()
    file = net.directory / "targets"
    file.write_text(f"ws: {modern.url('')}\ntcp: 127.0.0.1:{stream.port}\n")
    service = built(file, "dialect=hixie-76 coding=lines")
    place = await net.serve(service, origins=["*"])
    client = await met(net, place, path="/vnc?token=ws")
    client.transport.sendTextMessage("hello")
    await until(lambda: modern.factory.applications.made[0].messages == ["hello"])
    client = await met(net, place, path="/vnc?token=tcp")
    client.transport.sendTextMessage("hello")
    await until(lambda: made and bytes(made[0].data) == b"hello\n")


@asynchronous
async def test_the_sessions_of_all_targets_are_those_of_the_service(net: Network) -> None:
    """The daemon waits for them when it stops."""
    backs = [await net.serve(Applications(Recorder), origins=["*"]) for _ in range(2)]
    file = net.directory / "targets"
    file.write_text("".join(f"vm{n}: {back.url('')}\n" for n, back in enumerate(backs)))
    service = built(file)
    place = await net.serve(service, origins=["*"])
    clients = [await met(net, place, path=f"/vnc?token=vm{n}") for n in range(2)]
    assert service.sessions.hasBackends
    service.sessions.abortAll()
    await within(service.sessions.drained())
    await until(lambda: all(client.lost for client in clients))


def test_a_client_that_leaves_during_its_wait_leaves_no_timer(tmp_path: Path) -> None:
    """The file is being written: its last line is not complete."""
    clock = MemoryReactorClock()
    file = tmp_path / "targets"
    file.touch()
    service = built(file, clock=clock)
    file.write_text("vm1: host:59")
    clock.advance(0)
    failed: list[Any] = []
    waiting: Any = service.buildProtocol(asking("vm1"))
    waiting.addErrback(failed.append).cancel()
    assert failed[0].check(CancelledError)
    assert clock.getDelayedCalls() == []
    assert clock.tcpClients == []


def test_a_file_that_is_never_complete_does_not_keep_a_client_waiting(tmp_path: Path) -> None:
    clock = MemoryReactorClock()
    file = tmp_path / "targets"
    file.touch()
    service = built(file, clock=clock)
    decided: list[Any] = []
    file.write_text("vm1: host:59")
    waiting: Any = service.buildProtocol(asking("vm2"))
    waiting.addCallback(decided.append)
    for count in range(10):
        file.write_text(f"vm1: host:59{count}")
        clock.advance(1)
    assert isinstance(decided[0], Refusal)
    assert decided[0].status == 404
    assert clock.getDelayedCalls() == []


def test_the_services_of_few_targets_are_kept_in_memory(tmp_path: Path) -> None:
    """The file has more targets, each of which has a client."""
    count = 3 * MOST_SERVICES
    file = tmp_path / "targets"
    file.write_text("".join(f"vm{n}: 192.0.2.1:{n + 1}\n" for n in range(count)))
    clock = MemoryReactorClock()
    service = built(file, clock=clock)
    for number in range(count):
        waiting: Any = service.buildProtocol(asking(f"vm{number}"))
        waiting.addErrback(lambda failure: None).cancel()
    assert len(service.services) == MOST_SERVICES
    assert "tcp:192.0.2.1:1" not in service.services
    assert f"tcp:192.0.2.1:{count}" in service.services


def test_the_refusal_of_an_unknown_token_says_that_a_file_has_a_mistake(tmp_path: Path) -> None:
    """The token may be in the file that could not be read."""
    clock = MemoryReactorClock()
    file = tmp_path / "targets"
    file.write_text("vm1: host:1\n")
    service = built(file, clock=clock)

    def why() -> str | None:
        clock.advance(1)
        refusal = service.buildProtocol(asking("vm2"))
        assert isinstance(refusal, Refusal)
        return refusal.why

    before = why()
    assert before is not None
    assert "mistake" not in before
    file.write_text("vm1: host:1\nvm2 host:2\n")
    assert why() == f"{before}; a file of targets has a mistake, see file-not-reread"
    file.write_text("vm1: host:1\n")
    assert why() == before
    file.unlink()
    assert why() == f"{before}; a file of targets has a mistake, see file-not-reread"


@asynchronous
async def test_of_several_hosts_with_ports_the_first_that_can_be_reached_is_used(
    net: Network,
) -> None:
    stream, made = await net.raw_server()
    file = net.directory / "targets"
    file.write_text(f"vm1: 127.0.0.1:{free_port()} 127.0.0.1:{stream.port}\n")
    place = await net.serve(built(file, "coding=lines"), origins=["*"])
    client = await met(net, place, path="/vnc?token=vm1")
    client.transport.sendTextMessage("hello")
    await until(lambda: made and bytes(made[0].data) == b"hello\n")
