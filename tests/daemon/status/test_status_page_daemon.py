"""The status of a real daemon: what is in it, and the clients that may read it."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.daemon import PATIENCE, Daemon, configured, run_hixie, running
from support.frames import MASK, modern_frame
from support.page_requests import Page, ask, opened, refused
from support.third_party import curl
from txhixie.sansio.wire.frame import Opcode

STATUS = ("--serve", "/=echo", "--serve", "/chat=echo", "--status", "/status")
JSON = "/status?format=json"
ADA = "Authorization: Basic YWRhOmxvdmVsYWNl"
USERS = "ada:{SHA}MJgvYgf2tRctgBqviyzN0HpBdyY=\n"


def status(daemon: Daemon, target: str = JSON, *fields: str, **which: Any) -> dict[str, Any]:
    page = ask(daemon, target, *fields, **which)
    assert page.status == 200, page.body
    found: dict[str, Any] = json.loads(page.body)
    return found


def awaited(daemon: Daemon, *keys: str | int, value: object) -> dict[str, Any]:
    """The status, once it has this value at a place."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = at = status(daemon, f"{JSON}&address=127.0.0.1")
        for key in keys:
            at = at[key]  # type: ignore[index]  # a part of the JSON is an object or an array
        if at == value:
            return found
        assert time.monotonic() < deadline, f"{keys}: expected {value}: {at}"


def text_frame(text: bytes) -> bytes:
    return modern_frame(Opcode.TEXT, text, key=MASK)


def close_frame(code: int, reason: bytes) -> bytes:
    return modern_frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason, key=MASK)


def test_open_connections_are_counted_by_dialect_route_and_address(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS) as daemon, ExitStack() as stack:
        stack.enter_context(opened(daemon, target="/chat/room?token=sesame"))
        first = stack.enter_context(opened(daemon, "Sec-WebSocket-Protocol: x", target="/"))
        stack.enter_context(opened(daemon, dialect="hybi-08", target="/chat"))
        first.sendall(text_frame(b"hello") * 3)
        assert first.recv(100)
        found = awaited(daemon, "messages", value={"received": 3, "sent": 3})
        assert found["state"] == "ok"
        assert found["connections"] == {"open": 3, "opening": 0, "closing": 0, "http": 1}
        dialects = {row["dialect"]: (row["open"], row["opened"]) for row in found["dialects"]}
        assert dialects["rfc6455"] == (2, 2)
        assert dialects["hybi-08"] == (1, 1)
        assert dialects["hixie-75"] == (0, 0)
        assert {row["route"]: row["open"] for row in found["routes"]} == {"/chat": 2, "/": 1}
        (busiest,) = found["addresses"]["by_messages"]
        assert busiest == {"address": "127.0.0.1", "connections": 3, "received": 3, "sent": 3}
        assert found["addresses"]["by_connections"] == [busiest]
        newest = found["newest"]
        assert [row["connection"] for row in newest] == [3, 2, 1]
        assert [row["path"] for row in newest] == ["/chat", "/", "/chat/room"]
        assert newest[1]["received"] == 3
        assert newest[1]["peer"].startswith("127.0.0.1:")


def test_the_reasons_of_refusals_and_ends_are_listed(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS, "--origins", "https://example.com") as daemon:
        for _ in range(3):
            refused(daemon, origin="http://elsewhere.example", target="/chat?token=sesame")
        assert refused(daemon, origin="http://elsewhere.example", target="/x").status == 403
        with opened(daemon, origin="https://example.com", target="/chat?token=sesame") as peer:
            peer.sendall(close_frame(4001, b"enough"))
            assert peer.recv(100)
        found = awaited(daemon, "ends", value=[{"code": "4xxx", "count": 1}])
        (row,) = found["refusals"]
        assert (row["status"], row["cause"], row["count"]) == (403, "origin", 4)
        (last,) = found["recent_refusals"]  # repeats of one address are one
        assert (last["times"], last["path"], last["status"]) == (4, "/x", 403)
        assert last["origin"] == "http://elsewhere.example"
        assert last["reason"] == "Origin not allowed (origins, --origins)"
        (end,) = found["recent_ends"]
        assert (end["code"], end["reason"], end["by"]) == (4001, "enough", "peer")
        assert (end["path"], end["origin"]) == ("/chat", "https://example.com")
        assert "sesame" not in json.dumps(found)


