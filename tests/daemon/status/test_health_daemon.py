"""The health page of a real daemon, asked by a load balancer, and while the daemon drains."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.daemon import configured, run_hixie, running
from support.page_requests import ask, opened, refused

HEALTH = ("--serve", "/=echo", "--health", "/health")


def test_everybody_is_told_ok_and_nothing_else(tmp_path: Path) -> None:
    """Also a load balancer that sends an address in Host, and a client of a reverse proxy."""
    options = ("--hosts", "example.com", "--users", str(tmp_path / "users"))
    (tmp_path / "users").write_text("ada:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n")
    with running(tmp_path, *HEALTH, *options) as daemon:
        for fields in ((), ("X-Forwarded-For: 192.0.2.1",), ("Origin: http://elsewhere.example",)):
            page = ask(daemon, "/health", *fields, host="10.0.0.1")
            assert (page.status, page.body) == (200, b"ok\n")
            assert page.fields["cache-control"] == "no-store"
        assert ask(daemon, "/health", method="HEAD").fields["content-length"] == "3"
        assert ask(daemon, "/health/").body == b"ok\n"
        assert ask(daemon, "/health?verbose").body == b"ok\n"


def test_other_methods_and_paths_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, *HEALTH) as daemon:
        posted = ask(daemon, "/health", method="POST")
        assert (posted.status, posted.fields["allow"]) == (405, "GET, HEAD")
        assert ask(daemon, "/health/below").status == 404
        assert ask(daemon, "/healthy").status == 404


def test_checks_have_no_line_of_the_log(tmp_path: Path) -> None:
    with running(tmp_path, *HEALTH) as daemon:
        for _ in range(20):
            assert ask(daemon, "/health").status == 200
        assert ask(daemon, "/missing").status == 404
        daemon.logged("target=/missing")
        assert "target=/health" not in daemon.log


def test_while_the_daemon_drains_it_says_so_until_the_last_connection_has_ended(
    tmp_path: Path,
) -> None:
    with running(tmp_path, *HEALTH, "--drain", "60", "--stop-timeout", "60") as daemon:
        with opened(daemon) as first, opened(daemon) as second:
            daemon.terminate()
            daemon.logged("Received SIGTERM")
            first.recv(1)  # the first of the two is closed at once
            page = ask(daemon, "/health")
            assert (page.status, page.body) == (503, b"draining\n")
            late = refused(daemon)
            assert (late.status, late.body) == (503, b"the server is stopping\n")
            assert ask(daemon, "/").status == 503
            daemon.logged('status=503 reason="the server is stopping"')
            second.close()
            first.close()
        daemon.ended()
        with pytest.raises(ConnectionRefusedError):
            daemon.connect()


def test_a_client_that_holds_a_request_does_not_delay_the_end(tmp_path: Path) -> None:
    with (
        running(tmp_path, *HEALTH, "--drain", "60", "--stop-timeout", "60") as daemon,
        opened(daemon) as first,
        opened(daemon) as second,
    ):
        daemon.terminate()
        first.recv(1)
        with daemon.connect() as silent:
            silent.sendall(b"GET /health HTTP/1.1\r\n")
            assert ask(daemon, "/health").status == 503
            first.close()
            second.close()
            daemon.ended()


def test_connections_of_before_a_reload_are_drained_as_well(tmp_path: Path) -> None:
    text = """
        port = "{port}"
        serve = "/=echo"
        health = "/health"
        drain = 60
        stop-timeout = 60
    """
    with configured(tmp_path, text) as daemon, opened(daemon) as first:
        file = tmp_path / "hixie.toml"
        file.write_text(file.read_text().replace("/health", "/healthy"))
        daemon.reload()
        assert ask(daemon, "/health").status == 404
        with opened(daemon) as second:
            daemon.terminate()
            for peer in (first, second):  # the first of each reading is closed at once
                assert peer.recv(1)
            first.close()
            page = ask(daemon, "/healthy")
            assert (page.status, page.body) == (503, b"draining\n")
        daemon.ended()


def test_two_pages_cannot_have_one_path() -> None:
    found = run_hixie("--health", "/", "--console", "/")
    assert found.returncode == 1
    assert "--health /: expected one service for /, not two" in found.stderr
