"""How long a right password is remembered, and how it is forgotten."""

from __future__ import annotations

import pickle

from txhixie.daemon.guards.basic import BasicCredentials
from txhixie.daemon.guards.remembered import REMEMBERED_SECONDS, Remembered

RIGHT = BasicCredentials(b"alice", b"right password")
WRONG = BasicCredentials(b"alice", b"wrong")
KEY = b"k" * 32


def test_a_right_password_is_remembered_for_a_minute() -> None:
    remembered = Remembered(KEY)
    assert not remembered.has(0, RIGHT)
    remembered.add(0, RIGHT)
    assert remembered.has(REMEMBERED_SECONDS - 0.1, RIGHT)
    assert not remembered.has(REMEMBERED_SECONDS, RIGHT)


def test_another_password_and_another_user_are_not_remembered() -> None:
    remembered = Remembered(KEY)
    remembered.add(0, RIGHT)
    assert not remembered.has(0, WRONG)
    assert not remembered.has(0, BasicCredentials(b"bob", RIGHT.password))


def test_the_password_is_not_kept() -> None:
    remembered = Remembered(KEY)
    remembered.add(0, RIGHT)
    kept = pickle.dumps(remembered)
    assert RIGHT.name in kept
    assert RIGHT.password not in kept


def test_another_process_has_another_hash_of_a_password() -> None:
    one, other = Remembered(KEY), Remembered(b"x" * 32)
    one.add(0, RIGHT)
    other.add(0, RIGHT)
    assert pickle.dumps(one).replace(KEY, b"x" * 32) != pickle.dumps(other)
    assert one.number(b"alice") == one.number(b"alice") != other.number(b"alice")


def test_a_user_who_is_guessed_at_is_not_remembered_until_the_minute_is_over() -> None:
    """The memory would be a fast way to guess: a guess takes no thread."""
    remembered = Remembered(KEY)
    remembered.add(0, RIGHT)
    assert not any(remembered.has(1, WRONG) for _ in range(10))
    assert not remembered.has(1, RIGHT)
    remembered.add(2, RIGHT)  # alice's next check by the file
    assert not remembered.has(2, RIGHT)
    remembered.add(REMEMBERED_SECONDS, RIGHT)
    assert remembered.has(REMEMBERED_SECONDS, RIGHT)


def test_a_process_of_several_has_its_part_of_the_guesses() -> None:
    remembered = Remembered(KEY, 2)
    remembered.add(0, RIGHT)
    assert not any(remembered.has(1, WRONG) for _ in range(2))
    assert not remembered.has(1, RIGHT)


def test_fewer_guesses_leave_the_right_password_remembered() -> None:
    remembered = Remembered(KEY)
    remembered.add(0, RIGHT)
    assert not any(remembered.has(1, WRONG) for _ in range(9))
    assert remembered.has(1, RIGHT)


def test_all_passwords_are_forgotten_at_once() -> None:
    remembered = Remembered(KEY)
    remembered.add(0, RIGHT)
    remembered.clear()
    assert not remembered.has(0, RIGHT)
