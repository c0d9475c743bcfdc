"""Endpoint descriptions: byte streams by configuration, through Twisted's own functions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import ssl
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    clientFromString,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.protocol import Factory

from support.applications import Applications, Recorder
from support.certificates import authority
from support.dialect_marks import each
from support.log_recorder import Log
from support.network import Network, Place
from support.raw_peer import Raw
from support.resolver import FakeResolver
from support.scripted_servers import says, server
from support.waiting import asynchronous, reactor, until, within
from txhixie import (
    CleanClose,
    ConnectTimeout,
    HandshakeRefused,
    HixieError,
    ProxyRefused,
    WebSocketClientEndpoint,
)
from txhixie.byte_streams.endpoint import StreamServerEndpoint
from txhixie.errors import LookupFailed, UnsupportedByDialect

ROOT = Path(__file__).parents[2]


class Echo(Raw):
    """A byte protocol that echoes."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.write(data.upper())


async def listens(net: Network, description: str) -> int:
    """Listen as a description says; the port."""
    factory: Any = Factory.forProtocol(Echo)
    endpoint: Any = serverFromString(reactor, description)
    listening = await endpoint.listen(factory)
    net.places.append(Place("tcp", listening, "", factory))
    return int(listening.getHost().port)


async def connects(net: Network, description: str) -> Raw:
    """Connect as a description says."""
    factory: Any = Factory.forProtocol(Raw)
    endpoint: Any = clientFromString(reactor, description)
    raw: Raw = await within(endpoint.connect(factory))
    net.raws.append(raw)
    return raw


@each
@asynchronous
async def test_a_byte_protocol_is_carried_in_every_dialect(dialect: str, net: Network) -> None:
    """In a dialect that has only text, the bytes are base64; neither side needs an option for
    it."""
    port = await listens(net, r"ws:tcp\:0\:interface=127.0.0.1:path=/x")
    raw = await connects(net, f"ws:127.0.0.1:{port}:path=/x:dialect={dialect}")
    raw.send(b"\x00bytes\xff")
    await raw.reads(b"\x00BYTES\xff")
    raw.transport.loseConnection()
    await raw.ends()


@pytest.mark.parametrize(
    "below",
    [
        quoteStringArgument("tcp:0:interface=127.0.0.1"),
        r"tcp\:0\:interface\=127.0.0.1",
        r"endpoint=tcp\:0\:interface=127.0.0.1",
    ],
)
@asynchronous
async def test_the_endpoint_below_a_server_is_quoted_in_any_way(below: str, net: Network) -> None:
    port = await listens(net, f"ws:{below}:path=/x")
    raw = await connects(net, f"ws:127.0.0.1:{port}:path=/x")
    raw.send(b"bytes")
    await raw.reads(b"BYTES")


@asynchronous
async def test_TLS_is_an_ssl_endpoint_below_and_the_authorities_a_file(
    net: Network, tmp_path: Path
) -> None:
    (tmp_path / "server.pem").write_bytes(authority().pem_for("localhost"))
    (tmp_path / "client.pem").write_bytes(authority().pem_for("client.example"))
    (tmp_path / "authority.pem").write_bytes(authority().pem)
    file = quoteStringArgument(str(tmp_path / "server.pem"))
    below = f"ssl:0:interface=127.0.0.1:privateKey={file}"
    port = await listens(net, f"ws:{quoteStringArgument(below)}:coding=lines")
    roots = quoteStringArgument(str(tmp_path / "authority.pem"))
    client = quoteStringArgument(str(tmp_path / "client.pem"))
    raw = await connects(
        net,
        f"wss:localhost:{port}:coding=lines:trustRoot={roots}:certificate={client}:timeout=9",
    )
    raw.send(b"a line\n")
    await raw.reads(b"A LINE\n")
    with pytest.raises(HixieError, match="certificate"):
        await connects(net, f"wss:localhost:{port}")


@asynchronous
async def test_a_client_certificate_and_its_key_are_in_two_files(
    net: Network, tmp_path: Path
) -> None:
    """Client certificates, for a server that requests one."""
    key, certificate = re.findall(
        rb"-----BEGIN.*?-----END[^\n]*\n", authority().pem_for("client.example"), re.DOTALL
    )
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "client.pem").write_bytes(certificate)
    (tmp_path / "authority.pem").write_bytes(authority().pem)
    factory: Any = Factory.forProtocol(Echo)
    options = authority().issue("localhost").options(ssl.Certificate.loadPEM(authority().pem))
    listening: Any = await StreamServerEndpoint(
        SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
    ).listen(factory)
    net.places.append(Place("tls", listening, "", factory))
    description = f"wss:localhost:{net.places[-1].port}"
    for word, name in (
        ("trustRoot", "authority.pem"),
        ("certificate", "client.pem"),
        ("privateKey", "key.pem"),
    ):
        description += f":{word}={quoteStringArgument(str(tmp_path / name))}"
    raw = await connects(net, description)
    raw.send(b"bytes")
    await raw.reads(b"BYTES")


