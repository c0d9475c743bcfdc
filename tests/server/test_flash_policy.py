"""The policy file of Flash: in memory to the byte, and over real sockets."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress

from support.applications import Applications, echo
from support.chunks import Chunks, same_every_way
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from support.network import Network
from support.waiting import asynchronous
from txhixie import HixieServerFactory
from txhixie.server.flash_policy import FlashPolicy, read_domain

REQUEST = b"<policy-file-request/>\0"
DOMAINS = ["shop.example", "*.tv.example"]


def rules(response: bytes) -> list[dict[str, str]]:
    """The rules of a policy file, by Python's parser of XML."""
    assert response.endswith(b"\0")
    return [rule.attrib for rule in ElementTree.fromstring(response[:-1])]


def test_the_policy_names_its_hosts_and_the_port_that_was_asked() -> None:
    response = FlashPolicy(DOMAINS).response(IPv4Address("TCP", "192.0.2.1", 8080))
    assert response is not None
    assert rules(response) == [
        {"domain": "shop.example", "to-ports": "8080"},
        {"domain": "*.tv.example", "to-ports": "8080"},
    ]


def test_a_socket_without_a_port_has_no_policy() -> None:
    assert FlashPolicy(DOMAINS).response(UNIXAddress("/run/hixie.sock")) is None


@pytest.mark.parametrize("text", ["Shop.Example", "*.tv.example", "localhost", "192.0.2.7"])
def test_a_host_is_a_name_or_an_address(text: str) -> None:
    assert read_domain(text) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.",
        "*.com.",
        "http://a.example",
        "a.example:80",
        'a.example"/>',
        "a b",
        "é.example",
    ],
)
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=f"^expected the host of a page .*: {re.escape(text)}$"):
        read_domain(text)


def test_one_string_is_an_error() -> None:
    with pytest.raises(TypeError, match="flashPolicy"):
        HixieServerFactory(Applications(echo), flashPolicy="shop.example")


def test_the_request_is_answered_and_the_connection_ends(log: Log) -> None:
    def written(chunks: Chunks) -> bytes:
        server = ServerEnd(Applications(echo), flashPolicy=DOMAINS)
        for chunk in chunks:
            server.receive(chunk)
        assert server.wire.endings
        return bytes(server.wire.written)

    assert len(rules(same_every_way(written, REQUEST))) == 2
    assert all('reason="Flash has asked for its policy file"' in line for line in log.lines())


@pytest.mark.parametrize("options", [{}, {"flashPolicy": []}])
def test_without_the_option_the_request_is_refused_by_a_line_that_names_it(
    log: Log, options: dict[str, Any]
) -> None:
    server = ServerEnd(Applications(echo), **options)
    server.receive(REQUEST)
    assert server.wire.written.startswith(b"HTTP/1.1 400 ")
    assert b"flash-policy" not in server.wire.written
    (line,) = log.lines()
    assert "Flash asks for a policy file; --flash-policy (flashPolicy) answers it" in line


@asynchronous
async def test_the_policy_allows_the_port_over_TCP(net: Network) -> None:
    place = await net.serve(Applications(echo), flashPolicy=["shop.example"])
    client = await net.raw(place)
    client.send(REQUEST)
    await client.ends()
    assert rules(bytes(client.data)) == [{"domain": "shop.example", "to-ports": str(place.port)}]


@asynchronous
async def test_a_handshake_on_the_same_port_goes_on(net: Network) -> None:
    place = await net.serve(Applications(echo), flashPolicy=["shop.example"], origins=["*"])
    client = await net.raw(place)
    await client.opens("hixie-76")


@asynchronous
async def test_a_UNIX_socket_refuses_the_request(net: Network) -> None:
    place = await net.serve(Applications(echo), "unix", flashPolicy=["shop.example"])
    client = await net.raw(place)
    client.send(REQUEST)
    await client.ends()
    assert client.data.startswith(b"HTTP/1.1 400 ")
