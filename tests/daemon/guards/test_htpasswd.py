"""Password files: which lines are taken, and which passwords match."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import bcrypt
import pytest

from txhixie.daemon.guards.htpasswd import PasswordFile, read_password_file

SHA1 = b"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
"""The hash of ``password``, as ``htpasswd -s`` writes it."""


def bcrypt_of(password: bytes, prefix: str = "$2y$") -> bytes:
    """A hash with the least cost, the same in each run, and with the prefix of htpasswd."""
    salt = b"$2b$04$abcdefghijklmnopqrstuu"
    return bcrypt.hashpw(password, salt).replace(b"$2b$", prefix.encode())


def users_of(directory: Path, *lines: bytes) -> PasswordFile:
    file = directory / "users"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return read_password_file(file)


def error_of(directory: Path, *lines: bytes) -> str:
    with pytest.raises(ValueError, match="expected") as caught:
        users_of(directory, *lines)
    return str(caught.value).removeprefix(f"{directory}/")


@pytest.mark.parametrize("prefix", ["$2y$", "$2b$", "$2a$"])
def test_a_bcrypt_hash_matches_its_password(tmp_path: Path, prefix: str) -> None:
    users = users_of(tmp_path, b"alice:" + bcrypt_of(b"right", prefix))
    assert users.matches(b"alice", b"right", 0)
    assert not users.matches(b"alice", b"wrong", 0)
    assert not users.matches(b"alice", b"", 0)


def test_a_SHA_1_hash_matches_its_password(tmp_path: Path) -> None:
    users = users_of(tmp_path, b"bob:" + SHA1)
    assert users.matches(b"bob", b"password", 0)
    assert not users.matches(b"bob", b"Password", 0)


def test_a_password_of_another_user_is_wrong(tmp_path: Path) -> None:
    users = users_of(tmp_path, b"alice:" + bcrypt_of(b"hers"), b"bob:" + SHA1)
    assert not users.matches(b"bob", b"hers", 0)


def test_an_unknown_user_has_no_password(tmp_path: Path) -> None:
    """The hash of another user is checked for the time that it takes, and its result is ignored."""
    users = users_of(tmp_path, b"alice:" + bcrypt_of(b"hers"), b"bob:" + SHA1)
    assert not any(users.matches(b"carol", b"hers", number) for number in range(4))
    assert not any(users.matches(b"carol", b"password", number) for number in range(4))


def test_an_unknown_user_takes_as_much_time_of_a_processor_as_a_known_one(tmp_path: Path) -> None:
    users = users_of(tmp_path, b"alice:" + bcrypt.hashpw(b"hers", bcrypt.gensalt(9)))

    def seconds(name: bytes) -> float:
        before = time.thread_time()
        assert not users.matches(name, b"wrong", 0)
        return time.thread_time() - before

    assert seconds(b"carol") > seconds(b"alice") / 2


def test_a_file_without_users_lets_nobody_in(tmp_path: Path) -> None:
    users = users_of(tmp_path)
    assert not users.matches(b"alice", b"", 0)


def test_bytes_of_a_password_after_the_72nd_do_not_count_with_bcrypt(tmp_path: Path) -> None:
    """As for htpasswd, Apache and nginx; bcrypt 5 raises an error for such a password."""
    users = users_of(tmp_path, b"alice:" + bcrypt_of(b"x" * 72))
    assert users.matches(b"alice", b"x" * 100, 0)
    assert not users.matches(b"alice", b"x" * 71, 0)


def test_empty_lines_comments_and_a_third_column_are_skipped(tmp_path: Path) -> None:
    lines = (b"\xef\xbb\xbf# Users", b"", b"  ", b"bob:" + SHA1 + b":Bob of accounting\r")
    assert users_of(tmp_path, *lines).matches(b"bob", b"password", 0)


@pytest.mark.parametrize(
    ("hashed", "kind"),
    [
        (b"$apr1$Y4ywnrdL$il3lhSuMZfCkteDmmiMgp.", ", not MD5 ($apr1$)"),
        (b"$1$Y4ywnrdL$il3lhSuMZfCkteDmmiMgp.", ", not MD5 ($1$)"),
        (b"$5$1GdfXkETiXNgw1Lk$TnKuv.ZcCvMH0CAoFuTgLjFLZ9t.8KTIG9WcIgAjgBB", ", not SHA-256 ($5$)"),
        (b"$6$cyS32WDzM96IngPu$cZshogGJr4pTtchaYt6EpEk", ", not SHA-512 ($6$)"),
        (b"{SSHA}fcGVnOOaB+hCvAKyEkhJWQ==", ", not salted SHA-1 ({SSHA})"),
        (bcrypt_of(b"x", "$2x$"), ", not the faulty bcrypt of 2011 ($2x$)"),
        (b"HyMcdWw96t4wc", ""),
        (b"plain", ""),
        (b"", ""),
        (SHA1[:-2], ""),
        (bcrypt_of(b"x")[:-1], ""),
        (bcrypt_of(b"x") + b"x", ""),
    ],
    ids=[
        *("apr1", "MD5", "SHA-256", "SHA-512", "SSHA", "2x", "crypt", "plain", "empty"),
        *("short-SHA-1", "short-bcrypt", "long-bcrypt"),
    ],
)
def test_another_kind_of_hash_is_an_error_with_the_line_and_the_command(
    tmp_path: Path, hashed: bytes, kind: str
) -> None:
    error = error_of(tmp_path, b"bob:" + SHA1, b"carol:" + hashed)
    assert error == (
        f"users, line 2: expected a bcrypt or {{SHA}} hash{kind}; set the password again with "
        "htpasswd -B"
    )


@pytest.mark.parametrize("line", [b"hunter2", b":" + SHA1, SHA1])
def test_a_line_without_a_user_name_is_an_error_that_does_not_show_the_line(
    tmp_path: Path, line: bytes
) -> None:
    """The line may be a password."""
    assert error_of(tmp_path, line) == (
        "users, line 1: expected NAME:HASH; add a user with htpasswd -B"
    )


def test_a_user_name_that_is_not_UTF_8_is_an_error(tmp_path: Path) -> None:
    error = error_of(tmp_path, b"ren\xe9:" + SHA1)
    assert error == (
        "users, line 1: expected a user name in UTF-8; add the user again with htpasswd -B"
    )


def test_a_user_on_two_lines_is_an_error(tmp_path: Path) -> None:
    error = error_of(tmp_path, b"bob:" + SHA1, b"", b"bob:" + bcrypt_of(b"new"))
    assert error == ("users, line 3: expected each user once, and this one is on a line before")


@pytest.mark.parametrize("cost", ["03", "18", "31"])
def test_a_cost_that_takes_minutes_is_an_error(tmp_path: Path, cost: str) -> None:
    hashed = bcrypt_of(b"x").replace(b"$04$", f"${cost}$".encode())
    assert error_of(tmp_path, b"alice:" + hashed) == (
        "users, line 1: expected a bcrypt hash with a cost of 4 to 17; set the password again with "
        "htpasswd -B -C 10"
    )


def test_a_bcrypt_hash_without_the_package_bcrypt_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"bob:" + SHA1, b"alice:" + bcrypt_of(b"x")
    monkeypatch.setitem(sys.modules, "bcrypt", None)  # as in an environment without the extra
    assert error_of(tmp_path, *lines) == (
        "users, line 2: expected the package bcrypt for this hash; pip install 'txhixie[users]'"
    )
    assert users_of(tmp_path, lines[0]).matches(b"bob", b"password", 0)


def test_a_missing_file_and_a_directory_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a password file: No such file or directory"):
        read_password_file(tmp_path / "none")
    with pytest.raises(ValueError, match="expected a regular file"):
        read_password_file(tmp_path)


def test_a_pipe_is_an_error(tmp_path: Path) -> None:
    """To read a pipe would block the reactor."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: expected a regular file"):
        read_password_file(tmp_path / "pipe")
