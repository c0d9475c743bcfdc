"""Conditions of all routes and of each route: origins, hosts and dialects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.applications import Applications, Recorder
from support.handshake_bytes import body_of, status_of, whole_request
from support.network import Network
from support.waiting import asynchronous, reactor
from txhixie.daemon.conditions import ACCESS, CONDITIONS, policy_of, read_conditions
from txhixie.daemon.daemon import Daemon
from txhixie.daemon.errors import CannotStart
from txhixie.daemon.setting import ValueKind
from txhixie.daemon.tap import Options


def daemon(*words: str) -> Daemon:
    """A daemon that does not listen."""
    options = Options()
    options.parseOptions([*words])
    return Daemon(reactor, options.said)


async def answer(net: Network, made: Daemon, request: bytes) -> bytes:
    """The response of a daemon to one request, over TCP."""
    raw = await net.raw(await net.listen(made.factory))
    raw.send(request)
    await raw.reads(b"\r\n\r\n")
    return bytes(raw.data)


async def asked(net: Network, made: Daemon, dialect: str = "rfc6455", **which: Any) -> int:
    """The status of the response to one handshake."""
    return status_of(await answer(net, made, whole_request(dialect, **which)))


ADA = "Basic YWRhOnNlY3JldA=="
"""The user "ada" with the password "secret"."""

BOTH = ("--serve", "/open=echo", "--origins", "https://all.example", "--hosts", "all.example")


@asynchronous
async def test_a_route_without_conditions_has_those_of_all_routes(net: Network) -> None:
    made = daemon(*BOTH)
    right = {"target": "/open", "host": "all.example", "origin": "https://all.example"}
    assert await asked(net, made, **right) == 101
    assert await asked(net, made, **{**right, "origin": "https://a.example"}) == 403
    assert await asked(net, made, **{**right, "host": "a.example"}) == 403


@pytest.mark.parametrize("spelling", ["word", "table"])
@asynchronous
async def test_a_condition_of_a_route_replaces_that_of_all_routes(
    net: Network, tmp_path: Path, spelling: str
) -> None:
    route = "/a=echo origins=https://a.example,https://*.b.example hosts=a.example"
    words = ["--serve", route]
    if spelling == "table":
        file = tmp_path / "hixie.toml"
        file.write_text(
            '[[serve]]\npath = "/a"\nservice = "echo"\nhosts = "a.example"\n'
            'origins = ["https://a.example", "https://*.b.example"]\n'
            '[[serve]]\npath = "/open"\nservice = "echo"\n'
        )
        words = ["--config", str(file)]
        made = daemon(*BOTH[2:], *words)
    else:
        made = daemon(*BOTH, *words)
    right = {"target": "/a", "host": "a.example", "origin": "https://a.example"}
    assert await asked(net, made, **right) == 101
    assert await asked(net, made, **{**right, "origin": "https://x.b.example"}) == 101
    assert await asked(net, made, **{**right, "origin": "https://all.example"}) == 403
    assert await asked(net, made, **{**right, "host": "all.example"}) == 403
    others = {"target": "/open", "host": "all.example", "origin": "https://all.example"}
    assert await asked(net, made, **others) == 101


@asynchronous
async def test_a_refusal_says_which_condition_refused(net: Network) -> None:
    made = daemon("--serve", "/a=echo origins=https://a.example")
    found = await answer(
        net, made, whole_request("rfc6455", target="/a", origin="https://b.example")
    )
    assert body_of(found) == b"Origin not allowed\n"


@asynchronous
async def test_a_device_that_writes_no_browsers_origin_is_noticed_once_more(
    net: Network, log: Any
) -> None:
    made = daemon("--serve", "/a=echo origins=https://a.example")
    assert await asked(net, made, target="/a", origin="device") == 101
    assert [line for line in log.lines() if "sent an Origin that no browser writes" in line]


@asynchronous
async def test_a_route_lifts_the_condition_of_all_routes(net: Network) -> None:
    made = daemon(*BOTH, "--serve", "/a=echo origins=* hosts=*")
    assert await asked(net, made, target="/a", host="x.example", origin="https://y.example") == 101


@pytest.mark.parametrize(
    ("dialect", "target", "supported"),
    [
        ("hixie-76", "/new", b"hixie-76 is not enabled; supported dialects: rfc6455\n"),
        ("hybi-08", "/new", b"unsupported Sec-WebSocket-Version; supported dialects: rfc6455\n"),
        ("hixie-75", "/new", b"hixie-75 is not enabled; supported dialects: rfc6455\n"),
        (
            "hixie-75",
            "/old",
            b"hixie-75 is not enabled; supported dialects: hybi-07, hixie-76\n",
        ),
        (
            "rfc6455",
            "/old",
            b"unsupported Sec-WebSocket-Version; supported dialects: hybi-07, hixie-76\n",
        ),
        ("hybi-08", "/none", b"unsupported Sec-WebSocket-Version; supported dialects: hixie-54\n"),
    ],
)
@asynchronous
async def test_a_route_lists_only_its_own_dialects(
    net: Network, dialect: str, target: str, supported: bytes
) -> None:
    made = daemon(
        *("--dialects", "hixie-54"),
        *(
            "--serve",
            "/new=echo dialects=rfc6455",
            "--serve",
            "/old=echo dialects=hybi-07,hixie-76",
        ),
    )
    found = await answer(net, made, whole_request(dialect, target=target))
    assert (status_of(found), body_of(found)) == (426, supported)
    if target == "/old":
        assert b"Sec-WebSocket-Version: 7\r\n" in found


@asynchronous
async def test_a_version_that_no_dialect_has_gets_the_dialects_of_the_route(net: Network) -> None:
    made = daemon("--serve", "/a=echo dialects=hybi-08", "--serve", "/b=echo")
    request = whole_request("rfc6455", target="/a").replace(b"Version: 13", b"Version: 99")
    assert body_of(await answer(net, made, request)).endswith(b"supported dialects: hybi-08\n")
    request = request.replace(b"/a", b"/b")
    assert b"hixie-54" in body_of(await answer(net, made, request))


@pytest.mark.parametrize("dialect", ["hixie-76", "hybi-07"])
@asynchronous
async def test_a_route_takes_its_own_dialects(net: Network, dialect: str) -> None:
    made = daemon("--dialects", "rfc6455", "--serve", "/a=echo dialects=hybi-07,hixie-76")
    assert await asked(net, made, dialect, target="/a") == 101


@pytest.mark.parametrize(
    ("host", "target", "status"),
    [
        ("a.example", "/a/", 404),
        ("a.example:8080", "/a/", 404),
        ("b.example", "/a/", 403),
        ("b.example", "/b/", 404),
        ("c.example", "/b/", 403),
        ("c.example", "/nothing", 403),
        ("b.example", "/nothing", 404),
    ],
)
@asynchronous
async def test_a_page_of_a_foreign_host_is_refused(
    net: Network, tmp_path: Path, host: str, target: str, status: int
) -> None:
    """With DNS rebinding, a page of another site could read it in the network of its visitor."""
    pages = (f"/a=static:{tmp_path} hosts=a.example", f"/b=static:{tmp_path}")
    made = daemon("--hosts", "b.example", *(word for page in pages for word in ("--serve", page)))
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert status_of(await answer(net, made, request)) == status


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("origins=example.com", "origins example.com: expected an Origin with its scheme"),
        ("origins=", "origins : expected "),
        ("hosts=http://a", "hosts http://a: expected a name such as example.com"),
        (
            "dialects=rfc6454",
            (
                "dialects rfc6454: expected names of dialects, not 'rfc6454': hixie-54, hixie-75, "
                "hixie-76, hybi-07, hybi-08, rfc6455; did you mean rfc6455?"
            ),
        ),
        (
            "quirks=key,mask",
            (
                "quirks key,mask: expected words of quirks, not 'mask': upgrade, key, host, "
                "target, lists, stray, masks, goodbyes, text, kinds; did you mean masks?"
            ),
        ),
        ("orgins=*", "orgins: expected an option of echo; did you mean origins?"),
    ],
)
def test_a_bad_condition_of_a_route_is_an_error(word: str, expected: str) -> None:
    where = f"hixie: --serve /=echo {word}: "
    with pytest.raises(CannotStart, match="^" + re.escape(where + expected)):
        daemon("--serve", f"/=echo {word}")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "origins: expected at least one value"),
        (["https://a.example", "b.example"], "origins b.example: expected an Origin with its"),
        ([1], "origins 1: expected scheme://host"),
        (1, "origins 1: expected scheme://host"),
    ],
)
def test_a_bad_array_of_a_table_is_an_error(value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        read_conditions({"origins": value}, ValueKind.read_toml)


def test_values_of_an_array_and_of_commas_are_one_list() -> None:
    values = read_conditions({"hosts": ["a,b", "c"]}, ValueKind.read_toml)
    assert values == {"hosts": ["a", "b", "c"]}
    assert policy_of(values).hosts == frozenset("abc")


def test_every_condition_that_may_be_repeated_is_read_as_a_list() -> None:
    assert all(setting.repeated for setting in ACCESS)
    assert len({setting.name for setting in CONDITIONS}) == len(CONDITIONS)


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ("", ADA),
        ("users={users}", None),
        ("users={users} pass-headers=authorization", ADA),
        ("users={users} pass-headers=x-other,Authorization", ADA),
        ("users={users} pass-headers=x-other", None),
        ("pass-headers=x-other", None),
    ],
)
@asynchronous
async def test_a_backend_gets_a_password_that_was_checked_only_if_it_is_named(
    net: Network, tmp_path: Path, options: str, passed: str | None
) -> None:
    (tmp_path / "users").write_text("ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
    backend = Applications(Recorder)
    place = await net.serve(backend, origins=["*"])
    route = f"/a=ws://127.0.0.1:{place.port} {options.format(users=tmp_path / 'users')}"
    made = daemon("--serve", route.strip())
    lines = (f"Authorization: {ADA}", "X-SSL-Client-S-DN: CN=root", "X-Forwarded-For: 192.0.2.9")
    request = whole_request("hixie-76", *lines, target="/a?x=1")
    assert status_of(await answer(net, made, request)) == 101
    (offer,) = backend.asked
    assert offer.header("authorization") == passed
    assert offer.header("x-ssl-client-s-dn") is None
    assert offer.header("x-forwarded-for") == "127.0.0.1"
    assert offer.target == "/a?x=1"