def test_lists_can_be_of_one_address(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS) as daemon, opened(daemon):
        refused(daemon, origin="http://elsewhere.example")
        own = ("127.0.0.1", "127.0.0.1:4711", "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:1")
        others = ("192.0.2.1", "2001:db8::1", "2001:db8::/64", "unix:/run/x")
        for address, number in (*((name, 1) for name in own), *((name, 0) for name in others)):
            found = status(daemon, f"{JSON}&address={address}")
            assert len(found["newest"]) == len(found["recent_refusals"]) == number
            assert found["connections"]["open"] == 1


@pytest.mark.parametrize("address", ["typo", "localhost", "127.0.0.0/8", "127.0.0.1:", "[::1"])
def test_a_text_that_is_no_address_is_an_error(tmp_path: Path, address: str) -> None:
    with running(tmp_path, *STATUS) as daemon:
        page = ask(daemon, f"{JSON}&address={address}")
        assert page.status == 400
        assert page.body.startswith(b"address: expected an IP address, with or without a port")


def test_a_reload_loses_neither_connections_nor_reasons(tmp_path: Path) -> None:
    text = """
        port = "{port}"
        status = "/status"
        serve = [%s]
    """
    with (
        configured(tmp_path, text % "'/=echo', '/old=echo'") as daemon,
        opened(daemon, target="/old"),
    ):
        refused(daemon, origin="http://elsewhere.example")
        file = tmp_path / "hixie.toml"
        file.write_text(file.read_text().replace("/old", "/new"))
        daemon.reload()
        with opened(daemon, target="/new"):
            found = status(daemon)
            assert {row["route"]: row["open"] for row in found["routes"]} == {
                "/new": 1,
                "/": 0,
                "/old": 1,
            }
            assert len(found["recent_refusals"]) == 1


def test_while_the_daemon_drains_the_status_says_what_is_left(tmp_path: Path) -> None:
    options = ("--health", "/health", "--drain", "60", "--stop-timeout", "60")
    with (
        running(tmp_path, *STATUS, *options) as daemon,
        opened(daemon) as first,
        opened(daemon) as second,
    ):
        daemon.terminate()
        assert first.recv(1)
        first.close()
        second.sendall(text_frame(b"still here"))
        assert second.recv(100)
        found = awaited(daemon, "connections", "open", value=1)
        assert found["state"] == "draining"
        second.close()
        daemon.ended()


# The responses.


def test_no_other_page_can_read_the_status(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS) as daemon:
        for target, kind in (("/status", "text/html"), (JSON, "application/json")):
            page = ask(daemon, target, "Origin: http://elsewhere.example")
            assert page.status == 200
            assert page.fields["content-type"].startswith(kind)
            assert page.fields["cross-origin-resource-policy"] == "same-origin"
            assert page.fields["cross-origin-opener-policy"] == "same-origin"
            assert page.fields["cache-control"] == "no-store"
            assert page.fields["x-content-type-options"] == "nosniff"
            assert page.fields["content-security-policy"].startswith("default-src 'none';")
            assert "frame-ancestors 'none'" in page.fields["content-security-policy"]
            assert "unsafe" not in page.fields["content-security-policy"]
            assert not any(name.startswith("access-control") for name in page.fields)


