"""The file of a recording: its content is bounded, and whole after each examination."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from txhixie import Limits
from txhixie.cli.devices.examination import Examination
from txhixie.cli.devices.recording import MOST_RECORDED, Recording

NOW = datetime(2026, 11, 29, 1, 2, 3, tzinfo=UTC)


def examination(data: bytes) -> Examination:
    made = Examination("192.0.2.7:1", "192.0.2.7", False, Limits(), lambda result: None)
    made.received(data)
    made.lost()
    return made


def test_the_file_is_whole_after_each_examination(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    recording = Recording(str(path))
    for count in (1, 2):
        recording.add(examination(b"GET / HTTP/1.1\r\n\r\n"), NOW)
        assert len(json.loads(path.read_text("utf-8"))["connections"]) == count
    recording.close()


def test_only_the_first_examinations_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    recording = Recording(str(path))
    for number in range(MOST_RECORDED + 3):
        recording.add(examination(b"GET /%d HTTP/1.1\r\n\r\n" % number), NOW)
    content = json.loads(path.read_text("utf-8"))
    recording.close()
    assert (len(content["connections"]), content["not_recorded"]) == (MOST_RECORDED, 3)
    first = content["connections"][0]
    assert first["ended"] == "2026-11-29T01:02:03.000+00:00"
    assert first["request"] == ["GET /0 HTTP/1.1", ""]


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Recording(str(tmp_path / "none" / "a.json"))
