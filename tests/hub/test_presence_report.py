"""Reports of numbers of members: their form, and what is no report."""

from __future__ import annotations

import pytest

from txhixie.hub.presence_report import (
    COUNT_BYTES,
    HEAD_BYTES,
    PRESENCE_TOPIC,
    Count,
    PresenceReport,
    decode_report,
    topic_key,
)


def test_a_report_is_read_as_it_was_written() -> None:
    counts = (Count(topic_key("room"), 12, True), Count(topic_key("ä" * 400), 0, False))
    for report in (
        PresenceReport("worker-1", counts),
        PresenceReport("n", ()),
        PresenceReport("n", None),
    ):
        assert decode_report(report.encode()) == report


def test_a_count_and_the_rest_of_a_report_have_a_bound() -> None:
    count = Count(topic_key("room"), 10**9, True)
    assert len(PresenceReport("n" * 48, (count,) * 100).encode()) <= HEAD_BYTES + 100 * COUNT_BYTES


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"hello",
        b"12",
        b"[]",
        b'["n"]',
        b'["n", 12]',
        b'["n", [12]]',
        b'["n", [["short", 1, 0]]]',
        b'["n", [["0123456789abcdef", -1, 0]]]',
        b'["n", [["0123456789abcdef", 1.5, 0]]]',
        b'["n", [["0123456789abcdef", true, 0]]]',
        b'["n", [["0123456789abcdef", 1e99, 0]]]',
        b'["n", [["0123456789abcdef", 1]]]',
        b'["", null]',
        b"[null, null]",
        b'["%s", null]' % (b"n" * 49),
        b"[" * 100_000,
    ],
)
def test_another_message_is_no_report(payload: bytes) -> None:
    with pytest.raises(ValueError, match="expected"):
        decode_report(payload)


def test_no_path_of_a_request_is_the_topic_of_the_reports() -> None:
    assert not PRESENCE_TOPIC.isprintable()
