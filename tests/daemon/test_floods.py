"""Each limit of all connections, met by an attacker of a real daemon, while another client talks.

The attacker and the client have different addresses of this machine: 127.0.0.2 and so on.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.reverse_proxies import NGINX, written
from peers.reverse_proxies import running as program_running
from peers.test_front import write_certificate
from support import third_party
from support.blocking_peer import answer, connected, status
from support.certificates import unverified_context
from support.daemon import PATIENCE, Daemon, configured, free_port, run_hixie, running, started
from support.echoing import Echoing, echoing, offer
from support.ipv6 import needs_ipv6

CLIENT, ATTACKER, OTHER = "127.0.0.2", "127.0.0.3", "127.0.0.4"

PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextlib.contextmanager
def attacked(daemon: Daemon) -> Iterator[tuple[Echoing, contextlib.ExitStack]]:
    """A client of a daemon whose echo goes on during the block, and a stack for the attackers."""
    with (
        echoing(connected(daemon.port, CLIENT)) as client,
        contextlib.ExitStack() as stack,
    ):
        yield client, stack
    assert "Traceback" not in daemon.log


def until_accepted(port: int, source: str, seconds: float = PATIENCE) -> None:
    """Connect until a place of an address is free again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with connected(port, source, beginning=offer()) as peer:
            if status(peer) == 101:
                return
        time.sleep(0.05)
    raise AssertionError("the places were not given back")


def test_an_address_has_so_many_connections_and_others_are_not_disturbed(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--max-connections-per-address", "10") as daemon,
        attacked(daemon) as (client, stack),
    ):
        for number in range(60):
            peer = stack.enter_context(connected(daemon.port, ATTACKER, beginning=offer()))
            assert status(peer) == (101 if number < 10 else 429)
        client.goes_on()
        with connected(daemon.port, OTHER, beginning=offer()) as other:
            assert status(other) == 101
        line = daemon.logged("status=429")
        assert f" peer={ATTACKER}:" in line
        reason = "connections of this address exceed our limit of 10"
        assert f'reason="{reason} (Admission.connections_per_address, --max-connections-per' in line
        assert daemon.log.count(" status=429 ") == 1
        stack.close()
        until_accepted(daemon.port, ATTACKER)


def test_all_places_may_be_taken_and_open_connections_keep_theirs(tmp_path: Path) -> None:
    """By many addresses: after 21 of them, the lines of the log are counted together."""
    with running(tmp_path, "--max-connections", "12") as daemon:
        with attacked(daemon) as (client, stack):
            found = Counter(
                status(
                    stack.enter_context(connected(daemon.port, f"127.0.1.{n}", beginning=offer()))
                )
                for n in range(1, 101)
            )
            assert found == {101: 11, 503: 89}
            client.goes_on()
            stack.close()
            until_accepted(daemon.port, OTHER)
        daemon.terminate()
        daemon.ended()
        lines = [line for line in daemon.log.splitlines() if " status=503 " in line]
        assert sum("repeated=" not in line for line in lines) == 21
        (together,) = [line for line in lines if " peer=" not in line]
        assert 'reason="connections exceed our limit of 12 ' in together
        number = re.search("repeated=([0-9]+)", together)
        assert number is not None
        assert int(number[1]) >= 89 - 21


def test_unfinished_handshakes_count_and_are_given_back_after_their_time(tmp_path: Path) -> None:
    """Silent connections, and heads that come byte by byte."""
    with (
        running(tmp_path, "--max-connections-per-address", "20") as daemon,
        attacked(daemon) as (client, stack),
    ):
        silent = [stack.enter_context(connected(daemon.port, ATTACKER)) for _ in range(10)]
        slow = [stack.enter_context(connected(daemon.port, ATTACKER)) for _ in range(10)]
        for byte in offer()[:20]:
            for peer in slow:
                peer.sendall(bytes([byte]))
        with connected(daemon.port, ATTACKER, beginning=offer()) as peer:
            assert status(peer) == 429
        client.goes_on()
        with connected(daemon.port, OTHER, beginning=offer()) as other:
            assert status(other) == 101
        assert {status(peer) for peer in (*silent, *slow)} == {408}
        until_accepted(daemon.port, ATTACKER)


@pytest.mark.parametrize(
    ("option", "refused"),
    [("--max-new-connections-per-address", 429), ("--max-new-connections", 503)],
)
def test_new_connections_come_as_fast_as_the_limit(
    option: str, refused: int, tmp_path: Path
) -> None:
    with running(tmp_path, option, "5") as daemon, attacked(daemon) as (client, stack):
        found: Counter[int | None] = Counter()
        while found[refused] < 30:
            peer = stack.enter_context(connected(daemon.port, ATTACKER, beginning=offer()))
            data = answer(peer)
            found[int(data[9:12])] += 1
            assert b"101 " in data or b"\r\nRetry-After: 1\r\n" in data
        assert found[101] >= 3
        client.goes_on()
        if refused == 429:
            with connected(daemon.port, OTHER, beginning=offer()) as other:
                assert status(other) == 101
        until_accepted(daemon.port, ATTACKER)


