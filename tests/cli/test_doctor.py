"""``txhixie doctor`` for servers that work and servers with one fault each: it names the stage and
the remedy, and ends with the status of ``connect``."""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from support.certificates import Authority, authority, stranger
from support.command_line import Ran, environment, interrupted_handshake, run, secure_daemon
from support.daemon import Daemon, free_port, running
from support.real_proxies import NAME, squid
from support.scripted_peer import Script, accept, asking, read_frame, read_head, serving
from txhixie import DIALECTS

NAMES = [dialect.name for dialect in DIALECTS]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def url(daemon: Daemon) -> str:
    return f"ws://127.0.0.1:{daemon.port}/"


class Report:
    """
    The output of ``txhixie doctor``.

    :ivar stages: each stage's mark and words, further lines joined by ``; ``.
    :ivar advice: the sentences at its end.
    """

    def __init__(self, ran: Ran) -> None:
        assert ran.errors == []
        assert ran.status != 2
        self.status = ran.status
        stages, _, advice = ran.output.decode().partition("\n\n")
        self.stages: dict[str, tuple[str, str]] = {}
        for line in stages.split("\n"):
            match = re.fullmatch(r"(ok|NO|--)  (\S+(?: trip)?) +(.*)", line)
            if match is not None:
                self.stages[match[2]] = (match[1], match[3])
                last = match[2]
            else:
                mark, words = self.stages[last]
                self.stages[last] = (mark, f"{words}; {line.strip()}")
        self.advice = advice.splitlines()

    @property
    def marks(self) -> dict[str, str]:
        return {stage: mark for stage, (mark, _) in self.stages.items()}


def report(*words: str, **options: Any) -> Report:
    return Report(run("doctor", *words, **options))


EVERY = dict.fromkeys(["lookup", "tcp", *NAMES, "round trip"], "ok")


# Servers that work.


def test_a_working_server_has_a_mark_for_each_stage(url: str) -> None:
    said = report(url)
    assert (said.status, said.marks) == (0, EVERY)
    assert said.advice == [f"The connection works: txhixie connect {url}"]
    assert said.stages["rfc6455"][1].startswith("answers, with permessage-deflate, ")
    assert re.fullmatch(r"a ping is answered, \d+\.\d ms", said.stages["round trip"][1])


def test_a_working_server_with_TLS_through_a_proxy(tmp_path: Path) -> None:
    with secure_daemon(tmp_path, until=90) as port, squid("basic") as proxy:
        url = f"wss://127.0.0.1:{port}/"
        trusted = os.fspath(tmp_path / "authority.pem")
        said = report("--trust-root", trusted, "--proxy", proxy.url_with_credentials, url)
    assert (said.status, said.marks) == (0, {**EVERY, "proxy": "ok", "tls": "ok", "alpn": "ok"})
    through = f"http://localhost:{proxy.port} connects to 127.0.0.1, port {port}, "
    assert said.stages["proxy"][1].startswith(through)
    words = said.stages["tls"][1]
    assert words.startswith("TLSv1.3, ")
    assert (
        "; localhost, for localhost, 127.0.0.1; issued by the tests' authority, valid until "
        in words
    )
    assert words.endswith("(89 days left)")
    assert said.advice == [
        f"The connection works: txhixie connect --trust-root {trusted} --proxy ... {url}"
    ]


def test_a_dialect_without_pings_has_no_round_trip(url: str) -> None:
    said = report("--dialect", "hixie-76", url)
    assert (said.status, said.marks) == (0, {**EVERY, "round trip": "--"})
    assert said.advice == [f"The connection works: txhixie connect --dialect hixie-76 {url}"]


def test_dialects_whose_origin_the_server_refuses_are_named(tmp_path: Path, daemon: Daemon) -> None:
    """The backend compares the Origin with its own address."""
    with running(tmp_path, "--serve", f"/=ws://127.0.0.1:{daemon.port}") as gateway:
        said = report(f"ws://127.0.0.1:{gateway.port}/")
    refused = dict.fromkeys(["hixie-54", "hixie-75", "hixie-76"], "NO")
    assert (said.status, said.marks) == (0, {**EVERY, **refused})
    (advice,) = said.advice[1:]
    assert advice.startswith(f"The server answers 403 to {', '.join(refused)}: ")
    assert advice.endswith(
        "Use an --origin that the server accepts; at a gateway, see backend-host."
    )


