"""Counters of what happened at a server."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from support.applications import Answering, Applications
from support.dialect_marks import each
from support.dialect_names import NAMES
from support.guide_pages import ROOT
from support.handshake_bytes import whole_request
from support.memory_connection import ServerEnd
from txhixie import Counters, HixieServerFactory, Refusal
from txhixie.connection.counters import CAUSES, FLOODS
from txhixie.server.admission import ADMISSION_LIMITS
from txhixie.testing import echo
from txhixie.testing.end import End

events = st.lists(
    st.one_of(
        st.tuples(st.just("refuse"), st.sampled_from((None, 400, 429, 503)), st.text(max_size=3)),
        st.tuples(st.just("refuse"), st.just(503), st.sampled_from(sorted(CAUSES))),
        st.tuples(st.just("end"), st.integers(0, 5000), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("open"), st.sampled_from(NAMES)),
    )
)


def counted(happened: list[tuple[Any, ...]]) -> Counters:
    """The counters after these events."""
    counters = Counters()
    for what, *arguments in happened:
        if what == "open":
            counters.accepted += 1
            counters.opened[arguments[0]] += 1
        else:
            getattr(counters, what)(*arguments)
    return counters


@given(events, events)
def test_the_sum_of_two_counters_is_that_of_all_events(
    first: list[tuple[Any, ...]], second: list[tuple[Any, ...]]
) -> None:
    """The two are not changed by it."""
    here, there = counted(first), counted(second)
    assert here + there == counted(first + second)
    assert here == counted(first)
    assert there == counted(second)


@given(events)
def test_counters_pass_through_JSON(happened: list[tuple[Any, ...]]) -> None:
    counters = counted(happened)
    assert Counters.from_data(json.loads(json.dumps(counters.to_data()))) == counters


def test_every_cause_that_the_package_names_is_in_the_table() -> None:
    """Any other word would be counted as ``other``."""
    sources = [path.read_text("utf-8") for path in (ROOT / "txhixie").rglob("*.py")]
    named = {word for text in sources for word in re.findall(r'cause="([^"]+)"', text)}
    assert {"origin", "token", "password", "certificate", "held-bytes"} <= named
    assert named <= set(CAUSES)
    assert {option.removeprefix("max-") for option in ADMISSION_LIMITS} == FLOODS <= set(CAUSES)


def test_counters_are_not_added_to_a_number() -> None:
    with pytest.raises(TypeError):
        Counters() + 1  # type: ignore[operator]  # the test adds a wrong type


@given(events)
def test_the_number_of_counters_is_bounded_whatever_a_peer_sends(
    happened: list[tuple[Any, ...]],
) -> None:
    counters = counted(happened)
    assert {cause for _, cause in counters.refused} <= set(CAUSES)
    codes = {str(code) for code in range(1000, 1016)} | {"3xxx", "4xxx", "other"}
    assert set(counters.ended) <= codes


@each
def test_a_conversation_is_counted_when_it_opens_and_when_it_ends(dialect: str) -> None:
    end = ServerEnd(Applications(echo))
    assert end.factory.counters.accepted == 1
    end.receive(whole_request(dialect))
    assert end.factory.counters.opened == {dialect: 1}
    end.receive(end.peer.text("hello") * 3)
    assert not end.factory.counters.ended
    end.done()
    counters = end.factory.counters
    assert sum(counters.ended.values()) == 1
    assert set(counters.ended) <= {"1005", "1006"}  # the Hixie dialects may just end
    assert (counters.received, counters.sent) == (3, 3)
    assert not counters.refused


def test_each_refusal_is_counted_by_its_status_and_cause() -> None:
    bearer = Refusal(401, "no\n", cause="token")
    for applications, request, expected in (
        (Answering(lambda offer: None), whole_request("rfc6455"), (404, "not-found")),
        (Answering(lambda offer: Refusal(403)), whole_request("rfc6455"), (403, "application")),
        (Answering(lambda offer: Refusal(405)), whole_request("rfc6455"), (405, "unsupported")),
        (Answering(lambda offer: bearer), whole_request("rfc6455"), (401, "token")),
        (Answering(lambda offer: 1), whole_request("rfc6455"), (500, "failed")),
        (Applications(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", (404, "not-found")),
        (Applications(), b"no\r\n\r\n", (400, "malformed")),
        (Applications(), b"x" * 20_000, (431, "too-large")),
        (
            Applications(),
            whole_request("rfc6455", origin="http://elsewhere.example"),
            (403, "origin"),
        ),
    ):
        end = ServerEnd(applications)
        end.receive(request)
        assert end.factory.counters.refused == {expected: 1}, request
        assert not end.factory.counters.opened


def test_a_refusal_without_a_line_is_counted() -> None:
    end = ServerEnd(Answering(lambda offer: Refusal(502, logged=True)))
    end.receive(whole_request("rfc6455"))
    assert end.factory.counters.refused == {(502, "backend"): 1}


def test_a_late_request_is_counted() -> None:
    end = ServerEnd(Applications())
    end.clock.advance(11)
    assert end.factory.counters.refused == {(408, "timeout"): 1}


def test_lines_that_are_not_written_are_counted() -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(), hosts=["here.example"], clock=clock)
    for _ in range(5):
        end = End(factory.buildProtocol(None), clock)
        end.receive(whole_request("rfc6455"))
    assert factory.counters.refused == Counter({(403, "host"): 5})
    assert factory.counters.folded == 4
