"""A daemon that asks clients for certificates: real TLS with Python, OpenSSL and curl."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Final

import pytest

from peers.reverse_proxies import below_tls
from support import third_party
from support.certificates import Authority, authority
from support.client_certificates import CLIENTS, client_pem, site
from support.daemon import PATIENCE, free_port, run_hixie
from support.frame_writer import text
from support.handshake_bytes import request

OLD: Final = "hixie-75"

ROUTES: Final = (
    "/open=echo",
    "/any=echo client-certificate=required",
    "/ada=echo client-certificate=CN=ada,O=Example",
)


@pytest.mark.parametrize("scheme", ["ssl", "tls"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_route_needs_a_certificate_or_a_subject_and_another_route_needs_none(
    tmp_path: Path, scheme: str, version: ssl.TLSVersion
) -> None:
    with site(tmp_path, *ROUTES, scheme=scheme) as here:
        found = {
            who: [here.status(who, path, version=version) for path in ("/open", "/any", "/ada")]
            for who in (None, "ada", "bob")
        }
        assert found == {None: [101, 403, 403], "ada": [101, 101, 101], "bob": [101, 101, 403]}
        here.daemon.logged(
            'status=403 reason="client certificate not allowed: CN=bob,O=Example (client-cert'
        )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("expired", "client certificate expired: CN=ada,O=Example"),
        ("foreign", "client certificate not signed by a CA of client-ca: CN=ada,O=Example"),
    ],
)
def test_a_wrong_certificate_ends_the_TLS_handshake_with_one_line(
    tmp_path: Path, who: str, why: str, version: ssl.TLSVersion
) -> None:
    """Also for a route that needs no certificate, as in nginx with ``optional``."""
    with site(tmp_path, *ROUTES) as here:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            here.status(who, "/open", version=version)
        line = here.daemon.logged("TLS handshake failed")
        assert f'reason="TLS handshake failed: {why}"' in line
        assert here.status("ada", "/ada") == 101
        refused = [each for each in here.daemon.log.splitlines() if "] refused " in each]
        assert refused == [line]


def test_a_backend_gets_the_subject_and_no_client_can_write_it(tmp_path: Path) -> None:
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(3):
                peer, _ = listening.accept()
                with peer:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += peer.recv(65536)
                    heads.append(head)

        thread = threading.Thread(target=serve)
        thread.start()
        backend = f"ws://127.0.0.1:{listening.getsockname()[1]}"
        routes = (f"/open={backend}", f"/any={backend} client-certificate=required")
        forged = ("X-SSL-Client-S-DN: CN=eve", "x_ssl_client_s_dn: CN=eve")
        with site(tmp_path, *routes) as here:
            for path, who in (("/open", "ada"), ("/any", "ada"), ("/open", None)):
                here.status(who, path, *forged)
        thread.join(PATIENCE)
    found = [re.findall(rb"(?mi)^x.ssl.client.s.dn: *(.*?)\r$", head) for head in heads]
    assert found == [[], [b"CN=ada,O=Example"], []]


def test_a_page_needs_the_certificate_too(tmp_path: Path) -> None:
    """By curl, which sends its certificate as a browser does."""
    curl = str(third_party.curl())
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("the page")
    route = f"/=static:{tmp_path}/pages client-certificate=CN=ada,O=Example"
    with site(tmp_path, route) as here:
        (tmp_path / "root.pem").write_bytes(authority().pem)
        url = f"https://localhost:{here.daemon.port}/"
        command = [curl, "-sS", "--cacert", str(tmp_path / "root.pem"), "-w", " %{http_code}", url]
        command += ["--resolve", f"localhost:{here.daemon.port}:127.0.0.1"]
        found = []
        for words in ([], ["--cert", "ada.pem"], ["--cert", "bob.pem"]):
            done = subprocess.run(
                [*command, *words],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=True,
            )
            found.append(done.stdout.replace("\n", ""))
        assert found == [
            "client certificate required 403",
            "the page 200",
            "client certificate not allowed 403",
        ]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_OpenSSL_is_told_the_CA_and_resumes_no_session(tmp_path: Path, version: str) -> None:
    openssl = str(third_party.openssl())
    with site(tmp_path, *ROUTES) as here:
        ada, session = str(tmp_path / "ada.pem"), tmp_path / "session"
        command = [openssl, "s_client", "-connect", f"127.0.0.1:{here.daemon.port}", version]
        command += ["-cert", ada, "-key", ada, "-servername", "localhost"]
        get = "GET /ada HTTP/1.1\r\nHost: localhost\r\n\r\n"

        def shown(*words: str) -> str:
            done = subprocess.run(
                [*command, "-ign_eof", *words],
                input=get,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert "HTTP/1.1 " in done.stdout, done
            return done.stdout

        first = shown("-sess_out", str(session))
        assert re.search(r"Acceptable client certificate CA names\n(.*CN ?= ?clients)\n", first)
        if session.exists():  # in TLS 1.2 the server has no session to give
            assert "\nReused, " not in shown("-sess_in", str(session))


def test_a_replaced_CA_is_read_without_a_signal(tmp_path: Path) -> None:
    with site(tmp_path, *ROUTES) as here, here.connect(here.context("ada")) as talking:
        talking.sendall(request(OLD, target="/ada", origin="https://example.com"))
        other = Authority("other clients")
        (tmp_path / "ca.pem").write_bytes(other.pem)
        (tmp_path / "new.pem").write_bytes(client_pem("ada", by=other))
        here.daemon.logged("] reloaded kept=1 opened=0 closed=0")
        assert here.status("new", "/ada") == 101
        with pytest.raises((ssl.SSLError, ConnectionError)):
            here.status("ada", "/open")
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += talking.recv(65536)
        talking.sendall(text("still here"))
        assert talking.recv(65536) == text("still here")


def test_a_certificate_comes_through_a_proxy_that_does_not_read_TLS(tmp_path: Path) -> None:
    """With the address of the client, in a header of the PROXY protocol."""
    front = free_port()
    with site(tmp_path, *ROUTES, more="--proxy-protocol 127.0.0.1") as here:
        with below_tls(front, here.daemon.port, tmp_path):
            here.daemon.port = front
            found = [here.status(who, "/ada") for who in (None, "ada", "bob")]
        assert found == [403, 101, 403]


def test_a_certificate_is_asked_for_all_routes_and_a_route_can_do_without(tmp_path: Path) -> None:
    more = "--client-certificate CN=ada,O=Example --client-certificate CN=bob,O=Example"
    routes = ("/=echo", "/open=echo client-certificate=none")
    with site(tmp_path, *routes, more=more) as here:
        found = [here.status(who, "/") for who in (None, "ada", "bob")]
        assert found == [403, 101, 101]
        assert here.status(None, "/open") == 101


@pytest.mark.parametrize(
    ("port", "serve", "why"),
    [
        (
            "tcp:0:client-ca={ca}",
            "/=echo",
            "--port tcp:0:client-ca={ca}: client-ca: expected a port with TLS, ssl: or tls:",
        ),
        (
            "ssl:0:privateKey={own}:client-ca=/none",
            "/=echo",
            (
                "--port ssl:0:privateKey={own}:client-ca=/none: expected a file that can be read: "
                "No such file or directory: /none"
            ),
        ),
        (
            "ssl:0:privateKey={own}:client-ca={empty}",
            "/=echo",
            (
                "--port ssl:0:privateKey={own}:client-ca={empty}: client-ca: {empty}: expected CA "
                "certificates, in PEM"
            ),
        ),
        (
            "ssl:0:privateKey={own}",
            "/=echo client-certificate=required",
            (
                "--serve /=echo client-certificate=required: client-certificate: expected a port "
                "that asks for certificates, such as "
                "ssl:8443:privateKey=FILE:certKey=FILE:client-ca=FILE"
            ),
        ),
        (
            "ssl:0:privateKey={own}:client-ca={ca}",
            "/=echo client-certificate=ada",
            (
                "--serve /=echo client-certificate=ada: client-certificate ada: expected required "
                "or a subject such as CN=ada,O=Example"
            ),
        ),
    ],
)
def test_a_mistake_is_an_error_at_the_start(
    tmp_path: Path, port: str, serve: str, why: str
) -> None:
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "own", "empty")}
    files["ca"].write_bytes(CLIENTS.pem)
    files["own"].write_bytes(authority().pem_for("localhost"))
    files["empty"].write_bytes(b"")
    done = run_hixie("--port", port.format(**files), "--serve", serve)
    assert done.returncode == 1
    assert done.stderr == f"hixie: {why.format(**files)}\n"


def test_a_condition_of_all_routes_needs_a_port_that_asks_too(tmp_path: Path) -> None:
    done = run_hixie("--port", "tcp:0", "--client-certificate", "required")
    assert done.returncode == 1
    assert done.stderr == (
        "hixie: --client-certificate: expected a port that asks for certificates, such as "
        "ssl:8443:privateKey=FILE:certKey=FILE:client-ca=FILE\n"
    )


def test_check_shows_the_condition_of_each_route(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(CLIENTS.pem)
    (tmp_path / "own.pem").write_bytes(authority().pem_for("localhost"))
    port = f"ssl:0:privateKey={tmp_path}/own.pem:client-ca={tmp_path}/ca.pem"
    done = run_hixie("--check", "--port", port, "--serve", ROUTES[2])
    assert done.returncode == 0
    assert re.search(r"(?m)^conditions +/ada: .*client-certificate=CN=ada,O=Example", done.stdout)
    warned = [line.partition(": ")[0] for line in done.stderr.splitlines()]
    assert warned == [f"{tmp_path}/own.pem", f"{tmp_path}/ca.pem"]
