"""Token files: what is a token, and the error for each mistake."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.daemon.guards.token_file import TokenSet, is_readable_by_all, read_token_file

ONE, TWO = "a" * 16, "0123456789.ABC_xyz~+/-=="
KEY = bytes(32)


def read(path: Path, data: str | bytes) -> TokenSet:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_token_file(path, KEY)


def has(tokens: TokenSet, token: str) -> bool:
    return tokens.digest(token.encode()) in tokens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"{ONE}\n{TWO}",
        f"# tokens\r\n\r\n  {ONE} of the television\r\n\t{TWO}\tAda, until May # 3\r\n",
        f"\ufeff{ONE}\n{TWO}\n",
    ],
    ids=["plain", "without-a-last-line-break", "with-notes", "with-a-byte-order-mark"],
)
def test_each_line_is_a_token(path: Path, text: str) -> None:
    tokens = read(path, text)
    assert has(tokens, ONE)
    assert has(tokens, TWO)
    for other in ("", ONE[:-1], ONE + "a", ONE.upper(), "of", "television", "#"):
        assert not has(tokens, other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "tokens: expected at least one token; openssl rand -hex 32 makes a new one"),
        ("# none\n\n", "tokens: expected at least one token"),
        (f"{ONE}\nshort\n", "tokens, line 2: expected a token of 16 to 4096 characters"),
        ("a" * 4097, "tokens, line 1: expected a token of 16 to 4096 characters"),
        (f"{ONE}:{TWO}", "tokens, line 1: expected a token of A-Z a-z 0-9"),
        (f"{ONE},ada", "tokens, line 1: expected a token of A-Z a-z 0-9"),
        (f'"{ONE}"', "tokens, line 1: expected a token of A-Z a-z 0-9"),
        ("\u00e4" * 16, "tokens, line 1: expected a token of A-Z a-z 0-9"),
        (f"{ONE}\n\n{TWO}\n{ONE}\n", "tokens, line 4: expected each token once, and line 1 has"),
    ],
)
def test_a_mistake_is_an_error_with_its_line_and_without_the_token(
    path: Path, text: str, said: str
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        read(path, text)
    error = str(caught.value)
    assert said in error
    assert not any(part in error for part in (ONE, TWO, "short", "\u00e4"))


def test_a_file_that_cannot_be_read_is_an_error(path: Path) -> None:
    with pytest.raises(ValueError, match=r"tokens: expected a token file: No such file"):
        read_token_file(path, KEY)
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"tokens: expected a regular file"):
        read_token_file(path, KEY)


def test_no_text_form_has_a_token(path: Path) -> None:
    tokens = read(path, ONE)
    assert ONE not in f"{tokens!r} {vars(tokens)}"


def test_the_hashes_depend_on_the_key(path: Path) -> None:
    path.write_text(ONE)
    first, second = read_token_file(path, bytes(32)), read_token_file(path, b"\1" * 32)
    assert first.digest(b"x") != second.digest(b"x")
    assert first.digest(ONE.encode()) not in second


def test_a_file_that_each_user_may_read_is_noticed(path: Path) -> None:
    assert not is_readable_by_all(path)
    path.touch(0o644)
    path.chmod(0o644)
    assert is_readable_by_all(path)
    path.chmod(0o640)
    assert not is_readable_by_all(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_tokens_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    try:
        read(path, data)
    except ValueError as error:
        assert "expected" in str(error)
