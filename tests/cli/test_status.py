"""Every error has an exit status and one line; an unexpected error names its file and line."""

from __future__ import annotations

import pytest

from txhixie import errors
from txhixie.cli.status import CommandFailed, Status, line_of, status_of
from txhixie.interfaces import AbruptClose
from txhixie.sansio.closing import Ended


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.LookupFailed("x"), Status.FAILED),
        (errors.ConnectFailed("x"), Status.FAILED),
        (errors.PeerLeft("handshake"), Status.FAILED),
        (errors.InvalidHandshake("accept", "x"), Status.FAILED),
        (errors.NotOpen("x"), Status.FAILED),
        (AbruptClose(Ended(1006, "", "peer", False)), Status.FAILED),
        (errors.HandshakeRefused(404), Status.REFUSED),
        (errors.ProxyRefused(407), Status.PROXY),
        (errors.PeerLeft("proxy"), Status.PROXY),
        (errors.ConnectionFailed("x", "proxy"), Status.PROXY),
        (errors.TLSFailed("x"), Status.TLS),
        (errors.CertificateExpired("x"), Status.TLS),
        (errors.PeerLeft("tls"), Status.TLS),
        *((errors.ConnectTimeout(stage, 1), Status.LATE) for stage in errors.STAGES),
        (CommandFailed(42, "x"), 42),
    ],
)
def test_each_kind_of_error_has_its_exit_status(error: Exception, status: int) -> None:
    assert status_of(error) == status
    assert len(line_of(error).splitlines()) == 1


@pytest.mark.parametrize(
    "error",
    [
        errors.HandshakeRefused(302, ((b"location", b"x\r\n\x1b[31m"),)),
        errors.HandshakeRefused(401, ((b"www-authenticate", b"x\r\n\x1b y"),)),
        AbruptClose(Ended(1011, "x\r\n\x1b[31m\u2028", "peer", False)),
    ],
)
def test_line_ends_in_a_peer_s_text_are_escaped(error: Exception) -> None:
    assert line_of(error).isascii()
    assert line_of(error).isprintable()


def test_an_unexpected_error_names_its_file_and_line() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("x")
    line = line_of(caught.value)
    assert line.startswith(
        "internal error, please report it: KeyError: 'x', in test_status.py, line "
    )
    assert status_of(KeyError("x")) == Status.FAILED
