"""One tree of errors: whoever catches a trunk catches its branches, and each knows its answer."""

from __future__ import annotations

import inspect

import pytest

from txhixie import errors
from txhixie.errors import (
    STAGES,
    BadCompression,
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectFailed,
    ConnectionFailed,
    ConnectTimeout,
    EarlyBytes,
    FrameError,
    HandshakeError,
    HandshakeRefused,
    HixieError,
    InvalidHandshake,
    InvalidUTF8,
    LookupFailed,
    MalformedHead,
    MessageTooBig,
    NotOpen,
    PeerError,
    PeerLeft,
    ProxyRefused,
    TLSFailed,
    UnknownDialect,
    UnknownIssuer,
    UnsupportedByDialect,
    UnsupportedData,
    UnsupportedVersion,
    UsageError,
)

TREE: list[type] = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and kind.__module__ == errors.__name__
]


def test_every_error_is_one_of_ours() -> None:
    """So that one ``except`` is enough; and each is somebody's: theirs, a server's no, or ours."""
    trunks = (PeerError, HandshakeRefused, ConnectionFailed, ConnectTimeout, UsageError)
    for kind in TREE:
        assert issubclass(kind, HixieError)
        assert sum(issubclass(kind, trunk) for trunk in trunks) == (kind is not HixieError)


@pytest.mark.parametrize("kind", TREE)
def test_the_picture_of_the_tree_shows_every_error(kind: type[Exception]) -> None:
    """The tree at the top of the file is the one below it."""
    assert kind.__name__ in str(errors.__doc__)


@pytest.mark.parametrize(
    ("trunk", "branches"),
    [
        (PeerError, {HandshakeError, FrameError}),
        (
            HandshakeError,
            {MalformedHead, UnsupportedVersion, EarlyBytes, UnknownDialect, InvalidHandshake},
        ),
        (FrameError, {InvalidUTF8, BadCompression, MessageTooBig, UnsupportedData}),
        (UsageError, {NotOpen, UnsupportedByDialect}),
        (HandshakeRefused, {ProxyRefused}),
        (ConnectionFailed, {LookupFailed, ConnectFailed, TLSFailed, PeerLeft}),
        (TLSFailed, {CertificateExpired, CertificateForAnotherHost, UnknownIssuer}),
        (HixieError, {PeerError, HandshakeRefused, ConnectionFailed, ConnectTimeout, UsageError}),
    ],
)
def test_branches_grow_from_their_trunk(trunk: type[Exception], branches: set[type]) -> None:
    """Theirs, ours, and the plain no of a server are three different things."""
    assert branches <= set(trunk.__subclasses__())


@pytest.mark.parametrize(
    ("kind", "status"),
    [(MalformedHead, 400), (EarlyBytes, 400), (UnknownDialect, 426), (UnsupportedVersion, 505)],
)
def test_a_broken_handshake_knows_its_status(kind: type[HandshakeError], status: int) -> None:
    """The one a server answers with."""
    assert kind.status == status


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FrameError, 1002),
        (InvalidUTF8, 1007),
        (BadCompression, 1007),
        (MessageTooBig, 1009),
        (UnsupportedData, 1003),
    ],
)
def test_a_broken_frame_knows_its_code(kind: type[FrameError], code: int) -> None:
    """The one that closes where there are codes."""
    assert kind.code == code


def test_a_bad_answer_says_which_check_failed() -> None:
    """In a word for programs and in words for people."""
    error = InvalidHandshake("count:upgrade", "upgrade received 2")
    assert error.check == "count:upgrade"
    assert str(error) == "count:upgrade: upgrade received 2"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (HandshakeRefused, "the server refused with status 407"),
        (ProxyRefused, "the proxy refused with status 407"),
    ],
)
def test_a_refusal_holds_the_whole_answer(kind: type[HandshakeRefused], text: str) -> None:
    """And prints none of it: neither a field nor the body may show up in a log."""
    error = kind(407, ((b"set-cookie", b"secret"),), b"secret")
    assert (error.status, error.headers, error.body) == (
        407,
        ((b"set-cookie", b"secret"),),
        b"secret",
    )
    assert str(error) == text
    assert "secret" not in repr(error)
    assert (kind(400).headers, kind(400).body) == ((), b"")


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (LookupFailed, "lookup"),
        (ConnectFailed, "tcp"),
        (TLSFailed, "tls"),
        (CertificateExpired, "tls"),
        (CertificateForAnotherHost, "tls"),
        (UnknownIssuer, "tls"),
    ],
)
def test_a_way_that_ended_early_says_at_which_stage(
    kind: type[LookupFailed | ConnectFailed | TLSFailed], stage: str
) -> None:
    """For programs in a word, for people in words."""
    error = kind("in words")
    assert (error.stage, str(error)) == (stage, "in words")
    assert stage in STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_peer_may_leave_and_be_late_at_every_stage(stage: str) -> None:
    """And what it did not answer is named; for how many seconds, if it was only late."""
    left = PeerLeft(stage)
    assert left.stage == ConnectionFailed("anything", stage).stage == stage
    assert str(left) == f"the peer closed the connection: no {STAGES[stage]}"
    late = ConnectTimeout(stage, 10.0)
    assert (late.stage, late.seconds) == (stage, 10.0)
    assert str(late) == f"no {STAGES[stage]} within 10 seconds"
