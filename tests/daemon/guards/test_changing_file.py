"""A file that is read again after a change, and never at another time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from support.log_recorder import Log
from txhixie.daemon.guards.changing_file import LOOK_INTERVAL, ChangingFile


class Reader:
    """Reads a text, counts how often, and takes ``bad`` for a mistake."""

    def __init__(self, file: Path) -> None:
        self.times = 0
        self.clock = Clock()
        self.file = ChangingFile(self.clock, file, self._read)

    def _read(self, path: Path) -> str:
        self.times += 1
        try:
            text = path.read_text()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        if text == "bad":
            raise ValueError(f"{path}: expected something else")
        return text

    def later(self) -> str:
        self.clock.advance(LOOK_INTERVAL)
        return self.file.current()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("first")
    return path


def test_a_file_that_does_not_change_is_read_once(path: Path) -> None:
    reader = Reader(path)
    assert [reader.later() for _ in range(5)] == ["first"] * 5
    assert reader.times == 1


def test_a_changed_file_is_read_at_the_next_use_after_a_second(path: Path) -> None:
    reader = Reader(path)
    path.write_text("second one")
    assert reader.file.current() == "first"
    assert reader.later() == "second one"
    assert [reader.later(), reader.times] == ["second one", 2]


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_has_changed(path: Path) -> None:
    reader = Reader(path)
    other = path.with_name("other")
    other.write_text("again")
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert reader.later() == "again"


def test_a_mistake_is_one_line_and_the_content_before_stays(path: Path, log: Log) -> None:
    reader = Reader(path)
    path.write_text("bad")
    assert [reader.later(), reader.later()] == ["first", "first"]
    (line,) = log.lines()
    assert line.startswith("file-not-reread ")
    assert f"file={path} " in line
    assert "expected something else" in line
    path.write_text("mended")
    assert reader.later() == "mended"
    assert log.lines()[1:] == [f"file-reread file={path}"]


def test_a_file_that_is_removed_and_comes_again_is_read(path: Path, log: Log) -> None:
    reader = Reader(path)
    path.unlink()
    assert [reader.later(), reader.later()] == ["first", "first"]
    assert len(log.lines()) == 1
    path.write_text("second one")
    assert reader.later() == "second one"


def test_a_mistake_at_the_start_is_raised(path: Path) -> None:
    path.write_text("bad")
    with pytest.raises(ValueError, match="expected something else"):
        Reader(path)


def test_the_working_directory_may_change(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``twistd --rundir`` changes it after the start."""
    monkeypatch.chdir(path.parent)
    reader = Reader(Path(path.name))
    monkeypatch.chdir("/")
    path.write_text("second one")
    assert reader.later() == "second one"
