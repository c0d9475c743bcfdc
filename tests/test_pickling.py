"""Errors and public values survive ``pickle`` and ``copy``: between processes, and in caches."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from twisted.internet.address import HostnameAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.web.iweb import IResponse

import txhixie
from txhixie import (
    DIALECTS,
    AbruptClose,
    Accepted,
    Agreement,
    Backoff,
    CleanClose,
    ConnectionFailed,
    ConnectTimeout,
    Counters,
    Delivery,
    HandshakeRefused,
    HixieError,
    InvalidHandshake,
    Limits,
    Offer,
    PeerLeft,
    Proxy,
    ProxyRefused,
    Refusal,
)
from txhixie.dialing.stage import Abandoned
from txhixie.dom.events import CloseEvent, Event, MessageEvent
from txhixie.sansio.closing import Ended
from txhixie.sansio.extensions.deflate_frame import DeflateFrame
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.http.head import Head
from txhixie.sansio.http.url import Credentials, parse_url
from txhixie.sansio.wire.frame import Close
from txhixie.testing import Recorder
from txhixie.websocket import ConnectionRejected, RefusedResponse

ENDED: Final = Ended(4003, "no more", "peer", True)


def _made(kind: type[BaseException]) -> BaseException:
    """One of each error, with all that it can hold."""
    if issubclass(kind, HandshakeRefused):
        return kind(403, ((b"X-Why", b"secret"),), b"body")
    if issubclass(kind, (CleanClose, AbruptClose)):
        return kind(ENDED)
    if issubclass(kind, ConnectionRejected):
        return kind(_response())
    if issubclass(kind, ConnectTimeout):
        return kind("tls", 2.5)
    if issubclass(kind, InvalidHandshake):
        return kind("count:upgrade", "upgrade received 2")
    if issubclass(kind, PeerLeft):
        return kind("handshake")
    if kind is Abandoned:
        return kind(HostnameAddress(b"host.example", 443), "tls")
    if kind is ConnectionFailed:
        return ConnectionFailed("in words", "proxy")
    return kind("in words")


def _response() -> Any:
    response: IResponse = RefusedResponse(HandshakeRefused(404, ((b"x-a", b"1"),), b"gone"))
    return response


def _errors() -> Iterator[type[BaseException]]:
    """Every error of every module but those of the command line, which end a program."""
    for module in pkgutil.walk_packages(txhixie.__path__, "txhixie."):
        if module.name.endswith("__main__") or module.name.startswith("txhixie.cli"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if (
                inspect.isclass(value)
                and issubclass(value, BaseException)
                and value.__module__ == module.name
                and not name.startswith("_")
            ):
                yield value


ERRORS: Final = sorted(_errors(), key=lambda kind: kind.__qualname__)

WAYS: Final[dict[str, Callable[[Any], Any]]] = {
    **{
        f"pickle {protocol}": lambda value, protocol=protocol: pickle.loads(  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
            pickle.dumps(value, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def _facts(error: BaseException) -> dict[str, Any]:
    return {key: value for key, value in vars(error).items() if key != "response"}


@every_way
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__qualname__)
def test_every_error_survives_a_copy(kind: type[BaseException], way: Callable[[Any], Any]) -> None:
    error = _made(kind)
    error.add_note("where it was")
    again = way(error)
    assert type(again) is kind
    assert again is not error
    if not isinstance(error, ConnectionRejected):  # its response is another object then
        assert (str(again), again.args) == (str(error), error.args)
    assert _facts(again) == _facts(error)
    assert again.__notes__ == ["where it was"]


def test_the_errors_of_all_modules_are_found() -> None:
    """Otherwise the test above would test no error."""
    assert {InvalidHandshake, ProxyRefused, CleanClose, ConnectionRejected, HixieError} <= set(
        ERRORS
    )


@every_way
def test_the_reason_of_a_close_survives_a_copy(way: Callable[[Any], Any]) -> None:
    for kind, twisted in ((CleanClose, ConnectionDone), (AbruptClose, ConnectionLost)):
        again = way(kind(ENDED))
        assert (again.code, again.reason, again.orderly) == (4003, "no more", True)
        assert isinstance(again, twisted)


@every_way
def test_a_rejected_connection_keeps_its_response(way: Callable[[Any], Any]) -> None:
    again = way(ConnectionRejected(_response()))
    assert again.response.code == 404
    assert again.response.headers.getRawHeaders(b"x-a") == [b"1"]


@every_way
def test_an_error_class_of_a_user_survives_a_copy(way: Callable[[Any], Any]) -> None:
    """The ``__init__`` of the user's class takes other arguments than its base class."""
    again = way(Ours(7))
    assert (again.number, again.status, str(again)) == (
        7,
        429,
        "the server refused with status 429",
    )


class Ours(HandshakeRefused):
    """An error class of a user."""

    def __init__(self, number: int) -> None:
        super().__init__(429)
        self.number = number


@every_way
def test_a_Failure_with_an_error_survives_a_copy(way: Callable[[Any], Any]) -> None:
    try:
        raise InvalidHandshake("accept", "another key")
    except InvalidHandshake:
        failure = Failure()
    failure.cleanFailure()
    assert way(failure).value.check == "accept"


VALUES: Final[list[Any]] = [
    Limits(message_size=5, ping_interval=None),
    Backoff(),
    Offer(
        "rfc6455",
        "/a?b=c",
        "example.com",
        origin="https://example.com",
        subprotocols=("chat",),
        head=Head.of(b"GET / HTTP/1.1", ((b"X-A", b"1"),)),
        client="192.0.2.1",
    ),
    Agreement("chat", ((b"Set-Cookie", b"a=b"),), (("permessage-deflate", ()),)),
    Refusal(403, "no", ((b"X-Why", b"you"),)),
    Proxy(True, "proxy", 3128, Credentials("name", "password")),
    parse_url("wss://name:password@example.com/chat"),
    Close(1000, "bye"),
    ENDED,
    Counters(),
    Credentials("name", "password"),
    Delivery(5, 4, 3, 2, 1, 0),
    PermessageDeflate(),
    DeflateFrame(),
    Event(type="open"),
    MessageEvent(type="message", data="text", origin="ws://example.com"),
    CloseEvent(type="close", wasClean=True, code=1000, reason=""),
    *DIALECTS,
]


@every_way
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_every_value_survives_a_copy(value: Any, way: Callable[[Any], Any]) -> None:
    again = way(value)
    assert type(again) is type(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, Event):
        for field in dataclasses.fields(value):
            before, after = getattr(value, field.name), getattr(again, field.name)
            assert type(after) is type(before), field.name
            assert after == before, field.name
    elif not isinstance(value, Event):
        assert again == value


@every_way
def test_an_Accepted_survives_a_copy(way: Callable[[Any], Any]) -> None:
    again = way(Accepted(Recorder(), "chat", ((b"Set-Cookie", b"a=b"),)))
    assert (again.subprotocol, again.headers) == ("chat", ((b"Set-Cookie", b"a=b"),))
    assert isinstance(again.application, Recorder)


def test_every_public_value_class_is_tested() -> None:
    """The data classes and named tuples of ``import txhixie``."""
    public = {
        value
        for value in (getattr(txhixie, name) for name in txhixie.__all__)
        if inspect.isclass(value)
        and (dataclasses.is_dataclass(value) or (issubclass(value, tuple) and value is not tuple))
    }
    assert public <= {type(value) for value in VALUES} | {Accepted}
