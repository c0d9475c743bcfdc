"""Daemons with a password file of Debian's htpasswd, and their clients: curl, ours, an attacker."""

from __future__ import annotations

import re
import select
import signal
import subprocess
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from support import third_party
from support.blocking_peer import HixieClient, answer, connected
from support.command_line import head_by_curl, run
from support.daemon import PATIENCE, Daemon, configured, run_hixie, running
from support.guide_pages import block
from support.handshake_bytes import head_of, request, status_of

FIELDS = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


UPGRADE = tuple(word for field in FIELDS for word in ("-H", field))


class Passwords:
    """A password file, and the program that writes it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "users.htpasswd"
        self._program = str(third_party.htpasswd())

    def set(self, name: str, password: str, *options: str) -> Self:
        """Set a password as an operator does: the program reads it from its standard input."""
        new = () if self.file.exists() else ("-c",)
        command = [self._program, "-i", *new, *(options or ("-B",)), str(self.file), name]
        subprocess.run(
            command, input=password.encode(), check=True, capture_output=True, timeout=PATIENCE
        )
        return self

    def remove(self, name: str) -> None:
        command = [self._program, "-D", str(self.file), name]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)

    @property
    def option(self) -> tuple[str, str]:
        return "--users", str(self.file)


@pytest.fixture
def passwords(tmp_path: Path) -> Passwords:
    return Passwords(tmp_path).set("alice", "open: sesame")


def curl(daemon: Daemon, *words: str, path: str = "/") -> tuple[int, str]:
    """Status of the response and the fields of its head."""
    head = head_by_curl(*words, f"http://127.0.0.1:{daemon.port}{path}")
    return int(head.split()[1]), head


def curl_handshake(daemon: Daemon, *words: str) -> int:
    """Status of a WebSocket handshake of curl."""
    return curl(daemon, *UPGRADE, *words)[0]


class Client(HixieClient):
    """A client of hixie-75 with a user name and a password."""

    def __init__(
        self, daemon: Daemon, user: str = "", source: str = "127.0.0.1", target: str = "/"
    ) -> None:
        super().__init__(connected(daemon.port, source))
        fields = [f"Authorization: Basic {b64encode(user.encode()).decode()}"] if user else []
        self.socket.sendall(request("hixie-75", *fields, target=target))

    def status(self) -> int:
        return status_of(head_of(answer(self.socket)))

    def has_answer(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])


def fail2ban() -> Callable[[str], re.Match[str] | None]:
    """The expression of the guide, with an address as fail2ban matches one."""
    (rule,) = re.findall(r"failregex = (.*)", block("docs/howto/passwords.rst", "fail2ban"))
    return re.compile(rule.replace("<ADDR>", r"(?P<address>[0-9a-f:.]+?)")).search


def status(daemon: Daemon, user: str = "", source: str = "127.0.0.1", target: str = "/") -> int:
    with Client(daemon, user, source, target) as client:
        return client.status()


@pytest.mark.parametrize("options", [("-B",), ("-B", "-C", "12"), ("-s",)])
def test_curl_gets_a_page_and_a_handshake_with_a_password_of_htpasswd(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    passwords = Passwords(tmp_path).set("alice", "open: sesame", *options)
    with running(tmp_path, *passwords.option, "--realm", 'The "cave"') as daemon:
        refused, head = curl(daemon)
        assert refused == 401
        assert 'WWW-Authenticate: Basic realm="The \\"cave\\"", charset="UTF-8"' in head
        assert curl(daemon, "-u", "alice:open: sesame")[0] == 200
        assert curl(daemon, "-u", "alice:open sesame")[0] == 401
        assert curl_handshake(daemon) == 401
        assert curl_handshake(daemon, "-u", "alice:open: sesame") == 101
        assert curl_handshake(daemon, "-u", "bob:open: sesame") == 401


def test_a_user_name_and_a_password_in_UTF_8(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path).set("ren\xe9", "d\xe9j\xe0 vu \N{EURO SIGN}")
    with running(tmp_path, *passwords.option) as daemon:
        assert status(daemon, "ren\xe9:d\xe9j\xe0 vu \N{EURO SIGN}") == 101
        assert status(daemon, "ren\xe9:deja vu \N{EURO SIGN}") == 401


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("-m", ", not MD5 ($apr1$)"),
        ("-2", ", not SHA-256 ($5$)"),
        ("-5", ", not SHA-512 ($6$)"),
        ("-d", ""),
        ("-p", ""),
    ],
)
def test_other_hashes_of_htpasswd_are_one_line_at_the_start(
    passwords: Passwords, option: str, kind: str
) -> None:
    passwords.set("bob", "secret", option)
    hashed = passwords.file.read_text().splitlines()[1].partition(":")[2]
    for more in ((), ("--check",)):
        ran = run_hixie(*passwords.option, *more)
        assert ran.returncode == 1
        (line,) = ran.stderr.splitlines()
        assert line == (
            f"hixie: --users {passwords.file}, line 2: expected a bcrypt or {{SHA}} hash{kind}; "
            "set the password again with htpasswd -B"
        )
        assert hashed not in ran.stdout + line


def test_check_shows_the_file_and_the_realm(passwords: Passwords) -> None:
    ran = run_hixie(*passwords.option, "--realm", "Cave", "--check")
    assert ran.returncode == 0
    assert re.search(rf"^users +{passwords.file}$", ran.stdout, re.MULTILINE)
    assert re.search(r"^realm +Cave$", ran.stdout, re.MULTILINE)


def test_our_client_sends_the_user_of_its_URL(tmp_path: Path, passwords: Passwords) -> None:
    with running(tmp_path, *passwords.option) as daemon:
        url = f"127.0.0.1:{daemon.port}/"
        ran = run("connect", "--once", "hello", f"ws://alice:open%3A%20sesame@{url}")
        assert (ran.status, ran.output) == (0, b"hello\n")
        refused = run("connect", "--once", "hello", f"ws://alice:wrong@{url}")
        assert refused.status != 0
        assert "401" in refused.line
        assert "wrong@" not in refused.line


def test_a_route_has_its_own_users_or_none(tmp_path: Path, passwords: Passwords) -> None:
    others = Passwords(tmp_path)
    others.file = tmp_path / "others.htpasswd"
    others.set("bob", "builder")
    with configured(
        tmp_path,
        f"""
        port = "{{port}}"
        users = "{passwords.file}"
        serve = [
            "/=echo",
            "/own=echo users={others.file} realm=Yard",
            "/open=echo users=none",
        ]
        """,
    ) as daemon:
        users = ("", "alice:open: sesame", "bob:builder")
        found = {
            target: [status(daemon, user, target=target) for user in users]
            for target in ("/", "/own", "/open")
        }
        assert found == {"/": [401, 101, 401], "/own": [401, 401, 101], "/open": [101, 101, 101]}
        assert 'Basic realm="Yard"' in curl(daemon, *UPGRADE, path="/own")[1]


def asks_until_reread(daemon: Daemon, user: str, times: int) -> None:
    """Connect until the file was read again that many times: it is looked at when it is used."""
    while daemon.log.count("file-reread file=") < times:
        assert status(daemon, user) == 101


def test_a_changed_password_counts_without_a_signal(tmp_path: Path, passwords: Passwords) -> None:
    with (
        running(tmp_path, *passwords.option) as daemon,
        Client(daemon, "alice:open: sesame") as old,
    ):
        assert old.status() == 101
        passwords.set("alice", "new")
        while status(daemon, "alice:open: sesame") == 101:
            pass
        assert status(daemon, "alice:new") == 101
        passwords.set("bob", "builder")
        asks_until_reread(daemon, "alice:new", 2)
        assert status(daemon, "bob:builder") == 101
        passwords.remove("bob")
        asks_until_reread(daemon, "alice:new", 3)
        assert status(daemon, "bob:builder") == 401
        assert old.echoes("a conversation stays")


def test_a_mistake_in_a_changed_file_is_one_line_and_the_users_stay(
    tmp_path: Path, passwords: Passwords
) -> None:
    with running(tmp_path, *passwords.option) as daemon:
        passwords.set("bob", "builder", "-m")
        while "file-not-reread" not in daemon.log:
            assert status(daemon, "alice:open: sesame") == 101
        line = daemon.logged("file-not-reread")
        assert f'reason="{passwords.file}, line 2: expected a bcrypt or {{SHA}} hash' in line
        assert "$apr1$Y" not in line
        for _ in range(3):
            assert status(daemon, "alice:open: sesame") == 101
        assert daemon.log.count("file-not-reread") == 1


def test_a_reload_reads_the_users_and_a_mistake_in_them_changes_nothing(
    tmp_path: Path, passwords: Passwords
) -> None:
    good = passwords.file.read_text()
    with running(tmp_path, *passwords.option) as daemon:
        passwords.file.write_text(good + "bob:plain\n")
        daemon.terminate(signal.SIGHUP)
        line = daemon.logged("not-reloaded")
        assert f"users {passwords.file}, line 2: expected a bcrypt or {{SHA}} hash" in line
        assert "plain" not in line
        assert status(daemon, "alice:open: sesame") == 101
        passwords.file.write_text(good)
        passwords.set("bob", "builder")
        daemon.reload()
        assert status(daemon, "bob:builder") == 101


def test_other_connections_talk_while_bcrypt_works(tmp_path: Path) -> None:
    """A check at the cost 14 takes a second of a processor, an echo less than a millisecond."""
    passwords = Passwords(tmp_path).set("slow", "sesame", "-B", "-C", "14").set("bob", "x", "-s")
    with (
        running(tmp_path, *passwords.option) as daemon,
        Client(daemon, "bob:x") as talker,
    ):
        assert talker.status() == 101
        with Client(daemon, "slow:sesame") as checked:
            echoes = 0
            while not checked.has_answer():
                assert talker.echoes(f"message {echoes}")
                echoes += 1
            assert checked.status() == 101
        assert echoes >= 10


def test_an_attacker_with_wrong_passwords_does_not_stop_the_others(tmp_path: Path) -> None:
    """The attacker opens 300 connections at once, from an address of its own."""
    passwords = Passwords(tmp_path).set("alice", "sesame", "-B", "-C", "10").set("bob", "builder")
    with running(tmp_path, *passwords.option) as daemon, Client(daemon, "alice:sesame") as talker:
        assert talker.status() == 101
        attackers = [Client(daemon, f"alice:guess {n}", "127.0.0.2") for n in range(300)]
        for number in range(50):
            assert talker.echoes(f"message {number}")
        assert status(daemon, "alice:sesame") == 101
        found = [attacker.status() for attacker in attackers]
        for attacker in attackers:
            attacker.socket.close()
        assert set(found) <= {401, 429, 503}
        assert 10 <= found.count(401) <= 12  # two run at once when the tenth is counted
        assert status(daemon, "alice:guess", "127.0.0.2") == 429
        assert status(daemon, "bob:builder", "127.0.0.3") == 101
        matches = fail2ban()
        banned = {match["address"] for line in daemon.log.splitlines() if (match := matches(line))}
        assert banned == {"127.0.0.2"}
        # Lines about one address are folded.
        assert daemon.log.count("peer=127.0.0.2") <= 40


def test_clients_of_a_trusted_proxy_are_counted_by_their_own_address(
    tmp_path: Path, passwords: Passwords
) -> None:
    with running(tmp_path, *passwords.option, "--trust-forwarded", "127.0.0.1") as daemon:

        def forwarded(client: str, user: str) -> int:
            return curl(daemon, "-H", f"X-Forwarded-For: {client}", "-u", user)[0]

        assert [forwarded("192.0.2.1", f"alice:{n}") for n in range(11)] == [401] * 10 + [429]
        assert forwarded("192.0.2.1", "alice:open: sesame") == 429
        assert forwarded("192.0.2.2", "alice:open: sesame") == 200