def test_the_command_that_works_is_printed_without_credentials(url: str) -> None:
    origin = url.replace("ws:", "http:").removesuffix("/")
    hidden = ("--header", "Cookie: s3cret", "--subprotocol", "s3cret", "--proxy", "")
    said = report(*hidden, "-k", "--lenient", "--origin", origin, url)
    options = f"--origin {origin} --proxy '' --subprotocol ... --header ... --lenient --no-verify"
    assert said.advice == [f"The connection works: txhixie connect {options} {url}"]


def test_credentials_are_not_repeated(url: str) -> None:
    said = run("doctor", "--proxy", "http://me:s3cret@127.0.0.1:2", url.replace("//", "//me:pa55@"))
    assert said.status == 4
    assert b"through the proxy http://127.0.0.1:2 (--proxy)" in said.output
    assert b"s3cret" not in said.output
    assert b"pa55" not in said.output


# Name lookup, TCP and proxies.


def test_a_host_name_that_does_not_resolve() -> None:
    said = report("ws://nobody.invalid/")
    assert (said.status, said.marks) == (1, {"lookup": "NO"})
    assert said.advice[0].startswith("The host name was not found")


def test_a_port_without_a_listener() -> None:
    said = report("ws://127.0.0.1:2/")
    assert (said.status, said.marks) == (1, {"lookup": "ok", "tcp": "NO"})
    assert said.stages["tcp"][1] == "no connection to 127.0.0.1, port 2: Connection refused"
    assert said.advice[0].startswith(
        "Nothing listens at this address and port: check that the server"
    )


def test_each_address_is_tried_by_itself(url: str) -> None:
    """A client connects to the address that answers, and reports no error for the other."""
    said = report(url.replace("127.0.0.1", "localhost"))
    mark, words = said.stages["tcp"]
    lines = words.split("; ")
    answering = [line for line in lines if line.startswith("127.0.0.1, port ")]
    assert (said.status, mark, len(answering)) == (0, "ok", 1)
    assert any("Not every address of the host" in advice for advice in said.advice) == (
        len(lines) > 1
    )


@pytest.mark.parametrize(
    ("kind", "credentials", "words", "advice"),
    [
        ("basic", "", "407", "The proxy requires authentication: use --proxy "),
        (
            "basic",
            f"{NAME}:wr0ng@",
            "407",
            "Check the user name and the password: the proxy rejected them",
        ),
        ("refusing", "", "403", "The proxy does not allow port "),
    ],
)
def test_a_proxy_that_refuses(
    url: str, kind: str, credentials: str, words: str, advice: str
) -> None:
    with squid(kind) as proxy:
        said = report(url, env=environment(http_proxy=f"{credentials}127.0.0.1:{proxy.port}"))
    assert (said.status, said.marks) == (4, {"lookup": "ok", "tcp": "ok", "proxy": "NO"})
    assert (
        f"through the proxy http://127.0.0.1:{proxy.port} (http_proxy)" in said.stages["lookup"][1]
    )
    assert f"the proxy refused with status {words}" in said.stages["proxy"][1]
    assert said.advice[0].startswith(advice)


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ((), "The proxy answered 407 without a Proxy-Authenticate field, so it offers no auth"),
        (
            ("NTLM", "Negotiate"),
            "The proxy offers NTLM and Negotiate; txhixie supports Basic and Digest: run a",
        ),
        (
            ("Bearer",),
            "The proxy offers Bearer; txhixie supports Basic and Digest: ask its operator for",
        ),
        (('NTLM, Basic realm="x"',), "The proxy requires authentication: use --proxy "),
    ],
)
def test_a_proxy_that_requires_credentials_gets_them_by_a_scheme_that_it_offers(
    url: str, fields: tuple[str, ...], advice: str
) -> None:
    asked = "".join(f"Proxy-Authenticate: {field}\r\n" for field in fields)
    answer = f"HTTP/1.1 407 x\r\n{asked}Content-Length: 0\r\n\r\n".encode()

    def script(peer: socket.socket) -> None:
        while read_head(peer):
            peer.sendall(answer)

    with serving(script) as port:
        said = report("--proxy", f"127.0.0.1:{port}", url)
    assert said.status == 4
    assert said.advice[0].startswith(advice)


def test_a_proxy_with_TLS(url: str, tmp_path: Path) -> None:
    """The proxy's certificate is verified before the proxy is sent a password."""
    (tmp_path / "authority.pem").write_bytes(authority().pem)
    words = ("--trust-root", os.fspath(tmp_path / "authority.pem"))
    with squid("basic", authority().pem_for("localhost")) as proxy:
        asked = ("--proxy", proxy.url_with_credentials, url)
        good, unknown = report(*words, *asked), report(*asked)
        ran = run("connect", *words, "--once", "hello", *asked)
    assert (good.status, good.marks) == (0, {**EVERY, "proxy": "ok"})
    assert (unknown.status, unknown.marks["proxy"]) == (5, "NO")
    assert unknown.advice[0].startswith("The TLS handshake with the proxy failed")
    assert (ran.status, ran.output, ran.errors) == (0, b"hello\n", [])


