"""A TLS port of each kind, in a process: the ports of the daemon, and of programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site

from peers.reverse_proxies import below_tls, running
from support import daemon
from support.certificates import authority
from support.daemon import free_port
from txhixie import HixieServerFactory, serve
from txhixie.channel.channel import Channel
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.proxy_protocol import ProxyProtocolFactory
from txhixie.testing.relay import Relay
from txhixie.web import HixieResource

PAGE: Final = b"<!DOCTYPE html><title>served by TLS</title>\n"


async def _echo(channel: Channel) -> None:
    async for message in channel:
        await channel.send(message)


class _Page(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return PAGE


class _Back(Protocol):
    """Sends all received data back."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None


def _page() -> Any:
    return Site(_Page())  # type: ignore[no-untyped-call]  # Twisted has no annotations here


def _relay() -> Any:
    """A factory that connects each client to a server of its own."""
    from twisted.internet import reactor

    behind = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port: Any = behind.listen(PROGRAMS["elsewhere"]()).result
    return Relay(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), print)


PROGRAMS: Final[dict[str, Callable[[], Any]]] = {
    "factory": lambda: HixieServerFactory(serve(_echo)),
    "elsewhere": lambda: HixieServerFactory(serve(_echo), elsewhere=_page()),
    "site": lambda: Site(HixieResource(serve(_echo), elsewhere=_Page())),  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    "wrapped": lambda: ProxyProtocolFactory(HixieServerFactory(serve(_echo)), TrustedNetworks(())),
    "relay": _relay,
    "string": lambda: Factory.forProtocol(_Back),
}
"""The factories with which a program listens, by name. ``string`` listens by a description
``ws:ssl\\:...``."""

DAEMONS: Final = ("ssl:", "tls:", "ssl: behind PROXY protocol", "tls: behind PROXY protocol")
KINDS: Final = (*PROGRAMS, *DAEMONS)

PAGES: Final = {"elsewhere": 200, "site": 200, "relay": 200, **dict.fromkeys(DAEMONS, 200)}
"""The status of an ordinary request; 404 where there is no page."""

_TESTS: Final = os.fspath(Path(__file__).parents[1])


@contextmanager
def tls_port(kind: str, directory: Path) -> Iterator[int]:
    """
    Listen on 127.0.0.1, with a certificate for ``localhost`` and that address.

    :param kind: one of :data:`KINDS`.
    :param directory: is for the process's files.
    """
    (directory / "localhost.pem").write_bytes(authority().pem_for("localhost", "127.0.0.1"))
    with ExitStack() as stack:
        if kind in PROGRAMS:
            yield stack.enter_context(_program(kind, directory))
        else:
            yield stack.enter_context(_daemon(kind, directory))


@contextmanager
def _program(kind: str, directory: Path) -> Iterator[int]:
    port, pem = free_port(), directory / "localhost.pem"
    start = (
        f"import sys; sys.path.insert(0, {_TESTS!r}); from support.tls_ports import main; main()"
    )
    command = [sys.executable, "-c", start, kind, str(port), os.fspath(pem)]
    with running(command, [port], directory):
        yield port


@contextmanager
def _daemon(kind: str, directory: Path) -> Iterator[int]:
    front, behind = free_port(), free_port()
    own = f"{behind}:interface=127.0.0.1"
    pem = directory / "localhost.pem"
    where = f"ssl:{own}:privateKey={pem}:certKey={pem}"
    if kind.startswith("tls:"):
        where = f"tls:{directory}:{own}"
    with ExitStack() as stack:
        if not kind.endswith("PROXY protocol"):
            stack.enter_context(daemon.running(directory, "--port", where))
            yield behind
            return
        told = ("--port", where, "--proxy-protocol", "127.0.0.1")
        stack.enter_context(daemon.running(directory, *told))
        stack.enter_context(below_tls(front, behind, directory))
        yield front


def main() -> None:
    """Listen until killed: the program of :func:`_program`, given a kind, a port and a PEM file."""
    from twisted.internet import reactor

    kind, port, pem = sys.argv[1:]
    where = f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    if kind == "string":
        where = f"ws:{quoteStringArgument(where)}"
    serverFromString(reactor, where).listen(PROGRAMS[kind]())
    reactor.run()
