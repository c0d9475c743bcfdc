"""Each known deviation of a client is covered: a sample that is run, another test, or the guide.

``tests/data/deviations_covered.json`` names the tests (``FILE::TEST``) and the sentences of the
guide (``FILE: SENTENCE``) for each deviation that no sample of ``test_protocol_quirks.py`` runs.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any, Final

import pytest
from twisted.internet.task import Clock

from support.applications import Answering, Applications, echo
from support.deviations import ITEMS, WORDS, Item
from support.frames import MASK, modern_frame
from support.guide_pages import ROOT
from support.handshake_bytes import status_of
from support.memory_connection import ServerEnd
from support.network import Network
from support.waiting import asynchronous, reactor
from txhixie import Accepted, Limits, Offer
from txhixie.daemon.services.tcp import StreamService
from txhixie.sansio.wire.frame import PONG

COVERED: Final[dict[str, list[str]]] = json.loads(
    (ROOT / "tests" / "data" / "deviations_covered.json").read_text("utf-8")
)
BY_NAME: Final = {item["name"]: item for item in ITEMS}


def runs_as_a_sample(item: Item) -> bool:
    """Whether ``test_protocol_quirks.py`` sends the deviation as it is."""
    if item["where"] not in {"request", "frames"} or not item.get("sends"):
        return False
    return item["advice"] != "opt-in" or item.get("switch") in WORDS


def words_of(text: str) -> str:
    return " ".join(text.split())


def test_each_deviation_runs_as_a_sample_or_is_in_the_table() -> None:
    missing = [item["name"] for item in ITEMS if not runs_as_a_sample(item)]
    assert sorted({*missing} - COVERED.keys()) == []
    assert sorted(COVERED.keys() - BY_NAME.keys()) == []


def test_each_switch_with_a_value_has_its_row() -> None:
    """These are no quirks: they change what a client is sent."""
    switches = {item["switch"] for item in ITEMS if item.get("switch")} - WORDS
    assert {name.partition("=")[0] for name in switches} == {
        *("assume", "subprotocols", "pings", "compression", "first-frame-delay"),
        *("max-sent-frame", "plain-answer", "flash-policy", "origins"),
    }
    rows = {item["switch"] for item in ITEMS if item["name"] in COVERED and item.get("switch")}
    assert switches <= rows


@pytest.mark.parametrize("place", sorted({each for row in COVERED.values() for each in row}))
def test_the_test_or_the_sentence_of_a_row_exists(place: str) -> None:
    file, colons, name = place.partition("::")
    if colons:
        assert re.search(
            rf"^(?:async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE
        )
    else:
        file, _, sentence = place.partition(": ")
        assert sentence in words_of((ROOT / file).read_text("utf-8"))


def _decided(decision: Accepted, offer: Offer) -> Accepted:
    return decision


# The samples that need more than a word.


def end(name: str, applications: Any = None, **options: Any) -> ServerEnd:
    """A server that has received a sample."""
    server = ServerEnd(applications or Applications(echo), **options)
    server.receive(BY_NAME[name]["sends"].encode("latin-1"))
    return server


def test_an_origin_of_a_file_gets_in_where_it_is_listed() -> None:
    for origins, status in ((None, 403), (["file://"], 101)):
        assert status_of(end("origin-file", origins=origins).wire.written) == status


def test_deflate_that_a_device_only_offers_is_not_agreed_on() -> None:
    for compression in (True, False):
        decision = Accepted(echo(), compression=compression)
        applications = Answering(partial(_decided, decision))
        written = end("deflate-offered-not-spoken", applications).wire.written
        assert status_of(written) == 101
        assert (b"Sec-WebSocket-Extensions" in written) is compression


@pytest.mark.parametrize(
    ("subprotocols", "answered"), [(["mqtt"], False), (["mqtt", "mqttv3.1"], True)]
)
@asynchronous
async def test_an_old_name_of_a_subprotocol_is_answered_where_it_is_listed(
    net: Network, subprotocols: list[str], answered: bool
) -> None:
    back = await net.serve(Applications(echo))
    service = StreamService(reactor, f"tcp:127.0.0.1:{back.port}", subprotocols=subprotocols)
    client = await net.raw(await net.serve(service))
    client.send(BY_NAME["subprotocol-by-its-old-name"]["sends"].encode("latin-1"))
    await client.reads(b"\r\n\r\n")
    assert status_of(bytes(client.data)) == 101
    assert (b"Sec-WebSocket-Protocol: mqttv3.1\r\n" in client.data) is answered


def test_the_origin_of_a_sample_is_repeated() -> None:
    written = end("origin-echo-in-76").wire.written
    assert b"\r\nSec-WebSocket-Origin: random-1234567\r\n" in written


def test_a_pong_that_is_no_echo_counts_as_life() -> None:
    for pong, lives in ((None, False), (b"", True), (b"another", True)):
        limits = Limits(ping_interval=20, ping_timeout=20)
        server = end("unmasked", limits=limits, clock=Clock())
        for step in range(400):
            server.clock.advance(0.5)
            if pong is not None and step % 20 == 0:
                server.receive(modern_frame(PONG, pong, key=MASK))
        assert (("abort",) not in server.wire.calls) is lives
