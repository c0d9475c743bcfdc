"""The first message of real TLS clients, and of bytes that are none."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.certificates import unverified_context
from txhixie.cli.devices.client_hello import ClientHello, read_client_hello


def hello(name: str | None, newest: ssl.TLSVersion) -> bytes:
    """The first bytes of a client of OpenSSL."""
    outgoing = ssl.MemoryBIO()
    context = unverified_context()
    context.maximum_version = newest
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("name", ["charger.example", None])
@pytest.mark.parametrize(
    ("newest", "version"),
    [(ssl.TLSVersion.TLSv1_3, "TLS 1.3"), (ssl.TLSVersion.TLSv1_2, "TLS 1.2")],
)
def test_the_version_and_the_server_name_are_read(
    name: str | None, newest: ssl.TLSVersion, version: str
) -> None:
    data = hello(name, newest)
    assert read_client_hello(data) == ClientHello(version, name or "")
    assert read_client_hello(data + b"more") == ClientHello(version, name or "")
    assert all(read_client_hello(data[:size]) is None for size in range(len(data)))


def test_a_client_without_extensions_is_read() -> None:
    """A television of 2010, with TLS 1.0."""
    body = b"\x03\x01" + bytes(32) + b"\0" + b"\0\2\0\x2f" + b"\1\0"
    message = b"\1" + len(body).to_bytes(3, "big") + body
    record = b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message
    assert read_client_hello(record) == ClientHello("TLS 1.0", "")


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_any_other_bytes_are_read_without_an_error(data: bytes, index: int, value: int) -> None:
    read_client_hello(data)
    read_client_hello(b"\x16\x03\x01" + data)
    changed = bytearray(hello("a.example", ssl.TLSVersion.TLSv1_2))
    changed[index % len(changed)] = value
    read_client_hello(bytes(changed))
