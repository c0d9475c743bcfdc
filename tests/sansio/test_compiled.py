"""The optional modules in C: found where they are built, unless the environment turns them off."""

from __future__ import annotations

import pytest

from txhixie.sansio.compiled import compiled_module

VARIABLE = "TXHIXIE_PURE_PYTHON"


@pytest.mark.parametrize(
    ("value", "is_found"), [("", True), ("0", True), ("1", False), ("yes", False)]
)
def test_the_environment_turns_the_modules_off(
    monkeypatch: pytest.MonkeyPatch, value: str, is_found: bool
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert (compiled_module("math") is not None) is is_found


def test_a_module_that_is_not_built_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert compiled_module("txhixie.sansio.http._absent") is None