@asynchronous
async def test_every_option_of_a_request_has_a_place_in_the_description(net: Network) -> None:
    """Colons in values are quoted."""
    served = Applications()
    place = await net.serve(served, origins=["http://page.example"], subprotocols=["chat"])
    await connects(
        net,
        f"ws:localhost:port={place.port}:path=/x?y=a\\:b:subprotocols=soap, chat"
        r":origin=http\://page.example:header=Cookie\: a=b:user=me:password=p@ss"
        ":bindAddress=127.0.0.9:compression=no",
    )
    (offer,) = served.asked
    assert offer.target == "/x?y=a:b"
    assert offer.subprotocols == ("soap", "chat")
    assert offer.origin == "http://page.example"
    assert offer.header("cookie") == "a=b"
    assert offer.header("authorization") == "Basic bWU6cEBzcw=="
    assert offer.extensions == ()
    peer: Any = served.made[0].transport.getPeer()
    assert peer.host == "127.0.0.9"


@pytest.mark.parametrize(
    ("description", "asked"),
    [
        ("ws:silent.example", ("silent.example", 80)),
        ("wss:silent.example", ("silent.example", 443)),
        ("ws:silent.example:8080", ("silent.example", 8080)),
        ("ws:host=silent.example:port=8080", ("silent.example", 8080)),
    ],
)
@asynchronous
async def test_ports_have_the_schemes_defaults(
    description: str, asked: tuple[str, int], net: Network, names: FakeResolver
) -> None:
    with pytest.raises(ConnectTimeout):
        await connects(net, f"{description}:timeout=0.1")
    assert names.asked == [asked]


@asynchronous
async def test_an_IPv6_address_is_quoted(net: Network) -> None:
    """The address is quoted as in all of Twisted's descriptions; brackets belong to URLs only."""
    below = r"tcp6:0:interface=\:\:1"
    port = await listens(net, f"ws:{quoteStringArgument(below)}")
    raw = await connects(net, rf"ws:\:\:1:{port}")
    raw.send(b"bytes")
    await raw.reads(b"BYTES")


