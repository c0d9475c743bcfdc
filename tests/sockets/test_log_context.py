"""The log context of several connections."""

from __future__ import annotations

import pytest

from txhixie.sockets.log_context import LogContext, prefix_of


class Transport:
    """A transport with a log prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def logPrefix(self) -> str:
        """Return the prefix."""
        return self.prefix


class Broken:
    """A transport without a log prefix."""

    def logPrefix(self) -> str:
        """Raise an error."""
        raise RuntimeError("no prefix")


def test_a_line_has_the_prefix_of_the_connection_that_is_called_then() -> None:
    called = [Transport("one")]
    log_context = LogContext(lambda: prefix_of(called[-1]))
    assert log_context.copy() == {"isError": 0, "system": "one"}
    called.append(Transport("two"))
    assert log_context.copy() == {"isError": 0, "system": "two"}
    assert log_context["system"] == "two"


def test_the_prefix_is_not_made_before_a_line_is_logged() -> None:
    log_context = LogContext(lambda: prefix_of(Broken()))
    assert dict(log_context) == {"isError": 0}


def test_a_prefix_that_cannot_be_made_is_replaced() -> None:
    assert prefix_of(Broken()) == "(buggy logPrefix method)"


def test_the_context_has_no_other_entries() -> None:
    with pytest.raises(KeyError, match="severity"):
        LogContext(str)["severity"]
