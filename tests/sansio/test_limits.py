"""Limits: each has a value above zero, and a documented reason."""

from __future__ import annotations

import zlib
from dataclasses import FrozenInstanceError, fields
from math import inf, nan
from pathlib import Path
from random import Random

import pytest
from twisted.internet.defer import Deferred

from support.applications import Answering
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from txhixie.daemon.options import OPTIONS
from txhixie.sansio.limits import MOST, Limits, called, exceeds
from txhixie.testing import Applications, Pair, Recorder, echo

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "limits.rst"
BY_APPLICATION = ("messages_per_second", "bytes_per_second", "idle_timeout", "lifetime")
NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_has_a_reason(name: str) -> None:
    """A limit without a reason is a defect."""
    assert f":ivar {name}: " in str(Limits.__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_is_in_the_guide(name: str) -> None:
    """The guide names its default."""
    value = getattr(Limits(), name)
    assert f".. confval:: Limits.{name}\n   :default: {value}\n" in GUIDE.read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_bounds(name: str) -> None:
    """Sizes and counts are integers, times are seconds; none is infinite by default but those that
    need to know what the application is for."""
    value = getattr(Limits(), "largest_frame" if name == "frame_size" else name)
    if name in BY_APPLICATION:
        assert value is None
        return
    assert type(value) is (float if name.endswith(("timeout", "interval", "spread")) else int)
    assert value < 1 << 30
    assert value > 0 or name == "stop_spread"  # whose 0 is the shortest, and waits for nothing


def test_a_frame_is_never_larger_than_a_message() -> None:
    """A frame limit may be smaller; a message in one frame is bounded by both limits."""
    assert Limits(message_size=10).largest_frame == 10
    assert Limits(message_size=10, frame_size=4).largest_frame == 4
    assert Limits(message_size=10, frame_size=20).largest_frame == 10


@pytest.mark.parametrize("size", [0, 1, 1000, 1 << 20])
def test_a_compressed_frame_may_be_a_little_larger_than_its_message(size: int) -> None:
    """A compressed frame may be larger by zlib's worst case; a frame limit that was set
    explicitly stays as it is."""
    worst = zlib.compressobj(1, zlib.DEFLATED, -15, 1)
    grown = len(worst.compress(Random(1).randbytes(size)) + worst.flush(zlib.Z_SYNC_FLUSH))
    assert grown <= Limits(message_size=size).largest_transformed_frame < size * 1.1 + 100
    assert Limits(message_size=size, frame_size=7).largest_transformed_frame == min(size, 7)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("message_size", -1, "message_size: expected a number from 0 to "),
        ("frame_size", 1 << 70, "frame_size: expected a number from 0 to "),
        ("fragments", -1, "fragments: expected a number"),
        ("open_timeout", -1, "open_timeout: expected a number of seconds, not -1"),
        ("close_timeout", inf, "close_timeout: expected a number of seconds, not inf"),
        ("close_timeout", nan, "close_timeout: expected a number of seconds, not nan"),
        (
            "ping_interval",
            0,
            "ping_interval: expected more than 0 seconds, not 0; None turns it off",
        ),
        ("stall_timeout", 0, "stall_timeout: expected more than 0 seconds, not 0"),
        ("stop_timeout", -1, "stop_timeout: expected a number of seconds, not -1"),
        ("stop_spread", -1, "stop_spread: expected a number of seconds, not -1"),
        ("stop_spread", 9, r"stop_spread: expected at most stop_timeout \(8\), not 9"),
        ("ping_timeout", 0, "ping_timeout: expected more than 0 seconds, not 0"),
        ("idle_timeout", 0, "idle_timeout: expected more than 0 seconds, not 0; None turns it off"),
        ("lifetime", -1, "lifetime: expected more than 0 seconds, not -1"),
        (
            "messages_per_second",
            0,
            "messages_per_second: expected more than 0 a second, not 0; None turns it off",
        ),
        ("bytes_per_second", inf, "bytes_per_second: expected more than 0 a second, not inf"),
    ],
)
def test_an_invalid_limit_is_an_error_at_once(name: str, value: float, expected: str) -> None:
    """The error is not left to the first connection: a ping interval of 0 seconds would be a busy
    loop."""
    with pytest.raises(ValueError, match=f"^{expected}"):
        Limits(**{name: value})  # type: ignore[arg-type]  # the test passes a wrong type


