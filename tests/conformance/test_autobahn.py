"""The Autobahn testsuite, without its 216 cases of compression, against both our sides.

All 517 cases: ``.venv/bin/python tests/conformance/testsuite.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.testsuite import AGENT, SIDES, Broken, Verdict, judge
from support import third_party

INFORMATIONAL = ["7.1.6", "7.13.1", "7.13.2"]
"""A large message and then a close; close codes that no RFC gives a meaning."""


@pytest.mark.parametrize("side", SIDES)
def test_every_case_passes(side: str) -> None:
    python27 = third_party.python27()
    if python27 is None:
        # The one skip that TXHIXIE_REQUIRE=all allows; components.python27 says why.
        pytest.skip("the Autobahn testsuite needs a Python 2.7, and none is here that runs")
    verdict = judge(side, "quick", python27)
    print(verdict)
    assert not verdict.wrong
    assert verdict.informational == INFORMATIONAL


# Tests of the verdict, which do not need the suite.


def report(directory: Path, **cases: tuple[str, str]) -> Path:
    """A report such as the suite writes: behaviours by case."""
    index = {}
    for name, (behavior, close) in cases.items():
        file = f"{AGENT}_case_{name}.json"
        found = {"behavior": behavior, "behaviorClose": close, "reportfile": file}
        index[name.replace("_", ".")] = found
        (directory / file).write_text(json.dumps({**found, "result": "so", "resultClose": "thus"}))
    (directory / "index.json").write_text(json.dumps({AGENT: index}))
    return directory


def judged(reports: Path, expected: int) -> Verdict:
    return Verdict("server", expected, Verdict.read("server", "quick", reports).cases)


def test_ok_and_informational_cases_pass_and_informational_ones_are_listed(tmp_path: Path) -> None:
    reports = report(
        tmp_path,
        **{
            "10_1": ("OK", "OK"),
            "9_1": ("INFORMATIONAL", "OK"),
            "9_2": ("OK", "INFORMATIONAL"),
        },
    )
    verdict = judged(reports, 3)
    assert not verdict.wrong
    assert list(verdict.cases) == ["9.1", "9.2", "10.1"]
    assert verdict.informational == ["9.1", "9.2"]
    assert "informational: 9.1, 9.2" in str(verdict)


@pytest.mark.parametrize("behavior", ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "anything"])
def test_a_case_with_any_other_behaviour_fails(tmp_path: Path, behavior: str) -> None:
    (line,) = judged(report(tmp_path, **{"1_1": (behavior, "OK")}), 1).wrong
    assert line.startswith(f"1.1 {behavior} (so), close OK (thus): ")


@pytest.mark.parametrize("close", ["FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT"])
def test_a_case_with_any_other_close_fails(tmp_path: Path, close: str) -> None:
    (line,) = judged(report(tmp_path, **{"1_1": ("OK", close)}), 1).wrong
    assert line.startswith(f"1.1 OK (so), close {close} (thus): ")


def test_a_report_that_lacks_cases_fails(tmp_path: Path) -> None:
    verdict = judged(report(tmp_path, **{"1_1": ("OK", "OK")}), 2)
    assert verdict.wrong == ["1 cases were run instead of 2"]


def test_a_missing_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="no report"):
        Verdict.read("server", "quick", tmp_path)
