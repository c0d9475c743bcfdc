"""Pages of real backends through a daemon: twisted.web and nginx, with curl and a browser."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from browser.chromium import started
from support import third_party
from support.certificates import authority
from support.counted_twistd import needs_count
from support.daemon import COUNTED, PATIENCE, Daemon, free_port, running

BACKEND = """
import sys
from twisted.internet import reactor, ssl, task
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.static import File


class Slow(Resource):
    isLeaf = True

    def render(self, request):
        "Write 40 parts of a body, one each 50 ms."
        parts = iter(range(40))

        def write():
            part = next(parts, None)
            if part is None:
                loop.stop()
                request.finish()
            else:
                request.write(b"part %d\\n" % part)

        loop = task.LoopingCall(write)
        request.notifyFinish().addErrback(lambda _: loop.running and loop.stop())
        loop.start(0.05)
        return NOT_DONE_YET


class Endless(Resource):
    isLeaf = True

    def render(self, request):
        "Write as fast as the client takes it, for ever."
        request.notifyFinish().addErrback(lambda _: print("left", flush=True))
        request.registerProducer(Writer(request), False)
        return NOT_DONE_YET


class Writer:
    def __init__(self, request):
        self.request = request

    def resumeProducing(self):
        self.request.write(b"x" * 65536)

    def stopProducing(self):
        self.request.unregisterProducer()


class Seen(Resource):
    isLeaf = True

    def render(self, request):
        lines = [request.method + b" " + request.uri]
        for name, values in request.requestHeaders.getAllRawHeaders():
            lines += [name + b": " + value for value in values]
        return b"\\n".join(lines) + b"\\n"