@pytest.mark.parametrize("name", NAMES)
def test_a_size_or_a_number_of_things_is_an_int_and_a_time_or_a_rate_any_number(name: str) -> None:
    """The C code refuses a float, which Python code would compare: a server with
    ``message_size=1e6`` failed at the first read of every client."""
    if name.endswith(("_timeout", "_interval", "_spread", "_per_second")) or name == "lifetime":
        for value in (7, 7.5):
            assert getattr(Limits(**{name: value}), name) == value  # type: ignore[arg-type]  # the type of some fields is int
        expected = "a number"
    else:
        expected = "int"
        with pytest.raises(TypeError, match=f"^{name}: expected int, not float$"):
            Limits(**{name: 7.0})  # type: ignore[arg-type]  # the test passes a wrong type
    for wrong in ("7", True):
        with pytest.raises(TypeError, match=f"^{name}: expected {expected}, not "):
            Limits(**{name: wrong})  # type: ignore[arg-type]  # the test passes a wrong type


def test_a_limit_may_be_zero_or_very_large() -> None:
    assert Limits(early_size=0, close_timeout=0).early_size == 0
    assert Limits(message_size=MOST).largest_frame == MOST


@pytest.mark.parametrize("dialect", ["hixie-75", "rfc6455"])
def test_each_allowed_limit_can_be_counted(dialect: str) -> None:
    """The C code of the frames and zlib can hold the number too."""
    servers, client = Applications(echo), Recorder()
    pair = Pair.new(servers, client, dialect=dialect, limits=Limits(message_size=MOST))
    client.transport.sendTextMessage("x" * 1000)
    pair.pump()
    assert client.messages == ["x" * 1000]
    pair.done()


def test_limits_are_immutable() -> None:
    """All connections of a factory share them."""
    with pytest.raises(FrozenInstanceError):
        Limits().message_size = 0  # type: ignore[misc]  # the test assigns to a frozen object


def test_limits_are_compared_by_their_values() -> None:
    """Each limit can be set alone."""
    assert Limits() == Limits()
    assert Limits(message_size=5) != Limits()
    assert Limits(message_size=5).head_size == Limits().head_size


def test_one_timeout_may_be_set_for_every_stage_of_connecting() -> None:
    """A caller who asks for one timeout means that no stage takes longer."""
    limits = Limits(message_size=5).with_stage_timeout(7)
    stages = ("lookup", "tcp", "proxy", "tls", "open")
    assert {getattr(limits, f"{stage}_timeout") for stage in stages} == {7}
    assert (limits.message_size, limits.close_timeout) == (5, Limits().close_timeout)


def test_the_limits_for_clients_are_not_those_of_a_backend() -> None:
    limits = Limits(
        message_size=5, messages_per_second=1, bytes_per_second=1, idle_timeout=1, lifetime=1
    )
    assert limits.of_backends() == Limits(message_size=5)


# How an error names the limit that was reached.


def test_the_error_of_a_reached_limit_names_the_side_and_the_limit() -> None:
    assert (
        exceeds("message of 1,048,577 bytes", 1048576, "message_size")
        == "message of 1,048,577 bytes exceeds our limit of 1,048,576"
        " (Limits.message_size, --max-message-size)"
    )
    assert called("early_size") == "Limits.early_size"
    assert (
        Limits(unsent_size=1000).unsent_error(1001).startswith("send queue of 1,001 bytes exceeds ")
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_option_in_the_error_of_a_limit_is_an_option_of_the_daemon(name: str) -> None:
    """Where the daemon has an option for the limit, the error names it."""
    known = {f"--{option.name}" for option in OPTIONS}
    _, _, option = called(name).partition(", ")
    assert not option or option in known
    likely = {f"--{name.replace('_', '-')}", f"--max-{name.replace('_', '-')}"} & known
    # The daemon's is of a service, for all that it takes to reach a backend.
    assert likely - {"--connect-timeout"} <= {option}


@pytest.mark.parametrize(
    ("said", "told", "line"),
    [
        (
            b"GET / HTTP/1.1\r\nX: " + b"x" * 17_000,
            b"request header fields too large\n",
            "size of the head exceeds our limit of 16,384 (Limits.head_size, --max-head-size)",
        ),
        (
            b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 101 + b"\r\n",
            b"request header fields too large\n",
            "number of fields in the head exceeds our limit of 100 (Limits.head_fields)",
        ),
    ],
)
def test_a_refusal_does_not_name_our_limits_and_the_log_does(
    log: Log, said: bytes, told: bytes, line: str
) -> None:
    end = ServerEnd(Applications(Recorder))
    end.receive(said)
    assert end.wire.written.startswith(b"HTTP/1.1 431 ")
    assert end.wire.written.endswith(told)
    (logged,) = log.lines()
    assert line in logged
    end.done()


def test_early_messages_are_bounded_in_the_same_way(log: Log) -> None:
    end = ServerEnd(Answering(lambda offer: Deferred()), limits=Limits(early_size=10))
    end.receive(whole_request("rfc6455"))
    end.receive(b"x" * 11)
    assert end.wire.written.endswith(b"data received before the handshake completed\n")
    (logged,) = log.lines()
    assert (
        "data received before the handshake completed exceeds our limit of 10 (Limits.early_size)"
        in logged
    )
    end.done()
