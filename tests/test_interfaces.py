"""The interfaces of applications and transports: their types, and their match with Twisted's
module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.error import ConnectionClosed, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.web import websocket

from support.applications import Plain, Recorder
from support.dialect_marks import each
from support.memory_connection import opened
from txhixie import (
    AbruptClose,
    Accepted,
    CleanClose,
    HixieClientProtocol,
    HixieServerProtocol,
    WebSocketProtocol,
    WebSocketTransport,
)
from txhixie.sansio.closing import Ended
from txhixie.sansio.wire.frame import Side

if TYPE_CHECKING:
    # Read by mypy only.
    from typing import assert_type

    def _transports(server: HixieServerProtocol, client: HixieClientProtocol) -> None:
        ours: WebSocketTransport = server
        ours = client
        theirs: websocket.WebSocketTransport = ours
        del theirs

    def _applications() -> None:
        ours: WebSocketProtocol = Recorder()
        theirs: websocket.WebSocketProtocol = Plain()
        ours = Plain()
        del theirs
        assert_type(Accepted(ours).subprotocol, str | None)


def methods(protocol: type) -> set[str]:
    """Return the public methods of a class."""
    return {name for name in vars(protocol) if not name.startswith("_")}


def test_an_application_has_the_methods_of_Twisteds_own() -> None:
    assert methods(WebSocketProtocol) == methods(websocket.WebSocketProtocol)


def test_a_transport_has_the_methods_of_Twisteds_own_and_more() -> None:
    assert methods(websocket.WebSocketTransport) < methods(WebSocketTransport)


@pytest.mark.parametrize("protocol", [HixieServerProtocol, HixieClientProtocol])
def test_the_transports_of_both_sides_have_all_documented_members(protocol: type) -> None:
    end, _ = opened("hixie-76")
    assert all(hasattr(end.protocol, name) for name in methods(WebSocketTransport))
    assert all(
        hasattr(protocol, name) or name in ("offer",) for name in methods(WebSocketTransport)
    )
    end.done()


@each
@pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
def test_the_interface_of_a_transport_is_the_same_in_every_dialect(dialect: str, side: str) -> None:
    """Arguments that only some dialects use are accepted in every dialect."""
    end, application = opened(dialect, side=side, binary="send")
    transport = application.transport
    assert transport.offer.dialect == dialect
    assert transport.agreement is not None
    assert transport.agreement.extensions == ()
    assert transport.latency is None
    assert not transport.full
    for compress in (None, True, False):
        transport.sendTextMessage("hello", compress)
        transport.sendBytesMessage(b"hello", compress=compress)
    assert end.wire.written == (end.own.text("hello") + end.own.binary(b"hello")) * 3
    end.done()


def test_the_reason_of_a_close_is_one_of_Twisteds_classes() -> None:
    clean = Failure(CleanClose(Ended(1000, "bye", "peer", True)))
    abrupt = Failure(AbruptClose(Ended(1006, "", "peer", False)))
    assert clean.check(ConnectionDone)
    assert not clean.check(ConnectionLost)
    assert abrupt.check(ConnectionLost)
    assert not abrupt.check(ConnectionDone)
    assert all(failure.check(ConnectionClosed) for failure in (clean, abrupt))


def test_the_reason_of_a_close_has_the_code_and_the_close_reason() -> None:
    ended = Ended(4000, "enough", "us", True)
    close = CleanClose(ended)
    assert (close.code, close.reason, close.ended) == (4000, "enough", ended)
    assert "enough" in str(close)
    assert "1005" in str(AbruptClose(Ended(1005, "", "us", False)))
