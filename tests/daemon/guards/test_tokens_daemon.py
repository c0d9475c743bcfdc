"""Daemons that ask for tokens, and their clients: curl, websockets, ours, and an old device."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from support import third_party
from support.command_line import environment, head_by_curl, run, start
from support.daemon import PATIENCE, Daemon, configured, run_hixie, running
from support.handshake_bytes import PROOF, accept_for, status_of, whole_request
from support.jwt_keys import SECRET, encoded, forged, jwk, pem, rsa_key
from txhixie.daemon.errors import CannotStart
from txhixie.daemon.tap import Options

ONE, TWO = "0123456789abcdef-one", "fedcba9876543210+two=="
ESCAPED = "fedcba9876543210%2Btwo%3D%3D"
AUDIENCE = "https://example.com"
HANDSHAKE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A token file."""
    file = tmp_path / "tokens"
    write(file, f"{ONE} a page", TWO)
    return file


def write(file: Path, *lines: str) -> None:
    """Write a file as an editor does: a new one, which replaces the old one."""
    new = file.with_suffix(".new")
    new.touch(0o600)
    new.write_text("\n".join([*lines, ""]))
    new.replace(file)


def signed(seconds: float = 600.0, algorithm: str = "HS256", key: Any = SECRET, **more: Any) -> str:
    """A token of this life; a claim of ``None`` is left out."""
    headers = more.pop("headers", None)
    claims = {"exp": time.time() + seconds, "aud": AUDIENCE} | more
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers=headers)


def issuer(directory: Path) -> tuple[str, ...]:
    """The options of a daemon with the secret of an issuer."""
    key = directory / "issuer.key"
    key.touch(0o600)
    key.write_bytes(SECRET + b"\n")
    return "--jwt-key", f"{key}", "--jwt-algorithms", "HS256", "--jwt-audience", AUDIENCE


def curl(daemon: Daemon, *words: str, target: str = "/") -> tuple[int, str]:
    """The status of a response, and its head."""
    head = head_by_curl(*words, f"http://127.0.0.1:{daemon.port}{target}")
    return int(head.split()[1]), head


def curl_handshake(daemon: Daemon, *words: str, target: str = "/") -> tuple[int, str]:
    """The same for a WebSocket handshake."""
    fields = [word for field in HANDSHAKE for word in ("-H", field)]
    return curl(daemon, *fields, *words, target=target)


def status(daemon: Daemon, token: str, dialect: str = "rfc6455") -> int:
    """The status of a handshake with a token in the query."""
    with daemon.connect() as client:
        client.sendall(whole_request(dialect, target=f"/?token={token}", origin=None))
        return status_of(received(client, b"\r\n\r\n"))


def received(client: socket.socket, end: bytes) -> bytes:
    """The bytes up to these, or up to the end of the connection."""
    data = b""
    while end not in data and (more := client.recv(65536)):
        data += more
    return data


class Backend:
    """A WebSocket server by its bytes: it keeps each head, and how the client has closed."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heads: list[str] = []
        self.closed = threading.Event()
        self.rest = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        with client:
            head = received(client, b"\r\n\r\n")
            self.heads.append(head.decode())
            client.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept_for(head).encode()
            )
            self.rest = client.recv(65536)
            self.closed.set()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.close()


WEBSOCKETS = """
import sys
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

url, *tokens = sys.argv[1:]
headers = {"Authorization": f"Bearer {tokens[0]}"} if tokens else {}
with connect(url, additional_headers=headers, proxy=None) as connection:
    connection.send("hello")
    print(connection.recv(), flush=True)
    try:
        connection.recv()
    except ConnectionClosed as closed:
        print(closed.rcvd.code, closed.rcvd.reason, flush=True)
