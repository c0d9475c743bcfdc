"""The in-memory transport of the test kit."""

from __future__ import annotations

import pytest

from support.applications import Source
from txhixie.testing import Wire


def test_a_wire_is_stricter_than_tcp() -> None:
    wire = Wire()
    with pytest.raises(AssertionError):
        wire.write(bytearray(b"x"))  # type: ignore[arg-type]  # as a program may do, although only bytes are declared
    wire.registerProducer(Source(), True)
    with pytest.raises(RuntimeError):
        wire.registerProducer(Source(), True)
    with pytest.raises(AssertionError):
        wire.loseConnection()
    wire.unregisterProducer()
    wire.writeSequence([b"a", b"b"])
    assert (wire.written, wire.taken(), wire.taken()) == (b"ab", b"ab", b"")
    wire.loseConnection()
    wire.write(b"c")
    assert (wire.written, wire.endings) == (b"", ["lose"])