def test_a_proxy_that_does_not_reach_the_server() -> None:
    with squid("open") as proxy:
        said = report("--proxy", proxy.url, f"ws://127.0.0.1:{free_port()}/")
    assert (said.status, said.marks["proxy"]) == (4, "NO")
    assert said.advice[0].startswith("The proxy cannot reach the server")


def test_a_proxy_that_does_not_speak_HTTP(url: str) -> None:
    with serving(lambda peer: peer.sendall(b"220 speaks first\r\n")) as port:
        said = report("--proxy", f"127.0.0.1:{port}", url)
    assert (said.status, said.marks["proxy"]) == (4, "NO")
    assert said.advice[0].startswith("The server at this address is not an HTTP proxy")


def test_a_proxy_that_does_not_speak_TLS(url: str) -> None:
    def script(peer: socket.socket) -> None:
        while peer.recv(4096):
            pass

    with serving(script) as port:
        said = report("--timeout", "1", "--proxy", f"https://127.0.0.1:{port}", url)
    assert (said.status, said.marks["proxy"]) == (6, "NO")
    assert said.advice[0].startswith("The proxy did not answer the TLS handshake: use http://")


def test_a_proxy_that_offers_only_a_forbidden_scheme(url: str) -> None:
    with squid("basic") as proxy:
        said = report("--no-proxy-basic", "--proxy", proxy.url_with_credentials, url)
    assert (said.status, said.marks["proxy"]) == (4, "NO")
    assert said.advice[0].startswith(
        "The proxy accepts Basic authentication only: omit --no-proxy-"
    )


# TLS.


def test_a_stranger_s_certificate_through_a_proxy_may_be_the_proxy_s(tmp_path: Path) -> None:
    trusted = os.fspath(tmp_path / "authority.pem")
    with secure_daemon(tmp_path, by=stranger()) as port, squid("open") as proxy:
        url = f"wss://127.0.0.1:{port}/"
        said = report("--trust-root", trusted, "--proxy", proxy.url, url)
        direct = report("--trust-root", trusted, url)
    assert (said.status, said.marks["tls"]) == (5, "NO")
    assert f"The proxy may decrypt TLS: if {proxy.url} is" in " ".join(said.advice)
    assert "The proxy may decrypt TLS" not in " ".join(direct.advice)


@pytest.mark.parametrize(
    ("names", "until", "by", "words", "advice"),
    [
        (
            ("127.0.0.1",),
            -1,
            authority(),
            "expired on 20",
            "The certificate is expired or not yet valid",
        ),
        (
            ("other.example", "b.example"),
            1,
            authority(),
            "for other.example, b.example; ",
            "The certificate is not for this host but for other.example, b.example:",
        ),
        (
            ("127.0.0.1",),
            1,
            stranger(),
            "issued by a stranger, valid until ",
            "The server does not send the intermediate certificates",
        ),
    ],
    ids=["expired", "another", "stranger"],
)
def test_what_is_wrong_with_a_certificate(
    tmp_path: Path, names: tuple[str, ...], until: int, by: Authority, words: str, advice: str
) -> None:
    """The certificate is shown although it is not trusted; no handshake is made."""
    with secure_daemon(tmp_path, names=names, until=until, by=by) as port:
        trusted = os.fspath(tmp_path / "authority.pem")
        said = report("--trust-root", trusted, f"wss://127.0.0.1:{port}/")
        assert (said.status, said.marks) == (5, {"lookup": "ok", "tcp": "ok", "tls": "NO"})
        assert words in said.stages["tls"][1]
        assert said.advice[0].startswith(advice)


def test_a_certificate_that_expires_soon_works_and_gets_the_advice_to_renew_it(
    tmp_path: Path,
) -> None:
    with secure_daemon(tmp_path, until=3) as port:
        trusted = os.fspath(tmp_path / "authority.pem")
        said = report("--trust-root", trusted, f"wss://127.0.0.1:{port}/")
    assert said.status == 0
    assert re.fullmatch(r"A certificate expires on 20\d\d-\d\d-\d\d: renew it\.", said.advice[0])


