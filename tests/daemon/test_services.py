"""The table of services: a new service needs one file and one row."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import txhixie.daemon.services
from support.daemon import run_hixie
from txhixie.daemon.services import SERVICES, service_for
from txhixie.daemon.services.service import Service
from txhixie.sansio.handshake.offer import Offer

HOUSE = Path(txhixie.daemon.services.__file__).parents[1]
FILES = {path.stem for path in HOUSE.glob("services/*.py")} - {"__init__", "service"}


def build(reactor: Any, description: str, options: Mapping[str, Any], context: Any) -> Any:
    """Build nothing: return the arguments."""
    return (description, options)


ROWS = (
    Service("one", ("one", "uno"), (), build),
    Service("others", (), (), build),
)


def test_every_file_has_a_row_and_every_row_a_file() -> None:
    """No two rows are built by the same file."""
    assert sorted(FILES) == sorted(row.build.__module__.rpartition(".")[2] for row in SERVICES)


def test_no_other_file_of_the_package_names_a_service() -> None:
    """A new service changes no other file."""
    naming = re.compile(r"services\.(?!service\b)\w+ import|from \.(?:\w+) import build")
    for path in HOUSE.rglob("*.py"):
        if path not in (HOUSE / "services" / "__init__.py", HOUSE / "guards" / "kinds.py"):
            assert not naming.search(path.read_text("utf-8")), path


def test_names_and_schemes_of_services_are_unique() -> None:
    names = [row.name for row in SERVICES]
    schemes = [scheme for row in SERVICES for scheme in row.schemes or ("",)]
    assert sorted(set(names)) == sorted(names)
    assert sorted(set(schemes)) == sorted(schemes)


def test_options_have_names_that_can_be_written_in_both_places() -> None:
    """A key in a description belongs to the route or to the service, never to both."""
    for row in SERVICES:
        for option in row.options:
            assert re.fullmatch("[a-z][a-z0-9-]*", option.name)
            assert option.name not in {"host", "path", "required-subprotocol", "service"}
            assert option.meaning.endswith(".")


def test_a_scheme_selects_its_row() -> None:
    assert service_for("one", ROWS).name == service_for("uno:x", ROWS).name == "one"
    assert service_for("tcp:host:1", ROWS).name == "others"


@pytest.mark.parametrize("description", ["onne", ":", "", "://x", "b c:d"])
def test_the_error_about_an_unknown_service_lists_the_known_ones(description: str) -> None:
    with pytest.raises(ValueError, match="expected a service: one, uno"):
        service_for(description, ROWS)


def test_the_daemon_runs_a_service_that_has_only_a_new_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The row alone brings the description, the options and the answers."""
    module = importlib.import_module("txhixie.daemon.served_routes")
    built: list[tuple[str, Mapping[str, Any], str]] = []

    class Applications:
        def buildProtocol(self, offer: Offer) -> None:
            return None

    def buildNew(
        reactor: Any, description: str, options: Mapping[str, Any], context: Any
    ) -> Applications:
        built.append((description, options, context.route.path))
        return Applications()

    from txhixie.daemon.daemon import Daemon
    from txhixie.daemon.options import Said
    from txhixie.daemon.route_option import read_description
    from txhixie.daemon.setting import ANY_TEXT, Setting

    row = Service("new", ("new",), (Setting("mood", ANY_TEXT, "How."),), buildNew)
    monkeypatch.setattr(module, "service_for", lambda text: service_for(text, (*SERVICES, row)))
    said = Said("", "", read_description("/x=new:thing mood=fine"))
    daemon = Daemon(object(), {"serve": [said], "port": []})
    assert built == [("new:thing", {"mood": "fine"}, "/x")]
    assert daemon.factory.elsewhere is None


def test_an_unknown_service_on_the_command_line_is_an_error_that_lists_the_known_ones() -> None:
    result = run_hixie("--serve", "/=ecko")
    assert result.stderr.splitlines()[-1].startswith("hixie: --serve /=ecko: expected a service: ")
    assert result.returncode == 1
