"""The built guide: no warning, no dead link, an anchor for each option, words to search for."""

from __future__ import annotations

import ast
import inspect
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import txhixie
from support import public_api
from support.built_guide import WORDS
from support.guide_pages import ROOT
from txhixie import Limits
from txhixie.byte_streams import descriptions
from txhixie.cli.main import COMMANDS as CLI_COMMANDS
from txhixie.client.endpoint import EndpointOptions
from txhixie.daemon.adaptations import ADAPTATIONS
from txhixie.daemon.options import COMMAND_LINE_ONLY, OPTIONS
from txhixie.daemon.services import SERVICES
from txhixie.server.factory import ServerOptions


def test_the_api_pages_show_the_public_names_and_no_others(guide_html: Path) -> None:
    shown = inventory(guide_html / "api" / "objects.inv")
    shown.pop("txhixie.__main__")  # pydoctor shows it, greyed, with every setting
    assert {name for name, kinds in shown.items() if "py:module" in kinds} == {*public_api.MODULES}
    assert [name for name in shown if not public_api.is_public(name)] == []
    assert [paths for paths in public_api.paths() if not paths & shown.keys()] == []
    assert dead_links(guide_html / "api") == set()


def test_the_api_pages_show_methods_for_subclasses_and_no_internal_method(
    guide_html: Path,
) -> None:
    shown = inventory(guide_html / "api" / "objects.inv").keys()
    house = (ROOT / "docs/explanation/house.rst").read_text("utf-8")
    _, _, section = house.partition("What a subclass may change\n---")
    rows = re.findall(r"\* - `(\w+)`: (``.*``)$", section.partition("\n---")[0], re.MULTILINE)
    assert len(rows) == 7
    seam = {f"{kind}.{name}" for kind, names in rows for name in re.findall(r"``(\w+)``", names)}
    assert {name for name in seam if f"txhixie.{name}" not in shown} == set()
    conf = ast.parse((ROOT / "docs/conf.py").read_text("utf-8"))
    (table,) = (
        node.value
        for node in conf.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INTERNAL"
    )
    internal: dict[str, tuple[str, ...]] = eval(ast.unparse(table), {})
    for kind, names in internal.items():
        source = inspect.getsource(getattr(txhixie, kind))
        assert [name for name in names if not re.search(rf"\b{name}\b", source)] == [], kind
        assert [name for name in names if f"txhixie.{kind}.{name}" in shown] == [], kind


def dead_links(folder: Path) -> set[str]:
    """Find the links between pages of a folder whose target does not exist."""
    links = {
        link
        for page in folder.glob("*.html")
        for link in re.findall(r'href="([^"#:]+)[#"]', page.read_text("utf-8"))
    }
    return {link for link in links if not (folder / link).exists()}


def inventory(path: Path) -> dict[str, set[str]]:
    """Read the objects of the built pages: full names, and the kinds of each (``py:class``)."""
    lines = zlib.decompress(path.read_bytes().split(b"\n", 4)[4]).decode("utf-8").splitlines()
    found: dict[str, set[str]] = {}
    for name, kind in re.findall(r"^(.+?) (\S+:\S+) ", "\n".join(lines), re.MULTILINE):
        found.setdefault(name, set()).add(kind)
    return found


def keywords(*functions: Any) -> set[str]:
    """The keyword parameters of functions that read an endpoint description."""
    return {
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty and name != "port"
    }


def options(kind: str) -> set[str]:
    """The names that the guide has an anchor for, as the code has them."""
    if kind == "daemon":
        return {f"twistd-hixie.--{option.option}" for option in (*OPTIONS, *COMMAND_LINE_ONLY)}
    if kind == "services":
        parts = {each.name for row in SERVICES if row.name != "targets" for each in row.options}
        return {
            f"{row.name}-service.{option.name}"
            for row in SERVICES
            for option in row.options
            if row.name != "targets"
            or option.name not in parts  # theirs: see docs/option_tables.py
        }
    if kind == "routes":
        return {f"route.{option.name}" for option in ADAPTATIONS}
    if kind == "limits":
        return {f"Limits.{field.name}" for field in fields(Limits)}
    if kind == "client strings":
        readers = descriptions.makeClient, descriptions.parseWSS
        return {f"ws-client.{name}" for name in keywords(*readers)}
    if kind == "server strings":
        return {f"ws-server.{name}" for name in keywords(descriptions.makeServer)}
    return {*ServerOptions.__annotations__, "elsewhere", *EndpointOptions.__annotations__}


@pytest.mark.parametrize(
    "kind",
    [
        "daemon",
        "services",
        "routes",
        "limits",
        "servers and clients",
        "client strings",
        "server strings",
    ],
)
def test_every_option_has_an_anchor(kind: str, guide_html: Path) -> None:
    """The guide has no option that the code does not have."""
    named = {"std:confval", "std:cmdoption"}
    objects = inventory(guide_html / "objects.inv")
    shown = {name for name, kinds in objects.items() if kinds & named}
    expected = options(kind)
    assert expected - shown == set()
    family = {name.partition(".")[0] for name in expected if "." in name}
    assert {name for name in shown if name.partition(".")[0] in family} <= expected


@pytest.mark.parametrize("command", ["connect", "doctor"])
def test_every_option_of_the_command_line_has_an_anchor(command: str, guide_html: Path) -> None:
    from txhixie.cli.main import parser

    assert command in {row.name for row in CLI_COMMANDS}
    actions = parser()._actions
    (commands,) = [each.choices for each in actions if isinstance(each.choices, dict)]
    helped = set(re.findall(r"(?<![\w-])--[a-z-]+(?=[ ,\n])", commands[command].format_usage()))
    shown = inventory(guide_html / "objects.inv")
    assert helped
    assert {name for name in helped if f"txhixie-{command}.{name}" not in shown} == set()


@pytest.mark.parametrize("word", WORDS)
def test_the_index_leads_from_a_word_to_its_page(word: str, guide_html: Path) -> None:
    """The page has the word in its title or in an index entry, which Sphinx's search ranks before
    other text."""
    script = (guide_html / "searchindex.js").read_text("utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    known = re.compile(rf"\b{re.escape(word)}", re.IGNORECASE)
    for name in WORDS[word].split():
        page = index["docnames"].index(name)
        entries = [entry for entry, found in index["indexentries"].items() if in_page(found, page)]
        assert any(map(known.search, [index["titles"][page], *entries])), (name, entries)


def in_page(found: Iterable[list[Any]], page: int) -> bool:
    """Whether one of the anchors is on a page."""
    return any(place[0] == page for place in found)
