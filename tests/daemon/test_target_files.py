"""Files of targets that change while the daemon runs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from support.log_recorder import Log
from txhixie.daemon.target_files import SETTLED, TargetFiles

OLD = -10.0
"""Seconds since the last change of a file that is not being written."""


def put(path: Path, text: str, age: float = OLD) -> None:
    """Write a file that was changed some seconds ago."""
    path.write_text(text)
    changed = time.time() + age
    os.utime(path, (changed, changed))


class Files:
    """Targets with clocks of the test; keeps the targets that were checked."""

    def __init__(self, path: Path, normal: Callable[[str], str] = str) -> None:
        self._clock = Clock()
        self._clock.advance(1000)
        self._passed = 0.0
        self.checked: list[str] = []
        self._files = TargetFiles(
            self._clock, path, lambda: time.time() + self._passed, self._checks, normal
        )
        self.find = self._files.find

    def _checks(self, target: str) -> None:
        self.checked.append(target)
        if "wrong" in target:
            raise ValueError("expected a right target")

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)
        self._passed += seconds


def test_a_token_that_is_added_is_found_at_once(tmp_path: Path, log: Log) -> None:
    """A portal adds the token, and sends the browser to noVNC."""
    path = tmp_path / "targets"
    put(path, "a: host:1\n")
    files = Files(path)
    assert files.find("b") is None
    put(path, "a: host:1\nb: host:2\n", age=-5)
    assert files.find("b") == "tcp:host:2"
    assert log.lines() == [f"file-reread file={path}"]


def test_a_token_that_is_removed_is_unknown_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    put(path, "a: host:1\nb: host:2\n")
    files = Files(path)
    put(path, "b: host:3\n", age=-5)
    assert files.find("a") == "tcp:host:1"
    files.advance(1)
    assert files.find("a") is None
    assert files.find("b") == "tcp:host:3"


def test_a_file_is_read_only_after_a_change(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    put(path, "a: ws://host\n")
    files = Files(path)
    for _ in range(100):
        files.advance(1)
        assert files.find("a") == "ws://host"
        assert files.find("unknown") is None
    assert files.checked == ["ws://host"]


def test_a_mistake_keeps_the_content_before_it_with_one_line_of_the_log(
    tmp_path: Path, log: Log
) -> None:
    path = tmp_path / "targets"
    put(path, "a: host:1\n")
    files = Files(path)
    put(path, "a: host:2\nb: ws://wrong\n", age=-5)
    for _ in range(3):
        files.advance(1)
        assert files.find("a") == "tcp:host:1"
        assert files.find("b") is None
    put(path, "a: host:2\n", age=-4)
    files.advance(1)
    assert files.find("a") == "tcp:host:2"
    assert log.lines() == [
        f'file-not-reread file={path} reason="{path}, line 2: expected a right target"',
        f"file-reread file={path}",
    ]


def test_a_file_that_is_gone_keeps_its_targets_with_one_line_of_the_log(
    tmp_path: Path, log: Log
) -> None:
    path = tmp_path / "targets"
    put(path, "a: host:1\n")
    files = Files(path)
    path.unlink()
    for _ in range(3):
        files.advance(1)
        assert files.find("a") == "tcp:host:1"
    put(path, "a: host:2\n", age=-4)
    files.advance(1)
    assert files.find("a") == "tcp:host:2"
    assert len(log.lines()) == 2
    assert "No such file" in log.lines()[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: host:1\nb\n", "{}, line 2: expected TOKEN: TARGET"),
        ("a: host:1\n\nb: tcp:wrong\n", "{}, line 3: expected a right target"),
        (None, "{}: expected a file of targets, or a directory of such files: No such file"),
    ],
)
def test_a_mistake_at_the_start_is_an_error_with_the_file_and_the_line(
    tmp_path: Path, text: str | None, expected: str
) -> None:
    path = tmp_path / "targets"
    if text is not None:
        put(path, text)
    with pytest.raises(ValueError, match="^" + expected.format(path)):
        Files(path)


def test_a_slow_look_is_followed_by_a_pause_after_which_an_unknown_token_is_looked_up(
    tmp_path: Path,
) -> None:
    """Clients with wrong tokens cost a twentieth of the time of the processor at most."""
    path = tmp_path / "targets"
    put(path, "a: host:1\n")
    clock = Clock()

    def slow(target: str) -> None:
        clock.advance(0.5)

    files = TargetFiles(clock, path, time.time, slow)
    put(path, "a: host:1\nb: ws://slow\n", age=-5)
    assert files.find("c") is None
    put(path, "a: host:1\nb: ws://slow\nd: host:2\n", age=-4)
    began = clock.seconds()
    seconds = files.find("d", began)
    assert seconds == pytest.approx(10)
    clock.advance(10)
    assert files.find("d", began) == "tcp:host:2"
    looked = clock.seconds()
    assert files.find("e", looked - 0.6) is None


# A file that a program is writing.


def test_a_line_that_is_not_complete_is_not_used(tmp_path: Path, log: Log) -> None:
    """Half of a line may name another machine, or another port."""
    path = tmp_path / "targets"
    put(path, "a: host:1\n")
    files = Files(path)
    put(path, "a: host:2\nb: 10.0.0.12:59", age=0)
    assert files.find("b") == SETTLED
    assert files.find("a") == "tcp:host:2"
    put(path, "a: host:2\nb: 10.0.0.12:5900\n", age=0)
    assert files.find("b") == "tcp:10.0.0.12:5900"
    assert files.find("c") is None


def test_the_last_line_needs_no_end_once_the_file_has_not_changed_for_a_second(
    tmp_path: Path,
) -> None:
    """Many programs join the lines of such a file."""
    path = tmp_path / "targets"
    put(path, "a: host:1")
    files = Files(path)
    assert files.find("a") == "tcp:host:1"
    put(path, "a: host:1\nb: host:2", age=0)
    assert files.find("b") == SETTLED
    files.advance(SETTLED)
    assert files.find("b") == "tcp:host:2"
    assert files.find("c") is None


def test_a_file_from_the_future_is_complete(tmp_path: Path) -> None:
    """The clock of a file server may be ahead."""
    path = tmp_path / "targets"
    put(path, "a: host:1", age=3600)
    assert Files(path).find("a") == "tcp:host:1"


# A directory.


def test_the_files_of_a_directory_are_read_and_editors_leftovers_are_not(tmp_path: Path) -> None:
    put(tmp_path / "one", "a: host:1\n")
    put(tmp_path / "vm2", "host:2\n")
    put(tmp_path / ".one.swp", "nonsense\n")
    put(tmp_path / "one~", "a: host:9\n")
    (tmp_path / "more").mkdir()
    put(tmp_path / "more" / "inner", "c: host:3\n")
    (tmp_path / "link").symlink_to(tmp_path / "more" / "inner")
    (tmp_path / "nothing").symlink_to(tmp_path / "missing")
    files = Files(tmp_path)
    assert [files.find(token) for token in ("a", "vm2", "c", "inner")] == [
        *("tcp:host:1", "tcp:host:2", "tcp:host:3"),
        None,
    ]


def test_only_the_changed_files_of_a_directory_are_read(tmp_path: Path, log: Log) -> None:
    for name in ("a", "b", "c"):
        put(tmp_path / name, f"{name}: ws://{name}\n")
    files = Files(tmp_path)
    files.checked.clear()
    put(tmp_path / "b", "b: ws://other\n", age=-5)
    (tmp_path / "c").unlink()
    put(tmp_path / "d", "d: ws://d\n")
    assert files.find("d") == "ws://d"
    assert sorted(files.checked) == ["ws://d", "ws://other"]
    assert [files.find(token) for token in "abc"] == ["ws://a", "ws://other", None]
    assert sorted(log.lines()) == [f"file-reread file={tmp_path / name}" for name in "bd"]


def test_a_mistake_in_one_file_of_a_directory_does_not_concern_the_others(
    tmp_path: Path, log: Log
) -> None:
    put(tmp_path / "a", "a: host:1\n")
    files = Files(tmp_path)
    put(tmp_path / "a", "a: host:2\nx\n", age=-5)
    put(tmp_path / "b", "b: host:2\n")
    os.mkfifo(tmp_path / "fifo")
    for _ in range(3):
        files.advance(1)
        assert files.find("a") == "tcp:host:1"
        assert files.find("b") == "tcp:host:2"
    mistakes = sorted(line for line in log.lines() if line.startswith("file-not-reread"))
    assert len(mistakes) == 2
    assert "line 2: expected" in mistakes[0]
    assert "expected a regular file" in mistakes[1]


def test_a_FIFO_in_a_directory_at_the_start_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="fifo: expected a regular file"):
        Files(tmp_path)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "a"))
        with pytest.raises(ValueError, match="a: expected a file of targets: No such device"):
            Files(tmp_path)


def test_the_normal_form_of_a_token_is_looked_up(tmp_path: Path) -> None:
    put(tmp_path / "targets", "VM1.example.com: host:1\n")
    files = Files(tmp_path / "targets", str.lower)
    assert files.find("vm1.EXAMPLE.com") == "tcp:host:1"
