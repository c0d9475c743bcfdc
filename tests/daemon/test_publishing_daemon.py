"""Messages that programs publish by POST to a real daemon, and users that may publish."""

from __future__ import annotations

import json
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from support import third_party
from support.certificates import authority
from support.command_line import environment
from support.daemon import PATIENCE, Daemon, free_port, run_hixie, running, started
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
    refused = (405, "method not allowed; this page accepts GET and HEAD")
    for size in (1, 100_001):
        assert post(daemon, "/health", b"x" * size) == refused
    for path in ("/", "/elsewhere", "/rooms"):
        assert post(daemon, path, b"hello") == (404, "only WebSocket is served here")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
def test_other_methods_are_refused(daemon: Daemon, method: str) -> None:
    page = ask(daemon, "/room", method=method)
    assert (page.status, page.fields["allow"]) == (405, "POST")
    assert page.fields["content-length"] == "29"
    assert page.body == (b"" if method == "HEAD" else b"expected POST or a WebSocket\n")


@pytest.mark.parametrize("length", ["5", "100001", "9" * 17])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_refused_before_its_body(
    daemon: Daemon, method: str, length: str
) -> None:
    page = ask(daemon, "/room", f"Content-Length: {length}", method=method)
    assert (page.status, page.fields["allow"]) == (405, "POST")
    page = ask(daemon, "/room", "Transfer-Encoding: chunked", method=method)
    assert (page.status, page.fields["allow"]) == (405, "POST")


@pytest.mark.parametrize("length", ["1000000000", "9" * 18, "9" * 19, "9" * 5000, "-1", "1, 1"])
def test_a_body_of_any_length_is_refused_at_its_head(daemon: Daemon, length: str) -> None:
    fields = (f"Content-Length: {length}", f"Authorization: Bearer {TOKEN}")
    page = ask(daemon, "/room", *fields, method="POST")
    assert page.status == (413 if length.isdecimal() else 400)


def curl(daemon: Daemon, *words: str, path: str = "/room") -> tuple[int, str, int]:
    """The status, all heads with the body, and the number of bytes of the body that curl sent."""
    fixed = ("-sS", "--noproxy", "*", "--http1.1", "-m", str(PATIENCE), "-i")
    shown = ("-w", "\\n%{http_code} %{size_upload}")
    command = [
        str(third_party.curl()),
        *fixed,
        *shown,
        *words,
        f"http://127.0.0.1:{daemon.port}{path}",
    ]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * PATIENCE, check=True, env=environment()
    )
    text, _, last = ran.stdout.rpartition("\n")
    status, sent = last.split()
    return int(status), text, int(sent)


WITH_TOKEN = ("-H", f"Authorization: Bearer {TOKEN}")
CONTINUE = "HTTP/1.1 100 Continue"


@pytest.fixture
def large(tmp_path: Path, tokens: Path) -> Iterator[Daemon]:
    """A daemon with messages of 3 MB: for more than 1 MiB, curl waits for 100 Continue."""
    route = f"/room=hub publish-tokens={tokens}"
    with running(tmp_path, "--serve", route, "--max-message-size", "3000000") as found:
        yield found


def body(directory: Path, size: int) -> str:
    """The value of an option of curl that sends a body of this size."""
    file = directory / "body"
    file.write_bytes(b"x" * size)
    return f"@{file}"


def test_curl_gets_100_continue_for_a_large_body_and_publishes_it(
    large: Daemon, tmp_path: Path
) -> None:
    words = (*WITH_TOKEN, "--data-binary", body(tmp_path, 2_000_000))
    status, text, sent = curl(large, *words)
    assert (status, sent) == (200, 2_000_000)
    assert text.startswith(CONTINUE)


