"""Errors of connecting: the package's, which are Twisted's errors as well."""

from __future__ import annotations

import copy
import errno
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectError, DNSLookupError, NoRouteError, UserError
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.python.failure import Failure

from txhixie import errors
from txhixie.errors import (
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectFailed,
    ConnectionFailed,
    ConnectTimeout,
    HixieError,
    LookupFailed,
    PeerLeft,
    TLSFailed,
    UnknownIssuer,
)

MADE = [
    ConnectionFailed("in words", "proxy"),
    LookupFailed("in words"),
    ConnectFailed("in words", errno.ECONNREFUSED),
    TLSFailed("in words"),
    CertificateExpired("in words"),
    CertificateForAnotherHost("in words"),
    UnknownIssuer("in words"),
    PeerLeft("tls"),
    ConnectTimeout("tcp", 2.5),
]
every_error = pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)


def test_the_list_of_errors_is_complete() -> None:
    connecting = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ConnectError)
    }
    assert {type(error) for error in MADE} == connecting


@every_error
def test_each_error_is_a_ConnectError_by_class_and_by_failure(error: HixieError) -> None:
    with pytest.raises(ConnectError):
        raise error
    failure = Failure(error)
    assert failure.check(ConnectError) is ConnectError
    assert failure.trap(HixieError) is HixieError
    assert failure.check("txhixie.errors.HixieError") == "txhixie.errors.HixieError"


@every_error
def test_our_classes_come_before_Twisteds(error: HixieError) -> None:
    """A method that both have is then the package's."""
    order = [kind.__module__.partition(".")[0] for kind in type(error).__mro__]
    twisteds = order.index("twisted")
    assert set(order[:twisteds]) == {"txhixie"}
    assert "txhixie" not in order[twisteds:]


def test_some_errors_have_further_base_classes() -> None:
    """Twisted has a class for these failures."""
    assert issubclass(ConnectTimeout, ConnectTimeoutError)
    assert issubclass(ConnectTimeout, UserError)
    assert issubclass(LookupFailed, DNSLookupError)
    assert not any(isinstance(error, OSError) for error in MADE if type(error) is not LookupFailed)


def _pickled(error: Exception) -> Any:
    return pickle.loads(pickle.dumps(error))


@every_error
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, _pickled])
def test_the_text_of_an_error_is_the_packages(error: Any, again: Callable[[Any], Any]) -> None:
    """The ``str()`` of Twisted's classes begins with a sentence of its own."""
    expected = {
        PeerLeft: "the peer closed the connection: no answer to the TLS handshake",
        ConnectTimeout: "no TCP connection within 2.5 seconds",
    }.get(type(error), "in words")
    for each in (error, again(error)):
        assert (str(each), each.args) == (expected, (expected,))
        assert (each.stage, each.osError) == (error.stage, error.osError)


def test_the_errno_of_the_system_is_kept() -> None:
    cause = NoRouteError(errno.ENETUNREACH, "Network is unreachable")
    error = ConnectFailed.of("no connection to host.example", cause)
    assert (error.osError, error.__cause__) == (errno.ENETUNREACH, cause)
    assert ConnectFailed("in words").osError is None
    assert UnknownIssuer("in words").osError is None


@pytest.mark.parametrize("name", errors.__all__)
def test_the_repr_of_an_error_has_the_name_to_import(name: str) -> None:
    value = getattr(errors, name)
    if isinstance(value, type):
        assert (value.__module__, value.__qualname__) == ("txhixie.errors", name)
        assert f"txhixie.errors\n{name}\n".encode() in pickle.dumps(value, 0)


def test_the_public_module_has_all_errors_of_both() -> None:
    there = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert {"STAGES", *there} == set(errors.__all__)
