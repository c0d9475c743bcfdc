"""The operator's description of one route, on a command line and in a file."""

from __future__ import annotations

import re

import pytest

from txhixie.daemon.route_option import Description, read_description
from txhixie.daemon.routes import Route
from txhixie.daemon.setting import ANY_TEXT, FLAG, Setting, ValueKind

SETTINGS = (Setting("coding", ANY_TEXT, "How."), Setting("pings", FLAG, "Whether."))


@pytest.mark.parametrize(
    ("word", "route", "service", "given"),
    [
        ("/=echo", Route(None, "/"), "echo", {}),
        ("example.com/a=echo", Route("example.com", "/a"), "echo", {}),
        ("*.Example.com/=echo", Route("*.example.com", "/"), "echo", {}),
        (
            "/vnc=tcp:10.0.0.5:5900 coding=base64 required-subprotocol=base64",
            Route(None, "/vnc", "base64"),
            "tcp:10.0.0.5:5900",
            {"coding": "base64"},
        ),
        ("/=tcp:a:1:bindAddress=b", Route(None, "/"), "tcp:a:1:bindAddress=b", {}),
        ("/=static:/srv/my pages", Route(None, "/"), "static:/srv/my pages", {}),
        (
            "/=static:/srv/my pages  coding=a b pings=true",
            Route(None, "/"),
            "static:/srv/my pages",
            {"coding": "a b", "pings": "true"},
        ),
        ("/=ws://backend:9000/?a=b", Route(None, "/"), "ws://backend:9000/?a=b", {}),
    ],
)
def test_a_description_on_the_command_line_is_parsed(
    word: str, route: Route, service: str, given: dict[str, str]
) -> None:
    assert read_description(word) == Description(route, service, given, ValueKind.read_text)


def test_a_table_of_a_file_describes_the_same_route_as_the_command_line() -> None:
    table = {"host": "example.com", "path": "/a", "required-subprotocol": "x", "service": "tcp:a:1"}
    made = read_description({**table, "coding": "base64", "pings": True})
    assert made.route == Route("example.com", "/a", "x")
    assert made.options(SETTINGS) == {"coding": "base64", "pings": True}
    word = read_description("example.com/a=tcp:a:1 required-subprotocol=x coding=base64 pings=true")
    assert word.options(SETTINGS) == made.options(SETTINGS)
    assert (
        str(word)
        == str(made)
        == ("example.com/a=tcp:a:1 required-subprotocol=x coding=base64 pings=true")
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", "expected [HOST]/PATH=SERVICE"),
        ("/a", "expected [HOST]/PATH=SERVICE"),
        ("a=echo", "expected [HOST]/PATH=SERVICE"),
        ("/a=", "expected [HOST]/PATH=SERVICE"),
        (7, "expected [HOST]/PATH=SERVICE"),
        ("ex!/=echo", "ex!: expected a host name"),
        ("/../a=echo", "/../a: expected a path"),
        ("/=echo required-subprotocol=a;b", "required-subprotocol a;b: expected the name"),
        ("/=echo path=/x", "path: expected at most once in a route"),
        ("/=echo x=1 x=2", "x: expected at most once in a route"),
        ({"path": "/"}, "expected the key service"),
        ({"service": "echo"}, "expected the key path"),
        ({"path": "/", "servis": "echo"}, "expected the key service in place of servis"),
        ({"path": 1, "service": "echo"}, "path 1: expected text"),
        ({"path": "/", "service": []}, "service: expected a text, or an array of backends"),
        ({"path": "/", "service": ["ws://a", 7]}, "service: expected a text, or an array"),
        ({"path": "/", "service": ["ws://a", " "]}, "service: expected a text, or an array"),
        ({"path": "/", "service": ["ws://a pings=relay"]}, "ws://a pings=relay: expected the serv"),
    ],
)
def test_an_error_in_a_description_says_what_was_expected(said: object, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        read_description(said)


def test_an_option_that_the_service_does_not_have_is_an_error() -> None:
    made = read_description("/=tcp:a:1 codign=x")
    with pytest.raises(ValueError, match=r"codign: expected an option of tcp:a:1; did .* coding\?"):
        made.options(SETTINGS)


@pytest.mark.parametrize(
    ("service", "backends"),
    [
        ("ws://a:1", ["ws://a:1"]),
        ("ws://a:1  ws://b:2/x?y=z", ["ws://a:1", "ws://b:2/x?y=z"]),
        ("tcp:a:1 tls:b:2:trustRoots=/c d", ["tcp:a:1", "tls:b:2:trustRoots=/c d"]),
        ("unix:/run/a b/c unix:/run/d", ["unix:/run/a b/c", "unix:/run/d"]),
        ("static:/srv/my pages", ["static:/srv/my pages"]),
        ("echo", ["echo"]),
    ],
)
def test_a_service_of_several_backends_is_split_before_each_scheme(
    service: str, backends: list[str]
) -> None:
    assert read_description(f"/={service}").services == backends
    assert read_description({"path": "/", "service": service}).services == backends
    assert read_description({"path": "/", "service": backends}).services == backends


def test_several_backends_are_shown_with_blanks_between_them_and_without_passwords() -> None:
    made = read_description({"path": "/", "service": ["ws://u:p@a:1", "wss://v:q@b"], "pings": "x"})
    assert str(made) == "/=ws://***@a:1 wss://***@b pings=x"


def test_many_blanks_in_a_service_are_read_in_linear_time() -> None:
    """To try each blank of a run would take minutes for this text."""
    text = f"ws://a{' ' * 200_000}b"
    assert read_description(f"/={text}").services == [text]
