"""Where the tests of a module are: ``tests/a/test_b.py`` for ``txhixie/a/b.py``.

A theme of a module that fills a file of its own is ``test_b_theme.py`` beside it, and a package
with code in its ``__init__.py`` is tested as a module of that name is. Other modules and other test
files stand here, each with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent
PACKAGE: Final = TESTS.parent / "txhixie"

COMMAND: Final = "its output is what counts: tests/cli/test_main.py runs the command"
DOCTOR: Final = "its output is what counts: tests/cli/test_doctor.py runs the command"
LISTENS: Final = "its output is what counts: tests/cli/test_doctor_listen.py runs the command"
RELOAD: Final = "a part of the reload of a real daemon: daemon/test_listener_reload.py"
WORKERS: Final = "processes of a real daemon: daemon/workers/test_workers_daemon.py"
OF_DAEMON: Final = "a part of a daemon: daemon/test_tap.py and daemon/test_options.py"
SYSTEMD: Final = "sockets of systemd, for a real daemon: daemon/test_systemd.py"
NAMES: Final = "only names of other modules, which tests/test_public.py holds"

BUS_SERVER: Final = "a bus and its real server: tests/peers/test_bus.py"
NATS_SERVER: Final = "a bus and its real server: tests/asyncio_reactor/test_nats.py"
MEMBERS: Final = "the members of a topic, in all dialects: hub/test_service.py"

WITHOUT: Final = {
    "__main__": "tests/cli/test_main.py runs it: test_python_m_txhixie_runs_the_command",
    "bus/bus": "types of the buses: tests/bus/test_local.py",
    "bus/failures": "subscribers that raise: bus/test_battery.py",
    "bus/nats": NATS_SERVER,
    "bus/nats_connection": NATS_SERVER,
    "bus/nats_parser": NATS_SERVER,
    "bus/nats_transport": NATS_SERVER,
    "bus/packets": "packets of the bus of workers: bus/test_workers.py",
    "bus/relay": "the parent of the bus of workers: bus/test_workers.py",
    "daemon/exit_status": WORKERS,
    "daemon/sockets/shared_socket": WORKERS,
    "daemon/workers/main": WORKERS,
    "daemon/workers/parent_sockets": WORKERS,
    "daemon/workers/share": WORKERS,
    "daemon/workers/worker": WORKERS,
    "daemon/workers/worker_process": WORKERS,
    "daemon/workers/worker_processes": WORKERS,
    "daemon/workers/worker_sockets": WORKERS,
    "daemon/workers/bus_link": "the bus of workers over real links: bus/test_battery.py",
    "bus/reach": BUS_SERVER,
    "bus/redis_address": "URLs of the table of buses: tests/bus/test_rows.py",
    "bus/redis_streams": BUS_SERVER,
    "bus/server_url": "URLs of the table of buses: tests/bus/test_rows.py",
    "hub/delivery": MEMBERS,
    "hub/hub": MEMBERS,
    "hub/joining": MEMBERS,
    "hub/member": MEMBERS,
    "hub/objects": MEMBERS,
    "byte_streams/endpoint": "both halves of its descriptions: byte_streams/test_descriptions.py",
    "cli/advice": DOCTOR,
    "cli/certificates": DOCTOR,
    "cli/checks": DOCTOR,
    "cli/devices/deviation": "a type, whose values are those of cli/devices/test_remedies.py",
    "cli/devices/examination": LISTENS,
    "cli/devices/examine": LISTENS,
    "cli/devices/messages": LISTENS,
    "cli/devices/offers": LISTENS,
    "cli/devices/report": LISTENS,
    "cli/foreground": "the server of the command: tests/cli/test_serve.py",
    "cli/modes": COMMAND,
    "cli/round_trips": "its line is part of the output: tests/cli/test_presentation.py",
    "cli/signals": COMMAND,
    "cli/stdio": COMMAND,
    "client/requesting": "the request of the connections of client/test_factory.py",
    "client/tracked": "a part of the service of client/service.py, in client/test_service.py",
    "connection/acknowledged": "what the kernel tells of a real peer: connection/test_progress.py",
    "connection/group": "what the connections of a factory share: connection/test_factory.py",
    "connection/peer_end": "a peer that disconnects: connection/test_protocol_rate.py",
    "connection/option_names": "options of every public name: tests/test_given_options.py",
    "connection/shutdown": "states of the connection of connection/test_protocol.py",
    "daemon/backend_options": "options of services: daemon/services/test_gateway_request.py",
    "daemon/daemon": "a whole daemon, in daemon/test_tap.py and daemon/test_options.py",
    "daemon/errors": OF_DAEMON,
    "daemon/given_options": OF_DAEMON,
    "daemon/option_notes": OF_DAEMON,
    "daemon/port_endpoints": OF_DAEMON,
    "daemon/served_routes": OF_DAEMON,
    "daemon/working_directory": "twistd --rundir and a reload: daemon/test_listener_reload.py",
    "daemon/guards/backend_fields": "a table, which daemon/guards/test_guard.py sends",
    "daemon/guards/kinds": "a table, which daemon/guards/test_shared_guards.py holds",
    "daemon/guards/guard_kind": "types of the table of guards, in daemon/guards/test_guard.py",
    "daemon/guards/certificate_subject": "in daemon/guards/test_client_certificate.py",
    "daemon/draining": "a daemon that stops: daemon/status/test_health_daemon.py",
    "daemon/hangup": RELOAD,
    "daemon/sockets/inherited_endpoint": SYSTEMD,
    "daemon/sockets/inherited_port": SYSTEMD,
    "daemon/sockets/listening_sockets": RELOAD,
    "daemon/page_answer": "responses of the console page: daemon/test_console.py",
    "daemon/sockets/replaceable_factory": RELOAD,
    "daemon/services/echo": "the service of the daemons in tests: daemon/test_tap.py",
    "daemon/sockets/socket_change": RELOAD,
    "daemon/signal_call": "SIGUSR2 of a real daemon: daemon/test_trace_daemon.py",
    "connection/tally": "a row of the last ends: connection/test_recent.py",
    "daemon/status/address_tally": "a row of the survey: daemon/status/test_survey.py",
    "daemon/status/collector": "the metrics: daemon/status/test_metrics_page_daemon.py",
    "daemon/status/route_names": "a column of the survey: daemon/status/test_survey.py",
    "daemon/status/viewers": "who reads the status: daemon/status/test_status_page_daemon.py",
    "daemon/status/leaf_page": "its page is one of health: daemon/status/test_health_daemon.py",
    "daemon/status/own_pages": "pages of a whole daemon: daemon/status/test_health_daemon.py",
    "dialing/tls_arguments": "arguments of the client's endpoint: test_given_options.py",
    "dialing/tls_descriptions": "checks of a certificate's name: dialing/test_identity.py",
    "dialing/unverified": "beside the checked context: dialing/test_tls.py",
    "extensions": NAMES,
    "gateway/relay_service": "with its services: gateway/test_session.py, gateway/test_failover.py",
    "gateway/page_errors": "an error that gateway/test_pages.py causes",
    "gateway/page_transfer": "connections to the backends of gateway/test_pages.py",
    "gateway/service": "with its backend and its route: daemon/services/test_gateway.py",
    "gateway/websocket_backend": "with its service: daemon/services/test_gateway_backend.py",
    "server/deciding": "decisions of the connections of server/test_protocol.py",
    "server/factory": "with its base: connection/test_factory.py",
    "server/handshake": "a part of the connection of server/test_protocol.py",
    "sansio/errors": "tests/test_errors.py holds the tree of all errors",
    "sansio/http/response_parser": "responses of backends: sansio/http/test_page_exchange.py",
    "sansio/wire/wrapping": "the base of the framing of sansio/wire/test_fragmented.py",
    "sansio/port": "a typing Protocol, with an empty implementation",
    "sansio/types": "names of types",
    "server/counted_socket": "connections of a Site: server/test_refused_connections.py",
    "server/family_factory": "the factory of one of two ports: server/test_both_families.py",
    "server/page_connections": "stalled downloads: connection/test_progress.py",
    "server/refused_page": "refusals of guards and of gateways: gateway/test_pages.py",
    "server/second_signal": "signals to a process: server/test_stopping.py",
    "server/tls/errors": "an error that server/tls/test_certificates.py causes",
    "stream": NAMES,
    "testing/applications": "the applications of the pair: testing/test_pair.py",
    "testing/end": "one side of the pair: testing/test_pair.py",
}
"""Modules that have no test file of their own, by their path in the package."""

WHOLE: Final = {
    "asyncio_reactor/": "buses that need the asyncio reactor",
    "browser/": "browsers, with a daemon",
    "conformance/": "the testsuite of Autobahn",
    "peers/": "programs and libraries of others",
    "bus/test_battery": "what each bus promises",
    "daemon/workers/test_room_daemon": "rooms of a daemon with workers",
    "daemon/workers/test_workers_daemon": "a daemon with workers",
    "daemon/workers/test_presence_daemon": "members at several workers of a daemon",
    "daemon/workers/test_bus_process": "the bus of workers, in worker processes",
    "daemon/test_connection_poller_daemon": "a daemon with a connection poller, or without one",
    "daemon/test_freed_memory_daemon": "a daemon that keeps freed memory, or returns it",
    "daemon/test_trace_daemon": "a daemon with a trace and a flight recorder",
    "daemon/test_room_daemon": "a hub with thousands of members in a daemon",
    "daemon/test_floods": "a daemon with limits, attackers, and reverse proxies",
    "daemon/test_systemd": "the daemon as systemd starts it",
    "daemon/test_client_certificates": "a daemon with clients of Python, OpenSSL and curl",
    "test_alpn": "every kind of TLS port",
    "test_any_order": "the tests themselves, in any order",
    "test_benchmarks": "the programs of benchmarks, which are not of the package",
    "test_built_guide": "the guide as Sphinx builds it",
    "test_reference_tables": "tables of the guide that no module makes",
    "test_calls": "calls of the package for one message, over a whole connection",
    "test_contributing": "a page for contributors",
    "test_documents": "pages of the guide",
    "test_examples": "programs of examples/",
    "test_exports": "names of the package",
    "test_floors": "imports between packages",
    "test_frameworks": "endpoints in programs of Twisted",
    "test_given_options": "options of every public name",
    "test_glossary": "the words of the package, and their definitions",
    "test_guide": "the guide: its parts, links and titles",
    "test_house": "the page about the architecture, and the files that it names",
    "test_language": "the words of the texts",
    "test_linear": "the cost of every parser",
    "test_loopback": "both sides over sockets, Hixie dialects",
    "test_loopback_bombs": "both sides over sockets, peers that exhaust memory",
    "test_loopback_broadcast": "both sides over sockets, broadcasts",
    "test_loopback_modern": "both sides over sockets, other dialects",
    "test_loopback_tls": "both sides over TLS",
    "test_loopback_web": "both sides over sockets, under a Site",
    "test_mirror": "the test files themselves",
    "test_moving": "a page of the guide",
    "test_newcomers": "errors for forms of other libraries, on every public name",
    "test_names": "names of the whole package",
    "test_peer_certificate": "the certificate of a peer, on every public way to a connection",
    "test_pickling": "every public value",
    "test_private_pokes": "private names of the package in tests",
    "test_private_names": "private names of other libraries",
    "test_public": "the public names and signatures",
    "test_readme": "the README",
    "test_recorded": "recorded handshakes, through a whole server or client",
    "test_selection": "which tests run without --all",
    "test_setup": "the metadata of the distribution",
    "test_surfaces": "options, and their word on each surface",
    "test_turn_size": "one turn of the reactor, through all layers of a connection",
    "typing/": "what mypy says to a user",
}
"""Test files that mirror no module, by path; a folder ends with a slash."""


def module_paths() -> list[str]:
    """The modules as paths without their ending; of packages those that define something."""
    return sorted(_module_paths())


def _module_paths() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).with_suffix("")
        if module.name != "__init__":
            yield module.as_posix()
        elif _defines(path) and module.parent.name:
            yield module.parent.as_posix()


def _defines(path: Path) -> bool:
    """Whether a file has more than a docstring, imports and names of these."""
    tree = ast.parse(path.read_text("utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body)


MODULES: Final = module_paths()
FILES: Final = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py"))


def mirrors(file: str) -> str | None:
    """The module of a test file: the longest name that the file's begins with."""
    folder, _, name = f"/{file}".rpartition("/")
    words = name.removeprefix("test_").removesuffix(".py").split("_")
    for count in range(len(words), 0, -1):
        module = f"{folder}/{'_'.join(words[:count])}".removeprefix("/")
        if module in MODULES:
            return module
    return None