def test_with_insecure_the_later_stages_are_checked_too(tmp_path: Path) -> None:
    with secure_daemon(tmp_path, until=-1) as port:
        said = report("--no-verify", f"wss://127.0.0.1:{port}/")
    assert said.status == 0
    assert "not verified" in said.stages["tls"][1]
    assert "expired on " in said.stages["tls"][1]


def negotiates(directory: Path, refuses: bool) -> Callable[[socket.socket], SSL.Connection]:
    """
    Complete a TLS handshake as a server that requires or refuses ALPN.

    :param refuses: whether the server refuses clients that offer ALPN; it closes the connection of
        clients that do not, otherwise.
    """
    pem = directory / "server.pem"
    pem.write_bytes(authority().pem_for("127.0.0.1"))
    (directory / "authority.pem").write_bytes(authority().pem)

    def select(connection: SSL.Connection, offered: list[bytes]) -> bytes:
        if refuses:
            raise SSL.Error("no protocol")
        return offered[0]

    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_privatekey_file(os.fspath(pem))
    context.use_certificate_file(os.fspath(pem))
    context.set_alpn_select_callback(select)

    def shake(peer: socket.socket) -> SSL.Connection:
        peer.settimeout(None)
        secure = SSL.Connection(context, peer)
        secure.set_accept_state()
        secure.do_handshake()
        if not refuses and not secure.get_alpn_proto_negotiated():
            raise OSError("no ALPN")
        return secure

    return shake


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize("offers", [True, False])
def test_a_server_that_requires_or_refuses_alpn(
    tmp_path: Path, refuses: bool, offers: bool
) -> None:
    """Twisted 26.10 refuses clients that offer ALPN, unless the factory names its protocols."""
    shake = negotiates(tmp_path, refuses)

    def script(peer: socket.socket) -> None:
        with suppress(SSL.Error):
            secure: Any = shake(peer)
            accept(secure)
            while (frame := read_frame(secure))[0] != 8:
                secure.sendall(bytes([0x8A, len(frame[1])]) + frame[1])
            secure.sendall(b"\x88\x02\x03\xe8")
            secure.shutdown()

    with serving(script) as port:
        trusted = ["--trust-root", os.fspath(tmp_path / "authority.pem")]
        url = f"wss://127.0.0.1:{port}/"
        said = report(*trusted, *(["--alpn", "http/1.1"] if offers else []), url)
    assert said.marks.get("rfc6455", "NO") == ("NO" if offers == refuses else "ok")
    assert (said.status == 0) == (offers != refuses)
    mark, words = said.stages["alpn"]
    what = "no ALPN" if offers else "ALPN http/1.1"
    if offers == refuses:
        assert mark == "ok"
        assert words.startswith(f"a client that offers {what} is answered, ")
    else:
        assert mark == "NO"
        assert words.startswith(f"a client that offers {what} is refused: ")
    assert said.advice[0].startswith(
        {
            (True, True): "The server refuses the protocols that --alpn offers: omit --alpn.",
            (True, False): "The server refuses clients that offer ALPN, as browsers and curl do",
            (False, True): "The server refuses clients without ALPN",
            (False, False): "The server accepts only clients that offer ALPN: use --alpn http/1.1",
        }[refuses, offers]
    )


def test_a_server_that_does_not_speak_TLS(url: str) -> None:
    said = report(url.replace("ws:", "wss:"))
    assert (said.status, said.marks["tls"]) == (5, "NO")
    assert said.advice[0].startswith("The TLS handshake failed: use ws:// if")


def test_a_server_that_requires_a_client_certificate(tmp_path: Path) -> None:
    """In TLS 1.3 the server refuses after the client has completed the TLS handshake."""
    with asking(tmp_path) as port:
        trusted = os.fspath(tmp_path / "authority.pem")
        said = report("--trust-root", trusted, f"wss://127.0.0.1:{port}/")
    assert (said.status, said.marks["rfc6455"]) == (5, "NO")
    assert said.advice[0].startswith("The server ended TLS: it may require a client certificate")


# The handshake and pings.


def test_a_server_of_an_old_dialect_only(tmp_path: Path) -> None:
    with running(tmp_path, "--dialects", "hixie-76") as daemon:
        url = f"ws://127.0.0.1:{daemon.port}/"
        said = report(url)
        assert said.status == 3
        assert [name for name in NAMES if said.marks[name] == "ok"] == ["hixie-76"]
        speaks, gateway = said.advice
        assert speaks == "The server speaks hixie-76, not rfc6455: use --dialect hixie-76"
        assert gateway.endswith(f": twistd -n hixie --port 8080 --serve '/={url} dialect=hixie-76'")
        assert report("--dialect", "hixie-76", url).status == 0
        (tmp_path / "gateway").mkdir()
        serve = shlex.split(gateway.partition(": ")[2])[5:]
        assert serve[0] == "--serve"
        with running(tmp_path / "gateway", *serve) as before:
            ran = run("connect", "--once", "hello", f"ws://127.0.0.1:{before.port}/")
        assert (ran.status, ran.output) == (0, b"hello\n")