def test_JSON_is_asked_for_by_the_query_or_by_Accept(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS) as daemon:
        url = f"http://127.0.0.1:{daemon.port}/status"
        command = [str(curl()), "-sS", "-H", "Accept: application/json", url]
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
        assert json.loads(done.stdout)["state"] == "ok"
        browser = "Accept: text/html,application/json;q=0.9"
        assert ask(daemon, "/status", browser).fields["content-type"].startswith("text/html")
        head = ask(daemon, JSON, method="HEAD")
        assert head.status == 200
        assert (head.body, int(head.fields["content-length"]) > 100) == (b"", True)
        assert ask(daemon, JSON, method="POST").status == 405
        assert ask(daemon, "/status/below").status == 404


def test_the_document_has_a_line_of_the_log_and_the_JSON_has_none(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS) as daemon:
        assert status(daemon)
        assert ask(daemon, "/status").status == 200
        daemon.logged("target=/status ")
        assert "format=" not in daemon.log


# The clients that may read it.


def answer(page: Page) -> int:
    """The status of a response, whose refusal says no more than that."""
    assert page.status == 200 or page.body in (
        *(b"not allowed\n", b"user name and password required\n"),
        b"wrong user name or password\n",
    )
    return page.status


@pytest.mark.parametrize(
    ("fields", "host", "why"),
    [
        ((), "evil.example", "Host not allowed"),
        ((), "evil.example:8080", "Host not allowed"),
        ((), "127.0.0.1.evil.example", "Host not allowed"),
        ((), "localhost.evil.example", "Host not allowed"),
        (("X-Forwarded-For: 192.0.2.1",), "localhost", "a reverse proxy that is not trusted"),
        (("X-Forwarded-For: 127.0.0.1",), "localhost", "a reverse proxy that is not trusted"),
        (("Forwarded: for=192.0.2.1",), "localhost", "a reverse proxy that is not trusted"),
        (("X-Real-IP: 192.0.2.1",), "localhost", "a reverse proxy that is not trusted"),
        (("Via: 1.1 front",), "localhost", "a reverse proxy that is not trusted"),
        (("X-Forwarded-Proto:",), "localhost", "a reverse proxy that is not trusted"),
    ],
)
def test_a_client_of_this_machine_may_be_a_page_or_a_reverse_proxy(
    fields: tuple[str, ...], host: str, why: str, tmp_path: Path
) -> None:
    with running(tmp_path, *STATUS) as daemon:
        assert answer(ask(daemon, JSON, *fields, host=host)) == 403
        assert "status=403" in daemon.logged(why)
        for own in ("localhost", f"127.0.0.1:{daemon.port}", "[::1]", "LOCALHOST.", "a.localhost"):
            found = status(daemon, host=own)
        (row,) = found["refusals"]
        assert row["cause"] == "status"


