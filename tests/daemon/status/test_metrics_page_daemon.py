"""The metrics of a real daemon, read by the parsers of prometheus-client."""

from __future__ import annotations

import json
import re
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterable
from hashlib import sha1
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from support.daemon import PATIENCE, Daemon, run_hixie, running
from support.frames import MASK, modern_frame
from support.guide_pages import block
from support.page_requests import Page, ask, opened, refused
from support.third_party import curl
from txhixie.connection.counters import CAUSES
from txhixie.sansio.dialects import DIALECTS
from txhixie.sansio.wire.frame import Opcode

GUIDE = "docs/howto/monitoring.rst"
METRICS = ("--serve", "/=echo", "--serve", "/chat=echo", "--metrics", "/metrics")
Labels = dict[str, str]
Samples = dict[str, list[tuple[Labels, float]]]
Parser = Callable[[str], Iterable[Metric]]


def scraped(page: Page, parse: Parser = text_string_to_metric_families) -> Samples:
    """The samples of a response, by their names."""
    assert page.status == 200, page.body
    samples: Samples = {}
    for family in parse(page.body.decode("utf-8")):
        assert family.documentation
        assert family.type in ("counter", "gauge", "info")
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def value(samples: Samples, name: str, **labels: str) -> float:
    (found,) = [number for own, number in samples[name] if own == labels]
    return found


def awaited(daemon: Daemon, name: str, expected: float, **labels: str) -> Samples:
    """The samples, once one has this value."""
    deadline = time.monotonic() + PATIENCE
    while True:
        samples = scraped(ask(daemon, "/metrics"))
        if any((own, n) == (labels, expected) for own, n in samples.get(name, ())):
            return samples
        assert time.monotonic() < deadline, f"expected {expected}: {samples.get(name)}"


def test_prometheus_reads_what_has_happened(tmp_path: Path) -> None:
    with running(tmp_path, *METRICS, "--max-held-bytes", "1000000") as daemon:
        refused(daemon, origin="http://elsewhere.example")
        with opened(daemon, target="/chat?token=sesame") as first, opened(daemon) as second:
            first.sendall(modern_frame(Opcode.TEXT, b"hello", key=MASK))
            assert first.recv(100)
            second.sendall(modern_frame(Opcode.CLOSE, (1000).to_bytes(2, "big"), key=MASK))
            assert second.recv(100)
            found = awaited(daemon, "txhixie_conversations_ended_total", 1, code="1000")
            assert value(found, "txhixie_connections", state="open") == 1
            chat = {"dialect": "rfc6455", "route": "/chat"}
            assert value(found, "txhixie_open_conversations", **chat) == 1
            assert value(found, "txhixie_open_conversations", dialect="hixie-76", route="/") == 0
            assert value(found, "txhixie_conversations_opened_total", dialect="rfc6455") == 2
            assert value(found, "txhixie_refusals_total", status="403", cause="origin") == 1
            assert value(found, "txhixie_messages_received_total") == 1
            assert value(found, "txhixie_messages_sent_total") == 1
            assert value(found, "txhixie_connections_accepted_total") >= 4
            assert value(found, "txhixie_held_limit_bytes") == 1_000_000
            assert value(found, "txhixie_draining") == 0
            assert found["txhixie_build_info"][0][0].keys() == {"txhixie", "twisted"}
            for name in ("process_cpu_seconds_total", "process_open_fds", "python_info"):
                assert found[name]


def test_messages_that_a_member_of_a_hub_is_not_sent_are_counted_by_cause(tmp_path: Path) -> None:
    options = ("--serve", "/room=hub", "--metrics", "/metrics", "--status", "/status")
    with (
        running(tmp_path, *options) as daemon,
        opened(daemon, target="/room", dialect="hixie-75"),
        opened(daemon, target="/room") as sender,
    ):
        sender.sendall(modern_frame(Opcode.BINARY, b"not for browsers of 2009", key=MASK))
        awaited(daemon, "txhixie_broadcast_messages_skipped_total", 1, cause="dialect")
        status = json.loads(ask(daemon, "/status?format=json").body)
        assert status["skipped"] == {"dialect": 1}


def test_topics_members_and_histories_of_hubs_are_counted(tmp_path: Path) -> None:
    route = "/rooms=hub:topic={path} history=5 topic-age=0.1"
    options = ("--serve", route, "--metrics", "/metrics", "--status", "/status")

    def hub(daemon: Daemon) -> tuple[float, ...]:
        found = scraped(ask(daemon, "/metrics"))
        status = json.loads(ask(daemon, "/status?format=json").body)["hub"]
        names = ("topics", "members", "history_bytes")
        numbers = tuple(value(found, f"txhixie_hub_{name}") for name in names)
        assert numbers == tuple(status[name] for name in names)
        return numbers

    with running(tmp_path, *options) as daemon:
        assert hub(daemon) == (0, 0, 0)
        with (
            opened(daemon, target="/rooms/one") as one,
            opened(daemon, target="/rooms/one", dialect="hixie-75"),
            opened(daemon, target="/rooms/two"),
        ):
            one.sendall(modern_frame(Opcode.TEXT, b"hello", key=MASK))
            awaited(daemon, "txhixie_hub_history_bytes", 5)
            assert hub(daemon) == (2, 3, 5)
        awaited(daemon, "txhixie_hub_topics", 0)
        assert hub(daemon) == (0, 0, 0)