@pytest.mark.parametrize(
    ("words", "size", "status", "reason"),
    [
        (WITH_TOKEN, 3_000_001, 413, "request body exceeds the limit of 3000000 bytes"),
        ((), 2_000_000, 401, "a token is required"),
        ((), 3_000_001, 401, "a token is required"),
        (("-H", f"Authorization: Bearer {OTHER}"), 3_000_001, 401, "invalid token"),
        (("-H", "Transfer-Encoding: chunked"), 3_000_001, 401, "a token is required"),
        (("-X", "PUT"), 3_000_001, 405, "expected POST or a WebSocket"),
        (("-X", "PUT", *WITH_TOKEN), 2_000_000, 405, "expected POST or a WebSocket"),
    ],
)
def test_curl_sends_no_byte_of_a_large_body_that_is_refused(
    large: Daemon, tmp_path: Path, words: tuple[str, ...], size: int, status: int, reason: str
) -> None:
    found, text, sent = curl(large, *words, "--data-binary", body(tmp_path, size))
    assert (found, sent) == (status, 0)
    assert CONTINUE not in text
    assert text.endswith(f"{reason}\n")


def test_a_chunked_body_is_read_up_to_the_largest_message(large: Daemon, tmp_path: Path) -> None:
    chunked = (*WITH_TOKEN, "-H", "Transfer-Encoding: chunked", "--data-binary")
    assert curl(large, *chunked, body(tmp_path, 3_000_000))[0] == 200
    status, text, _ = curl(large, *chunked, body(tmp_path, 3_000_001))
    assert status == 413
    assert text.endswith("request body exceeds the limit of 3000000 bytes\n")


def test_a_body_that_comes_too_slowly_is_refused_and_its_connection_ends(
    daemon: Daemon, tmp_path: Path
) -> None:
    """The limit is 30 s. curl sends for 100 s, and the other client never stops sending."""
    began = monotonic()
    slow = (*WITH_TOKEN, "-m", "90", "--limit-rate", "1000", "--data-binary")
    with daemon.connect() as endless:
        head = "POST /room HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n"
        endless.sendall(f"{head}Authorization: Bearer {TOKEN}\r\n\r\n".encode())
        status, text, sent = curl(daemon, *slow, body(tmp_path, 100_000))
        assert (status, text.endswith("request timeout\n")) == (408, True)
        assert sent < 100_000
        assert 29 < monotonic() - began < 60
        endless.settimeout(0.1)
        received = b""
        with suppress(ConnectionError):
            while True:
                endless.sendall(b"1\r\nx\r\n")
                with suppress(TimeoutError):
                    received += endless.recv(1000)
        assert received.startswith(b"HTTP/1.1 408 ")
    assert post(daemon, "/room", b"after") == 200


def bus_of(daemon: Daemon) -> dict[str, Any]:
    """The status of the bus."""
    found: dict[str, Any] = json.loads(ask(daemon, "/status?format=json").body)["bus"]
    return found


@pytest.mark.parametrize("history", ["", " history=5"])
def test_while_the_bus_is_down_a_post_reaches_the_members_of_its_daemon(
    tmp_path: Path, tokens: Path, history: str
) -> None:
    route = f"/room=hub{history} publish-tokens={tokens}"
    bus = f"redis://127.0.0.1:{free_port()}"
    with (
        running(tmp_path, "--serve", route, "--bus", bus, "--status", "/status") as daemon,
        opened(daemon, target="/room") as member,
    ):
        daemon.logged("bus-down")
        for number in range(3):
            assert post(daemon, "/room", b"hello") == 200
            assert member.recv(100) == b"\x81\x05hello"
            deadline = monotonic() + PATIENCE
            while (found := bus_of(daemon))["lost"] != number + 1:  # the status is kept for a time
                assert monotonic() < deadline, found
                sleep(0.05)
            assert not found["up"]


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


def test_over_tls_curl_publishes_by_http_1_1_although_it_offers_http_2(
    tmp_path: Path, tokens: Path
) -> None:
    port, pem = free_port(), tmp_path / "cert.pem"
    pem.write_bytes(authority().pem_for("localhost"))
    where = f"ssl:{port}:privateKey={pem}:interface=127.0.0.1"
    route = f"/room=hub publish-tokens={tokens}"
    with started(tmp_path, port, "--port", where, "--serve", route) as daemon:
        words = ("-sSk", "--noproxy", "*", "--http2", "-m", str(PATIENCE), "-d", "hello")
        shown = ("-o", "/dev/null", "-w", "%{http_code} %{http_version}")
        url = f"https://127.0.0.1:{daemon.port}/room"
        ran = subprocess.run(
            [str(third_party.curl()), *words, *shown, *WITH_TOKEN, url],
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=True,
            env=environment(),
        )
        assert ran.stdout == "200 1.1"
