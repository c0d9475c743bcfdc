"""The static service: pages of a directory beside the sockets, and nothing else of the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon, run_hixie, running
from txhixie.routes import Route
from txhixie.services.service import Context
from txhixie.services.static import buildStatic


def directory(below: Path) -> Path:
    """With all that is to be served, and all that is not."""
    pages = below / "my pages"
    (pages / "sub").mkdir(parents=True)
    (pages / "sub" / "a b.txt").write_bytes(b"below\n")
    (pages / "index.html").write_bytes(b"<p>index\n")
    (pages / "unknown.kind").write_bytes(b"<script>")
    for hidden in (".git", ".well-known"):
        (pages / hidden).mkdir()
        (pages / hidden / "file").write_bytes(b"x\n")
    (below / "secret").write_bytes(b"secret\n")
    (pages / "out").symlink_to(below / "secret")
    (pages / "up").symlink_to(below)
    (pages / "in").symlink_to(pages / "sub")
    os.mkfifo(pages / "fifo")
    linked = below / "linked"
    linked.symlink_to(pages)
    return linked


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Pages at a path where a socket is as well, at another host's root, and the console."""
    place = tmp_path_factory.mktemp("static")
    pages = directory(place)
    options = ["--serve", f"/www=static:{pages}", "--serve", "/www=echo"]
    options += ["--serve", f"*.example.com/=static:{pages}", "--console", "/www/console"]
    with running(place, *options) as daemon:
        yield daemon


def answer(daemon: Daemon, target: str, *lines: str, method: str = "GET", host: str = "x") -> str:
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines]
    with daemon.connect() as peer:
        peer.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
        with peer.makefile("rb") as stream:
            return stream.read().decode("latin-1")


@pytest.mark.parametrize(
    ("target", "kind", "body"),
    [
        ("/www/", "text/html", "<p>index\n"),
        ("/www/index.html", "text/html", "<p>index\n"),
        ("/www/?query", "text/html", "<p>index\n"),
        ("/www/sub/a%20b.txt", "text/plain", "below\n"),
        ("/www/in/a%20b.txt", "text/plain", "below\n"),
        ("/www/.well-known/file", "application/octet-stream", "x\n"),
        ("/www/unknown.kind", "application/octet-stream", "<script>"),
    ],
)
def test_a_file_is_served_as_what_it_is(daemon: Daemon, target: str, kind: str, body: str) -> None:
    got = answer(daemon, target)
    assert got.startswith("HTTP/1.1 200 OK\r\n")
    assert f"\r\nContent-Type: {kind}\r\n" in got
    assert "\r\nX-Content-Type-Options: nosniff\r\n" in got
    assert got.partition("\r\n\r\n")[2] == body


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/wwww/index.html",
        "/www/sub/",  # no listing
        "/www/.git/file",
        "/www/.git/",
        "/www/out",
        "/www/up/secret",
        "/www/fifo",
        "/www/../secret",
        "/www/%2e%2e/secret",
        "/www/..%2fsecret",
        "/www/%2e%2e%2fsecret",
        "/www/x%2f..%2f.git/file",
        "/www/sub%2f%2e%2e%2f.git/",
        "/www/sub%2fa%20b.txt",
        "/www/sub%2f..",
        "/www//index.html/x",
        "/www/index.html/x",
        "/www/%00",
        "/www/%ff",
        "/www/" + "x" * 300,
        "http://other/www/",
    ],
)
def test_nothing_else_is(daemon: Daemon, target: str) -> None:
    got = answer(daemon, target)
    assert got.startswith("HTTP/1.1 404 ")
    assert "secret\n" not in got


@pytest.mark.parametrize(
    ("target", "location"),
    [("/www", "/www/"), ("/www/sub", "./sub/"), ("/www/in?x", "./in/"), ("/%77ww?x", "/www/?x")],
)
def test_a_directory_is_told_its_slash_on_the_same_host(
    daemon: Daemon, target: str, location: str
) -> None:
    got = answer(daemon, target)
    assert re.match("HTTP/1.1 30[12] ", got)
    assert f"\r\nLocation: {location}\r\n" in got


def test_a_head_has_no_body_and_other_methods_are_not_for_pages(daemon: Daemon) -> None:
    got = answer(daemon, "/www/", method="HEAD")
    assert got.startswith("HTTP/1.1 200 OK\r\n")
    assert "Content-Length: 9\r\n" in got
    assert got.endswith("\r\n\r\n")
    assert re.match("HTTP/1.1 (405|501) ", answer(daemon, "/www/", method="POST"))


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=1-2", "206", "p>"),
        ("bytes=0-,0-,0-", "200", "<p>index\n"),
        ("bytes=\xff", "200", "<p>index\n"),
    ],
)
def test_one_range_may_be_asked_for_and_no_more(
    daemon: Daemon, wanted: str, status: str, body: str
) -> None:
    got = answer(daemon, "/www/", f"Range: {wanted}")
    assert got.startswith(f"HTTP/1.1 {status} ")
    assert got.partition("\r\n\r\n")[2] == body


def test_a_host_has_pages_of_its_own(daemon: Daemon) -> None:
    assert answer(daemon, "/sub/a%20b.txt", host="a.example.com:80").endswith("\r\n\r\nbelow\n")
    assert answer(daemon, "/sub/a%20b.txt", host="example.com").startswith("HTTP/1.1 404 ")


def test_a_longer_path_belongs_to_somebody_else(daemon: Daemon) -> None:
    assert "<!doctype html>" in answer(daemon, "/www/console/")


def test_a_socket_may_be_at_the_same_path(daemon: Daemon) -> None:
    head = b"GET /www/ HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: x\r\n\r\n"
    with daemon.connect() as peer:
        peer.sendall(head)
        with peer.makefile("rb") as stream:
            assert stream.readline() == b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"


def test_a_page_is_no_socket(daemon: Daemon) -> None:
    modern = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    upgrade = ["Upgrade: WebSocket", "Connection: Upgrade", *modern]
    got = answer(daemon, "/", *upgrade, host="a.example.com")
    assert got.startswith("HTTP/1.1 404 ")


def test_nothing_of_all_this_left_a_traceback(daemon: Daemon) -> None:
    assert "Traceback" not in daemon.log
    assert daemon.errors == ""


@pytest.mark.parametrize("description", ["static", "static:", "static:/nowhere/at/all"])
def test_what_is_no_directory_is_not_served(description: str) -> None:
    with pytest.raises(ValueError, match="expected static: and a directory"):
        buildStatic(object(), description, {}, Context(Route(None, "/")))


def test_a_directory_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    result = run_hixie("--serve", f"/=static:{tmp_path}/none", "--check")
    assert result.stderr.splitlines()[-1] == (
        f"hixie: --serve /=static:{tmp_path}/none: expected static: and a directory"
    )
    assert result.returncode == 1