def test_a_client_cannot_make_new_time_series(tmp_path: Path) -> None:
    """Paths, subprotocols, origins and close codes of clients are no values of labels."""
    with running(tmp_path, *METRICS, "--origins", "*") as daemon:
        for number in range(20):
            field = f"Sec-WebSocket-Protocol: made-up-{number}"
            origin = f"http://made-up-{number}.example"
            with opened(daemon, field, target=f"/made-up/{number}", origin=origin) as peer:
                code = (4000 + number).to_bytes(2, "big")
                peer.sendall(modern_frame(Opcode.CLOSE, code, key=MASK))
                assert peer.recv(100)
            ask(daemon, f"/made-up/{number}", method="GET")
        found = awaited(daemon, "txhixie_conversations_ended_total", 20, code="4xxx")
        names = {dialect.name for dialect in DIALECTS}
        for labels, _ in found["txhixie_open_conversations"]:
            assert labels["route"] in ("/", "/chat")
            assert labels["dialect"] in names
        assert [labels for labels, _ in found["txhixie_conversations_ended_total"]] == [
            {"code": "4xxx"}
        ]
        for labels, _ in found.get("txhixie_refusals_total", ()):
            assert labels["cause"] in CAUSES
        assert "made-up" not in repr(found)


def test_OpenMetrics_is_asked_for_by_Accept(tmp_path: Path) -> None:
    with running(tmp_path, *METRICS) as daemon:
        url = f"http://127.0.0.1:{daemon.port}/metrics"
        accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        command = [str(curl()), "-sSi", "-H", accept, url]
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        assert b"Content-Type: application/openmetrics-text; version=1.0.0" in head
        assert body.endswith(b"# EOF\n")
        found = scraped(Page(200, {}, body), openmetrics_families)
        assert value(found, "txhixie_connections_accepted_total") >= 1
        for field in ("Accept: */*", "Accept: text/html", "Accept:"):
            page = ask(daemon, "/metrics", field)
            assert page.fields["content-type"].startswith("text/plain; version=0.0.4")
            assert scraped(page)["txhixie_draining"] == [({}, 0.0)]


def test_a_wrong_Accept_is_no_error(tmp_path: Path) -> None:
    with running(tmp_path, *METRICS) as daemon:
        for version in ("x", "", "1", "1.0.0.0.0", "9" * 500, "1.0.0;escaping=" + "y" * 500):
            for kind in ("application/openmetrics-text", "text/plain"):
                assert ask(daemon, "/metrics", f"Accept: {kind};version={version}").status == 200


def test_a_scrape_of_the_guide_gets_the_metrics(tmp_path: Path) -> None:
    """By the address in Host, from a network, and with the password of a user."""
    text = block(GUIDE, "prometheus.yml")
    (path,) = set(re.findall(r"metrics_path: (\S+)", text))
    (host,) = set(re.findall(r'targets: \["(.*)"\]', text))
    (user,) = re.findall(r"username: (\S+)", text)
    hash_of = b64encode(sha1(b"sesame", usedforsecurity=False).digest()).decode("ascii")
    (tmp_path / "admins").write_text(f"{user}:{{SHA}}{hash_of}\n")
    accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
    for allowed in ("127.0.0.0/8", "users=admins"):
        options = ("--metrics", path, "--status-allow", allowed)
        with running(tmp_path, "--serve", "/=echo", *options) as daemon:
            basic = b64encode(f"{user}:sesame".encode("ascii")).decode("ascii")
            fields = (accept, f"Authorization: Basic {basic}")
            given = fields if allowed.startswith("users") else fields[:1]
            assert scraped(ask(daemon, path, *given, host=host), openmetrics_families)


def test_viewers_of_the_metrics_are_those_of_the_status(tmp_path: Path) -> None:
    with running(tmp_path, *METRICS) as daemon:
        assert ask(daemon, "/metrics", host="evil.example").status == 403
        assert ask(daemon, "/metrics", "X-Forwarded-For: 192.0.2.1").status == 403
        page = ask(daemon, "/metrics")
        assert page.fields["cross-origin-resource-policy"] == "same-origin"
        assert page.fields["cache-control"] == "no-store"
        assert ask(daemon, "/metrics", method="POST").status == 405
        assert ask(daemon, "/missing").status == 404
        daemon.logged("target=/missing")
        assert "method=GET target=/metrics" not in daemon.log
    with running(tmp_path, *METRICS, "--status-allow", "192.0.2.0/24") as daemon:
        assert ask(daemon, "/metrics").status == 403


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run_hixie("--metrics", "/metrics")
    assert done.returncode == 1
    assert done.stderr == (
        "hixie: --metrics /metrics: expected the package prometheus-client; "
        "pip install 'txhixie[metrics]'\n"
    )
    assert run_hixie("--health", "/health", "--check").returncode == 0
