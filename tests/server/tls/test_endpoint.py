"""The endpoint descriptions ``ssl:`` and ``tls:`` in a program, with certificates of clients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority, authority
from support.network import Network, Place
from support.waiting import asynchronous, reactor, within
from txhixie import Channel, HixieServerFactory, connect, serve
from txhixie.server.listen_queue import serverEndpoint

CLIENTS = Authority("clients")


async def greet(channel: Channel) -> None:
    shown = channel.peerCertificate
    subject = None if shown is None else shown.to_cryptography().subject.rfc4514_string()
    await channel.send(f"hello {subject}")
    await channel.whenEnded()


@pytest.mark.parametrize("kind", ["ssl", "tls"])
@pytest.mark.parametrize("has_certificate", [True, False])
@asynchronous
async def test_a_program_sees_the_certificate_of_a_client_that_has_one(
    net: Network, tmp_path: Path, kind: str, has_certificate: bool
) -> None:
    (tmp_path / "own").mkdir()
    own, ca = tmp_path / "own" / "own.pem", tmp_path / "ca.pem"
    own.write_bytes(authority().pem_for("localhost"))
    ca.write_bytes(CLIENTS.pem)
    where = f"ssl:0:privateKey={own}" if kind == "ssl" else f"tls:{own.parent}:port=0"
    factory: Any = HixieServerFactory(serve(greet))
    endpoint = serverEndpoint(reactor, f"{where}:interface=127.0.0.1:client-ca={ca}")
    place = Place("tls", await endpoint.listen(factory), "", factory)
    net.places.append(place)
    certificate = CLIENTS.issue("ada") if has_certificate else None
    channel = await within(
        connect(place.url("/"), trustRoot=authority().trust, certificate=certificate).asDeferred()
    )
    assert await within(channel.receive()) == f"hello {'CN=ada' if has_certificate else None}"
    await within(channel.close())


@pytest.mark.parametrize(
    ("description", "why"),
    [
        ("ssl:0:privateKey={own}:client-CA={own}", "client-CA"),
        ("tls:{directory}:0:50:::x:y", "positional"),
        ("tls:port=0", "missing 1 required positional argument: 'path'"),
    ],
)
def test_a_wrong_part_of_a_description_is_an_error(
    tmp_path: Path, description: str, why: str
) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(authority().pem_for("localhost"))
    with pytest.raises((TypeError, ValueError), match=why):
        serverEndpoint(reactor, description.format(own=own, directory=tmp_path))