def stands_in(file: str, table: dict[str, str]) -> bool:
    return file.removesuffix(".py") in table or any(
        entry.endswith("/") and file.startswith(entry) for entry in table
    )


MIRRORED: Final = {mirrors(file) for file in FILES if not stands_in(file, WHOLE)}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_file_or_a_reason(module: str) -> None:
    assert (module in MIRRORED) != (module in WITHOUT), (
        f"txhixie/{module}.py: expected a test file at its path in tests/, or an entry in WITHOUT, "
        "and not both"
    )


@pytest.mark.parametrize("file", FILES)
def test_a_test_file_mirrors_a_module_or_has_a_reason(file: str) -> None:
    assert stands_in(file, WHOLE) or mirrors(file), (
        f"tests/{file}: no module has this path; expected an entry in WHOLE"
    )


@pytest.mark.parametrize("module", WITHOUT)
def test_a_module_with_a_reason_exists(module: str) -> None:
    assert module in MODULES


@pytest.mark.parametrize("entry", WHOLE)
def test_a_test_file_with_a_reason_exists(entry: str) -> None:
    assert any(
        file.startswith(entry) if entry.endswith("/") else file == f"{entry}.py" for file in FILES
    )


@pytest.mark.parametrize("reason", [*WITHOUT.values(), *WHOLE.values()])
def test_a_test_file_that_a_reason_names_exists(reason: str) -> None:
    named = [word.strip(":,;").removeprefix("tests/") for word in reason.split() if ".py" in word]
    for path in named:
        assert (TESTS / path).is_file() or (PACKAGE / path).is_file()


def test_the_table_of_the_support_files_is_whole() -> None:
    """The table in the docstring of tests/support/__init__.py."""
    table = ast.get_docstring(ast.parse((TESTS / "support" / "__init__.py").read_text("utf-8")))
    assert table is not None
    rows = table.split("\n\n")[1].splitlines()[3:-1]
    files = {path.stem for path in (TESTS / "support").glob("*.py")} - {"__init__"}
    assert [row.split()[0] for row in rows] == sorted(files)