def test_a_page_of_another_origin_may_have_a_link_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "admins").write_text(USERS)
    networks = ("--status-allow", "127.0.0.1", "--status-allow", "users=admins")
    with running(tmp_path, *STATUS, *networks) as daemon:
        for site, dest, expected in (
            ("cross-site", "empty", 403),
            ("cross-site", "iframe", 403),
            ("same-site", "script", 403),
            ("cross-site", "document", 200),
            ("same-origin", "empty", 200),
            ("none", "document", 200),
        ):
            fields = (f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Dest: {dest}", ADA)
            assert (site, dest, answer(ask(daemon, JSON, *fields))) == (site, dest, expected)
        assert daemon.logged("a page of another origin has sent the request (Sec-Fetch-Site)")


def test_a_name_of_the_server_is_allowed_as_Host(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS, "--hosts", "inside.example") as daemon:
        assert answer(ask(daemon, JSON, host=f"inside.example:{daemon.port}")) == 200
        assert answer(ask(daemon, JSON, host="evil.example")) == 403


def test_behind_a_trusted_proxy_the_network_of_the_client_counts(tmp_path: Path) -> None:
    options = ("--status-allow", "10.0.0.0/8", "--trust-forwarded", "127.0.0.1")
    with running(tmp_path, *STATUS, *options) as daemon:
        for field, expected in (
            ("X-Forwarded-For: 10.1.2.3", 200),
            ("Forwarded: for=10.1.2.3", 200),
            ("X-Forwarded-For: 10.1.2.3, 192.0.2.1", 403),
            ("X-Forwarded-For: 192.0.2.1", 403),
            ("X-Forwarded-For: unknown", 403),
            ("Accept: */*", 403),  # loopback is not in the list
        ):
            assert (field, answer(ask(daemon, JSON, field))) == (field, expected)


@pytest.mark.parametrize(
    "field", ["X-Forwarded-For: unknown", "Forwarded: for=127.0.0.1", "Via: x"]
)
def test_a_client_that_a_trusted_proxy_does_not_name_is_not_of_this_machine(
    field: str, tmp_path: Path
) -> None:
    with running(tmp_path, *STATUS, "--trust-forwarded", "127.0.0.1") as daemon:
        assert answer(ask(daemon, JSON, field)) == 403
        assert answer(ask(daemon, JSON)) == 200


def test_networks_without_a_trusted_proxy_are_those_of_the_peer(tmp_path: Path) -> None:
    with running(tmp_path, *STATUS, "--status-allow", "127.0.0.0/8") as daemon:
        assert answer(ask(daemon, JSON)) == 200
        assert answer(ask(daemon, JSON, "X-Forwarded-For: 127.0.0.1")) == 403


def test_users_read_the_status_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "admins").write_text(USERS)
    options = ("--status-allow", "users=admins", "--status-allow", "192.0.2.0/24")
    with running(tmp_path, *STATUS, *options) as daemon:
        asked = ask(daemon, JSON, host="evil.example")
        assert answer(asked) == 401
        assert asked.fields["www-authenticate"].startswith('Basic realm="WebSocket"')
        assert answer(ask(daemon, JSON, "Authorization: Basic YWRhOmJ5cm9u")) == 401
        assert answer(ask(daemon, JSON, ADA, "X-Forwarded-For: 192.0.2.1")) == 200
        assert status(daemon, JSON, ADA)["state"] == "ok"


def test_passwords_and_hosts_of_all_routes_are_not_those_of_the_status(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(USERS)
    with running(tmp_path, *STATUS, "--users", "users", "--hosts", "example.com") as daemon:
        assert answer(ask(daemon, JSON)) == 200


def test_a_reverse_proxy_that_terminates_TLS_and_is_not_trusted_has_a_note() -> None:
    """It may send no field that shows it, and then every client is one of this machine."""
    note = "--secure without --trust-forwarded"
    for more, expected in (
        ((), True),
        (("--status-allow", "10.0.0.0/8"), False),
        (("--trust-forwarded", "127.0.0.1"), False),
    ):
        done = run_hixie("--status", "/status", "--secure", *more, "--check")
        assert done.returncode == 0
        assert (note in done.stderr) == expected


# Mistakes.


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ("--status-allow", "10.0.0.0/8"),
            "hixie: --status-allow 10.0.0.0/8: expected the option status or metrics as well",
        ),
        (
            ("--status", "/s", "--status-allow", "example.com"),
            "hixie: --status-allow example.com: expected an address, a network such as ",
        ),
        (
            ("--status", "/s", "--status-allow", "users=missing"),
            "hixie: --status-allow users=missing: users missing: ",
        ),
        (("--status", "s"), "hixie: --status s: expected a path, beginning with /"),
        (
            ("--status", "/s", "--health", "/s/"),
            "hixie: --status /s: expected one service for /s, not two",
        ),
    ],
)
def test_a_mistake_is_one_line_at_the_start(options: tuple[str, ...], line: str) -> None:
    done = run_hixie(*options)
    assert done.returncode == 1
    assert done.stderr.startswith(line), done.stderr
    assert done.stderr.count("\n") == 1
