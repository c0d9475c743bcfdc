"""The service hub of the daemon: its descriptions and options."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from support.applications import Recorder, closed
from txhixie.daemon.route_option import read_description
from txhixie.daemon.routes import Route
from txhixie.daemon.services import service_for
from txhixie.daemon.services.hub import HUB_OPTIONS, build_hub, topic_of
from txhixie.daemon.services.service import Context, settingsOf
from txhixie.daemon.setting import ValueKind, read_all
from txhixie.testing import Pair


def read(**given: str) -> dict[str, Any]:
    """The options as the daemon reads them."""
    named = {name.replace("_", "-"): value for name, value in given.items()}
    return read_all(named, HUB_OPTIONS, "option of hub", ValueKind.read_text)


@pytest.mark.parametrize(
    ("description", "host", "topic"),
    [
        ("hub", None, "a/room"),
        ("hub", "example.com", "example.com/a/room"),
        ("hub:topic=news", None, "news"),
        ("hub:topic={path}", None, "{path}"),
        ("hub:topic=site/{path}", None, "site/{path}"),
    ],
)
def test_a_description_names_a_topic(description: str, host: str | None, topic: str) -> None:
    assert service_for(description).name == "hub"
    assert topic_of(description, Route(host, "/a/room")) == topic


def test_a_topic_that_is_written_as_an_option_is_told_where_it_belongs() -> None:
    row = service_for("hub")
    described = read_description("/=hub topic=x")
    with pytest.raises(ValueError, match=r"^topic: expected no option, .* hub:topic=NAME$"):
        described.options(settingsOf([row]), row.misplaced)


def test_the_topic_of_the_root_has_a_name() -> None:
    assert topic_of("hub", Route(None, "/")) == "/"


@pytest.mark.parametrize(
    "description",
    [
        "hub:",
        "hub:news",
        "hub:topic=",
        "hub:topic={name}",
        "hub:topic=a b",
        "hub:topic=" + "x" * 201,
    ],
)
def test_a_wrong_description_is_refused(description: str) -> None:
    with pytest.raises(ValueError, match="expected "):
        topic_of(description, Route(None, "/"))


@pytest.mark.parametrize(
    ("publish", "may"),
    [
        ("198.51.100.0/24", False),
        ("nobody", False),
        ("alice,users", False),
        ("192.0.2.0/24", True),
        ("alice, 192.0.2.0/24", True),
        ("everybody", True),
    ],
)
def test_clients_of_named_networks_publish(publish: str, may: bool) -> None:
    """The address of a client in memory is of 192.0.2.0/24."""
    context = Context(Route(None, "/room"))
    service: Any = build_hub(Clock(), "hub", read(publish=publish), context)
    client = Recorder()
    pair = Pair.new(service, client)
    client.transport.sendTextMessage("hello")
    pair.pump()
    assert client.transport.isOpen is may
    if not may:
        assert closed(client).code == 1008


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("alice, 10.0.0.0/8", ["alice", "10.0.0.0/8"]),
        (["alice", "bob,10.0.0.0/8"], ["alice", "bob", "10.0.0.0/8"]),
    ],
)
def test_values_of_an_array_and_of_commas_are_one_list(given: Any, words: list[str]) -> None:
    read = read_all({"publish": given}, HUB_OPTIONS, "option of hub", ValueKind.read_toml)
    assert read == {"publish": words}


def test_words_that_exclude_each_other_are_refused_in_different_values_too() -> None:
    given = {"publish": ["nobody", "10.0.0.0/8"]}
    options = read_all(given, HUB_OPTIONS, "option of hub", ValueKind.read_toml)
    with pytest.raises(ValueError, match=r"^publish: expected everybody or nobody alone"):
        build_hub(Clock(), "hub", options, Context(Route(None, "/room")))
