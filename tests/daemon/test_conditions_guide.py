"""The table of docs/howto/access.rst has each condition, with the default of a running daemon."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from support.daemon import run_hixie
from support.guide_pages import ROOT
from support.waiting import reactor
from txhixie import DIALECTS
from txhixie.daemon.conditions import ACCESS, CONDITIONS, GUARDED
from txhixie.daemon.daemon import Daemon
from txhixie.daemon.guards.guard import Guard
from txhixie.daemon.guards.kinds import GUARDS
from txhixie.daemon.tap import Options

PAGE: Final = ROOT / "docs" / "howto" / "access.rst"


def rows() -> Iterator[tuple[str, str, str]]:
    """Option, default, and meaning with the reason of the default, of each row of the table."""
    section = PAGE.read_text("utf-8").partition("\nEach condition\n")[2]
    table = section.partition("\n\n``origins`` and")[0]
    for row in table.split("\n   * - ")[2:]:
        option, default, meaning = (" ".join(cell.split()) for cell in row.split("\n     - "))
        yield option.strip("`"), default.strip("`"), meaning


def test_the_table_has_each_condition_with_its_default_and_a_reason() -> None:
    shown = [(option, default) for option, default, _ in rows()]
    assert shown == [(setting.name, setting.default or "none") for setting in CONDITIONS]
    assert [option for option, _, meaning in rows() if len(meaning) < 60] == []


def test_the_defaults_of_the_table_are_those_that_check_prints() -> None:
    result = run_hixie("--check", "--serve", "/=echo")
    (line,) = re.findall(r"^conditions +/: (.*)$", result.stdout, re.MULTILINE)
    defaults = {option: default for option, default, _ in rows()}
    needs = {name for kind in GUARDS for name in kind.needs}
    names = [each.name for each in (*ACCESS, *GUARDED) if each in ACCESS or each.name in needs]
    assert line.split("; ") == [f"{name}={defaults[name]}" for name in names]


def daemon(*words: str) -> Daemon:
    """A daemon that does not listen, with one route."""
    options = Options()
    options.parseOptions(["--serve", "/=echo", *words])
    return Daemon(reactor, options.said)


def guards(made: Daemon) -> tuple[Guard, ...]:
    """The guards of its route."""
    (guarded,) = made.factory.applications.routes
    return guarded.guards


def test_a_daemon_has_the_defaults_of_the_table() -> None:
    """Pages of the requested host, any host, all dialects, and no guard."""
    made = daemon()
    factory = made.factory
    policy = factory.policyFor("example.com", "/")
    assert (policy.origins, policy.hosts, policy.dialects) == (None, None, DIALECTS)
    assert factory.dialects == DIALECTS
    assert guards(made) == ()


def test_a_daemon_has_the_default_realm_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")
    (guard,) = guards(daemon("--users", str(tmp_path / "users")))
    ((_, challenge),) = guard.challenges
    realm = {option: default for option, default, _ in rows()}["realm"]
    assert f'realm="{realm}"'.encode() in challenge
