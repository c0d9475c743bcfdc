"""Wrong passwords at all workers, over real links."""

from __future__ import annotations

from support.waiting import asynchronous, reactor, until
from txhixie.daemon.guards.failures import Failures
from txhixie.daemon.workers.link import adoptLink, linkPair
from txhixie.daemon.workers.shared_failures import FailureRelay, relay_failures, share_failures

CLIENT = "192.0.2.1"


@asynchronous
async def test_a_wrong_password_at_a_worker_counts_once_at_each() -> None:
    relay = FailureRelay()
    links, workers = [], []
    for _ in range(3):
        here, other = linkPair(reactor)
        there = adoptLink(reactor, other.detach())
        failures = Failures(most=3)
        relay_failures(here, relay)
        share_failures(there, reactor, failures)
        links.append((here, there))
        workers.append(failures)
    now = reactor.seconds()
    links[2][1].close()  # a worker that has ended
    await until(lambda: not links[2][0].connected)
    workers[0].add(now, CLIENT)
    workers[0].add(now, CLIENT)
    workers[1].add(now, CLIENT)
    await until(lambda: workers[0].wait(now, CLIENT) and workers[1].wait(now, CLIENT))
    assert not workers[2].wait(now, CLIENT)
    for here, there in links:
        here.close()
        there.close()
    await until(lambda: not any(end.connected for pair in links for end in pair))