@asynchronous
async def test_a_proxy_comes_from_the_description_or_the_environment(
    net: Network, names: FakeResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    place, made = await server(net, forbidden)
    url = f"http://127.0.0.1:{place.port}"
    with pytest.raises(ProxyRefused):
        await connects(net, f"ws:inside.example:proxy={quoteStringArgument(url)}")
    monkeypatch.setenv("https_proxy", url)
    monkeypatch.setenv("no_proxy", "nobody.example")
    with pytest.raises(ProxyRefused):
        await connects(net, "wss:inside.example:proxy=environment")
    with pytest.raises(LookupFailed):
        await connects(net, "wss:nobody.example:proxy=environment")
    assert made[0].data.startswith(b"CONNECT inside.example:80 ")
    assert made[1].data.startswith(b"CONNECT inside.example:443 ")


@asynchronous
async def test_a_server_description_may_name_origins_and_a_path(net: Network) -> None:
    port = await listens(
        net,
        r"ws:tcp\:0\:interface=127.0.0.1:path=/x:dialects=rfc6455,hybi-08"
        r":origins=http\://page.example:hosts=127.0.0.1:subprotocols=chat:secure=no"
        ":messageSize=4:compression=no",
    )
    refused: list[tuple[str, dict[str, Any], int]] = [
        ("/y", {}, 404),
        ("/x", {"dialect": "hixie-76"}, 426),
        ("/x", {"origin": "http://other.example"}, 403),
    ]
    for url, options, status in refused:
        endpoint = WebSocketClientEndpoint.new(reactor, f"ws://127.0.0.1:{port}{url}", **options)
        with pytest.raises(HandshakeRefused) as caught:
            await within(endpoint.connectApplication(Recorder()))
        assert caught.value.status == status
    endpoint = WebSocketClientEndpoint.new(
        reactor, f"ws://127.0.0.1:{port}/x", subprotocols=["chat"]
    )
    application = await within(endpoint.connectApplication(Recorder()))
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol == "chat"
    assert application.transport.agreement.extensions == ()
    application.transport.sendTextMessage("12345")
    await until(lambda: application.lost)
    assert isinstance(application.lost, CleanClose)
    assert application.lost.code == 1009


@pytest.mark.parametrize(
    ("description", "error", "words"),
    [
        ("ws:host:dialect=hixie-77", ValueError, "hixie-77"),
        ("ws:host:dialect=hixie-76:coding=binary", ValueError, "coding=base64"),
        ("ws:host:dialect=hixie-76:subprotocols=a,b", UnsupportedByDialect, "one"),
        ("ws:host:coding=morse", ValueError, "morse"),
        ("ws:host:22", ValueError, "port"),
        ("ws:host:x", ValueError, "port"),
        ("ws:host:80@elsewhere.example", ValueError, "port"),
        ("ws:host/x", ValueError, "host"),
        ("ws:me@host", ValueError, "host"),
        ("ws:host:path=@elsewhere.example/", ValueError, "path"),
        ("ws:host:path=x", ValueError, "path"),
        ("ws:host:path=/#x", ValueError, "fragment"),
        ("ws:host:timeout=soon", ValueError, "soon"),
        (r"ws:host:proxy=socks5\://proxy\:1080", ValueError, "SOCKS"),
        ("ws:host:header=s3cret", ValueError, "expected 'NAME: VALUE'"),
        ("ws:host:messageSize=much", ValueError, "messageSize: expected a number of bytes"),
        ("ws:host:compression=maybe", ValueError, "compression: expected yes or no"),
        ("ws:host:colour=blue", TypeError, "colour"),
        ("ws:host:certificate=x.pem", TypeError, "certificate"),
        ("ws:", ValueError, "host"),
        ("wss:host:trustRoot=nowhere.pem", OSError, "nowhere"),
    ],
)
def test_a_mistake_in_a_clients_description_is_an_error(
    description: str, error: type[Exception], words: str
) -> None:
    """The error is raised at once, and not at the first connection."""
    with pytest.raises(error, match=words):
        clientFromString(reactor, description)


@pytest.mark.parametrize(
    ("description", "error", "words"),
    [
        (r"ws:tcp\:8080:dialects=hixie-77", ValueError, "hixie-77"),
        (r"ws:tcp\:8080:coding=morse", ValueError, "morse"),
        (r"ws:tcp\:8080:secure=maybe", ValueError, "secure: expected yes or no"),
        (r"ws:tcp\:8080:compression=maybe", ValueError, "compression: expected yes or no"),
        (r"ws:tcp\:8080:colour=blue", TypeError, "colour"),
        ("ws:nothing", ValueError, "nothing"),
    ],
)
def test_a_mistake_in_a_servers_description_is_an_error(
    description: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        serverFromString(reactor, description)


def test_listing_the_plugins_imports_neither_this_package_nor_OpenSSL() -> None:
    """``twistd --help`` lists all plugins."""
    code = """
import sys
from twisted.plugins import txhixie_endpoints
sys.exit(sum(name.split(".")[0] in ("txhixie", "OpenSSL") for name in sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


SHOWN = r"""
from twisted.internet import reactor
from twisted.internet.endpoints import clientFromString, serverFromString
import txhixie
print(txhixie.__file__)
for text in ("ws:host:path=/x", "wss:host", "httpconnect:proxy:3128:host:443"):
    print(type(clientFromString(reactor, text)).__name__)
print(type(serverFromString(reactor, r"ws:tcp\:8080:path=/x")).__name__)
"""


def test_an_installed_package_provides_the_endpoint_descriptions(tmp_path: Path) -> None:
    """The package is installed from the wheel, not from a checkout."""
    source, wheels, site = (tmp_path / name for name in ("source", "wheels", "site"))
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "dropin.cache")
    for name in ("txhixie", "twisted", "share"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.rst", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", wheels, source], check=True, timeout=300)
    (wheel,) = wheels.iterdir()
    shutil.unpack_archive(wheel, site, "zip")
    shown = subprocess.run(
        [sys.executable, "-c", SHOWN],
        check=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        text=True,
    )
    where, *kinds = shown.stdout.split()
    assert where.startswith(str(site))
    assert kinds == [
        "StreamClientEndpoint",
        "StreamClientEndpoint",
        "HTTPConnectEndpoint",
        "StreamServerEndpoint",
    ]


@asynchronous
async def test_what_they_log_has_no_password(net: Network, names: FakeResolver, log: Log) -> None:
    with pytest.raises(HixieError) as caught:
        await connects(net, "ws:nobody.example:user=me:password=secret")
    assert "secret" not in f"{caught.value} {log.events}"