@needs_ipv6
def test_all_of_an_IPv6_network_of_64_bits_is_one_address(tmp_path: Path) -> None:
    port = free_port()
    words = ("--port", f"tcp6:{port}:interface=\\:\\:1", "--max-connections-per-address", "4")
    with started(tmp_path, port, *words) as daemon:
        with echoing(connected(port, "::1", "::1")) as client, contextlib.ExitStack() as stack:
            for number in range(10):
                peer = stack.enter_context(connected(port, "::1", "::1", offer()))
                assert status(peer) == (101 if number < 3 else 429)
            client.goes_on()
        assert " peer=[::1]:" in daemon.logged("status=429")


def test_a_port_for_both_families_counts_IPv4_clients_by_their_address(tmp_path: Path) -> None:
    port = free_port()
    words = ("--port", f"tcp6:{port}:interface=\\:\\:", "--max-connections-per-address", "2")
    with started(tmp_path, port, *words), contextlib.ExitStack() as stack:
        for source in (ATTACKER, OTHER):
            for number in range(3):
                peer = stack.enter_context(connected(port, source, beginning=offer()))
                assert status(peer) == (101 if number < 2 else 429)


def ends_before_tls(port: int) -> bool:
    """
    Connect as an attacker, and send the first message of a TLS client.

    ``wrap_socket`` raises too, but does not close a socket that was reset before the call
    (CPython 3.11.7, not 3.13.0). The reset may come as soon as while the client connects.

    :return: whether the connection has ended without an answer.
    """
    first = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        unverified_context().wrap_bio(ssl.MemoryBIO(), first).do_handshake()
    try:
        with connected(port, ATTACKER, beginning=first.read()) as peer:
            return not peer.recv(1)
    except ConnectionError:
        return True