"""


def websockets_client(daemon: Daemon, target: str, *token: str) -> subprocess.Popen[str]:
    """A client of the library websockets, which prints an echo, and how the server closes."""
    url = f"ws://127.0.0.1:{daemon.port}{target}"
    command = [str(third_party.websockets()), "-c", WEBSOCKETS, url, *token]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# Tokens of a file.


def test_curl_gets_a_page_and_a_handshake_with_a_token(tmp_path: Path, tokens: Path) -> None:
    with running(tmp_path, "--tokens", str(tokens), "--realm", "feed") as daemon:
        for get in (curl, curl_handshake):
            right = 200 if get is curl else 101
            refused, head = get(daemon)
            assert (refused, "error=" in head) == (401, False)
            assert '\nWWW-Authenticate: Bearer realm="feed"\n' in head.replace("\r", "")
            refused, head = get(daemon, "--oauth2-bearer", "a-guess-of-an-attacker")
            assert refused == 401
            assert 'WWW-Authenticate: Bearer realm="feed", error="invalid_token"' in head
            assert get(daemon, "--oauth2-bearer", ONE)[0] == right
            assert get(daemon, "--oauth2-bearer", TWO)[0] == right
            assert get(daemon, target=f"/?token={ESCAPED}")[0] == right
            assert get(daemon, "--oauth2-bearer", ONE, target=f"/?token={ONE}")[0] == 400
            assert get(daemon, "-u", f"a:{ONE}")[0] == 401
        assert not any(token in daemon.log for token in (ONE, TWO, ESCAPED, "guess"))
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "hybi-07", "hybi-08", "rfc6455"])
def test_a_client_of_any_dialect_sends_its_token_in_the_query(
    tmp_path: Path, tokens: Path, dialect: str
) -> None:
    with running(tmp_path, "--tokens", str(tokens)) as daemon:
        url = f"ws://127.0.0.1:{daemon.port}/"
        words = ("connect", "--once", "hello", "--dialect", dialect)
        assert run(*words, f"{url}?token={ESCAPED}").output == b"hello\n"
        assert "401" in run(*words, url).line
        assert "401" in run(*words, f"{url}?token={ONE[1:]}").line


def test_the_backend_of_a_gateway_sees_no_token(
    tmp_path: Path, tokens: Path, backend: Backend
) -> None:
    """The other parameters keep their bytes, and so does every other field."""
    config = f"""
        port = "{{port}}"
        tokens = "{tokens}"
        [[serve]]
        path = "/a"
        service = "ws://127.0.0.1:{backend.port}/a"
        pass-headers = "user-agent"
        [[serve]]
        path = "/b"
        service = "ws://127.0.0.1:{backend.port}/b"
        pass-headers = "authorization"
        token-parameter = "key"
    """
    with configured(tmp_path, config) as daemon:
        bearer = f"Authorization: Bearer {ONE}"
        for target, fields in (
            (f"/a?x=%7e&t%6fken={ESCAPED}&y=1+2&&z", ("User-Agent: old", "Cookie: a=b")),
            ("/a?token2=x", (bearer,)),
            ("/b?token=x", (bearer,)),
            (f"/b?token=x&key={ONE}", ()),
        ):
            with daemon.connect() as client:
                client.sendall(whole_request("rfc6455", *fields, target=target, origin=None))
                assert status_of(received(client, b"\r\n\r\n")) == 101
    first, second, third, fourth = backend.heads
    assert first.startswith("GET /a?x=%7e&y=1+2&&z HTTP/1.1\r\n")
    assert "\r\nUser-Agent: old\r\n" in first
    assert "\r\nCookie: a=b\r\n" in first
    assert second.startswith("GET /a?token2=x HTTP/1.1\r\n")
    assert f"\r\n{bearer}\r\n" in third, "pass-headers names the field"
    assert fourth.startswith("GET /b?token=x HTTP/1.1\r\n")
    for head in (first, second, fourth):
        assert ONE not in head
        assert ESCAPED not in head
        assert "authorization" not in head.lower()


def test_users_and_tokens_are_alternatives(tmp_path: Path, tokens: Path) -> None:
    users = tmp_path / "users"
    users.write_text("ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
    config = f"""
        port = "{{port}}"
        users = "{users}"
        tokens = "{tokens}"
        serve = ["/=echo", "/open=echo users=none tokens=none", "/people=echo tokens=none"]
    """
    with configured(tmp_path, config) as daemon:
        refused, head = curl_handshake(daemon)
        assert refused == 401
        assert "WWW-Authenticate: Basic realm=" in head
        assert "WWW-Authenticate: Bearer realm=" in head
        assert curl_handshake(daemon, "-u", "ada:secret")[0] == 101
        assert curl_handshake(daemon, "--oauth2-bearer", ONE)[0] == 101
        assert curl_handshake(daemon, "-u", "ada:wrong")[0] == 401
        assert curl_handshake(daemon, target="/open")[0] == 101
        assert curl_handshake(daemon, "--oauth2-bearer", ONE, target="/people")[0] == 401
        assert curl_handshake(daemon, "-u", "ada:secret", target="/people")[0] == 101


def test_a_file_is_read_again_and_the_connections_of_a_removed_token_are_closed(
    tmp_path: Path, tokens: Path
) -> None:
    new = "a-token-that-is-added-later"
    with running(tmp_path, "--tokens", str(tokens)) as daemon:
        assert status(daemon, new) == 401
        removed = websockets_client(daemon, "/", ONE)
        assert line_of(removed) == "hello"
        with daemon.connect() as old, daemon.connect() as kept:
            for client, token in ((old, ONE), (kept, ESCAPED)):
                request = whole_request("hixie-76", target=f"/?token={token}", origin=None)
                client.sendall(request)
                assert status_of(received(client, PROOF)) == 101
            write(tokens, new, TWO)
            assert line_of(removed) == "1008 credentials revoked"
            assert received(old, b"\xff\x00") == b"\xff\x00"
            kept.sendall(b"\0still here\xff")
            assert received(kept, b"\xff") == b"\0still here\xff"
            assert status(daemon, new) == 101
            assert status(daemon, ONE) == 401
        removed.communicate(timeout=PATIENCE)
        assert daemon.logged("file-reread file=")
        assert daemon.logged('code=1008 reason="credentials revoked" by=us')
        assert daemon.logged('reason="credentials revoked"')


def test_a_mistake_in_the_file_is_one_line_and_the_tokens_before_stay(
    tmp_path: Path, tokens: Path
) -> None:
    with running(tmp_path, "--tokens", str(tokens)) as daemon:
        write(tokens, "another-token-of-16", "short")
        daemon.terminate(signal.SIGHUP)
        line = daemon.logged("] not-reloaded ")
        assert f"tokens {tokens}, line 2: expected a token of 16 to 4096 characters" in line
        assert "short" not in line
        assert status(daemon, ONE) == 101
        write(tokens, "another-token-of-16")
        daemon.reload()
        assert status(daemon, "another-token-of-16") == 101
        assert status(daemon, ONE) == 401


# JSON Web Tokens.


def test_a_connection_ends_with_1008_when_its_token_expires(
    tmp_path: Path, backend: Backend
) -> None:
    """
    As our client, websockets and a backend see it; a client with a longer token stays.

    Twelve seconds are enough for the programs of both clients to start on a busy machine.
    """
    route = f"/back=ws://127.0.0.1:{backend.port}/"
    options = ("--serve", "/=echo", "--serve", route, *issuer(tmp_path))
    with running(tmp_path, *options) as daemon:
        stays = websockets_client(daemon, "/", signed(600))
        assert line_of(stays) == "hello"
        theirs = websockets_client(daemon, f"/?token={signed(12)}")
        url = f"ws://127.0.0.1:{daemon.port}"
        ours = start("connect", "--wait", "inf", f"{url}/?token={signed(12)}")
        with daemon.connect() as behind:
            target = f"/back?token={signed(12)}"
            behind.sendall(whole_request("rfc6455", target=target, origin=None))
            assert status_of(received(behind, b"\r\n\r\n")) == 101
            assert line_of(theirs) == "hello"
            assert line_of(theirs) == "1008 credentials expired"
            _, errors = ours.communicate(timeout=PATIENCE)
            assert errors == b"txhixie: closed by the server: 1008: credentials expired\n"
            assert received(behind, b"credentials expired")[2:4] == b"\x03\xf0"
            assert backend.closed.wait(PATIENCE)
            assert backend.rest[:1] == b"\x88"
        stays.kill()
        stays.communicate()
        assert daemon.logged('code=1008 reason="credentials expired" by=us')
        assert "Traceback" not in daemon.log
        theirs.communicate(timeout=PATIENCE)


def test_an_old_device_gets_the_close_of_its_dialect_when_its_token_expires(
    tmp_path: Path,
) -> None:
    with running(tmp_path, *issuer(tmp_path)) as daemon:
        for dialect, end in (("hixie-75", b""), ("hixie-76", b"\xff\x00")):
            with daemon.connect() as client:
                target = f"/?token={signed(3)}"
                client.sendall(whole_request(dialect, target=target, origin=None))
                head = received(client, b"\r\n\r\n" if dialect == "hixie-75" else PROOF)
                assert status_of(head) == 101
                client.sendall(b"\0hello\xff")
                assert received(client, b"\xff") == b"\0hello\xff"
                assert received(client, b"\xff\x00") == end
        assert daemon.logged("noticed connection=1 peer=127.0.0.1:")
        assert daemon.logged('reason="credentials expired"')


def test_a_token_that_is_not_right_is_refused_with_the_reason_in_the_log(tmp_path: Path) -> None:
    unsigned = encoded({"alg": "none"}, {"exp": time.time() + 60, "aud": AUDIENCE}) + "."
    head, _, signature = signed().split(".")
    claims = encoded({"exp": time.time() + 9999, "aud": AUDIENCE})
    wrong = {
        "unsigned": (unsigned, "token with an algorithm that is not in jwt-algorithms"),
        "other": (signed(algorithm="HS512"), "token with an algorithm that is not in"),
        "expired": (signed(-1), "expired token"),
        "aud": (signed(aud="https://other.example"), "token for another audience"),
        "no aud": (signed(aud=None), "token without exp or aud"),
        "no exp": (signed(exp=None), "token without exp or aud"),
        "nbf": (signed(nbf=time.time() + 300), "token that is not yet valid"),
        "crit": (signed(headers={"crit": ["b64"]}), "status=401"),  # PyJWT 2.12 refuses it first
        "tampered": (f"{head}.{claims}.{signature}", "token with a wrong signature"),
        "key": (signed(key=b"0" * 64), "token with a wrong signature"),
        "malformed": ("a.b.c", "malformed token"),
        "deep": (f"{'W' * 12000}.b.c", "malformed token"),
    }
    with running(tmp_path, *issuer(tmp_path)) as daemon:
        assert status(daemon, signed()) == 101
        for token, reason in wrong.values():
            assert status(daemon, token) == 401
            line = daemon.logged(reason)
            assert 'target="/?token=..." status=401' in line
        parts = {part for token, _ in wrong.values() for part in token.split(".") if len(part) > 8}
        assert not any(part in daemon.log for part in parts)
        assert "Traceback" not in daemon.log


def test_a_public_key_of_the_issuer_signs_no_token(tmp_path: Path) -> None:
    """CVE-2022-29217: HS256, with the PEM of the public key as its secret."""
    key = tmp_path / "issuer.pem"
    key.write_bytes(pem(rsa_key()))
    audience = ("--jwt-audience", AUDIENCE)
    ran = run_hixie("--jwt-key", f"{key}", "--jwt-algorithms", "RS256,HS256", *audience)
    assert ran.returncode
    assert f"jwt-key {key}: expected a secret for HS256, not an RSA key" in ran.stderr
    options = ("--jwt-key", f"{key}", "--jwt-algorithms", "RS256,PS512", *audience)
    with running(tmp_path, *options) as daemon:
        assert status(daemon, signed(algorithm="RS256", key=rsa_key())) == 101
        assert status(daemon, signed(algorithm="PS512", key=rsa_key())) == 101
        assert status(daemon, signed(algorithm="RS512", key=rsa_key())) == 401
        for secret in (pem(rsa_key()), pem(rsa_key()).rstrip()):
            claims = {"exp": time.time() + 60, "aud": AUDIENCE}
            assert status(daemon, forged(secret, {"alg": "HS256"}, claims)) == 401


def test_a_set_of_keys_is_read_again_when_the_issuer_has_a_new_one(tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    old, new = jwk(rsa_key().public_key(), kid="old"), jwk(SECRET, kid="new")
    write(keys, json.dumps({"keys": [old, jwk(bytes(32), kid="other")]}))
    options = ("--jwt-algorithms", "RS256,HS256", "--jwt-audience", AUDIENCE)
    with running(tmp_path, "--jwt-key", f"{keys}", *options) as daemon:
        token = signed(headers={"kid": "new"})
        assert status(daemon, token) == 401
        assert daemon.logged("token of a key (kid) that is not in jwt-key")
        write(keys, json.dumps({"keys": [old, new]}))
        deadline = time.monotonic() + PATIENCE
        while status(daemon, token) != 101:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert daemon.logged("file-reread ")


# Mistakes.


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--tokens", "nowhere"), "--tokens nowhere: expected a token file: No such file"),
        (("--tokens", "empty"), "--tokens empty: expected at least one token; openssl rand"),
        (("--tokens", "short"), "--tokens short, line 2: expected a token of 16 to 4096"),
        (("--jwt-key", "secret"), "--jwt-key secret: expected the option jwt-algorithms, such as"),
        (
            ("--jwt-key", "secret", "--jwt-algorithms", "HS256"),
            "--jwt-key secret: expected the option jwt-audience, the aud of tokens",
        ),
        (
            ("--jwt-key", "secret", "--jwt-algorithms", "none", "--jwt-audience", "a"),
            "--jwt-algorithms none: expected algorithms with a signature, not none",
        ),
        (
            ("--jwt-key", "secret", "--jwt-algorithms", "RS257", "--jwt-audience", "a"),
            "--jwt-algorithms RS257: expected one of RS256, ",
        ),
        (
            ("--jwt-key", "short", "--jwt-algorithms", "HS256", "--jwt-audience", "a"),
            "--jwt-key short: expected a secret of at least 32 bytes for HS256",
        ),
        (
            ("--jwt-key", "secret", "--jwt-algorithms", "RS256", "--jwt-audience", "a"),
            "--jwt-key secret: expected an RSA key for RS256, not a secret",
        ),
        (
            ("--serve", "/=echo jwt-audience=a"),
            "--serve /=echo jwt-audience=a: jwt-audience: expected the option jwt-key as well",
        ),
        (
            ("--serve", "/=echo tokens=nowhere"),
            "--serve /=echo tokens=nowhere: tokens nowhere: expected a token file",
        ),
        (
            ("--token-parameter", "a b"),
            "--token-parameter a b: expected a name of letters, digits",
        ),
    ],
)
def test_a_mistake_is_one_line_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], line: str
) -> None:
    """These two errors are the whole output of the daemon, which then ends with status 1."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").touch()
    (tmp_path / "short").write_text(f"{ONE}\nshort\n")
    (tmp_path / "secret").write_bytes(SECRET)
    with pytest.raises((SystemExit, CannotStart)) as caught:
        Options().parseOptions([*options, "--check"])
    said = str(caught.value)
    assert said.startswith(f"hixie: {line}")
    assert "\n" not in said


def test_check_prints_what_a_route_asks_for(tmp_path: Path, tokens: Path) -> None:
    ran = run_hixie("--serve", f"/=echo tokens={tokens} token-parameter=key", "--check")
    assert ran.returncode == 0
    (line,) = (line for line in ran.stdout.splitlines() if line.startswith("conditions"))
    assert f"tokens={tokens}; jwt-key=none; token-parameter=key" in line
    assert ONE not in ran.stdout
