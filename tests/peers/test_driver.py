"""npm's websocket-driver, a server of hixie-75, hixie-76 and RFC 6455, and our client: also through
squid.

It is what faye and SockJS stand on. Its habits: it answers ``FF 00``, as few others do; and in the
two old drafts it agrees on no subprotocol.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from peers.peer import Server, hexed, onReactor
from peers.recorder import connected
from support.real_proxies import RealProxy, squid
from txhixie import CleanClose, InvalidHandshake

VERSIONS = {"hixie-75": "hixie-75", "hixie-76": "hixie-76", "rfc6455": "hybi-13"}
HIXIE = ("hixie-75", "hixie-76")
TEXTS = ("hello", "gr\u00fc\u00dfe, \u20ac, \U0001f600", "", "a\0b", "\u20ac" * 21845 + "x")

every = pytest.mark.parametrize("dialect", VERSIONS)


@pytest.fixture(scope="module")
def proxy() -> Iterator[RealProxy]:
    """A squid that requires Digest credentials."""
    with squid("digest") as running:
        yield running


@every
@onReactor
async def test_any_text_is_echoed(driver_server: Server, dialect: str) -> None:
    application = await connected(driver_server, "/a/b?x=1", dialect=dialect)
    assert await driver_server.peer.hears("open") == [VERSIONS[dialect], "/a/b?x=1"]
    for text in TEXTS:
        await application.exchanges(text)
        assert await driver_server.peer.hears("text") == [hexed(text)]
    application.transport.abortConnection()
    await application.ends()


@every
@onReactor
async def test_the_server_is_reached_through_a_proxy(
    driver_server: Server, proxy: RealProxy, dialect: str
) -> None:
    """The proxy makes a tunnel, in which the old drafts are as safe as the new ones."""
    url = proxy.url_with_credentials
    application = await connected(driver_server, dialect=dialect, proxy=url)
    for text in TEXTS:
        await application.exchanges(text)
    application.transport.abortConnection()
    await application.ends()


@onReactor
async def test_binary_is_echoed(driver_server: Server) -> None:
    application = await connected(driver_server, dialect="rfc6455")
    application.transport.sendBytesMessage(bytes(range(256)) * 300)
    assert await application.hears("binary") == bytes(range(256)) * 300
    application.transport.abortConnection()
    await application.ends()


@every
@onReactor
async def test_a_close_by_the_server_is_clean(driver_server: Server, dialect: str) -> None:
    application = await connected(driver_server, dialect=dialect)
    application.transport.sendTextMessage("please close")
    assert (await application.ends()).check(CleanClose)


@every
@onReactor
async def test_our_close_is_clean(driver_server: Server, dialect: str) -> None:
    application = await connected(driver_server, dialect=dialect)
    application.transport.loseConnection()
    await driver_server.peer.hears("open")
    assert (await application.ends()).check(CleanClose)


@onReactor
async def test_a_subprotocol_is_agreed(driver_server: Server) -> None:
    application = await connected(driver_server, dialect="rfc6455", subprotocols=("sample",))
    agreement = application.transport.agreement
    assert agreement is not None
    assert agreement.subprotocol == "sample"
    application.transport.abortConnection()
    await application.ends()


@pytest.mark.parametrize("dialect", HIXIE)
@onReactor
async def test_a_subprotocol_is_not_agreed_in_the_old_drafts(
    driver_server: Server, dialect: str
) -> None:
    with pytest.raises(InvalidHandshake):
        await connected(driver_server, dialect=dialect, subprotocols=("sample",))