root = File(sys.argv[2])
root.putChild(b"slow", Slow())
root.putChild(b"endless", Endless())
root.putChild(b"seen", Seen())
serverFromString(reactor, sys.argv[1]).listen(Site(root))
reactor.run()
"""

NGINX = """
daemon off;
master_process off;
pid %(directory)s/nginx.pid;
error_log %(directory)s/errors;
events {}
http {
    access_log off;
    client_body_temp_path %(directory)s/body;
    proxy_temp_path %(directory)s/proxy;
    fastcgi_temp_path %(directory)s/fastcgi;
    uwsgi_temp_path %(directory)s/uwsgi;
    scgi_temp_path %(directory)s/scgi;
    gzip on;
    gzip_proxied any;
    gzip_min_length 1;
    server {
        listen 127.0.0.1:%(port)d;
        root %(directory)s/pages;
        location = /moved { return 302 http://$http_host/index.html; }
    }
}
"""

PAGE = """<!doctype html><title>waiting</title><link rel=stylesheet href="style.css">
<script>
var socket = new WebSocket(location.href.replace("http", "ws"));
socket.onopen = function () { socket.send("hello"); };
socket.onmessage = function (event) {
  var style = getComputedStyle(document.body).color;
  document.body.textContent = "echo: " + event.data + ", style: " + style;
};
</script><body>no message yet</body>
"""


def pages_below(directory: Path) -> Path:
    pages = directory / "pages"
    pages.mkdir()
    (pages / "index.html").write_text(PAGE)
    (pages / "style.css").write_text("body { color: rgb(1, 2, 3) }")
    with (pages / "big").open("wb") as file:
        for number in range(1 << 18):
            file.write(b"%015d\n" % number)
    return pages


@contextmanager
def program(*words: object, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            list(map(str, words)), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def await_port(address: tuple[str, int] | str, family: int = socket.AF_INET) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket(family) as probe:
            if probe.connect_ex(address) == 0:
                return
        assert time.monotonic() < deadline, "the backend does not listen"
        time.sleep(0.02)


@pytest.fixture(scope="module", params=["tcp", "tls", "unix"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Daemon, Path]]:
    """A daemon with the pages of a twisted.web backend, and the directory of its pages."""
    directory = tmp_path_factory.mktemp("served")
    pages, port = pages_below(directory), free_port()
    (directory / "backend.py").write_text(BACKEND)
    address: tuple[str, int] | str = ("127.0.0.1", port)
    family, options = socket.AF_INET, ""
    if request.param == "unix":
        address, family = str(directory / "s"), socket.AF_UNIX
        endpoint, url = f"unix:{address}", f"http://unix:{address}"
    elif request.param == "tls":
        pem = directory / "server.pem"
        pem.write_bytes(authority().pem_for("localhost"))
        (directory / "ca.pem").write_bytes(authority().pem)
        endpoint = f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
        url, options = f"https://localhost:{port}", f" trust-root={directory}/ca.pem"
    else:
        endpoint, url = f"tcp:{port}:interface=127.0.0.1", f"http://127.0.0.1:{port}"
    words = (sys.executable, directory / "backend.py", endpoint, pages)
    with program(*words, log=directory / "backend.log"):
        await_port(address, family)
        routes = ["--serve", f"/app={url} strip-prefix=true{options}", "--serve", "/app=echo"]
        with running(directory, *routes, runner=COUNTED) as daemon:
            yield daemon, directory


def curl(*options: object) -> subprocess.CompletedProcess[bytes]:
    words = [third_party.curl(), "-s", "--max-time", str(PATIENCE), *options]
    return subprocess.run(list(map(str, words)), capture_output=True, check=False)


def test_curl_gets_a_file_whole_and_in_parts(served: tuple[Daemon, Path]) -> None:
    """4 MiB, and a range of it."""
    daemon, directory = served
    url = f"http://127.0.0.1:{daemon.port}/app/big"
    whole = (directory / "pages" / "big").read_bytes()
    assert curl(url).stdout == whole
    assert curl("-r", "16-47", url).stdout == whole[16:48]
    assert curl("-0", url).stdout == whole
    head = curl("-I", url).stdout
    assert f"Content-Length: {len(whole)}\r\n".encode() in head


def test_curl_gets_a_304_for_a_page_that_it_has(served: tuple[Daemon, Path]) -> None:
    daemon, _ = served
    url = f"http://127.0.0.1:{daemon.port}/app/big"
    head = curl("-I", url).stdout.decode()
    (modified,) = [line for line in head.splitlines() if line.startswith("Last-Modified: ")]
    same = modified.replace("Last-Modified", "If-Modified-Since")
    assert curl("-i", "-H", same, url).stdout.startswith(b"HTTP/1.1 304 ")


def test_a_client_that_leaves_ends_the_request_at_the_backend(
    served: tuple[Daemon, Path],
) -> None:
    """curl reads 64 KiB of a body that never ends."""
    daemon, directory = served
    log = directory / "backend.log"
    before = log.read_text().count("left")
    with daemon.connect() as peer:
        peer.sendall(b"GET /app/endless HTTP/1.1\r\nHost: x\r\n\r\n")
        with peer.makefile("rb") as stream:
            stream.read(1 << 16)
    deadline = time.monotonic() + PATIENCE
    while log.read_text().count("left") == before:
        assert time.monotonic() < deadline, "the backend still sends"
        time.sleep(0.02)


@needs_count
def test_the_memory_of_the_daemon_is_bounded_when_clients_do_not_read(
    served: tuple[Daemon, Path],
) -> None:
    """Twenty clients request a body that never ends, and read nothing."""
    daemon, _ = served
    curl(f"http://127.0.0.1:{daemon.port}/app/seen")
    before = daemon.allocated
    peers = [daemon.connect() for _ in range(20)]
    try:
        for peer in peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sendall(b"GET /app/endless HTTP/1.1\r\nHost: x\r\n\r\n")
        for peer in peers:
            assert peer.recv(4) == b"HTTP"
        last, grows = 0, True
        while grows:  # until the daemon allocates no more
            time.sleep(0.5)
            grows, last = daemon.allocated > last + 64 * 1024, daemon.allocated
        assert last - before < 20 * 1024 * 1024, "more than 1 MiB for each client"
        assert curl(f"http://127.0.0.1:{daemon.port}/app/seen").stdout.startswith(b"GET /seen\n")
    finally:
        for peer in peers:
            peer.close()


def test_a_browser_loads_the_page_and_connects_to_the_same_path(
    served: tuple[Daemon, Path], tmp_path: Path
) -> None:
    """The page, its style sheet and its WebSocket, by one route of pages and one of a service."""
    daemon, _ = served
    with started(tmp_path) as browser:
        browser.open(f"http://127.0.0.1:{daemon.port}/app/")
        said = "document.body.textContent.startsWith('echo: ') && document.body.textContent"
        assert browser.until(said, "no echo") == "echo: hello, style: rgb(1, 2, 3)"


def test_a_password_of_the_route_does_not_reach_the_backend(
    served: tuple[Daemon, Path], tmp_path: Path
) -> None:
    """The backend gets what is left of the request."""
    pytest.importorskip("bcrypt")
    _, directory = served
    import bcrypt

    users = tmp_path / "users"
    users.write_bytes(b"ada:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    users.chmod(0o600)
    port = free_port()
    words = (
        sys.executable,
        directory / "backend.py",
        f"tcp:{port}:interface=127.0.0.1",
        directory / "pages",
    )
    with program(*words, log=tmp_path / "backend.log"):
        await_port(("127.0.0.1", port))
        with running(tmp_path, "--serve", f"/=http://127.0.0.1:{port} users={users}") as daemon:
            url = f"http://127.0.0.1:{daemon.port}/seen"
            assert curl("-i", url).stdout.startswith(b"HTTP/1.1 401 ")
            seen = curl("-u", "ada:secret", url).stdout
            assert seen.startswith(b"GET /seen\n")
            assert b"Authorization" not in seen


def test_sigterm_lets_an_open_download_end(served: tuple[Daemon, Path], tmp_path: Path) -> None:
    """The daemon stops listening at once, and ends after the last byte of the download."""
    _, directory = served
    port = free_port()
    words = (
        sys.executable,
        directory / "backend.py",
        f"tcp:{port}:interface=127.0.0.1",
        directory / "pages",
    )
    with program(*words, log=tmp_path / "backend.log"):
        await_port(("127.0.0.1", port))
        with running(tmp_path, "--serve", f"/=http://127.0.0.1:{port}") as daemon:
            with daemon.connect() as peer, peer.makefile("rb") as stream:
                peer.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
                while stream.readline() != b"part 0\n":
                    pass
                daemon.terminate()
                rest = stream.read()
            assert rest.endswith(b"part 39\n")
            daemon.ended()


def test_nginx_is_a_backend(tmp_path: Path) -> None:
    """Compressed pages, ranges, 304 and redirects are those of nginx."""
    pages, port = pages_below(tmp_path), free_port()
    (tmp_path / "nginx.conf").write_text(NGINX % {"directory": tmp_path, "port": port})
    words = (third_party.nginx(), "-p", tmp_path, "-e", tmp_path / "errors")
    with program(*words, "-c", tmp_path / "nginx.conf", log=tmp_path / "nginx.log"):
        await_port(("127.0.0.1", port))
        with running(tmp_path, "--serve", f"/=http://127.0.0.1:{port}") as daemon:
            url = f"http://127.0.0.1:{daemon.port}"
            whole = (pages / "big").read_bytes()
            assert curl(f"{url}/big").stdout == whole
            packed = curl("-i", "-H", "Accept-Encoding: gzip", f"{url}/index.html").stdout
            assert b"\r\nContent-Encoding: gzip\r\n" in packed
            assert curl("--compressed", f"{url}/index.html").stdout.decode() == PAGE
            assert curl("-r", "16-47", f"{url}/big").stdout == whole[16:48]
            parts = curl("-i", "-r", "0-3,16-19", f"{url}/big").stdout
            assert b"multipart/byteranges" in parts
            moved = curl("-i", f"{url}/moved").stdout.decode()
            assert f"Location: http://127.0.0.1:{port}/index.html\r\n" in moved
            etag = curl("-I", f"{url}/big").stdout.decode().partition("ETag: ")[2].split()[0]
            same = curl("-i", "-H", f"If-None-Match: {etag}", f"{url}/big").stdout
            assert same.startswith(b"HTTP/1.1 304 ")
            assert curl("-i", f"{url}/none").stdout.startswith(b"HTTP/1.1 404 ")
