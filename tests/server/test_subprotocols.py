"""The subprotocol of a connection whose application chooses none."""

from __future__ import annotations

from typing import Any

import pytest

from support.applications import Answering, Applications, Recorder
from support.dialect_marks import modern
from support.handshake_bytes import head_of, request, whole_request
from support.memory_connection import ServerEnd
from txhixie import Accepted


@pytest.mark.parametrize(
    ("choice", "granted"),
    [((), None), (["a", "b"], "b"), (["a"], None), (lambda offer: offer.subprotocols[0], "c,b")],
)
def test_the_factory_chooses_a_subprotocol_where_the_application_does_not(
    choice: Any, granted: str | None
) -> None:
    application = Recorder()
    end = ServerEnd(Applications(lambda: application), subprotocols=choice)
    end.receive(whole_request("hixie-76", "Sec-WebSocket-Protocol: c,b"))
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol == granted
    end.done()


@modern
@pytest.mark.parametrize(
    ("choice", "granted"),
    [
        ((), None),
        (["b", "c"], "b"),
        (["c", "b"], "c"),
        (["a"], None),
        (lambda offer: offer.subprotocols[-1], "b"),
        (lambda offer: None, None),
    ],
)
def test_of_a_list_of_subprotocols_the_servers_preference_is_granted(
    dialect: str, choice: Any, granted: str | None
) -> None:
    application = Recorder()
    end = ServerEnd(Applications(lambda: application), subprotocols=choice)
    end.receive(request(dialect, "Sec-WebSocket-Protocol: c", "sec-websocket-protocol: x, b"))
    assert application.transport.offer.subprotocols == ("c", "x", "b")
    assert application.transport.agreement is not None
    assert application.transport.agreement.subprotocol == granted
    said = [line for line in head_of(end.wire.written).split(b"\r\n") if b"Protocol:" in line]
    assert said == ([f"Sec-WebSocket-Protocol: {granted}".encode()] if granted else [])
    end.done()


@modern
def test_the_application_has_precedence_over_the_factorys_choice(
    dialect: str,
) -> None:
    for chosen in ("b", None):
        accepted = Accepted(Recorder(), chosen)
        end = ServerEnd(Answering(lambda offer, a=accepted: a), subprotocols=["c"])  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
        end.receive(request(dialect, "Sec-WebSocket-Protocol: c, b"))
        assert end.protocol.agreement is not None
        assert end.protocol.agreement.subprotocol == chosen
        end.done()
