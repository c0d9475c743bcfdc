"""The recipe for players of 2010 in docs/howto/recipes.rst: they speak TLS 1.0 and send no server
name, and HAProxy tells them from the other clients of the same port."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from peers.reverse_proxies import running, written
from support import third_party
from support.blocking_peer import HixieClient, answer
from support.certificates import authority
from support.daemon import PATIENCE, Daemon, free_port, program, started
from support.handshake_bytes import request, status_of

HERE = Path(__file__).parent
CLIENT = "127.0.0.2"

oldest = pytest.mark.parametrize("version", ["75", "76"])


@dataclass
class Shop:
    """
    HAProxy and the daemon behind it.

    :ivar port: the port of HAProxy.
    :ivar root: the file of the certificate authority that signed both certificates.
    """

    port: int
    root: Path
    daemon: Daemon

    def connect(self, name: str | None, version: ssl.TLSVersion) -> ssl.SSLSocket:
        """Connect a client with a server name, or without one."""
        context = ssl.create_default_context(cafile=str(self.root))
        context.check_hostname = name is not None
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        peer = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (CLIENT, 0))
        return context.wrap_socket(peer, server_hostname=name)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    haproxy = third_party.haproxy()
    directory = tmp_path_factory.mktemp("players")
    players, modern, root = (directory / name for name in ("players.pem", "modern.pem", "root.pem"))
    players.write_bytes(authority().pem_for("players.example", "127.0.0.1"))
    modern.write_bytes(authority().pem_for("www.example"))
    root.write_bytes(authority().pem)
    front, old, plain, secure = (free_port() for _ in range(4))
    configuration = written(
        directory,
        "hixie-players.toml",
        {
            "tcp:8082": f"tcp:{plain}",
            "ssl:8443": f"ssl:{secure}",
            "/etc/ssl/private/example.com.pem": modern,
            "/etc/ssl/certs/example.com.pem": modern,
        },
    )
    rules = written(
        directory,
        "haproxy-players.cfg",
        {
            "bind :443": f"bind 127.0.0.1:{front}",
            "127.0.0.1:8082": f"127.0.0.1:{plain}",
            "127.0.0.1:8443": f"127.0.0.1:{secure}",
            "127.0.0.1:8444": f"127.0.0.1:{old}",
            "/etc/ssl/private/players.pem": players,
        },
    )
    with (
        started(directory, plain, "--config", str(configuration)) as daemon,
        running([haproxy, "-db", "-f", rules], [front, old], directory),
    ):
        daemon.logged(f"starting on {secure}")
        yield Shop(front, root, daemon)


def common_name(peer: ssl.SSLSocket) -> str:
    """The common name in the certificate of the server."""
    certificate = peer.getpeercert()
    assert certificate is not None
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", certificate["subject"])
    return subject[0][0][1]


@oldest
def test_a_player_of_another_library_with_TLS_1_0_and_no_server_name_gets_in(
    shop: Shop, version: str
) -> None:
    """The client of Ruby compares the URL in the response with its own, which begins with wss."""
    words = [str(shop.port), f"/ruby{version}", version, f"https://localhost:{shop.port}", ""]
    done = subprocess.run(
        [third_party.ruby_with_websocket(), HERE / "ruby" / "client.rb", *words, "play", "stop"],
        env={**os.environ, "TLS_ROOT": str(shop.root)},
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout) == {"valid": True, "messages": ["play", "stop"]}
    assert f"dialect=hixie-{version}" in shop.daemon.logged(f"target=/ruby{version} ")


@oldest
def test_our_client_sends_no_server_name_to_an_address_and_gets_in(
    shop: Shop, version: str
) -> None:
    words = ["--trust-root", str(shop.root), "--dialect", f"hixie-{version}", "--once", "play"]
    done = subprocess.run(
        [program("txhixie"), "connect", *words, f"wss://127.0.0.1:{shop.port}/own{version}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "play\n"
    assert f"dialect=hixie-{version}" in shop.daemon.logged(f"target=/own{version} ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_player_gets_its_certificate_and_the_daemon_its_address(shop: Shop) -> None:
    with shop.connect(None, ssl.TLSVersion.TLSv1) as peer:
        assert (peer.version(), common_name(peer)) == ("TLSv1", "players.example")
        host = f"127.0.0.1:{shop.port}"
        peer.sendall(request("hixie-75", target="/old", host=host, origin=f"https://{host}"))
        head = answer(peer)
        assert status_of(head) == 101
        assert f"WebSocket-Location: wss://{host}/old\r\n".encode() in head
        assert HixieClient(peer).echoes("play")
    assert f"peer={CLIENT}:" in shop.daemon.logged("target=/old ")


def test_a_client_with_a_server_name_gets_the_certificate_of_the_daemon(shop: Shop) -> None:
    with shop.connect("www.example", ssl.TLSVersion.TLSv1_3) as peer:
        assert common_name(peer) == "www.example"
        peer.sendall(request("rfc6455", target="/new", host="www.example", origin=None))
        assert status_of(answer(peer)) == 101
    assert f"peer={CLIENT}:" in shop.daemon.logged("target=/new ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_TLS_1_0_stays_closed_to_clients_with_a_server_name(shop: Shop) -> None:
    with pytest.raises(ssl.SSLError):
        shop.connect("www.example", ssl.TLSVersion.TLSv1)
    assert shop.daemon.logged('reason="TLS handshake failed: unsupported protocol"')