def answering(answer: bytes) -> Script:
    """A server that sends these bytes to every client."""

    def script(peer: socket.socket) -> None:
        read_head(peer)
        peer.sendall(answer)

    return script


@pytest.mark.parametrize(
    ("answer", "status", "advice"),
    [
        (b"HTTP/1.1 404 x\r\n\r\n", 3, "The server has nothing at this path"),
        (
            b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\nhi",
            3,
            "The server answered with a web page",
        ),
        (b"HTTP/1.1 302 x\r\nLocation: /there\r\n\r\n", 3, "The server redirects to another URL"),
        (b"HTTP/1.1 401 x\r\n\r\n", 3, "The server requires authentication"),
        (
            b"HTTP/1.1 403 x\r\n\r\n",
            3,
            (
                "The server refuses this client: it may require an --origin, a cookie, credentials"
                " or a client certificate (--certificate FILE)."
            ),
        ),
        (b"HTTP/1.1 410 x\r\n\r\n", 3, "The server opens no WebSocket at this path"),
        (b"HTTP/1.1 426 x\r\n\r\n", 3, "The server requires another dialect, or another version"),
        (
            b"HTTP/1.1 503 x\r\n\r\n",
            3,
            "A reverse proxy cannot reach its backend, or the server is overloaded or stops.",
        ),
        (b"", 1, "The server closes the connection during every handshake"),
        (
            b"220 speaks first\r\n\r\n",
            1,
            "The server's response is not a WebSocket handshake response",
        ),
    ],
)
def test_a_server_that_refuses_every_dialect(answer: bytes, status: int, advice: str) -> None:
    with serving(answering(answer)) as port:
        said = report(f"ws://127.0.0.1:{port}/")
    assert said.status == status
    assert said.marks == {**dict.fromkeys(NAMES, "NO"), "lookup": "ok", "tcp": "ok"}
    assert said.advice[0].startswith(advice)


def test_a_gateway_that_does_not_reach_its_backend(tmp_path: Path) -> None:
    """The advice names the event that the daemon's log has then."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backends = {"down": free_port(), "silent": silent.getsockname()[1]}
        routes = [f"--serve=/{name}=ws://127.0.0.1:{port}" for name, port in backends.items()]
        with running(tmp_path, "--connect-timeout=1", *routes) as daemon:
            down, slow = (report(f"ws://127.0.0.1:{daemon.port}/{name}") for name in backends)
            for port in backends.values():
                daemon.logged(f"backend-down backend=ws://127.0.0.1:{port}")
    assert (down.status, slow.status) == (3, 3)
    assert "status 502" in down.stages["rfc6455"][1]
    assert "status 504" in slow.stages["rfc6455"][1]
    log = "The log has the reason; the event of a txhixie daemon is backend-down."
    assert down.advice[0] == (
        "A reverse proxy or gateway cannot reach its backend: check that the backend is running. "
        + log
    )
    assert slow.advice[0] == (
        "A reverse proxy or gateway got no response from its backend in time: check the backend. "
        + log
    )


def test_a_server_that_does_not_respond() -> None:
    def script(peer: socket.socket) -> None:
        while peer.recv(1 << 16):
            pass

    with serving(script) as port:
        said = report("--timeout", "0.2", f"ws://127.0.0.1:{port}/")
    assert said.status == 6
    assert said.advice[0].startswith("The server does not answer the handshake")


def test_pings_that_are_not_answered() -> None:
    def script(peer: socket.socket) -> None:
        accept(peer)
        while read_frame(peer)[0] != 8:
            pass

    with serving(script) as port:
        said = report("--timeout", "2", f"ws://127.0.0.1:{port}/")
    assert said.status == 0
    assert said.stages["round trip"] == ("NO", "no answer to a ping within 2 seconds")
    assert said.advice[0].startswith("The server does not answer pings")


def test_after_a_signal_nothing_more_is_printed() -> None:
    ran = interrupted_handshake("doctor")
    assert (ran.status, ran.errors) == (130, [])
    assert ran.output.count(b"\n") == 2
