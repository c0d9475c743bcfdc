"""The tree of error classes: base classes, HTTP statuses and close codes, and texts."""

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


def test_every_error_inherits_from_the_base_class() -> None:
    """One ``except`` catches all errors. Each error is a fault of the peer, a refusal by the
    server, or a mistake of the caller."""
    trunks = (PeerError, HandshakeRefused, ConnectionFailed, ConnectTimeout, UsageError)
    for kind in TREE:
        assert issubclass(kind, HixieError)
        assert sum(issubclass(kind, trunk) for trunk in trunks) == (kind is not HixieError)


@pytest.mark.parametrize("kind", TREE)
def test_the_docstring_of_the_module_shows_every_error(kind: type[Exception]) -> None:
    """The diagram in the module's docstring has every class of the module."""
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
def test_each_error_inherits_from_the_class_of_its_kind(
    trunk: type[Exception], branches: set[type]
) -> None:
    """Errors of the peer, mistakes of the caller and refusals by a server have different base
    classes."""
    assert branches <= set(trunk.__subclasses__())


@pytest.mark.parametrize(
    ("kind", "status"),
    [(MalformedHead, 400), (EarlyBytes, 400), (UnknownDialect, 426), (UnsupportedVersion, 505)],
)
def test_a_handshake_error_has_the_HTTP_status_of_the_response(
    kind: type[HandshakeError], status: int
) -> None:
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
def test_a_frame_error_has_its_close_code(kind: type[FrameError], code: int) -> None:
    """The close code is sent in the dialects that have close codes."""
    assert kind.code == code


def test_an_invalid_handshake_names_the_check_that_failed() -> None:
    """``check`` is for programs, the text for people."""
    error = InvalidHandshake("count:upgrade", "upgrade received 2")
    assert error.check == "count:upgrade"
    assert str(error) == "count:upgrade: upgrade received 2"


def test_a_refusal_for_missing_credentials_says_how_to_pass_them() -> None:
    assert str(HandshakeRefused(401)) == (
        "the server refused with status 401; pass credentials: NAME:PASSWORD@ in the URL, or "
        'headers={"Authorization": ...}'
    )
    assert str(ProxyRefused(401)) == "the proxy refused with status 401"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (HandshakeRefused, "the server refused with status 407"),
        (ProxyRefused, "the proxy refused with status 407"),
    ],
)
def test_a_refusal_keeps_the_response_and_prints_none_of_it(
    kind: type[HandshakeRefused], text: str
) -> None:
    """No header field and no body of a response may appear in a log."""
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
def test_a_failed_connection_names_its_stage(
    kind: type[LookupFailed | ConnectFailed | TLSFailed], stage: str
) -> None:
    """``stage`` is for programs, the text for people."""
    error = kind("in words")
    assert (error.stage, str(error)) == (stage, "in words")
    assert stage in STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_an_early_close_and_a_timeout_name_the_stage(stage: str) -> None:
    """The text names the missing response; that of a timeout names the number of seconds, too."""
    left = PeerLeft(stage)
    assert left.stage == ConnectionFailed("anything", stage).stage == stage
    assert str(left) == f"the peer closed the connection: no {STAGES[stage]}"
    late = ConnectTimeout(stage, 10.0)
    assert (late.stage, late.seconds) == (stage, 10.0)
    assert str(late) == f"no {STAGES[stage]} within 10 seconds"
