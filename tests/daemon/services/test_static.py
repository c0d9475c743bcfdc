"""The static service serves the pages of a directory, and no other file of the machine."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.counted_twistd import needs_count
from support.daemon import COUNTED, PATIENCE, Daemon, run_hixie, running
from txhixie.daemon.routes import Route
from txhixie.daemon.services.service import Context
from txhixie.daemon.services.static import buildStatic


def directory(below: Path) -> Path:
    """Make a directory with files to serve and files that must not be served."""
    pages = below / "my pages"
    (pages / "sub").mkdir(parents=True)
    (pages / "sub" / "a b.txt").write_bytes(b"below\n")
    (pages / "index.html").write_bytes(b"<p>index\n")
    (pages / "unknown.kind").write_bytes(b"<script>")
    (pages / "empty").touch()
    with (pages / "big").open("wb") as file:
        file.truncate(50_000_000)
    deep = pages.joinpath(*["d"] * 90)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep\n")
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
    """A daemon with pages at the path of a WebSocket, at the root of another host, and the
    console."""
    place = tmp_path_factory.mktemp("static")
    pages = directory(place)
    options = ["--serve", f"/www=static:{pages}", "--serve", "/www=echo"]
    options += ["--serve", f"*.example.com/=static:{pages}", "--console", "/www/console"]
    with running(place, *options, runner=COUNTED) as daemon:
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
def test_a_file_is_served_with_its_content_type(
    daemon: Daemon, target: str, kind: str, body: str
) -> None:
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
        "http://other/www/sub/",
        "http:/www/",
        "ftp://other/www/",
    ],
)
def test_no_other_path_is_served(daemon: Daemon, target: str) -> None:
    got = answer(daemon, target)
    assert got.startswith("HTTP/1.1 404 ")
    assert "secret\n" not in got


def test_a_target_may_be_a_whole_URL(daemon: Daemon) -> None:
    """RFC 9112 section 3.2.2; forward proxies send such targets."""
    assert answer(daemon, "http://other/www/").startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("target", "location"),
    [("/www", "/www/"), ("/www/sub", "./sub/"), ("/www/in?x", "./in/"), ("/%77ww?x", "/www/?x")],
)
def test_a_directory_without_its_slash_is_redirected_on_the_same_host(
    daemon: Daemon, target: str, location: str
) -> None:
    got = answer(daemon, target)
    assert re.match("HTTP/1.1 30[12] ", got)
    assert f"\r\nLocation: {location}\r\n" in got


def test_the_answer_to_HEAD_has_no_body_and_POST_is_refused(daemon: Daemon) -> None:
    got = answer(daemon, "/www/", method="HEAD")
    assert got.startswith("HTTP/1.1 200 OK\r\n")
    assert "Content-Length: 9\r\n" in got
    assert got.endswith("\r\n\r\n")
    assert re.match("HTTP/1.1 (405|501) ", answer(daemon, "/www/", method="POST"))


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=1-2", "206", "p>"),
        ("bytes= 1-2 ", "206", "p>"),
        ("bytes=6-", "206", "ex\n"),
        ("bytes=6-60000000", "206", "ex\n"),
        ("bytes=-2", "206", "x\n"),
        ("bytes=-9", "206", "<p>index\n"),
        ("bytes=-60000000", "206", "<p>index\n"),
        ("bytes=-0", "416", ""),
        ("bytes=9-", "416", ""),
        ("bytes=60000000-", "416", ""),
        # Several ranges, or an invalid one: the whole file is sent.
        ("bytes=0-,0-,0-", "200", "<p>index\n"),
        ("bytes=\xff", "200", "<p>index\n"),
        ("bytes=", "200", "<p>index\n"),
        ("bytes=-", "200", "<p>index\n"),
        ("bytes=--5", "200", "<p>index\n"),
        ("bytes=+1-2", "200", "<p>index\n"),
        ("bytes=1_0-2_0", "200", "<p>index\n"),
        ("bytes=2-1", "200", "<p>index\n"),
        ("bytes=1-2-3", "200", "<p>index\n"),
        ("items=0-1", "200", "<p>index\n"),
        ("bytes=-" + "9" * 5000, "200", "<p>index\n"),
    ],
)
def test_a_single_range_of_bytes_is_served(
    daemon: Daemon, wanted: str, status: str, body: str
) -> None:
    got = answer(daemon, "/www/", f"Range: {wanted}")
    assert got.startswith(f"HTTP/1.1 {status} ")
    assert got.partition("\r\n\r\n")[2] == body
    assert ("\r\nContent-Range: bytes " in got) == (status != "200")


@pytest.mark.parametrize("wanted", ["bytes=-5", "bytes=0-", "bytes=-0", "bytes=9-"])
def test_any_range_of_an_empty_file_gets_the_whole_file(daemon: Daemon, wanted: str) -> None:
    got = answer(daemon, "/www/empty", f"Range: {wanted}")
    assert got.startswith("HTTP/1.1 200 ")
    assert got.endswith("\r\n\r\n")


def test_a_range_with_If_Range_gets_the_whole_file(daemon: Daemon) -> None:
    """Twisted ignores If-Range: it would send a part of a file that may have changed."""
    got = answer(daemon, "/www/", "Range: bytes=1-2", 'If-Range: "an-older-one"')
    assert got.startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "since", ["x", "Thu, 99 Jan 2020 99:99:99 GMT", "a, 1 Jan " + "9" * 5000 + " 1:2:3 GMT", "\xff"]
)
def test_an_invalid_date_in_If_Modified_Since_is_ignored(daemon: Daemon, since: str) -> None:
    assert answer(daemon, "/www/", f"If-Modified-Since: {since}").startswith("HTTP/1.1 200 ")


# A page reads no body.


@pytest.mark.parametrize(
    ("status", "ofPost", "lines"),
    [
        (200, 405, ["Content-Length: 0"]),
        (413, 405, ["Content-Length: 1"]),
        (413, 405, ["Content-Length: 100000000"]),
        (413, 405, ["Content-Length: 100000000", "Expect: 100-continue"]),
        (413, 413, ["Content-Length: " + "9" * 5000]),
        (413, 405, ["Transfer-Encoding: chunked"]),
        (400, 400, ["Transfer-Encoding: chunked", "Content-Length: 1"]),
        (501, 501, ["Transfer-Encoding: gzip, chunked"]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
def test_a_request_with_a_body_is_refused_when_its_head_arrives(
    daemon: Daemon, method: str, status: int, ofPost: int, lines: list[str]
) -> None:
    """
    The refusal does not wait for the body: a client may wait for it before it sends the body.

    A method that no page has is refused before a body that could be read.
    """
    received = answer(daemon, "/www/console/", *lines, method=method)
    assert int(received.split()[1]) == (status if method == "GET" else ofPost)
    assert ("\r\nAllow: GET, HEAD\r\n" in received) == (received.split()[1] == "405")


@needs_count
def test_a_form_of_100_MB_does_not_delay_other_clients(daemon: Daemon) -> None:
    head = "POST /www/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    before = daemon.allocated
    with daemon.connect() as peer:
        peer.sendall(head.encode())
        with suppress(
            OSError
        ):  # the daemon closes the connection after a time in which the client can read the answer
            for _ in range(1000):
                peer.sendall(b"a=1&" * 25_000)
        assert answer(daemon, "/www/").startswith("HTTP/1.1 200 ")
    assert daemon.allocated - before < 20_000_000


@needs_count
def test_a_client_that_does_not_read_its_download_fills_no_buffer(daemon: Daemon) -> None:
    """Bytes after a page request are not parsed as a request: the connection ends with the
    answer."""
    junk = b"GET /www/ HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 65_000 + b"\r\n\r\n"
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.settimeout(PATIENCE)
        peer.connect(("127.0.0.1", daemon.port))
        peer.sendall(b"GET /www/big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(15) == b"HTTP/1.1 200 OK"
        before = daemon.allocated
        sent, peer_waits = 0, 1
        peer.settimeout(peer_waits)
        with suppress(OSError):
            while sent < 100_000_000:
                peer.sendall(junk)
                sent += len(junk)
        assert answer(daemon, "/www/").startswith("HTTP/1.1 200 ")
        assert sent > 1_000_000
        assert daemon.allocated - before < 20_000_000


# Paths with too many segments.


@pytest.mark.parametrize("path", ["/" * 16_000, "/www" + "/a" * 8000, "/www" + "/sub/.." * 2000])
def test_a_path_of_thousands_of_segments_is_refused(daemon: Daemon, path: str) -> None:
    assert answer(daemon, path).startswith("HTTP/1.1 414 ")
    head = [f"GET {path} HTTP/1.1", "Upgrade: WebSocket", "Connection: Upgrade", "Host: x"]
    with daemon.connect() as peer:
        peer.sendall("\r\n".join([*head, "", ""]).encode())
        assert peer.makefile("rb").readline() == b"HTTP/1.1 404 Not Found\r\n"


def test_a_deep_directory_is_served(daemon: Daemon) -> None:
    assert answer(daemon, "/www" + "/d" * 90 + "/file").endswith("\r\n\r\ndeep\n")
    assert answer(daemon, "/www/up/my%20pages/index.html").startswith("HTTP/1.1 404 ")
    assert answer(daemon, "/www/up/my%20pages/").startswith("HTTP/1.1 404 ")


def test_a_host_has_pages_of_its_own(daemon: Daemon) -> None:
    assert answer(daemon, "/sub/a%20b.txt", host="a.example.com:80").endswith("\r\n\r\nbelow\n")
    assert answer(daemon, "/sub/a%20b.txt", host="example.com").startswith("HTTP/1.1 404 ")


def test_a_longer_path_is_served_by_its_own_service(daemon: Daemon) -> None:
    assert "<!doctype html>" in answer(daemon, "/www/console/")


def test_a_websocket_service_may_have_the_same_path(daemon: Daemon) -> None:
    head = b"GET /www/ HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: x\r\n\r\n"
    with daemon.connect() as peer:
        peer.sendall(head)
        with peer.makefile("rb") as stream:
            assert stream.readline() == b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n"


def test_a_handshake_for_a_path_with_pages_only_is_a_404(daemon: Daemon) -> None:
    modern = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    upgrade = ["Upgrade: WebSocket", "Connection: Upgrade", *modern]
    got = answer(daemon, "/", *upgrade, host="a.example.com")
    assert got.startswith("HTTP/1.1 404 ")


def test_no_request_of_these_tests_left_a_traceback(daemon: Daemon) -> None:
    assert "Traceback" not in daemon.log
    assert daemon.errors == ""


@pytest.mark.parametrize("description", ["static", "static:", "static:/nowhere/at/all"])
def test_a_description_without_an_existing_directory_is_an_error(description: str) -> None:
    with pytest.raises(ValueError, match="expected static:/PATH of an existing directory"):
        buildStatic(object(), description, {}, Context(Route(None, "/")))


def test_a_directory_that_does_not_exist_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    where = f"static:{tmp_path}/none"
    result = run_hixie("--serve", f"/={where}", "--check")
    expected = f"expected static:/PATH of an existing directory; {tmp_path}/none is not a directory"
    assert result.stderr.splitlines()[-1] == f"hixie: --serve /={where}: {expected}"
    assert result.returncode == 1