def test_a_TLS_port_closes_before_the_TLS_handshake(tmp_path: Path) -> None:
    """Unfinished TLS handshakes count: they keep the most memory."""
    write_certificate(tmp_path)
    port = free_port()
    tls = f"ssl:{port}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem"
    words = ("--port", tls, "--max-connections-per-address", "5")

    def secured(source: str) -> ssl.SSLSocket:
        return unverified_context().wrap_socket(connected(port, source))

    with (
        started(tmp_path, port, *words) as daemon,
        echoing(secured(CLIENT)) as client,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(5):
            stack.enter_context(connected(port, ATTACKER))
        line = ""
        for _ in range(10):
            assert ends_before_tls(port)
            line = line or daemon.logged(f"peer={ATTACKER}:")
        assert "status=" not in line
        assert 'reason="connections of this address exceed our limit of 5 ' in line
        client.goes_on()
        with secured(OTHER) as other:
            other.sendall(offer())
            assert status(other) == 101


def test_a_UNIX_socket_has_no_address_and_its_connections_count_in_all(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    words = (
        "--port",
        f"unix:{path}",
        "--max-connections-per-address",
        "1",
        "--max-connections",
        "4",
    )

    def unix() -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE)
        peer.connect(path)
        peer.sendall(offer())
        return peer

    with running(tmp_path, *words) as daemon, attacked(daemon) as (client, stack):
        found = [status(stack.enter_context(unix())) for _ in range(6)]
        assert found == [101, 101, 101, 503, 503, 503]
        client.goes_on()


def test_pages_count_while_they_are_connected(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--max-connections-per-address", "2") as daemon,
        attacked(daemon) as (_, stack),
    ):
        for _ in range(10):
            with connected(daemon.port, ATTACKER, beginning=PAGE) as peer:
                found = status(peer)
                assert found == 200
            until_accepted(daemon.port, ATTACKER)
        held = [stack.enter_context(connected(daemon.port, ATTACKER)) for _ in range(2)]
        with connected(daemon.port, ATTACKER, beginning=PAGE) as peer:
            assert status(peer) == 429
        held[0].close()
        until_accepted(daemon.port, ATTACKER)


CONFIGURATION = 'port = "{port}"\nserve = "/=echo"\n'


def test_a_reload_keeps_the_connections_counted_and_takes_the_new_limits(tmp_path: Path) -> None:
    """From no limit to a limit, to a lower one, and back to none."""
    with configured(tmp_path, CONFIGURATION) as daemon, attacked(daemon) as (client, stack):
        file = tmp_path / "hixie.toml"
        before = file.read_text()
        for _ in range(3):
            peer = stack.enter_context(connected(daemon.port, ATTACKER, beginning=offer()))
            assert status(peer) == 101
        for times, limit in enumerate(("4", "2"), 1):
            file.write_text(f"{before}max-connections-per-address = {limit}\n")
            daemon.reload(times)
            peer = stack.enter_context(connected(daemon.port, ATTACKER, beginning=offer()))
            assert status(peer) == (101 if limit == "4" else 429)
            client.goes_on()
        file.write_text(f"{before}max-connections = 5\n")
        daemon.reload(3)
        with connected(daemon.port, OTHER, beginning=offer()) as other:
            assert status(other) == 503
        file.write_text(before)
        daemon.reload(4)
        with connected(daemon.port, OTHER, beginning=offer()) as other:
            assert status(other) == 101


# Behind reverse proxies.


def has_five_at_most(front: int, client: Echoing, stack: contextlib.ExitStack) -> None:
    """Assert that an address has five connections at most, and that others are not affected."""
    for number in range(12):
        peer = stack.enter_context(connected(front, ATTACKER, beginning=offer()))
        assert status(peer) == (101 if number < 5 else 429)
    client.goes_on()
    for number in range(5):
        peer = stack.enter_context(connected(front, f"127.0.0.{number + 9}", beginning=offer()))
        assert status(peer) == 101


def test_behind_nginx_the_forwarded_client_counts(tmp_path: Path) -> None:
    program = third_party.nginx()
    front, secure, behind = free_port(), free_port(), free_port()
    written(
        tmp_path,
        "hixie.conf",
        {
            "8080": behind,
            "listen 80;": f"listen 127.0.0.1:{front};",
            "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
            **write_certificate(tmp_path),
        },
    )
    (tmp_path / "nginx.conf").write_text(NGINX.format(directory=tmp_path), "utf-8")
    words = ("--trust-forwarded", "127.0.0.1", "--max-connections-per-address", "5")
    nginx: list[str | Path] = [
        program,
        "-p",
        tmp_path,
        "-e",
        tmp_path / "errors",
        "-c",
        tmp_path / "nginx.conf",
    ]
    with (
        started(tmp_path, behind, "--port", f"tcp:{behind}:interface=127.0.0.1", *words) as daemon,
        program_running(nginx, [front], tmp_path),
        echoing(connected(front, CLIENT)) as client,
        contextlib.ExitStack() as stack,
    ):
        has_five_at_most(front, client, stack)
        assert f" peer={ATTACKER}" in daemon.logged("status=429")
        forged = offer("X-Forwarded-For: 192.0.2.77")
        with connected(front, ATTACKER, beginning=forged) as peer:
            assert status(peer) == 429
        stack.close()
        until_accepted(front, ATTACKER)


def test_behind_HAProxy_the_client_of_the_PROXY_header_counts(tmp_path: Path) -> None:
    program = third_party.haproxy()
    front, secure, behind, inner = free_port(), free_port(), free_port(), free_port()
    pems = write_certificate(tmp_path)
    rules = written(
        tmp_path,
        "haproxy.cfg",
        {
            "bind :80\n": f"bind 127.0.0.1:{front}\n",
            "bind :443\n": f"bind 127.0.0.1:{secure}\n",
            "127.0.0.1:8080": f"127.0.0.1:{behind}",
            "127.0.0.1:8443": f"127.0.0.1:{inner}",
        },
    )
    configuration = written(
        tmp_path,
        "hixie-behind-haproxy.toml",
        {"tcp:8080": f"tcp:{behind}", "ssl:8443": f"ssl:{inner}", **pems},
    )
    words = ("--config", str(configuration), "--max-connections-per-address", "5")
    with (
        started(tmp_path, behind, *words, "--max-connections", "40") as daemon,
        program_running([program, "-db", "-f", rules], [front, secure], tmp_path),
        echoing(connected(front, CLIENT)) as client,
        contextlib.ExitStack() as stack,
    ):
        has_five_at_most(front, client, stack)
        assert ends_before_tls(secure)
        assert f" peer={ATTACKER}:" in daemon.logged("status=429")
        # Those that send no header count in all; then the reverse proxy gets 503 before its header.
        for _ in range(40):
            stack.enter_context(connected(behind, "127.0.0.1"))
        daemon.logged("status=503")
        client.goes_on()
        stack.close()
        until_accepted(front, ATTACKER)


def test_check_prints_the_limits(tmp_path: Path) -> None:
    result = run_hixie("--check", "--max-connections", "100")
    assert "\nmax-connections   100\n" in result.stdout
    assert "\nmax-new-connections-per-address 0\n" in result.stdout
    result = run_hixie("--check", "--max-connections", "-1")
    assert result.returncode == 1
    assert result.stderr.endswith(
        "hixie: --max-connections -1: expected a number of connections, or 0 for no limit\n"
    )
