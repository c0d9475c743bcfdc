"""ALPN (RFC 7301): every kind of TLS port serves clients that offer it, as browsers and curl do."""

from __future__ import annotations

import importlib.util
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from support import third_party
from support.certificates import authority
from support.daemon import PATIENCE
from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from support.tls_ports import KINDS, PAGES, tls_port


@pytest.fixture(scope="module", params=KINDS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """Serve on a kind of port. Return the kind and the port's number."""
    kind: str = request.param
    with tls_port(kind, tmp_path_factory.mktemp("served")) as port:
        yield kind, port


def connected(port: int, *offered: str) -> ssl.SSLSocket:
    """
    Connect and complete the TLS handshake.

    :raises ssl.SSLError: when the server refuses.
    """
    context = ssl.create_default_context(cadata=authority().pem.decode())
    if offered:
        context.set_alpn_protocols(offered)
    below = socket.create_connection(("127.0.0.1", port), PATIENCE)
    try:
        return context.wrap_socket(below, server_hostname="localhost")
    except BaseException:
        below.close()
        raise


def read(peer: ssl.SSLSocket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = peer.recv(4096)
        assert more, data
        data += more
    return data


def echoes(peer: ssl.SSLSocket) -> None:
    """Open a WebSocket connection and check that the server echoes a message."""
    peer.sendall(whole_request("rfc6455", origin="https://example.com"))
    assert read(peer, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    peer.sendall(modern_frame(2, b"to and fro", key=MASK))
    read(peer, b"to and fro")


@pytest.mark.parametrize(
    "offered", [(), ("http/1.1",), ("h2", "http/1.1"), ("x-new", "http/1.1", "http/1.0")]
)
def test_a_client_with_and_without_alpn_is_served(
    served: tuple[str, int], offered: tuple[str, ...]
) -> None:
    kind, port = served
    if kind == "site" and "h2" in offered and importlib.util.find_spec("h2"):
        pytest.skip("the Site itself chooses HTTP/2, which is another test's")
    with connected(port, *offered) as peer:
        assert peer.selected_alpn_protocol() == ("http/1.1" if offered else None)
        echoes(peer)


def test_a_client_that_offers_only_other_protocols_is_refused(served: tuple[str, int]) -> None:
    """RFC 7301 section 3.2: the server refuses with a fatal alert. Twisted decides which alert."""
    _, port = served
    with pytest.raises(ssl.SSLError, match="ALERT"), connected(port, "x-new", "h3") as peer:
        peer.recv(1)


def test_curl_gets_a_page(served: tuple[str, int]) -> None:
    """curl offers ``h2`` and ``http/1.1``, or only ``http/1.1``."""
    kind, port = served
    for options in ([], ["--http1.1"], ["--no-alpn"]):
        url = f"https://localhost:{port}/"
        command = [str(third_party.curl()), "-sSk", "-o", "/dev/null", "-w", "%{http_code}"]
        asked = subprocess.run(
            [*command, *options, "--noproxy", "*", url],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (asked.stdout, asked.stderr) == (str(PAGES.get(kind, 404)), "")
