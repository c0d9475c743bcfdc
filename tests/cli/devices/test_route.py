"""The route that the doctor prints is one that the daemon reads."""

from __future__ import annotations

import pytest

from txhixie.cli.devices.route import route_for
from txhixie.daemon.route_option import read_description
from txhixie.sansio.handshake.offer import Offer


def offer(target: str, *subprotocols: str) -> Offer:
    return Offer("rfc6455", target, "a.example:8080", subprotocols=subprotocols)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", "/"),
        ("/CP01", "/CP01"),
        ("/ocpp/CP01", "/ocpp"),
        ("//ocpp/CP01?x=1", "/ocpp"),
        ("//a.example:8080/ocpp/CP01", "/ocpp"),
        ("/a/b/c/", "/a/b"),
        ("/a'b", "/"),
        ("/a=b/c", "/"),
        ("/../x/y", "/"),
    ],
)
def test_the_path_of_the_route_is_that_of_the_device_without_its_name(
    target: str, path: str
) -> None:
    description = read_description(route_for(offer(target), ["quirks=key"]))
    assert (description.route.path, description.service) == (path, "ws://127.0.0.1:9000")
    assert description.read_conditions()["quirks"] == ["key"]


def test_conditions_of_one_name_are_joined() -> None:
    conditions = ["quirks=upgrade", "origins=file://", "quirks=masks", "quirks=masks"]
    route = route_for(offer("/a"), conditions)
    assert route == "/a=ws://127.0.0.1:9000 quirks=upgrade,masks origins=file://"


@pytest.mark.parametrize(
    ("subprotocols", "backend"),
    [
        (("mqttv3.1",), "tcp:127.0.0.1:1883 subprotocols=mqttv3.1"),
        (("binary",), "tcp:127.0.0.1:5900"),
        (("base64",), "tcp:127.0.0.1:5900"),
        (("ocpp1.6",), "ws://127.0.0.1:9000"),
    ],
)
def test_the_backend_is_of_the_kind_of_the_subprotocol(
    subprotocols: tuple[str, ...], backend: str
) -> None:
    assert route_for(offer("/a", *subprotocols), []) == f"/a={backend}"


def test_messages_of_either_kind_need_a_byte_stream() -> None:
    assert route_for(offer("/a"), ["quirks=kinds"]) == "/a=tcp:127.0.0.1:5900 quirks=kinds"
