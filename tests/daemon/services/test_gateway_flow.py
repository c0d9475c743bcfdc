"""Back-pressure in the gateway between a fast side and a slow one: pauses and bounded buffers."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from support.applications import Applications, Recorder
from support.certificates import certificate
from support.dialect_names import MODERN, NAMES, code_of
from support.gateway_setup import gateway, met
from support.log_recorder import Log
from support.network import Network
from support.private_state import backend_of
from support.waiting import asynchronous, turn, until
from txhixie import CleanClose, Limits

SIZE = 1 << 16
MOST = 48 << 20
"""Upper bound of the bytes in transit: the kernel's buffers for the four ends of two connections
take some MiB each, and the gateway's own buffers must be bounded."""

every_pair = pytest.mark.parametrize(
    ("front", "back"), [(name, "rfc6455") for name in NAMES] + [("rfc6455", n) for n in NAMES[:-1]]
)


@implementer(IPushProducer)
class Torrent:
    """
    A producer that sends numbered messages without end, except while it is paused.

    :ivar said: the number of messages sent.
    """

    def __init__(self, application: Any) -> None:
        self.said = 0
        self.flows = True
        self.paused = False
        self._transport = application.transport
        self._transport.attachProducer(self)

    def run(self) -> None:
        """Send messages until the transport pauses this producer."""
        while self.flows and not self.paused:
            self._transport.sendTextMessage(f"{self.said} ".ljust(SIZE, "x"))
            self.said += 1

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.run()

    def stopProducing(self) -> None:
        self.flows = False


async def stuck(torrent: Torrent) -> None:
    """Wait until the producer stays paused during 50 turns of the reactor."""
    said, quiet = -1, 0
    while quiet < 50:
        await turn(0.002)
        quiet = quiet + 1 if torrent.paused and said == torrent.said else 0
        said = torrent.said


async def reads_all(application: Recorder, torrent: Torrent) -> None:
    """Read all messages and assert that each arrived once and in order."""
    torrent.flows = False
    application.transport.resumeProducing()
    await until(lambda: len(application.messages) == torrent.said, 30)
    numbers = [int(str(message).split(" ", 1)[0]) for message in application.messages]
    assert numbers == list(range(torrent.said))


@every_pair
@asynchronous
async def test_a_client_that_does_not_read_pauses_its_backend(
    net: Network, front: str, back: str
) -> None:
    """The gateway's write buffer for the client is bounded; the client gets all messages later."""
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications, back)
    application = await met(net, place, front, extensions=())
    application.transport.pauseProducing()
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    torrent = Torrent(applications.made[0])
    torrent.run()
    await stuck(torrent)
    (ours,) = place.factory.connections
    assert ours.full
    assert ours.unsent < 8 * SIZE
    assert 2 * SIZE < torrent.said * SIZE < MOST
    await reads_all(application, torrent)


@every_pair
@asynchronous
async def test_a_backend_that_does_not_read_pauses_its_client(
    net: Network, front: str, back: str
) -> None:
    """The gateway's write buffer for the backend is bounded; the backend gets all messages
    later."""
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications, back)
    application = await met(net, place, front, extensions=())
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    slow = applications.made[0]
    slow.transport.pauseProducing()
    torrent = Torrent(application)
    torrent.run()
    await stuck(torrent)
    (ours,) = place.factory.connections
    relay = backend_of(ours)
    assert relay.transport.full
    assert relay.transport.unsent < 8 * SIZE
    assert 2 * SIZE < torrent.said * SIZE < MOST
    await reads_all(slow, torrent)


@pytest.mark.parametrize("speaker", ["client", "backend"])
@every_pair
@asynchronous
async def test_last_messages_are_kept_for_a_side_that_does_not_read_yet(
    net: Network, front: str, back: str, speaker: str
) -> None:
    """The messages before a close are delivered however late the other side reads."""
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications, back)
    application = await met(net, place, front, extensions=())
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    speaks, hears = application, applications.made[0]
    if speaker == "backend":
        speaks, hears = hears, speaks
    hears.transport.pauseProducing()
    said = [f"{number} ".ljust(SIZE, "x") for number in range(128)]
    for message in said:
        speaks.transport.sendTextMessage(message)
    speaks.transport.loseConnection(4711, "bye")
    await turn(0.1)
    hears.transport.resumeProducing()
    await until(lambda: hears.lost)
    assert hears.messages == said
    assert isinstance(hears.lost, CleanClose)
    hasCodes = {front, back} <= set(MODERN)
    assert hears.lost.code == (
        4711 if hasCodes else code_of(back if speaker == "client" else front, 1000)
    )


@asynchronous
async def test_both_directions_pause_and_resume_at_once_over_tls(net: Network) -> None:
    """Both sides stop reading while they send, and there is no deadlock."""
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications, over="tls", trustRoot=certificate())
    application = await met(net, place, extensions=())
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    backend = applications.made[0]
    for side in (application, backend):
        side.transport.pauseProducing()
    torrents = [Torrent(side) for side in (application, backend)]
    for torrent in torrents:
        torrent.run()
    for torrent in torrents:
        await stuck(torrent)
    await reads_all(backend, torrents[0])
    await reads_all(application, torrents[1])


@pytest.mark.parametrize("pings", [True, False])
@asynchronous
async def test_pings_of_a_side_that_does_not_read_fill_no_buffer(net: Network, pings: bool) -> None:
    """A relayed ping counts as unsent bytes; pings that the gateway answers share one pong."""
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications, pings="relay" if pings else "answer")
    raw = await net.raw(place)
    await raw.opens("rfc6455", origin=None)
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    applications.made[0].transport.pauseProducing()
    raw.transport.pauseProducing()
    (ours,) = place.factory.connections
    relay = backend_of(ours)
    ping = b"\x89\xfd" + bytes(4) + b"x" * 125
    for _ in range(64):
        raw.send(ping * 1000)
        await turn()
    await turn(0.1)
    assert ours.unsent + relay.transport.unsent < 1 << 20


@pytest.mark.parametrize("speaker", ["client", "backend"])
@asynchronous
async def test_a_message_over_the_size_limit_closes_the_side_that_sent_it_with_1009(
    net: Network, log: Log, speaker: str
) -> None:
    """The other side gets 1001 (the client disconnected) or 1014 (the backend disconnected)."""
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications)
    application = await met(net, place, extensions=())
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    sides = [application, applications.made[0]]
    if speaker == "backend":
        sides.reverse()
    sides[0].transport.sendTextMessage("x" * (Limits().message_size + 1))
    await until(lambda: all(side.lost for side in sides))
    codes = [side.lost.code for side in sides]
    assert codes == [1009, 1001 if speaker == "client" else 1014]
    assert sides[1].messages == []
