"""Every bound has a value above nothing, and a reason."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from txhixie.limits import Limits

NAMES = [field.name for field in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_has_a_reason(name: str) -> None:
    """A number without one is a bug."""
    assert f":ivar {name}: " in str(Limits.__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_bounds(name: str) -> None:
    """Sizes and counts are whole, times are seconds; nothing is unlimited by itself."""
    value = getattr(Limits(), name)
    assert type(value) is (float if name.endswith("timeout") else int)
    assert 0 < value < 1 << 30


def test_limits_do_not_change() -> None:
    """They are shared by every connection of a factory."""
    with pytest.raises(FrozenInstanceError):
        Limits().message_size = 0  # type: ignore[misc]


def test_limits_are_compared_by_what_they_allow() -> None:
    """And each can be set alone."""
    assert Limits() == Limits()
    assert Limits(message_size=5) != Limits()
    assert Limits(message_size=5).head_size == Limits().head_size
