"""Messages that programs publish by POST to a real daemon, and users who may publish."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon, run_hixie, running
from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from support.page_requests import ask, opened
from txhixie.sansio.wire.frame import Opcode

TOKEN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A file with one token."""
    file = tmp_path / "publishers"
    file.write_text(f"{TOKEN} the dashboard\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def daemon(tmp_path: Path, tokens: Path) -> Iterator[Daemon]:
    """A daemon with a hub of one topic, and one with a topic for each path."""
    one = f"/room=hub history=2 publish-tokens={tokens}"
    many = f"/news=hub:topic={{path}} publish=nobody publish-tokens={tokens}"
    with running(
        tmp_path,
        "--serve",
        one,
        "--serve",
        many,
        "--max-message-size",
        "100000",
        "--health",
        "/health",
    ) as found:
        yield found


def post(daemon: Daemon, path: str, body: bytes, *fields: str, token: str = TOKEN) -> Any:
    """Publish a message. Return the status, and the reason of a refusal."""
    sent = [f"Content-Length: {len(body)}", *fields]
    if token:
        sent.append(f"Authorization: Bearer {token}")
    page = ask(daemon, path, *sent, method="POST", body=body)
    if page.status != 200:
        return page.status, page.body.decode().strip()
    assert page.fields["content-type"] == "application/json"
    assert list(json.loads(page.body)) == ["position"]
    return 200


def test_a_message_reaches_all_members_and_those_that_join_later(daemon: Daemon) -> None:
    with opened(daemon, target="/room") as first:
        assert post(daemon, "/room", "grüße".encode()) == 200
        assert first.recv(100) == b"\x81\x07gr\xc3\xbc\xc3\x9fe"
        assert post(daemon, "/room/", b"a=1&b=2") == 200
        assert first.recv(100) == b"\x81\x07a=1&b=2"
    frames = b"\x81\x07gr\xc3\xbc\xc3\x9fe\x81\x07a=1&b=2"
    with daemon.connect() as second:
        second.sendall(whole_request("rfc6455", target="/room"))
        received = b""
        while not received.endswith(frames):
            piece = second.recv(1000)
            assert piece, received
            received += piece


def test_a_body_of_bytes_is_a_binary_message(daemon: Daemon) -> None:
    with opened(daemon, target="/room") as member:
        kind = "Content-Type: application/octet-stream"
        assert post(daemon, "/room", b"\x00\xff", kind) == 200
        assert member.recv(100) == b"\x82\x02\x00\xff"
        status, reason = post(daemon, "/room", b"\x00\xff")
        assert (status, reason) == (
            400,
            "expected text in UTF-8; send binary data with Content-Type: application/octet-stream",
        )


def test_each_path_is_a_topic(daemon: Daemon) -> None:
    with (
        opened(daemon, target="/news/sport") as sport,
        opened(daemon, target="/news/weather") as weather,
    ):
        assert post(daemon, "/news/weather", b"rain") == 200
        assert weather.recv(100) == b"\x81\x04rain"
        assert post(daemon, "/news/sport", b"goal") == 200
        assert sport.recv(100) == b"\x81\x04goal"


@pytest.mark.parametrize(
    ("token", "reason"), [("", "a token is required"), (OTHER, "invalid token")]
)
def test_without_a_right_token_no_byte_of_a_body_is_read(
    daemon: Daemon, token: str, reason: str
) -> None:
    """The refusal comes while the client still has to send nearly all of the body."""
    field = f"Authorization: Bearer {token}\r\n" if token else ""
    with daemon.connect() as client:
        head = f"POST /room HTTP/1.1\r\nHost: a.example\r\n{field}Content-Length: 90000\r\n\r\n"
        client.sendall(head.encode() + b"x")
        received = client.recv(4096)
    assert received.startswith(b"HTTP/1.1 401 ")
    assert received.endswith(f"{reason}\n".encode())
    assert token not in daemon.log or not token


def test_a_body_over_the_largest_message_is_refused_at_its_head(daemon: Daemon) -> None:
    status, reason = post(daemon, "/room", b"x" * 100_001)
    assert (status, reason) == (413, "request body exceeds the limit of 100000 bytes")
    with daemon.connect() as client:
        client.sendall(
            b"POST /room HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n"
            b"Authorization: Bearer %b\r\n\r\n"
            % TOKEN.encode()
            + 2 * (b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_no_other_page_reads_a_body(daemon: Daemon) -> None:
    assert post(daemon, "/health", b"hello") == (413, "unexpected request body")
    for path in ("/", "/elsewhere", "/rooms"):
        assert post(daemon, path, b"hello") == (404, "only WebSocket is served here")


def test_other_methods_are_refused(daemon: Daemon) -> None:
    page = ask(daemon, "/room")
    assert (page.status, page.fields["allow"]) == (405, "POST")


def test_without_tokens_nobody_publishes(tmp_path: Path) -> None:
    with running(tmp_path, "--serve", "/room=hub") as daemon:
        status, _ = post(daemon, "/room", b"hello")
        assert status == 404


def test_members_of_before_and_after_a_reload_hear_each_other(daemon: Daemon) -> None:
    with opened(daemon, target="/room") as before:
        daemon.reload()
        with opened(daemon, target="/room") as after:
            assert post(daemon, "/room", b"hello") == 200
            assert before.recv(100) == after.recv(100) == b"\x81\x05hello"


def test_a_token_that_is_added_is_accepted(daemon: Daemon, tokens: Path) -> None:
    with tokens.open("a") as file:
        file.write(f"{OTHER}\n")
    daemon.reload()
    assert post(daemon, "/room", b"hello", token=OTHER) == 200


def test_a_mistake_in_the_token_file_is_found_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "publishers"
    file.write_text("short\n")
    found = run_hixie("--serve", f"/room=hub publish-tokens={file}")
    assert found.returncode == 1
    assert f"publish-tokens {file}, line 1: expected a token of 16" in found.stderr


SECRET = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="
"""The hash of the password "secret"."""


def as_user(name: str) -> str:
    """The field of a user with the password "secret"."""
    return f"Authorization: Basic {b64encode(f'{name}:secret'.encode()).decode()}"


@pytest.mark.parametrize("publish", ["ada", "users"])
def test_users_publish_and_other_clients_of_the_route_listen(
    tmp_path: Path, tokens: Path, publish: str
) -> None:
    """The route lets in users with a password, and displays with a token."""
    users = tmp_path / "users"
    users.write_text(f"ada:{SECRET}\nbob:{SECRET}\n")
    route = f"/room=hub users={users} tokens={tokens} publish={publish}"
    with (
        running(tmp_path, "--serve", route) as daemon,
        opened(daemon, f"Authorization: Bearer {TOKEN}", target="/room") as display,
        opened(daemon, as_user("ada"), target="/room") as ada,
        opened(daemon, as_user("bob"), target="/room") as bob,
    ):
        ada.sendall(modern_frame(Opcode.TEXT, b"from ada", key=MASK))
        assert display.recv(100) == bob.recv(100) == b"\x81\x08from ada"
        bob.sendall(modern_frame(Opcode.TEXT, b"from bob", key=MASK))
        if publish == "users":
            assert display.recv(100) == ada.recv(100) == b"\x81\x08from bob"
        else:
            assert bob.recv(100)[2:] == b"\x03\xf0publishing is not allowed"
        display.sendall(modern_frame(Opcode.TEXT, b"from the display", key=MASK))
        assert display.recv(100)[2:] == b"\x03\xf0publishing is not allowed"


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (
            "publish=ada",
            (
                "publish: expected networks, or a condition of the route that names users: "
                "users=FILE, jwt-key=FILE or client-certificate=required"
            ),
        ),
        ("publish=10.0.0.0/33", "publish 10.0.0.0/33: expected an address or a network: "),
        ("publish=nobody,ada", "publish nobody,ada: expected everybody or nobody alone"),
    ],
)
def test_a_wrong_value_of_publish_is_an_error_at_the_start(route: str, why: str) -> None:
    found = run_hixie("--serve", f"/room=hub {route}")
    assert found.returncode == 1
    assert f"hixie: --serve /room=hub {route}: {why}" in found.stderr.replace("\n", " ")


def test_a_token_that_names_no_user_is_no_condition_for_users(tokens: Path) -> None:
    found = run_hixie("--serve", f"/room=hub tokens={tokens} publish=users")
    assert found.returncode == 1
    assert "publish: expected networks, or a condition of the route that names" in found.stderr
