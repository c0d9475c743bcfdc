"""An assertion about the error that is raised when a peer breaks a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVarTuple

import pytest

from txhixie.errors import PeerError

Args = TypeVarTuple("Args")


def assert_raises(
    expected: type[PeerError],
    act: Callable[[*Args], object],
    *args: *Args,
    match: str | None = None,
) -> None:
    """Assert that the error has exactly this type, and a printable text."""
    with pytest.raises(expected, match=match) as caught:
        act(*args)
    assert caught.type is expected
    assert str(caught.value).isprintable()
