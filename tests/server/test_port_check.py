"""Mistakes in descriptions of ports and backends: each has an error that says what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.daemon import run_hixie
from txhixie.server.port_check import check_backend, check_port, parts_of

PORTS = {
    "99999": "expected a number from 0 to 65535",
    "tcp:99999": "port 99999: expected a number from 0 to 65535",
    "tcp:port=70000": "port 70000: expected a number from 0 to 65535",
    "tcp:http": "port http: expected a number, not the name of a service",
    "http": "expected a port number or an endpoint description",
    "tls:": "expected a directory of certificates: write tls:DIRECTORY:port=8443",
    "tls:8443": "expected a directory of certificates: write tls:DIRECTORY:port=8443",
    "tls:/nowhere": "expected a directory of certificates: /nowhere is not a directory",
    "tls:{empty}:port=8443": "expected a certificate and its key in a .pem file in {empty}",
    "tcp:8080:interface=nope": "interface=nope: expected an address, not the name of an interface",
    "tcp:8080:interface=[::1]": r"escape the colons of IPv6 and omit the brackets: interface=",
    r"tcp:8080:interface=[\:\:1]": r"without brackets: interface=\:\:1",
    "tcp:8080:interface=::1": r"IPv6 address with its colons escaped: interface=\:\:1",
    "tcp:8080:interface=::": r"IPv6 address with its colons escaped: interface=\:\:",
    "ssl:1:interface=fe80::1:privateKey=k": r"with its colons escaped: interface=fe80\:\:1",
    "tcp:8080:interface=10.0.0": "interface=10.0.0: expected an address",
    "tcp:8080:interface=192.0.2.1": "interface=192.0.2.1: expected an address of this machine",
    "127.0.0.1:8080": "write tcp:8080:interface=127.0.0.1",
    "[::1]:8080": r"write tcp:8080:interface=\:\:1",
    "localhost:8080": "write tcp:8080:interface=127.0.0.1",
    ":8080": "write 8080",
    "*:8080": "write 8080",
    "0.0.0.0:8080": "write tcp:8080:interface=0.0.0.0",
    "http://127.0.0.1:8080/": "write tcp:8080:interface=127.0.0.1",
    "unix:/nowhere/hixie.sock": "expected a socket path in a directory that exists, not /nowhere",
    "unix:/tmp/" + "a" * 120: "expected a socket path of at most 107 bytes",
    "unix:/tmp/hixie.sock:mode=rw": "mode=rw: expected an octal mode such as 660",
    "ssl:8443": "a certificate and its key, in PEM; write privateKey=FILE and certKey=FILE",
    "ssl:8443:privateKey={key}": "{key} has no certificate; add certKey=FILE",
    "8080, 8081": "expected one port; repeat the option for each port: --port 8080 --port 8081",
    "8080/tcp": "expected a port number or an endpoint description",
}


@pytest.mark.parametrize("port", PORTS)
def test_a_mistake_in_a_port_has_an_error_that_says_what_to_write(
    port: str, tmp_path: Path
) -> None:
    empty, key = tmp_path / "empty", tmp_path / "key.pem"
    empty.mkdir()
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    text, expected = (each.format(empty=empty, key=key) for each in (port, PORTS[port]))
    result = run_hixie("--port", text, "--check")
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"hixie: --port {text}: ")
    assert expected in line


BACKENDS = {
    "tcp:HOST:99999": "port 99999: expected a number from 1 to 65535",
    "tcp:a:0": "port 0: expected a number from 1 to 65535",
    "tcp:a:https": "port https: expected a number, not the name of a service",
    "tls:a:70000": "port 70000: expected a number from 1 to 65535",
    "tcp:[::1]:5900": "expected an IPv6 address without brackets and with its colons escaped",
    "tcp:300.1.1.1:80": "300.1.1.1: expected an IPv4 address, four numbers up to 255",
    "tcp:a/b:80": "a/b: expected the name or the address of a host",
    "tcp:-a:80": "-a: expected the name or the address of a host",
    "tcp:a..b:80": "a..b: expected the name or the address of a host",
    "unix:/" + "a" * 120: "expected a socket path of at most 107 bytes",
    "tcp:a:80 subprotocols=mqtt;stomp": "expected names of subprotocols, such as mqtt",
    "ws://a:99999": "expected ws://HOST:PORT or wss://HOST:PORT",
    "static:/nowhere": "/nowhere",
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mistake_in_a_backend_has_an_error_that_says_what_to_write(backend: str) -> None:
    result = run_hixie("--serve", f"/={backend}", "--check")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"hixie: --serve /={backend}: ")
    assert BACKENDS[backend] in line


@pytest.mark.parametrize("path", ["/*", "/a/*", "/a*"])
def test_a_path_with_a_star_is_not_a_route(path: str) -> None:
    result = run_hixie("--serve", f"{path}=echo", "--check")
    assert (
        f"{path}: expected a path without *: a route also matches all paths below its own"
        in result.stderr
    )
    assert result.returncode == 1


def test_a_byte_order_mark_has_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "hixie.toml"
    file.write_bytes(b"\xef\xbb\xbfport = 8080\n")
    result = run_hixie("--config", str(file), "--check")
    assert "expected UTF-8 without a byte order mark; save the file without it" in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize(
    "port",
    [
        "tcp:8080",
        "tcp:port=8080:interface=127.0.0.1",
        r"tcp:8080:interface=\:\:1",
        r"tcp6:8080:interface=fe80\:\:1%eth0",
        "unix:/tmp/hixie.sock:mode=660:lockfile=0",
        "systemd:domain=INET:index=0",
        r"ws:tcp\:8080",
    ],
)
def test_a_correct_port_is_not_changed(port: str) -> None:
    check_port(port)


@pytest.mark.parametrize(
    "backend",
    [
        "tcp:example.com:80",
        "tcp:a_container:80",
        "tcp:example.com.:80",
        r"tcp:\:\:1:5900",
        r"tcp:fe80\:\:1%eth0:5900",
        "tcp:port=80:host=example.com",
        "tls:b\u00fccher.example:443",
        "unix:/run/redis.sock",
        "httpconnect:proxy:3128:a:80",
    ],
)
def test_a_correct_backend_is_not_changed(backend: str) -> None:
    check_backend(backend)


def test_a_description_is_parsed_as_by_twisted() -> None:
    assert parts_of(r"tcp:80:interface=\:\:1:a\=b") == ("tcp", ("80", "a=b"), {"interface": "::1"})
