"""The page for programs that use Autobahn: its tables are complete and name existing options."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest

from support.guide_pages import ROOT
from support.third_party import python_with
from txhixie import HixieClientFactory, HixieServerFactory, Limits

PAGE = (ROOT / "docs" / "howto" / "migrating-autobahn.rst").read_text(encoding="utf-8")
SERVER, CLIENT = (
    PAGE.partition("setProtocolOptions`` of a server's factory")[2].partition("and of a client's:")
)[::2]
TABLES = {
    "WebSocketServerFactory": SERVER,
    "WebSocketClientFactory": CLIENT.partition("Order of the calls")[0],
}
OURS = SERVER + TABLES["WebSocketClientFactory"]


@pytest.mark.parametrize("side", TABLES)
def test_every_option_of_the_installed_autobahn_is_in_the_table(side: str) -> None:
    """And the table has no other options. Each has our counterpart or a reason."""
    python_with("autobahn", get="PyPI: autobahn")
    from autobahn.twisted import websocket

    factory = getattr(websocket, side)
    options = list(inspect.signature(factory.setProtocolOptions).parameters)[1:]
    rows = re.findall(r"^``(\w+)``", TABLES[side], flags=re.MULTILINE)
    assert rows == options


def test_the_limits_and_options_that_the_tables_name_exist() -> None:
    limits = set(re.findall(r"`Limits\.(\w+)`", OURS))
    assert limits
    assert limits <= {field.name for field in fields(Limits)}
    keywords = set(re.findall(r"``(\w+)=", OURS))
    known = {
        name
        for factory in (HixieServerFactory, HixieClientFactory)
        for name in inspect.signature(factory).parameters
    }
    assert keywords
    assert keywords <= known


@pytest.mark.parametrize("side", TABLES)
def test_the_defaults_that_the_tables_name_are_autobahns(side: str) -> None:
    python_with("autobahn", get="PyPI: autobahn")
    from autobahn.twisted import websocket

    factory = getattr(websocket, side)()
    shown = re.findall(r"^``(\w+)`` = (\d+|True|False|\[.*?\])(?=[ ,])", TABLES[side], re.MULTILINE)
    assert len(shown) > 10
    for name, value in shown:
        assert str(getattr(factory, name)).replace("'", '"') == value, name
